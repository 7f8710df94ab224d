"""Chips as pictures for people."""

import io

import pytest
from PIL import Image

from eedask.pixels.formats.registry import image_format


@pytest.mark.parametrize("suffix", ["png", "jpg"])
def test_a_picture_of_any_size_is_opened(suffix, monkeypatch):
    buffer = io.BytesIO()
    Image.new("L", (300, 200), 7).save(buffer, "JPEG" if suffix == "jpg" else "PNG")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10_000)
    with pytest.raises(Image.DecompressionBombError):
        Image.open(io.BytesIO(buffer.getvalue()))
    form = image_format(suffix)
    assert form.open(buffer.getvalue()).size == (300, 200)
    assert form.as_picture(buffer.getvalue()).getpixel((1, 1)) == (7, 7, 7)

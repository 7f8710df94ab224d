"""Chips as pictures for people."""

import io

import pytest
from PIL import Image

from eedask.pixels.formats.pictures import as_picture, opened


@pytest.mark.parametrize("suffix", ["png", "jpg"])
def test_a_picture_of_any_size_is_opened(suffix, monkeypatch):
    buffer = io.BytesIO()
    Image.new("L", (300, 200), 7).save(buffer, "JPEG" if suffix == "jpg" else "PNG")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10_000)
    with pytest.raises(Image.DecompressionBombError):
        Image.open(io.BytesIO(buffer.getvalue()))
    assert opened(suffix, buffer.getvalue()).size == (300, 200)
    assert as_picture(suffix, buffer.getvalue()).getpixel((1, 1)) == (7, 7, 7)

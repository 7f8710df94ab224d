"""Answers count as images only when they are whole."""

import io

import numpy as np
import pytest
import rasterio
from PIL import Image

from eedask.errors import InputError, TransientError
from eedask.pixels.formats.registry import image_format

ROWS, COLUMNS = 40, 56
NAMES = ("png", "jpg", "npy", "tif")


def encoded(name: str) -> bytes:
    rng = np.random.default_rng(1)
    pixels = rng.integers(0, 255, (ROWS, COLUMNS, 3), dtype=np.uint8)
    file = io.BytesIO()
    if name in ("png", "jpg"):
        Image.fromarray(pixels).save(file, {"png": "PNG", "jpg": "JPEG"}[name])
    elif name == "npy":
        array = np.empty((ROWS, COLUMNS), dtype=[("R", "u1"), ("x", "f8")])
        array["R"], array["x"] = pixels[..., 0], 0.5
        np.save(file, array)
    else:
        profile = {"driver": "GTiff", "width": COLUMNS, "height": ROWS, "count": 5}
        profile |= {"dtype": "float64", "crs": "EPSG:32613", "compress": "deflate"}
        profile |= {"transform": rasterio.Affine(1, 0, 5e5, 0, -1, 4e6)}
        with rasterio.MemoryFile() as memory:
            with memory.open(**profile) as target:
                target.write(np.repeat(pixels[None, ..., 0], 5, axis=0).astype(float))
            return memory.read()
    return file.getvalue()


@pytest.mark.parametrize("name", NAMES)
def test_whole_images_pass(name):
    kind = image_format(name)
    kind.check(encoded(name), (ROWS, COLUMNS))
    kind.check(encoded(name), None)


@pytest.mark.parametrize("name", NAMES)
def test_images_of_another_shape_do_not(name):
    with pytest.raises(TransientError, match=r"\(40, 56\).*\(56, 40\)"):
        image_format(name).check(encoded(name), (COLUMNS, ROWS))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("share", [0.0, 0.01, 0.3, 0.9, 0.999])
def test_truncated_images_do_not(name, share):
    data = encoded(name)
    with pytest.raises(TransientError, match="not a whole"):
        image_format(name).check(data[: int(len(data) * share)], (ROWS, COLUMNS))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "data", [b'{"error": {"code": 429}}', b"<html>busy</html>" * 50, bytes(500)]
)
def test_other_bytes_do_not(name, data):
    with pytest.raises(TransientError, match="not a whole"):
        image_format(name).check(data, (ROWS, COLUMNS))


def test_a_flipped_byte_in_a_png_is_seen():
    data = bytearray(encoded("png"))
    data[len(data) // 2] ^= 0xFF
    with pytest.raises(TransientError, match="not a whole png"):
        image_format("png").check(bytes(data), (ROWS, COLUMNS))


def test_names_and_aliases():
    assert image_format("PNG").rest_name == "PNG"
    assert image_format("GeoTIFF") is image_format("tif")
    assert image_format("jpeg").suffix == "jpg"
    with pytest.raises(InputError, match="'bmp' is not known; choose one of 'png', 'jpg'"):
        image_format("bmp")

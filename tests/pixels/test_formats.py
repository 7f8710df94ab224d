"""Answers count as images only when they are whole."""

import gc
import io
import pickle
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import rasterio
from PIL import Image

from eedask.errors import InputError, TransientError
from eedask.grid import PixelGrid
from eedask.pixels.formats.registry import FORMATS, format_of, image_format

ROWS, COLUMNS = 40, 56
NAMES = ("png", "jpg", "npy", "tif")


def made() -> np.ndarray:
    return np.random.default_rng(1).integers(0, 255, (ROWS, COLUMNS, 3), dtype=np.uint8)


def encoded(name: str) -> bytes:
    pixels = made()
    file = io.BytesIO()
    if name in ("png", "jpg"):
        Image.fromarray(pixels).save(file, {"png": "PNG", "jpg": "JPEG"}[name])
    elif name == "npy":
        array = np.empty((ROWS, COLUMNS), dtype=[("R", "u1"), ("mask_of_R", "f8")])
        array["R"], array["mask_of_R"] = pixels[..., 0], 0.5
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


def test_formats_are_known_by_one_name_each_and_by_their_files():
    names = [name for form in FORMATS for name in (form.name, *form.aliases)]
    assert len(names) == len(set(names))
    assert sorted(form.name for form in FORMATS) == sorted(NAMES)
    for form in FORMATS:
        assert format_of(f"chips/a.b/c.{form.suffix}") is form
        # Tasks travel to workers.
        assert pickle.loads(pickle.dumps(form)) == form
    assert len(set(FORMATS)) == len(FORMATS)
    with pytest.raises(InputError, match=r"'chips/x.bmp' is not an image file; those end in .png"):
        format_of("chips/x.bmp")


def test_values_are_read_as_bands_of_rows_and_columns():
    pixels = np.moveaxis(made(), -1, 0)
    np.testing.assert_array_equal(image_format("png").as_array(encoded("png")), pixels)
    jpg = image_format("jpg").as_array(encoded("jpg"))
    assert (jpg.shape, jpg.dtype) == (pixels.shape, np.uint8)
    npy = image_format("npy").as_array(encoded("npy"))
    np.testing.assert_array_equal(npy, np.stack([pixels[0], np.full((ROWS, COLUMNS), 0.5)]))
    tif = image_format("tif").as_array(encoded("tif"))
    np.testing.assert_array_equal(tif, np.repeat(pixels[:1], 5, axis=0))


@pytest.mark.parametrize("name", NAMES)
def test_a_picture_can_be_made_of_any(name):
    picture = image_format(name).as_picture(encoded(name))
    assert (picture.mode, picture.size) == ("RGB", (COLUMNS, ROWS))
    assert np.ptp(np.asarray(picture)) > 200


def test_geotiffs_say_where_they_lie_and_others_do_not():
    grid = PixelGrid("EPSG:32613", (1.0, 0.0, 5e5, 0.0, -1.0, 4e6), (ROWS, COLUMNS))
    assert image_format("tif").grid_of(encoded("tif")) == grid
    assert [image_format(name).grid_of(encoded(name)) for name in ("png", "jpg", "npy")] == [
        None
    ] * 3


def test_without_rasterio_geotiffs_are_kept_and_not_opened(monkeypatch):
    data, form = encoded("tif"), image_format("tif")
    monkeypatch.setitem(sys.modules, "rasterio", None)
    form.check(data, (ROWS, COLUMNS))
    assert form.grid_of(data) is None
    for read in (form.open, form.as_array, form.as_picture):
        with pytest.raises(InputError, match=r"tif files are read with rasterio.*pip install"):
            read(data)


class Cycle:
    """What is freed where Python looks for garbage, which takes a moment and lets others go on."""

    def __init__(self):
        self.itself = self

    def __del__(self):
        sum(range(50))


def test_threads_may_read_headers_at_once():
    """Python 3.11 reads literals of two threads wrongly, where garbage is looked for meanwhile."""
    npy, file = image_format("npy"), io.BytesIO()
    np.save(file, np.zeros((4, 6), [("R", "u1"), ("mask", "u1", (1,))]))

    def read(_):
        for _ in range(50):
            Cycle()
            npy.open(file.getvalue())

    usual, interval = gc.get_threshold(), sys.getswitchinterval()
    gc.set_threshold(10)
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(4) as pool:
            assert len([*pool.map(read, range(4))]) == 4
    finally:
        gc.set_threshold(*usual)
        sys.setswitchinterval(interval)

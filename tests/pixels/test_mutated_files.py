"""Files that were changed on the way raise nothing but the errors of eedask's tree."""

import io
import random
import struct
import warnings
import zlib

import numpy as np
import pytest
import rasterio
from PIL import Image

from eedask.errors import EedaskError, TransientError
from eedask.grid import PixelGrid, Window
from eedask.pixels.formats.registry import image_format

ROWS, COLUMNS = 24, 32
GRID = PixelGrid("EPSG:32613", (10.0, 0.0, 5e5, 0.0, -10.0, 4e6), (ROWS, COLUMNS))
NAMES = ("png", "jpg", "npy", "tif")
# Of each format; and as many as an audit once changed in all, when slow.
MUTATIONS, AUDITED = 1500, 23_005
PIXELS = np.random.default_rng(1).integers(0, 255, (ROWS, COLUMNS, 3), dtype=np.uint8)


def encoded(name):
    file = io.BytesIO()
    if name in ("png", "jpg"):
        Image.fromarray(PIXELS).save(file, {"png": "PNG", "jpg": "JPEG"}[name])
    elif name == "npy":
        array = np.empty((ROWS, COLUMNS), dtype=[("R", "u1"), ("G", "<f8"), ("B", "<i2")])
        for k, band in enumerate("RGB"):
            array[band] = PIXELS[..., k]
        np.save(file, array)
    else:
        profile = {"driver": "GTiff", "width": COLUMNS, "height": ROWS, "count": 3}
        profile |= {"dtype": "uint8", "crs": GRID.crs, "compress": "deflate"}
        profile |= {"transform": rasterio.Affine(*GRID.transform)}
        with rasterio.MemoryFile() as memory:
            with memory.open(**profile) as target:
                target.write(np.moveaxis(PIXELS, -1, 0))
            return memory.read()
    return file.getvalue()


def mutated(data, rng):
    """Return the bytes with a few of them changed, cut, doubled or moved."""
    changed = bytearray(data)
    # Heads are short, and where most can go wrong.
    end = rng.choice([len(data), min(len(data), 200)])
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(end)
        kind = rng.randrange(5)
        if kind == 0:
            changed[at : at + 1] = bytes([rng.randrange(256)])
        elif kind == 1:
            del changed[at : at + rng.randint(1, 8)]
        elif kind == 2:
            changed[at:at] = rng.randbytes(rng.randint(1, 8))
        elif kind == 3:
            changed[at : at + 4] = rng.choice([b"\xff" * 4, b"\0" * 4, b"(((("])
        else:
            changed = changed[: max(1, at)]
            end = len(changed)
    return bytes(changed)


@pytest.mark.parametrize(
    ("count", "seed"), [(MUTATIONS, 13), pytest.param(AUDITED // 4 + 1, 14, marks=pytest.mark.slow)]
)
@pytest.mark.parametrize("name", NAMES)
def test_mutated_files_raise_nothing_but_errors_of_the_tree(name, count, seed):
    form, data, rng = image_format(name), encoded(name), random.Random(seed)
    form.check(data, GRID.shape, ("R", "G", "B"))
    refused = 0
    for _ in range(count):
        odd = mutated(data, rng)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                form.check(odd, GRID.shape, ("R", "G", "B"))
                form.check_values(odd)
            except EedaskError:
                refused += 1
                continue
            assert form.as_array(odd).shape[-2:] == GRID.shape
            if form.on_grid != form:
                continue
            joiner = form.join(GRID, 2**30)
            joiner.add(Window(0, 0, GRID.shape), odd)
            joiner.finish()
    assert refused > count / 2


def png_of(rows, color=2, depth=8, size=GRID.shape):
    """Return a PNG whose checksums are right, whatever its rows hold."""

    def chunk(kind, body):
        return (
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        )

    head = struct.pack(">IIBBBBB", size[1], size[0], depth, color, 0, 0, 0)
    body = chunk(b"IDAT", zlib.compress(rows))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + body + chunk(b"IEND", b"")


def test_a_png_without_all_of_its_rows_is_not_whole_though_its_checksums_are_right():
    row = b"\0" + b"\x07" * 3 * COLUMNS
    form = image_format("png")
    form.check(png_of(row * ROWS), GRID.shape)
    with pytest.raises(TransientError, match="not a whole png"):
        form.check(png_of(row * (ROWS - 5)), GRID.shape)


@pytest.mark.parametrize(("color", "depth", "bytes_a_row"), [(0, 16, 2 * COLUMNS), (0, 1, 4)])
def test_a_png_that_is_not_of_8_bits_is_not_what_was_asked_for(color, depth, bytes_a_row):
    rows = (b"\0" + b"\x07" * bytes_a_row) * ROWS
    with pytest.raises(TransientError, match="of 8 bits"):
        image_format("png").check(png_of(rows, color, depth), GRID.shape)


def test_a_grey_png_is_not_three_bands():
    grey = png_of((b"\0" + b"\x07" * COLUMNS) * ROWS, 0)
    image_format("png").check(grey, GRID.shape, ["R"])
    with pytest.raises(TransientError, match="grey"):
        image_format("png").check(grey, GRID.shape, ["R", "G", "B"])


def npy_of(array):
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


@pytest.mark.parametrize("kind", ["O", "S4", "U4", "c8", "M8[s]", "(2,)u1"])
def test_npy_bands_that_are_no_numbers_are_refused(kind):
    data = npy_of(np.zeros(GRID.shape, [("R", kind)]))
    with pytest.raises(TransientError, match="not a whole npy"):
        image_format("npy").check(data, GRID.shape)


@pytest.mark.parametrize("bands", [["R"], ["R", "B", "G"], ["R", "G", "x"]])
def test_npy_bands_are_those_asked_for(bands):
    with pytest.raises(TransientError, match=r"bands are \['R', 'G', 'B'\]"):
        image_format("npy").check(encoded("npy"), GRID.shape, bands)


def test_a_geotiff_has_the_bands_asked_for():
    with pytest.raises(TransientError, match="3 bands"):
        image_format("tif").check(encoded("tif"), GRID.shape, ["R", "G"])

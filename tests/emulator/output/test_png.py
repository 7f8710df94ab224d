"""PNG files against two readers of others, Pillow's and GDAL's."""

import io
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image as Pillow
from rasterio.io import MemoryFile

from eedask.emulator.output.png import png

SIDES = st.integers(1, 9)


@given(data=st.data(), count=st.integers(1, 4), height=SIDES, width=SIDES)
def test_pixels_come_back_as_they_were(data, count, height, width):
    shape = (count, height, width)
    planes = data.draw(arrays.arrays(np.uint8, shape))
    picture = Pillow.open(io.BytesIO(png(list(planes))))
    assert picture.mode == ("L", "LA", "RGB", "RGBA")[count - 1]
    read = np.asarray(picture).reshape(height, width, count)
    np.testing.assert_array_equal(np.moveaxis(read, -1, 0), planes)


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_gdal_reads_the_same_pixels_and_finds_no_fault():
    planes = np.random.default_rng(1).integers(0, 256, (3, 300, 500), dtype=np.uint8)
    with MemoryFile(png(list(planes))) as memory, memory.open() as dataset:
        np.testing.assert_array_equal(dataset.read(), planes)


@pytest.mark.parametrize("level", [0, 8, 16, 32, 64, 128])
def test_files_are_no_larger_than_with_zlib(level):
    planes = np.random.default_rng(1).normal(128, 3, (3, 256, 256)).astype(np.uint8)
    planes[:, :level] = 7
    file = png(list(planes))
    start = file.index(b"IDAT") + 4
    rows = zlib.decompress(file[start : start + int.from_bytes(file[start - 8 : start - 4])])
    assert len(file) <= 1.02 * len(zlib.compress(rows, 1))


def test_level_areas_shrink():
    planes = [np.full((256, 256), value, np.uint8) for value in (10, 200, 7)]
    assert len(png(planes)) < 3000

"""What is kept of native pixels: tiles of a source's own size, read for whoever comes first."""

import uuid

import numpy as np
import pytest

from eedask.emulator.pixels.native_sources import Window
from eedask.emulator.pixels.native_tiles import tiled
from eedask.emulator.pixels.raster import Pixels

SIZE = (100, 70)
LEVEL = np.arange(SIZE[0] * SIZE[1]).reshape(SIZE[1], SIZE[0])


class Source:
    """A level whose every pixel has a value of its own, and what of it was read."""

    def __init__(self):
        self.key, self.windows = uuid.uuid4(), []

    def read(self, window):
        self.windows.append(window)
        values = LEVEL[
            window.row : window.row + window.height, window.col : window.col + window.width
        ]
        return Pixels(values, (values % 3 > 0).astype(np.float32))

    def tiled(self, *window, side):
        return tiled(self.key, Window(*window), SIZE, self.read, side)


@pytest.mark.parametrize(
    ("side", "around"), [(16, (48, 32, 16, 16)), (32, (32, 32, 32, 32)), (256, (0, 0, 100, 70))]
)
def test_for_a_pixel_one_tile_is_read_and_kept(side, around):
    source = Source()
    for col, row in ((50, 40), (51, 40), (50, 47)):
        assert source.tiled(col, row, 1, 1, side=side).values.tolist() == [[LEVEL[row, col]]]
    assert source.windows == [around]


def test_tiles_are_joined_as_they_were_and_read_at_once_where_some_are_missing():
    source, generator = Source(), np.random.default_rng(3)
    source.tiled(40, 40, 1, 1, side=16)
    for _ in range(50):
        left, right = np.sort(generator.choice(SIZE[0] + 1, 2, replace=False))
        top, bottom = np.sort(generator.choice(SIZE[1] + 1, 2, replace=False))
        before = len(source.windows)
        found = source.tiled(left, top, right - left, bottom - top, side=16)
        expected = LEVEL[top:bottom, left:right]
        assert (found.values == expected).all()
        assert (found.mask == (expected % 3 > 0)).all()
        assert len(source.windows) <= before + 1
    # By then all of it is there.
    before = len(source.windows)
    source.tiled(0, 0, *SIZE, side=16)
    source.tiled(0, 0, *SIZE, side=16)
    assert len(source.windows) <= before + 1

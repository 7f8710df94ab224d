"""What is kept of native pixels: tiles of a source's own size, read for whoever comes first."""

import itertools

import numpy as np
import pytest

from eedask.emulator.pixels.native_sources import WHOLE, NativeSource, Window
from eedask.emulator.pixels.native_tiles import native_pixels
from eedask.emulator.pixels.raster import Pixels, Projection

SIZE = (100, 70)
LEVEL = np.arange(SIZE[0] * SIZE[1]).reshape(SIZE[1], SIZE[0])
NUMBERS = itertools.count()


class Numbered(NativeSource):
    """A source whose every pixel has a value of its own, and what of it was drawn."""

    number: int
    side: int | None
    windows: "Windows"

    projection = Projection("EPSG:4326")
    width, height = SIZE

    def tile_side(self, level):
        return self.side

    def draw(self, band, level, window):
        self.windows.append(window)
        values = LEVEL[
            window.row : window.row + window.height, window.col : window.col + window.width
        ]
        return Pixels(values, (values % 3 > 0).astype(np.float32))


class Windows(list):
    """A list that is equal to itself only."""

    __hash__ = object.__hash__
    __eq__ = object.__eq__


def numbered(side):
    return Numbered(next(NUMBERS), side, Windows())


def read(source, *window):
    return native_pixels(source, 0, 0, Window(*window))


@pytest.mark.parametrize(
    ("side", "around"), [(16, (48, 32, 16, 16)), (32, (32, 32, 32, 32)), (256, (0, 0, 100, 70))]
)
def test_for_a_pixel_one_tile_is_read_and_kept(side, around):
    source = numbered(side)
    for col, row in ((50, 40), (51, 40), (50, 47)):
        assert read(source, col, row, 1, 1).values.tolist() == [[LEVEL[row, col]]]
    assert source.windows == [Window(*around)]


def test_tiles_are_joined_as_they_were_and_read_at_once_where_some_are_missing():
    source, generator = numbered(16), np.random.default_rng(3)
    read(source, 40, 40, 1, 1)
    for _ in range(50):
        left, right = np.sort(generator.choice(SIZE[0] + 1, 2, replace=False))
        top, bottom = np.sort(generator.choice(SIZE[1] + 1, 2, replace=False))
        before = len(source.windows)
        found = read(source, left, top, right - left, bottom - top)
        expected = LEVEL[top:bottom, left:right]
        assert (found.values == expected).all()
        assert (found.mask == (expected % 3 > 0)).all()
        assert len(source.windows) <= before + 1
    # By then all of it is there.
    before = len(source.windows)
    read(source, 0, 0, *SIZE)
    read(source, 0, 0, *SIZE)
    assert len(source.windows) <= before + 1


def test_windows_are_cached_whole_or_not_at_all_where_a_source_says_so():
    whole, never = numbered(WHOLE), numbered(None)
    for source, times in ((whole, 1), (never, 2)):
        for _ in range(2):
            assert read(source, 3, 4, 5, 6).values.tolist() == LEVEL[4:10, 3:8].tolist()
        assert source.windows == [Window(3, 4, 5, 6)] * times


class Constant(NativeSource):
    """A source of one value, and a field that is as good as any."""

    value: int

    projection = Projection("EPSG:4326")
    width, height = SIZE

    def tile_side(self, level):
        return 16

    def draw(self, band, level, window):
        shape = (window.height, window.width)
        return Pixels(np.full(shape, self.value), np.ones(shape, np.float32))


class Doubled(Constant):
    def draw(self, band, level, window):
        pixels = super().draw(band, level, window)
        return Pixels(2 * pixels.values, pixels.mask)


def test_sources_of_another_class_or_with_another_field_share_nothing():
    sources = [Constant(1), Constant(3), Doubled(1), Doubled(3)]
    for _ in range(2):
        found = [read(source, 0, 0, 1, 1).values.item() for source in sources]
        assert found == [1, 3, 2, 6]
    assert len(set(sources)) == 4


def test_a_source_cannot_hide_from_its_identity_what_its_pixels_depend_on():
    class Hiding(Constant):
        def __init__(self, value, hidden):
            self.value = value
            self.hidden = hidden

    with pytest.raises(AttributeError, match="cannot assign"):
        Hiding(1, hidden=2)
    with pytest.raises(TypeError, match="unhashable"):
        read(Constant([1]), 0, 0, 1, 1)

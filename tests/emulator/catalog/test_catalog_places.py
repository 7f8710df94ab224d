"""Which places have scenes: what the file says is what is found."""

import itertools

import numpy as np
import pytest

from eedask.emulator.catalog.datasets import landsat, mgrs
from eedask.emulator.catalog.datasets.places import FIRST_TILE_ROW, PATHS, ROWS, TILES, places


def test_places_with_land_are_in_the_file():
    every = list(itertools.product(range(1, PATHS + 1), range(20, 100)))[::53]
    found = [landsat.Place(*at) for at in every]
    assert [landsat.exists(place) for place in found] == [landsat.has_land(p) for p in found]
    assert 0.2 < np.mean([landsat.exists(place) for place in found]) < 0.8
    assert places().landsat.sum() == 11_401
    assert places().landsat.shape == (PATHS, ROWS)


@pytest.mark.parametrize("row", [FIRST_TILE_ROW, -31, 43, FIRST_TILE_ROW + TILES[1] - 1])
def test_tiles_with_land_are_in_the_file(row):
    found = [mgrs.MgrsTile(zone, col, row) for zone in range(1, 61, 3) for col in range(1, 9)]
    assert [mgrs.exists(tile) for tile in found] == [mgrs.has_land(tile) for tile in found]
    assert any(map(mgrs.exists, found))
    assert not all(map(mgrs.exists, found))


@pytest.mark.parametrize("row", [FIRST_TILE_ROW - 1, FIRST_TILE_ROW + TILES[1]])
def test_there_are_no_tiles_beyond_the_file(row):
    found = [mgrs.MgrsTile(zone, col, row) for zone in range(1, 61) for col in range(1, 9)]
    assert not any(map(mgrs.has_land, found))
    assert not any(map(mgrs.exists, found))

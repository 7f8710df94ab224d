"""``USGS/SRTMGL1_003`` and ``NASA/NASADEM_HGT/001``: two measurements of the same synthetic relief.

Bands, types and grids are those of
https://developers.google.com/earth-engine/datasets/catalog/USGS_SRTMGL1_003 and
https://developers.google.com/earth-engine/datasets/catalog/NASA_NASADEM_HGT_001. A cell of one
degree without land is masked: the real models are distributed in such tiles, and lack these.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from affine import Affine
from numpy.typing import NDArray

from eedask.emulator.catalog.datasets.single import BYTE, INT16, Drawn, drawn_image
from eedask.emulator.catalog.dates import millis_of
from eedask.emulator.catalog.world.coast import has_land
from eedask.emulator.catalog.world.ground_cover import ground
from eedask.emulator.catalog.world.relief import heights, heights_of_points
from eedask.emulator.catalog.world.sample_points import Spots, lonlat, noise, spots, spots_of
from eedask.emulator.catalog.world.terrain import is_land_roughly
from eedask.emulator.pixels.native_sources import Numbers, Window
from eedask.emulator.pixels.raster import Image, Pixels, Projection

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]

SRTM = "USGS/SRTMGL1_003"
NASADEM = "NASA/NASADEM_HGT/001"

_ARC = 1 / 3600
_WIDTH = 1_296_001
_HEIGHT = 417_601  # 60 degrees north to 56 degrees south, an arc second a pixel
_GRID = Projection("EPSG:4326", Affine(_ARC, 0.0, -180 - _ARC / 2, 0.0, -_ARC, 60 + _ARC / 2))
_FLOWN = {
    "system:time_start": millis_of(2000, 2, 11),
    "system:time_end": millis_of(2000, 2, 22),
}
_ROUGH = 8  # the pyramid level with pixels of 8 kilometres
_YEAR = 2000  # of the land cover that tells where water is


@cache
def srtm() -> Image:
    """Return the SRTM image: one band of heights in metres."""
    source = Drawn(_GRID, _WIDTH, _HEIGHT, ("elevation",), _heights, of_points=_srtm_points)
    properties = {"title": "Synthetic SRTM digital elevation, 1 arc second", **_FLOWN}
    return drawn_image(SRTM, source, {"elevation": INT16}, properties)


@cache
def nasadem() -> Image:
    """Return the NASADEM image: heights in metres, number of scenes, and water bodies."""
    bands = {"elevation": INT16, "num": BYTE, "swb": BYTE}
    source = Drawn(_GRID, _WIDTH, _HEIGHT, tuple(bands), _nasadem, of_points=_nasadem_points)
    properties = {"title": "Synthetic NASADEM digital elevation, 1 arc second", **_FLOWN}
    return drawn_image(NASADEM, source, bands, properties)


def _heights(band: str, level: int, window: Window) -> Pixels:
    del band
    metres = np.rint(heights(spots(_GRID, level, window)))
    return Pixels(metres.astype(np.int16), _measured(level, window))


def _nasadem(band: str, level: int, window: Window) -> Pixels:
    mask = _measured(level, window)
    if band == "elevation":
        return Pixels(_reprocessed(level, window).astype(np.int16), mask)
    water = ground(_GRID, level, window, _YEAR).water
    if band == "swb":
        return Pixels(np.where(water, 255, 0).astype(np.uint8), mask)
    at = spots(_GRID, level, window)
    scenes = np.rint(9 + 6 * noise(at, 90_000, 91))
    return Pixels(np.where(water, 0, np.clip(scenes, 1, 23)).astype(np.uint8), mask)


def _reprocessed(level: int, window: Window) -> NDArray[Any]:
    """Return NASADEM's heights, which differ from the SRTM's by about a metre above the sea."""
    at = spots(_GRID, level, window)
    return _noisy(at, heights(at))


def _noisy(at: Spots, true: Floats) -> NDArray[Any]:
    moved = true + 1.2 * noise(at, 2500, 92)
    return np.rint(np.where(true > 2, moved, true))


def _srtm_points(band: str, level: int, cols: Numbers, rows: Numbers) -> Pixels | None:
    """Return the heights of single pixels, shape (1, n); None if windows have to be read."""
    del band
    found = _true_points(level, cols, rows)
    if found is None:
        return None
    return Pixels(np.rint(found[1]).astype(np.int16), _measured_points(level, cols, rows))


def _nasadem_points(band: str, level: int, cols: Numbers, rows: Numbers) -> Pixels | None:
    found = _true_points(level, cols, rows) if band == "elevation" else None
    if found is None:
        return None
    metres = _noisy(*found).astype(np.int16)
    return Pixels(metres, _measured_points(level, cols, rows))


def _true_points(level: int, cols: Numbers, rows: Numbers) -> tuple[Spots, Floats] | None:
    if level >= _ROUGH:
        return None
    at = spots_of(_GRID, level, cols, rows)
    true = heights_of_points(at)
    return None if true is None else (at, true)


def _measured(level: int, window: Window) -> NDArray[np.float32]:
    """Return the mask of a window: 1 in cells of one degree that contain land.

    At coarse pyramid levels it is 1 on land only.
    """
    if level >= _ROUGH:
        lon, lat = np.broadcast_arrays(*lonlat(spots(_GRID, level, window)))
        return is_land_roughly(lon, lat).astype(np.float32)
    east, north = _degrees(
        level, window.col + np.arange(window.width), window.row + np.arange(window.height)
    )
    west, in_col = np.unique(east, return_inverse=True)
    south, in_row = np.unique(north, return_inverse=True)
    cells = np.array([[has_land(int(w), int(s)) for w in west] for s in south], np.float32)
    return cells[np.ix_(in_row, in_col)]


def _measured_points(level: int, cols: Numbers, rows: Numbers) -> Floats:
    west, south = (at.tolist() for at in _degrees(level, cols, rows))
    found = [has_land(int(w), int(s)) for w, s in zip(west, south, strict=True)]
    return np.array([found], np.float32)


def _degrees(level: int, cols: Numbers, rows: Numbers) -> tuple[Doubles, Doubles]:
    """Return the western and southern edges of the cells of one degree that contain pixels."""
    t, size = _GRID.transform, 2**level
    return np.floor(t.c + t.a * size * (cols + 0.5)), np.floor(t.f + t.e * size * (rows + 0.5))

"""``JRC/GSW1_4/GlobalSurfaceWater``: how often the synthetic land was under water.

Bands, types and values are those of
https://developers.google.com/earth-engine/datasets/catalog/JRC_GSW1_4_GlobalSurfaceWater. The
sea, rivers and the middle of lakes always have water, shores some of the time. Where there never
was any, all bands but ``max_extent`` are masked. As in the public asset, the mask of
``occurrence`` is proportional to its value.
"""

from __future__ import annotations

from functools import cache, lru_cache

import numpy as np
from affine import Affine
from numpy.typing import NDArray

from eedask.emulator.catalog.datasets.single import BYTE, INT8, Drawn, drawn_image
from eedask.emulator.catalog.dates import millis_of
from eedask.emulator.catalog.world.averaging import pixel_means
from eedask.emulator.catalog.world.ground_cover import ground
from eedask.emulator.catalog.world.sample_points import noise, spots
from eedask.emulator.pixels.native_sources import Window
from eedask.emulator.pixels.raster import Image, Pixels, Projection, uniform

ASSET_ID = "JRC/GSW1_4/GlobalSurfaceWater"

_PIXEL = 0.00025
_GRID = Projection("EPSG:4326", Affine(_PIXEL, 0.0, -180.0, 0.0, -_PIXEL, 80.0))
_WIDTH, _HEIGHT = 1_440_000, 560_000
_BANDS = {
    "occurrence": BYTE,
    "change_abs": INT8,
    "change_norm": INT8,
    "seasonality": BYTE,
    "recurrence": BYTE,
    "transition": BYTE,
    "max_extent": BYTE,
}
_YEAR = 2021
_PERMANENT, _SEASONAL = 1, 4  # classes of the band transition


@cache
def surface_water() -> Image:
    """Return the image, a single one for all years."""
    properties = {
        "title": "Synthetic surface water mapping layers",
        "system:time_start": millis_of(1984, 3, 16),
        "system:time_end": millis_of(2022, 1, 1),
    }
    source = Drawn(_GRID, _WIDTH, _HEIGHT, tuple(_BANDS), _draw)
    return drawn_image(ASSET_ID, source, _BANDS, properties)


@lru_cache(maxsize=16)
def _occurrence(level: int, window: Window) -> NDArray[np.float32]:
    """Return the percentage of the time in which there is water."""
    parts = 1 if level else 2
    water = pixel_means(ground(_GRID, level, window, _YEAR, parts).water, parts)
    at = spots(_GRID, level, window)
    seldom = noise(at, 700, 93)
    often = np.clip(100 * water - 8 * (1 + seldom) * (water < 1) - 1.5 * (1 + seldom), 0, 100)
    return np.rint(often).astype(np.float32)


def _draw(band: str, level: int, window: Window) -> Pixels:
    often = _occurrence(level, window)
    wet = often > 0
    if band == "max_extent":
        return Pixels(wet.astype(np.uint8), uniform(1, wet.shape))
    if band == "occurrence":
        return Pixels(often.astype(np.uint8), (often / 100).astype(np.float32))
    mask = wet.astype(np.float32)
    at = spots(_GRID, level, window)
    if band == "change_abs" or band == "change_norm":
        trend = noise(at, 30_000, 94)
        change = np.rint(trend * np.minimum(often, 100 - often))
        return Pixels(change.astype(np.int8), mask)
    permanent = often >= 75
    if band == "transition":
        return Pixels(np.where(permanent, _PERMANENT, _SEASONAL).astype(np.uint8), mask)
    if band == "seasonality":
        months = np.where(permanent, 12, np.clip(np.ceil(often * 0.15), 1, 11))
        return Pixels(months.astype(np.uint8), mask)
    return Pixels(np.clip(often + 10, 1, 100).astype(np.uint8), mask)

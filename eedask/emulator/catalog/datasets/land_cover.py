"""``ESA/WorldCover/v100`` and ``v200``: land cover of the synthetic land at 10 metres.

The band, its grid and its classes are those of
https://developers.google.com/earth-engine/datasets/catalog/ESA_WorldCover_v200.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

import numpy as np
from affine import Affine

from eedask.emulator.catalog.datasets.single import BYTE, Drawn, drawn_image
from eedask.emulator.catalog.dates import millis_of, within
from eedask.emulator.catalog.tables.tables import SYNTHETIC_IMAGERY
from eedask.emulator.catalog.world.ground_cover import ground
from eedask.emulator.catalog.world.palette import TONES, Material
from eedask.emulator.pixels.native_sources import Window
from eedask.emulator.pixels.raster import Image, Pixels, Projection, uniform
from eedask.emulator.values.value_types import Collection, Query

YEARS = {"ESA/WorldCover/v100": 2020, "ESA/WorldCover/v200": 2021}

_PIXEL = 1 / 12_000
_GRID = Projection("EPSG:4326", Affine(_PIXEL, 0.0, -180.0, 0.0, -_PIXEL, 84.0))
_WIDTH, _HEIGHT = 4_320_000, 1_728_000

TREES, SHRUBS, GRASS, CROPS, BUILT, BARE, SNOW, WATER = 10, 20, 30, 40, 50, 60, 70, 80
CLASSES = {
    10: ("Tree cover", "006400"),
    20: ("Shrubland", "ffbb22"),
    30: ("Grassland", "ffff4c"),
    40: ("Cropland", "f096ff"),
    50: ("Built-up", "fa0000"),
    60: ("Bare / sparse vegetation", "b4b4b4"),
    70: ("Snow and ice", "f0f0f0"),
    80: ("Permanent water bodies", "0064c8"),
    90: ("Herbaceous wetland", "0096a0"),
    95: ("Mangroves", "00cf75"),
    100: ("Moss and lichen", "fae6a0"),
}
_OF_MATERIAL = {
    Material.SOIL: BARE,
    Material.GRASS: GRASS,
    Material.CONIFER: TREES,
    Material.BROADLEAF: TREES,
    Material.SHRUB: SHRUBS,
    Material.SHADOW: TREES,
    Material.WATER: WATER,
    Material.ASPHALT: BUILT,
    Material.GRAVEL: BUILT,
    Material.CROP: CROPS,
    Material.RIPE: CROPS,
    Material.TILLED: CROPS,
    Material.ROOF: BUILT,
    Material.STUBBLE: CROPS,
    Material.SNOW: SNOW,
    Material.SAND: BARE,
    Material.RED_SOIL: BARE,
    Material.ROCK: BARE,
    Material.MEADOW: CROPS,
    Material.TILES: BUILT,
}
# WorldCover's class of each kind of land (material and tone).
KIND_CLASSES = np.repeat([_OF_MATERIAL[material] for material in Material], TONES).astype(np.uint8)


def collection(asset_id: str) -> Collection:
    """Return one of the two collections, which have one image each."""

    def source(query: Query) -> Iterator[Image]:
        year = YEARS[asset_id]
        if query.equals.get("system:index", str(year)) == str(year) and within(
            millis_of(year, 1, 1), query
        ):
            yield _image(asset_id)

    return Collection("ImageCollection", source, SYNTHETIC_IMAGERY, id=asset_id)


def image(asset_id: str, index: str) -> Image | None:
    """Return the image of a year, or None."""
    return _image(asset_id) if index == str(YEARS[asset_id]) else None


@lru_cache(maxsize=4)
def _image(asset_id: str) -> Image:
    year = YEARS[asset_id]
    properties = {
        "Map_class_names": [name for name, _ in CLASSES.values()],
        "Map_class_palette": [color for _, color in CLASSES.values()],
        "Map_class_values": list(CLASSES),
        "system:time_start": millis_of(year, 1, 1),
        "system:time_end": millis_of(year + 1, 1, 1),
    }
    source = Drawn(_GRID, _WIDTH, _HEIGHT, ("Map",), _draw, (year,))
    return drawn_image(f"{asset_id}/{year}", source, {"Map": BYTE}, properties)


def _draw(year: int, band: str, level: int, window: Window) -> Pixels:
    del band
    classes = KIND_CLASSES.take(ground(_GRID, level, window, year).kind)
    return Pixels(classes, uniform(1, classes.shape))

"""``WorldPop/GP/100m/pop``: people on the synthetic land, one image for a country and year.

Ids (``KEN_2020``), the band and properties are those of
https://developers.google.com/earth-engine/datasets/catalog/WorldPop_GP_100m_pop. People live on
built-up land, more densely in the middle of cities, and a few on farms. Pixels of water or outside
the country are masked.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from functools import lru_cache

import numpy as np
import shapely
from affine import Affine
from numpy.typing import NDArray
from rasterio.features import rasterize

from eedask.emulator.catalog.datasets.land_cover import BUILT, CROPS, KIND_CLASSES
from eedask.emulator.catalog.datasets.single import FLOAT, Drawn, drawn_image
from eedask.emulator.catalog.dates import millis_of, within
from eedask.emulator.catalog.tables.tables import SYNTHETIC_IMAGERY
from eedask.emulator.catalog.world.averaging import pixel_means
from eedask.emulator.catalog.world.ground_cover import ground
from eedask.emulator.catalog.world.iso import countries
from eedask.emulator.catalog.world.regions import Trait, place
from eedask.emulator.catalog.world.sample_points import evaluated, spots
from eedask.emulator.pixels.native_sources import Window
from eedask.emulator.pixels.raster import Image, Pixels, Projection, compose, uniform
from eedask.emulator.values.value_types import Collection, Query

ASSET_ID = "WorldPop/GP/100m/pop"

Floats = NDArray[np.float32]

_PIXEL = 1 / 1200
_YEARS = range(2000, 2021)
_GROWTH = 0.012  # a year
_NAME = re.compile(r"([A-Z]{3})_(\d{4})")


def collection() -> Collection:
    """Return the collection, ordered by country and year."""
    return Collection("ImageCollection", _source, SYNTHETIC_IMAGERY, id=ASSET_ID)


def image(index: str) -> Image | None:
    """Return the image of a country and year, such as ``KEN_2020``, or None."""
    match = _NAME.fullmatch(index)
    if match is None or match[1] not in countries() or int(match[2]) not in _YEARS:
        return None
    return _image(match[1], int(match[2]))


def _source(query: Query) -> Iterator[Image]:
    if "system:index" in query.equals:
        found = image(str(query.equals["system:index"]))
        if found is not None and within(found.properties["system:time_start"], query):
            yield found
        return
    box = None if query.bounds is None else shapely.box(*query.bounds)
    for code, shape in countries().items():
        if query.equals.get("country", code) != code:
            continue
        if box is not None and not shapely.box(*shape.bounds).intersects(box):
            continue
        for year in _YEARS:
            if query.equals.get("year", year) == year and within(millis_of(year, 1, 1), query):
                yield _image(code, year)


@lru_cache(maxsize=4096)
def _image(code: str, year: int) -> Image:
    west, south, east, north = countries()[code].bounds
    left, top = math.floor(west / _PIXEL), math.ceil(north / _PIXEL)
    width, height = math.ceil(east / _PIXEL) - left, top - math.floor(south / _PIXEL)
    grid = Projection("EPSG:4326", Affine(_PIXEL, 0.0, left * _PIXEL, 0.0, -_PIXEL, top * _PIXEL))
    source = Drawn(grid, width, height, ("population",), _draw, (code, year, grid))
    properties = {
        "country": code,
        "year": year,
        "system:time_start": millis_of(year, 1, 1),
        "system:time_end": millis_of(year + 1, 1, 1),
    }
    return drawn_image(f"{ASSET_ID}/{code}_{year}", source, {"population": FLOAT}, properties)


def _draw(code: str, year: int, grid: Projection, band: str, level: int, window: Window) -> Pixels:
    del band
    inside = _inside(code, grid, level, window)
    if not inside.any():
        return Pixels(uniform(0, inside.shape, np.float32), uniform(0, inside.shape))
    parts = 1 if level else 2
    under = ground(grid, level, window, _YEARS[-1], parts)  # towns keep their area over time
    classes = KIND_CLASSES.take(under.kind)
    built, farmed = pixel_means(classes == BUILT, parts), pixel_means(classes == CROPS, parts)
    at = spots(grid, level, window)
    urban = evaluated(lambda lon, lat: place(lon, lat, (Trait.TOWNS,))[0], at, 13, (0, 0))
    people = built * (2 + 60 * np.clip(urban, 0, 1) ** 2) + np.float32(0.25) * farmed + 0.01
    people = people * (1 + _GROWTH) ** (year - 2010)
    dry_land = pixel_means(~under.water, parts) > 0.5
    return Pixels(people.astype(np.float32), (inside & dry_land).astype(np.float32))


@lru_cache(maxsize=32)
def _inside(code: str, grid: Projection, level: int, window: Window) -> NDArray[np.bool_]:
    """Return which pixels of a window have their centres in a country, as bool."""
    scale = 2.0**level
    t = compose(grid.transform, Affine(scale, 0, window.col * scale, 0, scale, window.row * scale))
    east, south = t.c + t.a * window.width, t.f + t.e * window.height
    shape = shapely.clip_by_rect(countries()[code], t.c - t.a, south + t.e, east + t.a, t.f - t.e)
    size = (window.height, window.width)
    if shape.is_empty:
        return np.zeros(size, np.bool_)
    return rasterize([shape], size, transform=t, dtype="uint8").astype(np.bool_)

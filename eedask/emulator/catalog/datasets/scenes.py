"""Masks, outlines and cloud statistics of scenes, the same for all optical sensors."""

from __future__ import annotations

import datetime as dt
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import shapely
from affine import Affine
from numpy.typing import NDArray
from shapely.geometry.polygon import orient

from eedask.emulator.catalog.footprints import to_degrees
from eedask.emulator.catalog.world import climate
from eedask.emulator.catalog.world.ground_cover import broad_places
from eedask.emulator.catalog.world.palette import TONES, Material
from eedask.emulator.catalog.world.sample_points import lonlat, spots
from eedask.emulator.geometry.geometry import Geometry
from eedask.emulator.pixels.native_sources import Window
from eedask.emulator.pixels.raster import Projection, apply, uniform

Planes = tuple[tuple[float, float, float], ...]

_SAMPLES = 20  # points a side from which a scene's cloudiness is estimated
_GREEN = (Material.GRASS, Material.CONIFER, Material.BROADLEAF, Material.SHRUB, Material.CROP,
          Material.MEADOW)  # fmt: skip


class Extent(NamedTuple):
    """A scene's raster, and the part of it that has data.

    Attributes
    ----------
    projection : Projection
    width, height : int
        Pixels.
    planes : tuple of (float, float, float)
        Half-planes (a, b, c) in the crs: there is data where all a x + b y + c >= 0.
    """

    projection: Projection
    width: int
    height: int
    planes: Planes


class Cover(NamedTuple):
    """Shares, 0 to 1, of a scene's pixels with data that are cloud, shadow, water and so on."""

    cloud: float
    thick: float
    cirrus: float
    shadow: float
    water: float
    green: float
    snow: float
    cloud_over_land: float


def mask(extent: Extent, projection: Projection, level: int, window: Window) -> NDArray[np.float32]:
    """Return the mask of a window of pyramid level ``level``: 1 where a scene has data, else 0."""
    t, size = projection.transform, 2.0**level
    shape = (window.height, window.width)
    x = t.c + t.a * size * (window.col + np.arange(window.width) + 0.5)
    y = t.f + t.e * size * (window.row + np.arange(window.height) + 0.5)
    inside = None
    for a, b, c in extent.planes:
        # A half-plane that contains all corners leaves the mask as it is.
        if min(a * x[0], a * x[-1]) + min(b * y[0], b * y[-1]) + c >= 0:
            continue
        part = (a * x)[None, :] + (b * y)[:, None] + c >= 0
        inside = part if inside is None else inside & part
    return uniform(1, shape) if inside is None else inside.astype(np.float32)


def outline(polygon: shapely.Polygon, crs: str) -> Geometry:
    """Return a projected polygon in degrees, each side divided into a few straight pieces."""
    line = shapely.segmentize(orient(polygon).exterior, polygon.length / 12)
    x, y = shapely.get_coordinates(line).T
    lon, lat = to_degrees(crs).transform(x, y)
    lon = np.unwrap(lon, period=360)  # longitudes go on beyond 180 across the date line
    return Geometry(shapely.Polygon(np.column_stack([lon, lat])), geodesic=False)


@lru_cache(maxsize=16_384)
def cover(extent: Extent, day: dt.date) -> Cover:
    """Return the cover of a scene on a day, estimated at a few hundred points.

    Clouds are exactly those of the pixels, the land is a coarse approximation.
    """
    points = _points(extent, day.year)
    if not points.inside.any():
        return Cover(*[0.0] * 8)
    sky = climate.sky(points.lon, points.lat, day, octaves=8)
    cloud, cirrus = sky[0][points.inside], sky[1][points.inside]
    material = points.material[points.inside]
    cloudy, water = cloud > 0, material == Material.WATER
    land = ~water
    return Cover(
        cloud=float(cloudy.mean()),
        thick=float((cloud > 0.15).mean()),
        cirrus=float(((cirrus > 0) & ~cloudy).mean()),
        shadow=float(cloudy.mean() * (1 - cloudy.mean()) * 0.4),
        water=float(water.mean()),
        green=float(np.isin(material, _GREEN).mean()),
        snow=float((material == Material.SNOW).mean()),
        cloud_over_land=float(cloudy[land].mean()) if land.any() else 0.0,
    )


class _Points(NamedTuple):
    lon: NDArray[np.float64]
    lat: NDArray[np.float64]
    inside: NDArray[np.bool_]
    material: NDArray[np.uint16]


@lru_cache(maxsize=2048)
def _points(extent: Extent, year: int) -> _Points:
    t = extent.projection.transform
    step = max(extent.width, extent.height) / _SAMPLES
    sparse = Projection(extent.projection.crs, Affine(t.a * step, 0.0, t.c, 0.0, t.e * step, t.f))
    window = Window(0, 0, round(extent.width / step), round(extent.height / step))
    at = spots(sparse, 0, window)
    lon, lat = np.broadcast_arrays(*lonlat(at))
    inside = mask(extent, sparse, 0, window) > 0
    return _Points(lon, lat, inside, broad_places(at, year).kind // np.uint16(TONES))


def middle(extent: Extent) -> tuple[float, float]:
    """Return the longitude and latitude of a raster's middle."""
    at = apply(extent.projection.transform, extent.width / 2, extent.height / 2)
    lon, lat = to_degrees(extent.projection.crs).transform(*at)
    return float(lon), float(lat)

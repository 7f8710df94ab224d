"""Outlines of rasters in degrees."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from threading import local
from typing import cast

import numpy as np
import shapely
from numpy.typing import NDArray
from pyproj import CRS, Transformer

from eedask.emulator.catalog.crs import MODIS_SINUSOIDAL
from eedask.emulator.geometry.geometry import Geometry
from eedask.emulator.pixels.raster import Projection, apply

_SINUSOIDAL = "+proj=sinu +lon_0=0 +x_0=0 +y_0=0 +R=6371007.181 +units=m +no_defs"
_EDGE_POINTS = 4
_WORLD = shapely.box(-180, -90, 180, 90)
_transformers = local()  # a pyproj transformer must not be shared by threads


def to_degrees(crs: str) -> Transformer:
    """Return this thread's transformer from a crs to longitude and latitude."""
    return _transformer(crs, "EPSG:4326")


def from_degrees(crs: str) -> Transformer:
    """Return this thread's transformer from longitude and latitude to a crs."""
    return _transformer("EPSG:4326", crs)


def _transformer(source: str, target: str) -> Transformer:
    made: dict[tuple[str, str], Transformer] = _transformers.__dict__.setdefault("made", {})
    if (source, target) not in made:
        made[source, target] = Transformer.from_crs(_crs(source), _crs(target), always_xy=True)
    return made[source, target]


def _crs(name: str) -> CRS:
    return CRS(_SINUSOIDAL if name == MODIS_SINUSOIDAL else name)


def footprint(projection: Projection, width: int, height: int) -> Geometry:
    """Return the outline of a raster as a planar polygon in EPSG:4326.

    Edges of the raster become several straight edges in degrees. Across the antimeridian,
    longitudes go on beyond 180. If corners of the raster lie outside of its crs, as those of the
    whole world in a sinusoidal, the result is the world.
    """
    t = projection.transform
    cols, rows = _rectangle()
    x, y = apply(t, cols * width, rows * height)
    lon, lat = to_degrees(projection.crs).transform(x, y)
    back = np.abs(np.array(from_degrees(projection.crs).transform(lon, lat)) - (x, y))
    if not (back < abs(t.a) + abs(t.b)).all():  # also where it is not finite
        return Geometry(_WORLD, geodesic=False)
    outline = cast(shapely.Polygon, shapely.polygons(np.column_stack([_going_on(lon), lat])))
    return Geometry(outline, geodesic=False)


def _going_on(lon: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the longitudes of a ring without jumps of 360 degrees.

    Those of a ring around a pole are returned unchanged.
    """
    closed = np.unwrap(np.append(lon, lon[0]), period=360)
    return closed[:-1] if abs(closed[-1] - closed[0]) < 180 else lon


def ring(outline: Geometry) -> Geometry:
    """Return an outline as a linear ring, the form of the property ``system:footprint``."""
    return replace(outline, shape=cast(shapely.Polygon, outline.shape).exterior)


@cache
def _rectangle() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return points along the edges of a raster, as fractions of its width and height.

    They run counterclockwise on the ground.
    """
    forth = np.arange(_EDGE_POINTS) / _EDGE_POINTS
    back = 1 - forth
    zero, one = np.zeros(_EDGE_POINTS), np.ones(_EDGE_POINTS)
    return np.concatenate([zero, forth, one, back]), np.concatenate([forth, one, back, zero])

"""``Collection.distance``: how far each pixel is from the nearest feature."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import pyproj
import shapely
from numpy.typing import NDArray
from shapely.geometry.base import BaseGeometry

from eedask.emulator.errors import EarthEngineError
from eedask.emulator.functions.registry import algorithm
from eedask.emulator.geometry.crs import WGS84
from eedask.emulator.geometry.sphere import RADIUS, to_vectors
from eedask.emulator.pixels.pixel_types import DOUBLE
from eedask.emulator.pixels.projection import degrees_bounds, locate, window_grid
from eedask.emulator.pixels.raster import DEFAULT_PROJECTION, Band, Grid, Image, Pixels, Projection
from eedask.emulator.values.value_types import Collection, Feature, Query

Array = NDArray[np.float64]

# Pixels are computed in squares of this side, each in an azimuthal equidistant projection about
# its middle; edges are divided into pieces this short (degrees), so that they are straight there.
_SIDE = 128
_EDGE = 0.05


@algorithm("Collection.distance")
def distance(collection: Collection, radius: float = 100000.0, max_error: float = 100.0) -> Image:
    """Return a band ``distance``: metres to the nearest point, line or boundary of a polygon.

    Inside a polygon it is the distance to the boundary, not 0. Pixels further than ``radius``
    metres from all features are masked. Distances are along great circles of a sphere.
    https://developers.google.com/earth-engine/apidocs/ee-featurecollection-distance
    """
    del max_error
    if not (radius > 0 and math.isfinite(radius)):
        raise EarthEngineError("Collection.distance: The search radius must be positive.")

    def read(grid: Grid) -> Pixels:
        values, mask = np.zeros(grid.shape), np.zeros(grid.shape, np.float32)
        lines = _lines(collection, grid, radius)
        for top in range(0, grid.height, _SIDE):
            for left in range(0, grid.width, _SIDE):
                width, height = min(_SIDE, grid.width - left), min(_SIDE, grid.height - top)
                part = window_grid(grid.projection, left, top, width, height)
                at = (slice(top, top + height), slice(left, left + width))
                far = _distances(lines, part, radius)
                near = far <= radius
                values[at], mask[at] = np.where(near, far, 0), near
        return Pixels(values, mask)

    return Image((Band("distance", DOUBLE, DEFAULT_PROJECTION, read),))


def _lines(collection: Collection, grid: Grid, radius: float) -> list[BaseGeometry]:
    """Return the points and edges that may lie within reach of a grid, in degrees."""
    west, south, east, north = degrees_bounds(grid)
    up = math.degrees(radius / RADIUS) * 1.01
    highest = min(89.0, max(abs(south), abs(north)) + up)
    aside = min(180.0, up / math.cos(math.radians(highest)))
    query = Query(bounds=(west - aside, max(-90, south - up), east + aside, min(90, north + up)))
    found: list[BaseGeometry] = []
    for feature in collection.elements(query):
        if isinstance(feature, Feature) and feature.geometry is not None:
            found += _parts(feature.geometry.lonlat)
    return found


def _parts(shape: BaseGeometry) -> Iterator[BaseGeometry]:
    for part in shapely.get_parts(shapely.get_parts(shape)):
        line = part.boundary if part.geom_type == "Polygon" else part
        yield line if line.geom_type == "Point" else shapely.segmentize(line, _EDGE)


def _distances(lines: list[BaseGeometry], grid: Grid, radius: float) -> Array:
    """Return each pixel's distance to the nearest line, infinite if it is far beyond the radius."""
    located = locate(grid, Projection(WGS84))
    lon, lat = (np.ravel(np.broadcast_to(v, grid.shape)) for v in (located.cols, located.rows))
    far = np.full(lon.size, np.inf)
    known = np.isfinite(lon) & np.isfinite(lat) & (np.abs(lat) <= 90)
    if not lines or not known.any():
        return far.reshape(grid.shape)
    middle = (float(lon[known].mean()), float(lat[known].mean()))
    flat = pyproj.Proj(proj="aeqd", lon_0=middle[0], lat_0=middle[1], R=RADIUS)

    def onto(points: Array) -> Array:
        return np.column_stack(flat(points[:, 0], points[:, 1]))

    placed = shapely.transform(np.array(lines, dtype=object), onto)
    pixels = shapely.points(onto(np.column_stack([lon[known], lat[known]])))
    # Leaves out lines on the far side of the earth, which the projection tears apart.
    reach = shapely.box(*shapely.total_bounds(pixels)).buffer(2 * radius + 1)
    placed = placed[shapely.intersects(placed, reach)]
    if not placed.size:
        return far.reshape(grid.shape)
    nearest = placed[shapely.STRtree(placed).nearest(pixels)]
    ends = shapely.get_coordinates(shapely.shortest_line(pixels, nearest))[1::2]
    there = np.column_stack(flat(ends[:, 0], ends[:, 1], inverse=True))
    a, b = to_vectors(np.column_stack([lon[known], lat[known]])), to_vectors(there)
    chord = np.linalg.norm(a - b, axis=1)
    far[known] = 2 * RADIUS * np.arcsin(np.minimum(chord / 2, 1))
    return far.reshape(grid.shape)

"""GeometryConstructors.*: geometries from coordinates.

``values`` are coordinates in ``projection`` (EPSG:4326 by default) or geometries in place of
them; edges are great circles if ``geodesic``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import shapely
from shapely.errors import GEOSException

from eedask.emulator.errors import EarthEngineError, NotSupported
from eedask.emulator.functions.registry import algorithm
from eedask.emulator.geometry import crs, sphere
from eedask.emulator.geometry.crs import WGS84
from eedask.emulator.geometry.geometry import (
    Geometry,
    Shape,
    collected,
    coordinates,
    parts,
    placed,
    rectangle,
    remade,
    rings,
)
from eedask.emulator.pixels.raster import Projection
from eedask.emulator.values.value_types import ErrorMargin


def _points(value: Any, where: str) -> Any:
    """Return coordinates, shape (n, 2), from pairs, points or a flat list of numbers."""
    value = _plain(value)
    if isinstance(value, list) and value and not isinstance(value[0], list):
        if len(value) % 2:
            raise EarthEngineError(f"{where}: Invalid geometry: an odd number of coordinates.")
        value = [value[i : i + 2] for i in range(0, len(value), 2)]
    try:
        array = np.asarray(value, dtype=float)
    except (TypeError, ValueError):
        array = np.empty(0)
    if array.ndim != 2 or array.shape[1] not in (2, 3) or not np.isfinite(array).all():
        raise EarthEngineError(f"{where}: Invalid geometry: coordinates must be pairs of numbers.")
    return array[:, :2]


def _plain(value: Any) -> Any:
    """Return coordinates as nested lists; a geometry among them is replaced by its own."""
    if isinstance(value, Geometry):
        return coordinates(value.shape)
    return [_plain(item) for item in value] if isinstance(value, list) else value


def _depth(value: Any) -> int:
    value = _plain(value)
    depth = 0
    while isinstance(value, list):
        depth += 1
        value = value[0] if value else None
    return depth


def _closed(points: Any) -> Any:
    return points if np.array_equal(points[0], points[-1]) else np.vstack([points, points[:1]])


def _polygon(rings: Any, where: str) -> Shape:
    """Return the polygon of a list of rings, or of one ring's points; empty for no rings."""
    if rings == []:
        return shapely.Polygon()
    nested = rings if _depth(rings) >= 3 else [rings]
    paths = [_closed(_points(ring, where)) for ring in nested]
    if any(len(path) < 4 for path in paths):
        raise EarthEngineError(f"{where}: LinearRing requires at least 3 points.")
    return shapely.Polygon(paths[0], paths[1:])


def _line(points: Any, where: str) -> Shape:
    return shapely.LineString(_points(points, where))


def _ring(points: Any, where: str) -> Shape:
    path = _closed(_points(points, where))
    if len(path) < 4:
        raise EarthEngineError(f"{where}: LinearRing requires at least 3 points.")
    return shapely.LinearRing(path)


def _lines(value: Any, where: str) -> Shape:
    nested = value if _depth(value) >= 3 else [value]
    return shapely.MultiLineString([_points(line, where) for line in nested])


def _polygons(value: Any, where: str) -> Shape:
    nested = value if _depth(value) >= 4 else [value]
    return shapely.MultiPolygon([_polygon(rings, where) for rings in nested])


def _first_geometry(value: Any) -> Geometry | None:
    """Return the first geometry among coordinates, or None if there is none."""
    if isinstance(value, Geometry):
        return value
    return _first_geometry(value[0]) if isinstance(value, list) and value else None


def _made(
    build: Callable[[Any, str], Shape],
    value: Any,
    projection: Projection | None,
    geodesic: bool | None,
    where: str,
) -> Geometry:
    """Return a geometry of coordinates.

    If crs and edges are not given, they are those of the first geometry among the coordinates.
    """
    given = _first_geometry(value)
    try:
        shape = build(value, where)
    except (GEOSException, ValueError) as error:
        raise EarthEngineError(f"{where}: Invalid geometry: {error}.") from None
    if projection is None:
        name = given.crs if given is not None else WGS84
    else:
        name = projection.crs
        if not projection.transform.is_identity:
            to_crs = projection.transform
            shape = remade(shape, lambda c: np.column_stack(placed(to_crs, *c.T)))
    if geodesic is None:
        geodesic = given.geodesic if given is not None else crs.is_geographic(name)
    return Geometry(shape, name, geodesic)


def _inside_left(geometry: Geometry, even_odd: bool) -> Geometry:
    """Return polygons whose inside is the same under both of Earth Engine's rules; refuse others.

    With ``evenOdd`` false, the inside is what lies left of the ring: of a clockwise shell, the
    rest of the world. The emulator has no such polygons.
    """
    if not even_odd:
        for part in parts(geometry.shape):
            if not shapely.is_ccw(shapely.LinearRing(sphere.unwrapped(rings(part)[0]))):
                raise NotSupported("polygons whose inside is all but a ring (evenOdd false)")
    return geometry


@algorithm("GeometryConstructors.Point")
def point(values: list[float], projection: Projection | None) -> Geometry:
    """Return a point from x and y."""
    where = "GeometryConstructors.Point"
    if len(values) != 2:
        raise EarthEngineError(f"{where}: Expected 2 coordinates, found {len(values)}.")
    if projection is None:
        return Geometry(shapely.Point(values))
    return _made(lambda v, w: shapely.Point(_points(v, w)[0]), values, projection, None, where)


@algorithm("GeometryConstructors.MultiPoint")
def multi_point(values: list[Any], projection: Projection | None) -> Geometry:
    """Return a MultiPoint."""
    where = "GeometryConstructors.MultiPoint"
    return _made(
        lambda v, w: shapely.MultiPoint(_points(v, w)) if v else shapely.MultiPoint(),
        values,
        projection,
        None,
        where,
    )


@algorithm("GeometryConstructors.LineString")
def line_string(
    values: list[Any],
    projection: Projection | None,
    geodesic: bool | None,
    _: ErrorMargin | None,
) -> Geometry:
    """Return a line."""
    return _made(_line, values, projection, geodesic, "GeometryConstructors.LineString")


@algorithm("GeometryConstructors.LinearRing")
def linear_ring(
    values: list[Any],
    projection: Projection | None,
    geodesic: bool | None,
    _: ErrorMargin | None,
) -> Geometry:
    """Return a linear ring; if its last point is not its first, that is appended."""
    return _made(_ring, values, projection, geodesic, "GeometryConstructors.LinearRing")


@algorithm("GeometryConstructors.MultiLineString")
def multi_line_string(
    values: list[Any],
    projection: Projection | None,
    geodesic: bool | None,
    _: ErrorMargin | None,
) -> Geometry:
    """Return a MultiLineString."""
    return _made(_lines, values, projection, geodesic, "GeometryConstructors.MultiLineString")


@algorithm("GeometryConstructors.Polygon")
def polygon(
    values: list[Any],
    projection: Projection | None,
    geodesic: bool | None,
    _: ErrorMargin | None,
    even_odd: bool,
) -> Geometry:
    """Return a polygon."""
    made = _made(_polygon, values, projection, geodesic, "GeometryConstructors.Polygon")
    return _inside_left(made, even_odd)


@algorithm("GeometryConstructors.MultiPolygon")
def multi_polygon(
    values: list[Any],
    projection: Projection | None,
    geodesic: bool | None,
    _: ErrorMargin | None,
    even_odd: bool,
) -> Geometry:
    """Return a MultiPolygon."""
    made = _made(_polygons, values, projection, geodesic, "GeometryConstructors.MultiPolygon")
    return _inside_left(made, even_odd)


@algorithm("GeometryConstructors.Rectangle")
def make_rectangle(
    values: list[Any], projection: Projection | None, geodesic: bool | None, _even_odd: bool
) -> Geometry:
    """Return the rectangle between its lower left and upper right corner."""

    def build(value: Any, where: str) -> Shape:
        corners = _points(value, where)
        (west, south), (east, north) = corners.min(axis=0), corners.max(axis=0)
        return rectangle((west, south, east, north)).shape

    return _made(build, values, projection, geodesic, "GeometryConstructors.Rectangle")


@algorithm("GeometryConstructors.BBox")
def bbox(west: float, south: float, east: float, north: float) -> Geometry:
    """Return the planar rectangle between two meridians and two parallels, in degrees.

    It may cross the antimeridian.
    """
    if south > north:
        raise EarthEngineError("GeometryConstructors.BBox: South must not be over north.")
    if east - west >= 360:
        west, east = -180.0, 180.0
    else:
        west = (west + 180) % 360 - 180
        east = (east + 180) % 360 - 180
        if east <= west:
            east += 360
    return rectangle((west, max(south, -90.0), east, min(north, 90.0)))


@algorithm("GeometryConstructors.MultiGeometry")
def multi_geometry(
    values: list[Geometry],
    projection: Projection | None,
    geodesic: bool | None,
    _: ErrorMargin | None,
) -> Geometry:
    """Return a collection of geometries."""
    name = projection.crs if projection is not None else values[0].crs if values else WGS84
    flag = geodesic if geodesic is not None else values[0].geodesic if values else True
    shapes = [v.shape if v.crs == name else v.coordinates_in(name) for v in values]
    flat = [part for s in shapes for part in getattr(s, "geoms", [s])]
    shape = collected(flat) if flat else shapely.GeometryCollection()
    return Geometry(shape, name, flag)

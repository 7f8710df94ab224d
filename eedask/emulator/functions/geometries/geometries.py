"""Geometry.* and Feature.*: areas, lengths, distances, set operations, buffers, simplification.

With a projection, an algorithm computes in that plane and in its units; without one it computes
on the earth, in metres. https://developers.google.com/earth-engine/guides/geometric_operations
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from typing import Any

import shapely
from shapely.ops import nearest_points

from eedask.emulator.errors import EarthEngineError
from eedask.emulator.functions.registry import algorithm
from eedask.emulator.geometry import crs, geodesy
from eedask.emulator.geometry.crs import WGS84
from eedask.emulator.geometry.geometry import (
    UNBOUNDED,
    Geometry,
    Shape,
    coordinates,
    parts,
    rectangle,
)
from eedask.emulator.geometry.sphere import RADIUS
from eedask.emulator.pixels.raster import Projection
from eedask.emulator.values.elements import geometry_of
from eedask.emulator.values.value_types import ErrorMargin, Feature

Margin = ErrorMargin | None
Proj = Projection | None

_FURTHEST = math.pi * RADIUS
_EARTH = shapely.box(-180, -90, 180, 90)


def shape_of(element: Any, where: str) -> Geometry:
    """Return an element's geometry; raise Earth Engine's 400 if it has none."""
    geometry = geometry_of(element)
    if geometry is None:
        raise EarthEngineError(f"{where}: The feature has no geometry.")
    return geometry


def _in(geometry: Geometry, projection: Proj) -> Shape:
    """Return the shape of a geometry in a projection's plane, or without one in degrees."""
    if projection is None or projection.crs == WGS84:
        return geometry.lonlat
    return geometry.coordinates_in(projection.crs)


def _result(shape: Shape, projection: Proj, geodesic: bool) -> Geometry:
    if projection is not None:
        return Geometry(shape, projection.crs, False)
    return Geometry(shape, WGS84, geodesic)


def _unary(name: str, function: Callable[..., Any], makes_geometry: bool) -> None:
    """Register a function of one geometry as ``Geometry.name`` and as ``Feature.name``."""

    @algorithm(f"Geometry.{name}")
    def of_geometry(geometry: Geometry, margin: Margin, projection: Proj) -> Any:
        return function(geometry, margin, projection)

    @algorithm(f"Feature.{name}")
    def of_feature(feature: Any, margin: Margin, projection: Proj) -> Any:
        result = function(shape_of(feature, f"Feature.{name}"), margin, projection)
        return with_geometry(feature, result) if makes_geometry else result


def _binary(name: str, function: Callable[..., Any], makes_geometry: bool = False) -> None:
    """Register a function of two geometries as ``Geometry.name`` and as ``Feature.name``.

    If it makes a geometry, the result for features is the left feature with that geometry.
    """

    @algorithm(f"Geometry.{name}")
    def of_geometries(left: Geometry, right: Geometry, margin: Margin, projection: Proj) -> Any:
        return function(left, right, projection)

    @algorithm(f"Feature.{name}")
    def of_features(left: Any, right: Any, margin: Margin, projection: Proj) -> Any:
        where = f"Feature.{name}"
        result = function(shape_of(left, where), shape_of(right, where), projection)
        return with_geometry(left, result) if makes_geometry else result


def with_geometry(element: Any, geometry: Geometry | None) -> Any:
    """Return an element with another geometry."""
    if isinstance(element, Feature):
        return replace(element, geometry=geometry)
    return Feature(geometry, element.properties)


def area(geometry: Geometry, _: Margin, projection: Proj) -> float:
    """Return the area in square metres, or in the projection's units squared."""
    if geometry.unbounded:
        return math.inf
    if projection is None:
        return geodesy.area(geometry)
    return float(geometry.coordinates_in(projection.crs).area)


def _lengths(shape: Shape, polygons: bool) -> float:
    """Return the planar length of all polygons' boundaries, or if not ``polygons`` of all lines."""
    return float(sum(p.length for p in parts(shape) if (p.geom_type == "Polygon") == polygons))


def _length(geometry: Geometry, _: Margin, projection: Proj) -> float:
    if projection is None:
        return geodesy.length(geometry)
    return _lengths(geometry.coordinates_in(projection.crs), polygons=False)


def _perimeter(geometry: Geometry, _: Margin, projection: Proj) -> float:
    if projection is None:
        return geodesy.perimeter(geometry)
    return _lengths(geometry.coordinates_in(projection.crs), polygons=True)


def bounds(geometry: Geometry, _: Margin, projection: Proj) -> Geometry:
    """Return the planar rectangle around a geometry, in a projection or in EPSG:4326."""
    if geometry.unbounded:
        return UNBOUNDED
    if projection is None or projection.crs == WGS84:
        return rectangle(geometry.bounds)
    west, south, east, north = geometry.coordinates_in(projection.crs).bounds
    return rectangle((west, south, east, north), projection.crs)


def _centroid(geometry: Geometry, _: Margin, projection: Proj) -> Geometry:
    if projection is None:
        return geodesy.centroid(geometry)
    return Geometry(geometry.coordinates_in(projection.crs).centroid, projection.crs, False)


def _convex_hull(geometry: Geometry, _: Margin, projection: Proj) -> Geometry:
    return _result(_in(geometry, projection).convex_hull, projection, geometry.geodesic)


def _dissolve(geometry: Geometry, _: Margin, projection: Proj) -> Geometry:
    shape = shapely.union_all(parts(_in(geometry, projection)))
    return _result(shape, projection, geometry.geodesic)


_unary("area", area, makes_geometry=False)
_unary("length", _length, makes_geometry=False)
_unary("perimeter", _perimeter, makes_geometry=False)
_unary("bounds", bounds, makes_geometry=True)
_unary("centroid", _centroid, makes_geometry=True)
_unary("convexHull", _convex_hull, makes_geometry=True)
_unary("dissolve", _dissolve, makes_geometry=True)


def _predicate(name: str) -> Callable[[Geometry, Geometry, Proj], bool]:
    return lambda left, right, projection: bool(
        getattr(_in(left, projection), name)(_in(right, projection))
    )


def _combination(name: str) -> Callable[[Geometry, Geometry, Proj], Geometry]:
    def combine(left: Geometry, right: Geometry, projection: Proj) -> Geometry:
        if name == "intersection" and (left.unbounded or right.unbounded):
            return right if left.unbounded else left
        shape = combined(name, _in(left, projection), _in(right, projection))
        return _result(shape, projection, left.geodesic and right.geodesic)

    return combine


def combined(name: str, left: Shape, right: Shape) -> Shape:
    """Return the result of a shapely set operation such as ``"union"`` on two shapes.

    Shapes that cross themselves, as they may after a projection, are mended first.
    """
    try:
        made: Shape = getattr(left, name)(right)
    except shapely.GEOSException:
        made = getattr(shapely.make_valid(left), name)(shapely.make_valid(right))
    return made


_binary("intersects", _predicate("intersects"))
_binary("disjoint", _predicate("disjoint"))
_binary("contains", _predicate("covers"))
_binary("containedIn", _predicate("covered_by"))
_binary("intersection", _combination("intersection"), makes_geometry=True)
_binary("union", _combination("union"), makes_geometry=True)
_binary("difference", _combination("difference"), makes_geometry=True)
_binary("symmetricDifference", _combination("symmetric_difference"), makes_geometry=True)


def distance(left: Geometry, right: Geometry, projection: Proj, on_sphere: bool = False) -> float:
    """Return the least distance between two geometries in metres, or in a projection's units."""
    if projection is None:
        return geodesy.distance(left, right, on_sphere)
    return float(_in(left, projection).distance(_in(right, projection)))


def _closest(left: Geometry, right: Geometry, projection: Proj) -> dict[str, Geometry]:
    if projection is None:
        found = geodesy.closest_points(left, right)
        points = () if found is None else tuple(shapely.Point(p) for p in found)
    else:
        a, b = _in(left, projection), _in(right, projection)
        points = () if a.is_empty or b.is_empty else nearest_points(a, b)
    made = [_result(p, projection, True) for p in points]
    return dict(zip(("left", "right"), made, strict=False))


_binary("closestPoints", _closest)
_binary("closestPoint", lambda *arguments: _closest(*arguments).get("right"))


@algorithm("Geometry.distance")
def geometry_distance(
    left: Geometry, right: Geometry, _: Margin, projection: Proj, spherical: bool
) -> float:
    """Return the least distance between two geometries."""
    return distance(left, right, projection, spherical)


@algorithm("Feature.distance")
def feature_distance(left: Any, right: Any, _: Margin, projection: Proj, spherical: bool) -> float:
    """Return the least distance between two features."""
    one, other = (shape_of(e, "Feature.distance") for e in (left, right))
    return distance(one, other, projection, spherical)


@algorithm("Geometry.withinDistance")
def within_distance(
    left: Geometry, right: Geometry, limit: float, _: Margin, projection: Proj
) -> bool:
    """Return whether two geometries are at most ``limit`` apart (metres or projection units)."""
    return distance(left, right, projection) <= limit


@algorithm("Feature.withinDistance")
def feature_within_distance(
    left: Any, right: Any, limit: float, _: Margin, projection: Proj
) -> bool:
    """Return whether two features are at most ``limit`` apart (metres or projection units)."""
    one, other = (shape_of(e, "Feature.withinDistance") for e in (left, right))
    return distance(one, other, projection) <= limit


def _margin(margin: Margin) -> float | None:
    return None if margin is None or margin.unit != "meters" else margin.value


@algorithm("Geometry.buffer")
def buffer(geometry: Geometry, metres: float, margin: Margin, projection: Proj) -> Geometry:
    """Return all points within a distance of a geometry; a negative distance shrinks it.

    A distance of half the earth's circumference or more gives the whole earth, or nothing if it
    is negative.
    """
    if not math.isfinite(metres):
        raise EarthEngineError(f"Geometry.buffer: The distance must be finite, but is {metres}.")
    if geometry.unbounded:
        return geometry
    if projection is None:
        if abs(metres) >= _FURTHEST and not geometry.shape.is_empty:
            return Geometry(_EARTH if metres > 0 else shapely.Polygon(), geodesic=False)
        return geodesy.buffer(geometry, metres, _margin(margin))
    shape = geometry.coordinates_in(projection.crs).buffer(metres, 16)
    return Geometry(shape, projection.crs, False)


@algorithm("Feature.buffer")
def feature_buffer(feature: Any, metres: float, margin: Margin, projection: Proj) -> Any:
    """Return a feature with its geometry buffered."""
    made = buffer(shape_of(feature, "Feature.buffer"), metres, margin, projection)
    return with_geometry(feature, made)


@algorithm("Geometry.simplify")
def simplify(geometry: Geometry, margin: ErrorMargin, projection: Proj) -> Geometry:
    """Return a geometry with fewer vertices, at most the error margin from the original."""
    if projection is not None:
        shape = geometry.coordinates_in(projection.crs).simplify(margin.value or 0.0)
        return Geometry(shape, projection.crs, False)
    return geodesy.simplify(geometry, _margin(margin) or 0.0)


@algorithm("Feature.simplify")
def feature_simplify(feature: Any, margin: ErrorMargin, projection: Proj) -> Any:
    """Return a feature with its geometry simplified."""
    made = simplify(shape_of(feature, "Feature.simplify"), margin, projection)
    return with_geometry(feature, made)


@algorithm("Geometry.transform")
def transform(
    geometry: Geometry, projection: Projection, _: Margin, geodesic: bool | None
) -> Geometry:
    """Return a geometry transformed to another projection."""
    if geometry.unbounded:
        return geometry
    edges = crs.is_geographic(projection.crs) if geodesic is None else geodesic
    if geometry.crs == projection.crs and geometry.geodesic == edges:
        return geometry
    simple = not any(p.geom_type != "Point" for p in parts(geometry.shape))
    if simple or geometry.crs == projection.crs:
        shape = geometry.shape if edges else geometry.coordinates_in(projection.crs)
        if geometry.crs != projection.crs:
            shape = geometry.coordinates_in(projection.crs)
        return Geometry(shape, projection.crs, edges)
    return Geometry(geometry.coordinates_in(projection.crs), projection.crs, edges)


@algorithm("Feature.transform")
def feature_transform(
    feature: Any, projection: Projection, margin: Margin, geodesic: bool | None
) -> Any:
    """Return a feature with its geometry in another projection."""
    made = transform(shape_of(feature, "Feature.transform"), projection, margin, geodesic)
    return with_geometry(feature, made)


def _cut(geometry: Geometry, distances: list[float], projection: Proj) -> Geometry:
    """Return the pieces of lines that are cut at the given distances along them."""
    pieces: list[Shape] = []
    for line in parts(_in(geometry, projection)):
        if line.geom_type not in ("LineString", "LinearRing"):
            continue
        total = line.length if projection else geodesy.length(Geometry(line, geodesic=False))
        shares = sorted({0.0, 1.0, *(d / total for d in distances if 0 < d < total)})
        pieces += [shapely.ops.substring(line, a, b, normalized=True) for a, b in pairwise(shares)]
    return _result(shapely.MultiLineString(pieces), projection, geometry.geodesic)


@algorithm("Geometry.cutLines")
def cut_lines(geometry: Geometry, distances: list[float], _: Margin, projection: Proj) -> Geometry:
    """Return the lines of a geometry, cut at distances along them (metres or projection units)."""
    return _cut(geometry, distances, projection)


@algorithm("Feature.cutLines")
def feature_cut_lines(feature: Any, distances: list[float], _: Margin, projection: Proj) -> Any:
    """Return a feature with its lines cut."""
    made = _cut(shape_of(feature, "Feature.cutLines"), distances, projection)
    return with_geometry(feature, made)


@algorithm("Geometry.coordinates")
def coordinates_of(geometry: Geometry) -> list[Any]:
    """Return GeoJSON's coordinate lists."""
    return coordinates(geometry.shape)


@algorithm("Geometry.edgesAreGeodesics", "Geometry.geodesic")
def geodesic_edges(geometry: Geometry) -> bool:
    """Return whether the geometry's edges are great circles, not straight in its projection."""
    return geometry.geodesic


@algorithm("Geometry.geometries")
def geometries(geometry: Geometry) -> list[Geometry]:
    """Return the geometries that a collection holds, or the geometry itself."""
    shapes = getattr(geometry.shape, "geoms", [geometry.shape])
    return [replace(geometry, shape=shape) for shape in shapes]


@algorithm("Geometry.isUnbounded")
def is_unbounded(geometry: Geometry) -> bool:
    """Return whether a geometry covers the whole earth."""
    return geometry.unbounded


@algorithm("Geometry.projection")
def projection_of(geometry: Geometry) -> Projection:
    """Return the projection of the coordinates."""
    return Projection(geometry.crs)


@algorithm("Geometry.type")
def type_of(geometry: Geometry) -> str:
    """Return GeoJSON's name of the type."""
    return geometry.type

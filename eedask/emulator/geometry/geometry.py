"""Geometries as Earth Engine has them: a shape, its crs, and whether its edges are geodesic.

https://developers.google.com/earth-engine/guides/geometries_planar_geodesic
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
import shapely
from affine import Affine
from numpy.typing import NDArray
from shapely import affinity
from shapely.errors import GEOSException
from shapely.geometry.base import BaseGeometry

from eedask.emulator.errors import EarthEngineError
from eedask.emulator.geometry import crs as crs_
from eedask.emulator.geometry import sphere
from eedask.emulator.geometry.crs import WGS84

Bounds = tuple[float, float, float, float]

Shape = Any
"""Any shapely geometry. It is Any, since code here tells types apart by ``geom_type``."""

_WORLD = (-180.0, -90.0, 180.0, 90.0)
_PLANAR_PIECES = 16  # pieces that a planar edge is cut into before it is reprojected


@dataclass(frozen=True)
class Geometry:
    """A shape in a crs.

    Attributes
    ----------
    shape : shapely geometry
        Coordinates in ``crs``.
    crs : str
        ``EPSG:4326`` unless a projection was given.
    geodesic : bool
        Whether edges are great circles; planar (straight in ``crs``) otherwise. Geometry
        constructors default to geodesic in EPSG:4326.
    unbounded : bool
        Whether it covers everything, as the footprint of a constant image does; ``shape`` is then
        the rectangle of the whole world.
    """

    shape: BaseGeometry
    crs: str = WGS84
    geodesic: bool = True
    unbounded: bool = False

    @property
    def type(self) -> str:
        """GeoJSON's name of the type, or LinearRing."""
        return str(self.shape.geom_type)

    @cached_property
    def unwrapped(self) -> Shape:
        """The shape in EPSG:4326 with edges straight in longitude and latitude.

        Curved edges are replaced by several straight ones. Longitudes may exceed 180 where an
        edge crosses the antimeridian.
        """
        if self.crs == WGS84 and self.shape.geom_type == "Point":
            return self.shape
        if self.crs == WGS84:
            return remade(self.shape, _great_circles) if self.geodesic else self.shape
        dense = self.shape if self.geodesic else remade(self.shape, _with_pieces)
        there = remade(dense, lambda c: crs_.converted(c, self.crs, WGS84))
        return remade(there, _great_circles if self.geodesic else sphere.unwrapped)

    @cached_property
    def lonlat(self) -> Shape:
        """The shape in EPSG:4326, valid, with longitudes from -180 to 180 and straight edges.

        A great circle becomes as many straight edges as keep it within 0.1 m. A shape across the
        antimeridian is cut there.
        """
        shape = self.unwrapped
        if shape.is_empty:
            return shape
        west, _, east, _ = shape.bounds
        if not shape.is_valid:
            shape = _valid(shape)
        if (west >= -180 and east <= 180) or shape.is_empty:
            return shape
        return _folded(shape)

    @cached_property
    def bounds(self) -> Bounds:
        """(west, south, east, north) in degrees.

        They include the latitudes that great circles reach between their ends. Where a geodesic
        shape crosses the antimeridian, east is over 180.
        """
        if self.shape.is_empty:
            raise EarthEngineError("Geometry.bounds: The geometry is empty.")
        if self.crs == WGS84 and self.geodesic:
            return _geodesic_bounds(self.shape)
        west, south, east, north = self.unwrapped.bounds
        return (west, south, east, north)

    def coordinates_in(self, target: str) -> Shape:
        """Return the shape in another crs, its edges cut into pieces that follow their curves."""
        if target == self.crs and not self.geodesic:
            return self.shape
        if target == WGS84:
            return self.unwrapped
        dense = self.unwrapped if self.geodesic else remade(self.shape, _with_pieces)
        source = WGS84 if self.geodesic else self.crs
        return remade(dense, lambda c: crs_.converted(c, source, target))


def remade(shape: Shape, change: Callable[[Any], Any]) -> Shape:
    """Return a shape with a function applied to the coordinates, (n, 2), of each ring or line."""
    kind = shape.geom_type
    if shape.is_empty:
        return shape
    if kind == "Polygon":
        rings = [change(shapely.get_coordinates(r)) for r in [shape.exterior, *shape.interiors]]
        return shapely.Polygon(rings[0], rings[1:])
    if kind in ("Point", "LineString", "LinearRing"):
        return type(shape)(change(shapely.get_coordinates(shape)))
    return type(shape)([remade(part, change) for part in shape.geoms])


def placed(transform: Affine, xs: Any, ys: Any) -> tuple[Any, Any]:
    """Return x and y transformed by an affine transform."""
    a, b, c, d, e, f = transform[:6]
    return a * xs + b * ys + c, d * xs + e * ys + f


def parts(shape: Shape) -> list[Shape]:
    """Return the non-empty points, lines and polygons of a shape, out of any nested collections."""
    if hasattr(shape, "geoms"):
        return [p for part in shape.geoms for p in parts(part)]
    return [] if shape.is_empty else [shape]


def rings(shape: Shape) -> list[Any]:
    """Return the coordinates, each (n, 2), of every ring, line and point of a shape."""
    lines = []
    for part in parts(shape):
        pieces = [part.exterior, *part.interiors] if part.geom_type == "Polygon" else [part]
        lines += [shapely.get_coordinates(piece) for piece in pieces]
    return lines


def rectangle(bounds: Bounds, crs: str = WGS84, geodesic: bool = False) -> Geometry:
    """Return the rectangle of (west, south, east, north), counter-clockwise from its lower left."""
    west, south, east, north = bounds
    corners = [(west, south), (east, south), (east, north), (west, north), (west, south)]
    return Geometry(shapely.Polygon(corners), crs, geodesic)


UNBOUNDED = Geometry(rectangle(_WORLD).shape, WGS84, False, unbounded=True)


def collected(shapes: Sequence[Shape]) -> Shape:
    """Return one shape of several: a single one as it is, a multi-geometry, or a collection."""
    kinds = {shape.geom_type for shape in shapes}
    if len(shapes) == 1:
        return shapes[0]
    multi: dict[str, Any] = {
        "Point": shapely.MultiPoint,
        "LineString": shapely.MultiLineString,
        "Polygon": shapely.MultiPolygon,
    }
    if len(kinds) == 1 and (kind := kinds.pop()) in multi:
        return multi[kind](list(shapes))
    return shapely.GeometryCollection(list(shapes))


def merged(geometries: list[Geometry]) -> Geometry:
    """Return several geometries as one collection, without dissolving them.

    If all have the same crs and kind of edges the result has them too; otherwise the result is
    planar in EPSG:4326.
    """
    if not geometries:
        return Geometry(shapely.GeometryCollection())
    if any(g.unbounded for g in geometries):
        return UNBOUNDED
    first = geometries[0]
    alike = all(g.crs == first.crs and g.geodesic == first.geodesic for g in geometries)
    shapes = [g.shape if alike else g.lonlat for g in geometries]
    flat = [p for s in shapes for p in getattr(s, "geoms", [s])]
    shape = collected(flat) if flat else shapely.GeometryCollection()
    return Geometry(shape, first.crs, first.geodesic) if alike else Geometry(shape, WGS84, False)


def from_geojson(value: Mapping[str, Any]) -> Geometry:
    """Return the geometry of a GeoJSON object with Earth Engine's members ``geodesic`` and ``crs``.

    By default its crs is EPSG:4326; it is geodesic if its crs is geographic.
    """
    crs = value.get("crs")
    if isinstance(crs, Mapping):
        crs = crs.get("properties", {}).get("name")
    name = str(crs) if crs else WGS84
    geodesic = value.get("geodesic")
    flag = bool(geodesic) if geodesic is not None else crs_.is_geographic(name)
    return Geometry(_shape(value), name, flag)


def _shape(value: Mapping[str, Any]) -> Shape:
    try:
        if value["type"] == "GeometryCollection":
            return shapely.GeometryCollection([_shape(part) for part in value["geometries"]])
        if value["type"] == "LinearRing":
            return shapely.LinearRing(value["coordinates"])
        return shapely.force_2d(shapely.geometry.shape(dict(value)))
    except (KeyError, TypeError, ValueError, AttributeError, GEOSException) as error:
        raise EarthEngineError(f"Invalid GeoJSON geometry: {error}") from None


def coordinates(shape: Shape) -> list[Any]:
    """Return GeoJSON's nested coordinate lists of a shape."""
    kind = shape.geom_type
    if kind == "Polygon":
        return [shapely.get_coordinates(r).tolist() for r in _polygon_rings(shape)]
    if kind == "Point":
        return [] if shape.is_empty else [shape.x, shape.y]
    if kind in ("LineString", "LinearRing"):
        return shapely.get_coordinates(shape).tolist()
    return [coordinates(part) for part in shape.geoms]


def _polygon_rings(polygon: shapely.Polygon) -> list[Shape]:
    return [] if polygon.is_empty else [polygon.exterior, *polygon.interiors]


def to_geojson(geometry: Geometry) -> dict[str, Any]:
    """Return the GeoJSON that getInfo answers.

    It has ``geodesic`` only if that is false (and the type is not a point's), and ``crs`` only if
    that is not EPSG:4326.
    """
    if geometry.unbounded:
        low, high = "-Infinity", "Infinity"
        ring = [[low, low], [high, low], [high, high], [low, high], [low, low]]
        return {"geodesic": False, "type": "Polygon", "coordinates": [ring]}
    result: dict[str, Any] = {}
    if not geometry.geodesic and geometry.shape.geom_type not in ("Point", "MultiPoint"):
        result["geodesic"] = False
    if geometry.crs != WGS84:
        result["crs"] = {"type": "name", "properties": {"name": geometry.crs}}
    return {**result, **shape_json(geometry.shape)}


def shape_json(shape: Shape) -> dict[str, Any]:
    """Return a shape's GeoJSON type with its coordinates or geometries."""
    if shape.geom_type == "GeometryCollection":
        return {"type": "GeometryCollection", "geometries": [shape_json(p) for p in shape.geoms]}
    return {"type": shape.geom_type, "coordinates": coordinates(shape)}


def _great_circles(coordinates: Any) -> Any:
    """Return a path of great circles as straight lines in longitude and latitude.

    A ring around a pole is closed along the meridians at its ends and through the pole.
    """
    path = sphere.unwrapped(coordinates)
    closed = len(path) > 3 and np.array_equal(coordinates[0], coordinates[-1])
    path = sphere.densified(path)
    turn = path[-1, 0] - path[0, 0]
    if closed and abs(turn) > 180:
        pole = 90.0 if path[:, 1].mean() > 0 else -90.0
        path = np.vstack([path, [path[-1, 0], pole], [path[0, 0], pole], path[:1]])
    return path


def _with_pieces(coordinates: Any) -> Any:
    """Return a path with every edge cut into 16 equal pieces."""
    if len(coordinates) < 2:
        return coordinates
    t = (np.arange(_PLANAR_PIECES) / _PLANAR_PIECES)[None, :, None]
    pieces = coordinates[:-1, None] * (1 - t) + coordinates[1:, None] * t
    return np.vstack([pieces.reshape(-1, 2), coordinates[-1:]])


def _valid(shape: Shape) -> Shape:
    """Return a valid shape: self-crossing polygons are mended by the even-odd rule.

    Polygons that overlap are merged.
    """
    pieces = []
    for part in parts(shape):
        mended = [part] if part.is_valid else parts(shapely.make_valid(part, method="linework"))
        areas = [p for p in mended if p.geom_type == part.geom_type]
        pieces += areas or mended
    polygons = [p for p in pieces if p.geom_type == "Polygon"]
    others = [p for p in pieces if p.geom_type != "Polygon"]
    return collected([*parts(shapely.union_all(polygons)), *others])


def _folded(shape: Shape) -> Shape:
    """Return a shape cut at the antimeridian, its pieces moved to longitudes of -180 to 180."""
    west, _, east, _ = shape.bounds
    pieces = []
    for turn in range(int((west + 180) // 360), int((east + 180) // 360) + 1):
        strip = shapely.box(360 * turn - 180, -90, 360 * turn + 180, 90)
        piece = shapely.intersection(shape, strip)
        pieces.append(affinity.translate(piece, -360.0 * turn))
    flat = parts(shapely.union_all(pieces))
    dimension = max(shapely.get_dimensions(parts(shape)))
    return collected([p for p in flat if shapely.get_dimensions(p) == dimension] or flat)


def _geodesic_bounds(shape: Shape) -> Bounds:
    """Return the least bounds of a geodesic shape; they may cross the antimeridian."""
    souths, norths, arcs = [], [], []
    for ring in rings(shape):
        path = sphere.unwrapped(ring)
        south, north = sphere.latitude_range(path)
        west, east = float(path[:, 0].min()), float(path[:, 0].max())
        if len(path) > 3 and abs(path[-1, 0] - path[0, 0]) > 180:
            west, east = -180.0, 180.0
            north, south = (90.0, south) if path[:, 1].mean() > 0 else (north, -90.0)
        souths.append(south)
        norths.append(north)
        arcs.append((west, east))
    west, east = _shortest_cover(arcs)
    return (west, min(souths), east, max(norths))


def _shortest_cover(arcs: list[tuple[float, float]]) -> tuple[float, float]:
    """Return the shortest range of longitudes that contains all the given ranges."""
    if len(arcs) == 1:
        return arcs[0]
    starts = sorted((w - 360.0 * ((w + 180) // 360), e - w) for w, e in arcs)
    merged = [[starts[0][0], starts[0][0] + starts[0][1]]]
    for west, width in starts[1:]:
        if west <= merged[-1][1]:
            merged[-1][1] = max(merged[-1][1], west + width)
        else:
            merged.append([west, west + width])
    gaps = [b[0] - a[1] for a, b in pairwise(merged)]
    around = merged[0][0] + 360 - max(m[1] for m in merged)
    if around < 0:
        return (-180.0, 180.0)
    if not gaps or around >= max(gaps):
        return (merged[0][0], max(m[1] for m in merged))
    after = gaps.index(max(gaps))
    return (merged[after + 1][0], merged[after][1] + 360)


def touches(footprint: Geometry | None, bounds: Bounds) -> bool:
    """Return whether a footprint's bounds touch (west, south, east, north), in degrees.

    True also for a footprint that has no bounds: it may touch them.
    """
    box = _box_of(footprint)
    if box is None:
        return True
    west, south, east, north = box
    left, bottom, right, top = bounds
    if south > top or north < bottom:
        return False
    # A footprint's longitudes may exceed 180: compare them turned by 360 degrees as well.
    return any(west + turn <= right and east + turn >= left for turn in _TURNS)


def touching(footprint: Geometry | None, boxes: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return, for each of n bounds in degrees, shape (n, 4), whether a footprint touches them."""
    box = _box_of(footprint)
    if box is None:
        return np.ones(len(boxes), np.bool_)
    west, south, east, north = box
    left, bottom, right, top = boxes.T
    found = np.zeros(len(boxes), np.bool_)
    for turn in _TURNS:
        found |= (west + turn <= right) & (east + turn >= left)
    found &= ~((south > top) | (north < bottom))
    return found


_TURNS = (-360, 0, 360)


def _box_of(footprint: Geometry | None) -> Bounds | None:
    """Return the bounds of a footprint in degrees; None if it is unbounded or not known."""
    if footprint is None or footprint.unbounded or footprint.shape.is_empty:
        return None
    if footprint.crs == WGS84 and not footprint.geodesic:
        bounds: Bounds = footprint.shape.bounds
        return bounds
    return footprint.bounds

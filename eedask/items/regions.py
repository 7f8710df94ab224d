"""Checks regions, and converts them to another crs.

Edges of a border are straight lines in the region's own crs, and may be curves in another one.
Polygons in degrees are cut at the antimeridian. A border that goes around a pole includes the pole.
"""

from __future__ import annotations

import math
from typing import Any

import geopandas as gpd
import numpy as np
import pyproj
import shapely
from numpy.typing import NDArray
from shapely.geometry.base import BaseGeometry

from eedask.crs import as_pyproj, canonical_crs, utm_crs
from eedask.errors import InputError, ItemsError
from eedask.items.check import check_items, some

Polygons = NDArray[np.object_]

# Longest straight piece of a border before it is brought into another crs. Such a piece of a great
# circle is 3 cm from its chord.
_DEGREES, _METRES = 0.01, 1000.0
# Metres from a crs's origin, more than the way around the Earth: what a crs cannot place lies there
# or farther, or at infinity.
_FARTHEST = 5e7
# How far from its middle, in metres, a UTM zone is used: a length is then 1.2 % too long at most.
_UTM_REACH = 1_000_000.0


def check_region(region: Any) -> gpd.GeoDataFrame:
    """Return a region's polygons as a GeoDataFrame.

    Parameters
    ----------
    region : GeoDataFrame, GeoSeries or shapely geometry
        Polygons; a bare geometry is in EPSG:4326.

    Raises
    ------
    ItemsError
        If it is none of these, has no crs, or something in it has no area.
    """
    if isinstance(region, BaseGeometry):
        region = gpd.GeoDataFrame(geometry=[region], crs="EPSG:4326")
    if isinstance(region, gpd.GeoSeries):
        region = region.to_frame("geometry")
    if not isinstance(region, gpd.GeoDataFrame):
        raise ItemsError(
            "region is a GeoDataFrame or GeoSeries of polygons, or a shapely polygon in"
            f" EPSG:4326; got {type(region).__name__}"
        )
    try:
        checked = check_items(region.reset_index(drop=True), geometry=True, wrapped=True)
    except ItemsError as error:
        raise ItemsError(f"region: {error}") from error
    check_areas(checked.set_axis(region.index, axis=0))
    return checked


def check_areas(regions: gpd.GeoDataFrame) -> None:
    """Raise ItemsError if one of the regions is no polygon with an area."""
    areas = shapely.area(regions.geometry.to_numpy())
    if not (areas > 0).all():
        raise ItemsError(
            f"regions without area: {some(regions.index[~(areas > 0)])}; points and lines become"
            " regions with buffer(), in a crs that counts in metres"
        )


def polygons_in(region: gpd.GeoDataFrame, crs: pyproj.CRS) -> Polygons:
    """Return valid polygons in a crs that together are the region.

    Raises
    ------
    InputError
        If the crs cannot hold the region.
    """
    if region.crs == crs and not crs.is_geographic:
        return _parts(region.geometry.to_numpy())
    degrees = in_degrees(region)
    if crs == "EPSG:4326":
        return degrees
    dense = shapely.segmentize(degrees, _DEGREES)
    found = gpd.GeoSeries(dense, crs="EPSG:4326").to_crs(crs).to_numpy()
    unit = 1.0 if crs.is_geographic else crs.axis_info[0].unit_conversion_factor or 1.0
    if not (np.abs(shapely.get_coordinates(found)) * unit < _FARTHEST).all():
        raise InputError(
            f"the region reaches beyond what {crs.name!r} can hold: state another crs=, such as"
            " 'EPSG:6933' (equal area, all but the poles), or a smaller region"
        )
    return _parts(found)


def in_degrees(region: gpd.GeoDataFrame) -> Polygons:
    """Return a region's polygons in EPSG:4326, cut at the antimeridian."""
    if region.crs.is_geographic:
        shapes = region.to_crs("EPSG:4326").geometry.to_numpy()
    else:
        shapes = _parts(region.geometry.to_numpy())
        unit = region.crs.axis_info[0].unit_conversion_factor or 1.0
        dense = shapely.segmentize(shapes, _METRES / unit)
        back = pyproj.Transformer.from_crs(region.crs, "EPSG:4326", always_xy=True)
        shapes = np.array([_unrolled(shape, back) for shape in dense], object)
    west, _, east, _ = shapely.total_bounds(shapes)
    turns = range(math.floor((west + 180) / 360), math.ceil((east - 180) / 360) + 1)
    if turns == range(0, 1):
        return _parts(shapes)
    valid = shapely.make_valid(shapes)
    cut = [shapely.intersection(valid, _world(turn)) for turn in turns]
    moved = [_turned(piece, -turn) for piece, turn in zip(cut, turns, strict=True)]
    return _parts(np.concatenate(moved))


def laid_crs(region: gpd.GeoDataFrame, crs: Any) -> pyproj.CRS:
    """Return the crs in which to lay something out over a region.

    Parameters
    ----------
    region : GeoDataFrame
    crs : anything pyproj reads, "utm", or None
        "utm" is the zone of the region's middle; None the region's own crs if that is projected,
        else "utm".

    Raises
    ------
    InputError
        If the crs cannot be read, or the region is too wide for a UTM zone.
    """
    own: pyproj.CRS = region.crs
    if crs is None and own.is_projected:
        return own
    if crs is not None and not (isinstance(crs, str) and crs.lower() == "utm"):
        if isinstance(crs, str) and crs.lower() == "native":
            raise InputError("crs='native' is an image's own: covering_grid(region, align=image)")
        return as_pyproj(canonical_crs(crs))
    degrees = in_degrees(region)
    longitude, latitude = _middle(degrees)
    zone = pyproj.CRS(str(utm_crs(longitude, latitude)))
    away = pyproj.Transformer.from_crs("EPSG:4326", zone, always_xy=True)
    xs, _ = away.transform(*shapely.get_coordinates(degrees).T)
    if not (np.abs(np.asarray(xs) - 500_000) <= _UTM_REACH).all():
        raise InputError(
            f"the region is too wide for the UTM zone of its middle ({zone.to_string()}): state"
            " crs=, such as 'EPSG:6933' (equal area, metres)"
        )
    return zone


def _middle(degrees: Polygons) -> tuple[float, float]:
    """Return longitude and latitude of the middle of polygons, on the sphere."""
    x, y = np.radians(shapely.get_coordinates(shapely.centroid(degrees))).T
    weights = shapely.area(degrees) * np.cos(y)
    east, north, up = (
        float(np.sum(weights * part))
        for part in (np.cos(y) * np.cos(x), np.cos(y) * np.sin(x), np.sin(y))
    )
    return math.degrees(math.atan2(north, east)), math.degrees(
        math.atan2(up, math.hypot(east, north))
    )


def _turned(shapes: Any, turns: int) -> Any:
    """Return shapes in degrees with 360 degrees of longitude added for each of some turns."""
    return shapely.transform(shapes, lambda at: at + np.array([360.0 * turns, 0.0]))


def _world(turn: int) -> BaseGeometry:
    return shapely.box(360 * turn - 180, -90, 360 * turn + 180, 90)


def _unrolled(polygon: shapely.Polygon, back: pyproj.Transformer) -> BaseGeometry:
    """Return a polygon in degrees whose longitudes go on beyond 180 where its border does."""
    shell, *holes = (_unrolled_ring(ring, back) for ring in shapely.get_rings(polygon))
    for hole in holes:
        for turn in range(-2, 3):  # each begins anywhere, and is a turn long at most
            shell = shell.difference(_turned(hole, turn))
    return shell


def _unrolled_ring(ring: shapely.LinearRing, back: pyproj.Transformer) -> BaseGeometry:
    longitude, latitude = back.transform(*shapely.get_coordinates(ring).T)
    longitude = np.unwrap(np.asarray(longitude), period=360)
    if abs(longitude[-1] - longitude[0]) > 180:
        # The ring goes around a pole, which in degrees is a whole edge. Rings that are taken out
        # of others must end where the next turn begins.
        longitude[-1] = longitude[0] + math.copysign(360, longitude[-1] - longitude[0])
        pole = math.copysign(90, float(np.mean(latitude)))
        longitude = np.append(longitude, [longitude[-1], longitude[0]])
        latitude = np.append(latitude, [pole, pole])
    return shapely.make_valid(shapely.Polygon(np.stack([longitude, latitude], axis=1)))


def _parts(shapes: Any) -> Polygons:
    """Return the polygons of shapes one by one, valid, without what has no area."""
    valid = shapely.make_valid(np.asarray(shapes, object))
    single = shapely.get_parts(shapely.get_parts(valid))
    return np.asarray(single[shapely.area(single) > 0], object)

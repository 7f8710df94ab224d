"""FeatureCollection.randomPoints and Collection.randomColumn.

Earth Engine's own generators are unpublished: a seed gives the same numbers each time here, but
not those that Earth Engine would give.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from statistics import NormalDist
from typing import Any

import numpy as np
import shapely

from eedask.emulator.errors import EarthEngineError
from eedask.emulator.functions.registry import algorithm
from eedask.emulator.geometry import geodesy
from eedask.emulator.geometry.geometry import Geometry, Shape, parts
from eedask.emulator.values.elements import property_of, with_properties
from eedask.emulator.values.info import to_info
from eedask.emulator.values.value_types import (
    Collection,
    ErrorMargin,
    Feature,
    Query,
    collection_of,
)

_MOST = 10_000_000


@algorithm("FeatureCollection.randomPoints")
def random_points(region: Geometry, count: int, seed: int, _: ErrorMargin) -> Collection:
    """Return random points of a region, uniform by area on the sphere, or by length along lines."""
    if not 0 <= count <= _MOST:
        raise EarthEngineError(f"FeatureCollection.randomPoints: Invalid number of points {count}.")
    shape = region.lonlat
    if shape.is_empty:
        raise EarthEngineError("FeatureCollection.randomPoints: The region is empty.")
    coordinates = uniform_points(shape, count, np.random.default_rng(seed % 2**64))
    points = shapely.points(coordinates)
    made = [Feature(Geometry(p), {"system:index": str(i)}, id=str(i)) for i, p in enumerate(points)]
    return collection_of("FeatureCollection", made)


def uniform_points(shape: Shape, count: int, generator: np.random.Generator) -> Any:
    """Return longitudes and latitudes, shape (count, 2), uniform over a shape.

    Parameters
    ----------
    shape : shapely geometry
        In EPSG:4326. If it mixes polygons, lines and points, only the highest dimension counts.
    count : int
    generator : numpy.random.Generator
    """
    pieces = parts(shape)
    top = max(int(shapely.get_dimensions(p)) for p in pieces)
    pieces = [p for p in pieces if shapely.get_dimensions(p) == top]
    weights = np.array([_weight(p, top) for p in pieces])
    if weights.sum() <= 0:
        weights = np.ones(len(pieces))
    chosen = generator.choice(len(pieces), size=count, p=weights / weights.sum())
    result = np.empty((count, 2))
    for number in np.unique(chosen):
        where = np.flatnonzero(chosen == number)
        result[where] = _within(pieces[number], top, len(where), generator)
    return result


def _weight(piece: Shape, dimension: int) -> float:
    geometry = Geometry(piece, geodesic=False)
    if dimension == 0:
        return 1.0
    return geodesy.area(geometry) if dimension == 2 else geodesy.length(geometry)


def _within(piece: Shape, dimension: int, count: int, generator: Any) -> Any:
    if dimension == 0:
        return np.tile(shapely.get_coordinates(piece), (count, 1))
    if dimension == 1:
        places = generator.random(count)
        return shapely.get_coordinates(
            shapely.line_interpolate_point(piece, places, normalized=True)
        )
    return _within_polygon(piece, count, generator)


def _within_polygon(polygon: Shape, count: int, generator: Any) -> Any:
    """Return random points in a polygon: drawn in its bounding box, and kept if they are inside."""
    west, south, east, north = polygon.bounds
    low, high = np.sin(np.radians([south, north]))
    shapely.prepare(polygon)
    share = max(polygon.area / max((east - west) * (north - south), 1e-300), 1e-4)
    found: list[Any] = []
    missing = count
    for _ in range(10_000):
        size = int(missing / share * 1.1) + 16
        lon = generator.uniform(west, east, size)
        lat = np.degrees(np.arcsin(np.clip(generator.uniform(low, high, size), -1, 1)))
        inside = shapely.intersects_xy(polygon, lon, lat)
        found.append(np.column_stack([lon[inside], lat[inside]])[:missing])
        missing -= len(found[-1])
        if missing <= 0:
            return np.vstack(found)
    raise EarthEngineError("FeatureCollection.randomPoints: The region is too thin for its extent.")


@algorithm("Collection.randomColumn")
def random_column(
    items: Collection, name: str, seed: int, distribution: str, keys: list[str]
) -> Collection:
    """Return elements with a random number as the property ``name``.

    The number is a function of the seed and of the values of the properties ``keys``. It lies
    from 0 up to 1 for ``uniform``, and has mean 0 and deviation 1 for ``normal``.
    """
    if distribution not in ("uniform", "normal"):
        raise EarthEngineError(f"Collection.randomColumn: Unknown distribution '{distribution}'.")

    def source(query: Query) -> Iterator[Any]:
        for element in items.elements(replace(query, equals={})):
            identity = [to_info(property_of(element, key)) for key in keys]
            number = _hashed(repr((seed, identity)))
            if distribution == "normal":
                number = NormalDist().inv_cdf(max(number, 2.0**-53))
            yield with_properties(element, {name: number})

    return items.with_source(source)


def _hashed(text: str) -> float:
    """Return a hash of a text as a number from 0 (included) to 1 (excluded)."""
    digest = hashlib.blake2b(text.encode(), digest_size=8).digest()
    return (int.from_bytes(digest) >> 11) * 2.0**-53

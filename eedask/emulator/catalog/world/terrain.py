"""The coarse shape of the land: where it is, how high, how rugged, and how dry."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache, lru_cache
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import shapely
from affine import Affine
from numpy.typing import NDArray
from rasterio.features import rasterize

from eedask.emulator.catalog.world import coastline
from eedask.emulator.catalog.world.noise import field, fractal

Floats = NDArray[np.float32]
Degrees = NDArray[np.float64]


class Upland(NamedTuple):
    """High ground along a line.

    Attributes
    ----------
    line : tuple of (longitude, latitude)
    width : float
        Half the width, in degrees.
    height : float
        Metres above the sea.
    """

    line: tuple[tuple[float, float], ...]
    width: float
    height: float


_UPLANDS = (
    # North America
    Upland(((-105.9, 35.8), (-106.4, 39.5), (-107.0, 41.2)), 1.9, 2750),
    Upland(((-109.7, 43.2), (-113.5, 47.0), (-117.0, 51.5), (-124.0, 58.0)), 2.4, 1900),
    Upland(((-111.0, 41.5), (-111.8, 38.0), (-111.0, 34.6), (-108.0, 33.4)), 2.6, 1300),
    Upland(((-118.6, 36.6), (-120.0, 39.0), (-121.6, 41.5), (-121.6, 47.5)), 1.1, 2100),
    Upland(((-104.0, 33.0), (-104.0, 38.5), (-106.0, 44.0), (-110.0, 48.0)), 4.5, 1100),
    Upland(((-116.0, 38.0), (-115.0, 41.0)), 4.0, 1100),
    Upland(((-84.5, 34.8), (-81.0, 37.2), (-78.0, 40.5), (-74.0, 43.8)), 1.5, 700),
    Upland(((-106.0, 29.0), (-103.0, 23.5), (-99.0, 19.5)), 3.0, 1700),
    Upland(((-152.0, 62.5), (-140.0, 61.0), (-131.0, 56.5)), 1.8, 1700),
    # South America
    Upland(((-73.5, 8.0), (-76.5, 2.0), (-78.5, -2.0), (-78.0, -8.0)), 1.6, 2500),
    Upland(((-78.0, -8.0), (-75.0, -12.5), (-69.5, -15.5)), 2.2, 3600),
    Upland(((-69.0, -16.0), (-67.5, -21.0), (-68.5, -27.0), (-70.0, -33.0)), 2.2, 3600),
    Upland(((-70.0, -33.0), (-71.5, -40.0), (-73.0, -48.0)), 1.3, 1700),
    Upland(((-47.0, -15.5), (-45.0, -20.0), (-50.5, -27.0)), 3.5, 750),
    Upland(((-62.5, 5.0),), 2.5, 900),
    # Eurasia
    Upland(((6.5, 45.5), (10.0, 46.7), (14.0, 47.2)), 1.2, 1700),
    Upland(((44.5, 42.6), (48.5, 34.0), (54.0, 30.0)), 2.5, 1500),
    Upland(((34.0, 38.8), (43.0, 39.0)), 3.0, 1200),
    Upland(((66.0, 34.5), (71.5, 36.5), (75.0, 36.0)), 2.2, 3000),
    Upland(((79.0, 33.0), (86.0, 32.5), (93.0, 33.0), (98.0, 32.5)), 4.2, 4600),
    Upland(((74.0, 41.5), (82.0, 42.5)), 1.6, 2600),
    Upland(((87.0, 49.5), (98.0, 48.0), (106.0, 50.0)), 3.0, 1600),
    Upland(((103.0, 26.0), (100.0, 29.0)), 3.0, 2300),
    Upland(((76.5, 15.0), (74.0, 19.5)), 1.5, 600),
    # Africa, Australia, the ice
    Upland(((38.5, 7.0), (38.5, 12.5)), 2.6, 2100),
    Upland(((30.0, -3.0), (36.0, -1.0), (35.0, -8.0)), 3.0, 1400),
    Upland(((28.0, -29.0), (24.0, -31.0), (30.0, -19.0), (17.0, -22.0)), 4.0, 1200),
    Upland(((-6.0, 31.5), (3.0, 34.5)), 1.8, 1300),
    Upland(((148.0, -36.5), (151.0, -29.0)), 1.4, 800),
    Upland(((-42.0, 66.0), (-40.0, 77.0)), 8.0, 2600),
    Upland(((-90.0, -82.0), (0.0, -80.0), (90.0, -79.0)), 12.0, 2800),
)
_PLATEAU = 3.0  # degrees: uplands of a larger half width are plateaus
_FEW = 1024  # up to this many places, all uplands are computed in one array
# Dry places: longitude, latitude, half widths in degrees, and how dry they are (1: desert).
_DRY = (
    (0.0, 23.0, 26.0, 9.0, 1.0),
    (25.0, 24.0, 16.0, 9.0, 1.0),
    (48.0, 24.0, 12.0, 10.0, 1.0),
    (62.0, 33.0, 12.0, 8.0, 0.8),
    (80.0, 41.0, 14.0, 7.0, 0.9),
    (105.0, 43.0, 11.0, 5.0, 0.85),
    (72.0, 27.0, 5.0, 5.0, 0.8),
    (130.0, -25.0, 16.0, 8.0, 0.9),
    (18.0, -25.0, 7.0, 8.0, 0.8),
    (45.0, 7.0, 7.0, 7.0, 0.7),
    (-70.0, -22.0, 2.5, 9.0, 1.0),
    (-68.0, -43.0, 5.0, 9.0, 0.7),
    (-39.5, -8.5, 4.0, 4.5, 0.6),
    (-114.0, 35.0, 6.0, 6.0, 0.9),
    (-106.0, 30.0, 6.0, 5.0, 0.75),
    (-116.0, 41.0, 6.0, 4.0, 0.6),
    (-108.5, 42.0, 3.2, 2.0, 0.7),
    (-104.0, 40.0, 4.0, 8.0, 0.42),
    (-110.0, 38.0, 3.5, 3.5, 0.65),
)


def elevation(lon: Degrees, lat: Degrees) -> Floats:
    """Return the heights of smooth uplands with some noise, in metres; the sea counts as land."""
    rough = fractal(lon * 1.3, lat * 1.3, 11, octaves=4)
    cubes = np.zeros(np.shape(lon))
    for upland, away in zip(_UPLANDS, _distances(lon, lat), strict=True):
        distance = away / upland.width
        cubes += (upland.height * np.exp(-distance * distance)) ** 3
    # The cubic mean lets the highest of overlapping uplands prevail.
    broad = np.cbrt(cubes).astype(np.float32)
    return np.maximum(120 + broad * (1 + np.float32(0.4) * rough) + 90 * rough, 0)


def ruggedness(lon: Degrees, lat: Degrees) -> Floats:
    """Return how rugged the land is, 0 to 1: narrow uplands are mountains, wide ones plateaus."""
    total = np.zeros(np.shape(lon), np.float32)
    for upland, away in zip(_UPLANDS, _distances(lon, lat), strict=True):
        if upland.width < _PLATEAU:
            distance = away / (0.46 * upland.width)
            steep = min(1.0, upland.height / 1400)
            total = np.maximum(total, (steep * np.exp(-(distance**4))).astype(np.float32))
    return total


def dryness(lon: Degrees, lat: Degrees) -> Floats:
    """Return how dry a place is, from 0 (humid) to 1 (desert)."""
    total = np.zeros(np.shape(lon), np.float32)
    for at_lon, at_lat, half_lon, half_lat, dry in _DRY:
        away = ((lon - at_lon) / half_lon) ** 2 + ((lat - at_lat) / half_lat) ** 2
        total = np.maximum(total, (dry * np.exp(-away * away)).astype(np.float32))
    return np.clip(total + np.float32(0.15) * field(lon * 0.7, lat * 0.7, 23), 0, 1)


def _distances(lon: Degrees, lat: Degrees) -> Iterator[Degrees]:
    """Yield, for each upland, the distances of places from its line, in degrees of latitude.

    Longitudes are scaled by the cosine of the line's mean latitude. For few places all lines are
    computed in one array, in about the time that a single line would take.
    """
    x, y = np.broadcast_arrays(lon, lat)
    parts = _sides()
    if x.size > _FEW:
        for part in parts:
            yield _least(part, x, y)
        return
    every = np.concatenate(parts, axis=1)
    away = _to_sides(every, x, y)
    start = 0
    for part in parts:
        yield away[start : start + part.shape[1]].min(axis=0)
        start += part.shape[1]


@cache
def _sides() -> list[NDArray[np.float64]]:
    """Return the sides of each upland's line, shape (5, sides).

    They are the scale of longitudes, the start x and y, and the vector dx and dy to the end.
    """
    return [_sides_of(upland.line) for upland in _UPLANDS]


def _sides_of(line: tuple[tuple[float, float], ...]) -> NDArray[np.float64]:
    shrink = float(np.cos(np.radians(np.mean([y for _, y in line]))))
    points = [(px * shrink, py) for px, py in line]
    ends = list(pairwise(points)) or [(points[0], points[0])]
    return np.array([(shrink, ax, ay, bx - ax, by - ay) for (ax, ay), (bx, by) in ends]).T


def _least(sides: NDArray[np.float64], lon: Degrees, lat: Degrees) -> Degrees:
    best = np.full(np.shape(lon), np.inf)
    for i in range(sides.shape[1]):
        best = np.minimum(best, _to_sides(sides[:, i : i + 1], lon, lat)[0])
    return best


def _to_sides(sides: NDArray[np.float64], lon: Degrees, lat: Degrees) -> Degrees:
    """Return the distances of places from each of some sides, shape (sides, ...)."""
    shrink, ax, ay, dx, dy = sides.reshape(5, -1, *(1,) * np.ndim(lon))
    x, y = lon * shrink - ax, lat - ay
    length = dx * dx + dy * dy
    along = np.clip((x * dx + y * dy) / np.where(length == 0, 1, length), 0, 1)
    found: Degrees = np.hypot(x - along * dx, y - along * dy)
    return found


_CELLS = 100  # cells of the land mask per degree, of about 1 km
_TILE = 10  # degrees


def is_land(lon: Degrees, lat: Degrees) -> NDArray[np.bool_]:
    """Return whether there is land at places, exact to about a kilometre."""
    cols = np.clip(np.floor((lon + 180) * _CELLS).astype(np.int64), 0, 360 * _CELLS - 1)
    rows = np.clip(np.floor((90 - lat) * _CELLS).astype(np.int64), 0, 180 * _CELLS - 1)
    size = _TILE * _CELLS
    tiles = (rows // size) * (360 // _TILE) + cols // size
    result = np.zeros(np.shape(lon), np.bool_)
    for tile in np.unique(tiles).tolist():
        inside = tiles == tile
        result[inside] = _land_tile(tile)[rows[inside] % size, cols[inside] % size]
    return result


_ROUGH = 10  # cells of the rough land mask per degree


def is_land_roughly(lon: Degrees, lat: Degrees) -> NDArray[np.bool_]:
    """Return whether there is land at places, exact to about ten kilometres: for world maps."""
    cols = np.clip(np.floor((lon + 180) * _ROUGH).astype(np.intp), 0, 360 * _ROUGH - 1)
    rows = np.clip(np.floor((90 - lat) * _ROUGH).astype(np.intp), 0, 180 * _ROUGH - 1)
    return _rough_land()[rows, cols]


@cache
def _rough_land() -> NDArray[np.bool_]:
    transform = Affine(1 / _ROUGH, 0.0, -180.0, 0.0, -1 / _ROUGH, 90.0)
    shape = (180 * _ROUGH, 360 * _ROUGH)
    return rasterize(coastline.land(), shape, transform=transform, dtype="uint8").astype(np.bool_)


@lru_cache(maxsize=64)
def _land_tile(tile: int) -> NDArray[np.bool_]:
    row, col = divmod(tile, 360 // _TILE)
    west, north = -180.0 + _TILE * col, 90.0 - _TILE * row
    box = shapely.box(west, north - _TILE, west + _TILE, north)
    parts = [shapely.clip_by_rect(part, *box.bounds) for part in land_near(box)]
    shapes = [part for part in parts if not part.is_empty]
    size = _TILE * _CELLS
    if not shapes:
        return np.zeros((size, size), np.bool_)
    transform = Affine(1 / _CELLS, 0.0, west, 0.0, -1 / _CELLS, north)
    return rasterize(shapes, (size, size), transform=transform, dtype="uint8").astype(np.bool_)


def land_near(box: shapely.Polygon) -> list[shapely.Polygon]:
    """Return the polygons of the land masses that intersect a box in degrees."""
    return [coastline.land()[i] for i in _land_tree().query(box, "intersects").tolist()]


@cache
def _land_tree() -> shapely.STRtree:
    return shapely.STRtree(coastline.land())

"""``USDA/NAIP/DOQQ``: finding synthetic aerial photographs by place and date, without a list.

A quarter quadrangle is a cell of 3.75' by 3.75'. The years in which it was photographed follow
from the states it lies in, the days from a hash. Names, bands and properties are those of
https://developers.google.com/earth-engine/datasets/catalog/USDA_NAIP_DOQQ; pixels come from
:mod:`~eedask.emulator.catalog.world.landscape`.
"""

from __future__ import annotations

import datetime as dt
import math
import re
import zlib
from collections.abc import Iterator
from functools import cache, lru_cache
from typing import Any, NamedTuple

import shapely
from affine import Affine

from eedask.emulator.catalog.datasets.photographs import Photograph
from eedask.emulator.catalog.dates import millis, within
from eedask.emulator.catalog.footprints import footprint, from_degrees, ring
from eedask.emulator.catalog.tables import shipped
from eedask.emulator.catalog.tables.tables import SYNTHETIC_IMAGERY
from eedask.emulator.geometry.geometry import Geometry
from eedask.emulator.pixels.raster import Image, PixelType, Projection
from eedask.emulator.pixels.sampling import source_bands
from eedask.emulator.values.value_types import EVERYTHING, Collection, Query

ASSET_ID = "USDA/NAIP/DOQQ"
BANDS = ("R", "G", "B", "N")
_BYTE = PixelType("int", 0, 255)

_PER_DEGREE = 16  # quarter quadrangles in a degree
_BUFFER = 300  # metres that a photograph reaches beyond its quarter quadrangle
_REACH = 0.012  # degrees: the buffer and the tilt of the UTM grid, with room to spare
_CONTIGUOUS = (-124.85, 24.4, -66.88, 49.45)  # west, south, east, north of the 48 states
# FIPS codes of Alaska, Hawaii and the territories.
_NOT_CONTIGUOUS = frozenset({"02", "15", "60", "66", "69", "72", "78"})

_ODD = "01 04 05 08 12 13 16 18 19 22 27 28 30 32 34 36 37 42 44 53 54"  # FIPS codes
# States flown in odd years since 2009 (the others in even years), and the years before.
_ODD_STATES = frozenset(_ODD.split())
_ODD_YEARS = (2003, 2005, 2006, 2009, 2011, 2013, 2015, 2017, 2019, 2021, 2023)
_EVEN_YEARS = (2004, 2006, 2008, 2010, 2012, 2014, 2016, 2018, 2020, 2022)

_NAME = re.compile(r"m_(\d{2})(\d{3})(\d{2})_(ne|nw|se|sw)_(\d{2})_1_(\d{8})")
_QUARTERS = {(1, 1): "ne", (0, 1): "nw", (1, 0): "se", (0, 0): "sw"}  # (east, north) halves


class Quad(NamedTuple):
    """A quarter quadrangle: sixteenths of a degree east and north of (0, 0)."""

    x: int
    y: int

    @property
    def bounds(self) -> tuple[float, float, float, float]:
        """West, south, east and north in degrees, without the buffer."""
        n = _PER_DEGREE
        return (self.x / n, self.y / n, (self.x + 1) / n, (self.y + 1) / n)

    @property
    def zone(self) -> int:
        """UTM zone of its middle."""
        return int((self.x + 0.5) / _PER_DEGREE + 180) // 6 + 1

    @property
    def name(self) -> str:
        """Its name, as in ``3910501_nw``.

        It is made of latitude and longitude of the south-east corner of its degree cell, the
        number of the 7.5' quadrangle in that (1 to 64 from the north-west), and the quarter.
        """
        lat, lon = self.y // _PER_DEGREE, -(self.x // _PER_DEGREE) - 1
        column = self.x % _PER_DEGREE // 2
        row = 7 - self.y % _PER_DEGREE // 2
        quarter = _QUARTERS[self.x % 2, self.y % 2]
        return f"{lat:02d}{lon:03d}{8 * row + column + 1:02d}_{quarter}"


def parse(index: str) -> tuple[Quad, dt.date] | None:
    """Return the quarter quadrangle and date of a ``system:index``, or None."""
    match = _NAME.fullmatch(index)
    if match is None:
        return None
    lat, lon, number = (int(match[n]) for n in (1, 2, 3))
    if not 1 <= number <= 64:
        return None
    row, column = divmod(number - 1, 8)
    east, north = match[4][1] == "e", match[4][0] == "n"
    quad = Quad(
        _PER_DEGREE * (-lon - 1) + 2 * column + east, _PER_DEGREE * lat + 2 * (7 - row) + north
    )
    try:
        date = dt.datetime.strptime(match[6], "%Y%m%d").date()
    except ValueError:
        return None
    return (quad, date) if int(match[5]) == quad.zone else None


def collection() -> Collection:
    """Return the collection, ordered by name and date."""
    return Collection("ImageCollection", _source, SYNTHETIC_IMAGERY, id=ASSET_ID)


def image(index: str) -> Image | None:
    """Return a photograph by its ``system:index``, or None if there is none."""
    parsed = parse(index)
    if parsed is None or parsed[1] not in _dates(parsed[0]):
        return None
    return _image(*parsed)


def _source(query: Query) -> Iterator[Image]:
    if "system:index" in query.equals:
        found = image(str(query.equals["system:index"]))
        if found is not None and within(found.properties["system:time_start"], query):
            yield found
        return
    for quad in _quads(query):
        for date, taken in zip(_dates(quad), _times(quad), strict=True):
            if within(taken, query):
                yield _image(quad, date)


def _quads(query: Query) -> Iterator[Quad]:
    """Yield the quarter quadrangles that have photographs and meet the query, ordered by name."""
    west, south, east, north = query.bounds or _CONTIGUOUS
    xs = _numbers(max(west, _CONTIGUOUS[0]), min(east, _CONTIGUOUS[2]))
    ys = _numbers(max(south, _CONTIGUOUS[1]), min(north, _CONTIGUOUS[3]))
    # Names sort by cells of a degree: by latitude, then by longitude westwards.
    by_degree = [sorted(group) for group in (_degrees(xs), _degrees(ys))]
    for lat in by_degree[1]:
        for lon in reversed(by_degree[0]):
            for quad in _block(_part(xs, lon), _part(ys, lat)):
                if not _states(quad):
                    continue
                if query.bounds is None or _meets(quad, query.bounds):
                    yield quad


def _numbers(low: float, high: float) -> range:
    """Return the numbers of the cells along an axis whose photographs may meet an interval."""
    first = math.floor((low - _REACH) * _PER_DEGREE)
    return range(first, math.floor((high + _REACH) * _PER_DEGREE) + 1)


def _part(numbers: range, degree: int) -> range:
    """Return those of the cells' numbers that lie in a degree."""
    first = degree * _PER_DEGREE
    return range(max(numbers.start, first), min(numbers.stop, first + _PER_DEGREE))


@lru_cache(maxsize=1024)
def _block(xs: range, ys: range) -> tuple[Quad, ...]:
    """Return cells of one degree ordered by name."""
    return tuple(sorted((Quad(x, y) for x in xs for y in ys), key=lambda quad: quad.name))


def _degrees(numbers: range) -> set[int]:
    return {number // _PER_DEGREE for number in numbers}


def _meets(quad: Quad, bounds: tuple[float, float, float, float]) -> bool:
    west, south, east, north = _scene(quad).outline.shape.bounds
    return west <= bounds[2] and bounds[0] <= east and south <= bounds[3] and bounds[1] <= north


@cache
def _contiguous() -> tuple[list[str], shapely.STRtree]:
    """Return the FIPS codes of the contiguous states, and a tree of their outlines."""
    table = shipped.table("TIGER/2018/States")
    shapes = {
        state.properties["STATEFP"]: state.geometry.shape
        for state in table.source(EVERYTHING)
        if state.geometry is not None and state.properties["STATEFP"] not in _NOT_CONTIGUOUS
    }
    shapely.prepare(list(shapes.values()))
    return list(shapes), shapely.STRtree(list(shapes.values()))


@lru_cache(maxsize=100_000)
def _states(quad: Quad) -> tuple[str, ...]:
    """Return the FIPS codes of the states that a quarter quadrangle meets."""
    codes, tree = _contiguous()
    return tuple(codes[i] for i in sorted(tree.query(shapely.box(*quad.bounds), "intersects")))


@lru_cache(maxsize=10_000)
def _dates(quad: Quad) -> tuple[dt.date, ...]:
    """Return the days on which a quarter quadrangle was photographed, in order."""
    years: set[int] = set()
    for state in _states(quad):
        years.update(_ODD_YEARS if state in _ODD_STATES else _EVEN_YEARS)
    return tuple(_day(quad, year) for year in sorted(years))


@lru_cache(maxsize=10_000)
def _times(quad: Quad) -> tuple[int, ...]:
    """Return the starts of these days in milliseconds since 1970."""
    return tuple(map(millis, _dates(quad)))


def _day(quad: Quad, year: int) -> dt.date:
    """Return the day of a year's flight, which is the same for a strip a few cells wide.

    Flights begin in May in the south and in July in the north, when crops are in leaf.
    """
    strip, block = quad.x // 3, quad.y // 24
    draw = zlib.crc32(f"{strip} {block} {year}".encode()) % 60
    season = 130 + 2.2 * (quad.y / _PER_DEGREE - 25)
    return dt.date(year, 1, 1) + dt.timedelta(days=int(season) + draw)


class _Scene(NamedTuple):
    """The raster of a quarter quadrangle's photographs, in whole metres of its UTM zone."""

    left: int
    top: int
    width: int
    height: int
    outline: Geometry


@lru_cache(maxsize=10_000)
def _scene(quad: Quad) -> _Scene:
    crs = _crs(quad)
    west, south, east, north = quad.bounds
    middle = (west + east) / 2
    xs, ys = from_degrees(crs).transform(
        [west, middle, east, west, middle, east], [south, south, south, north, north, north]
    )
    left, right = math.floor(min(xs)) - _BUFFER, math.ceil(max(xs)) + _BUFFER
    bottom, top = math.floor(min(ys)) - _BUFFER, math.ceil(max(ys)) + _BUFFER
    width, height = right - left, top - bottom
    projection = Projection(crs, Affine(1.0, 0.0, left, 0.0, -1.0, top))
    return _Scene(left, top, width, height, footprint(projection, width, height))


def _crs(quad: Quad) -> str:
    return f"EPSG:269{quad.zone:02d}"


@lru_cache(maxsize=4096)
def _image(quad: Quad, date: dt.date) -> Image:
    scene = _scene(quad)
    source = Photograph(quad.zone, scene.left, scene.top, scene.width, scene.height, date)
    index = f"m_{quad.name}_{quad.zone:02d}_1_{date:%Y%m%d}"
    taken = millis(date)
    properties: dict[str, Any] = {
        "system:index": index,
        "system:time_start": taken,
        "system:time_end": taken + 86_400_000,
        "system:footprint": ring(scene.outline),
        "system:asset_size": len(BANDS) * scene.width * scene.height,
        **SYNTHETIC_IMAGERY,
    }
    return Image(
        bands=source_bands(source, BANDS, [_BYTE] * len(BANDS)),
        properties=properties,
        footprint=scene.outline,
        id=f"{ASSET_ID}/{index}",
        version=taken * 1000,
    )

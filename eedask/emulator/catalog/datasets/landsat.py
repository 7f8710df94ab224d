"""``LANDSAT/LC08/C02/T1_L2`` and ``LC09``: finding scenes by place and date, without a list.

Scenes lie on a grid modelled on the Worldwide Reference System 2 (233 paths and 248 rows; a
satellite repeats a path every 16 days). There are those on the day side that contain land. Bands
and properties are in :mod:`~eedask.emulator.catalog.datasets.landsat_scene`.
"""

from __future__ import annotations

import datetime as dt
import math
import re
from collections.abc import Iterator
from functools import cache, lru_cache
from typing import NamedTuple

import numpy as np
import shapely
from affine import Affine
from numpy.typing import NDArray

from eedask.emulator.catalog.datasets.landsat_scene import Satellite, Scene, scene_image
from eedask.emulator.catalog.datasets.orbits import Orbit, half_planes, projected
from eedask.emulator.catalog.datasets.places import PATHS, ROWS, places
from eedask.emulator.catalog.datasets.scenes import Extent, outline
from eedask.emulator.catalog.dates import millis, within
from eedask.emulator.catalog.tables.tables import SYNTHETIC_IMAGERY
from eedask.emulator.catalog.world.terrain import is_land
from eedask.emulator.pixels.raster import Image, Projection
from eedask.emulator.values.value_types import Collection, Counted, Query

_PATHS, _ROWS = PATHS, 248
_ORBIT = Orbit(98.2, 5933.0)
_FIRST_NODE = -64.6  # longitude at which path 1 crosses the equator
_EQUATOR = 60  # the row at the equator
_LAST_ROW = ROWS  # the last row on the day side
_LOCAL_TIME = 10.2  # hours at the descending node
_CYCLE = 16  # days
_SHIFT = 7  # days from a path to its western neighbour
_HALF_WIDTH, _HALF_LENGTH = 92.5, 90.0  # km
_PIXEL = 30
_NAME = re.compile(r"(LC0[89])_(\d{3})(\d{3})_(\d{8})")

# The last date is a day on which the satellite flew along path 44.
SATELLITES = {
    "LANDSAT/LC08/C02/T1_L2": Satellite(8, dt.date(2013, 3, 18), dt.date(2019, 1, 15)),
    "LANDSAT/LC09/C02/T1_L2": Satellite(9, dt.date(2021, 10, 31), dt.date(2022, 1, 15)),
}
_KNOWN_PATH = 44
_END = dt.date(2026, 1, 1)


class Place(NamedTuple):
    """A path and row of the reference system."""

    path: int
    row: int


class Footing(NamedTuple):
    """The raster and outline that all scenes of a place share."""

    extent: Extent
    polygon: shapely.Polygon  # in metres
    box: tuple[float, float, float, float]  # degrees; may pass 180


def collection(asset_id: str) -> Collection:
    """Return a satellite's collection, ordered by day, path and row."""

    def source(query: Query) -> Iterator[Image]:
        if "system:index" in query.equals:
            found = image(asset_id, str(query.equals["system:index"]))
            if found is not None and within(found.properties["system:time_start"], query):
                yield found
            return
        for place, day in _passes(asset_id, query):
            yield scene_image(_scene(asset_id, place, day))

    counted = Counted(source, lambda query: sum(1 for _ in _passes(asset_id, query)))
    return Collection("ImageCollection", counted, SYNTHETIC_IMAGERY, id=asset_id)


def image(asset_id: str, index: str) -> Image | None:
    """Return a scene by its ``system:index``, such as ``LC08_044034_20190115``, or None."""
    match = _NAME.fullmatch(index)
    satellite = SATELLITES[asset_id]
    if match is None or match[1] != satellite.code:
        return None
    place = Place(int(match[2]), int(match[3]))
    try:
        day = dt.datetime.strptime(match[4], "%Y%m%d").date()
    except ValueError:
        return None
    if not (1 <= place.path <= _PATHS and 1 <= place.row <= _LAST_ROW and exists(place)):
        return None
    flown = (day - _first_day(satellite, place.path)).days % _CYCLE == 0
    if not flown or not satellite.first <= day < _END:
        return None
    return scene_image(_scene(asset_id, place, day))


def _passes(asset_id: str, query: Query) -> Iterator[tuple[Place, dt.date]]:
    """Yield the place and day of each scene that a query does not exclude."""
    satellite = SATELLITES[asset_id]
    wanted = _wanted(query)
    first, last = _days(query, satellite)
    by_path: dict[int, list[Place]] = {}
    for place in wanted:
        by_path.setdefault(place.path, []).append(place)
    day = first
    while day <= last:
        for path in sorted(by_path):
            if (day - _first_day(satellite, path)).days % _CYCLE == 0:
                for place in by_path[path]:
                    if not exists(place) or not within(millis(_sensed(place, day)), query):
                        continue
                    if _touches(place, query):
                        yield place, day
        day += dt.timedelta(days=1)


def _days(query: Query, satellite: Satellite) -> tuple[dt.date, dt.date]:
    """Return the first and the last day of a query's time range, with a day added on both sides."""
    first, last = satellite.first, _END - dt.timedelta(days=1)
    one = dt.timedelta(days=1)
    if query.start is not None and query.start > millis(first):
        first = min(_date(query.start) - one, last + one)
    if query.end is not None and query.end < millis(last):
        last = max(_date(query.end) + one, first - one)
    return max(first, satellite.first), min(last, _END - one)


def _date(moment: float) -> dt.date:
    days = max(-700_000.0, min(moment / 86_400_000, 2_900_000.0))
    return dt.date(1970, 1, 1) + dt.timedelta(days=math.floor(days))


def _wanted(query: Query) -> list[Place]:
    """Return the places whose scenes may meet a query's box, ordered by path and row."""
    found = [Place(p, r) for p in range(1, _PATHS + 1) for r in range(1, _LAST_ROW + 1)]
    for name, at in (("WRS_PATH", 0), ("WRS_ROW", 1)):
        if name in query.equals:
            found = [place for place in found if place[at] == query.equals[name]]
    if query.bounds is None:
        return found
    west, south, east, north = query.bounds
    middles = _middles()
    lat = middles[:, 1]
    reach_x = 1.9 / np.maximum(np.cos(np.radians(np.abs(lat) + 1.2)), 0.02)
    off = (middles[:, 0] - (west + east) / 2 + 180) % 360 - 180
    near = (lat > south - 1.7) & (lat < north + 1.7)
    near &= np.abs(off) <= (east - west) / 2 + reach_x
    return [place for place in found if near[(place.path - 1) * _LAST_ROW + place.row - 1]]


def _touches(place: Place, query: Query) -> bool:
    """Whether a place's scenes meet a query's box."""
    return query.bounds is None or _meets(footing(place).box, query.bounds)


@cache
def _middles() -> NDArray[np.float64]:
    """Return longitude and latitude of the middles of all places, shape (paths x rows, 2)."""
    every = (Place(p, r) for p in range(1, _PATHS + 1) for r in range(1, _LAST_ROW + 1))
    return np.array([_middle(place) for place in every])


def _angle(row: float) -> float:
    return (_EQUATOR - row) * 360 / _ROWS


def _node(path: int) -> float:
    return _FIRST_NODE - (path - 1) * 360 / _PATHS


def _middle(place: Place, along: float = 0.0) -> tuple[float, float]:
    """Return longitude and latitude of the track at a place, or ``along`` rows further."""
    angle = _angle(place.row + along)
    lon = _node(place.path) + _ORBIT.east_of_node(angle)
    return (lon + 180) % 360 - 180, _ORBIT.latitude(angle)


def _meets(
    box: tuple[float, float, float, float], bounds: tuple[float, float, float, float]
) -> bool:
    if box[1] > bounds[3] or box[3] < bounds[1]:
        return False
    return any(box[0] + t <= bounds[2] and bounds[0] <= box[2] + t for t in (-360, 0, 360))


def exists(place: Place) -> bool:
    """Whether a place has scenes, as the shipped file of places tells."""
    return bool(places().landsat[place.path - 1, place.row - 1])


def has_land(place: Place) -> bool:
    """Whether a place's scenes contain land, found by looking it up at 64 points."""
    corners = _corners(place)
    steps = np.linspace(0.05, 0.95, 8)[:, None]
    north = corners[0] + steps * (corners[3] - corners[0])
    south = corners[1] + steps * (corners[2] - corners[1])
    points = (north[:, None] + steps[None] * (south - north)[:, None]).reshape(-1, 2)
    return bool(is_land((points[:, 0] + 180) % 360 - 180, points[:, 1]).any())


@lru_cache(maxsize=20_000)
def _corners(place: Place) -> NDArray[np.float64]:
    """Return the corners NW, SW, SE, NE in degrees, shape (4, 2); longitudes may pass 180."""
    lon, lat = _middle(place)
    before, after = _middle(place, -0.1), _middle(place, 0.1)
    east = ((after[0] - before[0] + 180) % 360 - 180) * math.cos(math.radians(lat))
    north = after[1] - before[1]
    length = math.hypot(east, north)
    ahead = np.array([east, north]) / length
    right = np.array([ahead[1], -ahead[0]])  # as seen in the direction of flight: westwards
    km = 1 / 111.195
    corners = [
        (-_HALF_LENGTH, _HALF_WIDTH),
        (_HALF_LENGTH, _HALF_WIDTH),
        (_HALF_LENGTH, -_HALF_WIDTH),
        (-_HALF_LENGTH, -_HALF_WIDTH),
    ]
    found = []
    for along, across in corners:
        dx, dy = (along * ahead + across * right) * km
        at = max(-89.0, min(89.0, lat + dy))
        found.append((lon + dx / max(math.cos(math.radians(at)), 0.05), at))
    return np.array(found)


@lru_cache(maxsize=12_000)  # there are 11,401 places
def footing(place: Place) -> Footing:
    """Return a place's raster: pixels of 30 metres in the UTM zone of its middle."""
    lon, _ = _middle(place)
    zone = min(int((lon + 180) // 6) + 1, 60)
    crs = f"EPSG:326{zone:02d}"  # northern zones in the south as well, as in the archive
    polygon = projected(_corners(place), crs)
    west, south, east, north = polygon.bounds
    # Pixel corners are at 15 m from multiples of 30, as in the archive.
    left, right = (math.floor((v - 15) / 30) * 30 + 15 for v in (west, east + 30))
    bottom, top = (math.floor((v - 15) / 30) * 30 + 15 for v in (south, north + 30))
    projection = Projection(crs, Affine(_PIXEL, 0.0, left, 0.0, -_PIXEL, top))
    planes = tuple((a, b, c) for a, b, c in half_planes(polygon).tolist())
    extent = Extent(projection, (right - left) // _PIXEL, (top - bottom) // _PIXEL, planes)
    shape = outline(polygon, crs).shape
    return Footing(extent, polygon, shape.bounds)


def _sensed(place: Place, day: dt.date) -> dt.datetime:
    """Return the time at which a satellite sees a place's middle on a day (UTC)."""
    crossing = (_LOCAL_TIME - _node(place.path) / 15) * 3600
    seconds = (crossing - _ORBIT.seconds(_angle(place.row))) % 86_400
    midnight = dt.datetime(day.year, day.month, day.day, tzinfo=dt.UTC)
    return midnight + dt.timedelta(milliseconds=round(1000 * seconds))


def _first_day(satellite: Satellite, path: int) -> dt.date:
    return satellite.known + dt.timedelta(days=_SHIFT * (path - _KNOWN_PATH) % _CYCLE)


def _scene(asset_id: str, place: Place, day: dt.date) -> Scene:
    ground = footing(place)
    return Scene(
        asset_id=asset_id,
        satellite=SATELLITES[asset_id],
        path=place.path,
        row=place.row,
        sensed=_sensed(place, day),
        extent=ground.extent,
        footprint=ground.polygon,
    )

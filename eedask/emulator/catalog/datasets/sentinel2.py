"""``COPERNICUS/S2_SR_HARMONIZED``: finding scenes by place and date, without a list.

Two satellites share an orbit that repeats after 143 turns in ten days, and see every tile at least
every five days. Place and time of all tracks are computed from one real pass over California in
January 2019, whose public scene id comes out to the second; those of other passes are synthetic.
Bands and properties are in :mod:`~eedask.emulator.catalog.datasets.sentinel2_scene`.
"""

from __future__ import annotations

import datetime as dt
import math
import re
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import shapely
from numpy.typing import NDArray

from eedask.emulator.catalog.datasets import mgrs, sentinel2_scene
from eedask.emulator.catalog.datasets.orbits import Orbit, half_planes, projected, strip
from eedask.emulator.catalog.datasets.scenes import Extent, outline
from eedask.emulator.catalog.datasets.sentinel2_scene import Scene, scene_image
from eedask.emulator.catalog.dates import millis, within
from eedask.emulator.catalog.tables.tables import SYNTHETIC_IMAGERY
from eedask.emulator.pixels.raster import Image
from eedask.emulator.values.value_types import Collection, Counted, Query

ASSET_ID = sentinel2_scene.ASSET_ID

_TURNS = 143
_CYCLE = dt.timedelta(days=10)
_PERIOD = _CYCLE / _TURNS
_ORBIT = Orbit(98.57, _PERIOD.total_seconds())
_HALF_SWATH = 145.0  # km
# A crossing of the equator by Sentinel-2B on its relative orbit 70.
_NODE_TIME = dt.datetime(2019, 1, 5, 19, 13, 24, tzinfo=dt.UTC)
_NODE_LON = -130.85
_NODE_ORBIT = 70
# Time from the start of a datatake, which ids hold, to the crossing of the equator.
_LEAD = dt.timedelta(seconds=1533)
_NAMED_BEFORE = dt.timedelta(seconds=4)
_FIRST = dt.datetime(2017, 3, 28, tzinfo=dt.UTC)
_FIRST_B = dt.datetime(2017, 7, 6, tzinfo=dt.UTC)
_END = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
_NARROW = 1500.0  # square degrees: a query of less looks up the passes of its tiles first
_HALF_TURN = _PERIOD / 2  # all of a pass is seen within this time of its crossing of the equator
_LEAST = 0.03  # share of a tile that a pass must see to make a scene
_NAME = re.compile(r"(\d{8}T\d{6})_(\d{8}T\d{6})_T(\d{2}[A-Z]{3})")


class Pass(NamedTuple):
    """The pass of a relative orbit over a tile.

    ``turn`` is the number of turns after the known one; ``extent`` and ``footprint`` are the part
    of the tile that is seen.
    """

    turn: int
    seconds: float  # flight time from the tile's middle to the equator
    extent: Extent
    footprint: shapely.Polygon  # in metres


def collection() -> Collection:
    """Return the collection, in the order of time."""
    counted = Counted(_source, lambda query: sum(1 for _ in _seen(query)))
    return Collection("ImageCollection", counted, SYNTHETIC_IMAGERY, id=ASSET_ID)


def image(index: str) -> Image | None:
    """Return a scene by its ``system:index``, or None if there is none."""
    match = _NAME.fullmatch(index)
    tile = None if match is None else mgrs.parse(match[3])
    if match is None or tile is None:
        return None
    try:
        began = dt.datetime.strptime(match[1], "%Y%m%dT%H%M%S").replace(tzinfo=dt.UTC)
    except ValueError:
        return None
    for over in passes(tile):
        for scene in _scenes(tile, over, began, began + dt.timedelta(hours=1)):
            if scene.index == index:
                return scene_image(scene)
    return None


def _source(query: Query) -> Iterator[Image]:
    if "system:index" in query.equals:
        found = image(str(query.equals["system:index"]))
        if found is not None and within(found.properties["system:time_start"], query):
            yield found
        return
    for scene in _seen(query):
        yield scene_image(scene)


def _seen(query: Query) -> Iterator[Scene]:
    """Yield the scenes that a query does not exclude."""
    start, end = _moment(query.start, _FIRST), _moment(query.end, _END)
    narrow = _is_narrow(query)
    for scene in _between(_over(query), start, end) if narrow else _everywhere(start, end):
        if within(millis(scene.sensed), query) and (narrow or _sees(scene, query)):
            yield scene


def _is_narrow(query: Query) -> bool:
    """Whether a query meets few enough tiles to look up the passes of all of them first."""
    if isinstance(query.equals.get("MGRS_TILE"), str):
        return True
    if query.bounds is None:
        return False
    west, south, east, north = query.bounds
    return (east - west) * (north - south) <= _NARROW


def _sees(scene: Scene, query: Query) -> bool:
    if query.bounds is None:
        return True
    box = outline(scene.footprint, scene.tile.crs).shape.bounds
    return _meets(box, query.bounds)


def _moment(millis: float | None, otherwise: dt.datetime) -> dt.datetime:
    if millis is None or not math.isfinite(millis):
        return otherwise
    limit = dt.timedelta(days=20_000)
    since = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
    return since + max(-limit, min(limit, dt.timedelta(milliseconds=millis)))


def _over(query: Query) -> list[tuple[mgrs.MgrsTile, Pass]]:
    """Return each tile and pass whose footprint meets a query's box."""
    bounds = query.bounds or (-180, -90, 180, 90)
    name = query.equals.get("MGRS_TILE")
    named = [mgrs.parse(name)] if isinstance(name, str) else mgrs.tiles(bounds)
    return [
        (tile, over)
        for tile in named
        if tile is not None
        for over in passes(tile)
        if _meets(outline(over.footprint, tile.crs).shape.bounds, bounds)
    ]


def _meets(box: tuple[float, ...], bounds: tuple[float, float, float, float]) -> bool:
    if box[1] > bounds[3] or box[3] < bounds[1]:
        return False
    return any(box[0] + t <= bounds[2] and bounds[0] <= box[2] + t for t in (-360, 0, 360))


def _between(
    over: list[tuple[mgrs.MgrsTile, Pass]], start: dt.datetime, end: dt.datetime
) -> Iterator[Scene]:
    scenes = [scene for tile, one in over for scene in _scenes(tile, one, start, end)]
    yield from sorted(scenes, key=lambda scene: (scene.sensed, scene.index))


def _everywhere(start: dt.datetime, end: dt.datetime) -> Iterator[Scene]:
    """Yield all scenes in the order of time, pass by pass."""
    start, end = max(start, _FIRST), min(end, _END)
    first = math.floor((start - _NODE_TIME - dt.timedelta(hours=2)) / (_PERIOD / 2))
    last = math.ceil((end - _NODE_TIME + dt.timedelta(hours=2)) / (_PERIOD / 2))
    for half in range(first, last + 1):
        # Turn k of one satellite crosses the equator at k periods; that of the other five days
        # (71.5 periods) from then.
        turn = (half // 2 if half % 2 == 0 else (half - _TURNS) // 2) % _TURNS
        time = _NODE_TIME + half * (_PERIOD / 2)
        begin, finish = max(start, time - _HALF_TURN), min(end, time + _HALF_TURN)
        flown = half % 2 == 1 or time >= _FIRST_B
        if flown and begin < finish:
            yield from _between(_of_turn(turn), begin, finish)


@lru_cache(maxsize=8)
def _of_turn(turn: int) -> list[tuple[mgrs.MgrsTile, Pass]]:
    found: dict[mgrs.MgrsTile, Pass] = {}
    node = float(_NODES[turn])
    for lat in np.arange(83.0, -57.0, -1.0):
        corners = strip(_ORBIT, node, float(lat), _HALF_SWATH, 0.5)
        (west, south), (east, north) = corners.min(axis=0), corners.max(axis=0)
        for tile in mgrs.tiles((west, south, east, north)):
            if tile not in found:
                over = _pass(tile, turn)
                if over is not None:
                    found[tile] = over
    return list(found.items())


def _node(turn: int) -> float:
    """Return the longitude of a turn's descending node."""
    return (_NODE_LON - 360 * turn * (_CYCLE / dt.timedelta(days=1)) / _TURNS + 180) % 360 - 180


_NODES = np.array([_node(turn) for turn in range(_TURNS)])


def passes(tile: mgrs.MgrsTile) -> tuple[Pass, ...]:
    """Return the passes that see a tile."""
    found = (_pass(tile, turn) for turn in np.flatnonzero(_away(tile)[1]).tolist())
    return tuple(over for over in found if over is not None)


def _away(tile: mgrs.MgrsTile) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return the degrees of longitude by which each turn passes east of a tile.

    The second array tells whether the turn may see the tile. Both have shape (143,).
    """
    lon, lat = tile.middle
    east = _ORBIT.east_of_node(_ORBIT.angle(lat))
    reach = (_HALF_SWATH * 1.1 + 85) / (111.2 * math.cos(math.radians(lat)))
    away = (_NODES + east - lon + 180) % 360 - 180
    return away, np.abs(away) <= reach


@lru_cache(maxsize=16_384)
def _pass(tile: mgrs.MgrsTile, turn: int) -> Pass | None:
    """Return a turn's pass over a tile, or None if it sees too little of it."""
    away, near = _away(tile)
    if not near[turn]:
        return None
    lon, lat = tile.middle
    angle = _ORBIT.angle(lat)
    node = lon + float(away[turn]) - _ORBIT.east_of_node(angle)
    swath = projected(strip(_ORBIT, node, lat, _HALF_SWATH, 0.9), tile.crs)
    square = shapely.box(tile.left, tile.top - mgrs.SIZE, tile.left + mgrs.SIZE, tile.top)
    seen = shapely.intersection(square, swath)
    if not isinstance(seen, shapely.Polygon) or seen.area < _LEAST * square.area:
        return None
    planes = () if seen.area > 0.9999 * square.area else _sides(swath)
    extent = Extent(tile.projection(10), mgrs.SIZE // 10, mgrs.SIZE // 10, planes)
    return Pass(turn, _ORBIT.seconds(angle), extent, seen)


def _sides(swath: shapely.Polygon) -> tuple[tuple[float, float, float], ...]:
    """Return the half-planes of a swath's western and eastern sides; its ends lie off the tile."""
    planes = [tuple(plane) for plane in half_planes(swath).tolist()]
    return tuple((a, b, c) for a, b, c in planes if abs(a) > abs(b))


def _scenes(
    tile: mgrs.MgrsTile, over: Pass, start: dt.datetime, end: dt.datetime
) -> Iterator[Scene]:
    """Yield the scenes of a pass whose datatake or sensing time is between two moments."""
    start, end = max(start, _FIRST), min(end, _END)
    before = dt.timedelta(seconds=over.seconds)
    node = _NODE_TIME + over.turn * _PERIOD
    n = math.floor((start - (node - before)) / (_CYCLE / 2))
    while True:
        crossing = node + n * (_CYCLE / 2)
        if crossing - before > end:
            return
        second = n % 2 == 0  # Sentinel-2B
        if not (second and crossing < _FIRST_B) and crossing - before >= start:
            yield _scene(tile, over, crossing, second)
        n += 1


def _scene(tile: mgrs.MgrsTile, over: Pass, crossing: dt.datetime, second: bool) -> Scene:
    began = (crossing - _LEAD).replace(microsecond=0)
    named = began - _NAMED_BEFORE
    return Scene(
        index=f"{began:%Y%m%dT%H%M%S}_{named:%Y%m%dT%H%M%S}_T{tile.name}",
        tile=tile,
        sensed=(crossing - dt.timedelta(seconds=over.seconds)).replace(microsecond=0),
        began=began,
        satellite="B" if second else "A",
        orbit=(over.turn + _NODE_ORBIT - 1) % _TURNS + 1,
        extent=over.extent,
        footprint=over.footprint,
    )

"""The places of a raster's pixels on the land plane, and smooth functions evaluated at them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from eedask.emulator.catalog.crs import MODIS_SINUSOIDAL
from eedask.emulator.catalog.footprints import to_degrees
from eedask.emulator.catalog.world.land_plane import degrees, metres
from eedask.emulator.catalog.world.noise import field
from eedask.emulator.pixels.native_sources import Window
from eedask.emulator.pixels.raster import Projection

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]

# Metres between the nodes of a projected grid that are transformed to the land plane; between
# nodes coordinates are interpolated bilinearly, which is exact to a few centimetres.
_NODE = 2048.0
_ROUND = 1024.0  # coordinates are rounded to this fraction of a metre, to be the same everywhere
_MODIS_RADIUS = 6371007.181
# Degrees: the land plane is not used nearer to the poles; pixels there show this latitude.
_POLAR = 84.0


@dataclass(frozen=True, eq=False)  # equal if the same: arrays are not compared
class Spots:
    """Places on the land plane, in metres east and south of its origin.

    Attributes
    ----------
    x, south : ndarray of float64
        Arrays that broadcast to (rows, columns).
    shape : (int, int)
        (rows, columns).
    q : int
        Neighbours are about ``2**q`` metres apart: the binary logarithm, rounded down.
    """

    x: Doubles
    south: Doubles
    shape: tuple[int, int]
    q: int


@lru_cache(maxsize=32)
def spots(projection: Projection, level: int, window: Window, parts: int = 1) -> Spots:
    """Return the places of a window's pixels, or of several points in each.

    Parameters
    ----------
    projection : Projection
        In EPSG:4326, in UTM, or in the sinusoidal projection of MODIS; north up.
    level : int
        The pixels are ``2**level`` times as wide as those of the projection.
    window : Window
        In pixels of the level.
    parts : int
        Return ``parts`` by ``parts`` points for each pixel; with 1, its centre.
    """
    t = projection.transform
    size = 2.0**level
    cols = window.col + (np.arange(window.width * parts) + 0.5) / parts
    rows = window.row + (np.arange(window.height * parts) + 0.5) / parts
    east, north = t.c + t.a * size * cols, t.f + t.e * size * rows
    shape = (len(rows), len(cols))
    step = abs(t.a) * size / parts
    if projection.crs == "EPSG:4326":
        x, south = metres(east, np.clip(north, -_POLAR, _POLAR))
        return Spots(x[None, :], south[:, None], shape, _log(step * 111_195.0))
    if projection.crs == MODIS_SINUSOIDAL:
        lat = np.clip(np.degrees(north / _MODIS_RADIUS), -_POLAR, _POLAR)
        lon = np.degrees(east[None, :] / (_MODIS_RADIUS * np.cos(np.radians(lat))[:, None]))
        x, south = metres(np.clip(lon, -180, 180), lat)
        return Spots(x, south[:, None], shape, _log(step))
    return Spots(*_projected(projection.crs, east, -north), shape, _log(step))


def spots_of(
    projection: Projection, level: int, cols: NDArray[np.int64], rows: NDArray[np.int64]
) -> Spots:
    """Return the places of n single pixels in EPSG:4326, shape (1, n); as :func:`spots` does."""
    t = projection.transform
    size = 2.0**level
    east, north = t.c + t.a * size * (cols + 0.5), t.f + t.e * size * (rows + 0.5)
    x, south = metres(east, np.clip(north, -_POLAR, _POLAR))
    step = abs(t.a) * size
    return Spots(x[None, :], south[None, :], (1, len(cols)), _log(step * 111_195.0))


def lonlat(at: Spots) -> tuple[Doubles, Doubles]:
    """Return the longitudes and latitudes of places, in degrees; they broadcast to their shape."""
    return degrees(at.x, at.south)


def evaluated(
    function: Callable[[Doubles, Doubles], Floats], at: Spots, spacing: int, shift: tuple[int, int]
) -> Floats:
    """Return a smooth function of longitude and latitude at places.

    Parameters
    ----------
    function : callable
        ``function(lon, lat)`` takes arrays of one shape, in degrees. It returns one such array
        or several, stacked along the first axis.
    at : Spots
    spacing : int
        The function is evaluated at nodes ``2**spacing`` metres apart, or as far apart as the
        places if these are further apart, and interpolated bilinearly.
    shift : (int, int)
        Evaluate it this many nodes east and south of each place.
    """
    plan = _plan(at, max(spacing, at.q))
    x = (plan.cols + shift[0]) * plan.size
    south = (plan.rows + shift[1]) * plan.size
    nodes = function(*degrees(*np.meshgrid(x, south)))
    across, down = plan.across, plan.down
    if plan.along_axes:  # interpolate along columns, then along rows
        c, r = plan.col[0], plan.row[:, 0]
        wide = nodes[..., c] + (nodes[..., c + 1] - nodes[..., c]) * across
        lines = wide[..., r, :] + (wide[..., r + 1, :] - wide[..., r, :]) * down
        return lines.astype(np.float32, copy=False)
    flat = plan.row * nodes.shape[-1] + plan.col
    values = nodes.reshape(*nodes.shape[:-2], -1).astype(np.float32, copy=False)
    slope = np.diff(values, axis=-1, append=values[..., -1:])
    upper = values.take(flat, axis=-1)
    upper += slope.take(flat, axis=-1) * across
    flat += nodes.shape[-1]
    lower = values.take(flat, axis=-1)
    lower += slope.take(flat, axis=-1) * across
    lower -= upper
    lower *= down
    lower += upper
    return lower


class _Plan(NamedTuple):
    """The positions of places between nodes, to interpolate between these.

    Attributes
    ----------
    size : float
        Metres from node to node.
    cols, rows : ndarray of float64
        The coordinates of the nodes, in units of ``size``.
    col, row : ndarray of intp
        The number of the node before each place.
    across, down : ndarray of float32
        The fraction, from 0 to 1, of the way from this node to the next.
    along_axes : bool
        Whether all places of a column have the same x, and those of a row the same y.
    """

    size: float
    cols: Doubles
    rows: Doubles
    col: NDArray[np.intp]
    row: NDArray[np.intp]
    across: Floats
    down: Floats
    along_axes: bool


@lru_cache(maxsize=16)
def _plan(at: Spots, q: int) -> _Plan:
    size = 2.0**q
    u, v = at.x / size - 0.5, at.south / size - 0.5
    col, row = np.floor(u), np.floor(v)
    left, top = int(col.min()), int(row.min())
    return _Plan(
        size=size,
        cols=np.arange(left, int(col.max()) + 2, dtype=np.float64) + 0.5,
        rows=np.arange(top, int(row.max()) + 2, dtype=np.float64) + 0.5,
        col=(col - left).astype(np.intp),
        row=(row - top).astype(np.intp),
        across=(u - col).astype(np.float32),
        down=(v - row).astype(np.float32),
        along_axes=u.shape[0] == 1 and v.shape[1] == 1,
    )


def noise(at: Spots, size: float, seed: int) -> Floats:
    """Return smooth noise from -1 to 1 at places, with features about ``size`` metres wide."""
    x, south = np.broadcast_arrays(at.x / size, at.south / size)
    return field(x, south, seed)


def _log(step: float) -> int:
    return int(np.floor(np.log2(step)))


def _projected(crs: str, east: Doubles, down: Doubles) -> tuple[Doubles, Doubles]:
    """Return the land plane's coordinates of a grid in another crs, each (rows, columns).

    ``east`` are the eastings of its columns, ``down`` the negated northings of its rows.
    """
    cols, across, first_col = _between(east)
    rows, along, first_row = _between(down)
    nodes = np.meshgrid(
        (first_col + np.arange(cols[-1] + 2)) * _NODE, (first_row + np.arange(rows[-1] + 2)) * _NODE
    )
    lon, lat = to_degrees(crs).transform(nodes[0], -nodes[1])
    found = []
    for values in metres(lon, np.clip(lat, -_POLAR, _POLAR)):
        known = np.round(values * _ROUND) / _ROUND
        lines = known[rows] + (known[rows + 1] - known[rows]) * along[:, None]
        found.append(lines[:, cols] + (lines[:, cols + 1] - lines[:, cols]) * across)
    return found[0], found[1]


def _between(at: Doubles) -> tuple[NDArray[np.intp], Doubles, int]:
    """Return the node before each place, the fraction of the way to the next, and the first node.

    Nodes are counted from the first one.
    """
    node = np.floor(at / _NODE)
    first = int(node[0])
    return (node - first).astype(np.intp), at / _NODE - node, first

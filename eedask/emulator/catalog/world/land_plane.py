"""The plane that the synthetic land is drawn in, and the way there from UTM.

A Mercator projection true to scale at 40 degrees north: one plane for the whole country, north
up, in metres that are a few per cent off the ground's. Southward coordinates count down the map,
as rows do. The land is drawn on this plane's own pixels, so that the photographs of different
zones show the same land.
"""

from __future__ import annotations

from threading import local
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pyproj import Transformer

_CRS = "+proj=merc +lat_ts=40 +R=6371000 +units=m +no_defs"
_RADIUS = 6371000 * float(np.cos(np.radians(40.0)))
_transformers = local()
# Nodes between which coordinates are bilinear: to a few centimetres at level 0.
_NODE_PIXELS = 1024
_ROUND = 1024.0  # parts of a metre that platforms agree on


class Lookup(NamedTuple):
    """Which pixel of the land each pixel of a photograph shows.

    Attributes
    ----------
    col, row : int
        The first land pixel of the box that is needed, on its level.
    width, height : int
        The box's land pixels.
    flat : ndarray of intp, shape (rows, columns) of the photograph
        Flat index into the box.
    """

    col: int
    row: int
    width: int
    height: int
    flat: NDArray[np.intp]


def degrees(
    x: NDArray[np.float64], south: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return longitude and latitude of the plane's metres."""
    return np.degrees(x / _RADIUS), np.degrees(np.arctan(np.sinh(-south / _RADIUS)))


def metres(
    lon: NDArray[np.float64], lat: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the plane's metres, east and south, of longitude and latitude."""
    return _RADIUS * np.radians(lon), -_RADIUS * np.arcsinh(np.tan(np.radians(lat)))


def lookup(zone: int, level: int, left: float, top: float, width: int, height: int) -> Lookup:
    """Return the land pixels under a window of a UTM grid.

    Parameters
    ----------
    zone : int
        UTM zone, north, on NAD83.
    level : int
        Pixels, of the photograph and of the land, are ``2**level`` metres.
    left, top : float
        Easting and northing of the window's corner.
    """
    size = 2**level
    east = _Axis(left + size * (np.arange(width) + 0.5), _NODE_PIXELS * size)
    down = _Axis(-top + size * (np.arange(height) + 0.5), _NODE_PIXELS * size)
    x, south = _nodes(zone, east.nodes, down.nodes)
    cols = np.empty((height, width), np.float64)
    rows = np.empty((height, width), np.float64)
    # Between nodes coordinates rise or fall all along a row: the least and most are at ends.
    ends = []
    for r, (i, part_down) in down.cells():
        for c, (j, part_east) in east.cells():
            _bilinear(x[i : i + 2, j : j + 2], part_down, part_east, cols[r, c])
            _bilinear(south[i : i + 2, j : j + 2], part_down, part_east, rows[r, c])
            ends += [c.start, c.stop - 1]
    if size > 1:
        cols *= 1 / size
        rows *= 1 / size
    np.floor(cols, out=cols)
    np.floor(rows, out=rows)
    col, box_width = _extent(cols[:, ends])
    row, box_height = _extent(rows[:, ends])
    rows -= row
    rows *= box_width
    rows += cols
    rows -= col
    return Lookup(col, row, box_width, box_height, rows.astype(np.intp))


def _extent(whole: NDArray[np.float64]) -> tuple[int, int]:
    """Return the least of whole numbers, and how many there are from it to the greatest."""
    least = int(whole.min())
    return least, int(whole.max()) - least + 1


def lookup_at(
    zone: int, level: int, east: NDArray[np.float64], down: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return columns and rows of the land pixels under n places by themselves.

    To the bit as :func:`lookup` has them.

    Parameters
    ----------
    zone, level : int
    east, down : ndarray, shape (n,)
        Eastings, and northings counted down, of middles of a photograph's pixels.
    """
    size = 2**level
    spacing = _NODE_PIXELS * size
    cell = np.floor(np.stack([east, down]) / spacing)
    across, part_down = np.stack([east, down]) / spacing - cell
    cells, number = np.unique(cell, axis=1, return_inverse=True)
    eastings = (cells[0][:, None, None] + np.arange(2)) * spacing
    downs = (cells[1][:, None, None] + np.arange(2)[:, None]) * spacing
    found = []
    for values in _onto_plane(zone, *np.broadcast_arrays(eastings, downs)):
        corners = values[number.ravel()]
        left = corners[:, 0, 0] + (corners[:, 1, 0] - corners[:, 0, 0]) * part_down
        right = corners[:, 0, 1] + (corners[:, 1, 1] - corners[:, 0, 1]) * part_down
        at = (right - left) * across + left
        found.append(np.floor(at * (1 / size)).astype(np.int64))
    return found[0], found[1]


class _Axis:
    """Where pixel middles lie between nodes, along one axis."""

    def __init__(self, at: NDArray[np.float64], spacing: float) -> None:
        self._cell = np.floor(at / spacing).astype(np.int64)
        self._part = at / spacing - self._cell
        first, last = int(self._cell[0]), int(self._cell[-1])
        self.nodes = np.arange(first, last + 2) * spacing

    def cells(self) -> list[tuple[slice, tuple[int, NDArray[np.float64]]]]:
        """Return for each cell its pixels, its number, and their parts of the way across."""
        starts = np.flatnonzero(np.diff(self._cell, prepend=self._cell[0] - 1))
        stops = [*starts[1:].tolist(), len(self._cell)]
        return [
            (slice(start, stop), (number, self._part[start:stop]))
            for number, (start, stop) in enumerate(zip(starts.tolist(), stops, strict=True))
        ]


def _bilinear(
    corners: NDArray[np.float64],
    down: NDArray[np.float64],
    across: NDArray[np.float64],
    out: NDArray[np.float64],
) -> None:
    left = corners[0, 0] + (corners[1, 0] - corners[0, 0]) * down
    right = corners[0, 1] + (corners[1, 1] - corners[0, 1]) * down
    # What the outer product of multiply does, in half the time.
    np.einsum("i,j->ij", right - left, across, out=out)
    out += left[:, None]


def _nodes(
    zone: int, east: NDArray[Any], down: NDArray[Any]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the plane's coordinates at nodes of a zone, x and south, (rows, columns)."""
    return _onto_plane(zone, *np.meshgrid(east, down))


def _onto_plane(
    zone: int, eastings: NDArray[Any], southings: NDArray[Any]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    x, y = _transformer(zone).transform(eastings, -southings)
    return np.round(x * _ROUND) / _ROUND, np.round(-y * _ROUND) / _ROUND


def _transformer(zone: int) -> Transformer:
    made: dict[int, Transformer] = _transformers.__dict__.setdefault("made", {})
    if zone not in made:
        # Both on one sphere's worth of degrees: the plane takes longitudes and latitudes as
        # they are, whatever the datum.
        made[zone] = Transformer.from_pipeline(
            f"+proj=pipeline +step +inv +proj=utm +zone={zone} +ellps=GRS80 +step {_CRS}"
        )
    return made[zone]

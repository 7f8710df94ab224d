"""The land plane, in which the invented land is drawn, and the transformation from UTM to it.

It is a Mercator projection with true scale at 40 degrees north: one plane for all land, north up,
where a metre is a few per cent off a metre on the ground in mid latitudes. Its second coordinate,
``south``, increases southwards, as rows do. The land is drawn on pixels of this plane, so that
photographs in different UTM zones show the same land.
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
# Pixels between the nodes that are transformed; between nodes coordinates are interpolated
# bilinearly, which is exact to a few centimetres at level 0.
_NODE_PIXELS = 1024
_ROUND = 1024.0  # coordinates are rounded to this fraction of a metre, to be the same everywhere


class Lookup(NamedTuple):
    """The pixel of the land that each pixel of a photograph shows.

    Attributes
    ----------
    col, row : int
        The first land pixel, at the photograph's level, of the rectangle that is needed.
    width, height : int
        The size of this rectangle, in land pixels.
    flat : ndarray of intp, shape (rows, columns) of the photograph
        Flat indices into the rectangle.
    """

    col: int
    row: int
    width: int
    height: int
    flat: NDArray[np.intp]


def degrees(
    x: NDArray[np.float64], south: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the longitudes and latitudes, in degrees, of coordinates of the land plane."""
    return np.degrees(x / _RADIUS), np.degrees(np.arctan(np.sinh(-south / _RADIUS)))


def metres(
    lon: NDArray[np.float64], lat: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the coordinates on the land plane, east and south, of longitudes and latitudes."""
    return _RADIUS * np.radians(lon), -_RADIUS * np.arcsinh(np.tan(np.radians(lat)))


def lookup(zone: int, level: int, left: float, top: float, width: int, height: int) -> Lookup:
    """Return which land pixel each pixel of a window of a UTM grid shows.

    Parameters
    ----------
    zone : int
        The UTM zone, north, on NAD83.
    level : int
        The pixels of the photograph and of the land are ``2**level`` metres.
    left, top : float
        Easting and northing of the window's upper left corner.
    width, height : int
        Of the window, in pixels.
    """
    size = 2**level
    east = _Axis(left + size * (np.arange(width) + 0.5), _NODE_PIXELS * size)
    down = _Axis(-top + size * (np.arange(height) + 0.5), _NODE_PIXELS * size)
    x, south = _nodes(zone, east.nodes, down.nodes)
    cols = np.empty((height, width), np.float64)
    rows = np.empty((height, width), np.float64)
    # Between two nodes, coordinates increase or decrease monotonically along a row: the least and
    # the greatest are at the ends.
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
    """Return the least of some whole numbers, and the length of their range."""
    least = int(whole.min())
    return least, int(whole.max()) - least + 1


def lookup_at(
    zone: int, level: int, east: NDArray[np.float64], down: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the columns and rows of the land pixels that n single pixels show.

    They are exactly those of :func:`lookup`.

    Parameters
    ----------
    zone, level : int
        As for :func:`lookup`.
    east, down : ndarray, shape (n,)
        Eastings and negated northings of the centres of a photograph's pixels.
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
    """The positions of pixel centres between nodes, along one axis.

    Attributes
    ----------
    nodes : ndarray of float64
        The coordinates of the nodes around all centres.
    """

    def __init__(self, at: NDArray[np.float64], spacing: float) -> None:
        self._cell = np.floor(at / spacing).astype(np.int64)
        self._part = at / spacing - self._cell
        first, last = int(self._cell[0]), int(self._cell[-1])
        self.nodes = np.arange(first, last + 2) * spacing

    def cells(self) -> list[tuple[slice, tuple[int, NDArray[np.float64]]]]:
        """Return, for each cell between two nodes: its pixels, (its number, their fractions).

        A fraction says how far a pixel's centre is from the cell's first node, 0 to 1.
        """
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
    # The same as np.multiply.outer, in half the time.
    np.einsum("i,j->ij", right - left, across, out=out)
    out += left[:, None]


def _nodes(
    zone: int, east: NDArray[Any], down: NDArray[Any]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the land plane's coordinates of a grid of nodes in a zone, each (rows, columns)."""
    return _onto_plane(zone, *np.meshgrid(east, down))


def _onto_plane(
    zone: int, eastings: NDArray[Any], southings: NDArray[Any]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    x, y = _transformer(zone).transform(eastings, -southings)
    return np.round(x * _ROUND) / _ROUND, np.round(-y * _ROUND) / _ROUND


def _transformer(zone: int) -> Transformer:
    made: dict[int, Transformer] = _transformers.__dict__.setdefault("made", {})
    if zone not in made:
        # No change of datum: the land plane takes longitudes and latitudes on any ellipsoid as
        # those on its sphere.
        made[zone] = Transformer.from_pipeline(
            f"+proj=pipeline +step +inv +proj=utm +zone={zone} +ellps=GRS80 +step {_CRS}"
        )
    return made[zone]

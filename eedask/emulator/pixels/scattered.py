"""Transforms single pixels of many grids to another crs, all in one call."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from affine import Affine
from numpy.typing import NDArray

from eedask.emulator.geometry.crs import transformer
from eedask.emulator.pixels.projection import same_crs
from eedask.emulator.pixels.raster import Places, Projection, apply

Doubles = NDArray[np.float64]
Positions = tuple[Doubles, Doubles]

# Points of a grid that are transformed as well: three about its middle, which give the size of a
# pixel, and eight on its outline.
_MIDDLE = np.array([(0.5, 0.5)] * 3)
_STEPS = (0.0, 0.5, 1.0)
_AROUND = np.array([(x, y) for x in _STEPS for y in _STEPS if (x, y) != (0.5, 0.5)])
_SIDES = np.array([(0, 0), (1, 0), (0, 1)] + [(0, 0)] * 8)
_PROBES = np.concatenate([_MIDDLE, _AROUND])


class Scatter(NamedTuple):
    """The pixels of several :class:`Places` in the coordinates of another crs.

    Attributes
    ----------
    x, y : ndarray, shape (n,)
        Centres of the n pixels of all places, place after place.
    around : (ndarray, ndarray), shapes (places, 8)
        x and y of the corners of each grid and of the middles of its edges.
    sizes : ndarray, shape (places,)
        The side of each grid's middle pixel; NaN if it lies outside the crs.
    """

    x: Doubles
    y: Doubles
    around: Positions
    sizes: Doubles


def scatter(places: tuple[Places, ...], crs: str) -> Scatter | None:
    """Return the pixels of places in another crs.

    None if the places' grids have several crs's, or have this one already. All are transformed in
    one call, since a call costs more than the points in it. If the places were part of the last
    call for this crs, its result is used.
    """
    last = _LAST.get(crs)
    if last is not None and len(places) < len(last.numbers) and last.holds(places):
        return last.part(places)
    found = _scattered(places, crs)
    if found is not None and not (last is not None and last.found is found):
        numbers = {place: k for k, place in enumerate(places)}
        if len(numbers) == len(places):
            _LAST[crs] = _Last(numbers, counted(places), found)
    return found


class _Last(NamedTuple):
    """The places that were last transformed to a crs, and the result."""

    numbers: dict[Places, int]
    spans: list[slice]
    found: Scatter

    def holds(self, places: Sequence[Places]) -> bool:
        return all(place in self.numbers for place in places)

    def part(self, places: Sequence[Places]) -> Scatter:
        at = [self.numbers[place] for place in places]
        pixels = np.concatenate([np.arange(self.spans[k].start, self.spans[k].stop) for k in at])
        x, y, around, sizes = self.found
        return Scatter(x[pixels], y[pixels], (around[0][at], around[1][at]), sizes[at])


# By crs, of which there are a few dozen.
_LAST: dict[str, _Last] = {}


@lru_cache(maxsize=8)
def _scattered(places: tuple[Places, ...], crs: str) -> Scatter | None:
    source = places[0].grid.crs
    if any(place.grid.crs != source for place in places) or same_crs(source, crs):
        return None
    probes = [_PROBES * (p.grid.width, p.grid.height) + _SIDES for p in places]
    points = [np.column_stack([p.cols, p.rows]) + 0.5 for p in places]
    xs, ys = [], []
    for place, *both in zip(places, probes, points, strict=True):
        x, y = apply(place.grid.transform, *np.concatenate(both).T)
        xs.append(x)
        ys.append(y)
    u, v = transformer(source, crs).transform(np.concatenate(xs), np.concatenate(ys))
    ends = np.cumsum([len(x) for x in xs])
    first = np.concatenate([[0], ends[:-1]])
    at = first[:, None] + np.arange(len(_PROBES))
    is_point = np.ones(len(u), np.bool_)
    is_point[at] = False
    x, y = u[at], v[at]
    with np.errstate(invalid="ignore"):
        area = (x[:, 1] - x[:, 0]) * (y[:, 2] - y[:, 0]) - (x[:, 2] - x[:, 0]) * (y[:, 1] - y[:, 0])
    sizes = np.where(np.isfinite(area), np.sqrt(np.abs(area)), np.nan)
    return Scatter(u[is_point], v[is_point], (x[:, 3:], y[:, 3:]), sizes)


def positions(transform: Affine, x: Doubles, y: Doubles) -> Positions:
    """Return the fractional columns and rows of coordinates."""
    inverse = ~transform
    cols, rows = inverse.a * x + inverse.c, inverse.e * y + inverse.f
    if inverse.b or inverse.d:
        cols, rows = cols + inverse.b * y, rows + inverse.d * x
    return cols, rows


def ratios(sizes: Doubles, projection: Projection) -> list[float]:
    """Return :func:`~eedask.emulator.pixels.projection.pixel_ratio` of each grid."""
    pixel = math.sqrt(abs(projection.transform.determinant))
    return [size / pixel if size > 0 else 1.0 for size in sizes.tolist()]


def lying(cols: Doubles, rows: Doubles, width: Doubles, height: Doubles) -> list[bool | None]:
    """Return for each grid True if it lies inside a raster, False if outside, else None.

    Parameters
    ----------
    cols, rows : ndarray, shape (places, 8)
        The points on the outline of each grid in pixels of the raster: its corners and the
        middles of its edges, from which the curvature of the edges is estimated.
    width, height : ndarray, shape (places,)
        Size of the raster in those pixels.
    """
    inside = np.asarray((np.isfinite(cols) & np.isfinite(rows)).all(axis=1))
    outside = np.zeros(len(cols), np.bool_)
    with np.errstate(invalid="ignore"):
        for at, size in ((cols, width), (rows, height)):
            margin = 2 + 2 * _bend(at)
            least, most = at.min(axis=1), at.max(axis=1)
            outside |= (most < -margin) | (least > size + margin)
            inside &= (least > margin) & (most < size - margin)
    return [
        True if within else False if beyond else None
        for within, beyond in zip(inside.tolist(), outside.tolist(), strict=True)
    ]


def _bend(at: Doubles) -> Doubles:
    """Return the greatest distance of an edge's middle from the line between its corners."""
    northwest, west, southwest, north, south, northeast, east, southeast = at.T
    away = (
        west - (northwest + southwest) / 2,
        east - (northeast + southeast) / 2,
        north - (northwest + northeast) / 2,
        south - (southwest + southeast) / 2,
    )
    bend: Doubles = np.abs(away).max(axis=0)
    return bend


def counted(places: Sequence[Places]) -> list[slice]:
    """Return the slice of each place's pixels among the pixels of all places."""
    ends = np.cumsum([len(place.rows) for place in places]).tolist()
    return [slice(a, b) for a, b in zip([0, *ends[:-1]], ends, strict=True)]

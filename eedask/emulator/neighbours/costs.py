"""The cheapest ways over pixels."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import scipy  # its parts are imported as they are first used
from numpy.typing import NDArray

from eedask.emulator.geometry.crs import WGS84
from eedask.emulator.geometry.sphere import to_vectors
from eedask.emulator.pixels.projection import locate, unit_metres
from eedask.emulator.pixels.raster import Grid, Pixels, Projection

Array = NDArray[Any]

_STEPS = ((1, 0), (0, 1), (1, 1), (-1, 1))
_EARTH = 6378137.0
_LEAST = 1e-12  # a step that costs nothing is still a step


def cheapest(
    cost: Pixels, sources: NDArray[np.bool_], grid: Grid, geodetic: bool
) -> tuple[Array, Array]:
    """Return the least cost of a way from a source to each pixel, and the steps of that way.

    Parameters
    ----------
    cost : Pixels
        By metre; masked pixels and those below 0 cannot be passed.
    sources : ndarray of bool
    grid : Grid
        Of both.
    geodetic : bool
        Whether steps are measured on the sphere, or on the map.

    Returns
    -------
    total, steps : ndarray of float64
        Infinite where there is no way.
    """
    passable = (cost.mask > 0) & (cost.values >= 0)
    values = np.where(passable, cost.values, 0).astype(np.float64)
    index = np.arange(values.size).reshape(values.shape)
    starts, ends, weights = [], [], []
    for col, row in _STEPS:
        here, there = _pair(col, row)
        both = passable[here] & passable[there]
        length = _lengths(grid, here, there, geodetic)
        step = length * (values[here] + values[there]) / 2
        starts.append(index[here][both])
        ends.append(index[there][both])
        weights.append(np.maximum(step, _LEAST)[both])
    graph = scipy.sparse.csr_matrix(
        (np.concatenate(weights), (np.concatenate(starts), np.concatenate(ends))),
        (values.size, values.size),
    )
    first = np.flatnonzero((sources & passable).ravel())
    if not first.size:
        nothing = np.full(values.shape, math.inf)
        return nothing, nothing
    total, before, _ = scipy.sparse.csgraph.dijkstra(
        graph, directed=False, indices=first, min_only=True, return_predecessors=True
    )
    steps = _steps(total, before)
    return total.reshape(values.shape), steps.reshape(values.shape)


def _steps(total: Array, before: Array) -> Array:
    """Return how many steps lead to each pixel, by going twice as far back again and again."""
    root = before < 0
    parent = np.where(root, np.arange(total.size), before)
    steps = np.where(root, 0.0, 1.0)
    while not root[parent].all():
        steps += steps[parent]
        parent = parent[parent]
    return np.where(np.isfinite(total), steps, math.inf)


def _pair(col: int, row: int) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    def axis(step: int) -> tuple[slice, slice]:
        first, second = slice(0, -abs(step) or None), slice(abs(step), None)
        return (first, second) if step >= 0 else (second, first)

    (rows, other_rows), (cols, other_cols) = axis(row), axis(col)
    return (rows, cols), (other_rows, other_cols)


def _lengths(grid: Grid, here: Any, there: Any, geodetic: bool) -> Array:
    """Return the metres from pixels to their neighbours."""
    if not geodetic:
        t, unit = grid.transform, unit_metres(grid.crs)
        col = (there[1].start or 0) - (here[1].start or 0)
        row = (there[0].start or 0) - (here[0].start or 0)
        return np.asarray(math.hypot(t.a * col + t.b * row, t.d * col + t.e * row) * unit)
    located = locate(grid, Projection(WGS84))
    degrees = np.broadcast_arrays(located.cols, located.rows)
    points = to_vectors(np.column_stack([v.ravel() for v in degrees])).reshape(*grid.shape, 3)
    chord = np.linalg.norm(points[here] - points[there], axis=2)
    return np.asarray(2 * _EARTH * np.arcsin(chord / 2))

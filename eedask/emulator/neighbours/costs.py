"""Cumulative cost: the cheapest paths from pixel to pixel."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import scipy  # its subpackages are imported when they are first used
from numpy.typing import NDArray

from eedask.emulator.geometry.crs import WGS84
from eedask.emulator.geometry.sphere import to_vectors
from eedask.emulator.neighbours.connected import neighbour_slices
from eedask.emulator.pixels.projection import locate, unit_metres
from eedask.emulator.pixels.raster import Grid, Pixels, Projection

Array = NDArray[Any]

_STEPS = ((1, 0), (0, 1), (1, 1), (-1, 1))
_EARTH = 6378137.0
_LEAST = 1e-12  # a step that costs nothing is still a step


def cheapest(
    cost: Pixels, sources: NDArray[np.bool_], grid: Grid, geodetic: bool
) -> tuple[Array, Array]:
    """Return the cost of the cheapest path from a source to each pixel, and its number of steps.

    A step goes to one of the 8 neighbours.

    Parameters
    ----------
    cost : Pixels
        Cost per metre; masked pixels and those below 0 cannot be crossed.
    sources : ndarray of bool, shape (height, width)
        Where paths start.
    grid : Grid
        Of ``cost`` and ``sources``.
    geodetic : bool
        Whether steps are measured along great circles of a sphere, or in the grid's crs.

    Returns
    -------
    total, steps : ndarray of float64, shape (height, width)
        Infinite where no path leads.
    """
    passable = (cost.mask > 0) & (cost.values >= 0)
    values = np.where(passable, cost.values, 0).astype(np.float64)
    index = np.arange(values.size).reshape(values.shape)
    starts, ends, weights = [], [], []
    for col, row in _STEPS:
        here, there = neighbour_slices(col, row)
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
    """Return the number of steps of the path to each pixel; infinite where there is none.

    Each round doubles the distance that ``parent`` looks back along the path, so the number of
    rounds is the logarithm of the longest path.
    """
    root = before < 0
    parent = np.where(root, np.arange(total.size), before)
    steps = np.where(root, 0.0, 1.0)
    while not root[parent].all():
        steps += steps[parent]
        parent = parent[parent]
    return np.where(np.isfinite(total), steps, math.inf)


def _lengths(grid: Grid, here: Any, there: Any, geodetic: bool) -> Array:
    """Return the distance in metres from each pixel to its neighbour; one number if all agree."""
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

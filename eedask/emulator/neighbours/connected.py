"""Objects: connected pixels of the same value.

https://developers.google.com/earth-engine/guides/image_objects
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import scipy  # its subpackages are imported when they are first used
from numpy.typing import NDArray

from eedask.emulator.pixels.raster import Pixels

Array = NDArray[Any]
Labels = NDArray[np.int32]
Offset = tuple[int, int]

FOUR: tuple[Offset, ...] = ((1, 0), (0, 1))
EIGHT: tuple[Offset, ...] = (*FOUR, (1, 1), (-1, 1))
"""(column, row) offsets of a pixel's 4 or 8 neighbours, one of each pair of opposites."""


def objects(pixels: Pixels, offsets: Sequence[Offset]) -> Labels:
    """Return the label of the object that each pixel belongs to, numbered from 0, -1 where masked.

    Parameters
    ----------
    pixels : Pixels
    offsets : sequence of (column, row)
        From a pixel to the neighbours that it is connected to if they have its value. An offset
        stands for its opposite as well.

    Returns
    -------
    ndarray of int32, shape (height, width)
    """
    shape = pixels.values.shape
    valid = pixels.mask > 0
    index = np.arange(valid.size, dtype=np.int64).reshape(shape)
    starts, ends = [], []
    for col, row in offsets:
        if (col, row) == (0, 0) or abs(row) >= shape[0] or abs(col) >= shape[1]:
            continue
        a, b = neighbour_slices(col, row)
        same = valid[a] & valid[b] & (pixels.values[a] == pixels.values[b])
        starts.append(index[a][same])
        ends.append(index[b][same])
    i = np.concatenate(starts) if starts else np.zeros(0, np.int64)
    j = np.concatenate(ends) if ends else np.zeros(0, np.int64)
    graph = scipy.sparse.coo_matrix((np.ones(i.size, np.int8), (i, j)), (valid.size, valid.size))
    count, labels = scipy.sparse.csgraph.connected_components(graph, directed=False)
    # Each masked pixel is a component of its own: number the components of the others anew.
    used = np.zeros(count, bool)
    used[labels[valid.ravel()]] = True
    numbers = np.cumsum(used) - 1
    return np.where(valid, numbers[labels].reshape(shape), -1).astype(np.int32)


def neighbour_slices(col: int, row: int) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    """Return the slices of the pixels that have a neighbour at an offset, and of the neighbours."""

    def pair(step: int) -> tuple[slice, slice]:
        first, second = slice(0, -abs(step) or None), slice(abs(step), None)
        return (first, second) if step >= 0 else (second, first)

    (rows, other_rows), (cols, other_cols) = pair(row), pair(col)
    return (rows, cols), (other_rows, other_cols)


def sizes(labels: Labels) -> Array:
    """Return the number of pixels of each object, by label."""
    return np.bincount(labels[labels >= 0], minlength=int(labels.max(initial=-1)) + 1)


def extents(labels: Labels) -> tuple[Array, Array]:
    """Return the number of columns and rows that each object spans, by label."""
    there = labels >= 0
    rows, cols = np.nonzero(there)
    label, n = labels[there], int(labels.max(initial=-1)) + 1
    spans = []
    for at in (cols, rows):
        low, high = np.full(n, labels.size, np.int64), np.full(n, -1, np.int64)
        np.minimum.at(low, label, at)
        np.maximum.at(high, label, at)
        spans.append(high - low + 1)
    return spans[0], spans[1]


def first_pixels(labels: Labels) -> tuple[Array, Array]:
    """Return the column and row of each object's first pixel (topmost row, then leftmost)."""
    flat = labels.ravel()
    n = int(flat.max(initial=-1)) + 1
    first = np.zeros(n, np.int64)
    at = np.flatnonzero(flat >= 0)[::-1]
    first[flat[at]] = at  # of an object's pixels, the last one written remains
    return first % labels.shape[1], first // labels.shape[1]


def members(labels: Labels, wanted: Any) -> Iterator[Array]:
    """Yield, for each of the wanted labels, the sorted flat indices of the object's pixels."""
    order = np.argsort(labels, axis=None, kind="stable")
    ordered = labels.ravel()[order]
    starts = np.searchsorted(ordered, wanted)
    stops = np.searchsorted(ordered, wanted, side="right")
    return (order[a:b] for a, b in zip(starts, stops, strict=True))

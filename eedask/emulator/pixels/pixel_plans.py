"""Plans for reading a grid from a raster: the window to read, and the pixel of it for each pixel.

https://developers.google.com/earth-engine/guides/scale
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from eedask.emulator.pixels.native_sources import Numbers, Window
from eedask.emulator.pixels.projection import EDGE, locate
from eedask.emulator.pixels.raster import Grid, Pixels, Projection, is_opaque, uniform


class Picked(NamedTuple):
    """Positions in a source of those pixels of a grid that lie inside it.

    Attributes
    ----------
    at : ndarray, shape (n,)
        Indices of these pixels among those that were asked for.
    rows, cols : ndarray, shape (n,)
        Their positions in the level of the source's pyramid.
    """

    at: NDArray[np.intp]
    rows: Numbers
    cols: Numbers


class Slices(NamedTuple):
    """A plan for a grid that is a window of the source, perhaps reaching beyond its edges.

    ``rows`` and ``cols`` are the part of the grid, of shape ``shape``, that the window fills.
    """

    window: Window
    shape: tuple[int, int]
    rows: slice
    cols: slice

    def apply(self, block: Pixels) -> Pixels:
        """Return the grid's pixels, from those of the window."""
        if block.values.shape == self.shape:
            return block
        values = np.zeros(self.shape, block.values.dtype)
        mask = np.zeros(self.shape, np.float32)
        values[self.rows, self.cols] = block.values
        mask[self.rows, self.cols] = block.mask
        return Pixels(values, mask)

    def pick(self, rows: NDArray[np.intp], cols: NDArray[np.intp], start: int) -> Picked:
        """Return where some pixels are, numbered from ``start``."""
        inside = (rows >= self.rows.start) & (rows < self.rows.stop)
        inside &= (cols >= self.cols.start) & (cols < self.cols.stop)
        r, c = rows[inside] - self.rows.start, cols[inside] - self.cols.start
        return Picked(start + np.flatnonzero(inside), self.window.row + r, self.window.col + c)


class Axes(NamedTuple):
    """A plan for a grid parallel to the source: rows and columns are mapped separately.

    ``rows`` and ``cols`` hold, for each row and column of the grid, that of the window; -1 is
    outside.
    """

    window: Window
    rows: NDArray[np.intp]
    cols: NDArray[np.intp]

    def apply(self, block: Pixels) -> Pixels:
        """Return the grid's pixels, from those of the window."""
        values = block.values.take(self.rows, axis=0, mode="clip")
        values = values.take(self.cols, axis=1, mode="clip")
        outside = (self.rows < 0)[:, None] | (self.cols < 0)[None, :]
        if is_opaque(block.mask):
            if not outside.any():
                return Pixels(values, uniform(1, values.shape))
            return Pixels(values, (~outside).astype(np.float32))
        mask = block.mask.take(self.rows, axis=0, mode="clip")
        mask = mask.take(self.cols, axis=1, mode="clip")
        mask[outside] = 0
        return Pixels(values, mask)

    def pick(self, rows: NDArray[np.intp], cols: NDArray[np.intp], start: int) -> Picked:
        """Return where some pixels are, numbered from ``start``."""
        r, c = self.rows[rows], self.cols[cols]
        inside = (r >= 0) & (c >= 0)
        r, c = self.window.row + r[inside], self.window.col + c[inside]
        return Picked(start + np.flatnonzero(inside), r, c)


class Lookup(NamedTuple):
    """A plan for any other grid: an index into the window for each pixel."""

    window: Window
    flat: NDArray[np.intp]  # into the flattened window; 0 where outside
    inside: NDArray[np.float32] | None  # None: all

    def apply(self, block: Pixels) -> Pixels:
        """Return the grid's pixels, from those of the window."""
        values = block.values.ravel().take(self.flat)
        if is_opaque(block.mask):
            inside = uniform(1, values.shape) if self.inside is None else self.inside
            return Pixels(values, inside)
        mask = block.mask.ravel().take(self.flat)
        return Pixels(values, mask if self.inside is None else mask * self.inside)

    def pick(self, rows: NDArray[np.intp], cols: NDArray[np.intp], start: int) -> Picked:
        """Return where some pixels are, numbered from ``start``."""
        inside = np.full(rows.shape, True) if self.inside is None else self.inside[rows, cols] > 0
        r, c = np.divmod(self.flat[rows, cols][inside], self.window.width)
        return Picked(start + np.flatnonzero(inside), self.window.row + r, self.window.col + c)


# Cached because several bands of a source are usually read on one grid in turn.
@lru_cache(maxsize=4)
def nearest_plan(
    grid: Grid, projection: Projection, width: int, height: int
) -> Slices | Axes | Lookup | None:
    """Return the plan for nearest neighbours; None if the grid lies outside the raster."""
    located = locate(grid, projection)
    with np.errstate(invalid="ignore"):
        cols = np.floor(located.cols + EDGE)
        rows = np.floor(located.rows + EDGE)
    if located.separable:
        return _separable_plan(cols.ravel(), rows.ravel(), width, height)
    inside = (cols >= 0) & (cols < width) & (rows >= 0) & (rows < height)
    everywhere = bool(inside.all())
    if not everywhere:
        if not inside.any():
            return None
        cols, rows = np.where(inside, cols, np.nan), np.where(inside, rows, np.nan)
    left, right = int(np.nanmin(cols)), int(np.nanmax(cols))
    top, bottom = int(np.nanmin(rows)), int(np.nanmax(rows))
    window = Window(left, top, right - left + 1, bottom - top + 1)
    flat = (rows - top) * window.width + (cols - left)
    if not everywhere:
        flat[~inside] = 0
    return Lookup(window, flat.astype(np.intp), None if everywhere else inside.astype(np.float32))


def _separable_plan(
    cols: NDArray[np.float64], rows: NDArray[np.float64], width: int, height: int
) -> Slices | Axes | None:
    in_cols = np.flatnonzero((cols >= 0) & (cols < width))
    in_rows = np.flatnonzero((rows >= 0) & (rows < height))
    if not in_cols.size or not in_rows.size:
        return None
    c, r = cols[in_cols].astype(np.intp), rows[in_rows].astype(np.intp)
    left, top = int(c.min()), int(r.min())
    window = Window(left, top, int(c.max()) - left + 1, int(r.max()) - top + 1)
    if (np.diff(c) == 1).all() and (np.diff(r) == 1).all():
        return Slices(
            window,
            (rows.size, cols.size),
            slice(int(in_rows[0]), int(in_rows[-1]) + 1),
            slice(int(in_cols[0]), int(in_cols[-1]) + 1),
        )
    col_index = np.full(cols.size, -1, np.intp)
    row_index = np.full(rows.size, -1, np.intp)
    col_index[in_cols], row_index[in_rows] = c - left, r - top
    return Axes(window, row_index, col_index)


class Interpolation(NamedTuple):
    """Bilinear or bicubic interpolation between pixel centres.

    Masked source pixels are left out and the weights of the others scaled to a sum of 1. The
    mask is that of the nearest source pixel (a guess: Earth Engine does not document it).
    """

    window: Window
    cols: NDArray[np.float64]  # fractional, in pixels of the window, centres at whole numbers
    rows: NDArray[np.float64]
    inside: NDArray[np.bool_]
    bicubic: bool

    def apply(self, block: Pixels) -> Pixels:
        """Return the grid's pixels, from those of the window."""
        height, width = block.values.shape
        total = np.zeros(self.inside.shape)
        weight = np.zeros(self.inside.shape)
        valid = block.mask > 0
        data = np.where(valid, block.values, 0).astype(np.float64)
        row_taps = list(taps(self.rows, self.bicubic))
        for col, col_weight in taps(self.cols, self.bicubic):
            in_col = (col >= 0) & (col < width)
            for row, row_weight in row_taps:
                known = in_col & (row >= 0) & (row < height)
                r, c = np.where(known, row, 0), np.where(known, col, 0)
                w = np.where(known & valid[r, c], col_weight * row_weight, 0.0)
                total += w * data[r, c]
                weight += w
        nearest_row = np.clip(np.floor(self.rows + 0.5 + EDGE), 0, height - 1).astype(np.intp)
        nearest_col = np.clip(np.floor(self.cols + 0.5 + EDGE), 0, width - 1).astype(np.intp)
        mask = np.where(self.inside, block.mask[nearest_row, nearest_col], 0)
        with np.errstate(invalid="ignore", divide="ignore"):
            values = np.where(mask > 0, total / weight, 0)
        if block.values.dtype.kind in "iu":
            info = np.iinfo(block.values.dtype)
            values = np.clip(np.rint(values), info.min, info.max)
        return Pixels(values.astype(block.values.dtype), mask.astype(np.float32))


def taps(
    position: NDArray[np.float64], bicubic: bool
) -> list[tuple[NDArray[np.intp], NDArray[np.float64]]]:
    """Return, for each pixel around positions on one axis, its index and weight.

    There are 2 for linear interpolation, 4 for bicubic (Keys' cubic, a = -1/2).
    """
    base = np.floor(position)
    t = position - base
    first = base.astype(np.intp)
    if not bicubic:
        return [(first, 1 - t), (first + 1, t)]
    return [
        (first - 1, ((-0.5 * t + 1.0) * t - 0.5) * t),
        (first, (1.5 * t - 2.5) * t * t + 1.0),
        (first + 1, ((-1.5 * t + 2.0) * t + 0.5) * t),
        (first + 2, (0.5 * t - 0.5) * t * t),
    ]


@lru_cache(maxsize=4)
def interpolation_plan(
    grid: Grid, projection: Projection, width: int, height: int
) -> Interpolation | None:
    """Return the plan for interpolation; None if the grid lies outside the raster."""
    located = locate(grid, projection)
    cols, rows = np.broadcast_arrays(located.cols, located.rows)
    with np.errstate(invalid="ignore"):
        inside = (cols >= 0) & (cols < width) & (rows >= 0) & (rows < height)
    if not inside.any():
        return None
    cols, rows = np.where(inside, cols - 0.5, 0), np.where(inside, rows - 0.5, 0)
    left = max(0, math.floor(cols[inside].min()) - 1)
    top = max(0, math.floor(rows[inside].min()) - 1)
    right = min(width, math.floor(cols[inside].max()) + 3)
    bottom = min(height, math.floor(rows[inside].max()) + 3)
    window = Window(left, top, right - left, bottom - top)
    bicubic = grid.resampling == "bicubic"
    return Interpolation(window, cols - left, rows - top, inside, bicubic)

"""From a native raster to bands that answer on any grid.

A band's reader picks the level of the raster's pyramid whose pixels are the largest that are
not larger than those asked for, finds the source pixel under each pixel centre, and reads the
one window of the level that holds them. On the raster's own grid that window is the answer.
https://developers.google.com/earth-engine/guides/scale
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from typing import Any, NamedTuple, Protocol

import numpy as np
from affine import Affine
from numpy.typing import NDArray

from eedask.emulator.array_values import choose
from eedask.emulator.projection import EDGE, locate, pixel_ratio
from eedask.emulator.raster import (
    Band,
    Grid,
    Pixels,
    PixelType,
    Places,
    Projection,
    compose,
    is_clear,
    is_opaque,
    uniform,
)
from eedask.emulator.scattered import counted, lying, positions, ratios, scatter

Numbers = NDArray[np.int64]


class Window(NamedTuple):
    """A rectangle of native pixels of one pyramid level."""

    col: int
    row: int
    width: int
    height: int


class NativeSource(Protocol):
    """One raster: all its bands on one grid, with a pyramid of coarser levels.

    Level k has pixels ``2**k`` as large as level 0, ``ceil(width / 2**k)`` by
    ``ceil(height / 2**k)`` of them, from the same corner. A source whose pixels can be had by
    themselves has a method ``read_points(band, level, cols, rows) -> Pixels | None`` as well,
    shape (1, n), and if none of its pixels is masked an attribute ``is_opaque`` that is true.
    """

    projection: Projection
    width: int
    height: int

    def read(self, band: int, level: int, window: Window) -> Pixels:
        """Return the pixels of a window that lies inside the level."""


def source_bands(
    source: NativeSource, ids: Sequence[str], types: Sequence[PixelType]
) -> tuple[Band, ...]:
    """Return one lazy band per raster band of a source.

    Parameters
    ----------
    source : NativeSource
    ids, types : sequences
        The bands' names and pixel types, in the source's order.
    """
    # One for all bands, so that what it says of one holds for the next.
    covers = partial(_covers, source) if getattr(source, "is_opaque", False) else None
    return tuple(
        Band(
            id=name,
            type=kind,
            projection=source.projection,
            read=_reader(source, index, kind.dtype, covers),
            dimensions=(source.width, source.height),
        )
        for index, (name, kind) in enumerate(zip(ids, types, strict=True))
    )


def _reader(
    source: NativeSource, band: int, dtype: np.dtype[Any], covers: Callable[..., Any] | None
) -> Callable[[Grid], Pixels]:
    read = partial(_read, source, band, dtype)
    if hasattr(source, "read_points"):
        read.points = partial(_read_points, source, band, dtype)  # type: ignore[attr-defined]
        if covers is not None:
            read.covers = covers  # type: ignore[attr-defined]
    return read


def _read_points(
    source: Any, band: int, dtype: np.dtype[Any], places: Sequence[Places]
) -> Pixels | None:
    """Return the pixels of places, shape (1, n), each on the level that its grid is read on."""
    n = sum(len(place.rows) for place in places)
    values, mask = np.zeros((1, n), dtype), np.zeros((1, n), np.float32)
    if any(place.grid.resampling != "nearest" for place in places):
        return None
    for level, parts in _picked(source, places).items():
        at, in_rows, in_cols = (np.concatenate(part) for part in zip(*parts, strict=True))
        if at.size:
            found = source.read_points(band, level, in_cols, in_rows)
            if found is None:
                return None
            values[0, at], mask[0, at] = found.values[0], found.mask[0]
    return Pixels(values, mask)


def _picked(source: NativeSource, places: Sequence[Places]) -> dict[int, list[Picked]]:
    """Return where the pixels of places are in a source, by level."""
    picked: dict[int, list[Picked]] = {}
    found = scatter(tuple(places), source.projection.crs) if places else None
    if found is None:
        for place, span in zip(places, counted(places), strict=True):
            level = _level(place.grid, source)
            plan = _nearest_plan(place.grid, *_sized(source, level))
            if plan is not None:
                picked.setdefault(level, []).append(plan.pick(place.rows, place.cols, span.start))
        return picked
    levels = [_level_of(ratio, source) for ratio in ratios(found.sizes, source.projection)]
    at = np.repeat(levels, [len(place.rows) for place in places])
    for level in sorted(set(levels)):
        on = np.flatnonzero(at == level)
        projection, width, height = _sized(source, level)
        x, y = positions(projection.transform, found.x[on], found.y[on])
        with np.errstate(invalid="ignore"):
            cols, rows = np.floor(x + EDGE), np.floor(y + EDGE)
        inside = (cols >= 0) & (cols < width) & (rows >= 0) & (rows < height)
        cols, rows = cols[inside].astype(np.int64), rows[inside].astype(np.int64)
        picked[level] = [Picked(on[inside], rows, cols)]
    return picked


def _covers(source: NativeSource, places: tuple[Places, ...]) -> list[bool | None] | None:
    """Return of each grid whether it lies in a source wholly or not at all; None if it is open."""
    if any(place.grid.resampling != "nearest" for place in places):
        return None
    found = scatter(places, source.projection.crs)
    if found is None:
        return None
    cols, rows = positions(source.projection.transform, *found.around)
    levels = [_level_of(ratio, source) for ratio in ratios(found.sizes, source.projection)]
    factor = 2.0 ** np.array(levels)
    cols, rows = cols / factor[:, None], rows / factor[:, None]
    return lying(cols, rows, source.width / factor, source.height / factor)


def _sized(source: NativeSource, level: int) -> tuple[Projection, int, int]:
    """Return the projection, width and height of a level."""
    factor = 2**level
    projection = source.projection
    if level:
        projection = Projection(projection.crs, compose(projection.transform, Affine.scale(factor)))
    return projection, math.ceil(source.width / factor), math.ceil(source.height / factor)


def _read(source: NativeSource, band: int, dtype: np.dtype[Any], grid: Grid) -> Pixels:
    level = _level(grid, source)
    projection, width, height = _sized(source, level)
    plan: _Slices | _Axes | _Lookup | _Interpolation | None
    if grid.resampling == "nearest":
        plan = _nearest_plan(grid, projection, width, height)
    else:
        plan = _interpolation_plan(grid, projection, width, height)
    if plan is None:
        return masked(grid.shape, dtype)
    block = source.read(band, level, plan.window)
    pixels = plan.apply(block)
    return Pixels(pixels.values.astype(dtype, copy=False), pixels.mask)


def masked(shape: tuple[int, int], dtype: Any) -> Pixels:
    """Return pixels that are masked everywhere."""
    return Pixels(uniform(0, shape, dtype), uniform(0, shape))


def _level(grid: Grid, source: NativeSource) -> int:
    return _level_of(pixel_ratio(grid, source.projection), source)


def _level_of(ratio: float, source: NativeSource) -> int:
    highest = max(0, math.ceil(math.log2(max(source.width, source.height, 1))))
    return min(highest, max(0, math.floor(math.log2(max(ratio, 1.0) * (1 + EDGE)))))


class Picked(NamedTuple):
    """Where pixels of a grid are in a source: those that are in it at all.

    Attributes
    ----------
    at : ndarray, shape (n,)
        Which of those that were asked for.
    rows, cols : ndarray, shape (n,)
        Of the level.
    """

    at: NDArray[np.intp]
    rows: Numbers
    cols: Numbers


class _Slices(NamedTuple):
    """The grid is a window of the source, but for what sticks out of it."""

    window: Window
    shape: tuple[int, int]
    rows: slice
    cols: slice

    def apply(self, block: Pixels) -> Pixels:
        if block.values.shape == self.shape:
            return block
        values = np.zeros(self.shape, block.values.dtype)
        mask = np.zeros(self.shape, np.float32)
        values[self.rows, self.cols] = block.values
        mask[self.rows, self.cols] = block.mask
        return Pixels(values, mask)

    def pick(self, rows: NDArray[np.intp], cols: NDArray[np.intp], start: int) -> Picked:
        inside = (rows >= self.rows.start) & (rows < self.rows.stop)
        inside &= (cols >= self.cols.start) & (cols < self.cols.stop)
        r, c = rows[inside] - self.rows.start, cols[inside] - self.cols.start
        return Picked(start + np.flatnonzero(inside), self.window.row + r, self.window.col + c)


class _Axes(NamedTuple):
    """Rows and columns are picked apart from each other; -1 is outside."""

    window: Window
    rows: NDArray[np.intp]
    cols: NDArray[np.intp]

    def apply(self, block: Pixels) -> Pixels:
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
        r, c = self.rows[rows], self.cols[cols]
        inside = (r >= 0) & (c >= 0)
        r, c = self.window.row + r[inside], self.window.col + c[inside]
        return Picked(start + np.flatnonzero(inside), r, c)


class _Lookup(NamedTuple):
    """Every pixel is picked by itself."""

    window: Window
    flat: NDArray[np.intp]  # into the flattened window; 0 where outside
    inside: NDArray[np.float32] | None  # None: all

    def apply(self, block: Pixels) -> Pixels:
        values = block.values.ravel().take(self.flat)
        if is_opaque(block.mask):
            inside = uniform(1, values.shape) if self.inside is None else self.inside
            return Pixels(values, inside)
        mask = block.mask.ravel().take(self.flat)
        return Pixels(values, mask if self.inside is None else mask * self.inside)

    def pick(self, rows: NDArray[np.intp], cols: NDArray[np.intp], start: int) -> Picked:
        inside = np.full(rows.shape, True) if self.inside is None else self.inside[rows, cols] > 0
        r, c = np.divmod(self.flat[rows, cols][inside], self.window.width)
        return Picked(start + np.flatnonzero(inside), self.window.row + r, self.window.col + c)


# One grid is usually read from several bands of one source, one after the other.
@lru_cache(maxsize=4)
def _nearest_plan(
    grid: Grid, projection: Projection, width: int, height: int
) -> _Slices | _Axes | _Lookup | None:
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
    return _Lookup(window, flat.astype(np.intp), None if everywhere else inside.astype(np.float32))


def _separable_plan(
    cols: NDArray[np.float64], rows: NDArray[np.float64], width: int, height: int
) -> _Slices | _Axes | None:
    in_cols = np.flatnonzero((cols >= 0) & (cols < width))
    in_rows = np.flatnonzero((rows >= 0) & (rows < height))
    if not in_cols.size or not in_rows.size:
        return None
    c, r = cols[in_cols].astype(np.intp), rows[in_rows].astype(np.intp)
    left, top = int(c.min()), int(r.min())
    window = Window(left, top, int(c.max()) - left + 1, int(r.max()) - top + 1)
    if (np.diff(c) == 1).all() and (np.diff(r) == 1).all():
        return _Slices(
            window,
            (rows.size, cols.size),
            slice(int(in_rows[0]), int(in_rows[-1]) + 1),
            slice(int(in_cols[0]), int(in_cols[-1]) + 1),
        )
    col_index = np.full(cols.size, -1, np.intp)
    row_index = np.full(rows.size, -1, np.intp)
    col_index[in_cols], row_index[in_rows] = c - left, r - top
    return _Axes(window, row_index, col_index)


class _Interpolation(NamedTuple):
    """Bilinear or bicubic interpolation between pixel centres.

    The weights of masked pixels are left out and the others scaled up to 1; a pixel is masked
    as its nearest source pixel is (a guess: Earth Engine does not say what becomes of masks).
    """

    window: Window
    cols: NDArray[np.float64]  # fractional, in pixels of the window, centres at whole numbers
    rows: NDArray[np.float64]
    inside: NDArray[np.bool_]
    bicubic: bool

    def apply(self, block: Pixels) -> Pixels:
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
    """Return the source pixels around positions and their weights (Keys' cubic, a = -1/2)."""
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
def _interpolation_plan(
    grid: Grid, projection: Projection, width: int, height: int
) -> _Interpolation | None:
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
    return _Interpolation(window, cols - left, rows - top, inside, bicubic)


def over(top: Pixels, bottom: Pixels) -> Pixels:
    """Lay pixels over others: where the top is masked, the bottom shows."""
    if is_opaque(top.mask) or is_clear(bottom.mask):
        return top
    if is_clear(top.mask):
        return bottom
    shows = top.mask > 0
    values = choose(shows, top.values, bottom.values)
    return Pixels(values, np.where(shows, top.mask, bottom.mask))

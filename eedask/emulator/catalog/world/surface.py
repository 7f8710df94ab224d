"""Smooth random surfaces over the land plane, many at once.

For each q the plane is divided into cells of ``2**q`` metres, and every surface has a random
number in each cell. From coarse to fine, cells are halved by corner cutting (so that a surface is
a quadratic spline at every scale) and the numbers of the next scale are added. All operations are
elementwise, so that the value of a cell does not depend on the window that is computed.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from eedask.emulator.catalog.world.noise import mixed, uniform

Floats = NDArray[np.float32]

# For the hashes of cells: the factors of columns and rows, and the mask of 32 bits.
_EAST, _SOUTH, _LOW = 0x9E3779B1, 0x85EBCA77, 0xFFFFFFFF

# Up to this many columns are halved by gathering, which takes few operations on arrays. For more
# columns, strided additions are faster, as they take less time for each cell.
_NARROW = 64


class Cells(NamedTuple):
    """A rectangle of cells of ``2**q`` metres. Columns are counted eastwards, rows southwards."""

    q: int
    col: int
    row: int
    width: int
    height: int

    def coarser(self, by: int, margin: int = 0) -> Cells:
        """Return the cells of ``2**(q + by)`` metres that cover these, with a margin of cells."""
        col, row = (self.col >> by) - margin, (self.row >> by) - margin
        last_col = ((self.col + self.width - 1) >> by) + margin
        last_row = ((self.row + self.height - 1) >> by) + margin
        return Cells(self.q + by, col, row, last_col - col + 1, last_row - row + 1)


class Scattered(NamedTuple):
    """Single cells of ``2**q`` metres, drawn as one line of pixels.

    Attributes
    ----------
    q : int
    cols, rows : ndarray of int64, shape (n,)
    """

    q: int
    cols: NDArray[np.int64]
    rows: NDArray[np.int64]


def surfaces(
    cells: Cells,
    amplitudes: Sequence[Sequence[float]],
    top: int,
    seed: int,
    wanted: Sequence[int] | None = None,
) -> Floats:
    """Return n random surfaces on cells, shape (n, height, width), with means around 0.

    Parameters
    ----------
    cells : Cells
    amplitudes : sequence of sequences of float
        For each surface the amplitudes of its noise on cells of ``2**top``, ``2**(top - 1)`` ...
        metres. Those of scales finer than the cells are ignored.
    top : int
        Binary logarithm of the size of the largest cells, in metres.
    seed : int
    wanted : sequence of int, optional
        The numbers of the surfaces to return; by default all.
    """
    numbers = range(len(amplitudes)) if wanted is None else wanted
    scales = _scales(tuple(map(tuple, amplitudes)), top, seed, tuple(numbers))
    steps = range(max(0, top - cells.q), -1, -1)
    boxes = [cells.coarser(by, 2 if by or cells.q >= top else 0) for by in steps]
    drawn = _drawn(boxes, scales)
    at = boxes[0]
    total = np.zeros((len(numbers), at.height, at.width), np.float32)
    for box in boxes:
        if box is not at:
            total = _halved(total, at, box)
        if box.q in drawn:
            total[scales[box.q].which] += drawn[box.q]
        at = box
    row, col = cells.row - at.row, cells.col - at.col
    return total[:, row : row + cells.height, col : col + cells.width]


class _Scale(NamedTuple):
    """The noise of surfaces on cells of one size.

    Attributes
    ----------
    which : ndarray of intp, or slice
        The n surfaces whose amplitude is not 0.
    seeds : ndarray of uint32, shape (n, 1, 1)
    weights : ndarray of float32, shape (n, 1, 1)
        The amplitudes.
    """

    which: NDArray[np.intp] | slice
    seeds: NDArray[np.uint32]
    weights: Floats


@lru_cache(maxsize=64)
def _scales(
    amplitudes: tuple[tuple[float, ...], ...], top: int, seed: int, wanted: tuple[int, ...]
) -> dict[int, _Scale]:
    """Return the noise of surfaces at every scale, by the binary logarithm of the cells' size."""
    found = {}
    for step in range(max(map(len, amplitudes))):
        series = [amplitudes[n][step] if step < len(amplitudes[n]) else 0.0 for n in wanted]
        weights = np.array(series, np.float32)
        which = np.flatnonzero(weights)
        if which.size:
            found[top - step] = _Scale(
                which if which.size < len(wanted) else slice(None),
                _seeds(np.array(wanted)[which], top - step, seed).reshape(-1, 1, 1),
                weights[which].reshape(-1, 1, 1),
            )
    return found


def _drawn(boxes: list[Cells], scales: dict[int, _Scale]) -> dict[int, Floats]:
    """Return the noise in rectangles of cells of several sizes, by the logarithm of the size.

    All are hashed in one array: most rectangles are so small that the overhead of operations on
    each array would take longer than the hashing.
    """
    boxes = [box for box in boxes if box.q in scales]
    if not boxes:
        return {}
    east = _bits([(box.col, box.width) for box in boxes], _EAST)
    south = _bits([(box.row, box.height) for box in boxes], _SOUTH)
    bits, x, y = [], 0, 0
    for box in boxes:
        lines = scales[box.q].seeds ^ south[y : y + box.height, None]
        bits.append(lines ^ east[x : x + box.width])
        x, y = x + box.width, y + box.height
    numbers, start, found = _uniform(np.concatenate(bits, axis=None)), 0, {}
    for box, part in zip(boxes, bits, strict=True):
        values = numbers[start : start + part.size].reshape(part.shape)
        values *= scales[box.q].weights
        found[box.q] = values
        start += part.size
    return found


def _bits(spans: list[tuple[int, int]], factor: int) -> NDArray[np.uint32]:
    """Return the terms of columns or rows in the hashes of cells, for spans of (first, count)."""
    numbers = np.concatenate([np.arange(first, first + count) for first, count in spans])
    return (numbers * factor & _LOW).astype(np.uint32)


def _seeds(which: NDArray[np.intp], q: int, seed: int) -> NDArray[np.uint32]:
    """Return the seeds of surfaces on cells of ``2**q`` metres."""
    return ((which.astype(np.int64) + (seed + 101 * q)) * 0xC2B2AE3D & _LOW).astype(np.uint32)


def _uniform(bits: NDArray[np.uint32]) -> Floats:
    """Return hashes as random numbers from -1 to 1."""
    numbers = uniform(mixed(bits))
    numbers *= 2
    numbers -= 1
    return numbers


def patches(
    q: int,
    cols: NDArray[np.int64],
    rows: NDArray[np.int64],
    amplitudes: Sequence[Sequence[float]],
    top: int,
    seed: int,
    wanted: Sequence[int],
) -> Floats:
    """Return random surfaces around n single cells, shape (surfaces, n, 4, 4).

    They are exactly those of :func:`surfaces`. Each patch has four by four cells, from the one
    before the cell in both directions; it is computed from four by four cells at every scale.

    Parameters
    ----------
    q : int
        The cells are of ``2**q`` metres; less than ``top``.
    cols, rows : ndarray, shape (n,)
    amplitudes, top, seed, wanted
        As for :func:`surfaces`.
    """
    numbers = np.array(wanted)
    starts = [(cols - 1, rows - 1)]
    for _ in range(top - q):
        col, row = starts[-1]
        starts.append(((col - 1) >> 1, (row - 1) >> 1))
    total = np.zeros((len(numbers), len(cols), 4, 4), np.float32)
    for step, (col, row) in enumerate(reversed(starts)):
        if step:
            total = _halved_patches(total, col, row)
        series = [amplitudes[n][step] if step < len(amplitudes[n]) else 0.0 for n in wanted]
        weights = np.array(series, np.float32)
        which = np.flatnonzero(weights)
        if which.size:
            x, y = col[:, None, None] + np.arange(4), row[:, None, None] + np.arange(4)[:, None]
            drawn = _numbers(top - step, x, y, numbers[which], seed)
            total[which] += weights[which, None, None, None] * drawn
    return total


def _numbers(
    q: int, x: NDArray[np.int64], y: NDArray[np.int64], which: NDArray[np.intp], seed: int
) -> Floats:
    """Return the random numbers, -1 to 1, of some surfaces in cells of columns x and rows y."""
    seeds = _seeds(which, q, seed).reshape(-1, *(1,) * y.ndim)
    lines = seeds ^ (y * _SOUTH & _LOW).astype(np.uint32)
    return _uniform(lines ^ (x * _EAST & _LOW).astype(np.uint32))


def _halved(values: Floats, at: Cells, finer: Cells) -> Floats:
    """Return surfaces on cells half as large, by corner cutting along columns, then along rows."""
    within, beside = _halves(finer.row - 2 * at.row, finer.height)
    near, far = np.float32(0.75) * values, np.float32(0.25) * values
    down = near.take(within, axis=1)
    down += far.take(beside, axis=1)
    near, far = np.float32(0.75) * down, np.float32(0.25) * down
    if finer.width <= _NARROW:
        within, beside = _halves(finer.col - 2 * at.col, finer.width)
        gathered = near.take(within, axis=2)
        gathered += far.take(beside, axis=2)
        return gathered
    across = np.empty((*down.shape[:2], 2 * down.shape[2]), np.float32)
    np.add(near[..., 1:], far[..., :-1], out=across[..., 2::2])
    np.add(near[..., :-1], far[..., 1:], out=across[..., 1:-1:2])
    first = finer.col - 2 * at.col
    return across[..., first : first + finer.width]


@lru_cache(maxsize=1024)
def _halves(first: int, count: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return, for each half-size cell, the cell that contains it and the one that it is next to."""
    halves = np.arange(first, first + count)
    within = halves >> 1
    return within, within + np.where(halves & 1, 1, -1)


# For each of the four cells along one axis of a patch, the position in the patch of cells twice as
# large of the cell that contains it, and of the one that it is next to. The first row is for
# patches that start at an even cell, the second for an odd one.
_WITHIN = np.array([[1, 1, 2, 2], [0, 1, 1, 2]])
_BESIDE = np.array([[0, 2, 1, 3], [1, 0, 2, 1]])


def _halved_patches(values: Floats, cols: NDArray[np.int64], rows: NDArray[np.int64]) -> Floats:
    """Return patches of cells half as large, (surfaces, n, 4, 4), that start at cols and rows."""
    each = np.arange(len(cols))[:, None]
    near, far = np.float32(0.75) * values, np.float32(0.25) * values
    down = near[:, each, _WITHIN[rows & 1]] + far[:, each, _BESIDE[rows & 1]]
    near, far = np.float32(0.75) * down, np.float32(0.25) * down
    each, line = each[..., None], np.arange(4)[:, None]
    within, beside = _WITHIN[cols & 1][:, None], _BESIDE[cols & 1][:, None]
    across: Floats = near[:, each, line, within] + far[:, each, line, beside]
    return across


def spread(values: Floats, by: int, window: tuple[int, int, int, int]) -> Floats:
    """Return values interpolated bilinearly between the centres of cells, at a window of pixels.

    Parameters
    ----------
    values : ndarray, shape (rows, columns)
        The values at the centres of cells.
    by : int
        A cell is ``2**by`` pixels wide.
    window : (int, int, int, int)
        Column and row of the first pixel, counted from the centre of the first cell; width and
        height in pixels.
    """
    col, row, width, height = window
    step = 2**by
    cell, part = _within(col, width, by)
    slope = values[:, 1:] - values[:, :-1]
    across = slope.take(cell, axis=1)
    across *= part
    across += values.take(cell, axis=1)
    first, last = row >> by, (row + height - 1) >> by
    lines = across[first : last + 1, None]
    rise = across[first + 1 : last + 2] - across[first : last + 1]
    # The same as multiplying with broadcasting, in half the time.
    down: Floats = np.einsum("im,k->ikm", rise, _within(0, step, by)[1])
    down += lines
    first = row & (step - 1)
    return down.reshape(-1, width)[first : first + height]


@lru_cache(maxsize=1024)
def _within(first: int, count: int, by: int) -> tuple[NDArray[np.intp], Floats]:
    """Return, for each pixel, the cell whose centre is before it and the fraction to the next."""
    pixels = np.arange(first, first + count)
    part = (pixels & (2**by - 1)).astype(np.float32) + np.float32(0.5)
    return pixels >> by, part / np.float32(2**by)


def spread_at(values: Floats, by: int, cols: NDArray[np.int64], rows: NDArray[np.int64]) -> Floats:
    """Return the values that :func:`spread` interpolates at n single pixels, shape (n,).

    Parameters
    ----------
    values : ndarray, shape (n, 2, 2)
        The values of the four cells between whose centres each pixel lies.
    by : int
        A cell is ``2**by`` pixels wide.
    cols, rows : ndarray, shape (n,)
        The pixels, counted from the centre of the first of the four cells.
    """
    step = np.float32(2**by)
    east = (cols.astype(np.float32) + np.float32(0.5)) / step
    south = (rows.astype(np.float32) + np.float32(0.5)) / step
    slope = values[:, :, 1] - values[:, :, 0]
    across = values[:, :, 0] + slope * east[:, None]
    down: Floats = (across[:, 1] - across[:, 0]) * south + across[:, 0]
    return down

"""Smooth random surfaces over the land plane, many at once.

The plane is divided into cells of ``2**q`` metres for each q, and every surface has a random
number in each cell. From coarse to fine, cells are halved by corner cutting (so that a surface is
a quadratic spline at every scale) and the next scale's numbers are added. All is elementwise
on whole cells, so a cell's value never depends on the window that it is computed in.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from eedask.emulator.catalog.noise import mixed, uniform

Floats = NDArray[np.float32]


class Cells(NamedTuple):
    """A rectangle of cells of ``2**q`` metres: columns count east, rows south."""

    q: int
    col: int
    row: int
    width: int
    height: int

    def coarser(self, by: int, margin: int = 0) -> Cells:
        """Return the cells of ``2**(q + by)`` metres that cover these, and some around them."""
        col, row = (self.col >> by) - margin, (self.row >> by) - margin
        last_col = ((self.col + self.width - 1) >> by) + margin
        last_row = ((self.row + self.height - 1) >> by) + margin
        return Cells(self.q + by, col, row, last_col - col + 1, last_row - row + 1)


class Scattered(NamedTuple):
    """Cells of ``2**q`` metres by themselves, where they are drawn as one line of pixels.

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
    """Return random surfaces on cells, shape (n, height, width), means around 0.

    Parameters
    ----------
    amplitudes : sequence of n sequences
        Amplitudes of each surface at cells of ``2**top``, ``2**(top - 1)`` ... metres. Scales
        finer than the cells are left out.
    wanted : sequence of int, optional
        The numbers of those to return; all if left out.
    """
    numbers = np.arange(len(amplitudes)) if wanted is None else np.array(wanted)
    count = len(numbers)
    weights = np.zeros((max(map(len, amplitudes)), count), np.float32)
    for index, number in enumerate(numbers):
        weights[: len(amplitudes[number]), index] = amplitudes[number]
    at = cells.coarser(max(0, top - cells.q), 2)
    total = np.zeros((count, at.height, at.width), np.float32)
    while True:
        step = top - at.q
        if 0 <= step < len(weights):
            which = np.flatnonzero(weights[step])
            if which.size:
                total[which] += weights[step][which, None, None] * _numbers(
                    at.q,
                    np.arange(at.col, at.col + at.width)[None, :],
                    np.arange(at.row, at.row + at.height)[:, None],
                    numbers[which],
                    seed,
                )
        if at.q == cells.q:
            break
        finer = cells.coarser(at.q - 1 - cells.q, 2 if at.q - 1 > cells.q else 0)
        total = _halved(total, at, finer)
        at = finer
    row, col = cells.row - at.row, cells.col - at.col
    return total[:, row : row + cells.height, col : col + cells.width]


def patches(
    q: int,
    cols: NDArray[np.int64],
    rows: NDArray[np.int64],
    amplitudes: Sequence[Sequence[float]],
    top: int,
    seed: int,
    wanted: Sequence[int],
) -> Floats:
    """Return random surfaces around n cells by themselves, shape (n surfaces, n, 4, 4).

    To the bit what :func:`surfaces` has there. Four cells a side, from the one before each, are
    made of four a side at every scale.

    Parameters
    ----------
    q : int
        Of the cells; less than ``top``.
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
    """Return the random numbers, -1 to 1, in cells of columns x and rows y of some surfaces."""
    s = (which.astype(np.int64) + (seed + 101 * q)) * 0xC2B2AE3D
    low = 0xFFFFFFFF
    s = (s & low).reshape(-1, *(1,) * y.ndim)
    lines = (s ^ (y * 0x85EBCA77 & low)).astype(np.uint32)
    numbers = uniform(mixed(lines ^ (x * 0x9E3779B1 & low).astype(np.uint32)))
    numbers *= 2
    numbers -= 1
    return numbers


def _halved(values: Floats, at: Cells, finer: Cells) -> Floats:
    """Return the surfaces on cells half as large, by cutting corners down and then across."""
    count, height, width = values.shape
    near, far = np.float32(0.75) * values, np.float32(0.25) * values
    down = np.empty((count, 2 * height, width), np.float32)
    np.add(near[:, 1:], far[:, :-1], out=down[:, 2::2])
    np.add(near[:, :-1], far[:, 1:], out=down[:, 1:-1:2])
    first = finer.row - 2 * at.row
    rows = down[:, first : first + finer.height]
    near, far = np.float32(0.75) * rows, np.float32(0.25) * rows
    across = np.empty((count, finer.height, 2 * width), np.float32)
    np.add(near[..., 1:], far[..., :-1], out=across[..., 2::2])
    np.add(near[..., :-1], far[..., 1:], out=across[..., 1:-1:2])
    first = finer.col - 2 * at.col
    return across[..., first : first + finer.width]


# Of the four cells of a patch along an axis that begins at an even cell or an odd one: where, in
# the patch of cells twice as large, the one that each is in is, and the one that it is next to.
_WITHIN = np.array([[1, 1, 2, 2], [0, 1, 1, 2]])
_BESIDE = np.array([[0, 2, 1, 3], [1, 0, 2, 1]])


def _halved_patches(values: Floats, cols: NDArray[np.int64], rows: NDArray[np.int64]) -> Floats:
    """Return patches of cells half as large, (surfaces, n, 4, 4), that begin at cols and rows."""
    each = np.arange(len(cols))[:, None]
    near, far = np.float32(0.75) * values, np.float32(0.25) * values
    down = near[:, each, _WITHIN[rows & 1]] + far[:, each, _BESIDE[rows & 1]]
    near, far = np.float32(0.75) * down, np.float32(0.25) * down
    each, line = each[..., None], np.arange(4)[:, None]
    within, beside = _WITHIN[cols & 1][:, None], _BESIDE[cols & 1][:, None]
    across: Floats = near[:, each, line, within] + far[:, each, line, beside]
    return across


def spread(values: Floats, by: int) -> Floats:
    """Return values between cell middles, bilinear, ``2**by`` pixels a cell.

    Of n by m cells the outer half of the outermost is lost:
    the result has shape ((n - 1) * 2**by, (m - 1) * 2**by).
    """
    step = 2**by
    part = ((np.arange(step, dtype=np.float32) + np.float32(0.5)) / np.float32(step))[:, None]
    n, m = values.shape
    slope = values[:, 1:] - values[:, :-1]
    across = (values[:, :-1, None] + slope[:, :, None] * part[:, 0]).reshape(n, (m - 1) * step)
    rise = across[1:] - across[:-1]
    down = rise[:, None] * part
    down += across[:-1, None]
    return down.reshape((n - 1) * step, (m - 1) * step)


def spread_at(values: Floats, by: int, cols: NDArray[np.int64], rows: NDArray[np.int64]) -> Floats:
    """Return, at n pixels, what :func:`spread` makes of the cells around each, shape (n,).

    Parameters
    ----------
    values : ndarray, shape (n, 2, 2)
        Of the cells between whose middles each pixel lies.
    by : int
    cols, rows : ndarray, shape (n,)
        The pixels, counted from the middle of the first of the four cells.
    """
    step = np.float32(2**by)
    east = (cols.astype(np.float32) + np.float32(0.5)) / step
    south = (rows.astype(np.float32) + np.float32(0.5)) / step
    slope = values[:, :, 1] - values[:, :, 0]
    across = values[:, :, 0] + slope * east[:, None]
    down: Floats = (across[:, 1] - across[:, 0]) * south + across[:, 0]
    return down

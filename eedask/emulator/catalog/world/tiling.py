"""Assembling rectangles of cells from tiles, which callers cache."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

TILE = 256  # cells a side


def assembled(
    tile: Callable[[int, int], NDArray[Any]], left: int, top: int, right: int, bottom: int
) -> NDArray[Any]:
    """Return the cells of a rectangle, shape (bottom - top + 1, right - left + 1).

    Parameters
    ----------
    tile : callable
        ``tile(col, row)`` returns the cells of a tile, shape (256, 256). Tile (0, 0) starts at
        cell (0, 0).
    left, top, right, bottom : int
        The first and the last columns and rows, which are all included.
    """
    cols = range(left // TILE, right // TILE + 1)
    rows = range(top // TILE, bottom // TILE + 1)
    lines = [np.concatenate([tile(c, r) for c in cols], axis=1) for r in rows]
    found = np.concatenate(lines) if len(lines) > 1 else lines[0]
    col, row = left - cols[0] * TILE, top - rows[0] * TILE
    return found[row : row + bottom - top + 1, col : col + right - left + 1]

"""Windows of pixels cut into tiles: as few as fit, or in four where one was too much."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from functools import lru_cache

from eedask.earthengine.refusals import SIDE, SIZE
from eedask.errors import TooLargeError
from eedask.grid import Window
from eedask.pixels.query import Limits

NO_BOUND = 2**40


@dataclass(frozen=True)
class Budget:
    """How many pixels a request may ask for, and how many a side."""

    pixels: int
    side: int

    def fits(self, shape: tuple[int, int]) -> bool:
        """Whether (rows, columns) are within it."""
        return shape[0] * shape[1] <= self.pixels and max(shape) <= self.side

    def within(self, other: Budget) -> Budget:
        """Return the smaller of each."""
        return Budget(min(self.pixels, other.pixels), min(self.side, other.side))


@lru_cache(maxsize=64)
def granted(limits: Limits, bands: int) -> Budget:
    """Return what limits allow of so many bands, or more."""
    # Each has at least one byte, and one of mask.
    return Budget(max(1, limits.bytes // (2 * bands)), limits.side)


def cut(window: Window, budget: Budget) -> list[Window]:
    """Return the fewest tiles, of rows and columns as equal as can be, within a budget.

    Of two ways with as many tiles, the one with the squarer tiles is taken, as they touch less
    input.

    Parameters
    ----------
    window : Window
    budget : Budget
        At least one pixel.

    Returns
    -------
    list of Window
        Row by row; they cover the window and do not overlap.
    """
    if budget.fits(window.shape):
        return [window]
    down, across = _counts(window.shape, budget)
    rows, columns = _edges(window.shape[0], down), _edges(window.shape[1], across)
    return [
        Window(window.row + top, window.column + left, (bottom - top, right - left))
        for top, bottom in itertools.pairwise(rows)
        for left, right in itertools.pairwise(columns)
    ]


def _counts(shape: tuple[int, int], budget: Budget) -> tuple[int, int]:
    """Return how many tiles go down and across."""
    rows, columns = shape
    best: tuple[int, int, int, int] | None = None
    down, fewest_across = -(-rows // budget.side), -(-columns // budget.side)
    # More rows of tiles than tiles in the best way so far cannot be better.
    while down <= rows and (best is None or down * fewest_across <= best[0]):
        height = -(-rows // down)
        if widest := min(budget.side, budget.pixels // height):
            across = -(-columns // widest)
            found = (down * across, height + -(-columns // across), down, across)
            best = found if best is None else min(best, found)
        down += 1
    assert best is not None, "a budget of less than a pixel"
    return best[2:]


def _edges(length: int, parts: int) -> list[int]:
    return [length * part // parts for part in range(parts + 1)]


def quarters(window: Window, smallest_side: int) -> list[Window]:
    """Return a window cut in half along each side whose halves are long enough."""
    down, across = (2 if length >= 2 * smallest_side else 1 for length in window.shape)
    rows, columns = window.shape
    height, width = -(-rows // down), -(-columns // across)
    return cut(window, Budget(height * width, max(height, width)))


def allowed(error: TooLargeError, shape: tuple[int, int], limits: Limits) -> Budget | None:
    """Return what Earth Engine allows, by the arithmetic of its refusal.

    Parameters
    ----------
    error : TooLargeError
    shape : (int, int)
        Rows, columns of the request that was refused.
    limits : Limits

    Returns
    -------
    Budget, optional
        Smaller than the request; None if the error has no arithmetic, or one that does not say
        that the request was too large.
    """
    budget = Budget(NO_BOUND, NO_BOUND)
    if found := SIZE.search(error.message):
        size, most = map(int, found.groups())
        pixels = shape[0] * shape[1] * min(most, limits.bytes) // max(1, size)
        budget = Budget(pixels, NO_BOUND)
    elif found := SIDE.search(error.message):
        budget = Budget(NO_BOUND, int(found[1]))
    return None if budget.fits(shape) or min(budget.pixels, budget.side) < 1 else budget

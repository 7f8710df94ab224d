"""Cuts a window of pixels into tiles.

:func:`cut` makes the fewest tiles that fit into requests. :func:`quarters` makes four of a tile
that was too much to compute.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from functools import lru_cache

from eedask.errors import TooLargeError
from eedask.grid import Window
from eedask.pixels.query import Limits

# More pixels than any chip has.
NO_BOUND = 2**40


@dataclass(frozen=True)
class Allowance:
    """How much one request may ask for.

    Attributes
    ----------
    pixels : int
        Rows times columns, at most.
    side : int
        Rows, and columns, at most.
    """

    pixels: int
    side: int

    def fits(self, shape: tuple[int, int]) -> bool:
        """Return whether a request may ask for so many (rows, columns)."""
        return shape[0] * shape[1] <= self.pixels and max(shape) <= self.side

    def within(self, other: Allowance) -> Allowance:
        """Return the lower of the two allowances, for pixels and for sides."""
        return Allowance(min(self.pixels, other.pixels), min(self.side, other.side))


@lru_cache(maxsize=64)
def granted(limits: Limits, bands: int) -> Allowance:
    """Return how large a request for at least ``bands`` bands may be, if types are not known."""
    # A band's pixel has at least one byte, and one byte of mask.
    return Allowance(max(1, limits.bytes // (2 * bands)), limits.side)


def cut(window: Window, allowance: Allowance) -> list[Window]:
    """Return the fewest tiles, of rows and columns as equal as can be, within an allowance.

    Of two ways with as many tiles, the one with the squarer tiles is taken, as they touch less
    input.

    Parameters
    ----------
    window : Window
    allowance : Allowance
        Of each tile; at least one pixel.

    Returns
    -------
    list of Window
        Row by row; they cover the window and do not overlap.
    """
    if allowance.fits(window.shape):
        return [window]
    down, across = _counts(window.shape, allowance)
    rows, columns = _edges(window.shape[0], down), _edges(window.shape[1], across)
    return [
        Window(window.row + top, window.column + left, (bottom - top, right - left))
        for top, bottom in itertools.pairwise(rows)
        for left, right in itertools.pairwise(columns)
    ]


def _counts(shape: tuple[int, int], allowance: Allowance) -> tuple[int, int]:
    """Return how many tiles go down and across."""
    rows, columns = shape
    best: tuple[int, int, int, int] | None = None
    down, fewest_across = -(-rows // allowance.side), -(-columns // allowance.side)
    # More rows of tiles than tiles in the best way so far cannot be better.
    while down <= rows and (best is None or down * fewest_across <= best[0]):
        height = -(-rows // down)
        if widest := min(allowance.side, allowance.pixels // height):
            across = -(-columns // widest)
            found = (down * across, height + -(-columns // across), down, across)
            best = found if best is None else min(best, found)
        down += 1
    assert best is not None, "an allowance of less than a pixel"
    return best[2:]


def _edges(length: int, parts: int) -> list[int]:
    return [length * part // parts for part in range(parts + 1)]


def quarters(window: Window, smallest_side: int) -> list[Window]:
    """Halve a window along each side that is at least ``2 * smallest_side`` pixels long.

    Returns four tiles, or two, or the window alone.
    """
    down, across = (2 if length >= 2 * smallest_side else 1 for length in window.shape)
    rows, columns = window.shape
    height, width = -(-rows // down), -(-columns // across)
    return cut(window, Allowance(height * width, max(height, width)))


def allowed(error: TooLargeError, shape: tuple[int, int], limits: Limits) -> Allowance | None:
    """Return what Earth Engine allows, by the sizes that its refusal states.

    Parameters
    ----------
    error : TooLargeError
    shape : (int, int)
        Rows, columns of the request that was refused.
    limits : Limits

    Returns
    -------
    Allowance, optional
        Smaller than the request. None if the error states no size that smaller tiles would keep
        to, or a size that the request kept to already.
    """
    if error.allowed is None:
        return None
    if error.cause == "request size" and error.asked:
        pixels = shape[0] * shape[1] * min(error.allowed, limits.bytes) // error.asked
        found = Allowance(pixels, NO_BOUND)
    elif error.cause == "grid side":
        found = Allowance(NO_BOUND, error.allowed)
    else:
        return None
    return None if found.fits(shape) or min(found.pixels, found.side) < 1 else found

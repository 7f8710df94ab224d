"""Laying values over pixels where a mask says so, at one pace whatever the mask."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_] | np.bool_

_BITS = {1: np.uint8, 4: np.uint32}


def lay(target: NDArray[Any], where: Mask, values: Any) -> None:
    """Do what ``np.copyto(target, values, where=where)`` does, to the bit.

    That and its like decide for each pixel, and where masks are as noisy as plants are the
    processor guesses wrong every other time, which takes ten times as long as the work. Here
    the bits in which both differ are flipped, or none.

    Parameters
    ----------
    target : ndarray of a type of one or four bytes
        Written to.
    where : ndarray of bool
        Broadcasts to the target, as ``values`` do.
    values : array_like
        Of the target's type, or what becomes of it.
    """
    if not where.any():
        return
    bits = target.view(_BITS[target.itemsize])
    changed = np.bitwise_xor(bits, np.asarray(values, target.dtype).view(bits.dtype))
    changed *= where
    bits ^= changed

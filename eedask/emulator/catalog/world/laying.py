"""Setting pixels where a mask is True, in a time that does not depend on the mask."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_] | np.bool_

_BITS = {1: np.uint8, 4: np.uint32}


def lay(target: NDArray[Any], where: Mask, values: Any) -> None:
    """Do exactly what ``np.copyto(target, values, where=where)`` does, faster for noisy masks.

    ``np.copyto`` branches for each pixel. Masks of plants are so noisy that the processor
    mispredicts every other branch, which takes ten times as long as the copying. Here, without
    branches, the bits in which target and values differ are flipped where the mask is True.

    Parameters
    ----------
    target : ndarray of a type of one or four bytes
        Changed in place.
    where : ndarray of bool
        Broadcasts to the target's shape.
    values : array_like
        Converted to the target's type; broadcasts to its shape.
    """
    if not where.any():
        return
    bits = target.view(_BITS[target.itemsize])
    changed = np.bitwise_xor(bits, np.asarray(values, target.dtype).view(bits.dtype))
    changed *= where
    bits ^= changed

"""Pyramid levels: each pixel is computed from four pixels of the finer level, by a policy.

https://developers.google.com/earth-engine/reference/rest/Shared.Types/PyramidingPolicy
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from eedask.emulator.pixels.raster import Pixels, is_opaque, uniform

PyramidingPolicy = Literal["MEAN", "SAMPLE", "MIN", "MAX", "MODE", "MEDIAN"]
POLICIES: tuple[str, ...] = get_args(PyramidingPolicy)

Values = NDArray[Any]
Masks = NDArray[np.float32]


def reduced(fine: Pixels, policy: PyramidingPolicy) -> Pixels:
    """Return the pixels of the next coarser level: half as many each way, rounded up.

    Their mask is the mean of the four finer pixels' masks, where pixels outside the raster count as
    masked (a guess); with ``SAMPLE`` it is the mask of the sampled pixel.
    """
    values = _blocks(_even(fine.values))
    opaque = is_opaque(fine.mask) and fine.values.shape[0] % 2 == fine.values.shape[1] % 2 == 0
    masks = uniform(1, values.shape) if opaque else _blocks(_even(fine.mask))
    mask = masks[0] if policy == "SAMPLE" else masks.mean(axis=0, dtype=np.float32)
    made = _POLICIES[policy](values, masks)
    if fine.values.dtype.kind in "iu" and made.dtype.kind == "f":
        made = np.rint(made)
    result = np.where(mask > 0, made, 0).astype(fine.values.dtype)
    return Pixels(result, uniform(1, result.shape) if opaque else mask)


def _even(array: NDArray[Any]) -> NDArray[Any]:
    """Return an array padded with zeros to an even number of rows and columns."""
    height, width = array.shape
    return np.pad(array, ((0, height % 2), (0, width % 2)))


def _blocks(array: NDArray[Any]) -> NDArray[Any]:
    """Return the four pixels of each block of two by two: shape (4, height / 2, width / 2)."""
    height, width = array.shape
    blocks = array.reshape(height // 2, 2, width // 2, 2).transpose(1, 3, 0, 2)
    return blocks.reshape(4, height // 2, width // 2)


def _mean(values: Values, masks: Masks) -> Values:
    weights = masks.astype(np.float64)
    total = (np.where(masks > 0, values, 0) * weights).sum(axis=0)
    weight = weights.sum(axis=0)
    return np.asarray(total / np.where(weight > 0, weight, 1))


def _sample(values: Values, masks: Masks) -> Values:
    return np.asarray(values[0])


def _extreme(values: Values, masks: Masks, largest: bool) -> Values:
    kind = values.dtype.kind
    info: Any = np.finfo(values.dtype) if kind == "f" else np.iinfo(values.dtype)
    filled = np.where(masks > 0, values, info.min if largest else info.max)
    return np.asarray(filled.max(axis=0) if largest else filled.min(axis=0))


def _mode(values: Values, masks: Masks) -> Values:
    """Return the value whose masks have the greatest sum, the first one among equals."""
    equal = (values[:, None] == values[None]) & (masks[None] > 0)
    weight = np.where(masks > 0, (equal * masks[None]).sum(axis=1), -1)
    return np.take_along_axis(values, weight.argmax(axis=0)[None], axis=0)[0]


def _median(values: Values, masks: Masks) -> Values:
    """Return the weighted median: the value at half of the masks' sum, or the mean of two."""
    filled = np.where(masks > 0, values, np.inf).astype(np.float64)
    order = np.argsort(filled, axis=0, kind="stable")
    filled = np.take_along_axis(filled, order, axis=0)
    running = np.cumsum(np.take_along_axis(masks, order, axis=0), axis=0, dtype=np.float64)
    half = running[-1] / 2
    near = 1e-6  # masks are sums of 255ths
    low = (running < half - near).sum(axis=0)
    high = (running <= half + near).sum(axis=0)
    pair = [np.take_along_axis(filled, np.minimum(k, 3)[None], axis=0)[0] for k in (low, high)]
    there = half > 0
    return np.asarray((np.where(there, pair[0], 0) + np.where(there, pair[1], 0)) / 2)


_POLICIES: dict[str, Callable[[Values, Masks], Values]] = {
    "MEAN": _mean,
    "SAMPLE": _sample,
    "MIN": lambda values, masks: _extreme(values, masks, largest=False),
    "MAX": lambda values, masks: _extreme(values, masks, largest=True),
    "MODE": _mode,
    "MEDIAN": _median,
}

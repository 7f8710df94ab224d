"""Computes each pixel from those around it: weighted sums, extremes, reducers.

A "window" here is the rectangle of a stencil laid around one pixel. As in Earth Engine,
neighbours are the neighbours on the requested grid, so the result depends on its scale.
https://developers.google.com/earth-engine/guides/reducers_reduce_neighborhood
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import scipy  # its subpackages are imported when they are first used
from affine import Affine
from numpy.typing import NDArray

from eedask.emulator.errors import EarthEngineError, NotSupported
from eedask.emulator.neighbours.kernels import Stencil
from eedask.emulator.pixels.raster import Band, Grid, Pixels, compose, is_opaque, uniform
from eedask.emulator.reducers.accumulators import Output
from eedask.emulator.reducers.reduce import Reducer, Run, Statistic

Array = NDArray[Any]

# A stencil of more pixels than this is applied by way of Fourier transforms.
_DIRECT = 31 * 31
# The most values held at once by statistics that need all values of a window together.
_BLOCK = 2**22
_ROUNDING = 1e-13
INPUT_WEIGHTS = ("kernel", "mask", "min")


def widened(grid: Grid, margins: tuple[int, int, int, int]) -> Grid:
    """Return a grid extended by numbers of pixels to the left, above, to the right and below."""
    left, top, right, bottom = margins
    return replace(
        grid,
        transform=compose(grid.transform, Affine.translation(-left, -top)),
        width=grid.width + left + right,
        height=grid.height + top + bottom,
    )


def padded(grid: Grid, n: int) -> Grid:
    """Return a grid extended by ``n`` pixels on every side."""
    return widened(grid, (n, n, n, n))


def around(band: Band, grid: Grid, stencil: Stencil) -> Pixels:
    """Return a band's pixels of a grid extended by the margins of a stencil."""
    return band.read(widened(grid, stencil.margins))


def inner(values: Array, stencil: Stencil) -> Array:
    """Return the grid's own pixels from an array of the extended grid that :func:`around` reads."""
    left, top, right, bottom = stencil.margins
    height, width = values.shape
    return values[top : height - bottom, left : width - right]


def _within(full: Array, weights: Array) -> Array:
    """Return the part of a filter's result for which the window lay inside the input."""
    height, width = weights.shape
    rows, cols = full.shape[0] - height + 1, full.shape[1] - width + 1
    return full[height // 2 : height // 2 + rows, width // 2 : width // 2 + cols]


def correlated(values: Array, weights: Array) -> Array:
    """Return the weighted sum of the values in each window that lies inside of them.

    Parameters
    ----------
    values : ndarray, shape (height + h - 1, width + w - 1)
    weights : ndarray, shape (h, w)

    Returns
    -------
    ndarray of float64, shape (height, width)
    """
    values = values.astype(np.float64, copy=False)
    if weights.size > _DIRECT:
        return np.asarray(scipy.signal.oaconvolve(values, weights[::-1, ::-1], mode="valid"))
    return _within(scipy.ndimage.correlate(values, weights, mode="constant"), weights)


def extreme(values: Array, footprint: NDArray[np.bool_], least: bool) -> Array:
    """Return the least or greatest value under a footprint, for each window inside ``values``."""
    rule = scipy.ndimage.minimum_filter if least else scipy.ndimage.maximum_filter
    if footprint.all():
        return _within(rule(values, size=footprint.shape, mode="constant"), footprint)
    return _within(rule(values, footprint=footprint, mode="constant"), footprint)


def reduce_around(
    reducer: Reducer, inputs: Sequence[Pixels], stencil: Stencil, input_weight: str = "kernel"
) -> list[Output]:
    """Return a reducer's outputs over the neighbourhood of each pixel.

    Parameters
    ----------
    reducer : Reducer
    inputs : sequence of Pixels
        The pixels that :func:`around` returned, for each of the reducer's inputs.
    stencil : Stencil
        The neighbourhood: the pixels whose weight is not 0.
    input_weight : str
        What a neighbour weighs if the reducer takes weights: its weight in the ``kernel``, its
        ``mask``, or the ``min`` of both.

    Returns
    -------
    list of Output
        Each with one value per pixel of the grid (without the margins), along rows.

    Raises
    ------
    EarthEngineError
        An unknown ``input_weight``, or a kernel of zeros only.
    NotSupported
        A kernel with negative weights for a reducer that takes weights.
    """
    if input_weight not in INPUT_WEIGHTS:
        raise EarthEngineError(
            f"Image.reduceNeighborhood: Unknown input weight '{input_weight}': use one of "
            "'mask', 'kernel' and 'min'."
        )
    if input_weight != "mask" and reducer.is_weighted and stencil.weights.min() < 0:
        raise NotSupported("negative kernel weights for a reducer that takes weights")
    mask = np.minimum.reduce([pixels.mask for pixels in inputs])
    with np.errstate(all="ignore"):  # infinite values and NaN go through
        found = {
            i: _filtered(part, inputs, mask, stencil, input_weight)
            for i, part in enumerate(reducer.statistics)
        }
    slow = [part for i, part in enumerate(reducer.statistics) if found[i] is None]
    rest = iter(_reduced(slow, inputs, mask, stencil, input_weight) if slow else [])
    outputs: list[Output] = []
    for i, part in enumerate(reducer.statistics):
        quick = found[i]
        outputs += [next(rest) for _ in range(part.outputs)] if quick is None else [quick]
    return outputs


def _some_weights(stencil: Stencil) -> NDArray[np.bool_]:
    footprint = stencil.weights != 0
    if not footprint.any():
        raise EarthEngineError("The kernel has no weights other than 0.")
    return footprint


def _filtered(
    part: Statistic, inputs: Sequence[Pixels], mask: Array, stencil: Stencil, input_weight: str
) -> Output | None:
    """Return a statistic computed by filtering whole arrays; None if it has no such method."""
    _some_weights(stencil)
    way = _FILTERS.get(part.kind)
    if way is None or (input_weight == "min" and part.weighted and not _is_binary(mask)):
        return None
    weights = _binary(stencil.weights)
    if part.weighted and input_weight != "mask":
        weights = stencil.weights if input_weight == "kernel" else np.minimum(stencil.weights, 1)
    there = mask if part.weighted and input_weight == "mask" else mask > 0
    return way(inputs[part.columns[0]].values, np.asarray(there, np.float64), weights)


def least_mask(mask: NDArray[np.float32], weights: Array) -> NDArray[np.float32]:
    """Return the least mask value under weights other than 0, for each window inside the mask."""
    rows, cols = (n - m + 1 for n, m in zip(mask.shape, weights.shape, strict=True))
    if is_opaque(mask) or not weights.any():
        return uniform(1, (rows, cols))
    if _is_binary(mask):
        return np.asarray(correlated(mask == 0, _binary(weights)) < 0.5, dtype=np.float32)
    return extreme(np.ascontiguousarray(mask), weights != 0, least=True)


def _binary(weights: Array) -> Array:
    return np.asarray(weights != 0, dtype=np.float64)


def _is_binary(mask: Array) -> bool:
    return bool(((mask == 0) | (mask == 1)).all())


def _reduced(
    parts: list[Statistic],
    inputs: Sequence[Pixels],
    mask: Array,
    stencil: Stencil,
    input_weight: str,
) -> list[Output]:
    """Return outputs computed from all values of each window, for a block of windows at a time."""
    names = tuple(str(i) for i in range(sum(part.outputs for part in parts)))
    reducer = Reducer(len(inputs), names, tuple(parts))
    kernel = stencil.weights[stencil.weights != 0][:, None]
    found: list[list[Output]] = []
    for masks, *views in blocks([mask, *(pixels.values for pixels in inputs)], stencil):
        weights = masks.astype(np.float64)
        if input_weight == "kernel":
            weights = kernel * (masks > 0)
        elif input_weight == "min":
            weights = np.minimum(kernel, weights)
        run = Run(reducer)
        run.add(views, weights, masks)
        found.append([_spread(o, masks.shape[1]) for o in run.outputs()])
    return [
        Output(np.concatenate([o.values for o in same]), np.concatenate([o.valid for o in same]))
        for same in zip(*found, strict=True)
    ]


def blocks(arrays: Sequence[Array], stencil: Stencil) -> Iterator[list[Array]]:
    """Yield the values under a stencil's weights other than 0, for a block of windows at a time.

    Each block is a list with one array of shape (weights, windows) for each input array. Windows
    follow each other along rows.
    """
    shape, footprint = stencil.weights.shape, _some_weights(stencil)
    height, width = (n - m + 1 for n, m in zip(arrays[0].shape, shape, strict=True))
    count = int(np.count_nonzero(footprint))
    views = [np.lib.stride_tricks.sliding_window_view(a, shape) for a in arrays]
    rows, cols = max(1, _BLOCK // (count * width)), min(width, max(1, _BLOCK // count))
    for top in range(0, height, rows):
        for left in range(0, width, cols):
            at = (slice(top, top + rows), slice(left, left + cols))
            yield [np.ascontiguousarray(v[at][:, :, footprint].reshape(-1, count).T) for v in views]


def _spread(output: Output, n: int) -> Output:
    return Output(np.broadcast_to(output.values, n), np.broadcast_to(output.valid, n))


def _count(values: Array, there: Array, weights: Array) -> Output:
    count = np.rint(correlated(there > 0, weights)).ravel()
    return Output(count, np.ones(count.shape, bool))


def _some(there: Array, weights: Array) -> NDArray[np.bool_]:
    return np.asarray(correlated(there > 0, _binary(weights)) > 0.5).ravel()


def _total(values: Array, there: Array, weights: Array) -> Output:
    clean = np.where(there > 0, values, 0) * there
    return Output(correlated(clean, weights).ravel(), _some(there, weights))


def _mean(values: Array, there: Array, weights: Array) -> Output:
    total, some = _total(values, there, weights)
    weight = correlated(there, weights).ravel()
    return Output(total / np.where(some, weight, 1), some)


def _variance(values: Array, there: Array, weights: Array) -> Output:
    valid = there > 0
    # Values are taken relative to their mean: differences of squares of large numbers lose digits.
    shift = float(values[valid].mean(dtype=np.float64)) if valid.any() else 0.0
    x = np.where(valid, values - shift, 0)
    mean, some = _mean(x, there, weights)
    square, _ = _mean(x * x, there, weights)
    variance = square - mean**2
    return Output(np.where(variance > _ROUNDING * square, variance, 0), some)


def _deviation(values: Array, there: Array, weights: Array) -> Output:
    variance, some = _variance(values, there, weights)
    return Output(np.sqrt(variance), some)


def _extreme(least: bool) -> Callable[[Array, Array, Array], Output]:
    def function(values: Array, there: Array, weights: Array) -> Output:
        footprint = weights != 0
        if values.dtype.kind == "f":
            rest = values.dtype.type(np.inf if least else -np.inf)
        else:
            info = np.iinfo(values.dtype)
            rest = values.dtype.type(info.max if least else info.min)
        result = extreme(np.where(there > 0, values, rest), footprint, least).ravel()
        some = _some(there, weights)
        return Output(np.where(some, result, 0).astype(values.dtype), some)

    return function


_FILTERS: dict[str, Callable[[Array, Array, Array], Output]] = {
    "count": _count,
    "sum": _total,
    "mean": _mean,
    "variance": _variance,
    "stdDev": _deviation,
    "min": _extreme(True),
    "max": _extreme(False),
}

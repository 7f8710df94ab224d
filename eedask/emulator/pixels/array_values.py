r"""Bands whose pixels are arrays: how NumPy arrays hold them.

If all pixels' arrays have one shape, the values of the band are one block of shape (height, width,
\*shape). If shapes differ, they are an object array of shape (height, width) whose elements are
the pixels' arrays. No other module makes such values or takes them apart. The value of a masked
pixel is arbitrary.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from eedask.emulator.errors import EarthEngineError
from eedask.emulator.limits.budget import MemoryLimit

Array = NDArray[Any]
Made = Array | tuple[Array, Array] | list[tuple[Array, Array]]
r"""What a function of n pixels may return: a block of shape (n, \*shape); such a block with a
bool array of the valid pixels; or, for results of different shapes, a list of (indices of pixels,
block of these pixels)."""


class Arrays(NamedTuple):
    """Values and mask, as :class:`~eedask.emulator.pixels.raster.Pixels` has them."""

    values: Array
    mask: NDArray[np.float32]


class _Part(NamedTuple):
    """Some pixels of one shape."""

    index: Any
    block: Array
    valid: Array | None


_MOST_AXES = 32
_MOST_ELEMENTS = 2**27


def check_axes(where: str, *axes: int) -> None:
    """Raise Earth Engine's 400 unless arrays can have axes of these numbers."""
    for axis in axes:
        if not 0 <= axis < _MOST_AXES:
            raise EarthEngineError(f"{where}: Invalid axis {axis}.")


def check_size(*lengths: int) -> None:
    """Raise :class:`MemoryLimit` if an array of such lengths would take too much memory."""
    if math.prod(lengths) > _MOST_ELEMENTS or len(lengths) > _MOST_AXES:
        raise MemoryLimit


def is_ragged(values: Array) -> bool:
    """Whether values are an object array, whose pixels' arrays may differ in shape."""
    return values.dtype == object


def each(
    function: Callable[..., Made],
    inputs: Sequence[Array],
    mask: NDArray[np.float32],
    dtype: np.dtype[Any],
    rank: int,
    keys: Array | None = None,
) -> Arrays:
    r"""Apply a function to the arrays of all valid pixels, in one call for each set of shapes.

    Parameters
    ----------
    function : callable
        ``function(*blocks, *numbers)``: a block of shape (n, \*shape) for each input, and the
        keys, which are the same for all n pixels.
    inputs : sequence of ndarray
        Values of bands, whose pixels are numbers or arrays.
    mask : ndarray of float32, shape (height, width)
        Pixels of mask 0 are not computed, and stay masked.
    dtype : numpy dtype
        Of the result.
    rank : int
        How many axes the arrays of the result have; 0 for numbers.
    keys : ndarray of int, shape (height, width, k), optional
        Numbers that the shape of the result depends on.
    """
    shape = mask.shape
    if not mask.any():
        return Arrays(np.zeros(shape + (0,) * rank, dtype), mask)
    if all(_is_one(v) for v in (*inputs, *(() if keys is None else (keys,)))):
        numbers = [] if keys is None else keys[0, 0].tolist()
        (part,) = _parts(function, [v[:1, 0] for v in inputs], numbers, slice(0, 1))
        block = part.block.astype(dtype, copy=False)
        values = np.broadcast_to(block[0], shape + block.shape[1:])
        good = part.valid is None or part.valid[0]
        return Arrays(values, mask if good else np.zeros(shape, np.float32))
    flat = [v.reshape(mask.size, *v.shape[2:]) for v in inputs]
    parts = [
        part
        for index, numbers in _groups(flat, keys, mask)
        for part in _parts(function, [_block(v, index) for v in flat], numbers, index)
    ]
    return _assembled(parts, mask, dtype, rank)


def _is_one(values: Array) -> bool:
    """Whether all pixels are known to hold one value without reading them (strides of 0)."""
    return not is_ragged(values) and values.size > 0 and values.strides[:2] == (0, 0)


def as_keys(columns: Sequence[tuple[Array, Array | None, int]]) -> Array:
    """Return the ``keys`` of :func:`each` from bands of numbers or of vectors.

    Parameters
    ----------
    columns : sequence of (ndarray, ndarray or None, int)
        For each band: its values, its mask (None if all that matter are valid), and the value
        that replaces masked ones.
    """
    whole = []
    for values, there, default in columns:
        values = values if values.ndim > 2 else values[..., None]
        if _is_one(values):
            one = values[0, 0].astype(np.int64)
            numbers: Array = np.broadcast_to(one, values.shape)
        else:
            numbers = values.astype(np.int64)
        if there is not None and not there.all():
            numbers = np.where(there[..., None], numbers, default)
        whole.append(numbers)
    if all(_is_one(numbers) for numbers in whole):
        one = np.concatenate([numbers[0, 0] for numbers in whole])
        return np.broadcast_to(one, (*whole[0].shape[:2], len(one)))
    return whole[0] if len(whole) == 1 else np.concatenate(whole, axis=2)


def _groups(
    flat: Sequence[Array], keys: Array | None, mask: NDArray[np.float32]
) -> Iterator[tuple[Any, list[int]]]:
    """Yield the valid pixels, grouped by the shapes of their arrays and by their keys."""
    valid = mask.ravel() > 0
    if not valid.any():
        return
    index: Any = slice(None) if valid.all() else np.flatnonzero(valid)
    codes = [_shape_codes(v[index])[:, None] for v in flat if is_ragged(v)]
    same: list[int] = []
    k = 0
    if keys is not None and _is_one(keys):
        same = keys[0, 0].tolist()
    elif keys is not None:
        columns = keys.reshape(len(valid), -1)[index].astype(np.int64)
        k = columns.shape[1]
        codes.append(columns)
    if not codes:
        yield index, same
        return
    found, group = np.unique(np.hstack(codes), axis=0, return_inverse=True)
    numbers = np.arange(len(valid))[index]
    group = group.ravel()
    for i, row in enumerate(found):
        yield numbers[group == i], same or row[len(row) - k :].tolist()


def _shape_codes(cells: Array) -> NDArray[np.int64]:
    known: dict[tuple[int, ...], int] = {}
    return np.array([known.setdefault(cell.shape, len(known)) for cell in cells], np.int64)


def _block(values: Array, index: Any) -> Array:
    """Return pixels' arrays of one shape as one block."""
    return np.array(list(values[index])) if is_ragged(values) else values[index]


def _parts(
    function: Callable[..., Made], blocks: Sequence[Array], numbers: Sequence[int], index: Any
) -> list[_Part]:
    with np.errstate(all="ignore"):
        made = function(*blocks, *numbers)
    if isinstance(made, tuple):
        return [_Part(index, *made)]
    if not isinstance(made, list):
        return [_Part(index, made, None)]
    if isinstance(index, slice):
        index = np.arange(sum(len(block) for _, block in made))
    return [_Part(index[rows], block, None) for rows, block in made]


def _assembled(
    parts: Sequence[_Part], mask: NDArray[np.float32], dtype: np.dtype[Any], rank: int
) -> Arrays:
    shape = mask.shape
    if not parts:
        return Arrays(np.zeros(shape + (0,) * rank, dtype), mask)
    new_mask = mask
    for part in parts:
        if part.valid is not None and not part.valid.all():
            if new_mask is mask:
                new_mask = np.array(mask)
            flat = new_mask.reshape(-1)
            flat[part.index] = np.where(part.valid, flat[part.index], 0)
    shapes = {part.block.shape[1:] for part in parts}
    first = parts[0]
    if len(shapes) > 1:
        cells = np.empty(mask.size, object)
        cells.fill(np.zeros((0,) * rank, dtype))
        for part in parts:
            for i, cell in zip(part.index, part.block.astype(dtype, copy=False), strict=True):
                cells[i] = cell
        return Arrays(cells.reshape(shape), new_mask)
    if isinstance(first.index, slice):
        values = first.block.astype(dtype, copy=False)
    else:
        values = np.zeros((mask.size, *first.block.shape[1:]), dtype)
        for part in parts:
            values[part.index] = part.block
    return Arrays(values.reshape(shape + first.block.shape[1:]), new_mask)


def choose(condition: NDArray[np.bool_], these: Array, others: Array) -> Array:
    """Return ``numpy.where`` of two bands' values, whose pixels may be numbers or arrays."""
    if these.ndim == others.ndim == condition.ndim:
        return np.where(condition, these, others)
    if these.shape == others.shape:
        more = (1,) * (these.ndim - condition.ndim)
        return np.where(condition.reshape(condition.shape + more), these, others)
    return np.where(condition, objects(these), objects(others))


def objects(values: Array) -> Array:
    """Return values as an object array of shape (height, width) of the pixels' arrays."""
    if is_ragged(values):
        return values
    cells = np.empty(values.shape[0] * values.shape[1], object)
    for i, cell in enumerate(values.reshape(len(cells), *values.shape[2:])):
        cells[i] = np.asarray(cell)
    return cells.reshape(values.shape[:2])


def picked(values: Array, at: Any) -> list[Any]:
    """Return some pixels' values as Python numbers, or as arrays."""
    chosen = values[at]
    return chosen.tolist() if chosen.ndim == 1 and chosen.dtype != object else list(chosen)


def column(values: Array, at: Any) -> Array:
    """Return some pixels' values as a reducer's column: shape (n, 1), object dtype for arrays."""
    chosen = values[at]
    if chosen.ndim == 1:
        return chosen[:, None]
    cells = np.empty((len(chosen), 1), object)
    for i, cell in enumerate(chosen):
        cells[i, 0] = cell
    return cells


def _of_rank(cell: Array, rank: int) -> Array:
    """Return an array with ``rank`` axes, which an empty list of unknown rank gets too."""
    return cell if cell.size else cell.reshape((0,) * rank if cell.ndim != rank else cell.shape)


def flat_row(values: Array) -> Array:
    """Return all pixels' values as a reducer's row: shape (1, n), object dtype for arrays."""
    return (values if values.ndim == 2 else objects(values)).reshape(1, -1)


def packed(cells: Sequence[Any], shape: tuple[int, int], dtype: np.dtype[Any], rank: int) -> Array:
    """Return the values of a band from a list of pixels' arrays, row by row; None is masked."""
    index = [i for i, cell in enumerate(cells) if cell is not None]
    try:
        blocks = [_of_rank(np.asarray(cells[i], dtype), rank) for i in index]
    except ValueError:
        raise EarthEngineError("The arrays in an array must be of one shape.") from None
    parts = [_Part(np.array([i]), b[None], None) for i, b in zip(index, blocks, strict=True)]
    if len(blocks) > 1 and len({b.shape for b in blocks}) == 1:
        parts = [_Part(np.array(index), np.array(blocks), None)]
    return _assembled(parts, np.ones(shape, np.float32), dtype, rank).values

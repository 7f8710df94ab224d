"""Array.*: arrays of numbers, held as NumPy arrays.

Elementwise algorithms apply those of :mod:`~eedask.emulator.functions.values.numbers` to each
element. https://developers.google.com/earth-engine/guides/arrays_intro
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from eedask.emulator.errors import EarthEngineError
from eedask.emulator.functions.registry import IMPLEMENTATIONS, algorithm
from eedask.emulator.functions.values import numbers  # noqa: F401  (the elementwise ones are made of it)
from eedask.emulator.pixels.array_values import check_axes, check_size
from eedask.emulator.pixels.raster import PixelType
from eedask.emulator.reducers.reduce import Reducer, reduce_columns

_NOT_ELEMENTWISE = {"clamp", "expression", "format", "parse", "unitScale"}


def numeric(values: Any, where: str) -> Any:
    """Return nested lists as an array of 64-bit integers or floats.

    Raises Earth Engine's 400 if they are ragged or hold something that is no number.
    """
    try:
        array = np.asarray(values)
    except ValueError:
        raise EarthEngineError(f"{where}: All inner lists must have the same length.") from None
    if array.dtype.kind not in "biuf":
        raise EarthEngineError(f"{where}: The values must be numbers.")
    return array.astype(np.float64 if array.dtype.kind == "f" else np.int64)


def _filled(values: Sequence[Any], shape: tuple[int, ...], like: Any) -> Any:
    """Return results as an array of a shape; if it is empty, with the dtype of ``like``."""
    if not values:
        return np.empty(shape, like.dtype)
    return np.array(values).reshape(shape)


def _elementwise(name: str, function: Callable[..., Any]) -> None:
    def unary(array: Any) -> Any:
        return _filled([function(v) for v in array.ravel().tolist()], array.shape, array)

    def binary(left: Any, right: Any) -> Any:
        if left.ndim and right.ndim and left.shape != right.shape:
            raise EarthEngineError(
                f"Array.{name}: Array dimensions do not match: "
                f"{list(left.shape)} and {list(right.shape)}."
            )
        one, other = np.broadcast_arrays(left, right)
        pairs = zip(one.ravel().tolist(), other.ravel().tolist(), strict=True)
        return _filled([function(a, b) for a, b in pairs], one.shape, one)

    algorithm(f"Array.{name}")(binary if function.__code__.co_argcount == 2 else unary)


for _full, _implementation in list(IMPLEMENTATIONS.items()):
    _kind, _, _name = _full.partition(".")
    if _kind == "Number" and _name not in _NOT_ELEMENTWISE:
        _elementwise(_name, _implementation.function)


@algorithm("Array")
def array(values: Any, pixel_type: PixelType | None) -> Any:
    """Return nested lists of numbers as an array; if they are empty, a type must be given."""
    made = numeric(values, "Array")
    if made.size == 0 and pixel_type is None and not isinstance(values, np.ndarray):
        raise EarthEngineError("Array: A pixel type is required for an empty array.")
    if pixel_type is None:
        return made
    if pixel_type.precision != "int":
        return made.astype(pixel_type.dtype).astype(np.float64)
    return np.clip(made, pixel_type.min, pixel_type.max).astype(np.int64)


def axis_of(values: Any, axis: int, where: str) -> int:
    """Return the axis; raise Earth Engine's 400 if the array does not have it."""
    if not 0 <= axis < values.ndim:
        raise EarthEngineError(f"{where}: Axis {axis} is out of range of {values.ndim} dimensions.")
    return axis


@algorithm("Array.accum")
def accumulate(values: Any, axis: int, reducer: Reducer | None) -> Any:
    """Return running reductions along an axis: element i reduces elements 0 to i.

    Without a reducer they are running sums.
    """
    axis_of(values, axis, "Array.accum")
    if reducer is None:
        with np.errstate(all="ignore"):
            return np.cumsum(values, axis=axis)

    def along(row: Any) -> Any:
        return [_only(reducer, row[: i + 1].tolist(), "Array.accum") for i in range(len(row))]

    return np.apply_along_axis(along, axis, values)


def _only(reducer: Reducer, values: list[Any], where: str) -> Any:
    if reducer.inputs != 1 or len(reducer.outputs) != 1:
        raise EarthEngineError(f"{where}: The reducer must have one input and one output.")
    result = next(iter(reduce_columns(reducer, [values]).values()))
    if not isinstance(result, int | float):
        raise EarthEngineError(f"{where}: The reducer's output must be a number.")
    return result


@algorithm("Array.reduce")
def reduce_array(values: Any, reducer: Reducer, axes: list[int], field_axis: int | None) -> Any:
    """Return an array whose given axes are reduced to a length of 1.

    The inputs and outputs of a reducer of several lie along ``field_axis``.
    """
    if len({*axes, field_axis}) <= len(axes):
        raise EarthEngineError(f"Array.reduce: Invalid axes {axes}.")
    for axis in axes:
        axis_of(values, axis, "Array.reduce")
    if field_axis is not None and (reducer.inputs, len(reducer.outputs)) != (1, 1):
        return _reduce_fields(values, reducer, axes, field_axis)
    kept = [a for a in range(values.ndim) if a not in axes]
    count, each = (math.prod(values.shape[a] for a in part) for part in (kept, axes))
    flat = values.transpose([*kept, *axes]).reshape(count, each)
    results = [_only(reducer, row.tolist(), "Array.reduce") for row in flat]
    shape = tuple(1 if a in axes else n for a, n in enumerate(values.shape))
    return _filled(results, shape, values)


def _reduce_fields(values: Any, reducer: Reducer, axes: list[int], field: int) -> Any:
    """Return a reduction over axes, with the reducer's inputs and outputs along axis ``field``."""
    axis_of(values, field, "Array.reduce")
    if values.shape[field] != reducer.inputs:
        raise EarthEngineError(
            f"Array.reduce: The field axis has length {values.shape[field]}, but the reducer has "
            f"{reducer.inputs} inputs."
        )
    kept = [a for a in range(values.ndim) if a not in axes and a != field]
    moved = values.transpose([*kept, field, *axes])
    lengths = [values.shape[a] for a in kept]
    flat = moved.reshape(-1, reducer.inputs, int(np.prod([values.shape[a] for a in axes])))
    rows = [list(reduce_columns(reducer, block.tolist()).values()) for block in flat]
    shaped = np.array(rows).reshape([*lengths, len(reducer.outputs), *(1 for _ in axes)])
    return shaped.transpose(np.argsort([*kept, field, *axes]))


@algorithm("Array.argmax")
def argmax(values: Any) -> list[int] | None:
    """Return the position of the first greatest value, an index for each axis; None if empty."""
    if values.size == 0:
        return None
    return [int(i) for i in np.unravel_index(int(values.argmax()), values.shape)]


@algorithm("Array.bitsToArray")
def bits_to_array(value: Any) -> Any:
    """Return an integer's bits as a vector, from the lowest to the highest that is 1."""
    number = int(value) % 2**64
    return np.array([number >> i & 1 for i in range(max(1, number.bit_length()))])


@algorithm("Array.cat")
def cat(arrays: list[Any], axis: int) -> Any:
    """Return arrays joined along an axis, which may be a new one.

    Empty arrays of one axis may be joined to any others.
    """
    check_axes("Array.cat", axis)
    if not arrays:
        raise EarthEngineError("Array.cat: The list of arrays is empty.")
    some = [a for a in arrays if a.size or a.ndim > 1] or arrays[:1]
    deep = [a.reshape(a.shape + (1,) * max(0, axis + 1 - a.ndim)) for a in some]
    try:
        return np.concatenate(deep, axis=axis)
    except ValueError as error:
        raise EarthEngineError(f"Array.cat: {error}.") from None


@algorithm("Array.cut")
def cut(values: Any, position: list[int]) -> Any:
    """Return the part at a position along each axis; -1 takes the whole axis."""
    _check_position(values, position, "Array.cut")
    return values[tuple(slice(None) if p == -1 else slice(p, p + 1) for p in position)]


@algorithm("Array.get")
def get(values: Any, position: list[int]) -> Any:
    """Return the element at a position, an index for each axis."""
    _check_position(values, position, "Array.get")
    return values[tuple(position)].item()


def _check_position(values: Any, position: list[int], where: str) -> None:
    low = -1 if where == "Array.cut" else 0
    good = len(position) == values.ndim
    if not good or not all(low <= p < n for p, n in zip(position, values.shape, strict=True)):
        raise EarthEngineError(
            f"{where}: Position {position} is out of bounds of {list(values.shape)}."
        )


@algorithm("Array.dotProduct")
def dot_product(left: Any, right: Any) -> Any:
    """Return the dot product of two vectors."""
    if left.ndim != 1 or left.shape != right.shape:
        raise EarthEngineError("Array.dotProduct: The arrays must be vectors of one length.")
    with np.errstate(all="ignore"):
        return (left @ right).item()


@algorithm("Array.identity")
def identity(size: int) -> Any:
    """Return the identity matrix."""
    if not 0 <= size <= 10_000:
        raise EarthEngineError(f"Array.identity: Invalid size {size}.")
    return np.eye(size, dtype=np.int64)


@algorithm("Array.length")
def length(values: Any) -> Any:
    """Return a vector of the lengths of the axes."""
    return np.array(values.shape, dtype=np.int64)


@algorithm("Array.mask")
def mask(values: Any, keep: Any) -> Any:
    """Return an array with only those elements along an axis for which the mask is not 0."""
    if keep.ndim > values.ndim:
        raise EarthEngineError("Array.mask: The mask has more dimensions than the array.")
    for axis, size in enumerate(keep.shape):
        if size == 1:
            continue
        if size != values.shape[axis] or sum(n != 1 for n in keep.shape) > 1:
            raise EarthEngineError("Array.mask: The mask does not fit the array.")
        return np.compress(keep.ravel() != 0, values, axis=axis)
    if keep.all():
        return values
    return values[:0] if values.ndim else np.empty(0, values.dtype)


@algorithm("Array.pad")
def pad(values: Any, lengths: list[int], value: Any) -> Any:
    """Return an array filled up with a value to a length along each axis."""
    check_axes("Array.pad", max(len(lengths) - 1, 0))
    wanted = [*lengths, *values.shape[len(lengths) :]]
    deep = values.reshape(values.shape + (1,) * (len(wanted) - values.ndim))
    filled = [max(w, n) for w, n in zip(wanted, deep.shape, strict=True)]
    check_size(*filled)
    if not (float(value).is_integer() and abs(value) < 2**63):
        deep = deep.astype(np.float64)
    more = [(0, f - n) for f, n in zip(filled, deep.shape, strict=True)]
    return np.pad(deep, more, constant_values=value)


@algorithm("Array.project")
def project(values: Any, axes: list[int]) -> Any:
    """Return an array with only the axes ``axes``, in that order; the others must have length 1."""
    dropped = [a for a in range(values.ndim) if a not in axes]
    for axis in axes:
        axis_of(values, axis, "Array.project")
    if len(set(axes)) < len(axes):
        raise EarthEngineError(f"Array.project: Invalid axes {axes}.")
    if any(values.shape[a] > 1 for a in dropped):
        raise EarthEngineError("Array.project: Dropped axes must have length 1.")
    if values.size == 0 and all(values.shape[a] for a in axes):
        raise EarthEngineError("Array.project: Nothing is left of an axis of length 0.")
    return values.transpose([*axes, *dropped]).reshape([values.shape[a] for a in axes])


@algorithm("Array.repeat")
def repeat(values: Any, axis: int, copies: int) -> Any:
    """Return copies of an array joined along an axis, which may be a new one."""
    if not 0 <= copies <= 1_000_000:
        raise EarthEngineError(f"Array.repeat: Invalid number of copies {copies}.")
    check_axes("Array.repeat", axis)
    check_size(values.size, copies)
    deep = values.reshape(values.shape + (1,) * max(0, axis + 1 - values.ndim))
    if copies == 0:
        return deep[(slice(None),) * axis + (slice(0),)]
    return np.concatenate([deep] * copies, axis=axis)


@algorithm("Array.reshape")
def reshape(values: Any, shape: Any) -> Any:
    """Return an array reshaped to the lengths ``shape``, where -1 stands for the one that fits."""
    try:
        return values.reshape([int(n) for n in shape.ravel()])
    except (ValueError, OverflowError) as error:
        raise EarthEngineError(f"Array.reshape: {error}.") from None


@algorithm("Array.slice")
def slice_array(values: Any, axis: int, start: int, end: int | None, step: int) -> Any:
    """Return a slice of an array along an axis; negative positions count from its end."""
    axis_of(values, axis, "Array.slice")
    if step < 1:
        raise EarthEngineError(f"Array.slice: The step must be positive, found {step}.")
    return values[(slice(None),) * axis + (slice(start, end, step),)]


@algorithm("Array.sort")
def sort(values: Any, keys: Any) -> Any:
    """Return an array sorted in ascending order, by ``keys`` along their axis or else by value."""
    given = values if keys is None else keys
    long = [a for a, n in enumerate(given.shape) if n > 1]
    if len(long) > 1:
        raise EarthEngineError("Array.sort: The keys must have one axis of more than one element.")
    if not long:
        return values
    if long[0] >= values.ndim or given.shape[long[0]] != values.shape[long[0]]:
        raise EarthEngineError("Array.sort: Keys and array differ in length.")
    return np.take(values, np.argsort(given.ravel(), kind="stable"), axis=long[0])


@algorithm("Array.transpose", "Array.matrixTranspose")
def transpose(values: Any, first: int, second: int) -> Any:
    """Return an array with two axes exchanged; a vector becomes a matrix of one row."""
    check_axes("Array.transpose", first, second)
    top = max(first, second) + 1
    deep = values.reshape(values.shape + (1,) * max(0, top - values.ndim))
    return np.swapaxes(deep, first, second)


@algorithm("Array.toList")
def to_list(values: Any) -> Any:
    """Return nested lists of the numbers."""
    return values.tolist()

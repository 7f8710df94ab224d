"""Image.arrayReduce, arraySort…: reducing, sorting and searching each pixel's array."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from eedask.emulator.errors import EarthEngineError
from eedask.emulator.functions.images.arrays import COUNT, mapped, need, need_axis
from eedask.emulator.functions.registry import Keeps, algorithm
from eedask.emulator.pixels.array_values import Array, Made
from eedask.emulator.pixels.bands import combined, derived, pairs
from eedask.emulator.pixels.pixel_types import DOUBLE, INT64, of_rank
from eedask.emulator.pixels.raster import Image, PixelType
from eedask.emulator.reducers.reduce import Reducer, Run

_AS_INPUT = {"min", "max", "first", "last", "mode"}


def _output_kind(reducer: Reducer) -> Any:
    """Return a function from the input's pixel type to that of a reducer's outputs.

    Outputs that are values of the input (min, first …) have its type, all others are doubles.
    (Earth Engine does not document this.)
    """
    same = set(reducer.outputs) <= _AS_INPUT
    return lambda kind: kind if same else of_rank(DOUBLE, kind.dimensions)


@algorithm("Image.arrayAccum", takes_arrays=True)
def array_accum(image: Image, axis: int, reducer: Reducer | None) -> Image:
    """Return running reductions along an axis: element i reduces elements 0 to i.

    Without a reducer they are running sums.
    """
    where = "Image.arrayAccum"
    need_axis(image, axis, where)
    if reducer is None:

        def kind(kind: PixelType) -> PixelType:
            return of_rank(INT64 if kind.precision == "int" else kind, kind.dimensions)

        return mapped(image, lambda b: np.cumsum(b, axis=axis + 1), kind)
    _need_shape(reducer, 1, 1, where)
    chosen = reducer

    def accumulate(block: Array) -> Made:
        moved = np.moveaxis(block, axis + 1, 0)
        steps = [_reduced(chosen, [moved[: i + 1]], where) for i in range(len(moved))]
        if not steps:
            return block
        values = np.stack([step[0][0] for step in steps])
        valid = np.stack([step[1][0] for step in steps]).reshape(len(steps), *moved.shape[1:])
        good = np.moveaxis(valid, 1, 0).reshape(len(block), -1)
        return np.moveaxis(values, 0, axis + 1), np.asarray(good.all(axis=1))

    return mapped(image, accumulate, _output_kind(reducer))


def _need_shape(reducer: Reducer, inputs: int, outputs: int, where: str) -> None:
    if (reducer.inputs, len(reducer.outputs)) != (inputs, outputs):
        raise EarthEngineError(
            f"{where}: Without a field axis the reducer must have one input and one output. It "
            f"has {reducer.inputs} and {len(reducer.outputs)}."
        )


def _reduced(
    reducer: Reducer, columns: Sequence[Array], where: str
) -> tuple[list[Array], list[Array]]:
    """Return a reducer's outputs over the first axis of its inputs, and which are valid (bool)."""
    shape = columns[0].shape[1:]
    flat = [c.reshape(len(c), int(np.prod(shape))) for c in columns]
    run = Run(reducer)
    run.add(flat, np.ones(flat[0].shape))
    values, valid = [], []
    for output in run.outputs():
        if output.values.dtype == object:
            raise EarthEngineError(f"{where}: The reducer's outputs must be numbers.")
        values.append(np.broadcast_to(output.values, flat[0].shape[1]).reshape(shape))
        valid.append(np.broadcast_to(output.valid, flat[0].shape[1]).reshape(shape))
    return values, valid


@algorithm("Image.arrayReduce", takes_arrays=True, keeps=Keeps.FIRST)
def array_reduce(
    image: Image, reducer: Reducer, axes: Sequence[int], field_axis: int | None
) -> Image:
    """Return arrays whose given axes are reduced to a length of 1.

    The inputs and outputs of a reducer of several lie along ``field_axis``. A pixel without
    elements to reduce is masked (a guess).
    """
    where = "Image.arrayReduce"
    need_axis(image, max(axes, default=0), where)
    if len(set(axes)) < len(axes) or min(axes, default=0) < 0 or field_axis in axes:
        raise EarthEngineError(f"{where}: Invalid axes {list(axes)}.")
    if field_axis is None:
        _need_shape(reducer, 1, 1, where)
    else:
        need_axis(image, field_axis, where)

    def reduce(block: Array) -> Made:
        rank = block.ndim - 1
        kept = [a for a in range(rank) if a not in axes and a != field_axis]
        count = int(np.prod([block.shape[a + 1] for a in axes]))
        fields = [] if field_axis is None else [field_axis]
        order = [*(a + 1 for a in axes), 0, *(a + 1 for a in kept), *(a + 1 for a in fields)]
        moved = block.transpose(order)
        moved = moved.reshape(count, *moved.shape[len(axes) :])
        columns = [moved] if field_axis is None else _fields(moved, reducer, where)
        values, valid = _reduced(reducer, columns, where)
        good = np.asarray(np.stack(valid).reshape(len(valid), len(block), -1).all(axis=(0, 2)))
        # (pixels, kept axes, fields, reduced axes of 1), in the order of the axes again.
        shaped = np.stack(values, axis=-1) if fields else values[0]
        shaped = shaped.reshape(shaped.shape + (1,) * len(axes))
        back = np.argsort([0, *(a + 1 for a in (*kept, *fields, *axes))])
        return shaped.transpose(back), good

    return mapped(image, reduce, _output_kind(reducer))


def _fields(moved: Array, reducer: Reducer, where: str) -> list[Array]:
    if moved.shape[-1] != reducer.inputs:
        raise EarthEngineError(
            f"{where}: The field axis has length {moved.shape[-1]}, but the reducer has "
            f"{reducer.inputs} inputs."
        )
    return [moved[..., i] for i in range(reducer.inputs)]


@algorithm("Image.arrayArgmax", takes_arrays=True)
def array_argmax(image: Image) -> Image:
    """Return the position of the first greatest element: a vector of an index for each axis."""
    for band in image.bands:
        need(band, 1, "Image.arrayArgmax")

    def argmax(block: Array) -> Made:
        shape = block.shape[1:]
        if 0 in shape:
            return np.zeros((len(block), len(shape)), int), np.zeros(len(block), bool)
        first = block.reshape(len(block), -1).argmax(axis=1)
        return np.stack(np.unravel_index(first, shape), axis=1)

    return mapped(image, argmax, lambda _: of_rank(COUNT, 1))


@algorithm("Image.arrayDotProduct", takes_arrays=True)
def array_dot_product(first: Image, second: Image) -> Image:
    """Return the dot product of two vectors at each pixel."""
    where = "Image.arrayDotProduct"

    def dot(left: Array, right: Array) -> Array:
        if left.ndim != 2 or left.shape != right.shape:
            raise EarthEngineError(f"{where}: The arrays must be vectors of one length.")
        work = np.int64 if left.dtype.kind == right.dtype.kind == "i" else np.float64
        return np.einsum("ij,ij->i", left.astype(work), right.astype(work))

    bands = []
    for a, b, name in pairs(first, second, where):
        whole = a.type.precision == b.type.precision == "int"
        bands.append(combined([a, b], dot, INT64 if whole else DOUBLE, name))
    return derived(first, bands, second)


@algorithm("Image.arraySort", takes_arrays=True)
def array_sort(image: Image, keys: Image | None) -> Image:
    """Return arrays sorted in ascending order, by ``keys`` along their axis or else by value."""
    where = "Image.arraySort"

    def sort(block: Array, *given: Array) -> Array:
        by = given[0] if given else block
        long = [axis for axis, size in enumerate(by.shape[1:]) if size > 1]
        if len(long) > 1:
            raise EarthEngineError(f"{where}: The keys must have one axis longer than 1.")
        if not long:
            return block
        axis = long[0]
        if block.ndim <= axis + 1 or block.shape[axis + 1] != by.shape[axis + 1]:
            raise EarthEngineError(f"{where}: Keys and array differ in length.")
        order = np.argsort(by.reshape(len(by), -1), axis=1, kind="stable")
        shape = [1] * (block.ndim - 1)
        shape[axis] = order.shape[1]
        return np.take_along_axis(block, order.reshape(len(block), *shape), axis=axis + 1)

    if keys is None:
        return mapped(image, sort)
    bands = [combined([a, b], sort, a.type, name) for a, b, name in pairs(image, keys, where)]
    return derived(image, bands)

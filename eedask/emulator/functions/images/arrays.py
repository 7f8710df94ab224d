"""Image.array*: joining, cutting and reshaping the arrays that are an image's pixels.

Each is the algorithm of the same name on :mod:`~eedask.emulator.functions.values.arrays`, for all
pixels at once. https://developers.google.com/earth-engine/guides/arrays_array_images
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from eedask.emulator.errors import EarthEngineError
from eedask.emulator.functions.registry import Keeps, algorithm
from eedask.emulator.pixels.array_values import Array, Made, check_axes, check_size
from eedask.emulator.pixels.bands import Key, combined, derived, pairs
from eedask.emulator.pixels.pixel_types import of_number, of_rank, union
from eedask.emulator.pixels.raster import Band, Image, PixelType

COUNT = PixelType("int", 0, 2**31 - 1)
_MOST_COPIES = 1_000_000


def mapped(
    image: Image,
    function: Callable[..., Made],
    kind: Callable[[PixelType], PixelType] = lambda kind: kind,
    keys: Sequence[Key] = (),
) -> Image:
    """Return an image of a function applied to the arrays of each band."""
    bands = [combined([b], function, kind(b.type), b.id, keys) for b in image.bands]
    return derived(image, bands)


def need(band: Band, least: int, where: str) -> None:
    """Raise Earth Engine's 400 unless a band's arrays have at least ``least`` axes."""
    if band.type.dimensions < least:
        raise EarthEngineError(
            f"{where}: Band '{band.id}' must have arrays of {least} or more dimensions. "
            f"It has {band.type.dimensions}."
        )


def need_axis(image: Image, axis: int, where: str) -> None:
    """Raise Earth Engine's 400 unless the arrays of all bands have an axis of this number."""
    check_axes(where, axis)
    for band in image.bands:
        need(band, axis + 1, where)


def deep(block: Array, rank: int) -> Array:
    """Return a block whose arrays have ``rank`` axes; those that are added have length 1."""
    return block.reshape(block.shape + (1,) * (rank + 1 - block.ndim))


def along(block: Array, axis: int, part: slice) -> Array:
    """Return a slice of a block's arrays along one of their axes."""
    return block[(slice(None),) * (axis + 1) + (part,)]


def joined(axis: int, rank: int, where: str, *blocks: Array) -> Array:
    """Return blocks of arrays joined along an axis."""
    try:
        return np.concatenate([deep(block, rank) for block in blocks], axis=axis + 1)
    except ValueError:
        shapes = [list(block.shape[1:]) for block in blocks]
        raise EarthEngineError(f"{where}: Arrays of shapes {shapes} cannot be joined.") from None


@algorithm("Image.arrayCat", takes_arrays=True)
def array_cat(first: Image, second: Image, axis: int) -> Image:
    """Return arrays joined along an axis, band by band; the axis may be a new one."""
    where = "Image.arrayCat"
    check_axes(where, axis)
    bands = []
    for a, b, name in pairs(first, second, where):
        rank = max(a.type.dimensions, b.type.dimensions, axis + 1)
        kind = of_rank(union([a.type, b.type]), rank)
        bands.append(combined([a, b], partial(joined, axis, rank, where), kind, name))
    return derived(first, bands, second)


@algorithm("Image.arrayDimensions", takes_arrays=True)
def array_dimensions(image: Image) -> Image:
    """Return the number of axes of each pixel's array, 0 for bands of numbers."""
    bands = []
    for band in image.bands:
        rank = band.type.dimensions

        def count(block: Array, rank: int = rank) -> Array:
            return np.full(len(block), rank)

        bands.append(combined([band], count, of_number(rank), band.id))
    return derived(image, bands)


@algorithm("Image.arrayLength", takes_arrays=True)
def array_length(image: Image, axis: int) -> Image:
    """Return the length of each pixel's array along an axis."""
    need_axis(image, axis, "Image.arrayLength")
    return mapped(image, lambda b: np.full(len(b), b.shape[axis + 1]), lambda _: COUNT)


@algorithm("Image.arrayLengths", takes_arrays=True)
def array_lengths(image: Image) -> Image:
    """Return each pixel's vector of the lengths of its array's axes."""

    def lengths(block: Array) -> Array:
        return np.broadcast_to(np.array(block.shape[1:], np.int64), (len(block), block.ndim - 1))

    return mapped(image, lengths, lambda _: of_rank(COUNT, 1))


@algorithm("Image.arrayGet", takes_arrays=True, keeps=Keeps.FIRST)
def array_get(image: Image, position: Image) -> Image:
    """Return the element at a position; the image ``position`` has a band for each axis."""
    where = "Image.arrayGet"
    keys = [Key(band) for band in position.bands]
    for band in image.bands:
        if band.type.dimensions != len(keys):
            raise EarthEngineError(
                f"{where}: The position has {len(keys)} bands, but the arrays of band "
                f"'{band.id}' have {band.type.dimensions} dimensions."
            )

    def element(block: Array, *at: Any) -> Array:
        if not all(0 <= p < n for p, n in zip(at, block.shape[1:], strict=True)):
            raise EarthEngineError(
                f"{where}: Position {list(at)} is out of bounds of {list(block.shape[1:])}."
            )
        return block[(slice(None), *at)]

    return mapped(image, element, lambda kind: of_rank(kind, 0), keys)


@algorithm("Image.arraySlice", takes_arrays=True, keeps=Keeps.FIRST)
def array_slice(
    image: Image, axis: int, start: Image | None, end: Image | None, step: int
) -> Image:
    """Return a slice of arrays along an axis; negative positions count from its end.

    Where ``start`` or ``end`` is masked, the slice starts or ends where the axis does.
    """
    where = "Image.arraySlice"
    need_axis(image, axis, where)
    if step < 1:
        raise EarthEngineError(f"{where}: The step must be positive, found {step}.")
    bands = []
    for i, band in enumerate(image.bands):
        ends = [
            Key(_of_band(limit, i, len(image.bands), where), default)
            for limit, default in ((start, 0), (end, 2**62))
            if limit is not None
        ]

        def cut(block: Array, *at: int) -> Array:
            limits = iter(at)
            first = None if start is None else next(limits)
            last = None if end is None else next(limits)
            return along(block, axis, slice(first, last, step))

        bands.append(combined([band], cut, band.type, band.id, ends))
    return derived(image, bands)


def _of_band(image: Image, index: int, count: int, where: str) -> Band:
    """Return the band of an image that goes with band ``index`` of another one of ``count``.

    An image of one band has that for all of them. The band must hold numbers.
    """
    if len(image.bands) not in (1, count):
        raise EarthEngineError(f"{where}: Need 1 band, or {count}. Got {len(image.bands)}.")
    band = image.bands[0 if len(image.bands) == 1 else index]
    if band.type.dimensions:
        raise EarthEngineError(f"{where}: Band '{band.id}' must have numbers, not arrays.")
    return band


@algorithm("Image.arrayMask", takes_arrays=True)
def array_mask(image: Image, mask: Image) -> Image:
    """Return arrays with only those elements along an axis for which the mask array is not 0."""
    bands = []
    for band in (*image.bands, *mask.bands):
        need(band, 1, "Image.arrayMask")
    for band, by, name in pairs(image, mask, "Image.arrayMask"):
        bands.append(combined([band, by], _kept, band.type, name))
    return derived(image, bands)


def _kept(block: Array, keep: Array) -> Made:
    if keep.ndim > block.ndim:
        raise EarthEngineError("Image.arrayMask: The mask has more dimensions than the array.")
    long = [axis for axis, size in enumerate(keep.shape[1:]) if size != 1]
    axis = long[0] if long else 0
    flags = keep.reshape(len(keep), -1) != 0
    size = block.shape[axis + 1]
    if len(long) > 1 or (long and flags.shape[1] != size):
        raise EarthEngineError("Image.arrayMask: The mask does not fit the array.")
    return compacted(block, np.broadcast_to(flags, (len(block), size)), axis)


def compacted(block: Array, flags: Array, axis: int) -> Made:
    """Return arrays with only the flagged elements along an axis.

    Parameters
    ----------
    block : ndarray, shape (n, ...)
    flags : ndarray of bool, shape (n, length of the axis)
    axis : int
        Of the arrays.
    """
    counts = flags.sum(axis=1)
    order = np.argsort(~flags, axis=1, kind="stable")
    order = order.reshape(
        len(block), *(n if a == axis else 1 for a, n in enumerate(block.shape[1:]))
    )
    moved = np.take_along_axis(block, order, axis=axis + 1)
    parts: list[tuple[Array, Array]] = []
    for count in np.unique(counts):
        rows = np.flatnonzero(counts == count)
        parts.append((rows, along(moved[rows], axis, slice(int(count)))))
    return parts


@algorithm("Image.arrayPad", takes_arrays=True)
def array_pad(image: Image, lengths: Sequence[int], value: float) -> Image:
    """Return arrays filled up with a value to a length along each axis."""
    check_axes("Image.arrayPad", max(len(lengths) - 1, 0))

    def pad(block: Array) -> Array:
        wanted = [*lengths, *block.shape[1 + len(lengths) :]]
        block = deep(block, len(wanted))
        check_size(len(block), *map(max, wanted, block.shape[1:]))
        more = [max(0, w - n) for w, n in zip(wanted, block.shape[1:], strict=True)]
        filled = block.astype(np.result_type(block.dtype, type(value)), copy=False)
        return np.pad(filled, [(0, 0), *((0, n) for n in more)], constant_values=value)

    number = int(value) if float(value).is_integer() else value

    def kind(kind: PixelType) -> PixelType:
        rank = max(kind.dimensions, len(lengths))
        return of_rank(union([kind, of_number(number)]), rank)

    return mapped(image, pad, kind)


@algorithm("Image.arrayProject", takes_arrays=True, keeps=Keeps.FIRST)
def array_project(image: Image, axes: Sequence[int]) -> Image:
    """Return arrays with only the axes ``axes``, in that order; the others must have length 1.

    A pixel where one of the others has length 0 is masked.
    """
    where = "Image.arrayProject"
    need_axis(image, max(axes, default=0), where)
    if len(set(axes)) < len(axes) or min(axes, default=0) < 0:
        raise EarthEngineError(f"{where}: Invalid axes {list(axes)}.")

    def project(block: Array) -> Any:
        dropped = [a for a in range(block.ndim - 1) if a not in axes]
        lengths = [block.shape[a + 1] for a in dropped]
        if max(lengths, default=0) > 1:
            raise EarthEngineError(
                f"{where}: Dropped axes must have length at most 1, but axes {dropped} have "
                f"{lengths}."
            )
        kept = [block.shape[a + 1] for a in axes]
        if 0 in lengths and 0 not in kept:
            # An axis of length 0 has no element to keep: such a pixel is masked.
            return np.zeros((len(block), *kept), block.dtype), np.zeros(len(block), bool)
        order = [0, *(a + 1 for a in axes), *(a + 1 for a in dropped)]
        return block.transpose(order).reshape(len(block), *kept)

    return mapped(image, project, lambda kind: of_rank(kind, len(axes)))


@algorithm("Image.arrayRepeat", takes_arrays=True)
def array_repeat(image: Image, axis: int, copies: Image) -> Image:
    """Return copies of arrays joined along an axis, which may be a new one."""
    where = "Image.arrayRepeat"
    check_axes(where, axis)
    bands = []
    for i, band in enumerate(image.bands):
        rank = max(band.type.dimensions, axis + 1)

        def repeat(block: Array, count: int, rank: int = rank) -> Array:
            if not 0 <= count <= _MOST_COPIES:
                raise EarthEngineError(f"{where}: Invalid number of copies {count}.")
            check_size(block.size, count)
            block = deep(block, rank)
            if count == 0:
                return along(block, axis, slice(0))
            return np.concatenate([block] * count, axis=axis + 1)

        key = Key(_of_band(copies, i, len(image.bands), where))
        bands.append(combined([band], repeat, of_rank(band.type, rank), band.id, [key]))
    return derived(image, bands)


@algorithm("Image.arrayReshape", takes_arrays=True)
def array_reshape(image: Image, lengths: Image, dimensions: int) -> Image:
    """Return arrays reshaped to the lengths that each pixel's vector of ``lengths`` holds.

    A length of -1 stands for the one that fits.
    """
    where = "Image.arrayReshape"
    check_axes(where, max(dimensions - 1, 0))
    if len(lengths.bands) != 1 or lengths.bands[0].type.dimensions != 1:
        raise EarthEngineError(f"{where}: The lengths must be one band of 1-D arrays.")

    def reshape(block: Array, *shape: int) -> Array:
        if len(shape) != dimensions:
            raise EarthEngineError(
                f"{where}: Got {len(shape)} lengths, but {dimensions} dimensions."
            )
        try:
            return block.reshape(len(block), *_resolved(block[0].size, shape))
        except ValueError:
            raise EarthEngineError(
                f"{where}: Arrays of shape {list(block.shape[1:])} cannot become {list(shape)}."
            ) from None

    keys = [Key(lengths.bands[0])]
    return mapped(image, reshape, lambda kind: of_rank(kind, dimensions), keys)


def _resolved(size: int, shape: Sequence[int]) -> list[int]:
    """Return lengths with the one that fits in place of -1; ValueError if there is none."""
    known = int(np.prod([n for n in shape if n != -1]))
    if min(shape, default=0) < -1 or list(shape).count(-1) > 1:
        raise ValueError(shape)
    if -1 in shape:
        if not known or size % known:
            raise ValueError(shape)
        return [size // known if n == -1 else n for n in shape]
    return list(shape)


@algorithm("Image.arrayTranspose", "Image.matrixTranspose", takes_arrays=True)
def array_transpose(image: Image, first: int, second: int) -> Image:
    """Return arrays with two axes exchanged; a vector becomes a matrix of one row."""
    check_axes("Image.arrayTranspose", first, second)
    top = max(first, second) + 1

    def transpose(block: Array) -> Array:
        return np.swapaxes(deep(block, max(top, block.ndim - 1)), first + 1, second + 1)

    return mapped(image, transpose, lambda kind: of_rank(kind, max(kind.dimensions, top)))

"""Array images made of bands and of collections, and bands made of array images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache, partial
from itertools import product
from typing import Any

import numpy as np

from eedask.emulator.composites.mosaics import Stack, band_named, stack_bands
from eedask.emulator.errors import EarthEngineError
from eedask.emulator.functions.images.arrays import compacted, joined, mapped
from eedask.emulator.functions.registry import Keeps, algorithm
from eedask.emulator.limits.budget import MemoryLimit
from eedask.emulator.pixels.array_values import Array, Made, check_axes, each
from eedask.emulator.pixels.bands import both, combined, constant, derived
from eedask.emulator.pixels.pixel_types import of_rank, union
from eedask.emulator.pixels.raster import Band, Grid, Image, Pixels, PixelType
from eedask.emulator.pixels.sampling import masked
from eedask.emulator.values.value_types import Collection

_MOST_BYTES = 2**31


@algorithm("Image.toArray", takes_arrays=True, keeps=Keeps.FIRST)
def to_array(image: Image, axis: int) -> Image:
    """Return one band ``array``: at each pixel the bands' values joined along an axis.

    A pixel is masked if any band is.
    https://developers.google.com/earth-engine/apidocs/ee-image-toarray
    """
    where = "Image.toArray"
    if not image.bands:
        raise EarthEngineError(f"{where}: The image has no bands.")
    if len({band.type.dimensions for band in image.bands}) > 1:
        raise EarthEngineError(f"{where}: All bands must have the same dimensions.")
    check_axes(where, axis)
    rank = max(image.bands[0].type.dimensions, axis + 1)
    kind = of_rank(union(band.type for band in image.bands), rank)
    join = partial(joined, axis, rank, where)
    return derived(image, [combined(image.bands, join, kind, "array")])


@algorithm("Image.arrayFlatten", takes_arrays=True, keeps=Keeps.FIRST)
def array_flatten(image: Image, labels: Sequence[Sequence[str]], separator: str = "_") -> Image:
    """Return a band of numbers for each element of the pixels' arrays, which must have one shape.

    https://developers.google.com/earth-engine/apidocs/ee-image-arrayflatten
    """
    where = "Image.arrayFlatten"
    if len(image.bands) != 1:
        raise EarthEngineError(f"{where}: The image must have one band. Got {len(image.bands)}.")
    band = image.bands[0]
    if band.type.dimensions != len(labels):
        raise EarthEngineError(
            f"{where}: There are labels for {len(labels)} axes, but the arrays have "
            f"{band.type.dimensions} dimensions."
        )
    names = [separator.join(parts) for parts in product(*labels)]
    shape = tuple(len(axis) for axis in labels)

    def flat(block: Array) -> Array:
        if block.shape[1:] != shape:
            raise EarthEngineError(
                f"{where}: The labels are for arrays of shape {list(shape)}, but a pixel's has "
                f"{list(block.shape[1:])}."
            )
        return block.reshape(len(block), -1)

    @lru_cache(maxsize=1)  # the bands of an answer are read one after the other
    def elements(grid: Grid) -> Pixels:
        pixels = band.read(grid)
        return Pixels(*each(flat, [pixels.values], pixels.mask, kind.dtype, 1))

    def read(index: int, grid: Grid) -> Pixels:
        pixels = elements(grid)
        if pixels.values.shape[2] != len(names):
            return masked(grid.shape, kind.dtype)  # without a valid pixel there are no elements
        return Pixels(pixels.values[..., index], pixels.mask)

    kind = of_rank(band.type, 0)
    bands = [
        replace(band, id=name, type=kind, read=partial(read, i)) for i, name in enumerate(names)
    ]
    return derived(image, bands)


@algorithm("Image.bitsToArrayImage", keeps=Keeps.FIRST)
def bits_to_array_image(image: Image) -> Image:
    """Return each integer's bits as a vector, from the lowest to the highest that is 1."""

    def bits(block: Array) -> Made:
        numbers = block.astype(np.int64)
        flags = numbers[:, None] >> np.arange(64) & 1
        # The vector of 0 has one element (a guess).
        lengths = np.maximum(64 - flags[:, ::-1].argmax(axis=1), 1)
        lengths[numbers == 0] = 1
        rows = [np.flatnonzero(lengths == n) for n in np.unique(lengths)]
        return [(r, flags[r, : lengths[r[0]]]) for r in rows]

    for band in image.bands:
        if band.type.dimensions or band.type.precision != "int":
            raise EarthEngineError("Image.bitsToArrayImage: Bands must be of integers.")
    return mapped(image, bits, lambda _: PixelType("int", 0, 1, 1))


@algorithm("Image.matrixIdentity", takes_arrays=True)
def matrix_identity(size: int) -> Image:
    """Return a band ``constant`` whose every pixel is the identity matrix."""
    if not 1 <= size <= 1000:
        raise EarthEngineError(f"Image.matrixIdentity: Invalid size {size}.")
    return constant(np.eye(size, dtype=np.int64))


@algorithm("ImageCollection.toArray")
def collection_to_array(collection: Collection) -> Image:
    """Return one band ``array``: at each pixel a matrix of a row an image and a column a band.

    An image has no row at a pixel where one of its bands is masked; a pixel without rows is
    masked (a guess).
    https://developers.google.com/earth-engine/apidocs/ee-imagecollection-toarray
    """
    where = "ImageCollection.toArray"
    stack = Stack(collection)
    bands = _stacked(stack, where)
    for band in bands:
        if band.type.dimensions:
            raise EarthEngineError(f"{where}: Band '{band.id}' must have numbers, not arrays.")
    kind = of_rank(union(band.type for band in bands), 2)
    names = [band.id for band in bands]

    @lru_cache(maxsize=1)  # sorting arrays by a slice of themselves reads them twice
    def read(grid: Grid) -> Pixels:
        images = stack.on(grid)
        _check_memory(grid, len(images) * len(names))
        values = np.zeros((*grid.shape, len(images), len(names)), kind.dtype)
        valid = np.ones((*grid.shape, len(images)), bool)
        for i, image in enumerate(images):
            for j, band in enumerate(_of_names(image, names, where)):
                pixels = band.read(grid)
                values[..., i, j] = pixels.values
                valid[..., i] &= pixels.mask > 0
        some = np.asarray(valid.any(axis=2), np.float32)
        return Pixels(*each(partial(compacted, axis=0), [values, valid], some, kind.dtype, 2))

    return Image((replace(bands[0], id="array", type=kind, read=read),))


def _check_memory(grid: Grid, layers: int) -> None:
    if grid.width * grid.height * layers * 8 > _MOST_BYTES:
        raise MemoryLimit


def _stacked(stack: Stack, where: str) -> list[Band]:
    bands = stack_bands(stack.sample)
    if not bands:
        raise EarthEngineError(f"{where}: The collection is empty, or its images have no bands.")
    return bands


def _of_names(image: Image, names: Sequence[str], where: str) -> list[Band]:
    """Return the bands of an image with the given names; raise 400 unless it has exactly these."""
    found = [band_named(image, name) for name in names]
    if None in found or len(image.bands) != len(names):
        raise EarthEngineError(
            f"{where}: All images must have the same bands. Expected {list(names)}, got "
            f"{image.band_names}."
        )
    return [band for band in found if band is not None]


@algorithm("ImageCollection.toArrayPerBand")
def to_array_per_band(collection: Collection, axis: int, drop_masked: bool) -> Image:
    """Return, for each band, the values of all images joined along an axis.

    A pixel is masked where any image is. With ``dropMasked`` a pixel's array leaves out the
    images that are masked there, and the pixel is masked only where all are.
    https://developers.google.com/earth-engine/apidocs/ee-imagecollection-toarrayperband
    """
    where = "ImageCollection.toArrayPerBand"
    check_axes(where, axis)
    stack = Stack(collection)
    bands = _stacked(stack, where)
    names = [band.id for band in bands]
    made = []
    for band in bands:
        rank = max(band.type.dimensions, axis + 1)
        kind = of_rank(band.type, rank)
        join = partial(joined, axis, rank, where)

        def read(
            grid: Grid, name: str = band.id, kind: PixelType = kind, join: Any = join
        ) -> Pixels:
            # Outside its footprint an image is masked; that masks the result, so all images count.
            images = stack.on(grid) if drop_masked else stack.every()
            _check_memory(grid, len(images))
            layers = [_of_names(i, names, where)[names.index(name)].read(grid) for i in images]
            if not layers:
                return masked(grid.shape, kind.dtype)
            values = [layer.values for layer in layers]
            if not drop_masked:
                mask = layers[0].mask
                for layer in layers[1:]:
                    mask = both(mask, layer.mask)
                return Pixels(*each(join, values, mask, kind.dtype, kind.dimensions))
            flags = np.stack([layer.mask > 0 for layer in layers], axis=2)
            some = np.asarray(flags.any(axis=2), np.float32)
            if kind.dimensions == 1 and not values[0][0, 0].shape:
                stacked = [np.stack(values, axis=2), flags]
                keep = partial(compacted, axis=0)
                return Pixels(*each(keep, stacked, some, kind.dtype, 1))

            def join_valid(*parts: Any) -> Array:
                blocks, there = parts[: len(values)], parts[len(values) :]
                kept = [block for block, ok in zip(blocks, there, strict=True) if ok]
                return np.asarray(join(*kept))

            return Pixels(*each(join_valid, values, some, kind.dtype, kind.dimensions, flags))

        made.append(replace(band, type=kind, read=read))
    return Image(tuple(made))

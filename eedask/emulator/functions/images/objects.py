"""Image algorithms about objects: connected pixels of the same value.

Objects consist of pixels of the output grid. Pixels around it are read as well, as far as an object
of the largest size can reach. https://developers.google.com/earth-engine/guides/image_objects
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np

from eedask.emulator.composites.mosaics import band_named
from eedask.emulator.composites.reduction_bands import reduced_bands
from eedask.emulator.errors import EarthEngineError, NotSupported
from eedask.emulator.functions.registry import Keeps, algorithm
from eedask.emulator.neighbours import connected
from eedask.emulator.neighbours.kernels import Kernel
from eedask.emulator.neighbours.neighbourhoods import padded
from eedask.emulator.pixels.bands import derived
from eedask.emulator.pixels.pixel_types import INT64, whole
from eedask.emulator.pixels.position_hash import position_hash
from eedask.emulator.pixels.raster import Band, Grid, Image, Pixels
from eedask.emulator.reducers.accumulators import Output
from eedask.emulator.reducers.banded import input_groups, output_names
from eedask.emulator.reducers.reduce import Reducer, Run

_LARGEST = 1024
_FURTHEST = 2048


def _checked(size: int, name: str) -> int:
    if not 1 <= size <= _LARGEST:
        raise EarthEngineError(
            f"{name}: The maximum size must be from 1 to {_LARGEST} pixels, found {size}."
        )
    return size


def _middle(values: Any, n: int) -> Any:
    return values[n : values.shape[0] - n, n : values.shape[1] - n]


@algorithm("Image.connectedPixelCount", keeps=Keeps.FIRST)
def connected_pixel_count(image: Image, size: int = 100, eight: bool = True) -> Image:
    """Return the size in pixels of the object that each pixel belongs to, band by band.

    Objects larger than ``size`` count as ``size``.
    https://developers.google.com/earth-engine/apidocs/ee-image-connectedpixelcount
    """
    _checked(size, "Image.connectedPixelCount")
    offsets = connected.EIGHT if eight else connected.FOUR
    kind = whole(0, 2**31 - 1)

    def counted(band: Band) -> Band:
        def read(grid: Grid) -> Pixels:
            pixels = band.read(padded(grid, size))
            labels = connected.objects(pixels, offsets)
            counts = np.minimum(connected.sizes(labels), size)
            inner = _middle(labels, size)
            values = counts[inner] if counts.size else np.zeros(inner.shape)
            return Pixels(values.astype(kind.dtype), _middle(pixels.mask, size))

        return replace(band, type=kind, read=read)

    return derived(image, [counted(band) for band in image.bands])


@algorithm("Image.connectedComponents")
def connected_components(image: Image, connectedness: Kernel, size: int) -> Image:
    """Return the image with a band ``labels``: a unique number for each object of the first band.

    Objects of more than ``size`` pixels are masked in all bands. The number is made from the
    position of the object's first pixel, so that it does not depend on the extent of the
    request. (Earth Engine documents only that its numbers are unique.)
    https://developers.google.com/earth-engine/apidocs/ee-image-connectedcomponents
    """
    name = "Image.connectedComponents"
    _checked(size, name)
    if not image.bands:
        raise EarthEngineError(f"{name}: The image has no bands.")
    first = image.bands[0]
    if first.type.precision != "int":
        raise EarthEngineError(f"{name}: The first band must be of an integer type.")

    @lru_cache(maxsize=1)
    def found(grid: Grid) -> Pixels:
        offsets = connectedness.on(grid).offsets
        reach = max((max(abs(x), abs(y)) for x, y in offsets), default=0)
        margin = size * max(reach, 1)
        if margin > _FURTHEST:
            raise NotSupported(f"{name} over more than {_FURTHEST} pixels")
        around = padded(grid, margin)
        labels = connected.objects(first.read(around), offsets)
        ids = _ids(around, *connected.first_pixels(labels))
        small = connected.sizes(labels) <= size
        inner = _middle(labels, margin)
        at = np.maximum(inner, 0)
        if not small.size:
            return Pixels(np.zeros(grid.shape, np.int64), np.zeros(grid.shape, np.float32))
        return Pixels(ids[at], ((inner >= 0) & small[at]).astype(np.float32))

    def cut(band: Band) -> Band:
        def read(grid: Grid) -> Pixels:
            pixels = band.read(grid)
            return Pixels(pixels.values, np.minimum(pixels.mask, found(grid).mask))

        return replace(band, read=read)

    labels = replace(first, id="labels", type=INT64, read=found)
    return derived(image, [*(cut(band) for band in image.bands), labels])


def _ids(grid: Grid, cols: Any, rows: Any) -> Any:
    """Return for pixel positions integers from 1 that a double holds exactly (53 bits)."""
    return (position_hash(grid, cols + 0.5, rows + 0.5, 0) >> np.uint64(11)).astype(np.int64) + 1


@algorithm("Image.reduceConnectedComponents")
def reduce_connected_components(
    image: Image, reducer: Reducer, label: str | None = None, size: int = 256
) -> Image:
    """Return a reducer's outputs over each object of the label band, at all of its pixels.

    Objects that span more than ``size`` columns or rows are masked. If the reducer has one
    output, bands keep their names.
    https://developers.google.com/earth-engine/apidocs/ee-image-reduceconnectedcomponents
    """
    name = "Image.reduceConnectedComponents"
    _checked(size, name)
    band = image.bands[0] if label is None and image.bands else band_named(image, label or "")
    if band is None:
        raise EarthEngineError(f"{name}: The image has no band '{label}'.")
    others = [other for other in image.bands if other is not band]
    if not others:
        raise EarthEngineError(f"{name}: The image has no bands besides the labels.")
    groups = input_groups(others, reducer, name)
    labels = output_names([other.id for other in others], reducer, "band")
    made: list[Band] = []
    for group, names in zip(groups, labels, strict=True):

        def compute(grid: Grid, group: Sequence[Band] = group) -> list[Output]:
            return _over_objects(reducer, band, group, grid, size)

        kinds = [other.type for other in group]
        made += reduced_bands(reducer, compute, kinds, names, group[0], name)
    return derived(image, made)


def _over_objects(
    reducer: Reducer, label: Band, bands: Sequence[Band], grid: Grid, size: int
) -> list[Output]:
    around = padded(grid, size)
    labels = connected.objects(label.read(around), connected.EIGHT)
    columns, rows = connected.extents(labels)
    inner = _middle(labels, size).ravel()
    wanted = np.unique(inner[inner >= 0])
    wanted = wanted[(columns[wanted] <= size) & (rows[wanted] <= size)] if wanted.size else wanted
    pixels = [band.read(around) for band in bands]
    weights = np.minimum.reduce([p.mask for p in pixels]).astype(np.float64).ravel()
    values: list[list[Any]] = [[] for _ in reducer.outputs]
    valid: list[list[bool]] = [[] for _ in reducer.outputs]
    for at in connected.members(labels, wanted):
        run = Run(reducer)
        run.add([p.values.ravel()[at][:, None] for p in pixels], weights[at][:, None])
        for i, output in enumerate(run.outputs()):
            values[i].append(output.values[0])
            valid[i].append(bool(output.valid[0]))
    place = np.searchsorted(wanted, inner).clip(max=max(wanted.size - 1, 0))
    hit = np.isin(inner, wanted)
    if not wanted.size:
        return [Output(np.zeros(inner.size), hit) for _ in reducer.outputs]
    return [
        Output(np.array(v)[place], np.array(k)[place] & hit)
        for v, k in zip(values, valid, strict=True)
    ]

"""Statistics at each pixel: over the images of a collection, or over the bands of an image."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from eedask.emulator.composites.mosaics import Stack, band_named, stack_bands
from eedask.emulator.composites.reduction_bands import reduced_bands
from eedask.emulator.errors import EarthEngineError
from eedask.emulator.functions.registry import IMPLEMENTATIONS, Keeps, algorithm
from eedask.emulator.pixels.array_values import flat_row
from eedask.emulator.pixels.bands import derived
from eedask.emulator.pixels.raster import Band, Grid, Image, Pixels, PixelType
from eedask.emulator.reducers.accumulators import Output
from eedask.emulator.reducers.banded import input_groups, output_names
from eedask.emulator.reducers.reduce import Reducer, Run
from eedask.emulator.values.value_types import Collection

Layers = Callable[[Grid], Iterable[list[Pixels]]]
"""``layers(grid)`` yields, for each value to reduce, the reducer's inputs at all pixels."""


def _reduced_bands(
    reducer: Reducer,
    layers: Layers,
    kinds: Sequence[PixelType],
    names: Sequence[str],
    template: Band,
    algorithm: str,
) -> list[Band]:
    """Return a band for each output of a reducer over layers of pixels, weighted by their masks."""

    def outputs(grid: Grid) -> list[Output]:
        run = Run(reducer)
        for inputs in layers(grid):
            mask = np.minimum.reduce([pixels.mask for pixels in inputs])
            columns = [flat_row(pixels.values) for pixels in inputs]
            run.add(columns, mask.reshape(1, -1).astype(np.float64))
        return run.outputs()

    return reduced_bands(reducer, outputs, kinds, names, template, algorithm)


@algorithm("ImageCollection.reduce")
def reduce_collection(
    collection: Collection, reducer: Reducer, parallel_scale: float = 1.0
) -> Image:
    """Return an image of a reducer's outputs over the images of a collection at each pixel.

    Pixels are weighted by their masks. A reducer of one input runs on each band by itself, and
    its outputs become bands ``band_output``. A reducer of several inputs takes all bands
    together, and its outputs keep their names.
    https://developers.google.com/earth-engine/guides/reducers_image_collection
    """
    del parallel_scale
    return _over_collection(collection, reducer, "ImageCollection.reduce", None)


def _over_collection(
    collection: Collection, reducer: Reducer, name: str, suffix: str | None
) -> Image:
    stack = Stack(collection)
    bands = stack_bands(stack.sample)
    groups = input_groups(bands, reducer, name)
    labels = output_names([band.id for band in bands], reducer, "both")
    if suffix is not None:
        labels = [[band.id] for band in bands]
    made: list[Band] = []
    for group, names in zip(groups, labels, strict=True):
        wanted = [band.id for band in group]

        def layers(grid: Grid, wanted: list[str] = wanted) -> Iterable[list[Pixels]]:
            for image in stack.on(grid):
                found = [band_named(image, name) for name in wanted]
                if all(band is not None for band in found):
                    yield [band.read(grid) for band in found if band is not None]

        kinds = [band.type for band in group]
        made += _reduced_bands(reducer, layers, kinds, names, group[0], name)
    return Image(tuple(made))


def _register(name: str) -> None:
    def apply(collection: Collection) -> Image:
        reducer = IMPLEMENTATIONS[f"Reducer.{name}"].function()
        return _over_collection(collection, reducer, f"reduce.{name}", "")

    algorithm(f"reduce.{name}")(apply)


for _name in (
    "min", "max", "count", "sum", "product", "mean", "and", "or", "median", "mode",
):  # fmt: skip
    _register(_name)


@algorithm("Image.reduce", takes_arrays=True, keeps=Keeps.FIRST)
def reduce_bands(image: Image, reducer: Reducer) -> Image:
    """Return an image of a reducer's outputs over the bands of an image at each pixel.

    A reducer of n inputs takes the bands n at a time.
    https://developers.google.com/earth-engine/guides/reducers_image
    """
    n = reducer.inputs
    if not image.bands or len(image.bands) % n:
        raise EarthEngineError(
            f"Image.reduce: Need a multiple of {n} bands. The image has {len(image.bands)}."
        )

    def layers(grid: Grid) -> Iterable[list[Pixels]]:
        for i in range(0, len(image.bands), n):
            yield [band.read(grid) for band in image.bands[i : i + n]]

    kinds = [band.type for band in image.bands]
    first = image.bands[0]
    made = _reduced_bands(reducer, layers, kinds, reducer.outputs, first, "Image.reduce")
    return derived(image, made)


@algorithm("ImageCollection.merge")
def merge(first: Collection, second: Collection) -> Collection:
    """Return the images of both collections; their indices are prefixed with ``1_`` and ``2_``.

    https://developers.google.com/earth-engine/apidocs/ee-imagecollection-merge
    """

    def marked(prefix: str, image: Image) -> Image:
        index = image.properties.get("system:index")
        return image.with_properties(**{"system:index": f"{prefix}_{index}"})

    def source(query: Any) -> Iterable[Image]:
        for prefix, collection in (("1", first), ("2", second)):
            # The prefix makes an index that is asked for differ from the one inside.
            hint = replace(query, equals={})
            for image in collection.elements(hint):
                yield marked(prefix, image)

    return Collection("ImageCollection", lambda query: iter(source(query)))

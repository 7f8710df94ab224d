"""Images of features: ``reduceToImage`` and ``paint``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache, partial
from typing import Any

import numpy as np

from eedask.emulator.errors import EarthEngineError
from eedask.emulator.functions.registry import algorithm
from eedask.emulator.pixels.pixel_types import DOUBLE, cast, of_number, union
from eedask.emulator.pixels.raster import DEFAULT_PROJECTION, Band, Grid, Image, Pixels
from eedask.emulator.reducers.reduce import Reducer
from eedask.emulator.regions import painting
from eedask.emulator.values.value_types import Collection


@algorithm("Collection.reduceToImage")
def reduce_to_image(collection: Collection, properties: Sequence[str], reducer: Reducer) -> Image:
    """Return an image of a reducer over properties of the features at each pixel.

    A polygon counts at the pixels whose centres it contains, a point at the pixel it lies in.
    Bands have the names of the reducer's outputs.
    https://developers.google.com/earth-engine/apidocs/ee-featurecollection-reducetoimage
    """
    if len(properties) != reducer.inputs:
        raise EarthEngineError(
            f"Collection.reduceToImage: Need {reducer.inputs} properties for the reducer's "
            f"inputs. Got {len(properties)}."
        )

    @lru_cache(maxsize=1)  # the bands of an answer are read one after the other
    def outputs(grid: Grid) -> Any:
        return painting.reduced(collection, properties, reducer, grid)

    def read(index: int, grid: Grid) -> Pixels:
        values, valid = outputs(grid)[index]
        if values.dtype == object:
            raise EarthEngineError("Collection.reduceToImage: The reducer must give numbers.")
        return Pixels(values.astype(np.float64, copy=False), valid.astype(np.float32))

    return Image(
        tuple(
            Band(name, DOUBLE, DEFAULT_PROJECTION, partial(read, i))
            for i, name in enumerate(reducer.outputs)
        )
    )


@algorithm("Image.paint")
def paint(image: Image, collection: Collection, color: Any = 0, width: Any = None) -> Image:
    """Return an image with features painted on it, later ones over earlier ones.

    ``color`` is a pixel value, or the name of a property that holds it. ``width`` is that of
    outlines in pixels, or the name of a property; without it polygons are filled.
    https://developers.google.com/earth-engine/apidocs/ee-image-paint
    """
    bands = []
    for band in image.bands:
        kind = DOUBLE if isinstance(color, str) else union([band.type, of_number(color)])

        def read(grid: Grid, band: Band = band, dtype: np.dtype[Any] = kind.dtype) -> Pixels:
            below = band.read(grid)
            values = below.values.astype(dtype).ravel()
            mask = np.array(below.mask, np.float32).ravel()
            for feature, at in painting.drawn(collection, grid, _pixels_wide(width)):
                value = feature.properties.get(color) if isinstance(color, str) else color
                if isinstance(value, int | float):
                    values[at] = cast(np.asarray(value), values.dtype)
                    mask[at] = 1
            return Pixels(values.reshape(grid.shape), mask.reshape(grid.shape))

        bands.append(replace(band, type=kind, read=read))
    return image.with_bands(tuple(bands))


def _pixels_wide(width: Any) -> float | str | None:
    if width is None or isinstance(width, int | float | str):
        return width
    raise EarthEngineError("Image.paint: The width must be a number or the name of a property.")

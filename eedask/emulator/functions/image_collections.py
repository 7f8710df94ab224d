"""Image collections: loading, composites, and making one image of many."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from eedask.emulator import mosaics
from eedask.emulator.elements import index_of
from eedask.emulator.errors import EarthEngineError
from eedask.emulator.functions.registry import algorithm
from eedask.emulator.raster import Image
from eedask.emulator.values import Collection

_MOST_BANDS = 5000


@algorithm("ImageCollection.load", needs_context=True)
def load(context: Any, asset: str, version: int | None = None) -> Collection:
    """Return the collection of an asset id."""
    del version
    collection: Collection = context.catalog.load_collection(asset)
    return collection


@algorithm("ImageCollection.mosaic")
def mosaic(collection: Collection) -> Image:
    """Return the composite in which the last unmasked pixel shows."""
    return mosaics.mosaic(collection)


@algorithm("ImageCollection.qualityMosaic")
def quality_mosaic(collection: Collection, band: str) -> Image:
    """Return the composite of the pixels with the highest value of a quality band."""
    return mosaics.quality_mosaic(collection, band)


@algorithm("ImageCollection.toBands")
def to_bands(collection: Collection) -> Image:
    """Return one image of all bands of all images, named ``index_band``.

    https://developers.google.com/earth-engine/apidocs/ee-imagecollection-tobands
    """
    bands = []
    for number, image in enumerate(collection.elements()):
        index = index_of(image)
        prefix = str(number) if index is None else index
        bands += [replace(band, id=f"{prefix}_{band.id}") for band in image.bands]
        if len(bands) > _MOST_BANDS:
            raise EarthEngineError(
                f"ImageCollection.toBands: Too many bands; the limit is {_MOST_BANDS}."
            )
    return Image(tuple(bands))


@algorithm("ImageCollection.fromImages")
def from_images(images: Sequence[Image]) -> Collection:
    """Return a collection of images; those without an index get their number."""
    numbered = [
        image if index_of(image) is not None else image.with_properties(**{"system:index": str(i)})
        for i, image in enumerate(images)
    ]
    return Collection("ImageCollection", lambda _: iter(numbered))

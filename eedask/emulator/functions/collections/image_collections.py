"""Image collections: loading, mosaics, and images made of all images of a collection."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from eedask.emulator.composites import mosaics
from eedask.emulator.errors import EarthEngineError
from eedask.emulator.functions.images.bands import add_bands, cast_band
from eedask.emulator.functions.registry import algorithm
from eedask.emulator.pixels.pixel_types import BYTE, from_dictionary
from eedask.emulator.pixels.raster import DEFAULT_PROJECTION, Band, Grid, Image, Pixels, PixelType
from eedask.emulator.pixels.sampling import masked
from eedask.emulator.values.elements import index_of
from eedask.emulator.values.value_types import Collection, Query

_MOST_BANDS = 5000


@algorithm("ImageCollection.load", needs_context=True)
def load(context: Any, asset: str, version: int | None = None) -> Collection:
    """Return the collection of an asset id."""
    del version
    collection: Collection = context.catalog.load_collection(asset)
    return collection


@algorithm("ImageCollection.mosaic")
def mosaic(collection: Collection) -> Image:
    """Return an image in which each pixel is the last image's that is not masked there."""
    return mosaics.mosaic(collection)


@algorithm("ImageCollection.qualityMosaic")
def quality_mosaic(collection: Collection, band: str) -> Image:
    """Return an image in which each pixel is that of the image with the highest quality band."""
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
    """Return a collection of images; an image without ``system:index`` gets its number."""
    numbered = [
        image if index_of(image) is not None else image.with_properties(**{"system:index": str(i)})
        for i, image in enumerate(images)
    ]
    return Collection("ImageCollection", lambda _: iter(numbered))


@algorithm("ImageCollection.combine")
def combine(primary: Collection, secondary: Collection, overwrite: bool = False) -> Collection:
    """Return the images of ``primary`` with bands added from images of ``secondary``.

    Images go together by ``system:index``; those without a partner are left out.
    https://developers.google.com/earth-engine/apidocs/ee-imagecollection-combine
    """

    def source(query: Query) -> Iterator[Image]:
        partners = {index_of(image): image for image in secondary.elements()}
        for image in primary.elements(query):
            partner = partners.get(index_of(image))
            if partner is not None:
                yield add_bands(image, partner, None, overwrite)

    return replace(primary, source=source)


@algorithm("ImageCollection.cast")
def cast(collection: Collection, types: dict[str, Any], order: list[str]) -> Collection:
    """Return the images with the bands ``order``, cast to ``types``.

    An image that lacks one of the bands gets it fully masked.

    https://developers.google.com/earth-engine/apidocs/ee-imagecollection-cast
    """
    name = "ImageCollection.cast"
    if set(order) != set(types) or len(order) != len(types):
        raise EarthEngineError(f"{name}: The band order must match the keys of the band types.")
    kinds = {key: _pixel_type(value, name) for key, value in types.items()}

    def one(image: Image) -> Image:
        more = [band for band in image.band_names if band not in kinds]
        if more:
            raise EarthEngineError(f"{name}: No type is given for band '{more[0]}'.")
        own = {band.id: band for band in image.bands}
        made = [cast_band(own.get(key) or _transparent(key), kinds[key]) for key in order]
        return image.with_bands(tuple(made))

    return collection.mapped(one)


def _pixel_type(value: Any, name: str) -> PixelType:
    try:
        return from_dictionary(value)
    except ValueError:
        raise EarthEngineError(f"{name}: '{value}' is no pixel type.") from None


def _transparent(name: str) -> Band:
    def read(grid: Grid) -> Pixels:
        return masked(grid.shape, np.uint8)

    return Band(name, BYTE, DEFAULT_PROJECTION, read)

"""Image algorithms that select, name, join and cast bands, and that list their properties."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from eedask.emulator.errors import EarthEngineError
from eedask.emulator.functions.registry import Keeps, algorithm
from eedask.emulator.pixels.bands import no_such_band, unary, unique_names
from eedask.emulator.pixels.pixel_types import cast, from_dictionary
from eedask.emulator.pixels.raster import Band, Image, PixelType
from eedask.emulator.values.coercion import Mismatch, coercer
from eedask.emulator.values.patterns import Pattern
from eedask.emulator.values.typenames import type_name


@algorithm("Image.select", takes_arrays=True, keeps=Keeps.FIRST)
def select(image: Image, selectors: Sequence[Any], names: Sequence[str] | None = None) -> Image:
    """Return the bands that selectors name: names, regular expressions or band numbers from 0.

    https://developers.google.com/earth-engine/apidocs/ee-image-select
    """
    if not isinstance(selectors, list | tuple):
        selectors = [selectors]
    chosen: list[Band] = []
    for selector in selectors:
        chosen += _matching(image, selector)
    if names is None:
        # A band that several patterns match appears once for each of them, under different names.
        return image.with_bands(tuple(_numbered(chosen)))
    return _renamed(image, chosen, names, "Image.select")


def _matching(image: Image, selector: Any) -> list[Band]:
    if isinstance(selector, int | float) and not isinstance(selector, bool):
        index = int(selector)
        if not -len(image.bands) <= index < len(image.bands):
            raise EarthEngineError(
                f"Image.select: Band index {index} is out of bounds. "
                f"The image has {len(image.bands)} bands."
            )
        return [image.bands[index]]
    if not isinstance(selector, str):
        raise EarthEngineError(
            f"Image.select: Bands are named by strings or numbers, not by {type_name(selector)}."
        )
    exact = [band for band in image.bands if band.id == selector]
    if exact:
        return exact
    pattern = Pattern(selector)
    found = [band for band in image.bands if pattern.matches(band.id)]
    if not found:
        raise no_such_band(selector, image)
    return found


def _numbered(bands: Sequence[Band]) -> list[Band]:
    """Return bands of distinct names: to a name that occurs again ``_1``, ``_2``… is added."""
    taken: set[str] = set()
    result = []
    for band in bands:
        name, n = band.id, 0
        while name in taken:
            n += 1
            name = f"{band.id}_{n}"
        taken.add(name)
        result.append(band if name == band.id else replace(band, id=name))
    return result


def _renamed(image: Image, bands: Sequence[Band], names: Sequence[str], algorithm: str) -> Image:
    if len(bands) != len(names):
        raise EarthEngineError(
            f"{algorithm}: The number of names ({len(names)}) must match the number of bands "
            f"({len(bands)})."
        )
    unique_names(names, algorithm)
    renamed = (replace(band, id=name) for band, name in zip(bands, names, strict=True))
    return image.with_bands(tuple(renamed))


@algorithm("Image.rename", takes_arrays=True, keeps=Keeps.FIRST)
def rename(image: Image, names: Sequence[str]) -> Image:
    """Return the image with its bands renamed; the number of names must be that of the bands."""
    return _renamed(image, image.bands, names, "Image.rename")


@algorithm("Image.regexpRename", takes_arrays=True, keeps=Keeps.FIRST)
def regexp_rename(image: Image, regex: str, replacement: str, everywhere: bool = True) -> Image:
    """Return the image with the matches of a pattern in its band names replaced."""
    pattern = Pattern(regex)
    names = [pattern.replaced(n, replacement, everywhere=everywhere) for n in image.band_names]
    return _renamed(image, image.bands, names, "Image.regexpRename")


@algorithm("Image.addBands", takes_arrays=True, keeps=Keeps.FIRST)
def add_bands(
    image: Image, source: Image, names: Sequence[str] | None = None, overwrite: bool = False
) -> Image:
    """Return the image with the bands of ``source`` added after its own.

    A band whose name exists already gets ``_1``, ``_2``… added to it, or with ``overwrite``
    replaces the band of that name.
    https://developers.google.com/earth-engine/apidocs/ee-image-addbands
    """
    added = source.bands if names is None else select(source, names).bands
    if not overwrite:
        return image.with_bands(tuple(_numbered([*image.bands, *added])))
    new = {band.id: band for band in added}
    kept = [new.pop(band.id, band) for band in image.bands]
    return image.with_bands((*kept, *new.values()))


@algorithm("Image.cat", needs_context=True, takes_arrays=True, keeps=Keeps.FIRST_OF_LIST)
def cat(context: Any, values: Sequence[Any]) -> Image:
    """Return one image of the bands of several, with the properties of the first.

    Numbers among them become constant images.
    """
    images = [_promoted(value, context) for value in values]
    if not images:
        return Image(())
    bands = [band for image in images for band in image.bands]
    return images[0].with_bands(tuple(_numbered(bands)))


def _promoted(value: Any, context: Any) -> Image:
    try:
        image: Image = coercer("Image")(value, context)
    except Mismatch:
        words = f"Image.cat: Expected an image, found {type_name(value)}."
        raise EarthEngineError(words) from None
    return image


@algorithm("Image.slice", takes_arrays=True, keeps=Keeps.FIRST)
def slice_bands(image: Image, start: int, end: int | None = None) -> Image:
    """Return the bands from number ``start`` up to, but not including, number ``end``."""
    return image.with_bands(image.bands[start:end])


@algorithm("Image.bandNames", takes_arrays=True)
def band_names(image: Image) -> list[str]:
    """Return the bands' names."""
    return image.band_names


@algorithm("Image.bandTypes", takes_arrays=True)
def band_types(image: Image) -> dict[str, PixelType]:
    """Return the bands' pixel types by name."""
    return {band.id: band.type for band in image.bands}


@algorithm("Image.cast", takes_arrays=True, keeps=Keeps.FIRST)
def cast_bands(image: Image, types: Mapping[str, Any], order: Sequence[str] | None = None) -> Image:
    """Return the image with bands cast to ``types`` (by name) and in the order ``order``."""
    result = []
    for band in image.bands:
        try:
            kind = from_dictionary(types[band.id]) if band.id in types else band.type
        except ValueError as error:
            raise EarthEngineError(
                f"Image.cast: '{types[band.id]}' is not a pixel type."
            ) from error
        result.append(cast_band(band, kind))
    changed = image.with_bands(tuple(result))
    return changed if order is None else select(changed, order)


def cast_band(band: Band, kind: PixelType) -> Band:
    """Return a band cast to a pixel type; values are truncated, and clamped to its range."""
    if band.type == kind:
        return band
    return unary(band, lambda values: cast(values, kind.dtype), kind)


@algorithm("Image.id", takes_arrays=True)
def image_id(image: Any) -> str | None:
    """Return the image's id: that of the asset, else its index in the collection."""
    if isinstance(image, Image) and image.id:
        return image.id
    index = image.properties.get("system:index")
    return None if index is None else str(index)

"""Image.date, metadata, copyProperties and linkCollection."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from eedask.emulator.errors import EarthEngineError
from eedask.emulator.functions.images.bands import add_bands, select
from eedask.emulator.functions.images.geometry import within
from eedask.emulator.functions.registry import Keeps, algorithm
from eedask.emulator.pixels.bands import constant_band
from eedask.emulator.pixels.raster import Band, Grid, Image, Pixels
from eedask.emulator.pixels.sampling import masked
from eedask.emulator.values.elements import ordinary, property_of, with_copied, with_found
from eedask.emulator.values.value_types import Collection, Date


@algorithm("Image.date", takes_arrays=True)
def date(image: Image) -> Date:
    """Return the image's start time, its property ``system:time_start``, as a date.

    https://developers.google.com/earth-engine/apidocs/ee-image-date
    """
    start = image.properties.get("system:time_start")
    if start is None:
        raise EarthEngineError("Image.date: The image has no 'system:time_start' property.")
    return Date(float(start))


@algorithm("Image.copyProperties", takes_arrays=True, keeps=Keeps.FIRST_BUT_COPIED)
def copy_properties(
    destination: Any,
    source: Any = None,
    properties: Sequence[str] | None = None,
    exclude: Sequence[str] | None = None,
) -> Any:
    """Return ``destination`` with properties of ``source``: those named, or all but ``system:…``.

    https://developers.google.com/earth-engine/apidocs/ee-image-copyproperties
    """
    if source is None:
        return destination
    copied = ordinary(source.properties)
    if properties is not None:
        copied = {name: property_of(source, name) for name in properties}
    copied = {k: v for k, v in copied.items() if k not in (exclude or ())}
    return with_copied(destination, copied)


@algorithm("Image.linkCollection", takes_arrays=True)
def link_collection(
    image: Image,
    collection: Collection,
    bands: Any = None,
    properties: Any = None,
    match: str = "system:index",
) -> Image:
    """Return the image with bands and properties added from the matching image of a collection.

    Images match if their property ``match`` is equal. Without a match the bands are masked and
    the properties missing.
    https://developers.google.com/earth-engine/apidocs/ee-image-linkcollection
    """
    wanted, names = _names(bands), _names(properties)
    key = property_of(image, match)
    first: Image | None = None
    found: Image | None = None
    for candidate in collection.elements():
        first = first or candidate
        if key is not None and property_of(candidate, match) == key:
            found = candidate
            break
    result = image
    if wanted and first is not None:
        linked = select(found or first, wanted)
        if found is None:
            linked = linked.with_bands(tuple(_masked_band(band) for band in linked.bands))
        result = add_bands(result, linked, None, True)
    values = {name: None if found is None else property_of(found, name) for name in names}
    return with_found(result, values) if values else result


def _names(value: Any) -> list[str]:
    if value is None:
        return []
    return [value] if isinstance(value, str) else list(value)


def _masked_band(band: Band) -> Band:
    def read(grid: Grid) -> Pixels:
        return masked(grid.shape, band.type.dtype)

    return replace(band, read=read)


@algorithm("Image.metadata", takes_arrays=True, keeps=Keeps.FIRST)
def metadata(image: Image, name: str, band_name: str | None = None) -> Image:
    """Return a band of a numeric property, with the image's projection, within its footprint."""
    value = image.properties.get(name)
    if not isinstance(value, int | float):
        raise EarthEngineError(f"Image.metadata: Property '{name}' is not a number.")
    band = constant_band(float(value), band_name or name)
    if image.bands:
        band = replace(band, projection=image.bands[0].projection)
    found = image.with_bands((band,))
    return found if image.footprint is None else within(found, image.footprint)

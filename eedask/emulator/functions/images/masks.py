"""Image algorithms of masks, and those that replace values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from eedask.emulator.errors import EarthEngineError
from eedask.emulator.functions.images.bands import select
from eedask.emulator.functions.images.geometry import within
from eedask.emulator.functions.registry import Keeps, algorithm
from eedask.emulator.pixels.array_values import choose
from eedask.emulator.pixels.bands import Array, as_mask, both, constant, derived, pairs, unary
from eedask.emulator.pixels.pixel_types import (
    DOUBLE,
    cast,
    floating,
    of_number,
    union,
)
from eedask.emulator.pixels.raster import Band, Grid, Image, Pixels, PixelType, is_clear, is_opaque
from eedask.emulator.pixels.sampling import over


@algorithm("Image.updateMask", takes_arrays=True, keeps=Keeps.FIRST)
def update_mask(image: Image, mask: Image) -> Image:
    """Return the image with the lesser of its own mask and the values of another image.

    https://developers.google.com/earth-engine/apidocs/ee-image-updatemask
    """
    bands = []
    for band, by, _ in _matched(image, mask, "Image.updateMask"):

        def read(grid: Grid, band: Band = band, by: Band = by) -> Pixels:
            pixels = band.read(grid)
            if is_clear(pixels.mask):
                return pixels
            return Pixels(pixels.values, both(pixels.mask, as_mask(by.read(grid))))

        bands.append(replace(band, read=read))
    return image.with_bands(tuple(bands))


def _matched(image: Image, other: Image, name: str) -> list[tuple[Band, Band, str]]:
    """Return the first image's bands, each with the band of the other that goes with it."""
    if len(image.bands) == 1 and len(other.bands) > 1:
        raise EarthEngineError(
            f"{name}: Expected 1 band or as many as the image has (1). Got {len(other.bands)}."
        )
    return pairs(image, other, name)


@algorithm("Image.mask", takes_arrays=True, keeps=Keeps.FIRST)
def mask(image: Image, new: Image | None = None) -> Image:
    """Return the image's masks as bands, or with ``new`` the image with its mask replaced.

    https://developers.google.com/earth-engine/apidocs/ee-image-mask
    """
    if new is None:
        return derived(image, [_mask_band(band) for band in image.bands])
    bands = []
    for band, by, _ in _matched(image, new, "Image.mask"):

        def read(grid: Grid, band: Band = band, by: Band = by) -> Pixels:
            return Pixels(band.read(grid).values, as_mask(by.read(grid)))

        bands.append(replace(band, read=read))
    return image.with_bands(tuple(bands))


def _mask_band(band: Band) -> Band:
    def read(grid: Grid) -> Pixels:
        values = band.read(grid).mask
        return Pixels(values, np.broadcast_to(np.float32(1), grid.shape))

    return replace(band, type=PixelType("float", 0, 1), read=read)


@algorithm("Image.selfMask", keeps=Keeps.FIRST)
def self_mask(image: Image) -> Image:
    """Return the image masked by its own values: pixels of 0 become masked."""
    bands = []
    for band in image.bands:

        def read(grid: Grid, band: Band = band) -> Pixels:
            pixels = band.read(grid)
            return Pixels(pixels.values, both(pixels.mask, as_mask(pixels)))

        bands.append(replace(band, read=read))
    return image.with_bands(tuple(bands))


@algorithm("Image.unmask", takes_arrays=True, keeps=Keeps.FIRST_IF_SAME_FOOTPRINT)
def unmask(image: Image, value: Image | None = None, same_footprint: bool = True) -> Image:
    """Return the image with the values of another where it is masked, or 0 without another.

    With ``same_footprint`` pixels outside the footprint stay masked. Where a mask is between 0
    and 1 the two values are blended (a guess).
    https://developers.google.com/earth-engine/apidocs/ee-image-unmask
    """
    bands = []
    for band, fill, name in _matched(image, value or constant(0), "Image.unmask"):
        kind = union([band.type, fill.type])
        bands.append(replace(_filled(band, fill, kind), id=name))
    result = image.with_bands(tuple(bands))
    if not same_footprint:
        return replace(result, footprint=None)
    if image.footprint is None:
        return result
    return within(result, image.footprint)


def _filled(band: Band, fill: Band, kind: PixelType) -> Band:
    if band.type.dimensions != fill.type.dimensions:
        raise EarthEngineError(
            f"Band '{band.id}' has {band.type.dimensions} dimensions, but what fills it has "
            f"{fill.type.dimensions}."
        )

    def read(grid: Grid) -> Pixels:
        pixels = band.read(grid)
        if kind.dimensions:
            return over(pixels, fill.read(grid))
        values = pixels.values.astype(kind.dtype, copy=False)
        if is_opaque(pixels.mask):
            return Pixels(values, pixels.mask)
        below = fill.read(grid)
        floor = below.values.astype(kind.dtype, copy=False)
        partial = (pixels.mask > 0) & (pixels.mask < 1) & (below.mask > 0)
        result = over(Pixels(values, pixels.mask), Pixels(floor, below.mask))
        if not partial.any():
            return result
        mixed = values * pixels.mask + floor * (1 - pixels.mask)
        return Pixels(
            np.where(partial, cast(mixed, kind.dtype), result.values),
            np.where(partial, np.maximum(pixels.mask, below.mask), result.mask),
        )

    return replace(band, type=kind, read=read)


@algorithm("Image.where", takes_arrays=True, keeps=Keeps.FIRST)
def where(image: Image, test: Image, value: Image) -> Image:
    """Return the image with the values of ``value`` where ``test`` is not 0.

    Where the test or the value is masked, the image stays as it is.
    https://developers.google.com/earth-engine/apidocs/ee-image-where
    """
    bands = []
    tests = {band.id: t for band, t, _ in _matched(image, test, "Image.where")}
    for band, new, name in _matched(image, value, "Image.where"):
        kind = union([band.type, new.type])
        chosen = _chosen(band, tests[band.id], new, kind)
        bands.append(replace(chosen, id=name))
    return image.with_bands(tuple(bands))


def _chosen(band: Band, test: Band, new: Band, kind: PixelType) -> Band:
    if test.type.dimensions or band.type.dimensions != new.type.dimensions:
        raise EarthEngineError(
            "Image.where: The test must be of numbers, and both values of the same dimensions."
        )

    def read(grid: Grid) -> Pixels:
        below, condition, above = band.read(grid), test.read(grid), new.read(grid)
        chosen = (condition.values != 0) & (condition.mask > 0) & (above.mask > 0)
        chosen &= below.mask > 0
        values = choose(chosen, above.values, below.values)
        return Pixels(values if kind.dimensions else values.astype(kind.dtype), below.mask)

    return replace(band, type=kind, read=read)


@algorithm("Image.blend")
def blend(bottom: Image, top: Image) -> Image:
    """Return ``top`` laid over ``bottom``; the mask of ``top`` is its opacity.

    https://developers.google.com/earth-engine/apidocs/ee-image-blend
    """
    bands = []
    for below, above, name in pairs(bottom, top, "Image.blend"):
        filled = _filled(above, below, union([below.type, above.type]))
        bands.append(replace(filled, id=name, projection=below.projection))
    return derived(bottom, bands)


@algorithm("Image.remap", keeps=Keeps.FIRST)
def remap(
    image: Image,
    old: Sequence[Any],
    new: Sequence[Any],
    default: Any = None,
    band_name: str | None = None,
) -> Image:
    """Return one band, ``remapped``, in which each value of ``old`` is replaced from ``new``.

    Other values become the default, or are masked if there is none.
    https://developers.google.com/earth-engine/apidocs/ee-image-remap
    """
    if len(old) != len(new):
        raise EarthEngineError(
            f"Image.remap: Lists must be of the same length. Got {len(old)} and {len(new)}."
        )
    band = select(image, [band_name or 0]).bands[0]
    fallback = None if default is None else _number_or_image(default)
    kind = union([of_number(v) for v in new] + ([fallback.type] if fallback else []))
    kind = kind if kind.precision == "int" else DOUBLE
    order = np.argsort(np.asarray(old, dtype=float), kind="stable")
    keys = np.asarray(old, dtype=float)[order]
    results = np.asarray(new)[order].astype(kind.dtype)

    def read(grid: Grid) -> Pixels:
        pixels = band.read(grid)
        place = np.clip(np.searchsorted(keys, pixels.values), 0, max(len(keys) - 1, 0))
        known = keys[place] == pixels.values if len(keys) else np.zeros(grid.shape, bool)
        values = results[place] if len(keys) else np.zeros(grid.shape, kind.dtype)
        if fallback is None:
            return Pixels(values, np.where(known, pixels.mask, np.float32(0)))
        other = fallback.read(grid)
        return Pixels(
            np.where(known, values, other.values).astype(kind.dtype, copy=False),
            np.where(known, pixels.mask, both(pixels.mask, other.mask)),
        )

    return image.with_bands((replace(band, id="remapped", type=kind, read=read),))


def _number_or_image(value: Any) -> Band:
    return value.bands[0] if isinstance(value, Image) else constant(value).bands[0]


@algorithm("Image.clamp", takes_arrays=True, keeps=Keeps.FIRST)
def clamp(image: Image, low: float, high: float) -> Image:
    """Return the image with values clamped to two limits; the bands' types stay."""
    bands = []
    for band in image.bands:
        kind = union([band.type, of_number(_whole(low)), of_number(_whole(high))])

        def function(values: Array, dtype: np.dtype[Any] = kind.dtype) -> Array:
            return np.clip(values.astype(dtype, copy=False), low, high)

        bands.append(unary(band, function, kind))
    return image.with_bands(tuple(bands))


def _whole(value: float) -> float:
    return int(value) if float(value).is_integer() else value


@algorithm("Image.unitScale", takes_arrays=True, keeps=Keeps.FIRST)
def unit_scale(image: Image, low: float, high: float) -> Image:
    """Return (value - low) / (high - low) as floats; results outside 0 to 1 are not clamped."""
    bands = []
    for band in image.bands:
        kind = floating(band.type)

        def function(values: Array, dtype: np.dtype[Any] = kind.dtype) -> Array:
            return (values.astype(dtype, copy=False) - low) / (high - low)

        bands.append(unary(band, function, kind))
    return image.with_bands(tuple(bands))


@algorithm("Image.normalizedDifference", keeps=Keeps.FIRST)
def normalized_difference(image: Image, names: Sequence[str] | None = None) -> Image:
    """Return (first - second) / (first + second), band ``nd``, masked where either is negative.

    https://developers.google.com/earth-engine/apidocs/ee-image-normalizeddifference
    """
    bands = (select(image, names) if names else image).bands
    if len(bands) < 2:
        raise EarthEngineError("Image.normalizedDifference: Need two bands.")
    first, second = bands[:2]
    kind = floating(first.type, second.type)

    def read(grid: Grid) -> Pixels:
        a, b = first.read(grid), second.read(grid)
        x, y = (p.values.astype(kind.dtype, copy=False) for p in (a, b))
        total = x + y
        with np.errstate(all="ignore"):
            values = np.where(total == 0, 0, (x - y) / np.where(total == 0, 1, total))
        valid = (x >= 0) & (y >= 0)
        return Pixels(values.astype(kind.dtype), both(a.mask, b.mask) * valid.astype(np.float32))

    return derived(image, [replace(first, id="nd", type=kind, read=read)])

"""Making bands out of bands: pairing, masks, and readers that wrap readers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eedask.emulator.errors import EarthEngineError
from eedask.emulator.geometry import Geometry
from eedask.emulator.pixel_types import common, of_number
from eedask.emulator.raster import (
    DEFAULT_PROJECTION,
    Band,
    Grid,
    Image,
    Pixels,
    PixelType,
    is_clear,
    is_opaque,
    uniform,
)

Array = NDArray[Any]
Mask = NDArray[np.float32]


def both(a: Mask, b: Mask) -> Mask:
    """Return the mask of pixels that are valid in two masks: the lesser of both."""
    if a is b or is_opaque(b) or is_clear(a):
        return a
    if is_opaque(a) or is_clear(b):
        return b
    return np.minimum(a, b)


def constant_band(value: Any, name: str = "constant") -> Band:
    """Return a band of one number everywhere, in the default projection."""
    kind = of_number(value)

    def read(grid: Grid) -> Pixels:
        return Pixels(uniform(value, grid.shape, kind.dtype), uniform(1, grid.shape))

    return Band(name, kind, DEFAULT_PROJECTION, read)


def constant(value: Any) -> Image:
    """Return a constant image: one band, or one for each element of a list or dictionary.

    https://developers.google.com/earth-engine/apidocs/ee-image-constant
    """
    if isinstance(value, dict):
        return Image(tuple(constant_band(number(v), str(k)) for k, v in value.items()))
    if isinstance(value, list | tuple):
        if len(value) == 1:
            return Image((constant_band(number(value[0])),))
        bands = (constant_band(number(v), f"constant_{i}") for i, v in enumerate(value))
        return Image(tuple(bands))
    return Image((constant_band(number(value)),))


def number(value: Any) -> int | float:
    """Return a number of a constant image, or raise."""
    if isinstance(value, bool | int | float | np.number):
        return value.item() if isinstance(value, np.number) else value
    raise EarthEngineError(f"Image.constant: Cannot make an image of {value!r}.")


def unary(
    band: Band, function: Callable[[Array], Array], kind: PixelType, name: str | None = None
) -> Band:
    """Return the band of a function of a band's values; the mask stays."""

    def read(grid: Grid) -> Pixels:
        pixels = band.read(grid)
        with np.errstate(all="ignore"):
            values = function(pixels.values)
        return Pixels(values.astype(kind.dtype, copy=False), pixels.mask)

    return replace(band, id=name or band.id, type=kind, read=read)


def binary(
    left: Band,
    right: Band,
    function: Callable[[Array, Array], Array],
    kind: PixelType,
    name: str | None = None,
    dtype: np.dtype[Any] | None = None,
) -> Band:
    """Return the band of a function of two bands' values, masked where either is.

    It has the left band's projection, or the right one's where the left has none of its own
    (a guess).
    """
    work = dtype or common(left.type, right.type, kind)

    def read(grid: Grid) -> Pixels:
        a, b = left.read(grid), right.read(grid)
        with np.errstate(all="ignore"):
            values = function(a.values.astype(work, copy=False), b.values.astype(work, copy=False))
        return Pixels(values.astype(kind.dtype, copy=False), both(a.mask, b.mask))

    base = right if left.has_default_projection else left
    return replace(base, id=name or left.id, type=kind, read=read)


def pairs(left: Image, right: Image, algorithm: str) -> list[tuple[Band, Band, str]]:
    """Return which bands of two images go together, and the names of the results.

    A single band goes with all of the other image. Otherwise bands go together by name if the
    names are the same, in order if their number is, and else those whose names match.
    https://developers.google.com/earth-engine/apidocs/ee-image-add
    """
    a, b = left.bands, right.bands
    if not a or not b:
        if not a and not b:
            return []
        raise EarthEngineError(
            f"{algorithm}: If one image has no bands, the other must also have no bands. "
            f"Got {len(a)} and {len(b)}."
        )
    if len(b) == 1:
        return [(band, b[0], band.id) for band in a]
    if len(a) == 1:
        return [(a[0], band, band.id) for band in b]
    by_name = {band.id: band for band in b}
    if len(a) == len(b) and set(by_name) != {band.id for band in a}:
        return [(x, y, x.id) for x, y in zip(a, b, strict=True)]
    matched = [(band, by_name[band.id], band.id) for band in a if band.id in by_name]
    if not matched:
        raise EarthEngineError(
            f"{algorithm}: The images have different numbers of bands and no bands in common. "
            f"Got {left.band_names} and {right.band_names}."
        )
    return matched


def derived(image: Image, bands: Sequence[Band], other: Image | None = None) -> Image:
    """Return the result of arithmetic: of the first image's properties its index stays.

    The footprint is the first image's, or the second's where the first is unbounded.
    """
    kept = {k: image.properties[k] for k in ("system:index",) if k in image.properties}
    footprint = image.footprint
    if footprint is None and other is not None:
        footprint = other.footprint
    return Image(tuple(bands), kept, footprint)


def with_mask(band: Band, change: Callable[[Grid, Mask], Mask]) -> Band:
    """Return a band with another mask; its values are read first, unless nothing is left."""

    def read(grid: Grid) -> Pixels:
        pixels = band.read(grid)
        return Pixels(pixels.values, change(grid, pixels.mask))

    return replace(band, read=read)


def as_mask(pixels: Pixels) -> Mask:
    """Return a band's values as a mask: within 0 to 1, and 0 where the band is masked.

    That negative values mask is a guess.
    """
    if is_opaque(pixels.mask) and not any(pixels.values.strides):
        value = np.clip(np.float32(pixels.values.flat[0]), 0, 1) if pixels.values.size else 0
        return uniform(value, pixels.values.shape)
    mask = np.clip(pixels.values, 0, 1).astype(np.float32)
    return both(mask, pixels.mask)


def unique_names(names: Sequence[str], algorithm: str) -> None:
    """Raise if a band name appears twice."""
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise EarthEngineError(f"{algorithm}: Duplicate band name '{name}'.")
        seen.add(name)


def footprint_or_none(geometry: Geometry | None) -> Geometry | None:
    """Return a footprint, None if it is unbounded."""
    return None if geometry is None or geometry.unbounded else geometry

"""Bands computed from other bands: constants, functions of one or more bands, masks, pairing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial, reduce
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eedask.emulator.errors import EarthEngineError
from eedask.emulator.geometry.geometry import Geometry
from eedask.emulator.pixels.array_values import Made, as_keys, each, is_ragged
from eedask.emulator.pixels.pixel_types import common, of_number, of_rank, union
from eedask.emulator.pixels.raster import (
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

_LARGEST = int(np.finfo(np.float64).max)


def both(a: Mask, b: Mask) -> Mask:
    """Return the lesser of two masks at each pixel."""
    if a is b or is_opaque(b) or is_clear(a):
        return a
    if is_opaque(a) or is_clear(b):
        return b
    return np.minimum(a, b)


def constant_band(value: Any, name: str = "constant") -> Band:
    """Return a band of one number, or one array, everywhere, in the default projection."""
    if isinstance(value, np.ndarray):
        ends = (value.min().item(), value.max().item()) if value.size else (0, 0)
        kind, own = of_rank(union(map(of_number, ends)), value.ndim), value.shape
    else:
        kind, own = of_number(value), ()
    dtype = kind.dtype

    def read(grid: Grid) -> Pixels:
        return Pixels(uniform(value, grid.shape + own, dtype), uniform(1, grid.shape))

    return Band(name, kind, DEFAULT_PROJECTION, read)


def constant(value: Any) -> Image:
    """Return a constant image: one band, or one for each element of a list or dictionary.

    The one band of an array holds that array.

    https://developers.google.com/earth-engine/apidocs/ee-image-constant
    """
    if isinstance(value, np.ndarray):
        return Image((constant_band(value if value.ndim else value.item()),))
    if isinstance(value, dict):
        return Image(tuple(constant_band(number(v), str(k)) for k, v in value.items()))
    if isinstance(value, list | tuple):
        if len(value) == 1:
            return Image((constant_band(number(value[0])),))
        bands = (constant_band(number(v), f"constant_{i}") for i, v in enumerate(value))
        return Image(tuple(bands))
    return Image((constant_band(number(value)),))


def number(value: Any) -> int | float:
    """Return a value as the number of a constant image; raise Earth Engine's 400 if it is none."""
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        # An integer of more than 64 bits becomes a double, as in JSON.
        return float(min(max(value, -_LARGEST), _LARGEST))
    if isinstance(value, bool | int | float | np.number):
        return value.item() if isinstance(value, np.number) else value
    raise EarthEngineError(f"Image.constant: Cannot make an image of {value!r}.")


def unary(
    band: Band, function: Callable[[Array], Array], kind: PixelType, name: str | None = None
) -> Band:
    """Return a band of a function of another band's values; the mask is the same.

    In a band of arrays the function is applied to the elements.
    """
    if band.type.dimensions:
        return combined([band], function, of_rank(kind, band.type.dimensions), name or band.id)

    def read(grid: Grid) -> Pixels:
        pixels = band.read(grid)
        with np.errstate(all="ignore"):
            values = function(pixels.values).astype(kind.dtype, copy=False)
        return Pixels(values, pixels.mask)

    return Band(name or band.id, kind, band.projection, read, band.dimensions, band.origin)


def binary(
    left: Band,
    right: Band,
    function: Callable[[Array, Array], Array],
    kind: PixelType,
    name: str | None = None,
    dtype: np.dtype[Any] | None = None,
) -> Band:
    """Return a band of a function of two bands' values; its mask is the lesser of theirs.

    Its projection is the left band's, or if that has only the default one, the right band's (a
    guess).
    """
    work = dtype or common(left.type, right.type, kind)
    if left.type.dimensions or right.type.dimensions:
        kind = of_rank(kind, max(left.type.dimensions, right.type.dimensions))
        elementwise = partial(_elementwise, function, work)
        return combined([left, right], elementwise, kind, name or left.id)

    def read(grid: Grid) -> Pixels:
        a, b = left.read(grid), right.read(grid)
        with np.errstate(all="ignore"):
            values = function(a.values.astype(work, copy=False), b.values.astype(work, copy=False))
        return Pixels(values.astype(kind.dtype, copy=False), both(a.mask, b.mask))

    base = right if left.has_default_projection else left
    return replace(base, id=name or left.id, type=kind, read=read)


def _elementwise(
    function: Callable[[Array, Array], Array], work: np.dtype[Any], a: Array, b: Array
) -> Array:
    """Apply a function to blocks of arrays of one shape, or of arrays and numbers."""
    if a.ndim > 1 and b.ndim > 1 and a.shape != b.shape:
        raise EarthEngineError(
            f"Array dimensions do not match: {list(a.shape[1:])} and {list(b.shape[1:])}."
        )
    a, b = (x.reshape(x.shape + (1,) * (max(a.ndim, b.ndim) - x.ndim)) for x in (a, b))
    return function(a.astype(work, copy=False), b.astype(work, copy=False))


@dataclass(frozen=True)
class Key:
    """A band whose values determine the shape of a result, such as the length of a slice.

    Attributes
    ----------
    band : Band
        Its pixels are integers, or vectors of one length.
    default : int, optional
        Replaces masked pixels; if None, the result is masked there.
    """

    band: Band
    default: int | None = None


def combined(
    bands: Sequence[Band],
    function: Callable[..., Made],
    kind: PixelType,
    name: str,
    keys: Sequence[Key] = (),
) -> Band:
    """Return a band of a function of several bands of arrays, masked where any band is.

    Its projection is that of the first band that has other than the default one.

    Parameters
    ----------
    bands : sequence of Band
    function : callable
        See :func:`eedask.emulator.pixels.array_values.each`.
    kind : PixelType
        The type of the result, with its number of axes.
    name : str
    keys : sequence of Key
    """

    def read(grid: Grid) -> Pixels:
        pixels = [band.read(grid) for band in bands]
        mask = reduce(both, (p.mask for p in pixels))
        columns = []
        for key in keys:
            given = key.band.read(grid)
            if is_ragged(given.values):
                raise EarthEngineError("The lengths must be arrays of equal length.")
            there = None
            if key.default is None:
                mask = both(mask, given.mask)
            elif not is_opaque(given.mask):
                there = given.mask > 0
            columns.append((given.values, there, key.default or 0))
        numbers = as_keys(columns) if columns else None
        inputs = [p.values for p in pixels]
        return Pixels(*each(function, inputs, mask, kind.dtype, kind.dimensions, numbers))

    base = next((band for band in bands if not band.has_default_projection), bands[0])
    return replace(base, id=name, type=kind, read=read)


def no_such_band(name: str, image: Image) -> EarthEngineError:
    """Return the error for a name or pattern of bands that an image does not have."""
    if not image.bands:
        # As users report it: https://github.com/swisstopo/topo-satromo/issues/101
        return EarthEngineError(
            f"Image.select: Band pattern '{name}' was applied to an Image with no bands."
        )
    return EarthEngineError(
        f"Image.select: Band pattern '{name}' did not match any bands. "
        f"Available bands: [{', '.join(image.band_names)}]"
    )


def pairs(left: Image, right: Image, algorithm: str) -> list[tuple[Band, Band, str]]:
    """Return the pairs of bands on which an algorithm of two images works, and the results' names.

    A single band is paired with every band of the other image. Otherwise bands are paired by name
    if both images have the same names, by order if they have the same number of bands, and else
    only those whose names occur in both are paired.
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
    """Return an image of computed bands, as arithmetic on images returns it.

    Of the first image's properties only ``system:index`` is kept. The footprint is the first
    image's, or the other's if the first is unbounded.
    """
    kept = {k: image.properties[k] for k in ("system:index",) if k in image.properties}
    footprint = image.footprint
    if footprint is None and other is not None:
        footprint = other.footprint
    return Image(tuple(bands), kept, footprint)


def with_mask(band: Band, change: Callable[[Grid, Mask], Mask]) -> Band:
    """Return a band whose mask is ``change(grid, mask)``; values are read only if some remain."""

    def read(grid: Grid) -> Pixels:
        pixels = band.read(grid)
        return Pixels(pixels.values, change(grid, pixels.mask))

    return replace(band, read=read)


def as_mask(pixels: Pixels) -> Mask:
    """Return a band's values as a mask: clamped to 0 to 1, and 0 where the band is masked.

    That negative values count as 0 is a guess.
    """
    if pixels.values.ndim > 2 or is_ragged(pixels.values):
        raise EarthEngineError("A mask must be of numbers, not of arrays. See Image.arrayMask.")
    if is_opaque(pixels.mask) and not any(pixels.values.strides):
        value = np.clip(np.float32(pixels.values.flat[0]), 0, 1) if pixels.values.size else 0
        return uniform(value, pixels.values.shape)
    mask = np.clip(pixels.values, 0, 1).astype(np.float32)
    return both(mask, pixels.mask)


def unique_names(names: Sequence[str], algorithm: str) -> None:
    """Raise Earth Engine's 400 if a band name appears twice."""
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise EarthEngineError(f"{algorithm}: Duplicate band name '{name}'.")
        seen.add(name)


def footprint_or_none(geometry: Geometry | None) -> Geometry | None:
    """Return a footprint, or None if it is unbounded."""
    return None if geometry is None or geometry.unbounded else geometry


def need_numbers(what: str, values: Iterable[Any]) -> None:
    """Raise Earth Engine's 400 if one of the values is an image whose pixels are arrays."""
    for image in values:
        if not isinstance(image, Image):
            continue
        for band in image.bands:
            if band.type.dimensions:
                raise EarthEngineError(
                    f"{what}: Band '{band.id}' has pixels of arrays "
                    f"({band.type.dimensions} dimensions), but must have numbers. "
                    "See Image.arrayFlatten and Image.arrayGet."
                )

"""Bands of a native raster, which can be read on any grid.

A band's reader picks the level of the raster's pyramid whose pixels are the largest that are
not larger than those asked for, finds the source pixel under each pixel centre, and reads the
one window of the level that holds them. On the raster's own grid that window is the answer.
https://developers.google.com/earth-engine/guides/scale
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from eedask.emulator.pixels.array_values import choose
from eedask.emulator.pixels.native_sources import NativeSource, level_of, sized
from eedask.emulator.pixels.native_tiles import native_pixels
from eedask.emulator.pixels.pixel_plans import interpolation_plan, nearest_plan
from eedask.emulator.pixels.projection import pixel_ratio
from eedask.emulator.pixels.raster import (
    Band,
    Grid,
    Pixels,
    PixelType,
    is_clear,
    is_opaque,
    uniform,
)
from eedask.emulator.pixels.source_points import read_points


def source_bands(
    source: NativeSource, ids: Sequence[str], types: Sequence[PixelType]
) -> tuple[Band, ...]:
    """Return one lazy band per raster band of a source.

    Parameters
    ----------
    source : NativeSource
    ids, types : sequences
        The bands' names and pixel types, in the source's order.
    """
    return tuple(
        Band(
            id=name,
            type=kind,
            projection=source.projection,
            read=_reader(source, index, kind.dtype),
            dimensions=(source.width, source.height),
        )
        for index, (name, kind) in enumerate(zip(ids, types, strict=True))
    )


def _reader(source: NativeSource, band: int, dtype: np.dtype[Any]) -> Callable[[Grid], Pixels]:
    read = partial(_read, source, band, dtype)
    if hasattr(source, "read_points"):
        read.points = partial(read_points, source, band, dtype)  # type: ignore[attr-defined]
        if getattr(source, "is_opaque", False):
            read.source = source  # type: ignore[attr-defined]
    return read


def _read(source: NativeSource, band: int, dtype: np.dtype[Any], grid: Grid) -> Pixels:
    level = level_of(pixel_ratio(grid, source.projection), source)
    to_plan = nearest_plan if grid.resampling == "nearest" else interpolation_plan
    plan = to_plan(grid, *sized(source, level))
    if plan is None:
        return masked(grid.shape, dtype)
    block = native_pixels(source, band, level, plan.window)
    pixels = plan.apply(block)
    return Pixels(pixels.values.astype(dtype, copy=False), pixels.mask)


def masked(shape: tuple[int, int], dtype: Any) -> Pixels:
    """Return pixels of a shape that are all masked."""
    return Pixels(uniform(0, shape, dtype), uniform(0, shape))


def over(top: Pixels, bottom: Pixels) -> Pixels:
    """Return the pixels of ``top``, and those of ``bottom`` where the top is masked."""
    if is_opaque(top.mask) or is_clear(bottom.mask):
        return top
    if is_clear(top.mask):
        return bottom
    shows = top.mask > 0
    values = choose(shows, top.values, bottom.values)
    return Pixels(values, np.where(shows, top.mask, bottom.mask))

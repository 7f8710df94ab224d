"""Reading large grids tile by tile, so that memory is bounded by the tile and not by the grid."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from affine import Affine

from eedask.emulator.limits import budget, metering
from eedask.emulator.pixels.raster import Band, Grid, Pixels, compose, is_opaque, uniform

READ_TILE = 1024
"""The side in pixels of the tiles that are read at once if memory suffices."""

LEAST_TILE = 256
"""The side in pixels of Earth Engine's own tiles, which ``tileScale`` divides.

https://developers.google.com/earth-engine/guides/debugging
"""

PixelRectangle = tuple[int, int, int, int]
"""Column, row, width and height of a rectangle in pixels of a projection."""


def least_side(tile_scale: float) -> int:
    """Return the side in pixels of the smallest tiles into which a read is divided."""
    return max(1, int(LEAST_TILE / tile_scale))


def quarters(window: PixelRectangle, least: int) -> list[PixelRectangle]:
    """Return the windows that result from halving the sides longer than ``least``.

    The list is empty if neither side is longer.
    """
    _, _, width, height = window
    if max(width, height) <= least:
        return []
    half_width = width if width <= least else -(-width // 2)
    half_height = height if height <= least else -(-height // 2)
    return list(tiles(window, half_width, half_height))


def tiles(window: PixelRectangle, tile_width: int, tile_height: int) -> Iterator[PixelRectangle]:
    """Yield the tiles of a window, row by row; those at its right and bottom may be smaller."""
    col, row, width, height = window
    for y in range(0, height, tile_height):
        for x in range(0, width, tile_width):
            yield (col + x, row + y, min(tile_width, width - x), min(tile_height, height - y))


def read_tiled(band: Band, grid: Grid, tile_scale: float = 1.0) -> Pixels:
    """Return a band's pixels on a grid, read in tiles as large as the memory budget allows.

    Raises
    ------
    MemoryLimit
        Even a tile of Earth Engine's size divided by ``tile_scale`` exceeds the budget.
    """
    whole = (0, 0, grid.width, grid.height)
    if max(grid.width, grid.height) > READ_TILE:
        parts = list(tiles(whole, READ_TILE, READ_TILE))
    else:
        try:
            with metering.scope():
                return band.read(grid)
        except budget.MemoryLimit:
            parts = quarters(whole, least_side(tile_scale))
            if not parts:
                raise
    values = np.zeros(grid.shape, band.type.dtype)
    mask = None
    for window in parts:
        col, row, width, height = window
        part = read_tiled(band, _window(grid, window), tile_scale)
        at = np.s_[row : row + height, col : col + width]
        values[at] = part.values
        if mask is None and not is_opaque(part.mask):
            mask = np.ones(grid.shape, np.float32)
        if mask is not None:
            mask[at] = part.mask
    return Pixels(values, uniform(1, grid.shape) if mask is None else mask)


def _window(grid: Grid, window: PixelRectangle) -> Grid:
    col, row, width, height = window
    transform = compose(grid.transform, Affine.translation(col, row))
    return replace(grid, transform=transform, width=width, height=height)

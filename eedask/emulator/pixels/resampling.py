"""Reading an image that is computed in a fixed projection from any grid."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from eedask.emulator.errors import EarthEngineError
from eedask.emulator.pixels.projection import EDGE, locate, same_crs, window_grid
from eedask.emulator.pixels.raster import Grid, Pixels, Projection, compose
from eedask.emulator.pixels.sampling import masked

# A projection much finer than the grid needs very many pixels; more than this are refused.
_MOST_PIXELS = 2**26


def read_through(
    read: Callable[[Grid], Pixels], projection: Projection, grid: Grid, dtype: Any
) -> Pixels:
    """Return pixels for ``grid`` from those that a reader computes in ``projection``.

    Raises
    ------
    EarthEngineError
        The grid spans too many pixels of the projection.
    """
    if _aligned(grid, projection):
        return read(grid)
    located = locate(grid, projection)
    with np.errstate(invalid="ignore"):
        cols, rows = np.floor(located.cols + EDGE), np.floor(located.rows + EDGE)
    inside = np.isfinite(cols) & np.isfinite(rows)
    if not inside.any():
        return masked(grid.shape, dtype)
    c, r = np.broadcast_arrays(cols, rows)
    left, right = int(c[inside].min()), int(c[inside].max())
    top, bottom = int(r[inside].min()), int(r[inside].max())
    width, height = right - left + 1, bottom - top + 1
    if width * height > _MOST_PIXELS:
        raise EarthEngineError(f"Reprojection output too large ({width}x{height} pixels).")
    inner = window_grid(projection, left, top, width, height)
    block = read(Grid(inner.crs, inner.transform, width, height, grid.resampling))
    at = (
        np.where(inside, r - top, 0).astype(np.intp),
        np.where(inside, c - left, 0).astype(np.intp),
    )
    mask = np.where(inside, block.mask[at], np.float32(0))
    return Pixels(block.values[at], mask)


def _aligned(grid: Grid, projection: Projection) -> bool:
    """Whether all of a grid's pixels are pixels of a projection."""
    if not same_crs(grid.crs, projection.crs):
        return False
    mapping = compose(~projection.transform, grid.transform)
    origin = (mapping.c, mapping.f)
    return (
        mapping.almost_equals(mapping.translation(*origin), precision=1e-9)
        and max(abs(v - round(v)) for v in origin) < EDGE * 100
    )

"""The heights of any places above the sea."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from eedask.emulator.catalog.world import country
from eedask.emulator.catalog.world.coast import same_distance
from eedask.emulator.catalog.world.land_plane import degrees
from eedask.emulator.catalog.world.sample_points import Spots, evaluated, lonlat
from eedask.emulator.catalog.world.surface import Cells
from eedask.emulator.catalog.world.terrain import elevation, is_land_roughly
from eedask.emulator.catalog.world.tiling import TILE, assembled

Floats = NDArray[np.float32]

_FINEST = 4  # the smallest cells are of 2**4 metres, however small the pixels
_COARSEST = 12  # beyond cells of 2**12 metres, heights have no relief


def heights(at: Spots) -> Floats:
    """Return heights in metres, interpolated bilinearly between cells of 16 metres or more."""
    q = max(at.q, _FINEST)
    if q > _COARSEST:
        broad = evaluated(elevation, at, 15, (0, 0))
        return np.where(is_land_roughly(*np.broadcast_arrays(*lonlat(at))), broad, 0)
    u, v = at.x / 2.0**q - 0.5, at.south / 2.0**q - 0.5
    col, row = np.floor(u), np.floor(v)
    left, top = int(col.min()), int(row.min())
    right = int(col.max()) + 1
    cells = assembled(lambda c, r: _tile(q, c, r), left, top, right, int(row.max()) + 1)
    across, down = (u - col).astype(np.float32), (v - row).astype(np.float32)
    width = right - left + 1
    flat = (row - top).astype(np.intp) * width + (col - left).astype(np.intp)
    values: Floats = cells.reshape(-1)
    upper = values.take(flat) * (1 - across) + values.take(flat + 1) * across
    flat += width
    lower = values.take(flat) * (1 - across) + values.take(flat + 1) * across
    return (upper * (1 - down) + lower * down).astype(np.float32, copy=False)


def heights_of_points(at: Spots) -> Floats | None:
    """Return exactly what :func:`heights` returns, faster for a few places far from each other.

    None for the largest pixels. Cells far from coasts are computed alone. Cells near coasts are
    taken from tiles, because there the rounding of the distance to the coast depends on the tile.
    """
    q = max(at.q, _FINEST)
    if q > _COARSEST:
        return None
    u, v = at.x / 2.0**q - 0.5, at.south / 2.0**q - 0.5
    col, row = np.floor(u), np.floor(v)
    across, down = (u - col).astype(np.float32), (v - row).astype(np.float32)
    cells = _corners(q, col.astype(np.int64).ravel(), row.astype(np.int64).ravel())
    a, b, c, d = cells.reshape(-1, 4).T.reshape(4, *at.shape)
    upper = a * (1 - across) + b * across
    lower = c * (1 - across) + d * across
    return (upper * (1 - down) + lower * down).astype(np.float32, copy=False)


def _corners(q: int, cols: NDArray[np.int64], rows: NDArray[np.int64]) -> Floats:
    """Return the heights of n cells and their neighbours east and south, shape (n, 2, 2)."""
    x = cols[:, None, None] + np.array([[0, 1], [0, 1]])
    y = rows[:, None, None] + np.array([[0, 0], [1, 1]])
    tiles = np.stack([(x // TILE).ravel(), (y // TILE).ravel()], axis=1)
    unique, number = np.unique(tiles, axis=0, return_inverse=True)
    number = number.reshape(x.shape)
    kinds = [_coast(q, col, row) for col, row in unique.tolist()]
    coast = np.array([np.nan if kind is None else kind for kind in kinds], np.float32)[number]
    apart = np.asarray(np.isnan(coast).any(axis=(1, 2)))
    alone = np.flatnonzero(~apart)
    found = np.empty(x.shape, np.float32)
    if alone.size:
        found[alone] = country.patch_heights(q, cols[alone], rows[alone], coast[alone])
    for k in np.unique(number[apart]).tolist():
        inside = (number == k) & apart[:, None, None]
        found[inside] = _tile(q, *unique[k].tolist())[y[inside] % TILE, x[inside] % TILE]
    return found


@lru_cache(maxsize=4096)
def _coast(q: int, col: int, row: int) -> float | None:
    """Return the distance to the coast if it is the same all over a tile; None otherwise."""
    ends = np.array([0, TILE - 1])
    x, south = (col * TILE + ends + 0.5) * 2.0**q, (row * TILE + ends + 0.5) * 2.0**q
    return same_distance(*degrees(x, south))


@lru_cache(maxsize=192)
def _tile(q: int, col: int, row: int) -> Floats:
    return country.heights(Cells(q, col * TILE, row * TILE, TILE, TILE))

"""How high the land is at any places."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from eedask.emulator.catalog import country
from eedask.emulator.catalog.regions import Trait, place
from eedask.emulator.catalog.spots import Spots, evaluated, lonlat
from eedask.emulator.catalog.surface import Cells
from eedask.emulator.catalog.terrain import is_land_roughly
from eedask.emulator.catalog.tiling import TILE, assembled

Floats = NDArray[np.float32]

_FINEST = 4  # cells of 16 metres, whatever the pixels
_COARSEST = 12  # beyond, relief is lost


def heights(at: Spots) -> Floats:
    """Return metres above the sea, bilinear between cells of 16 metres or more."""
    q = max(at.q, _FINEST)
    if q > _COARSEST:
        broad = evaluated(lambda lon, lat: place(lon, lat)[Trait.ELEVATION], at, 15, (0, 0))
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


@lru_cache(maxsize=192)
def _tile(q: int, col: int, row: int) -> Floats:
    return country.heights(Cells(q, col * TILE, row * TILE, TILE, TILE))

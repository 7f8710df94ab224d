"""The land cover under the pixels of any raster.

It is looked up in the land that :mod:`~eedask.emulator.catalog.world.landscape` draws, in tiles
with cells of 8 metres or more, so that every sensor sees the same water, fields and towns. For
pixels kilometres apart it is computed from the traits of the place alone
(:mod:`~eedask.emulator.catalog.world.broad`).
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from eedask.emulator.catalog.world.broad import broad_ground
from eedask.emulator.catalog.world.landscape import land
from eedask.emulator.catalog.world.palette import TONES, Material
from eedask.emulator.catalog.world.sample_points import Spots, spots
from eedask.emulator.catalog.world.surface import Cells
from eedask.emulator.catalog.world.tiling import TILE, assembled
from eedask.emulator.pixels.native_sources import Window
from eedask.emulator.pixels.raster import Projection

_FINEST = 3  # the smallest cells are of 2**3 metres
_COARSEST = 9  # cells larger than 2**9 metres are not drawn
_LIGHT = 100  # a brightness of 1 is stored as this number


class Ground(NamedTuple):
    """The land cover at places, arrays of shape (rows, columns).

    Attributes
    ----------
    kind : ndarray of uint16
        16 times the :class:`~eedask.emulator.catalog.world.palette.Material`, plus the tone.
    light : ndarray of uint8
        Brightness in hundredths.
    """

    kind: NDArray[np.uint16]
    light: NDArray[np.uint8]

    @property
    def material(self) -> NDArray[np.uint16]:
        """The materials, shape (rows, columns)."""
        return self.kind // np.uint16(TONES)

    @property
    def water(self) -> NDArray[np.bool_]:
        """Whether there is water, shape (rows, columns)."""
        found: NDArray[np.bool_] = self.material == Material.WATER
        return found


@lru_cache(maxsize=32)
def ground(projection: Projection, level: int, window: Window, year: int, parts: int = 1) -> Ground:
    """Return the land cover at the centres of a window's pixels, or at several points in each.

    The parameters are those of :func:`~eedask.emulator.catalog.world.sample_points.spots`. Crops
    change with the year.
    """
    at = spots(projection, level, window, parts)
    q = max(at.q, _FINEST)
    return broad_places(at, year) if q > _COARSEST else _drawn(at, q, year)


def broad_places(at: Spots, year: int) -> Ground:
    """Return the land cover at places, computed from the traits alone."""
    kind = broad_ground(at, year)
    return Ground(kind, np.full(kind.shape, _LIGHT, np.uint8))


def _drawn(at: Spots, q: int, year: int) -> Ground:
    size = 2.0**q
    col, row = np.floor(at.x / size).astype(np.int64), np.floor(at.south / size).astype(np.int64)
    left, top = int(col.min()), int(row.min())
    right, bottom = int(col.max()), int(row.max())
    flat = (row - top) * (right - left + 1) + (col - left)
    kinds = assembled(lambda c, r: _tile(q, c, r, year).kind, left, top, right, bottom)
    lights = assembled(lambda c, r: _tile(q, c, r, year).light, left, top, right, bottom)
    return Ground(kinds.reshape(-1).take(flat), lights.reshape(-1).take(flat))


@lru_cache(maxsize=256)
def _tile(q: int, col: int, row: int, year: int) -> Ground:
    drawn = land(Cells(q, col * TILE, row * TILE, TILE, TILE), year)
    light = np.clip(drawn.light * _LIGHT + 0.5, 0, 255).astype(np.uint8)
    return Ground(drawn.kind, light)

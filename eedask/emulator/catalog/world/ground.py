"""What the ground is made of at any places: the drawn land, or broad strokes of it.

Small pixels are looked up in the land of :mod:`~eedask.emulator.catalog.world.land`, drawn in tiles
with cells of 8 metres and more, so that every sensor sees the same water, fields and towns. Of
places kilometres apart only the traits of the country tell what is there.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from eedask.emulator.catalog.world.broad import broad_ground
from eedask.emulator.catalog.world.land import land
from eedask.emulator.catalog.world.palette import TONES, Material
from eedask.emulator.catalog.world.spots import Spots, spots
from eedask.emulator.catalog.world.surface import Cells
from eedask.emulator.catalog.world.tiling import TILE, assembled
from eedask.emulator.pixels.native_sources import Window
from eedask.emulator.pixels.raster import Projection

_FINEST = 3  # cells of 2**3 metres
_COARSEST = 9  # beyond, broad strokes
_LIGHT = 100  # steps of brightness to 1


class Ground(NamedTuple):
    """What is at places, arrays (rows, columns).

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
        """The materials."""
        return self.kind // np.uint16(TONES)

    @property
    def water(self) -> NDArray[np.bool_]:
        """Where there is water."""
        found: NDArray[np.bool_] = self.material == Material.WATER
        return found


@lru_cache(maxsize=32)
def ground(projection: Projection, level: int, window: Window, year: int, parts: int = 1) -> Ground:
    """Return the ground under the pixels of a window, or at ``parts**2`` points in each.

    Parameters as those of :func:`~eedask.emulator.catalog.world.spots.spots`; crops change with the
    year.
    """
    at = spots(projection, level, window, parts)
    q = max(at.q, _FINEST)
    return broad_places(at, year) if q > _COARSEST else _drawn(at, q, year)


def broad_places(at: Spots, year: int) -> Ground:
    """Return the ground in broad strokes."""
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

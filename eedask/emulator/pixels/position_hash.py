"""Numbers that look random but depend on places alone."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eedask.emulator.pixels.projection import unit_metres
from eedask.emulator.pixels.raster import Grid


def position_hash(grid: Grid, cols: Any, rows: Any, seed: int) -> NDArray[np.uint64]:
    """Return 64 bits for each of some positions on a grid (splitmix64).

    The same place on pixels of the same size gives the same bits on all grids of a crs.
    """
    t = grid.transform
    # Positions in steps of a 1/1000 pixel, so that rounding does not tell grids apart.
    step = math.sqrt(abs(t.determinant)) / 1000
    x = np.rint((t.a * cols + t.b * rows + t.c) / step).astype(np.int64).view(np.uint64)
    y = np.rint((t.d * cols + t.e * rows + t.f) / step).astype(np.int64).view(np.uint64)
    # Metres tell scales apart.
    scale = np.uint64(int(step * unit_metres(grid.crs) * 1e6) & (2**64 - 1))
    with np.errstate(over="ignore"):
        state = mix(mix(mix(np.uint64(seed & (2**64 - 1))) + scale) + x)
        return mix(state + y)


def mix(z: Any) -> Any:
    """Return unsigned 64-bit integers mixed up."""
    with np.errstate(over="ignore"):
        z = z + np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return z ^ (z >> np.uint64(31))

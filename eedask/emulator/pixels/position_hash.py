"""Pseudorandom numbers that are a function of position."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eedask.emulator.pixels.projection import unit_metres
from eedask.emulator.pixels.raster import Grid


def position_hash(grid: Grid, cols: Any, rows: Any, seed: int) -> NDArray[np.uint64]:
    """Return 64 pseudorandom bits for each position on a grid (splitmix64).

    They depend on the place, the pixel size, the crs and the seed, not on the grid's extent.
    """
    t = grid.transform
    # Positions are rounded to 1/1000 pixel, so that rounding errors of a grid do not matter.
    step = math.sqrt(abs(t.determinant)) / 1000
    x = np.rint((t.a * cols + t.b * rows + t.c) / step).astype(np.int64).view(np.uint64)
    y = np.rint((t.d * cols + t.e * rows + t.f) / step).astype(np.int64).view(np.uint64)
    # The pixel size in metres is part of the hash, so that scales have different numbers.
    scale = np.uint64(int(step * unit_metres(grid.crs) * 1e6) & (2**64 - 1))
    with np.errstate(over="ignore"):
        state = mix(mix(mix(np.uint64(seed & (2**64 - 1))) + scale) + x)
        return mix(state + y)


def mix(z: Any) -> Any:
    """Return unsigned 64-bit integers with their bits mixed (the last steps of splitmix64)."""
    with np.errstate(over="ignore"):
        z = z + np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return z ^ (z >> np.uint64(31))

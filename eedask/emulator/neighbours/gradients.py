"""Gradients of elevation: the rise per metre of ground to the east and to the north."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from eedask.emulator.errors import NotSupported
from eedask.emulator.geometry.crs import WGS84, is_geographic
from eedask.emulator.neighbours.neighbourhoods import padded
from eedask.emulator.pixels.projection import locate, unit_metres
from eedask.emulator.pixels.raster import Band, Grid, Projection

Array = NDArray[Any]


def rise(band: Band, grid: Grid) -> tuple[Array, Array, NDArray[np.float32]]:
    """Return the rise to the east and to the north (metres per metre), and the mask.

    Each pixel's gradient comes from its four neighbours; where one of them is masked, or the
    pixel itself, the result is masked.
    https://developers.google.com/earth-engine/apidocs/ee-terrain-slope
    """
    t = grid.transform
    if t.b or t.d:
        raise NotSupported("gradients on rotated grids")
    around = band.read(padded(grid, 1))
    z = around.values.astype(np.float64)
    valid = around.mask > 0
    east, north = _pixel_metres(grid)
    with np.errstate(invalid="ignore", over="ignore"):  # masked pixels may hold any value
        rise_x = (z[1:-1, 2:] - z[1:-1, :-2]) / (2 * east)
        rise_y = (z[:-2, 1:-1] - z[2:, 1:-1]) / (2 * north)
    mask = valid[1:-1, 1:-1] & valid[1:-1, 2:] & valid[1:-1, :-2]
    mask &= valid[:-2, 1:-1] & valid[2:, 1:-1]
    return rise_x, rise_y, mask.astype(np.float32)


def _pixel_metres(grid: Grid) -> tuple[Array, float]:
    """Return the metres from a pixel to its right and to its upper neighbour.

    Negative where columns go west or rows go north.
    """
    unit = unit_metres(grid.crs)
    width, height = grid.transform.a * unit, -grid.transform.e * unit
    if not is_geographic(grid.crs):
        return np.asarray(width), height
    latitude = np.broadcast_to(locate(grid, Projection(WGS84)).rows, grid.shape)
    return width * np.cos(np.radians(latitude)), height

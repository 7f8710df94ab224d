"""Terrain: slope, aspect and light of elevations.

They work on the pixels that are asked for, as Earth Engine does: at another scale the result is
another. https://developers.google.com/earth-engine/apidocs/ee-terrain-products
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eedask.emulator.bands import derived
from eedask.emulator.crs import WGS84, is_geographic
from eedask.emulator.errors import EarthEngineError, NotSupported
from eedask.emulator.functions.registry import algorithm
from eedask.emulator.neighbourhoods import padded
from eedask.emulator.pixel_types import BYTE, FLOAT
from eedask.emulator.projection import locate, unit_metres
from eedask.emulator.raster import Band, Grid, Image, Pixels, PixelType, Projection

Array = NDArray[Any]


def _gradient(band: Band, grid: Grid) -> tuple[Array, Array, NDArray[np.float32]]:
    """Return the rise to the east and to the north (metres a metre), and the mask.

    From the four neighbours; a pixel without all of them is masked.
    https://developers.google.com/earth-engine/apidocs/ee-terrain-slope
    """
    t = grid.transform
    if t.b or t.d:
        raise NotSupported("terrain on rotated grids")
    around = band.read(padded(grid, 1))
    z = around.values.astype(np.float64)
    valid = around.mask > 0
    east, north = _pixel_metres(grid)
    rise_x = (z[1:-1, 2:] - z[1:-1, :-2]) / (2 * east)
    rise_y = (z[:-2, 1:-1] - z[2:, 1:-1]) / (2 * north)
    mask = valid[1:-1, 1:-1] & valid[1:-1, 2:] & valid[1:-1, :-2]
    mask &= valid[:-2, 1:-1] & valid[2:, 1:-1]
    return rise_x, rise_y, mask.astype(np.float32)


def _pixel_metres(grid: Grid) -> tuple[Array, float]:
    """Return the signed size of a step east and of a row up, in metres."""
    unit = unit_metres(grid.crs)
    width, height = grid.transform.a * unit, -grid.transform.e * unit
    if not is_geographic(grid.crs):
        return np.asarray(width), height
    latitude = np.broadcast_to(locate(grid, Projection(WGS84)).rows, grid.shape)
    return width * np.cos(np.radians(latitude)), height


def _slope_aspect(band: Band, grid: Grid) -> tuple[Array, Array, NDArray[np.float32]]:
    x, y, mask = _gradient(band, grid)
    return np.arctan(np.hypot(x, y)), np.arctan2(-x, -y), mask


def _terrain(image: Image, name: str, kind: PixelType, function: Callable[..., Array]) -> Band:
    if not image.bands:
        raise EarthEngineError(f"Terrain.{name}: The image has no bands.")
    band = next((b for b in image.bands if b.id == "elevation"), image.bands[0])

    def read(grid: Grid) -> Pixels:
        slope, aspect, mask = _slope_aspect(band, grid)
        return Pixels(function(slope, aspect).astype(kind.dtype), mask)

    return replace(band, id=name, type=kind, read=read)


def _slope_band(image: Image) -> Band:
    return _terrain(image, "slope", FLOAT, lambda slope, aspect: np.degrees(slope))


def _aspect_band(image: Image) -> Band:
    return _terrain(image, "aspect", FLOAT, lambda slope, aspect: np.degrees(aspect) % 360)


def _hillshade_band(image: Image, azimuth: float, elevation: float) -> Band:
    sun, zenith = math.radians(azimuth), math.radians(90 - elevation)

    def shade(slope: Array, aspect: Array) -> Array:
        light = math.cos(zenith) * np.cos(slope)
        light = light + math.sin(zenith) * np.sin(slope) * np.cos(sun - aspect)
        return np.floor(np.clip(light, 0, 1) * 255 + 0.5)

    return _terrain(image, "hillshade", BYTE, shade)


@algorithm("Terrain.slope")
def slope(image: Image) -> Image:
    """Return the slope in degrees."""
    return derived(image, [_slope_band(image)])


@algorithm("Terrain.aspect")
def aspect(image: Image) -> Image:
    """Return the direction that the ground falls in, degrees from north by east."""
    return derived(image, [_aspect_band(image)])


@algorithm("Terrain.hillshade")
def hillshade(image: Image, azimuth: float = 270.0, elevation: float = 45.0) -> Image:
    """Return the light of a sun on the ground, 0 to 255."""
    return derived(image, [_hillshade_band(image, azimuth, elevation)])


@algorithm("Terrain.products", "Terrain")
def products(image: Image) -> Image:
    """Return the image with bands of slope, aspect and hillshade."""
    added = (_slope_band(image), _aspect_band(image), _hillshade_band(image, 270.0, 45.0))
    return image.with_bands((*image.bands, *added))

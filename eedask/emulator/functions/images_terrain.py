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
from eedask.emulator.errors import EarthEngineError
from eedask.emulator.functions.registry import algorithm
from eedask.emulator.gradients import rise
from eedask.emulator.pixel_types import BYTE, FLOAT
from eedask.emulator.raster import Band, Grid, Image, Pixels, PixelType

Array = NDArray[Any]


def _slope_aspect(band: Band, grid: Grid) -> tuple[Array, Array, NDArray[np.float32]]:
    x, y, mask = rise(band, grid)
    # Not -x: that of 0 is a negative zero, whose angle is 180 degrees; flat ground has 0 (a guess).
    return np.arctan(np.hypot(x, y)), np.arctan2(0 - x, 0 - y), mask


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

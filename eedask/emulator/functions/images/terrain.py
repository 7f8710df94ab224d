"""Terrain.*: slope, aspect and shading of an elevation image.

They use the pixels of the output grid, as in Earth Engine, so results depend on the scale of the
request. https://developers.google.com/earth-engine/apidocs/ee-terrain-products
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eedask.emulator.errors import EarthEngineError, NotSupported
from eedask.emulator.functions.registry import algorithm
from eedask.emulator.neighbours.gradients import rise as rises
from eedask.emulator.neighbours.kernels import LARGEST_RADIUS, pixel_metres
from eedask.emulator.neighbours.neighbourhoods import padded
from eedask.emulator.pixels.bands import derived
from eedask.emulator.pixels.pixel_types import BOOLEAN, BYTE, FLOAT
from eedask.emulator.pixels.raster import Band, Grid, Image, Pixels, PixelType

Array = NDArray[Any]


def _slope_aspect(band: Band, grid: Grid) -> tuple[Array, Array, NDArray[np.float32]]:
    x, y, mask = rises(band, grid)
    # 0 - x and not -x: arctan2 of a negative zero is 180 degrees, and flat ground has 0 (a guess).
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
    """Return a band ``slope`` in degrees from the horizontal."""
    return derived(image, [_slope_band(image)])


@algorithm("Terrain.aspect")
def aspect(image: Image) -> Image:
    """Return a band ``aspect``: the downhill direction in degrees clockwise from north."""
    return derived(image, [_aspect_band(image)])


@algorithm("Terrain.hillshade")
def hillshade(image: Image, azimuth: float = 270.0, elevation: float = 45.0) -> Image:
    """Return a band ``hillshade`` (0 to 255) for a sun at an azimuth and elevation in degrees."""
    return derived(image, [_hillshade_band(image, azimuth, elevation)])


@algorithm("Terrain.products", "Terrain")
def products(image: Image) -> Image:
    """Return the image with bands ``slope``, ``aspect`` and ``hillshade`` added."""
    added = (_slope_band(image), _aspect_band(image), _hillshade_band(image, 270.0, 45.0))
    return image.with_bands((*image.bands, *added))


@algorithm("Terrain.hillShadow", "HillShadow")
def hill_shadow(
    image: Image, azimuth: float, zenith: float, size: int = 0, hysteresis: bool = False
) -> Image:
    """Return a band ``shadow``: 1 where the sun shines, 0 where higher ground blocks it.

    ``azimuth`` and ``zenith`` of the sun are in degrees. The ground is sampled towards the sun in
    steps of a pixel, as far as ``size`` pixels. (How Earth Engine samples is not documented.)
    https://developers.google.com/earth-engine/apidocs/ee-terrain-hillshadow
    """
    if hysteresis:
        raise NotSupported("Terrain.hillShadow with hysteresis")
    if not 0 <= size <= LARGEST_RADIUS:
        raise EarthEngineError("Terrain.hillShadow: The neighborhood size is out of range.")
    if not 0 <= zenith < 90:
        raise EarthEngineError("Terrain.hillShadow: The zenith must be from 0 to under 90 degrees.")
    if not image.bands:
        raise EarthEngineError("Terrain.hillShadow: The image has no bands.")
    band = next((b for b in image.bands if b.id == "elevation"), image.bands[0])
    east, north = math.sin(math.radians(azimuth)), math.cos(math.radians(azimuth))
    rise = 1 / math.tan(math.radians(zenith)) if zenith else math.inf

    def read(grid: Grid) -> Pixels:
        pixels = band.read(padded(grid, size))
        z = np.where(pixels.mask > 0, pixels.values, -np.inf).astype(np.float64)
        middle = (slice(size, size + grid.height), slice(size, size + grid.width))
        down = 1 if grid.transform.e < 0 else -1
        lit = np.ones(grid.shape, bool)
        step = pixel_metres(grid)
        ray = z[middle]
        for k in range(1, size + 1 if math.isfinite(rise) else 1):
            col, row = round(k * east), round(-k * north * down)
            seen = z[size + row : size + row + grid.height, size + col : size + col + grid.width]
            lit &= ~(seen > ray + k * step * rise)
        return Pixels(lit.astype(BOOLEAN.dtype), pixels.mask[middle])

    return derived(image, [replace(band, id="shadow", type=BOOLEAN, read=read)])

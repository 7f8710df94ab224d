"""Image algorithms that look at the pixels around each: focal filters and terrain.

They work on the pixels that are asked for, as Earth Engine does: at another scale the result is
another. https://developers.google.com/earth-engine/guides/image_morph
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from affine import Affine
from numpy.typing import NDArray
from scipy import ndimage

from eedask.emulator import statistics
from eedask.emulator.bands import derived
from eedask.emulator.crs import WGS84, is_geographic
from eedask.emulator.errors import EarthEngineError, NotSupported
from eedask.emulator.functions.registry import algorithm
from eedask.emulator.pixel_types import BYTE, FLOAT, floating
from eedask.emulator.projection import locate, unit_metres
from eedask.emulator.raster import Band, Grid, Image, Pixels, PixelType, Projection, compose

Array = NDArray[Any]
_LARGEST_RADIUS = 512


def padded(grid: Grid, n: int) -> Grid:
    """Return a grid with so many more pixels on every side."""
    transform = compose(grid.transform, Affine.translation(-n, -n))
    width, height = grid.width + 2 * n, grid.height + 2 * n
    return replace(grid, transform=transform, width=width, height=height)


def footprint(kind: str, radius: float) -> NDArray[np.bool_]:
    """Return the pixels of a named kernel, centred, shape (2n + 1, 2n + 1)."""
    n = math.floor(radius + 1e-9)
    y, x = np.mgrid[-n : n + 1, -n : n + 1]
    shapes: dict[str, Callable[[], NDArray[np.bool_]]] = {
        "circle": lambda: x**2 + y**2 <= radius**2 + 1e-9,
        "square": lambda: np.ones(x.shape, bool),
        "plus": lambda: (x == 0) | (y == 0),
        "cross": lambda: np.abs(x) == np.abs(y),
        "diamond": lambda: np.abs(x) + np.abs(y) <= n,
        "octagon": lambda: np.abs(x) + np.abs(y) <= n + n // 2,
    }
    if kind not in shapes:
        raise EarthEngineError(f"Unknown kernel type '{kind}'.")
    return shapes[kind]()


def _radius(radius: float, units: str, grid: Grid) -> float:
    if units == "pixels":
        return radius
    if units != "meters":
        raise EarthEngineError(f"Unknown kernel units '{units}': use 'pixels' or 'meters'.")
    pixel = math.sqrt(abs(grid.transform.determinant)) * unit_metres(grid.crs)
    return radius / pixel


def _mean(values: Array, valid: Array, kernel: NDArray[np.bool_]) -> tuple[Array, Array]:
    weights = kernel.astype(np.float64)
    total = ndimage.correlate(np.where(valid, values, 0.0), weights, mode="constant")
    count = ndimage.correlate(valid.astype(np.float64), weights, mode="constant")
    some = count > 0.5
    return total / np.where(some, count, 1), some


def _extreme(least: bool) -> Callable[..., tuple[Array, Array]]:
    def function(values: Array, valid: Array, kernel: NDArray[np.bool_]) -> tuple[Array, Array]:
        rest = np.inf if least else -np.inf
        guarded = np.where(valid, values, rest)
        rule = ndimage.minimum_filter if least else ndimage.maximum_filter
        result = rule(guarded, footprint=kernel, mode="constant", cval=rest)
        return np.where(np.isfinite(result), result, 0), np.isfinite(result)

    return function


def _sorted(outputs: statistics.Outputs) -> Callable[..., tuple[Array, Array]]:
    def function(values: Array, valid: Array, kernel: NDArray[np.bool_]) -> tuple[Array, Array]:
        n = kernel.shape[0] // 2
        v, there = np.pad(values, n), np.pad(valid, n)
        height, width = values.shape
        at = np.argwhere(kernel)
        rows = [v[r : r + height, c : c + width].ravel() for r, c in at]
        weights = [there[r : r + height, c : c + width].ravel() for r, c in at]
        (result,) = outputs([np.array(rows)], np.array(weights, dtype=np.float64))
        return result.values.reshape(values.shape), result.valid.reshape(values.shape)

    return function


_FILTERS: dict[str, Callable[..., tuple[Array, Array]]] = {
    "mean": _mean,
    "min": _extreme(True),
    "max": _extreme(False),
    "median": _sorted(statistics.percentiles((50.0,))),
    "mode": _sorted(statistics.mode),
}


def _focal_band(
    band: Band, name: str, radius: float, kind: str, units: str, iterations: int
) -> Band:
    result_type = floating(band.type) if name == "mean" else band.type

    def read(grid: Grid) -> Pixels:
        pixels = _radius(radius, units, grid)
        if pixels > _LARGEST_RADIUS:
            raise EarthEngineError(
                f"Kernel radius of {pixels:.0f} pixels is over {_LARGEST_RADIUS}."
            )
        kernel = footprint(kind, pixels)
        n = kernel.shape[0] // 2 * iterations
        around = band.read(padded(grid, n))
        values, valid = around.values.astype(np.float64), around.mask > 0
        for _ in range(iterations):
            values, valid = _FILTERS[name](values, valid, kernel)
        inner = (slice(n, n + grid.height), slice(n, n + grid.width))
        return Pixels(values[inner].astype(result_type.dtype), valid[inner].astype(np.float32))

    return replace(band, type=result_type, read=read)


def _register(name: str) -> None:
    def apply(
        image: Image,
        radius: float = 1.5,
        kind: str = "circle",
        units: str = "pixels",
        iterations: int = 1,
        kernel: Any = None,
    ) -> Image:
        if kernel is not None:
            raise NotSupported(f"kernels in Image.focal_{name}")
        bands = (_focal_band(band, name, radius, kind, units, iterations) for band in image.bands)
        return derived(image, list(bands))

    algorithm(f"Image.focal_{name}", f"Image.focal{name.capitalize()}")(apply)


for _name in _FILTERS:
    _register(_name)


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

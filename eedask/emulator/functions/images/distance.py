"""Image algorithms of distance and of the cost of travel to the nearest target pixel."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import scipy  # its subpackages are imported when they are first used
from numpy.typing import NDArray

from eedask.emulator.errors import EarthEngineError, NotSupported
from eedask.emulator.functions.registry import algorithm
from eedask.emulator.neighbours import kernels
from eedask.emulator.neighbours.costs import cheapest
from eedask.emulator.neighbours.kernels import DISTANCES, LARGEST_RADIUS, Kernel
from eedask.emulator.neighbours.neighbourhoods import padded
from eedask.emulator.pixels.bands import derived
from eedask.emulator.pixels.pixel_types import DOUBLE, FLOAT
from eedask.emulator.pixels.raster import Band, Grid, Image, Pixels

Array = NDArray[Any]

_DEFAULT = kernels.shaped("euclidean", 100, "pixels", False, 1.0)
_ROUNDING = 1e-6
_FURTHEST = 1024


def _nearest(targets: NDArray[np.bool_], metric: str) -> Array:
    """Return each pixel's distance in pixels to the nearest target; infinite if there is none."""
    if not targets.any():
        return np.full(targets.shape, np.inf)
    ways: dict[str, Callable[[Any], Any]] = {
        "euclidean": scipy.ndimage.distance_transform_edt,
        "manhattan": lambda a: scipy.ndimage.distance_transform_cdt(a, "taxicab"),
        "chebyshev": lambda a: scipy.ndimage.distance_transform_cdt(a, "chessboard"),
    }
    return np.asarray(ways[metric](~targets), dtype=np.float64)


def _targets(pixels: Pixels) -> NDArray[np.bool_]:
    return np.asarray((pixels.mask > 0) & (pixels.values != 0), dtype=bool)


@algorithm("Image.distance")
def distance(image: Image, kernel: Kernel | None = None, skip_masked: bool = True) -> Image:
    """Return each pixel's distance to the nearest pixel that is not 0, in the kernel's units.

    Pixels without one inside the kernel's radius are masked. The default kernel is Euclidean
    with a radius of 100 pixels (a guess).
    https://developers.google.com/earth-engine/apidocs/ee-image-distance
    """
    used = kernel or _DEFAULT
    if used.kind not in DISTANCES:
        raise EarthEngineError(
            "Image.distance: The kernel must be one of chebyshev, euclidean and manhattan."
        )
    return derived(image, [_distance_band(band, used, skip_masked) for band in image.bands])


def _distance_band(band: Band, kernel: Kernel, skip_masked: bool) -> Band:
    def read(grid: Grid) -> Pixels:
        stencil = kernel.on(grid)
        n = max(stencil.margins)
        # The kernel's weight right beside its centre is the size of one pixel in its units.
        step = float(stencil.weights[stencil.y, stencil.x + 1]) if n else 0.0
        pixels = band.read(padded(grid, n))
        inner = (slice(n, n + grid.height), slice(n, n + grid.width))
        far = _nearest(_targets(pixels), kernel.kind)[inner]
        valid = far <= _radius(kernel, grid, n) + _ROUNDING
        if skip_masked:
            valid &= pixels.mask[inner] > 0
        values = np.where(valid, far, 0) * step
        return Pixels(values.astype(np.float32), valid.astype(np.float32))

    return replace(band, type=FLOAT, read=read)


def _radius(kernel: Kernel, grid: Grid, whole: int) -> float:
    """Return a distance kernel's radius in pixels, not rounded if the exact value is known."""
    radius = kernel.arguments.get("radius")
    if radius is None:
        return float(whole)
    return float(radius) / (kernels.pixel_metres(grid) if kernel.scaled else 1.0)


@algorithm("Image.fastDistanceTransform")
def fast_distance_transform(
    image: Image, neighbourhood: int = 256, units: str = "pixels", metric: str = "squared_euclidean"
) -> Image:
    """Return a band ``distance``: that to the nearest pixel of the first band that is not 0.

    It is in pixels, for the metric ``squared_euclidean`` in pixels squared, and masked where
    there is no such pixel within the neighbourhood. Masked input pixels count as 0.
    https://developers.google.com/earth-engine/apidocs/ee-image-fastdistancetransform
    """
    name = "Image.fastDistanceTransform"
    if units != "pixels":
        raise EarthEngineError(f"{name}: Only 'pixels' are supported as units, not '{units}'.")
    if metric not in ("squared_euclidean", "manhattan", "chebyshev"):
        raise EarthEngineError(f"{name}: Unknown metric '{metric}'.")
    if not 1 <= neighbourhood <= LARGEST_RADIUS:
        raise NotSupported(f"{name} with a neighborhood of {neighbourhood} pixels")
    if not image.bands:
        raise EarthEngineError(f"{name}: The image has no bands.")
    band, n = image.bands[0], neighbourhood

    def read(grid: Grid) -> Pixels:
        targets = _targets(band.read(padded(grid, n)))
        far = _nearest(targets, metric.removeprefix("squared_"))
        far = far[n : n + grid.height, n : n + grid.width]
        valid = far <= n
        values = np.where(valid, far, 0)
        if metric == "squared_euclidean":
            values = np.rint(values**2)
        return Pixels(values.astype(np.float32), valid.astype(np.float32))

    return derived(image, [replace(band, id="distance", type=FLOAT, read=read)])


@algorithm("Image.cumulativeCost")
def cumulative_cost(cost: Image, source: Image, furthest: float, geodetic: bool = True) -> Image:
    """Return a band ``cumulative_cost``: the cost of the cheapest path from a source to each pixel.

    Paths go from pixel to neighbouring pixel, diagonally as well; a step costs its length in
    metres times the mean cost of both pixels (a guess). Sources are the pixels of ``source`` that
    are not 0; pixels that no path of at most ``furthest`` metres reaches are masked.
    https://developers.google.com/earth-engine/guides/image_cumulative_cost
    """
    name = "Image.cumulativeCost"
    if len(cost.bands) != 1 or len(source.bands) != 1:
        raise NotSupported(f"{name} of more than one band")
    if not furthest > 0:
        raise EarthEngineError(f"{name}: The maximum distance must be positive.")
    band, sources = cost.bands[0], source.bands[0]

    def read(grid: Grid) -> Pixels:
        n = max(1, math.ceil(furthest / kernels.pixel_metres(grid)))
        if n > _FURTHEST:
            raise EarthEngineError(f"{name}: {n} pixels are more than {_FURTHEST}.")
        around = padded(grid, n)
        total, way = cheapest(band.read(around), _targets(sources.read(around)), around, geodetic)
        inner = (slice(n, n + grid.height), slice(n, n + grid.width))
        valid = np.isfinite(total[inner]) & (way[inner] <= n)
        values = np.where(valid, total[inner], 0)
        return Pixels(values, valid.astype(np.float32))

    return derived(cost, [replace(band, id="cumulative_cost", type=DOUBLE, read=read)])

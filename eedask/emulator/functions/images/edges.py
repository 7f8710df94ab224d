"""Image algorithms of gradients and edges."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import scipy  # its subpackages are imported when they are first used

from eedask.emulator.errors import EarthEngineError
from eedask.emulator.functions.registry import Keeps, algorithm
from eedask.emulator.neighbours import kernels
from eedask.emulator.neighbours.gradients import rise
from eedask.emulator.neighbours.neighbourhoods import correlated, padded, widened
from eedask.emulator.pixels.bands import Array, Mask, derived
from eedask.emulator.pixels.pixel_types import BOOLEAN, floating
from eedask.emulator.pixels.raster import Band, Grid, Image, Pixels


@algorithm("Image.gradient", keeps=Keeps.FIRST)
def gradient(image: Image) -> Image:
    """Return bands ``x`` and ``y``: the first band's change per metre to the east and the north.

    They are computed from the pixels on both sides, as terrain slopes are, and masked where one
    of these four is. (The units and the direction of ``y`` are guesses.)
    https://developers.google.com/earth-engine/guides/image_gradients
    """
    if not image.bands:
        raise EarthEngineError("Image.gradient: The image has no bands.")
    band = image.bands[0]
    kind = floating(band.type)

    def side(name: str, index: int) -> Band:
        def read(grid: Grid) -> Pixels:
            change = rise(band, grid)
            return Pixels(change[index].astype(kind.dtype), change[2])

        return replace(band, id=name, type=kind, read=read)

    return derived(image, [side("x", 0), side("y", 1)])


@algorithm("Image.derivative", keeps=Keeps.FIRST)
def derivative(image: Image) -> Image:
    """Return bands ``band_x`` and ``band_y``: half the difference of the pixels on both sides.

    ``x`` goes to the right and ``y`` down. They are masked where a pixel on either side is. (That
    Earth Engine takes the central difference is a guess.)
    https://developers.google.com/earth-engine/apidocs/ee-image-derivative
    """
    made = (_difference(band, axis) for band in image.bands for axis in ("x", "y"))
    return derived(image, list(made))


def _difference(band: Band, axis: str) -> Band:
    kind = floating(band.type)
    margins = (1, 0, 1, 0) if axis == "x" else (0, 1, 0, 1)

    def read(grid: Grid) -> Pixels:
        pixels = band.read(widened(grid, margins))
        values, mask = pixels.values.astype(np.float64), pixels.mask
        if axis == "y":
            values, mask = values.T, mask.T
        change, there = (values[:, 2:] - values[:, :-2]) / 2, np.minimum(mask[:, 2:], mask[:, :-2])
        if axis == "y":
            change, there = change.T, there.T
            change = -change if kernels.is_upside_down(grid) else change
        return Pixels(change.astype(kind.dtype), there)

    return replace(band, id=f"{band.id}_{axis}", type=kind, read=read)


@algorithm("Image.zeroCrossing")
def zero_crossing(image: Image) -> Image:
    """Return 1 where the neighbour to the right, below or diagonally below has the opposite sign.

    Masked neighbours are not compared (a guess).
    https://developers.google.com/earth-engine/guides/image_edges
    """

    def crossing(band: Band) -> Band:
        def read(grid: Grid) -> Pixels:
            turned = kernels.is_upside_down(grid)
            pixels = band.read(widened(grid, (0, 1, 1, 0) if turned else (0, 0, 1, 1)))
            signs = np.where(pixels.mask > 0, np.sign(pixels.values.astype(np.float64)), 0)
            signs = signs[::-1] if turned else signs
            here = signs[:-1, :-1]
            crosses = np.zeros(here.shape, bool)
            for other in (signs[:-1, 1:], signs[1:, :-1], signs[1:, 1:]):
                crosses |= here * other < 0
            if turned:
                return Pixels(crosses[::-1].astype(BOOLEAN.dtype), pixels.mask[1:, :-1])
            return Pixels(crosses.astype(BOOLEAN.dtype), pixels.mask[:-1, :-1])

        return replace(band, type=BOOLEAN, read=read)

    return derived(image, [crossing(band) for band in image.bands])


@algorithm("CannyEdgeDetector")
def canny(image: Image, threshold: float, sigma: float = 1.0) -> Image:
    """Return the magnitude of the gradient on edges where it exceeds a threshold, 0 elsewhere.

    The image is smoothed by a Gaussian of radius three sigmas, and the gradient taken by central
    differences. Pixels that are no maximum along the direction of the gradient (rounded to four
    directions) are set to 0. There is no second threshold. Earth Engine does not publish its
    details.
    https://developers.google.com/earth-engine/guides/image_edges
    """
    if sigma < 0:
        raise EarthEngineError("CannyEdgeDetector: The sigma must not be negative.")
    return derived(image, [_canny_band(band, threshold, sigma) for band in image.bands])


def _canny_band(band: Band, threshold: float, sigma: float) -> Band:
    kind = floating(band.type)
    radius = int(np.ceil(3 * sigma))
    if radius > kernels.LARGEST_RADIUS:
        raise EarthEngineError("CannyEdgeDetector: The sigma is too large.")

    def read(grid: Grid) -> Pixels:
        pixels = band.read(padded(grid, radius + 2))
        smooth, mask = _smoothed(pixels, sigma, radius)
        with np.errstate(invalid="ignore"):
            dx = (smooth[1:-1, 2:] - smooth[1:-1, :-2]) / 2
            dy = (smooth[2:, 1:-1] - smooth[:-2, 1:-1]) / 2
            size = np.hypot(dx, dy)
            edge = _ridges(size, dx, dy) & (size[1:-1, 1:-1] > threshold)
        values = np.where(edge, size[1:-1, 1:-1], 0)
        there = scipy.ndimage.minimum_filter(mask, 5, mode="constant")[2:-2, 2:-2]
        return Pixels(values.astype(kind.dtype), there)

    return replace(band, type=kind, read=read)


def _smoothed(pixels: Pixels, sigma: float, radius: int) -> tuple[Array, Mask]:
    values = np.where(pixels.mask > 0, pixels.values, 0).astype(np.float64)
    if not radius:
        return values, np.asarray(pixels.mask)
    x = np.arange(-radius, radius + 1.0)
    weights = np.exp(-(x**2) / (2 * sigma**2))
    weights /= weights.sum()
    values = correlated(correlated(values, weights[None, :]), weights[:, None])
    n = 2 * radius + 1
    mask = scipy.ndimage.minimum_filter(pixels.mask, n, mode="constant")[
        radius:-radius, radius:-radius
    ]
    return values, mask


def _ridges(size: Array, dx: Array, dy: Array) -> Array:
    """Return where (bool) the gradient is no smaller than on both sides along its direction."""
    angle = np.degrees(np.arctan2(dy, dx))[1:-1, 1:-1] % 180
    sector = (np.floor((angle + 22.5) / 45) % 4).astype(int)
    height, width = sector.shape
    middle = size[1:-1, 1:-1]
    result = np.zeros(sector.shape, bool)
    for index, (col, row) in enumerate(((1, 0), (1, 1), (0, 1), (-1, 1))):
        ahead = size[1 + row : 1 + row + height, 1 + col : 1 + col + width]
        behind = size[1 - row : 1 - row + height, 1 - col : 1 - col + width]
        result |= (sector == index) & (middle >= ahead) & (middle > behind)
    return result

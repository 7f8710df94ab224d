"""Image algorithms of neighbourhoods: focal filters, convolution, bands and arrays of neighbours.

Neighbours are pixels of the output grid, as in Earth Engine, so results depend on the scale of the
request. https://developers.google.com/earth-engine/guides/image_morph
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from eedask.emulator.composites.reduction_bands import output_type, reduced_bands
from eedask.emulator.errors import EarthEngineError, NotSupported
from eedask.emulator.functions.registry import IMPLEMENTATIONS, Keeps, algorithm
from eedask.emulator.limits.budget import MemoryLimit
from eedask.emulator.neighbours import kernels
from eedask.emulator.neighbours.kernels import Kernel
from eedask.emulator.neighbours.neighbourhoods import (
    around,
    correlated,
    inner,
    least_mask,
    reduce_around,
    widened,
)
from eedask.emulator.pixels.bands import Array, derived
from eedask.emulator.pixels.pixel_types import cast, floating, limits, of_rank
from eedask.emulator.pixels.raster import Band, Grid, Image, Pixels, PixelType
from eedask.emulator.reducers.accumulators import Output
from eedask.emulator.reducers.banded import input_groups, output_names
from eedask.emulator.reducers.reduce import Reducer

_FILTERS = ("mean", "min", "max", "median", "mode")
_MOST_BANDS = 65536
_MOST_VALUES = 2**27
_FURTHEST = 4 * kernels.LARGEST_RADIUS


def _focal_band(band: Band, reducer: Reducer, kernel: Kernel, iterations: int) -> Band:
    kind = output_type(reducer.outputs[0], [band.type])

    def read(grid: Grid) -> Pixels:
        stencil = kernel.on(grid)
        left, top, right, bottom = (n * iterations for n in stencil.margins)
        if max(left, top, right, bottom) > _FURTHEST:
            raise EarthEngineError(
                f"Kernels applied again and again reach over {_FURTHEST} pixels."
            )
        pixels = band.read(widened(grid, (left, top, right, bottom)))
        pixels = Pixels(pixels.values.astype(kind.dtype, copy=False), pixels.mask)
        for _ in range(iterations):
            (output,) = reduce_around(reducer, [pixels], stencil)
            shape = inner(pixels.values, stencil).shape
            values = cast(output.values, kind.dtype).reshape(shape)
            pixels = Pixels(values, output.valid.reshape(shape).astype(np.float32))
        return pixels

    return replace(band, type=kind, read=read)


def _register(name: str) -> None:
    def apply(
        image: Image,
        radius: float = 1.5,
        kind: str = "circle",
        units: str = "pixels",
        iterations: int = 1,
        kernel: Kernel | None = None,
    ) -> Image:
        if kernel is None:
            if kind not in kernels.SHAPES:
                raise EarthEngineError(f"Unknown kernel type '{kind}'.")
            kernel = kernels.shaped(kind, radius, units, True, 1.0)
        if not 0 <= iterations <= kernels.LARGEST_RADIUS:
            raise EarthEngineError(f"Image.focal_{name}: iterations must not be negative or vast.")
        reducer = IMPLEMENTATIONS[f"Reducer.{name}"].function()
        bands = [_focal_band(band, reducer, kernel, iterations) for band in image.bands]
        return derived(image, bands)

    names = f"Image.focal_{name}", f"Image.focal{name.capitalize()}"
    algorithm(*names, keeps=Keeps.FIRST)(apply)


for _name in _FILTERS:
    _register(_name)


@algorithm("Image.convolve", keeps=Keeps.FIRST)
def convolve(image: Image, kernel: Kernel) -> Image:
    """Return each band's weighted sum of the pixels under a kernel.

    The kernel is not reversed as in a mathematical convolution (a guess). The mask is the least
    of those under weights that are not 0 (a guess).
    https://developers.google.com/earth-engine/guides/image_convolutions
    """
    return derived(image, [_convolved(band, kernel) for band in image.bands])


def _convolved(band: Band, kernel: Kernel) -> Band:
    kind = floating(band.type)

    def read(grid: Grid) -> Pixels:
        stencil = kernel.on(grid)
        pixels = around(band, grid, stencil)
        clean = np.where(pixels.mask > 0, pixels.values, 0)
        values = correlated(clean, stencil.weights).astype(kind.dtype)
        return Pixels(values, least_mask(pixels.mask, stencil.weights))

    return replace(band, type=kind, read=read)


@algorithm("Image.reduceNeighborhood", keeps=Keeps.FIRST)
def reduce_neighborhood(
    image: Image,
    reducer: Reducer,
    kernel: Kernel,
    input_weight: str = "kernel",
    skip_masked: bool = True,
    optimization: str | None = None,
) -> Image:
    """Return a reducer's outputs over the neighbourhood of each pixel, as bands ``band_output``.

    A reducer of several inputs takes all bands together; its outputs keep their names.
    https://developers.google.com/earth-engine/apidocs/ee-image-reduceneighborhood
    """
    name = "Image.reduceNeighborhood"
    if optimization not in (None, "boxcar", "window"):
        raise EarthEngineError(f"{name}: Unknown optimization '{optimization}'.")
    groups: list[list[Band]] = input_groups(image.bands, reducer, name)
    labels = output_names(image.band_names, reducer, "both")
    made: list[Band] = []
    for group, names in zip(groups, labels, strict=True):
        compute = _around_each(group, reducer, kernel, input_weight.lower(), skip_masked)
        kinds = [band.type for band in group]
        made += reduced_bands(reducer, compute, kinds, names, group[0], name)
    return derived(image, made)


def _around_each(
    bands: list[Band], reducer: Reducer, kernel: Kernel, input_weight: str, skip_masked: bool
) -> Callable[[Grid], list[Output]]:
    def compute(grid: Grid) -> list[Output]:
        stencil = kernel.on(grid)
        inputs = [around(band, grid, stencil) for band in bands]
        outputs = reduce_around(reducer, inputs, stencil, input_weight)
        if not skip_masked:
            return outputs
        masks = [inner(pixels.mask, stencil) for pixels in inputs]
        there = (np.minimum.reduce(masks) > 0).ravel()
        return [Output(output.values, output.valid & there) for output in outputs]

    return compute


@algorithm("Image.neighborhoodToBands")
def neighborhood_to_bands(image: Image, kernel: Kernel) -> Image:
    """Return a band ``band_x_y`` for each band and each pixel (x, y) of a kernel.

    (That x and y count from the focus, not from the corner, is a guess.)
    https://developers.google.com/earth-engine/apidocs/ee-image-neighborhoodtobands
    """
    if kernel.scaled:
        raise NotSupported("Image.neighborhoodToBands with a kernel in meters")
    offsets = kernel.lay(1.0).offsets
    if len(offsets) * len(image.bands) > _MOST_BANDS:
        raise EarthEngineError("Image.neighborhoodToBands: Too many bands.")
    made = (_neighbour(band, *offset) for band in image.bands for offset in offsets)
    return derived(image, list(made))


def _neighbour(band: Band, x: int, y: int) -> Band:
    def read(grid: Grid) -> Pixels:
        down = -y if kernels.is_upside_down(grid) else y
        return band.read(widened(grid, (-x, -down, x, down)))

    return replace(band, id=f"{band.id}_{x}_{y}", read=read)


@algorithm("Image.neighborhoodToArray")
def neighborhood_to_array(image: Image, kernel: Kernel, default: float = 0.0) -> Image:
    """Return each pixel's neighbourhood as an array of shape (rows, columns).

    Masked neighbours have the default value, truncated and clamped to the band's type.
    https://developers.google.com/earth-engine/apidocs/ee-image-neighborhoodtoarray
    """
    if kernel.kind not in ("fixed", "square", "rectangle"):
        raise EarthEngineError(
            "Image.neighborhoodToArray: Only fixed, square and rectangle kernels are supported."
        )
    made = tuple(_window_band(band, kernel, default) for band in image.bands)
    return image.with_bands(made)


def _window_band(band: Band, kernel: Kernel, default: float) -> Band:
    kind = of_rank(band.type, 2)

    def read(grid: Grid) -> Pixels:
        stencil = kernel.on(grid)
        if stencil.weights.size * grid.width * grid.height > _MOST_VALUES:
            raise MemoryLimit
        pixels = around(band, grid, stencil)
        rest = _held(default, band.type)
        values = np.where(pixels.mask > 0, pixels.values, rest)
        windows = np.lib.stride_tricks.sliding_window_view(values, stencil.weights.shape)
        if kernels.is_upside_down(grid):
            windows = windows[:, :, ::-1]
        return Pixels(windows, inner(pixels.mask, stencil))

    return replace(band, type=kind, read=read)


def _held(value: float, kind: PixelType) -> Array:
    """Return a value cast to a pixel type, truncated and clamped."""
    if kind.precision == "int":
        low, high = limits(kind)
        value = min(max(math.trunc(value), low), high)
    return np.asarray(value).astype(kind.dtype)

"""Image algorithms of texture: entropy and grey-level co-occurrence matrices (GLCM).

https://developers.google.com/earth-engine/guides/image_texture
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache

import numpy as np

from eedask.emulator.errors import EarthEngineError, NotSupported
from eedask.emulator.functions.registry import Keeps, algorithm
from eedask.emulator.neighbours import kernels
from eedask.emulator.neighbours.kernels import Kernel, Stencil
from eedask.emulator.neighbours.neighbourhoods import around, blocks, inner
from eedask.emulator.neighbours.texture import MEASURES, measures
from eedask.emulator.pixels.bands import Array, derived
from eedask.emulator.pixels.pixel_types import DOUBLE, floating
from eedask.emulator.pixels.raster import Band, Grid, Image, Pixels
from eedask.emulator.reducers.run_lengths import entropy as entropy_of
from eedask.emulator.reducers.run_lengths import run_counts

_LARGEST = 16
_EIGHT = kernels.shaped("square", 1, "pixels", False, 1.0)


def _whole(image: Image, name: str) -> None:
    if any(band.type.precision != "int" for band in image.bands):
        raise EarthEngineError(f"{name}: Only integer types are supported.")


@algorithm("Image.entropy", keeps=Keeps.FIRST)
def entropy(image: Image, kernel: Kernel) -> Image:
    """Return the entropy in bits of the neighbours where a kernel's weight is not 0.

    Masked neighbours are left out; a masked pixel stays masked (a guess).
    https://developers.google.com/earth-engine/apidocs/ee-image-entropy
    """
    _whole(image, "Image.entropy")
    return derived(image, [_entropy_band(band, kernel) for band in image.bands])


def _entropy_band(band: Band, kernel: Kernel) -> Band:
    kind = floating(band.type)

    def read(grid: Grid) -> Pixels:
        stencil = kernel.on(grid)
        pixels = around(band, grid, stencil)
        found = [
            entropy_of(run_counts(values, masks > 0)[1])
            for values, masks in blocks([pixels.values, pixels.mask], stencil)
        ]
        bits = np.concatenate(found).reshape(grid.shape) / math.log(2)
        return Pixels(bits.astype(kind.dtype), inner(pixels.mask, stencil))

    return replace(band, type=kind, read=read)


@algorithm("Image.glcmTexture")
def glcm_texture(
    image: Image, size: int = 1, kernel: Kernel | None = None, average: bool = True
) -> Image:
    """Return 18 measures of each band's co-occurrence matrix in a square around each pixel.

    Both pixels of a pair lie in the square of ``2 size + 1`` pixels a side; entropies are in nats
    (both guesses). Pairs with a masked pixel are left out. Bands are called ``band_asm`` and so
    on; without ``average`` there is one for each direction, whose offset is added to the name (a
    guess).
    https://developers.google.com/earth-engine/apidocs/ee-image-glcmtexture
    """
    name = "Image.glcmTexture"
    _whole(image, name)
    if not 1 <= size <= _LARGEST:
        raise NotSupported(f"{name} with a size of {size}")
    if kernel is not None and kernel.scaled:
        raise NotSupported(f"{name} with a kernel in meters")
    offsets = _directions((kernel or _EIGHT).lay(1.0))
    if not offsets or any(max(abs(x), abs(y)) > 2 * size for x, y in offsets):
        raise EarthEngineError(f"{name}: The kernel's offsets do not fit into the neighborhood.")
    made: list[Band] = []
    for band in image.bands:
        made += _texture_bands(band, size, offsets, average)
    return derived(image, made)


def _directions(stencil: Stencil) -> list[tuple[int, int]]:
    """Return the (x, y) offsets of a kernel, row by row, only one of two opposite ones."""
    found: list[tuple[int, int]] = []
    for x, y in stencil.offsets:
        if (x, y) != (0, 0) and (x, y) not in found and (-x, -y) not in found:
            found.append((x, y))
    return found


def _texture_bands(
    band: Band, size: int, offsets: Sequence[tuple[int, int]], average: bool
) -> list[Band]:
    side = 2 * size + 1
    square = Stencil(np.ones((side, side)), size, size)
    places = np.arange(side * side).reshape(side, side)

    @lru_cache(maxsize=1)  # the bands of an answer are read one after the other
    def compute(grid: Grid) -> tuple[Array, Array]:
        pixels = around(band, grid, square)
        parts = []
        for values, masks in blocks([pixels.values.astype(np.float64), pixels.mask], square):
            found = []
            for x, y in offsets:
                at, other = _pairs(places, x, y)
                there = (masks[at] > 0) & (masks[other] > 0)
                found.append(measures(values[at], values[other], there))
            parts.append(np.mean(found, axis=0) if average else np.concatenate(found))
        return np.concatenate(parts, axis=1), inner(pixels.mask, square)

    def reader(index: int) -> Band:
        measure = MEASURES[index % len(MEASURES)]
        x, y = offsets[index // len(MEASURES)]
        label = f"{band.id}_{measure}" if average else f"{band.id}_{measure}_{x}_{y}"

        def read(grid: Grid) -> Pixels:
            values, mask = compute(grid)
            return Pixels(values[index].reshape(grid.shape), mask)

        return replace(band, id=label, type=DOUBLE, read=read)

    return [reader(i) for i in range(len(MEASURES) * (1 if average else len(offsets)))]


def _pairs(places: Array, x: int, y: int) -> tuple[Array, Array]:
    """Return the indices of a window's pixels with a neighbour at (x, y), and of the neighbours."""
    n = len(places)
    rows = slice(max(0, -y), n - max(0, y))
    cols = slice(max(0, -x), n - max(0, x))
    others = slice(rows.start + y, rows.stop + y), slice(cols.start + x, cols.stop + x)
    return places[rows, cols].ravel(), places[others].ravel()

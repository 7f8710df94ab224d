"""``Image.reduceResolution``: pixels made of all finer ones under them."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from affine import Affine
from numpy.typing import NDArray

from eedask.emulator.errors import EarthEngineError, NotSupported
from eedask.emulator.functions.registry import algorithm
from eedask.emulator.pixel_types import DOUBLE, cast
from eedask.emulator.projection import EDGE, same_crs, window_grid
from eedask.emulator.raster import Band, Grid, Image, Pixels, compose
from eedask.emulator.reduce import Reducer, Run


@algorithm("Image.reduceResolution")
def reduce_resolution(
    image: Image, reducer: Reducer, best_effort: bool = False, max_pixels: int = 64
) -> Image:
    """Return an image whose coarser pixels reduce the finer ones under them, by shared area.

    The finer pixels are those of the image's default projection; asked for at their own scale
    or finer, the image is as it was. Grids in another crs are not supported.
    https://developers.google.com/earth-engine/apidocs/ee-image-reduceresolution
    """
    if reducer.inputs != 1 or len(reducer.outputs) != 1:
        raise NotSupported("Image.reduceResolution with reducers of several inputs or outputs")
    bands = [_aggregated(band, reducer, best_effort, max_pixels) for band in image.bands]
    return image.with_bands(tuple(bands))


def _aggregated(band: Band, reducer: Reducer, best_effort: bool, most: int) -> Band:
    kind = DOUBLE if band.type.precision != "float" else band.type

    def read(grid: Grid) -> Pixels:
        if not same_crs(grid.crs, band.projection.crs):
            raise NotSupported("Image.reduceResolution seen from another crs")
        mapping = compose(~band.projection.transform, grid.transform)
        if mapping.b or mapping.d:
            raise NotSupported("Image.reduceResolution on rotated grids")
        if max(abs(mapping.a), abs(mapping.e)) <= 1 + EDGE:
            pixels = band.read(grid)
            return Pixels(cast(pixels.values, kind.dtype), pixels.mask)
        return _reduced(band, reducer, grid, mapping, None if best_effort else most)

    return replace(band, type=kind, read=read)


def _reduced(band: Band, reducer: Reducer, grid: Grid, mapping: Affine, most: int | None) -> Pixels:
    cols, col_shares = _shares(grid.width, mapping.a, mapping.c)
    rows, row_shares = _shares(grid.height, mapping.e, mapping.f)
    if most is not None and cols.shape[1] * rows.shape[1] > max(most, 4):
        count = math.ceil(abs(mapping.a)) * math.ceil(abs(mapping.e))
        if count > most:
            raise EarthEngineError(
                "Image.reduceResolution: Too many input pixels per output pixel. "
                f"Found {count}, but maxPixels allows only {most}."
            )
    left, top = int(cols.min()), int(rows.min())
    width, height = int(cols.max()) - left + 1, int(rows.max()) - top + 1
    block = band.read(window_grid(band.projection, left, top, width, height))
    run = Run(reducer)
    for i in range(rows.shape[1]):
        for j in range(cols.shape[1]):
            at = np.ix_(rows[:, i] - top, cols[:, j] - left)
            weights = np.outer(row_shares[:, i], col_shares[:, j]) * block.mask[at]
            run.add([block.values[at].reshape(1, -1)], weights.reshape(1, -1))
    (output,) = run.outputs()
    if output.values.dtype == object:
        raise NotSupported("Image.reduceResolution with a reducer that gives no numbers")
    kind = DOUBLE if band.type.precision != "float" else band.type
    values = output.values.reshape(grid.shape)
    return Pixels(cast(values, kind.dtype), output.valid.reshape(grid.shape).astype(np.float32))


def _shares(size: int, step: float, start: float) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return the finer pixels along one axis under each coarser one, and how much of them is.

    Both of shape (size, n); a share of 0 fills up.
    """
    ends = np.stack([np.arange(size) * step + start, np.arange(1, size + 1) * step + start])
    low, high = ends.min(axis=0), ends.max(axis=0)
    first = np.floor(low + EDGE).astype(np.int64)
    n = int((np.ceil(high - EDGE).astype(np.int64) - first).max())
    pixel = first[:, None] + np.arange(n)
    share = np.minimum(high[:, None], pixel + 1) - np.maximum(low[:, None], pixel)
    return pixel, np.where(share > EDGE, share, 0.0)

"""``Image.reduceResolution``: coarse pixels computed from all finer pixels under them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
from affine import Affine
from numpy.typing import NDArray

from eedask.emulator.composites.reduction_bands import reduced_bands
from eedask.emulator.errors import EarthEngineError
from eedask.emulator.functions.registry import Keeps, algorithm
from eedask.emulator.pixels.projection import EDGE, locate, pixel_ratio, same_crs, window_grid
from eedask.emulator.pixels.raster import Band, Grid, Image, Pixels, Projection, compose
from eedask.emulator.reducers.accumulators import Output
from eedask.emulator.reducers.banded import input_groups, output_names
from eedask.emulator.reducers.reduce import Reducer, Run
from eedask.emulator.regions.coverage import covered_by

_NAME = "Image.reduceResolution"
_BLOCK = 2**21
_MOST_READ = 2**26
_MOST_COMBINED = 2**20

# Corners of n output pixels in input pixels, shape (n, 4, 2), and their flat indices, shape (n,).
_Quads = tuple[NDArray[np.float64], NDArray[np.intp]]


@algorithm("Image.reduceResolution", keeps=Keeps.FIRST)
def reduce_resolution(
    image: Image, reducer: Reducer, best_effort: bool = False, max_pixels: int = 64
) -> Image:
    """Return an image that, read at a coarser scale, reduces all input pixels under each pixel.

    The input pixels are those of the image's default projection. The weight of one is its mask
    times the share of the output pixel that it covers. Read at that scale or finer, the bands
    are unchanged if the reducer has one input and one output. If there are more than
    ``max_pixels`` input pixels under an output pixel, that is an error, or with ``best_effort``
    a coarser level of the input's pyramid is used.
    https://developers.google.com/earth-engine/apidocs/ee-image-reduceresolution
    """
    if max_pixels < 1:
        raise EarthEngineError(f"{_NAME}: maxPixels must be at least 1.")
    most = max_pixels if not best_effort else -max_pixels
    groups: list[list[Band]] = input_groups(image.bands, reducer, _NAME)
    names = output_names(image.band_names, reducer, "band")
    made: list[Band] = []
    for group, labels in zip(groups, names, strict=True):
        made += _aggregated(group, reducer, labels, most)
    return image.with_bands(tuple(made))


def _aggregated(
    bands: Sequence[Band], reducer: Reducer, names: Sequence[str], most: int
) -> list[Band]:
    def compute(grid: Grid) -> list[Output]:
        return _reduced(bands, reducer, grid, most)

    kinds = [band.type for band in bands]
    found = reduced_bands(reducer, compute, kinds, names, bands[0], _NAME)
    if len(bands) > 1 or len(found) > 1 or found[0].type.dimensions:
        return found
    coarse, fine = found[0], bands[0]

    def read(grid: Grid) -> Pixels:
        if max(_sides(grid, fine.projection)) > 1 + EDGE:
            return coarse.read(grid)
        pixels = fine.read(grid)
        return Pixels(pixels.values.astype(coarse.type.dtype, copy=False), pixels.mask)

    return [replace(coarse, read=read)]


def _sides(grid: Grid, projection: Projection) -> tuple[float, float]:
    """Return the width and height of a grid's pixel, in pixels of a projection."""
    if not same_crs(grid.crs, projection.crs):
        ratio = pixel_ratio(grid, projection)
        return ratio, ratio
    t = compose(~projection.transform, grid.transform)
    return abs(t.a) + abs(t.b), abs(t.d) + abs(t.e)


def _pixels(sides: tuple[float, float]) -> int:
    return math.ceil(sides[0] - EDGE) * math.ceil(sides[1] - EDGE)


def _reduced(bands: Sequence[Band], reducer: Reducer, grid: Grid, most: int) -> list[Output]:
    projection = _input_projection(bands[0].projection, grid, most)
    size = grid.width * grid.height
    parts: list[tuple[NDArray[np.intp], list[Output]]] = []
    for quads, at in _quads(grid, projection):
        corner, fractions = covered_by(quads)
        height, width = fractions.shape[1:]
        (left, top) = corner.min(axis=0)
        (right, bottom) = np.add(corner.max(axis=0), (width, height))
        if (right - left) * (bottom - top) > _MOST_READ:
            raise EarthEngineError(f"{_NAME}: The output pixels lie too far apart.")
        window = window_grid(projection, int(left), int(top), int(right - left), int(bottom - top))
        pixels = [band.read(window) for band in bands]
        rows = (corner[:, 1] - top)[:, None, None] + np.arange(height)[:, None]
        cols = (corner[:, 0] - left)[:, None, None] + np.arange(width)
        area = fractions.sum(axis=(1, 2))[:, None, None]
        mask = np.minimum.reduce([p.mask for p in pixels])[rows, cols]
        weights = fractions / np.where(area > 0, area, 1) * mask
        run = Run(reducer)
        columns = [p.values[rows, cols].reshape(len(quads), -1).T for p in pixels]
        run.add(columns, weights.reshape(len(quads), -1).T)
        parts.append((at, run.outputs()))
    count = len(reducer.outputs)
    return [_whole([(at, outputs[i]) for at, outputs in parts], size) for i in range(count)]


def _input_projection(projection: Projection, grid: Grid, most: int) -> Projection:
    """Return the projection whose pixels are reduced.

    ``most`` is maxPixels; a negative number stands for bestEffort, which takes a coarser level
    instead of raising an error.
    """
    sides = _sides(grid, projection)
    level = 0
    while _pixels((sides[0] / 2**level, sides[1] / 2**level)) > min(abs(most), _MOST_COMBINED):
        if most > 0:
            raise EarthEngineError(
                f"{_NAME}: Too many input pixels per output pixel. "
                f"Found {_pixels(sides)}, but maxPixels allows only {most}."
            )
        level += 1
    return Projection(projection.crs, compose(projection.transform, Affine.scale(2.0**level)))


def _quads(grid: Grid, projection: Projection) -> Iterator[_Quads]:
    """Yield the output pixels, some rows at a time, as quadrilaterals in input pixels."""
    width, height = (math.ceil(side) + 1 for side in _sides(grid, projection))
    rows = max(1, _BLOCK // (width * height * grid.width))
    for top in range(0, grid.height, rows):
        high = min(rows, grid.height - top)
        corners = replace(
            grid,
            transform=compose(grid.transform, Affine.translation(-0.5, top - 0.5)),
            width=grid.width + 1,
            height=high + 1,
        )
        located = locate(corners, projection)
        points = np.stack(np.broadcast_arrays(located.cols, located.rows), axis=2)
        around = (points[:-1, :-1], points[:-1, 1:], points[1:, 1:], points[1:, :-1])
        quads = np.stack(around, axis=2).reshape(-1, 4, 2)
        at = np.arange(top * grid.width, (top + high) * grid.width)
        known = np.isfinite(quads).all(axis=(1, 2))
        if known.any():
            yield quads[known], at[known]


def _whole(parts: Sequence[tuple[NDArray[np.intp], Output]], size: int) -> Output:
    """Return one output for all pixels from those of blocks of rows; null where no block has it."""
    valid = np.zeros(size, bool)
    if not parts:
        return Output(np.zeros(size), valid)
    values = np.zeros(size, np.result_type(*(output.values.dtype for _, output in parts)))
    for at, output in parts:
        values[at], valid[at] = output.values, output.valid
    return Output(values, valid)

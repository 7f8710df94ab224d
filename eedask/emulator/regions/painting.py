"""Features drawn as pixels of a grid (``paint``, ``reduceToImage``)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from eedask.emulator.geometry.geometry import Geometry
from eedask.emulator.pixels.projection import degrees_bounds, grid_covering
from eedask.emulator.pixels.raster import Grid
from eedask.emulator.reducers.reduce import Reducer, Run
from eedask.emulator.regions.coverage import Cover
from eedask.emulator.regions.shapes import shape_in
from eedask.emulator.values.value_types import Collection, Feature, Query


def drawn(
    collection: Collection, grid: Grid, width: float | str | None = None
) -> Iterator[tuple[Feature, NDArray[np.intp]]]:
    """Yield each feature that covers pixels of a grid, with the flat indices of these pixels.

    A pixel is covered if its centre is in the shape.

    Parameters
    ----------
    collection : Collection
    grid : Grid
    width : float or str, optional
        Draw outlines of this width, in pixels, instead of filling; a string names the property
        that holds the width, and features without it are left out.
    """
    for feature in collection.elements(Query(bounds=degrees_bounds(grid))):
        if isinstance(feature, Feature) and feature.geometry is not None:
            wide = feature.properties.get(width) if isinstance(width, str) else width
            if isinstance(width, str) and not isinstance(wide, int | float):
                continue
            pixels = _pixels(feature.geometry, grid, wide)
            if pixels.size:
                yield feature, pixels


def _pixels(geometry: Geometry, grid: Grid, width: float | None) -> NDArray[np.intp]:
    pixel = math.sqrt(abs(grid.transform.determinant))
    shape = shape_in(geometry, grid.crs, pixel)
    if width is not None:
        shape = shape.boundary if shapely.get_dimensions(shape) == 2 else shape
        if width > 1:
            shape = shape.buffer(width * pixel / 2)
    if shape.is_empty or not shapely.intersects(shapely.box(*shape.bounds), _frame(grid)):
        return np.zeros(0, np.intp)
    _, col, row, size = _window(shape, grid)
    if size[0] <= 0 or size[1] <= 0:
        return np.zeros(0, np.intp)
    rows, cols = np.nonzero(Cover(shape, grid.projection).centres(col, row, *size))
    return (rows + row) * grid.width + cols + col


def _frame(grid: Grid) -> shapely.Polygon:
    return shapely.box(*grid.bounds)


def _window(shape: Any, grid: Grid) -> tuple[Grid, int, int, tuple[int, int]]:
    """Return the column, row and (width, height) of the part of a grid that a shape's bounds touch.

    The first item is the grid that covers the whole bounds, inside the given grid or not.
    """
    inside, col, row = grid_covering(grid.projection, shape.bounds)
    right, bottom = min(col + inside.width, grid.width), min(row + inside.height, grid.height)
    col, row = max(col, 0), max(row, 0)
    return inside, col, row, (right - col, bottom - row)


def reduced(
    collection: Collection, properties: Sequence[str], reducer: Reducer, grid: Grid
) -> list[tuple[NDArray[Any], NDArray[np.bool_]]]:
    """Reduce, at each pixel, the properties of the features that cover it.

    Parameters
    ----------
    collection : Collection
    properties : sequence of str
        One for each input of the reducer. Features without a number in each are left out.
    reducer : Reducer
    grid : Grid

    Returns
    -------
    list of (values, valid)
        For each output of the reducer, two arrays of shape (height, width); ``valid`` is False
        where no feature covers the pixel.
    """
    pixels: list[NDArray[np.intp]] = []
    owners: list[NDArray[np.intp]] = []
    rows: list[list[float]] = []
    for feature, at in drawn(collection, grid):
        row: list[Any] = [feature.properties.get(name) for name in properties]
        if all(isinstance(v, int | float) for v in row):
            pixels.append(at)
            owners.append(np.full(len(at), len(rows)))
            rows.append([float(v) for v in row])
    if not rows:
        nothing = np.zeros(grid.shape)
        return [(nothing, np.zeros(grid.shape, bool)) for _ in reducer.outputs]
    pixel, owner = np.concatenate(pixels), np.concatenate(owners)
    table = np.array(rows)
    run = Run(reducer)
    size = grid.width * grid.height
    for layer_pixels, layer_owners in _layers(pixel, owner):
        weights = np.zeros((1, size))
        weights[0, layer_pixels] = 1
        columns = []
        for k in range(len(properties)):
            column = np.zeros((1, size))
            column[0, layer_pixels] = table[layer_owners, k]
            columns.append(column)
        run.add(columns, weights)
    return [(o.values.reshape(grid.shape), o.valid.reshape(grid.shape)) for o in run.outputs()]


def _layers(
    pixel: NDArray[np.intp], owner: NDArray[np.intp]
) -> Iterator[tuple[NDArray[np.intp], NDArray[np.intp]]]:
    """Yield the pairs of pixel and owner in layers in which each pixel occurs at most once.

    The first layer has the first owner of every pixel, the next one its second, and so on.
    """
    order = np.argsort(pixel, kind="stable")
    pixel, owner = pixel[order], owner[order]
    starts = np.flatnonzero(np.r_[True, pixel[1:] != pixel[:-1]])
    lengths = np.diff(np.r_[starts, len(pixel)])
    rank = np.arange(len(pixel)) - np.repeat(starts, lengths)
    for layer in range(int(rank.max()) + 1):
        here = rank == layer
        yield pixel[here], owner[here]

"""Geometry.coveringGrid."""

from __future__ import annotations

import math
from itertools import product
from typing import Any

import numpy as np
import shapely

from eedask.emulator.errors import EarthEngineError
from eedask.emulator.functions.registry import algorithm
from eedask.emulator.geometry.geometry import Geometry, placed, rectangle
from eedask.emulator.pixels.projection import at_scale
from eedask.emulator.pixels.raster import Projection
from eedask.emulator.values.value_types import Feature, collection_of

_MOST_CELLS = 1_000_000


@algorithm("Geometry.coveringGrid")
def covering_grid(geometry: Geometry, projection: Projection, scale: float | None) -> Any:
    """Return a feature for each cell of a projection's pixel grid that meets a geometry.

    Cells come row by row; a cell's id is made of its column and row. ``scale`` is the side of a
    cell in metres at the projection's origin; without it cells are the projection's pixels.
    """
    grid = projection if scale is None else at_scale(projection, scale)
    shape = geometry.coordinates_in(projection.crs)
    west, south, east, north = shape.bounds
    corners = placed(
        ~grid.transform, np.array([west, east] * 2), np.array([south, south, north, north])
    )
    (c0, c1), (r0, r1) = ((math.floor(v.min()), math.ceil(v.max())) for v in corners)
    if (c1 - c0) * (r1 - r0) > _MOST_CELLS:
        raise EarthEngineError("Geometry.coveringGrid: Too many cells.")
    shapely.prepare(shape)
    cells = []
    for row, col in product(range(r0, r1), range(c0, c1)):
        xs, ys = placed(grid.transform, np.array([col, col + 1]), np.array([row, row + 1]))
        cell = rectangle((xs.min(), ys.min(), xs.max(), ys.max()), projection.crs)
        if shape.intersects(cell.shape):
            index = f"{col},{row}"
            cells.append(Feature(cell, {"system:index": index}, id=index))
    return collection_of("FeatureCollection", cells)

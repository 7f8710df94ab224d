"""Bands whose pixels are the outputs of a reducer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import lru_cache, partial

import numpy as np

from eedask.emulator.errors import EarthEngineError
from eedask.emulator.pixels.array_values import packed
from eedask.emulator.pixels.pixel_types import BOOLEAN, DOUBLE, cast, floating, of_rank, union
from eedask.emulator.pixels.raster import Band, Grid, Pixels, PixelType
from eedask.emulator.reducers.accumulators import Output
from eedask.emulator.reducers.reduce import AS_INPUT, Reducer

# Outputs that keep the type of the inputs, and outputs that have a type of their own. All others
# are floats. (Earth Engine does not document output types.)
_AS_INPUT = {"min", "max", "first", "last", "mode"}
_TYPES = {"count": PixelType("int", 0, 2**31 - 1), "all": BOOLEAN, "any": BOOLEAN}


def output_type(output: str, inputs: Sequence[PixelType]) -> PixelType:
    """Return the pixel type of a reducer's output, from its name and the types of the inputs."""
    if output in _AS_INPUT:
        return union(inputs)
    if output in ("mean", "median", "stdDev", "variance"):
        return floating(*inputs) if all(k.precision != "int" for k in inputs) else DOUBLE
    return _TYPES.get(output, DOUBLE)


def reduced_bands(
    reducer: Reducer,
    compute: Callable[[Grid], Sequence[Output]],
    kinds: Sequence[PixelType],
    names: Sequence[str],
    template: Band,
    algorithm: str,
) -> list[Band]:
    """Return one band for each output of a reducer.

    Parameters
    ----------
    reducer : Reducer
    compute : callable
        ``compute(grid)`` returns the reducer's outputs, each with one value per pixel of the grid
        along its rows, or with a single value for all pixels.
    kinds : sequence of PixelType
        The types of the inputs.
    names : sequence of str
        The band name of each output.
    template : Band
        The bands have everything from this one except name, type and pixels.
    algorithm : str
        The name of the Earth Engine algorithm, for error messages.
    """
    # One computation serves all bands, which are read on the same grid one after another.
    outputs = lru_cache(maxsize=1)(compute)

    def read(index: int, kind: PixelType, grid: Grid) -> Pixels:
        output = outputs(grid)[index]
        if kind.dimensions:
            cells = [v if ok else None for v, ok in zip(output.values, output.valid, strict=True)]
            count = grid.width * grid.height
            cells = cells * count if len(cells) == 1 else cells
            values = packed(cells, grid.shape, kind.dtype, kind.dimensions)
            mask = np.array([cell is not None for cell in cells], np.float32)
            return Pixels(values, mask.reshape(grid.shape))
        if output.values.dtype == object:
            raise EarthEngineError(f"{algorithm}: The reducer's outputs must be numbers.")
        # A collection without images gives a single value for all pixels.
        values = np.broadcast_to(output.values, grid.width * grid.height).reshape(grid.shape)
        valid = np.broadcast_to(output.valid, grid.width * grid.height).reshape(grid.shape)
        return Pixels(cast(values, kind.dtype), valid.astype(np.float32))

    made = []
    deepest = max((kind.dimensions for kind in kinds), default=0)
    rows = zip(names, reducer.outputs, reducer.ranks, strict=True)
    for i, (name, output, rank) in enumerate(rows):
        kind = output_type(output, kinds)
        if rank:
            kind = of_rank(kind, rank if rank > 0 else deepest + AS_INPUT - rank)
        made.append(replace(template, id=name, type=kind, read=partial(read, i, kind)))
    return made

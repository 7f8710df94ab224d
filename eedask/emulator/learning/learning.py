"""What learns from features and answers for pixels: tables of training data, bands of answers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import reduce
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eedask.emulator.errors import EarthEngineError
from eedask.emulator.pixels.bands import both
from eedask.emulator.pixels.raster import Band, Grid, Image, Pixels, PixelType
from eedask.emulator.values.elements import index_of, property_of
from eedask.emulator.values.values import Collection

Floats = NDArray[np.float64]


def training_table(
    features: Collection,
    names: Sequence[str] | None,
    last: str | None,
    subsampling: tuple[float, int],
) -> tuple[list[str], Floats]:
    """Return the names of variables, and their values, a row a feature.

    Parameters
    ----------
    features : Collection
    names : sequence of str, optional
        None: the numeric properties of the first feature.
    last : str, optional
        A property for one more column, the last.
    subsampling : (float, int)
        Which share of the rows is kept, and the seed that chooses them.

    Raises
    ------
    EarthEngineError
        400: a property is missing or no number, or there are no data.
    """
    share, seed = subsampling
    if not 0 < share <= 1:
        raise EarthEngineError("The subsampling must be within (0, 1].")
    elements = list(features.elements())
    if names is None:
        first = elements[0].properties if elements else {}
        names = [n for n, v in first.items() if _is_number(v) and n != last]
    columns = [*names] if last is None else [*names, last]
    table = np.array([[number_of(e, n) for n in columns] for e in elements], np.float64)
    if share < 1:
        table = table[np.random.default_rng(seed % 2**64).random(len(table)) < share]
    if not len(table) or not names:
        raise EarthEngineError("No valid training data were found.")
    return list(names), table


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def number_of(element: Any, name: str) -> float:
    """Return a property as a number; 400 if it is missing or none."""
    value = property_of(element, name)
    if value is None:
        raise EarthEngineError(f"Property '{name}' of feature '{index_of(element)}' is missing.")
    if not isinstance(value, bool | int | float) or not np.isfinite(float(value)):
        raise EarthEngineError(
            f"Property '{name}' of feature '{index_of(element)}' is not a number."
        )
    return float(value)


def answered_image(
    image: Image,
    names: Sequence[str],
    answer: Callable[[Floats], NDArray[Any]],
    kind: PixelType,
    name: str,
) -> Image:
    """Return a band of answers to the values of an image's bands, masked where any of them is.

    Parameters
    ----------
    names : sequence of str
        Of the bands, in the order of the variables.
    answer : callable
        ``answer(rows)``, shape (rows, variables), gives a number or an array a row.
    kind : PixelType
        Of the answers.
    name : str
        Of the band.
    """
    by_name = {band.id: band for band in image.bands}
    missing = [n for n in names if n not in by_name]
    if missing:
        raise EarthEngineError(
            f"Image.select: Band pattern '{missing[0]}' did not match any bands. "
            f"Available bands: [{', '.join(image.band_names)}]"
        )
    bands = [by_name[n] for n in names]

    def read(grid: Grid) -> Pixels:
        pixels = [band.read(grid) for band in bands]
        mask = reduce(both, (p.mask for p in pixels))
        seen = mask > 0
        rows = np.column_stack([np.broadcast_to(p.values, grid.shape)[seen] for p in pixels])
        found = answer(rows.astype(np.float64))
        values: NDArray[Any] = np.zeros((*grid.shape, *found.shape[1:]), kind.dtype)
        values[seen] = found
        return Pixels(values, mask)

    base: Band = replace(bands[0], id=name, type=kind, read=read)
    return image.with_bands((base,))

"""From features to training data, and from a model's predictions to a band."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import reduce
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eedask.emulator.errors import EarthEngineError
from eedask.emulator.pixels.bands import both, no_such_band
from eedask.emulator.pixels.raster import Band, Grid, Image, Pixels, PixelType
from eedask.emulator.values.elements import index_of, property_of
from eedask.emulator.values.value_types import Collection

Floats = NDArray[np.float64]


def training_table(
    features: Collection,
    names: Sequence[str] | None,
    last: str | None,
    subsampling: tuple[float, int],
) -> tuple[list[str], Floats]:
    """Return the names of the variables, and a table with one row for each feature.

    Parameters
    ----------
    features : Collection
    names : sequence of str, optional
        The properties that are the variables; by default the numeric ones of the first feature.
    last : str, optional
        A property, such as the class, that makes one more column, the last.
    subsampling : (float, int)
        The share of the rows that is kept, over 0 to 1, and the seed of drawing them.

    Returns
    -------
    names : list of str
    table : ndarray of float64, shape (rows, variables) or (rows, variables + 1)

    Raises
    ------
    EarthEngineError
        A property is missing or no finite number, or there are no data.
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
    """Return a property as a number; raises EarthEngineError if it is missing or not a number."""
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
    """Return an image whose one band holds a model's predictions from other bands' values.

    It is masked where any of these bands is.

    Parameters
    ----------
    image : Image
    names : sequence of str
        The bands, in the order of the model's variables.
    answer : callable
        ``answer(inputs)`` takes float64, shape (rows, variables), and returns the predictions,
        shape (rows,), or (rows, n) for pixels that are arrays.
    kind : PixelType
        The type of the new band.
    name : str
        The name of the new band.

    Raises
    ------
    EarthEngineError
        The image lacks one of the bands.
    """
    by_name = {band.id: band for band in image.bands}
    missing = [n for n in names if n not in by_name]
    if missing:
        raise no_such_band(missing[0], image)
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

"""A table as it is made, and the grid that the vertices of all of them lie on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.geometry.base import BaseGeometry

QUANTUM = 2.0**-15
"""Degrees between coordinates, 3.4 m. A power of two, so that few bytes of a double vary."""


class Made(NamedTuple):
    """The rows of a table and their shapes, in degrees."""

    rows: list[dict[str, Any]]
    shapes: list[BaseGeometry]


def snapped(shapes: Sequence[BaseGeometry]) -> list[BaseGeometry]:
    """Return shapes with all vertices on the grid.

    Every vertex is rounded by itself, so neighbours that share vertices go on sharing them.

    Raises
    ------
    ValueError
        If rounding makes a shape invalid: a ring folds into a line, or crosses itself.
    """
    rounded = shapely.transform(np.array(shapes, dtype=object), _round)
    tidy = shapely.remove_repeated_points(rounded, 0)
    if not shapely.is_valid(tidy).all():
        raise ValueError(f"{(~shapely.is_valid(tidy)).sum()} shapes are invalid on the grid.")
    return list(tidy)


def _round(xy: NDArray[np.float64]) -> NDArray[np.float64]:
    nearest: NDArray[np.float64] = np.round(xy / QUANTUM) * QUANTUM
    return nearest

"""The rows of a table that is made, and the grid to which all vertices are snapped."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.geometry.base import BaseGeometry

QUANTUM = 2.0**-15
"""Spacing in degrees (3.4 m). It is a power of two, so that few bytes of a double vary."""


class Made(NamedTuple):
    """The rows of a table and their shapes, in degrees."""

    rows: list[dict[str, Any]]
    shapes: list[BaseGeometry]


def snapped(shapes: Sequence[BaseGeometry]) -> list[BaseGeometry]:
    """Return shapes with all vertices snapped to the grid.

    A vertex is snapped independently of others, so that neighbours still share vertices.

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

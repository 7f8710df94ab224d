"""Compares values as Earth Engine does: equality, order and sorting."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from eedask.emulator.geometry.geometry import Geometry
from eedask.emulator.values.value_types import Date


def equal(a: Any, b: Any) -> bool:
    """Return whether two values are equal.

    Numbers are equal by value, whether integers or floats; a boolean equals no number. Other
    values must have the same type and content.
    """
    if isinstance(a, bool) != isinstance(b, bool):
        return False
    if isinstance(a, np.ndarray) or isinstance(b, np.ndarray):
        return bool(np.array_equal(np.asarray(a), np.asarray(b)))
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(equal, a, b))
    if isinstance(a, Mapping) and isinstance(b, Mapping):
        return a.keys() == b.keys() and all(equal(v, b[k]) for k, v in a.items())
    if isinstance(a, Geometry) and isinstance(b, Geometry):
        return a.crs == b.crs and a.geodesic == b.geodesic and bool(a.shape == b.shape)
    if isinstance(a, Date) or isinstance(b, Date):
        return millis(a) == millis(b) is not None
    return bool(a == b)


def millis(value: Any) -> Any:
    """Return the milliseconds of a date; any other value unchanged."""
    return value.millis if isinstance(value, Date) else value


def sort_key(value: Any) -> tuple[int, Any]:
    """Return a sort key for values of any type: numbers first, then strings, others, and null."""
    value = millis(value)
    if value is None:
        return (5, 0)
    if isinstance(value, int | float):
        return (0, value)
    if isinstance(value, str):
        return (1, value)
    if isinstance(value, list):
        return (2, [sort_key(v) for v in value])
    return (3, str(value))


def less(a: Any, b: Any) -> bool | None:
    """Return whether one value is less than another, or None where they cannot be compared."""
    a, b = millis(a), millis(b)
    if isinstance(a, int | float) and isinstance(b, int | float):
        return a < b
    if isinstance(a, str) and isinstance(b, str):
        return a < b
    return None

"""Checks of plain arguments: counts, positive numbers, metres."""

from __future__ import annotations

import math
from numbers import Integral, Real
from typing import Any

from eedask.errors import InputError


def check_scale(scale: Any) -> None:
    """Raise InputError unless ``scale`` is a positive number (metres a pixel), or None."""
    if scale is not None and not is_positive(scale):
        raise InputError(f"scale is a positive number of metres; got {scale!r}")


def is_count(value: Any) -> bool:
    """Return whether a value is a whole number from 1, of NumPy's types as well."""
    return isinstance(value, Integral) and not isinstance(value, bool) and int(value) >= 1


def is_positive(value: Any) -> bool:
    """Return whether a value is a positive number that is not infinite."""
    return isinstance(value, Real) and not isinstance(value, bool) and 0 < float(value) < math.inf

"""Checks of plain arguments: counts, positive numbers, metres, seeds."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from numbers import Integral, Real
from typing import Any

from eedask.errors import InputError


def check_scale(scale: Any) -> None:
    """Raise InputError unless ``scale`` is a positive number (metres a pixel), or None."""
    if scale is not None and not is_positive(scale):
        raise InputError(f"scale is a positive number of metres; got {scale!r}")


def checked_seed(seed: Any) -> int:
    """Return a seed for random numbers as an int; raise InputError unless it is 0 or more."""
    if not isinstance(seed, Integral) or isinstance(seed, bool) or int(seed) < 0:
        raise InputError(f"seed is a whole number, 0 or more; got {seed!r}")
    return int(seed)


def is_count(value: Any) -> bool:
    """Return whether a value is a whole number of 1 or more, of Python's or NumPy's types."""
    return isinstance(value, Integral) and not isinstance(value, bool) and int(value) >= 1


def is_names(value: Any) -> bool:
    """Return whether a value is a list of names, which can be gone through more than once."""
    listed = isinstance(value, Iterable) and not isinstance(value, str | Mapping | Iterator)
    return listed and all(isinstance(name, str) for name in value)


def is_positive(value: Any) -> bool:
    """Return whether a value is a finite number above 0, of Python's or NumPy's types."""
    return isinstance(value, Real) and not isinstance(value, bool) and 0 < float(value) < math.inf

"""Checks of plain arguments: counts, positive numbers, metres, seeds, words, lists, flags."""

from __future__ import annotations

import math
from collections.abc import Container, Iterable, Iterator, Mapping, Set
from numbers import Integral, Real
from typing import Any

import numpy as np

from eedask.errors import InputError

# Counts go into arrays and files, whose numbers have 64 bits.
_MOST = 2**63 - 1


def check_flags(**flags: Any) -> None:
    """Raise InputError unless each is True or False: a text such as "no" would count as true."""
    for name, value in flags.items():
        if not is_flag(value):
            raise InputError(f"{name} is True or False; got {value!r}")


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
    whole = isinstance(value, Integral) and not isinstance(value, bool)
    return whole and 1 <= int(value) <= _MOST


def is_flag(value: Any) -> bool:
    """Return whether a value is True or False, of Python's or NumPy's type."""
    return isinstance(value, bool | np.bool_)


def is_list(value: Any) -> bool:
    """Return whether a value is a list, or another series of values that has an order.

    It can be gone through more than once. Texts, frames, and sets and mappings are none.
    """
    listed = isinstance(value, Iterable) and not isinstance(
        value, str | bytes | Set | Mapping | Iterator
    )
    return listed and getattr(value, "ndim", 1) == 1


def is_names(value: Any) -> bool:
    """Return whether a value is a list of names; see :func:`is_list`."""
    return is_list(value) and all(isinstance(name, str) for name in value)


def is_number(value: Any) -> bool:
    """Return whether a value is a finite number, of Python's or NumPy's types."""
    if not isinstance(value, Real) or isinstance(value, bool):
        return False
    try:
        return math.isfinite(float(value))
    except OverflowError:  # a whole number that no float can hold
        return False


def is_one_of(value: Any, words: Container[str | None]) -> bool:
    """Return whether a value is one of some words, or None if that is one of them.

    It takes any value, where ``in`` alone fails for frames and arrays.
    """
    return (value is None or isinstance(value, str)) and value in words


def is_positive(value: Any) -> bool:
    """Return whether a value is a finite number above 0, of Python's or NumPy's types."""
    return is_number(value) and float(value) > 0

"""Decides whether a condition that is not a boolean is true."""

from __future__ import annotations

import math
from typing import Any

import numpy as np


def is_true(value: Any) -> bool:
    """Return whether Earth Engine takes a value for true as a condition.

    Null, 0, NaN, and empty strings, lists, dictionaries and arrays are false; all else is true.
    https://developers.google.com/earth-engine/apidocs/ee-algorithms-if
    """
    if value is None:
        return False
    if isinstance(value, bool | int | float):
        return not (value == 0 or (isinstance(value, float) and math.isnan(value)))
    if isinstance(value, str | list | dict):
        return len(value) > 0
    if isinstance(value, np.ndarray):
        return value.size > 0
    return True

"""What Earth Engine calls the type of a value, in its error messages and in ObjectType."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from eedask.emulator.geometry import Geometry
from eedask.emulator.values import Collection


def type_name(value: Any) -> str:
    """Return Earth Engine's name of a value's type."""
    if value is None:
        return "Null"
    for types, name in _NAMES:
        if isinstance(value, types):
            return name
    if isinstance(value, Geometry):
        return value.type
    if isinstance(value, Collection):
        return value.kind
    return "Algorithm" if callable(value) else type(value).__name__


_NAMES: list[tuple[Any, str]] = [
    (bool, "Boolean"),
    (int, "Integer"),
    (float, "Float"),
    (str, "String"),
    (list | tuple, "List"),
    (Mapping, "Dictionary"),
    (np.ndarray, "Array"),
]

"""Earth Engine's names of the types of values, as in error messages and ``ObjectType``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from eedask.emulator.geometry.geometry import Geometry
from eedask.emulator.values.value_types import Collection


def type_name(value: Any) -> str:
    """Return Earth Engine's name of the type of a value."""
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


_PARENTS = {
    "Integer": "Number",
    "Float": "Number",
    "Image": "Element",
    "Feature": "Element",
    "FeatureCollection": "Collection",
    "ImageCollection": "Collection",
}


def is_of_type(value: Any, name: str) -> bool:
    """Return whether a value has a type or a subtype of it; False for null."""
    if value is None:
        return False
    own = type_name(value)
    if isinstance(value, Geometry) and name == "Geometry":
        return True
    return name in (own, _PARENTS.get(own), "Object")


_NAMES: list[tuple[Any, str]] = [
    (bool, "Boolean"),
    (int, "Integer"),
    (float, "Float"),
    (str, "String"),
    (list | tuple, "List"),
    (Mapping, "Dictionary"),
    (np.ndarray, "Array"),
]

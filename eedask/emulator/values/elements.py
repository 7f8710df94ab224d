"""Properties of elements (features, images, collections), as filters and aggregations name them."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import islice
from typing import Any

from eedask.emulator.geometry.geometry import UNBOUNDED, Geometry
from eedask.emulator.pixels.late import changed
from eedask.emulator.pixels.raster import Image
from eedask.emulator.readings import reading
from eedask.emulator.values.value_types import Collection, Feature

INDEX = "system:index"
_OF_ASSETS = {"system:id": "id", "system:version": "version"}
GEOMETRY_SELECTORS = (".geo", ".all")
_BLOCK = 500  # elements that are mixed with each other


def geometry_of(element: Any) -> Geometry | None:
    """Return a feature's geometry or an image's footprint; unbounded for an image without one."""
    if isinstance(element, Image):
        return UNBOUNDED if element.footprint is None else element.footprint
    return element.geometry if isinstance(element, Feature) else None


def index_of(element: Any) -> str | None:
    """Return an element's id within its collection (``system:index``); None if it has none."""
    index = element.properties.get(INDEX)
    return element.id if index is None and isinstance(element, Feature) else index


def property_of(element: Any, name: str) -> Any:
    """Return the value of an element's property; None if it has none of that name.

    ``.geo`` and ``.all`` are the geometry and ``system:index`` is the id. Images and collections
    that are assets also have ``system:id`` and ``system:version``.
    """
    if name in element.properties:
        return element.properties[name]
    if name in _OF_ASSETS and not isinstance(element, Feature):
        return getattr(element, _OF_ASSETS[name])
    if name in GEOMETRY_SELECTORS:
        return geometry_of(element)
    return index_of(element) if name == INDEX else None


def names_of(element: Any) -> list[str]:
    """Return the names of an element's properties, with the ``system:`` ones that it has."""
    names = list(element.properties)
    more = [*_OF_ASSETS, INDEX]
    return names + [n for n in more if n not in names and property_of(element, n) is not None]


def with_properties(element: Any, properties: Mapping[str, Any]) -> Any:
    """Return a copy of an element with properties added or replaced; a value of None removes."""
    return replace(element, properties=changed(element.properties, properties))


def keeps_null() -> bool:
    """Return whether a property that was not found becomes a property that is null.

    That is so if the reading ``null_properties`` is "kept"; otherwise the element does not get it.
    """
    return reading("null_properties") == "kept"


def with_found(element: Any, properties: Mapping[str, Any]) -> Any:
    """Return a copy of an element with properties; those that are None are removed, or null.

    Which of the two it is depends on :func:`keeps_null`.
    """
    return replace(element, properties=changed(element.properties, properties, keeps_null()))


def with_copied(element: Any, properties: Mapping[str, Any]) -> Any:
    """Return a copy of an element with properties of another one.

    Those that are None stay as the element has them, or become null: see :func:`keeps_null`.
    """
    keep = keeps_null()
    there = {k: v for k, v in properties.items() if keep or v is not None}
    return replace(element, properties=changed(element.properties, there, keep))


def in_some_order(elements: Iterator[Any]) -> Iterator[Any]:
    """Yield elements in their order; in blocks, mixed, if the reading `feature_order` is "any"."""
    if reading("feature_order") == "as_sent":
        yield from elements
        return
    while block := list(islice(elements, _BLOCK)):
        random.Random(len(block)).shuffle(block)
        yield from block


def with_index(element: Any, index: str | None) -> Any:
    """Return a copy of an element with another id within its collection."""
    if isinstance(element, Feature):
        # Called for every element of a table; dataclasses.replace would take three times as long.
        return Feature(element.geometry, changed(element.properties, {INDEX: index}), index)
    return with_properties(element, {INDEX: index})


def ordinary(properties: Mapping[str, Any]) -> dict[str, Any]:
    """Return the properties whose names do not start with ``system:``."""
    return {k: v for k, v in properties.items() if not k.startswith("system:")}


def is_element(value: Any) -> bool:
    """Return whether a value can be an element of a collection."""
    return isinstance(value, Feature | Image | Collection)

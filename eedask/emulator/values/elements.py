"""Properties of elements, by the selectors that filters and aggregations use."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from eedask.emulator.geometry.geometry import UNBOUNDED, Geometry
from eedask.emulator.pixels.late import changed
from eedask.emulator.pixels.raster import Image
from eedask.emulator.values.values import Collection, Feature

INDEX = "system:index"
_OF_ASSETS = {"system:id": "id", "system:version": "version"}
GEOMETRY_SELECTORS = (".geo", ".all")


def geometry_of(element: Any) -> Geometry | None:
    """Return a feature's geometry or an image's footprint (an image without one covers all)."""
    if isinstance(element, Image):
        return UNBOUNDED if element.footprint is None else element.footprint
    return element.geometry if isinstance(element, Feature) else None


def index_of(element: Any) -> str | None:
    """Return an element's id within its collection."""
    index = element.properties.get(INDEX)
    return element.id if index is None and isinstance(element, Feature) else index


def property_of(element: Any, name: str) -> Any:
    """Return what a selector selects: a property, the index or (``.geo``) the geometry, or None.

    Images and collections that are assets have a ``system:id`` and a ``system:version``.
    """
    if name in element.properties:
        return element.properties[name]
    if name in _OF_ASSETS and not isinstance(element, Feature):
        return getattr(element, _OF_ASSETS[name])
    if name in GEOMETRY_SELECTORS:
        return geometry_of(element)
    return index_of(element) if name == INDEX else None


def names_of(element: Any) -> list[str]:
    """Return the names of an element's properties, with those that its being an asset gives."""
    names = list(element.properties)
    more = [*_OF_ASSETS, INDEX]
    return names + [n for n in more if n not in names and property_of(element, n) is not None]


def with_properties(element: Any, properties: Mapping[str, Any]) -> Any:
    """Return a copy of an element or collection with more properties; None removes one."""
    return replace(element, properties=changed(element.properties, properties))


def with_index(element: Any, index: str | None) -> Any:
    """Return an element as it stands in a collection, under an id."""
    if isinstance(element, Feature):
        # Every element of every table: replacing fields one by one takes three times as long.
        return Feature(element.geometry, changed(element.properties, {INDEX: index}), index)
    return with_properties(element, {INDEX: index})


def ordinary(properties: Mapping[str, Any]) -> dict[str, Any]:
    """Return the properties that are not the system's."""
    return {k: v for k, v in properties.items() if not k.startswith("system:")}


def is_element(value: Any) -> bool:
    """Whether a value can stand in a collection."""
    return isinstance(value, Feature | Image | Collection)

"""Element.*, Feature and Feature.select: features and images as sets of properties."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from eedask.emulator.errors import EarthEngineError
from eedask.emulator.functions.geometries.geometries import transform, with_geometry
from eedask.emulator.functions.registry import Keeps, algorithm
from eedask.emulator.functions.values.dictionaries import selected
from eedask.emulator.geometry.geometry import Geometry
from eedask.emulator.pixels.raster import Image, Projection
from eedask.emulator.values.elements import (
    INDEX,
    geometry_of,
    index_of,
    names_of,
    ordinary,
    property_of,
    with_copied,
    with_properties,
)
from eedask.emulator.values.typenames import type_name
from eedask.emulator.values.value_types import Collection, ErrorMargin, Feature, Query


@algorithm("Feature")
def feature(geometry: Geometry | None, metadata: Mapping[str, Any], _key: str | None) -> Feature:
    """Return a feature; null properties are left out."""
    return Feature(geometry, {k: v for k, v in metadata.items() if v is not None})


@algorithm("Feature.id")
def element_id(element: Any) -> str | None:
    """Return an element's id within its collection; of a loaded image, the asset id."""
    return index_of(element) or (element.id if isinstance(element, Image) else None)


@algorithm("Element.get")
def get(element: Any, name: str) -> Any:
    """Return a property's value, or None if the element does not have it."""
    return property_of(element, name)


def _typed(name: str, types: Any, what: str) -> None:
    def call(element: Any, key: str) -> Any:
        value = property_of(element, key)
        wrong = not isinstance(value, types) or (isinstance(value, bool) and what == "Number")
        if value is not None and wrong:
            raise EarthEngineError(f"{name}: Expected a {what}, got: {type_name(value)}.")
        return value

    algorithm(name)(call)


_typed("Element.getNumber", int | float, "Number")
_typed("Element.getString", str, "String")
_typed("Element.getArray", np.ndarray, "Array")


@algorithm("Element.set", keeps=Keeps.FIRST_BUT_ONE_PROPERTY)
def set_property(element: Any, key: str, value: Any) -> Any:
    """Return an element with a property set, or removed where the value is null."""
    return set_properties(element, {key: value})


@algorithm("Element.setMulti", keeps=Keeps.FIRST_BUT_PROPERTIES)
def set_properties(element: Any, properties: Mapping[str, Any]) -> Any:
    """Return an element with properties set; ``.geo`` sets a feature's geometry."""
    if isinstance(element, Feature) and isinstance(properties.get(".geo"), Geometry):
        element = replace(element, geometry=properties[".geo"])
        properties = {k: v for k, v in properties.items() if k != ".geo"}
    return with_properties(element, properties)


@algorithm("Element.propertyNames")
def property_names(element: Any) -> list[str]:
    """Return the names of the properties, with ``system:index`` and, of an asset, ``system:id``."""
    return names_of(element)


@algorithm("Element.toDictionary")
def to_dictionary(element: Any, names: list[str] | None) -> Mapping[str, Any]:
    """Return the named properties, or without ``names`` all but those called ``system:…``."""
    if names is None:
        return ordinary(element.properties)
    return {k: element.properties[k] for k in names if k in element.properties}


@algorithm("Element.copyProperties", keeps=Keeps.FIRST_BUT_COPIED)
def copy_properties(
    destination: Any, source: Any, names: list[str] | None, exclude: list[str] | None
) -> Any:
    """Return ``destination`` with properties of ``source``.

    Properties called ``system:…`` are copied only if they are named.
    """
    if destination is None or source is None:
        return destination
    if names is not None and exclude is not None:
        raise EarthEngineError(
            "Element.copyProperties: 'exclude' cannot be specified with 'properties'."
        )
    if names is not None:
        copied = {n: property_of(source, n) for n in names}
    else:
        left_out = exclude or []
        copied = {k: v for k, v in ordinary(source.properties).items() if k not in left_out}
    return with_copied(destination, copied)


@algorithm("Element.replaceProperties")
def replace_properties(destination: Any, source: Any) -> Any:
    """Return ``destination`` with the properties of ``source`` only; its ``system:index`` stays."""
    kept = {k: v for k, v in destination.properties.items() if k == INDEX}
    new = {} if source is None else {k: v for k, v in source.properties.items() if k != INDEX}
    return replace(destination, properties={**new, **kept})


@algorithm("Element.geometry", "Feature.geometry")
def geometry(
    element: Any, margin: ErrorMargin | None, projection: Projection | None, geodesic: bool | None
) -> Geometry | None:
    """Return an element's geometry, transformed to ``projection`` if one is given."""
    found = geometry_of(element)
    if found is None or projection is None:
        return found
    edges = found.geodesic if geodesic is None else geodesic
    return transform(found, projection, margin, edges)


@algorithm("Feature.setGeometry")
def set_geometry(element: Any, shape: Geometry | None) -> Any:
    """Return a feature with its geometry replaced."""
    return with_geometry(element, shape)


@algorithm("Feature.select")
def select(
    element: Any, selectors: list[str], names: list[str] | None, retain_geometry: bool
) -> Any:
    """Return a feature with the properties whose names match; selectors are regular expressions."""
    kept = selected(element.properties, selectors, False, "Feature.select")
    if names is not None and len(names) != len(kept):
        raise EarthEngineError(
            f"Feature.select: {len(kept)} properties are selected, but {len(names)} names given."
        )
    properties = {n: element.properties[k] for n, k in zip(names or kept, kept, strict=True)}
    if INDEX in element.properties:
        properties.setdefault(INDEX, element.properties[INDEX])
    result = replace(element, properties=properties)
    if not retain_geometry and isinstance(result, Feature):
        return replace(result, geometry=None)
    return result


@algorithm("Feature.toArray")
def to_array(element: Feature, names: list[str]) -> Any:
    """Return the named numeric properties as an array of one axis, in the order of the names."""
    values = [property_of(element, name) for name in names]
    if not all(isinstance(v, int | float) for v in values):
        raise EarthEngineError("Feature.toArray: All properties must be numbers.")
    return np.asarray(values)


@algorithm("FeatureCollection.makeArray")
def make_array(items: Collection, names: list[str], name: str) -> Collection:
    """Return features with a new property ``name``: an array of the properties ``names``.

    Features in which one of these is not a number are left out.
    """

    def source(_: Query) -> Iterator[Any]:
        for element in items.elements():
            values = [property_of(element, n) for n in names]
            if all(isinstance(v, int | float) for v in values):
                yield with_properties(element, {name: np.asarray(values)})

    return items.with_source(source)


@algorithm("ErrorMargin")
def error_margin(value: float | None, unit: str) -> ErrorMargin:
    """Return an error margin."""
    if unit not in ("meters", "projected", "infinite"):
        raise EarthEngineError(f"ErrorMargin: Invalid unit '{unit}'.")
    if value is None and unit != "infinite":
        raise EarthEngineError("ErrorMargin: A value is required.")
    return ErrorMargin(value, unit)

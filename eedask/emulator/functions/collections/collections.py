"""Collection.*: algorithms that feature collections and image collections share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import chain, islice
from typing import Any

from eedask.emulator.errors import EarthEngineError
from eedask.emulator.functions.geometries.geometries import bounds as geometry_bounds
from eedask.emulator.functions.registry import algorithm
from eedask.emulator.geometry.geodesy import union as union_of
from eedask.emulator.geometry.geometry import Geometry, merged
from eedask.emulator.pixels.raster import Image, Projection
from eedask.emulator.values.coercion import numbered
from eedask.emulator.values.comparison import sort_key
from eedask.emulator.values.elements import (
    geometry_of,
    index_of,
    is_element,
    property_of,
    with_index,
    with_properties,
)
from eedask.emulator.values.filtering import Filter
from eedask.emulator.values.info import to_info
from eedask.emulator.values.value_types import (
    EVERYTHING,
    NOTHING_KEPT,
    Collection,
    ErrorMargin,
    Feature,
    Kept,
    Query,
    collection_of,
)


@algorithm("Collection")
def collection(features: list[Any]) -> Collection:
    """Return a collection of features; their ids are "0", "1", "2" and so on."""
    images = bool(features) and all(isinstance(f, Image) for f in features)
    return numbered("ImageCollection" if images else "FeatureCollection", features)


@algorithm("Collection.fromColumns")
def from_columns(
    columns: list[list[Any]], names: list[str], _types: list[Any] | None
) -> Collection:
    """Return features without geometry: one list of values for each property name."""
    if len(columns) != len(names) or len({len(c) for c in columns}) > 1:
        raise EarthEngineError("Collection.fromColumns: Columns and names must match in length.")
    rows = zip(*columns, strict=True)
    made = [Feature(None, dict(zip(names, row, strict=True))) for row in rows]
    return numbered("FeatureCollection", made)


@algorithm("Collection.loadTable", needs_context=True)
def load_table(context: Any, table: str, _column: str | None, _version: int) -> Collection:
    """Return the features of a table asset."""
    loaded: Collection = context.catalog.load_table(table)
    return loaded


@algorithm("Collection.filter", needs_context=True)
def filter_collection(context: Any, items: Collection, condition: Any) -> Collection:
    """Return the elements that pass a filter."""
    if isinstance(condition, str):
        condition = context.call("Filter.expression", condition)
    if not isinstance(condition, Filter):
        raise EarthEngineError("Collection.filter: The argument 'filter' must be a Filter.")
    return items.filtered(condition.passes, condition.hint, condition.exact)


@algorithm("Collection.limit")
def limit(items: Collection, most: int | None, key: str | None, ascending: bool) -> Collection:
    """Return the first ``most`` elements, sorted by the property ``key`` first if it is given."""
    if most is not None and most < 0:
        raise EarthEngineError(f"Collection.limit: The limit must not be negative, found {most}.")

    def source(query: Query) -> Iterator[Any]:
        if key is None:
            return islice(items.elements(EVERYTHING if most is not None else query), most)
        return islice(_sorted(items, key, ascending), most)

    return replace(items, source=source)


def _sorted(items: Collection, key: str, ascending: bool) -> Iterator[Any]:
    """Yield the elements sorted by a property; those without it come last (a guess)."""
    keyed = [(property_of(e, key), e) for e in items.elements()]
    having = [pair for pair in keyed if pair[0] is not None]
    having.sort(key=lambda pair: sort_key(pair[0]), reverse=not ascending)
    return (e for _, e in chain(having, (pair for pair in keyed if pair[0] is None)))


@algorithm("Collection.first")
def first(items: Collection) -> Any:
    """Return the first element, or null."""
    return next(items.elements(), None)


@algorithm("Collection.size")
def size(items: Collection) -> int:
    """Return the number of elements."""
    return items.size


@algorithm("Collection.toList")
def to_list(items: Collection, count: int, offset: int) -> list[Any]:
    """Return ``count`` elements from number ``offset`` on as a list."""
    if count < 0 or offset < 0:
        raise EarthEngineError("Collection.toList: 'count' and 'offset' must not be negative.")
    return list(islice(items.elements(), offset, offset + count))


@algorithm("Collection.map")
def map_collection(
    items: Collection, function: Callable[[Any], Any], drop_nulls: bool
) -> Collection:
    """Return the collection of a function's results for each element; the ids stay."""

    def one(element: Any) -> Any:
        index = index_of(element)
        try:
            result = function(element)
        except EarthEngineError as error:
            place = f"Error in map(ID={index}):\n"
            raise EarthEngineError(place + error.message, error.code) from error
        if isinstance(result, Geometry):
            result = Feature(result)
        if is_element(result):
            return with_index(result, index)
        if result is None and drop_nulls:
            return None
        raise EarthEngineError("Collection.map: A mapped algorithm must return a Feature or Image.")

    kept: Kept = getattr(function, "kept", NOTHING_KEPT)
    mapped = items.mapped(one, kept)
    return mapped.filtered(lambda e: e is not None) if drop_nulls else mapped


@algorithm("Collection.iterate")
def iterate(items: Collection, function: Callable[[Any, Any], Any], start: Any) -> Any:
    """Call ``function(element, previous result)`` on one element after another; return the last."""
    result = start
    for element in items.elements():
        result = function(element, result)
    return result


@algorithm("Collection.merge")
def merge(one: Collection, other: Collection) -> Collection:
    """Return the elements of two collections; their ids are prefixed with ``1_`` and ``2_``."""

    def source(query: Query) -> Iterator[Any]:
        query = _without_index(query)
        for prefix, part in (("1", one), ("2", other)):
            for element in part.elements(query):
                yield with_index(element, f"{prefix}_{index_of(element) or ''}")

    return one.with_source(source)


def _without_index(query: Query) -> Query:
    """Return a query without its condition on ids: the ids inside differ from those asked for."""
    equals = {k: v for k, v in query.equals.items() if k != "system:index"}
    return replace(query, equals=equals)


@algorithm("Collection.flatten")
def flatten(items: Collection) -> Collection:
    """Return one collection of the elements of several; ids become ``collection id_element id``."""

    def source(query: Query) -> Iterator[Any]:
        query = _without_index(query)
        for number, inner in enumerate(items.elements()):
            if not isinstance(inner, Collection):
                raise EarthEngineError(
                    "Collection.flatten: The collection's elements must be collections."
                )
            outer = inner.properties.get("system:index", str(number))
            for element in inner.elements(query):
                yield with_index(element, f"{outer}_{index_of(element) or ''}")

    return items.with_source(source)


@algorithm("Collection.distinct")
def distinct(items: Collection, properties: Any) -> Collection:
    """Return the elements without those whose values of ``properties`` an earlier one has too."""
    names = [properties] if isinstance(properties, str) else properties
    if not isinstance(names, list) or not all(isinstance(n, str) for n in names):
        raise EarthEngineError("Collection.distinct: 'properties' must be names.")

    def source(_: Query) -> Iterator[Any]:
        seen = set()
        for element in items.elements():
            key = repr([to_info(property_of(element, n)) for n in names])
            if key not in seen:
                seen.add(key)
                yield element

    return replace(items, source=source)


@algorithm("Collection.remap")
def remap(items: Collection, old: list[Any], new: list[int], column: str) -> Collection:
    """Return the elements whose property is in ``old``, with the value replaced from ``new``."""
    if len(old) != len(new):
        raise EarthEngineError("Collection.remap: 'lookupIn' and 'lookupOut' differ in length.")
    table = dict(zip(old, new, strict=True))

    def source(_: Query) -> Iterator[Any]:
        for element in items.elements():
            value = property_of(element, column)
            if isinstance(value, str | int | float) and value in table:
                yield with_properties(element, {column: table[value]})

    return items.with_source(source)


@algorithm("Collection.cache")
def cache(items: Collection) -> Collection:
    """Return the collection unchanged: the emulator keeps no collections between requests."""
    return items


@algorithm("Collection.geometry")
def geometry(items: Collection, _: ErrorMargin) -> Geometry:
    """Return one geometry collection of the geometries of all elements."""
    found = (geometry_of(e) for e in items.elements())
    return merged([g for g in found if g is not None])


@algorithm("Collection.bounds")
def bounds(items: Collection, margin: ErrorMargin, projection: Projection) -> Geometry:
    """Return the bounding rectangle of all elements' geometries."""
    return geometry_bounds(geometry(items, margin), margin, projection)


@algorithm("Collection.union")
def union(items: Collection, _: ErrorMargin | None) -> Collection:
    """Return a collection of one feature whose geometry is the union of all geometries."""
    found = [g for g in map(geometry_of, items.elements()) if g is not None]
    made = Feature(union_of(found), {"system:index": "union_result"}, id="union_result")
    return collection_of("FeatureCollection", [made])

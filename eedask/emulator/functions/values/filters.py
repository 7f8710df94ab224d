"""Filter.*: conditions on properties and geometries.

A filter also has a :class:`~eedask.emulator.values.value_types.Query`, which tells sources of
elements which ones they need not make because the filter would drop them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import shapely

from eedask.emulator.errors import EarthEngineError
from eedask.emulator.functions.registry import algorithm
from eedask.emulator.geometry import geodesy
from eedask.emulator.geometry.geometry import Geometry, from_geojson
from eedask.emulator.values.coercion import Mismatch, coercer
from eedask.emulator.values.comparison import equal, less, millis
from eedask.emulator.values.dates import to_datetime
from eedask.emulator.values.elements import GEOMETRY_SELECTORS, geometry_of, property_of
from eedask.emulator.values.filtering import Filter
from eedask.emulator.values.typenames import is_of_type, type_name
from eedask.emulator.values.value_types import EVERYTHING, DateRange, ErrorMargin, Query

Get = Callable[[Any], Any]


def _operands(
    where: str, left_field: Any, right_value: Any, right_field: Any, left_value: Any
) -> tuple[Get, Get]:
    """Return a function that gets the left operand from an element, and one for the right."""
    if left_field is not None and left_value is not None:
        raise EarthEngineError(f"Filter.{where}: Specify only one of 'leftField' and 'leftValue'.")
    if right_field is not None and right_value is not None:
        raise EarthEngineError(
            f"Filter.{where}: Specify only one of 'rightField' and 'rightValue'."
        )
    if left_field is None and right_field is None:
        raise EarthEngineError(f"Filter.{where}: One of 'leftField' and 'rightField' is required.")
    return _getter(left_field, left_value), _getter(right_field, right_value)


def _getter(field: str | None, value: Any) -> Get:
    if field is None:
        return lambda _: value
    return lambda element: property_of(element, field)


def _comparison(
    test: Callable[[Any, Any], bool],
    *names: str,
    hint: Callable[[str, Any], Query] | None = None,
    mirrored: Callable[[str, Any], Query] | None = None,
) -> None:
    """Register a filter that compares two operands.

    ``hint(field, value)`` is the query of a filter whose left operand is a field and whose right
    one is a value; ``mirrored(field, value)`` that of one with the field on the right.
    """

    def make(left_field: Any, right_value: Any, right_field: Any, left_value: Any) -> Filter:
        left, right = _operands(names[0], left_field, right_value, right_field, left_value)
        query = EVERYTHING
        if hint is not None and left_field is not None and right_field is None:
            query = hint(left_field, right_value)
        if mirrored is not None and right_field is not None and left_field is None:
            query = mirrored(right_field, left_value)
        is_exact = test is _in_range and query != EVERYTHING
        return Filter(lambda a, b: test(left(a), right(b)), query, exact=is_exact)

    algorithm(*(f"Filter.{name}" for name in names))(make)


def _ordered(test: Callable[[Any, Any], bool | None]) -> Callable[[Any, Any], bool]:
    """Return a comparison that is False for nulls, and raises 400 for values without an order."""

    def compare(a: Any, b: Any) -> bool:
        if a is None or b is None:
            return False
        result = test(a, b)
        if result is None:
            raise EarthEngineError(
                f"Filter: Unable to compare types: {type_name(a)} and {type_name(b)}."
            )
        return result

    return compare


def _negated(result: bool | None) -> bool | None:
    return None if result is None else not result


def _equality(field: str, value: Any) -> Query:
    if isinstance(value, str | int | float) and not isinstance(value, bool):
        return Query(equals={field: value})
    return EVERYTHING


def _from(field: str, value: Any) -> Query:
    number = isinstance(millis(value), int | float)
    return Query(start=millis(value)) if field == "system:time_start" and number else EVERYTHING


def _strings(test: Callable[[str, str], bool]) -> Callable[[Any, Any], bool]:
    return lambda a, b: isinstance(a, str) and isinstance(b, str) and test(a, b)


def _holds(container: Any, item: Any) -> bool:
    return isinstance(container, list) and any(equal(v, item) for v in container)


def _in_range(dates: Any, moment: Any) -> bool:
    value = millis(moment)
    if isinstance(dates, list) and len(dates) == 2:
        dates = DateRange(*map(millis, dates))
    if not isinstance(dates, DateRange) or not isinstance(value, int | float):
        return False
    return dates.start <= value < dates.end


def _dates(field: str, dates: Any) -> Query:
    if field == "system:time_start" and isinstance(dates, DateRange):
        return Query(start=dates.start, end=dates.end)
    return EVERYTHING


_comparison(
    lambda a, b: a is not None and b is not None and equal(a, b),
    "equals",
    "eq",
    hint=_equality,
    mirrored=_equality,
)
_comparison(lambda a, b: a is not None and b is not None and not equal(a, b), "notEquals", "neq")
_comparison(_ordered(less), "lessThan", "lt")
_comparison(_ordered(lambda a, b: less(b, a)), "greaterThan", "gt", hint=_from)
_comparison(_ordered(lambda a, b: _negated(less(b, a))), "lessThanOrEquals", "lte")
_comparison(_ordered(lambda a, b: _negated(less(a, b))), "greaterThanOrEquals", "gte", hint=_from)
_comparison(_strings(str.startswith), "stringStartsWith")
_comparison(_strings(str.endswith), "stringEndsWith")
_comparison(_strings(lambda a, b: b in a), "stringContains")
# Earth Engine documents the list as inList's left operand, but clients send it as the right one;
# for listContains they send it as the left. Both filters therefore accept it on either side.
_comparison(lambda a, b: _holds(b, a) or _holds(a, b), "inList")
_comparison(_holds, "listContains")
_comparison(_in_range, "dateRangeContains", mirrored=_dates)
_comparison(lambda a, b: isinstance(b, str) and is_of_type(a, b), "hasType")


def _geometry(value: Any) -> Geometry | None:
    """Return the geometry of an operand, or None if it has none."""
    if isinstance(value, Geometry) or value is None:
        return value
    if isinstance(value, Mapping) and "type" in value:
        return from_geojson(value)
    if geometry_of(value) is not None:
        return geometry_of(value)
    try:
        return coercer("Geometry")(value, None)
    except Mismatch:
        return None


def _spatial(name: str, test: Callable[[Geometry, Geometry], bool], near: bool = False) -> None:
    """Register a filter on two geometries.

    ``near`` tells that an element passes only if it meets the other geometry's bounds, so that
    sources need not make others.
    """

    @algorithm(f"Filter.{name}", needs_context=True)
    def make(
        context: Any,
        left_field: Any,
        right_value: Any,
        right_field: Any,
        left_value: Any,
        _: ErrorMargin,
    ) -> Filter:
        right_value = _as_geometry(right_value, context)
        left_value = _as_geometry(left_value, context)
        left, right = _operands(name, left_field, right_value, right_field, left_value)

        def passes(a: Any, b: Any) -> bool:
            one, other = _geometry(left(a)), _geometry(right(b))
            return one is not None and other is not None and test(one, other)

        unary = left_field is None or right_field is None
        field = left_field or right_field
        fixed = right_value if right_value is not None else left_value
        if isinstance(fixed, Geometry):
            shapely.prepare(fixed.lonlat)
        hint = EVERYTHING
        if near and unary and field in GEOMETRY_SELECTORS and fixed is not None:
            hint = _around(fixed)
        return Filter(passes, hint)


def _as_geometry(value: Any, context: Any) -> Any:
    try:
        return None if value is None else coercer("Geometry")(value, context)
    except Mismatch:
        raise EarthEngineError(f"Filter: Expected a geometry, got: {type_name(value)}.") from None


def _around(geometry: Geometry) -> Query:
    if geometry.unbounded or geometry.shape.is_empty:
        return EVERYTHING
    west, south, east, north = geometry.lonlat.bounds
    return Query(bounds=(west, south, east, north))


def _meets(a: Geometry, b: Geometry) -> bool:
    # Shapely's prepared geometry is used for b, which is often the same for all elements.
    return a.unbounded or b.unbounded or bool(b.lonlat.intersects(a.lonlat))


_spatial("intersects", _meets, near=True)
_spatial("disjoint", lambda a, b: not _meets(a, b))


def _covers(a: Geometry, b: Geometry) -> bool:
    """Whether ``a`` contains ``b``; False if ``b`` is empty."""
    if b.unbounded or b.shape.is_empty:
        return b.unbounded and a.unbounded
    return a.unbounded or bool(a.lonlat.covers(b.lonlat))


_spatial("contains", _covers, near=True)
_spatial("isContained", lambda a, b: _covers(b, a), near=True)


@algorithm("Filter.withinDistance", needs_context=True)
def within_distance(
    context: Any,
    distance: float,
    left_field: Any,
    right_value: Any,
    right_field: Any,
    left_value: Any,
    _: ErrorMargin,
) -> Filter:
    """Return a filter of geometries at most ``distance`` apart; their distance is its measure."""
    right_value = _as_geometry(right_value, context)
    left_value = _as_geometry(left_value, context)
    left, right = _operands("withinDistance", left_field, right_value, right_field, left_value)

    def metres(a: Any, b: Any) -> float:
        one, other = _geometry(left(a)), _geometry(right(b))
        return math.inf if one is None or other is None else geodesy.distance(one, other)

    return Filter(lambda a, b: metres(a, b) <= distance, measure=metres)


@algorithm("Filter.maxDifference")
def max_difference(
    difference: float, left_field: Any, right_value: Any, right_field: Any, left_value: Any
) -> Filter:
    """Return a filter of numbers at most ``difference`` apart; their difference is its measure."""
    left, right = _operands("maxDifference", left_field, right_value, right_field, left_value)

    def apart(a: Any, b: Any) -> float:
        one, other = millis(left(a)), millis(right(b))
        numbers = isinstance(one, int | float) and isinstance(other, int | float)
        return abs(one - other) if numbers else math.inf

    return Filter(lambda a, b: apart(a, b) <= difference, measure=apart)


@algorithm("Filter.rangeContains")
def range_contains(field: str, low: Any, high: Any) -> Filter:
    """Return a filter of elements whose property lies between two values, both included."""
    below = _ordered(less)

    def passes(element: Any, _: Any) -> bool:
        value = property_of(element, field)
        return value is not None and not below(value, low) and not below(high, value)

    return Filter(passes)


_FIELDS: dict[str, Callable[[Any], int]] = {
    "year": lambda d: d.year,
    "month": lambda d: d.month,
    "hour": lambda d: d.hour,
    "minute": lambda d: d.minute,
    "day_of_year": lambda d: d.timetuple().tm_yday,
    "day_of_month": lambda d: d.day,
    "day_of_week": lambda d: d.isoweekday(),
}


@algorithm("Filter.calendarRange")
def calendar_range(start: int, end: int | None, field: str) -> Filter:
    """Return a filter of elements whose time's calendar field lies from ``start`` to ``end``.

    Both are included. If ``end`` is before ``start``, the range wraps, as November to February.
    """
    get = _FIELDS.get(field)
    if get is None:
        raise EarthEngineError(
            f"Filter.calendarRange: Invalid field '{field}'. Options: {', '.join(_FIELDS)}."
        )
    last = start if end is None else end

    def passes(element: Any, _: Any) -> bool:
        when = millis(property_of(element, "system:time_start"))
        if when is None:
            return False
        value = get(to_datetime(when))
        return start <= value <= last if start <= last else value >= start or value <= last

    return Filter(passes)


@algorithm("Filter.dayOfYear")
def day_of_year(start: int, end: int) -> Filter:
    """Return a filter of elements whose day of the year lies from ``start`` to ``end``."""
    return calendar_range(start, end, "day_of_year")


@algorithm("Filter.notNull")
def not_null(properties: list[str]) -> Filter:
    """Return a filter of elements in which all of some properties have a value."""
    return Filter(lambda e, _: all(property_of(e, name) is not None for name in properties))


@algorithm("Filter.hasGeometry")
def has_geometry() -> Filter:
    """Return a filter of elements that have a geometry."""
    return Filter(lambda e, _: geometry_of(e) is not None)


@algorithm("Filter.always")
def always() -> Filter:
    """Return a filter that everything passes."""
    return Filter(lambda a, b: True)


@algorithm("Filter.never")
def never() -> Filter:
    """Return a filter that nothing passes."""
    return Filter(lambda a, b: False)


@algorithm("Filter.area")
def area(low: float, high: float, _: ErrorMargin | None, selector: str | None) -> Filter:
    """Return a filter of geometries whose area in square metres lies from ``low`` to ``high``."""

    def passes(element: Any, _: Any) -> bool:
        geometry = _geometry(property_of(element, selector or ".geo"))
        return geometry is not None and low <= geodesy.area(geometry) <= high

    return Filter(passes)


@algorithm("Filter.and")
def both(filters: list[Filter]) -> Filter:
    """Return a filter that passes if all filters do; its measure is the last one that there is."""
    hint = EVERYTHING
    for part in filters:
        hint = hint & part.hint
    exact = all(part.exact for part in filters)
    return Filter(lambda a, b: all(f.test(a, b) for f in filters), hint, _measure(filters), exact)


@algorithm("Filter.or")
def either(filters: list[Filter]) -> Filter:
    """Return a filter that passes if any of several filters does."""
    return Filter(lambda a, b: any(f.test(a, b) for f in filters), measure=_measure(filters))


@algorithm("Filter.not")
def inverse(condition: Filter) -> Filter:
    """Return a filter that passes if another does not."""
    return Filter(lambda a, b: not condition.test(a, b))


def _measure(filters: list[Filter]) -> Any:
    return next((f.measure for f in reversed(filters) if f.measure is not None), None)

"""The terms of a list's filter: conditions on one image or feature.

``startTime``, ``endTime`` and ``properties.X`` are compared with ``=``, ``!=``, ``<``, ``<=``,
``>``, ``>=``. ``properties.X:*`` tests whether the property exists, ``properties.X:v`` whether it
is ``v`` or a list that contains it, ``intersects("<GeoJSON or WKT>")`` whether the geometry does.
https://developers.google.com/earth-engine/reference/rest/v1/projects.assets/listAssets
"""

from __future__ import annotations

import ast
import json
import math
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import reduce
from typing import Any

import shapely
from shapely.geometry.base import BaseGeometry

from eedask.emulator.errors import EarthEngineError
from eedask.emulator.values.elements import INDEX, geometry_of, property_of
from eedask.emulator.values.value_types import EVERYTHING, Query

STRING = r'"(?:[^"\\]|\\.)*"|' + r"'(?:[^'\\]|\\.)*'"
"""A pattern of strings in either kind of quotes."""

_COMPARISONS: Mapping[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def _always(_: Any) -> bool:
    return True


@dataclass(frozen=True)
class Condition:
    """A condition on the elements of a list.

    ``keeps(element)`` tells whether an image or feature meets it. ``hint`` is a query that
    excludes only elements that do not, so that a catalogue need not make them.
    """

    keeps: Callable[[Any], bool] = _always
    hint: Query = EVERYTHING

    def __call__(self, element: Any) -> bool:
        """Whether an element is kept."""
        return self.keeps(element)


def every(parts: Sequence[Condition]) -> Condition:
    """Return the condition that all of several conditions hold."""
    if len(parts) == 1:
        return parts[0]
    hint = reduce(operator.and_, (part.hint for part in parts))
    return Condition(lambda element: all(part(element) for part in parts), hint)


def some(parts: Sequence[Condition]) -> Condition:
    """Return the condition that any of several conditions holds."""
    if len(parts) == 1:
        return parts[0]
    return Condition(lambda element: any(part(element) for part in parts))


def opposite(part: Condition) -> Condition:
    """Return the negation of a condition."""
    return Condition(lambda element: not part(element))


def comparison(name: str, sign: str, text: str) -> Condition:
    """Return the condition that a property, or a time, compares with a literal by ``sign``.

    A literal in quotes is a string; one without quotes has the property's type, as the language
    says. A missing value, or one of another type, does not meet the condition.
    """
    compare = _COMPARISONS[sign]
    if name in _TIMES:
        return _time_comparison(name, sign, _millis(_unquoted(text)))
    key = name.removeprefix("properties.")
    literals = _literals(text)

    def keep(element: Any) -> bool:
        own = property_of(element, key)
        literal = literals.get(_kind(own))
        return literal is not None and compare(own, literal)

    # A literal that reads as a number is queried as one, except for the index, which is text.
    wanted = literals.get(str if key == INDEX else float, literals[str])
    return Condition(keep, Query(equals={key: wanted}) if sign == "=" else EVERYTHING)


def has(name: str, text: str) -> Condition:
    """Return the condition that a property exists (``*``), is a value, or is a list that has it."""
    key = name.removeprefix("properties.")
    literals = _literals(text)

    def keep(element: Any) -> bool:
        own = _time_of(element, key) if key in _TIMES else property_of(element, key)
        if text == "*":
            return own is not None
        held = own if isinstance(own, list | tuple) else [own]
        return any(_kind(v) is not None and v == literals.get(_kind(v)) for v in held)

    return Condition(keep)


def intersects(quoted: str) -> Condition:
    """Return the condition that an element's geometry meets a region, given as a quoted string."""
    region = parse_region(_unquoted(quoted))
    hint = EVERYTHING if region.is_empty else Query(bounds=region.bounds)
    return Condition(intersecting(region), hint)


def intersecting(region: BaseGeometry) -> Callable[[Any], bool]:
    """Return a test of whether an element's geometry meets a region (planar, in degrees)."""

    def keep(element: Any) -> bool:
        place = geometry_of(element)
        return place is not None and bool(place.lonlat.intersects(region))

    return keep


def parse_region(text: str) -> BaseGeometry:
    """Read a region given as GeoJSON (with either kind of quotes) or WKT, in degrees."""
    try:
        if not text.lstrip().startswith("{"):
            return shapely.from_wkt(text)
        try:
            return shapely.from_geojson(text)
        except shapely.GEOSException:
            return shapely.from_geojson(json.dumps(ast.literal_eval(text)))
    except (shapely.GEOSException, ValueError, SyntaxError, TypeError, RecursionError) as error:
        raise EarthEngineError(f"Invalid region: {text}.") from error


# Times. An element's end is its start where it has no other.

_TIMES = {
    "startTime": ("system:time_start",),
    "endTime": ("system:time_end", "system:time_start"),
}


def _time_of(element: Any, name: str) -> float | None:
    for key in _TIMES[name]:
        value = property_of(element, key)
        if _kind(value) is float:
            return float(value)
    return None


def _time_comparison(name: str, sign: str, millis: float) -> Condition:
    compare = _COMPARISONS[sign]

    def keep(element: Any) -> bool:
        own = _time_of(element, name)
        return own is not None and compare(own, millis)

    # An element's time is its start, and its end is not before it.
    if sign in (">", ">=") and name == "startTime":
        return Condition(keep, Query(start=millis))
    if sign == "<":
        return Condition(keep, Query(end=millis))
    return Condition(keep)


def _millis(text: str) -> float:
    try:
        moment = datetime.fromisoformat(text)
        aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return aware.timestamp() * 1000
    except (ValueError, OverflowError) as error:
        raise EarthEngineError(f"Invalid time: {text}.") from error


# Literals.


def _kind(value: Any) -> type | None:
    """Return the type by which a value is compared, or None if it cannot be compared."""
    if isinstance(value, str):
        return str
    return float if isinstance(value, int | float) and not isinstance(value, bool) else None


def _literals(text: str) -> Mapping[type | None, Any]:
    """Return the values of a literal by the type with which it may be compared."""
    if text[0] in "\"'":
        return {str: _unquoted(text)}
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    return {str: text} if math.isnan(number) else {str: text, float: number}


def _unquoted(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text[1:-1]) if text[0] in "\"'" else text

"""Filters of asset and feature lists, in the language of https://google.aip.dev/160.

Of the language there is what the client writes and the reference shows: comparisons of
``startTime``, ``endTime`` and ``properties.X``, ``intersects("<GeoJSON or WKT>")``, and AND
between them (https://developers.google.com/earth-engine/reference/rest/v1/projects.assets/listAssets).
A comma stands for AND: https://developers.google.com/earth-engine/apidocs/ee-data-listfeatures
has filters separated by commas.
"""

from __future__ import annotations

import ast
import json
import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import shapely
from shapely.geometry.base import BaseGeometry

from eedask.emulator.errors import EarthEngineError, NotSupported
from eedask.emulator.values import EVERYTHING, Query

Asset = Mapping[str, Any]
Predicate = Callable[[Asset], bool]

_COMPARISONS: Mapping[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_STRING = r'"(?:[^"\\]|\\.)*"|' + r"'(?:[^'\\]|\\.)*'"
_TERM = re.compile(
    rf"""\s*(?:
        intersects\(\s*(?P<region>{_STRING})\s*\)
      | (?P<name>startTime|endTime|properties\.[\w:.-]+?|[\w:]+)\s*
        (?P<sign><=|>=|!=|=|<|>)\s*
        (?P<value>{_STRING}|[^\s()"',]+)
    )\s*""",
    re.VERBOSE,
)


@dataclass(frozen=True)
class Filter:
    """What a list keeps, and what of it a catalogue may leave out beforehand."""

    keeps: tuple[Predicate, ...] = ()
    hint: Query = field(default=EVERYTHING)

    def __call__(self, asset: Asset) -> bool:
        """Whether the asset is kept."""
        return all(keep(asset) for keep in self.keeps)


def parse_filter(text: str | None) -> Filter:
    """Read a filter.

    Raises
    ------
    EarthEngineError
        400: not a filter, or a part of the language that is not supported.
    """
    result = Filter()
    rest = (text or "").strip()
    while rest:
        found = _TERM.match(rest)
        if not found:
            raise NotSupported(f"the filter {text!r}, from {rest!r} on")
        term = _intersects(found["region"]) if found["region"] else _comparison(found)
        result = Filter((*result.keeps, *term.keeps), result.hint & term.hint)
        rest = rest[found.end() :]
        if rest:
            rest, joined = re.subn(r"^(?:(?:AND|and)\s+|,\s*)", "", rest)
            if not joined:
                raise NotSupported(f"the filter {text!r}, from {rest!r} on")
    return result


def parse_region(text: str) -> BaseGeometry:
    """Read a region given as GeoJSON (with either kind of quotes) or WKT, in degrees."""
    try:
        if not text.lstrip().startswith("{"):
            return shapely.from_wkt(text)
        try:
            return shapely.from_geojson(text)
        except shapely.GEOSException:
            return shapely.from_geojson(json.dumps(ast.literal_eval(text)))
    except (shapely.GEOSException, ValueError, SyntaxError) as error:
        raise EarthEngineError(f"Invalid region: {text}.") from error


def _intersects(quoted: str) -> Filter:
    region = parse_region(_unquoted(quoted))

    def keep(asset: Asset) -> bool:
        geometry = asset.get("geometry")
        if geometry is None:
            return False
        return shapely.from_geojson(json.dumps(geometry)).intersects(region)

    return Filter((keep,), Query(bounds=region.bounds))


def _comparison(found: re.Match[str]) -> Filter:
    name, sign, value = found["name"], found["sign"], _literal(found["value"])
    compare = _COMPARISONS[sign]
    if name in ("startTime", "endTime"):
        return _time_comparison(name, sign, _millis(str(value)))
    key = name.removeprefix("properties.")

    def keep(asset: Asset) -> bool:
        own = asset.get("properties", {}).get(key)
        # Values of different kinds, and no value at all, satisfy nothing.
        if own is None or isinstance(own, str) is not isinstance(value, str):
            return False
        return compare(own, value)

    hint = Query(equals={key: value}) if sign == "=" else EVERYTHING
    return Filter((keep,), hint)


def _time_comparison(name: str, sign: str, millis: float) -> Filter:
    compare = _COMPARISONS[sign]

    def keep(asset: Asset) -> bool:
        text = asset.get(name) or asset.get("startTime")
        return text is not None and compare(_millis(text), millis)

    # An element's time is its start, and its end is not before it.
    if sign in (">", ">=") and name == "startTime":
        return Filter((keep,), Query(start=millis))
    if sign == "<":
        return Filter((keep,), Query(end=millis))
    return Filter((keep,))


def _millis(text: str) -> float:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise EarthEngineError(f"Invalid time: {text}.") from error
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000


def _literal(text: str) -> Any:
    if text[0] in "\"'":
        return _unquoted(text)
    try:
        return float(text)
    except ValueError:
        return text


def _unquoted(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text[1:-1])

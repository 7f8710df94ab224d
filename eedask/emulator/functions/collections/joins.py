"""Join.*: elements of one collection paired with those of another that meet a condition.

https://developers.google.com/earth-engine/guides/joins_intro
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from eedask.emulator.errors import EarthEngineError
from eedask.emulator.functions.registry import algorithm
from eedask.emulator.values.comparison import sort_key
from eedask.emulator.values.elements import index_of, property_of, with_copied, with_properties
from eedask.emulator.values.filtering import Filter
from eedask.emulator.values.value_types import Collection, Feature, Query

Match = tuple[Any, float | None]
"""An element of the secondary collection, and the condition's measure of how well it fits."""


@dataclass(frozen=True)
class Join:
    """How a join makes its results: ``results(element, matches)`` yields those of one element.

    ``element`` is of the primary collection, ``matches`` are those of the secondary one.
    """

    results: Callable[[Any, list[Match]], Iterator[Any]]


@algorithm("Join.simple")
def simple() -> Join:
    """Return a join that keeps the primary elements that have a match."""
    return Join(lambda element, matches: iter([element] if matches else []))


@algorithm("Join.inverted")
def inverted() -> Join:
    """Return a join that keeps the primary elements that have no match."""
    return Join(lambda element, matches: iter([] if matches else [element]))


def _ordered(matches: list[Match], key: str | None, ascending: bool) -> list[Match]:
    if key is None:
        return matches
    return sorted(matches, key=lambda m: sort_key(property_of(m[0], key)), reverse=not ascending)


def _measured(match: Match, key: str | None) -> Any:
    element, measure = match
    return element if key is None else with_properties(element, {key: measure})


@algorithm("Join.saveFirst")
def save_first(
    key: str, ordering: str | None, ascending: bool, measure: str | None, outer: bool
) -> Join:
    """Return a join that saves the first match as the property ``key``.

    Matches are ordered by the property ``ordering``; elements without a match are kept if
    ``outer``.
    """

    def results(element: Any, matches: list[Match]) -> Iterator[Any]:
        if matches:
            found = _ordered(matches, ordering, ascending)[0]
            yield with_properties(element, {key: _measured(found, measure)})
        elif outer:
            yield with_copied(element, {key: None})

    return Join(results)


@algorithm("Join.saveBest")
def save_best(key: str, measure: str, outer: bool) -> Join:
    """Return a join that saves the match of the least measure as the property ``key``.

    Elements without a match are kept if ``outer``.
    """

    def results(element: Any, matches: list[Match]) -> Iterator[Any]:
        if any(m[1] is None for m in matches):
            raise EarthEngineError("Join.saveBest: The condition has no join measure.")
        if matches:
            best = min(matches, key=lambda m: m[1] or 0.0)
            yield with_properties(element, {key: _measured(best, measure)})
        elif outer:
            yield with_copied(element, {key: None})

    return Join(results)


@algorithm("Join.saveAll")
def save_all(
    key: str, ordering: str | None, ascending: bool, measure: str | None, outer: bool
) -> Join:
    """Return a join that saves the list of matches as the property ``key``.

    Matches are ordered by the property ``ordering``; elements without a match are kept if
    ``outer``.
    """

    def results(element: Any, matches: list[Match]) -> Iterator[Any]:
        if matches or outer:
            found = [_measured(m, measure) for m in _ordered(matches, ordering, ascending)]
            yield with_properties(element, {key: found})

    return Join(results)


@algorithm("Join.inner")
def inner(primary: str, secondary: str, measure: str | None) -> Join:
    """Return a join that makes a feature of each pair, whose properties hold both elements."""

    def results(element: Any, matches: list[Match]) -> Iterator[Any]:
        for other, fit in matches:
            properties = {primary: element, secondary: other}
            if measure is not None and fit is not None:
                properties[measure] = fit
            index = f"{index_of(element)}_{index_of(other)}"
            yield Feature(None, {**properties, "system:index": index}, id=index)

    return Join(results)


@algorithm("Join.apply")
def apply(join: Join, primary: Collection, secondary: Collection, condition: Filter) -> Collection:
    """Return the collection of a join's results."""

    def source(_: Query) -> Iterator[Any]:
        others = list(secondary.elements())
        for element in primary.elements():
            matches = [
                (other, condition.measure(element, other) if condition.measure else None)
                for other in others
                if condition.test(element, other)
            ]
            yield from join.results(element, matches)

    return primary.with_source(source)

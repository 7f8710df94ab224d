"""AggregateFeatureCollection.*: statistics of one property over all elements of a collection.

Every function takes the collection and the property's name. Except in ``first``, elements
without a value are left out.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from eedask.emulator.errors import EarthEngineError
from eedask.emulator.functions.registry import algorithm
from eedask.emulator.functions.values.strings import text_of
from eedask.emulator.values.comparison import sort_key
from eedask.emulator.values.elements import property_of
from eedask.emulator.values.info import to_info
from eedask.emulator.values.typenames import type_name
from eedask.emulator.values.value_types import Collection


def column(items: Collection, name: str) -> list[Any]:
    """Return a property's values in the collection's order, without nulls."""
    values = (property_of(e, name) for e in items.elements())
    return [v for v in values if v is not None]


def _numbers(items: Collection, name: str, where: str) -> list[Any]:
    values = column(items, name)
    for value in values:
        if not isinstance(value, int | float):
            raise EarthEngineError(
                f"{where}: Expected numbers in '{name}', found {type_name(value)}."
            )
    return values


@algorithm("AggregateFeatureCollection.array")
def array(items: Collection, name: str) -> list[Any]:
    """Return the values of a property as a list."""
    return column(items, name)


@algorithm("AggregateFeatureCollection.first")
def first(items: Collection, name: str) -> Any:
    """Return the property's value of the first element."""
    element = next(items.elements(), None)
    return None if element is None else property_of(element, name)


@algorithm("AggregateFeatureCollection.count")
def count(items: Collection, name: str) -> int:
    """Return how many elements have a value."""
    return len(column(items, name))


@algorithm("AggregateFeatureCollection.count_distinct")
def count_distinct(items: Collection, name: str) -> int:
    """Return the number of distinct values."""
    return len({repr(to_info(v)) for v in column(items, name)})


@algorithm("AggregateFeatureCollection.min")
def least(items: Collection, name: str) -> Any:
    """Return the least value; the values may be numbers or strings."""
    return min(column(items, name), key=sort_key, default=None)


@algorithm("AggregateFeatureCollection.max")
def greatest(items: Collection, name: str) -> Any:
    """Return the greatest value; the values may be numbers or strings."""
    return max(column(items, name), key=sort_key, default=None)


@algorithm("AggregateFeatureCollection.histogram")
def histogram(items: Collection, name: str) -> dict[str, int]:
    """Return how often each value occurs: keys are the values as strings, in the values' order."""
    counts: dict[str, int] = {}
    for value in sorted(column(items, name), key=sort_key):
        key = text_of(value)
        counts[key] = counts.get(key, 0) + 1
    return counts


def _variance(values: list[Any], freedom: int) -> float | None:
    if len(values) <= freedom:
        return None
    mean = math.fsum(values) / len(values)
    return math.fsum((v - mean) ** 2 for v in values) / (len(values) - freedom)


def _root(value: float | None) -> float | None:
    return None if value is None else math.sqrt(value)


_STATISTICS: dict[str, Callable[[list[Any]], Any]] = {
    "mean": lambda v: math.fsum(v) / len(v) if v else None,
    "product": lambda v: math.prod(v),
    "sum": lambda v: math.fsum(v),
    "sample_var": lambda v: _variance(v, 1),
    "sample_sd": lambda v: _root(_variance(v, 1)),
    "total_var": lambda v: _variance(v, 0),
    "total_sd": lambda v: _root(_variance(v, 0)),
}


def _register(name: str, function: Callable[[list[Any]], Any]) -> None:
    where = f"AggregateFeatureCollection.{name}"

    @algorithm(where)
    def call(items: Collection, column_name: str) -> Any:
        return function(_numbers(items, column_name, where))


for _name, _function in _STATISTICS.items():
    _register(_name, _function)


@algorithm("AggregateFeatureCollection.stats")
def stats(items: Collection, name: str) -> dict[str, Any]:
    """Return all statistics of a numeric property in one dictionary."""
    total = [property_of(e, name) for e in items.elements()]
    values = _numbers(items, name, "AggregateFeatureCollection.stats")
    weight = len(values)
    result = {k: f(values) for k, f in _STATISTICS.items() if k != "product"}
    return {
        **result,
        "max": max(values, default=None),
        "min": min(values, default=None),
        "sum_sq": math.fsum(v * v for v in values),
        "total_count": len(total),
        "valid_count": weight,
        "weight_sum": weight,
        "weighted_sum": result["sum"],
    }

"""List.reduce and reduceColumns: reducers on lists and on properties of collections."""

from __future__ import annotations

from typing import Any

from eedask.emulator.errors import EarthEngineError
from eedask.emulator.functions.registry import algorithm
from eedask.emulator.reducers.reduce import Reducer, reduce_columns
from eedask.emulator.values.elements import property_of
from eedask.emulator.values.value_types import Collection


def _check(reducer: Reducer, given: int, where: str) -> None:
    if given != reducer.inputs:
        raise EarthEngineError(
            f"{where}: The reducer takes {reducer.inputs} inputs, but {given} are given."
        )


@algorithm("List.reduce")
def reduce_list(items: list[Any], reducer: Reducer) -> Any:
    """Return a reducer's output over a list, or a dictionary if it has several outputs."""
    if reducer.inputs == 1:
        columns = [items]
    else:
        for item in items:
            _check(reducer, len(item) if isinstance(item, list) else 1, "List.reduce")
        columns = [[item[i] for item in items] for i in range(reducer.inputs)]
    result = reduce_columns(reducer, columns)
    return next(iter(result.values())) if len(result) == 1 else result


@algorithm("Collection.reduceColumns")
def reduce_collection(
    items: Collection, reducer: Reducer, selectors: list[str], weights: list[str] | None
) -> dict[str, Any]:
    """Return a reducer's outputs over properties of a collection, one property for each input.

    ``weights`` names properties of weights; an element without one has weight 0.
    """
    where = "Collection.reduceColumns"
    _check(reducer, len(selectors), where)
    elements = list(items.elements())
    columns = [[property_of(e, name) for e in elements] for name in selectors]
    if not weights:
        return reduce_columns(reducer, columns)
    inputs = reducer.weighted_inputs
    if len(weights) != len(inputs):
        raise EarthEngineError(
            f"{where}: Need a weight selector for each of the reducer's {len(inputs)} weighted "
            f"inputs. Got {len(weights)}."
        )
    given = {
        i: [_weight(property_of(e, name), where) for e in elements]
        for i, name in zip(inputs, weights, strict=True)
    }
    return reduce_columns(reducer, columns, given)


def _weight(value: Any, where: str) -> float:
    if value is not None and not isinstance(value, bool | int | float):
        raise EarthEngineError(f"{where}: Weights must be numbers.")
    return float(value or 0)

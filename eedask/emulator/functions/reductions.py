"""Reducers at work on lists and on columns of collections."""

from __future__ import annotations

from typing import Any

from eedask.emulator.elements import property_of
from eedask.emulator.errors import EarthEngineError
from eedask.emulator.functions.registry import algorithm
from eedask.emulator.reduce import Reducer, reduce_columns
from eedask.emulator.values import Collection


def _check(reducer: Reducer, given: int, where: str) -> None:
    if given != reducer.inputs:
        raise EarthEngineError(
            f"{where}: The reducer takes {reducer.inputs} inputs, but {given} are given."
        )


@algorithm("List.reduce")
def reduce_list(items: list[Any], reducer: Reducer) -> Any:
    """Return a reducer's only output over a list, or the dictionary of its outputs."""
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
    """Return a reducer's outputs over columns of properties.

    Elements that lack a weight weigh nothing.
    """
    where = "Collection.reduceColumns"
    _check(reducer, len(selectors), where)
    if weights is not None and len(weights) > 1:
        raise EarthEngineError(f"{where}: More than one weight selector is not supported.")
    elements = list(items.elements())
    columns = [[property_of(e, name) for e in elements] for name in selectors]
    given = [property_of(e, weights[0]) or 0.0 for e in elements] if weights else None
    return reduce_columns(reducer, columns, given)

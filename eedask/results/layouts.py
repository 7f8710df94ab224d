"""Lays out a table's maps from class to value as columns (wide) or as rows (long)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import pandas as pd

from eedask.arguments import is_one_of
from eedask.errors import InputError
from eedask.tables.classes import class_label

Layout = Literal["maps", "wide", "long"]

CLASS = "class"


def laid_out(
    values: pd.DataFrame, maps: Sequence[str], layout: str, absent: float | None
) -> pd.DataFrame:
    """Return values in another layout; see :meth:`eedask.Result.table`.

    Parameters
    ----------
    values : DataFrame
    maps : sequence of str
        The names of the columns that hold maps, as lists of pairs (class, value).
    layout : {"maps", "wide", "long"}
    absent : float, optional
        In the wide layout, the value of a class that an item does not have while it has others.

    Raises
    ------
    InputError
        If there is no such layout, the table has no maps, or a new column's name is taken.
    """
    if not is_one_of(layout, ("maps", "wide", "long")):
        raise InputError(f"layout={layout!r} is not known; choose one of maps, wide, long")
    if layout == "maps":
        return values
    if not maps:
        raise InputError(
            f"layout={layout!r} is for tables with a value for each class, such as those of the"
            f" reducer 'frequencyHistogram'; this table has the columns {list(values.columns)}: use"
            " layout='maps'"
        )
    return _wide(values, maps, absent) if layout == "wide" else _long(values, maps)


def _wide(values: pd.DataFrame, maps: Sequence[str], absent: float | None) -> pd.DataFrame:
    """Return a column ``NAME_CLASS`` for each class that any row has."""
    parts: list[Any] = []
    for name in values.columns:
        if name not in maps:
            parts.append(values[name])
            continue
        found = [_pairs(value) for value in values[name]]
        classes = _sorted({label for one in found for label in one or ()})
        columns = {
            f"{name}_{label}": [None if one is None else one.get(label, absent) for one in found]
            for label in classes
        }
        parts.append(pd.DataFrame(columns, index=values.index).infer_objects())
    wide: pd.DataFrame = pd.concat(parts, axis=1)
    if twice := list(wide.columns[wide.columns.duplicated()]):
        raise InputError(f"the wide layout would have two columns {twice}; use layout='long'")
    return wide


def _long(values: pd.DataFrame, maps: Sequence[str]) -> pd.DataFrame:
    """Return a row for each class of each row, and one with nulls where there is none."""
    if CLASS in values.columns:
        raise InputError(f"the table has a column {CLASS!r} already; use layout='wide'")
    columns = (values[name] for name in maps)
    found = [[_pairs(value) or {} for value in row] for row in zip(*columns, strict=True)]
    classes: list[list[str | None]] = [
        [*_sorted({label for one in row for label in one})] or [None] for row in found
    ]
    rows = [at for at, labels in enumerate(classes) for _ in labels]
    long = values.drop(columns=[*maps]).iloc[rows].copy()
    labels = pd.Series([label for of_row in classes for label in of_row], index=long.index)
    long[CLASS] = _as_numbers(labels)
    for k, name in enumerate(maps):
        pairs = zip(rows, labels, strict=True)
        long[name] = pd.Series([found[at][k].get(label) for at, label in pairs], index=long.index)
    return long


def _pairs(value: Any) -> dict[str, Any] | None:
    if value is None or value is pd.NA:
        return None
    return {class_label(key): one for key, one in value}


def _sorted(labels: set[str]) -> list[str]:
    """Return classes sorted by their numbers, followed by those that are not numbers."""
    return sorted(labels, key=lambda label: (_number(label) is None, _number(label) or 0, label))


def _number(label: str) -> float | None:
    try:
        return float(label)
    except ValueError:
        return None


def _as_numbers(labels: pd.Series[Any]) -> pd.Series[Any]:
    """Return labels as Int64 if all are whole numbers, Float64 if all are numbers, else as text."""
    known = labels.dropna()
    numbers = [_number(label) for label in known]
    if None in numbers:
        return labels
    whole = all(number is not None and number.is_integer() for number in numbers)
    return labels.astype(float).astype("Int64" if whole else "Float64")

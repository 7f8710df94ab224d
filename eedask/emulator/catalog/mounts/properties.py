"""Converting the cells of tables to Earth Engine's properties, with dates in milliseconds."""

from __future__ import annotations

import datetime as dt
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from eedask.emulator.catalog.dates import millis

# The names of columns that may hold the file name that a row describes, the preferred one first.
KEYS = ("system:index", "file", "filename", "name", "id")
_TIMES = {
    "system:time_start": ("datetime", "start_datetime"),
    "system:time_end": ("end_datetime",),
}
SIDECARS = ("properties.csv", "properties.json")


def text_value(text: str) -> Any:
    """Return a text as a number if it is a finite one, otherwise unchanged."""
    for kind in (int, float):
        try:
            value = kind(text)
        except ValueError:
            continue
        return value if math.isfinite(value) else text
    return text


def property_value(value: Any) -> Any:
    """Return the value of a cell as that of a property; None if it is null or NaN."""
    if value is None or value is pd.NaT or value is pd.NA:
        return None
    if isinstance(value, dt.date):  # datetimes and pandas' timestamps are dates too
        return millis(value)
    if isinstance(value, np.datetime64):
        return millis(pd.Timestamp(value))
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float):
        return None if math.isnan(value) else value
    if isinstance(value, (list, tuple, np.ndarray)):
        return [property_value(part) for part in value]
    if isinstance(value, dict):
        return {str(key): property_value(part) for key, part in value.items()}
    return value if isinstance(value, (bool, int, str)) else str(value)


def properties_of(row: Mapping[Any, Any]) -> dict[str, Any]:
    """Return the properties of a row of cells, without those that are null."""
    cells = {str(name): property_value(value) for name, value in row.items()}
    return {name: value for name, value in cells.items() if value is not None}


def sidecar(folder: Path) -> dict[str, dict[str, Any]]:
    """Return the properties in a folder's ``properties.csv`` or ``.json``, by file.

    Keys are file names without extension. The table has the file's name, with or without
    extension, in one of the columns :data:`KEYS` or in its first column. JSON is an object of
    properties by file name, or a list of rows. ``system:time_start`` and ``system:time_end`` may be
    dates.
    """
    for name in SIDECARS:
        if (folder / name).is_file():
            return {_stem(key): with_times(row) for key, row in _rows(folder / name).items()}
    return {}


def _rows(path: Path) -> dict[str, dict[str, Any]]:
    if path.suffix == ".json":
        content = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(content, dict):
            return {str(key): properties_of(row) for key, row in content.items()}
        table = pd.DataFrame(content)
    else:
        table = pd.read_csv(path)
    key = next((name for name in KEYS if name in table.columns), table.columns[0])
    rest = [column for column in table.columns if column != key]
    return {
        str(file): properties_of(dict(zip(rest, cells, strict=True)))
        for file, *cells in table[[key, *rest]].itertuples(index=False, name=None)
    }


def with_times(row: dict[str, Any]) -> dict[str, Any]:
    """Return a row with ``system:time_start`` and ``system:time_end`` in milliseconds.

    They may be dates in text. Where they are missing they are taken from STAC's
    ``start_datetime``, ``end_datetime`` and ``datetime``. The row is changed in place.

    Raises
    ------
    ValueError
        If a date cannot be read.
    """
    for name, others in _TIMES.items():
        value = next((row[n] for n in (name, *others) if row.get(n) is not None), None)
        if isinstance(value, str):
            value = millis(pd.Timestamp(value))
        if value is not None:
            row[name] = value
    return row


def _stem(name: str) -> str:
    return Path(name).stem if Path(name).suffix[1:].isalpha() else Path(name).name

"""Feature collections as files: CSV and GeoJSON.

The columns are the properties of the first feature unless they are named, as in exports
(https://developers.google.com/earth-engine/guides/exporting_tables); that this holds for
downloads is a guess.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping
from itertools import chain
from typing import Any

from eedask.emulator.answers import Answer, file_answer, json_answer
from eedask.emulator.errors import NotSupported

_GEOMETRY = ".geo"
_INDEX = "system:index"

JsonFeature = Mapping[str, Any]


def table_answer(
    features: Iterable[JsonFeature],
    file_format: str,
    selectors: list[str],
    filename: str | None,
) -> Answer:
    """Return a table as a file.

    Parameters
    ----------
    features : iterable of GeoJSON features
    file_format : str
        Of the TableFileFormat names; CSV is the default.
    selectors : list of str
        Columns, in order; ``.geo`` is the geometry. Empty: all of the first feature's.
    filename : str, optional
        Without its extension.
    """
    name = filename or "table"
    if file_format == "GEO_JSON":
        answer = json_answer(_geojson(features, selectors))
        return file_answer(answer.body, "application/geo+json", f"{name}.geojson")
    if file_format in ("CSV", "TABLE_FILE_FORMAT_UNSPECIFIED"):
        text = _csv(features, selectors)
        return file_answer(text.encode(), "text/csv; charset=UTF-8", f"{name}.csv")
    raise NotSupported(f"the table format {file_format}")


def _geojson(features: Iterable[JsonFeature], selectors: list[str]) -> dict[str, Any]:
    chosen = (
        [{**f, "properties": {s: f["properties"].get(s) for s in selectors}} for f in features]
        if selectors
        else list(features)
    )
    return {"type": "FeatureCollection", "features": chosen}


def _csv(features: Iterable[JsonFeature], selectors: list[str]) -> str:
    iterator = iter(features)
    first = next(iterator, None)
    rows = iterator if first is None else chain([first], iterator)
    columns = selectors or _columns(first)
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(columns)
    for feature in rows:
        writer.writerow([_cell(feature, column) for column in columns])
    return stream.getvalue()


def _columns(first: JsonFeature | None) -> list[str]:
    names = sorted(first["properties"]) if first else []
    return [_INDEX, *(name for name in names if name != _INDEX), _GEOMETRY]


def _cell(feature: JsonFeature, column: str) -> Any:
    if column == _GEOMETRY:
        value = feature.get("geometry")
    elif column == _INDEX:
        value = feature["properties"].get(_INDEX, feature.get("id"))
    else:
        value = feature["properties"].get(column)
    if isinstance(value, bool):
        return str(value).lower()
    return json.dumps(value) if isinstance(value, dict | list) else value

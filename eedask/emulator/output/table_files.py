"""Encodes feature collections as CSV and GeoJSON files.

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

from eedask.emulator.answers import json_answer

_GEOMETRY = ".geo"
_INDEX = "system:index"

JsonFeature = Mapping[str, Any]


def encode_geojson(features: Iterable[JsonFeature], selectors: list[str]) -> bytes:
    """Return a GeoJSON feature collection.

    Parameters
    ----------
    features : iterable of GeoJSON features
    selectors : list of str
        The properties to write; empty: all that each feature has.
    """
    chosen = (
        [{**f, "properties": {s: f["properties"].get(s) for s in selectors}} for f in features]
        if selectors
        else list(features)
    )
    return json_answer({"type": "FeatureCollection", "features": chosen}).body


def encode_csv(features: Iterable[JsonFeature], selectors: list[str]) -> bytes:
    """Return a CSV file in UTF-8.

    Parameters
    ----------
    features : iterable of GeoJSON features
    selectors : list of str
        The columns, in order; ``.geo`` is the geometry. Empty: all properties of the first feature.
    """
    iterator = iter(features)
    first = next(iterator, None)
    rows = iterator if first is None else chain([first], iterator)
    columns = selectors or _columns(first)
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(columns)
    for feature in rows:
        writer.writerow([_cell(feature, column) for column in columns])
    return stream.getvalue().encode()


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

"""A map to zoom and point at: what ``result.explore()`` returns."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from html import escape
from typing import Any

import geopandas as gpd
import pandas as pd

from eedask.errors import InputError
from eedask.results.reporting.drawing import column_of

_PACKAGES = ("folium", "matplotlib", "mapclassify")


def explored(
    manifest: gpd.GeoDataFrame,
    column: str | None,
    values: pd.DataFrame | None,
    options: Mapping[str, Any],
) -> Any:
    """Return geopandas' map of the items; see :meth:`eedask.Result.explore`."""
    if missing := [name for name in _PACKAGES if importlib.util.find_spec(name) is None]:
        raise InputError(
            f"maps to explore are drawn with {', '.join(missing)}, which is not installed: pip"
            f" install {' '.join(missing)}; .plot() needs neither"
        )
    shown = manifest[["status", "error_kind", "error", manifest.geometry.name]].copy()
    shown["status"] = shown["status"].fillna("not done")
    if column is not None:
        shown[column] = column_of(manifest, column, values)
    shown = shown[shown.geometry.notna() & ~shown.geometry.is_empty].reset_index(names="id")
    if shown.empty:
        raise InputError("no item has a place: their geometries are null or empty")
    texts = shown.select_dtypes(["object", "string"]).columns
    shown[texts] = shown[texts].map(escape, na_action="ignore")
    return shown.explore(column=column or "status", **options)

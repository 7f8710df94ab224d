"""A map to zoom and point at: what ``result.explore()`` returns."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd

from eedask.errors import InputError
from eedask.results.reporting.drawing import column_of
from eedask.results.reporting.item_map import EMPTY_MAP, places_of
from eedask.results.reporting.markup import text

_PACKAGES = ("folium", "matplotlib", "mapclassify")


def explored(
    manifest: gpd.GeoDataFrame,
    column: str | None,
    values: pd.DataFrame | None,
    options: Mapping[str, Any],
) -> Any:
    """Return geopandas' map of the items; see :meth:`eedask.Result.explore`."""
    shown = manifest[["status", "error_kind", "error", manifest.geometry.name]].copy()
    shown["status"] = shown["status"].fillna("not done")
    if column is not None:
        shown[column] = column_of(manifest, column, values)
    shown = shown[np.isfinite(places_of(shown)).all(axis=1)].reset_index(names="id")
    if shown.empty:
        raise InputError(EMPTY_MAP)
    if any(importlib.util.find_spec(name) is None for name in _PACKAGES):
        raise InputError(
            f"maps to explore need {', '.join(_PACKAGES)}, which are not all installed: pip install"
            ' "eedask[explore]"; .plot() needs none of them'
        )
    # Folium takes texts for HTML.
    texts = shown.select_dtypes(["object", "string"]).columns
    shown[texts] = shown[texts].map(text, na_action="ignore")
    return shown.explore(column=column or "status", **options)

"""A map of a result as a drawing: what ``result.plot()`` returns."""

from __future__ import annotations

import os
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from eedask.errors import InputError
from eedask.results.reporting.item_map import EMPTY_MAP, Dots, item_map, places_of, state_dots
from eedask.results.reporting.markup import number

# Colours of numbers from low to high, and of different values. They differ also for people who
# cannot tell red from green.
_SHADES = ("#440154", "#414487", "#2a788e", "#22a884", "#7ad151")
_KINDS = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9")
_NO_VALUE = "#b0b6c0"


@dataclass(frozen=True)
class Drawing:
    """A drawing as SVG, which notebooks show.

    Attributes
    ----------
    svg : str
        The text of the SVG.
    """

    svg: str

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the drawing to a file, whose name ends in ``.svg``."""
        Path(path).write_text(self.svg, encoding="utf-8")

    def _repr_svg_(self) -> str:
        return self.svg


def plotted(manifest: gpd.GeoDataFrame, column: str | None, values: pd.DataFrame | None) -> Drawing:
    """Return a map of the items by state, or by a column; see :meth:`eedask.Result.plot`."""
    if column is None:
        drawn = item_map(state_dots(manifest), "map of the items by state")
    else:
        shown = column_of(manifest, column, values)
        drawn = item_map(_value_dots(places_of(manifest), shown), f"map of {column}")
    if not drawn:
        raise InputError(EMPTY_MAP)
    return Drawing(drawn)


def column_of(
    manifest: gpd.GeoDataFrame, column: str, values: pd.DataFrame | None
) -> pd.Series[Any]:
    """Return a column of the table, one value an item, or else of the manifest.

    Raises
    ------
    InputError
        If neither has it.
    """
    is_name = isinstance(column, str)
    if is_name and values is not None and column in values.columns:
        by_item = values[column].groupby(level=0)
        found = by_item.mean() if _is_number(values[column]) else by_item.first()
        return found.reindex(manifest.index)
    names = [str(name) for name in manifest.columns if name != manifest.geometry.name]
    if not is_name or column not in names:
        of_table = [] if values is None else [str(name) for name in values.columns]
        raise InputError(f"there is no column {column!r}; there are {', '.join(of_table + names)}")
    of_items: pd.Series[Any] = manifest[column]
    return of_items


def _is_number(column: pd.Series[Any]) -> bool:
    return pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column)


def _value_dots(places: NDArray[np.float64], values: pd.Series[Any]) -> list[Dots]:
    is_number = _is_number(values)
    classes = _ranges(values) if is_number else _frequent(values)
    dots = [
        Dots(label, shade, places[which])
        for (label, which), shade in zip(classes, _SHADES if is_number else _KINDS, strict=False)
    ]
    none = ~np.logical_or.reduce([which for _, which in classes] or [np.zeros(len(places), bool)])
    return [Dots("no value", _NO_VALUE, places[none]), *dots]


def _ranges(values: pd.Series[Any]) -> list[tuple[str, NDArray[np.bool_]]]:
    """Divide finite numbers into classes of about equal size; return each name, and its items."""
    plain = values.to_numpy(dtype=float, na_value=np.nan)
    known = np.isfinite(plain)
    if not known.any():
        return []
    edges = np.unique(np.quantile(plain[known], np.linspace(0, 1, len(_SHADES) + 1)))
    if len(edges) == 1:
        return [(number(edges[0]), known)]
    found = np.digitize(plain, edges[1:-1])
    return [
        (f"{number(low)} to {number(high)}", (found == k) & known)
        for k, (low, high) in enumerate(pairwise(edges))
    ]


def _frequent(values: pd.Series[Any]) -> list[tuple[str, NDArray[np.bool_]]]:
    """Return the most frequent values, and all others as one class, each with its items."""
    texts = values.astype(str)
    names = list(texts[values.notna()].value_counts().index)
    most = len(_KINDS) if len(names) <= len(_KINDS) else len(_KINDS) - 1
    found = [(name, (texts == name).to_numpy(bool)) for name in names[:most]]
    if rest := names[most:]:
        found.append(("others", texts.isin(rest).to_numpy(bool)))
    return found

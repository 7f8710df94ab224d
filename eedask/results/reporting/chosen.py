"""Chooses which chips are shown if there are too many: some of each group, spread evenly."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import geopandas as gpd
import numpy as np
import pandas as pd

from eedask.dataset.subfolders import name_of


class Group(NamedTuple):
    """A group of items on a contact sheet or in the report.

    Attributes
    ----------
    name : str, optional
        The values that the items have in the columns of ``folder_by``; None without ``folder_by``.
    rows : GeoDataFrame
        The items that are shown, in their order in the manifest.
    total : int
        How many items the group has in all.
    """

    name: str | None
    rows: gpd.GeoDataFrame
    total: int


def chosen(done: gpd.GeoDataFrame, columns: Sequence[str], most: int) -> list[Group]:
    """Return the items to show, by group.

    Parameters
    ----------
    done : GeoDataFrame
        Rows of the manifest that have chips.
    columns : sequence of str
        The columns whose values make the groups; if empty, all items are one group.
    most : int
        How many items are shown in all. All groups get the same number; what a small group cannot
        use goes to the others. If there are more groups than ``most``, the first ones get one item
        each.
    """
    if not columns:
        return [Group(None, _spread(done, most), len(done))]
    found = [(_name(key), rows) for key, rows in done.groupby([*columns], dropna=False)][:most]
    shares = _shares([len(rows) for _, rows in found], most)
    return [
        Group(name, _spread(rows, share), len(rows))
        for (name, rows), share in zip(found, shares, strict=True)
    ]


def _name(key: tuple[Any, ...]) -> str:
    return ", ".join("no value" if pd.isna(value) else name_of(value) for value in key)


def _shares(sizes: list[int], most: int) -> list[int]:
    """Return how many of each group are shown: the groups take turns until ``most`` are."""
    shares = [0] * len(sizes)
    while most > 0 and (hungry := [k for k, n in enumerate(sizes) if shares[k] < n]):
        for k in hungry[:most]:
            shares[k] += 1
        most -= len(hungry)
    return shares


def _spread(rows: gpd.GeoDataFrame, count: int) -> gpd.GeoDataFrame:
    places = np.linspace(0, len(rows) - 1, min(count, len(rows))).astype(int)
    return rows.iloc[np.unique(places)]

"""Combines every item with every row of another frame, such as dates or images."""

from __future__ import annotations

from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd

from eedask.errors import InputError, ItemsError
from eedask.items.check import check_items, ids_named, some


def cross(
    items: pd.DataFrame, other: pd.DataFrame, *, ids: tuple[str, str] | None = None
) -> gpd.GeoDataFrame:
    """Return one item for each pair of an item and a row of another frame. No request.

    Parameters
    ----------
    items : GeoDataFrame or DataFrame
    other : GeoDataFrame or DataFrame
        Such as :func:`date_ranges` or :func:`image_ids`; its index holds unique ids.
    ids : (str, str), optional
        Names of columns for an item's own id and that of the other row, by which results can be
        grouped. Left out when not given.

    Returns
    -------
    GeoDataFrame
        ``len(items) * len(other)`` rows, the first item's first, with the columns of both. The
        index, named "id" if no column is, holds ``"ITEM_OTHER"``. The geometry and its crs are
        those of ``items``; of ``other`` only if the items have none.

    Raises
    ------
    ItemsError
        If either cannot be used as items, both have a column of one name, or two rows would have
        one id.
    InputError
        If ``ids`` is no pair of different names.

    Examples
    --------
    >>> months = eedask.items.date_ranges("2019", "2020", "MS")
    >>> jobs = eedask.items.cross(points, months, ids=("point", "month"))  # doctest: +SKIP
    >>> def greenest(item):
    ...     return collection.filterDate(item["start"], item["end"]).max()
    """
    left, right = (check_items(frame, geometry=False) for frame in (items, other))
    placed = left if left.geometry.notna().any() else right
    columns = [frame.drop(columns=frame.geometry.name) for frame in (left, right)]
    if ids is not None:
        names = _names(ids, columns)
        columns = [c.assign(**{n: c.index}) for c, n in zip(columns, names, strict=True)]
    _check_names(pd.Index([*columns[0], *columns[1], placed.geometry.name]))
    which = np.repeat(np.arange(len(left)), len(right)), np.tile(np.arange(len(right)), len(left))
    made = pair_ids(left.index[which[0]], right.index[which[1]])
    rows = [c.iloc[at].set_axis(made, axis=0) for c, at in zip(columns, which, strict=True)]
    shapes = placed.geometry.array.take(which[0] if placed is left else which[1])
    joined = pd.concat(rows, axis=1).assign(**{placed.geometry.name: shapes})
    joined.index = ids_named(made, "id", joined.columns)
    return gpd.GeoDataFrame(joined, geometry=placed.geometry.name, crs=placed.crs)


def _names(ids: Any, columns: list[pd.DataFrame]) -> tuple[str, str]:
    """Return the names for columns of ids; raise InputError if they cannot be used."""
    taken = [*columns[0].columns, *columns[1].columns, "id"]
    if (
        not isinstance(ids, tuple | list)
        or len(set(map(str, ids))) != 2
        or not all(isinstance(name, str) and name not in taken for name in ids)
    ):
        raise InputError(
            "ids is a pair of names for new columns, such as ids=('point', 'month'), other than"
            f" {taken}; got {ids!r}"
        )
    return ids[0], ids[1]


def _check_names(names: pd.Index) -> None:
    """Raise ItemsError if one name stands for two columns."""
    if not names.is_unique:
        twice = list(names[names.duplicated()].unique())
        raise ItemsError(
            f"both frames have columns named {twice}: rename them in one, for example with"
            f" other.rename(columns={{{twice[0]!r}: 'other_{twice[0]}'}}), or drop them"
        )


def pair_ids(left: pd.Index, right: pd.Index) -> pd.Index:
    """Return an id ``"LEFT_RIGHT"`` for each pair of ids.

    Raises
    ------
    ItemsError
        If two pairs get the same id, as the pairs ("a", "b_c") and ("a_b", "c") do.
    """
    made = pd.Index([f"{a}_{b}" for a, b in zip(left, right, strict=True)])
    if not made.is_unique:
        raise ItemsError(
            f"several pairs of ids make one id: {some(made[made.duplicated()].unique())}; use ids"
            ' without "_" in one of the frames, for example'
            ' with other.rename(index=lambda id: str(id).replace("_", "-"))'
        )
    return made

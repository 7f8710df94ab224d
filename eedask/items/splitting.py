"""Divides items into splits for training, validation and testing."""

from __future__ import annotations

import bisect
import hashlib
import itertools
import math
from collections.abc import Mapping
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from eedask.arguments import checked_seed, is_number, is_positive
from eedask.errors import InputError, ItemsError
from eedask.items.check import check_items, some
from eedask.items.item import plain

SHARES = {"train": 0.8, "val": 0.1, "test": 0.1}

# Metres: of a sphere with the Earth's surface, and of its halved circumference.
_RADIUS = 6_371_007.2
_HALF = math.pi * _RADIUS


def split(
    items: gpd.GeoDataFrame,
    by: str | None = "cell",
    shares: Mapping[str, float] = SHARES,
    *,
    cell_size: float | None = None,
    margin: float = 0.0,
    seed: int = 0,
) -> gpd.GeoDataFrame:
    """Return the items with a column ``split``, such as "train", "val" or "test". No request.

    Places that are close together resemble each other, so a model that is tested on neighbours of
    its training items looks better than it is. Therefore, by default, the Earth is divided into
    cells, and all items of a cell go to the same split.

    Parameters
    ----------
    items : GeoDataFrame
    by : str, optional
        Which items stay together. "cell": those in the same cell. A column's name: those with the
        same value in the column. None: each item is assigned by itself.
    shares : mapping of str to float
        The splits and their shares, which add up to 1.
    cell_size : float, optional
        With "cell": about how wide and high cells are, in metres, everywhere on Earth. Cells are
        laid in rows of latitude, whose number of cells falls towards the poles.
    margin : float
        With "cell": items nearer than so many metres to the edge of their cell have no split
        (null), so that items of different splits are about twice as far apart. For chips, half of
        their diagonal: then no two splits have pixels in common. Items are placed by one point in
        them (shapely's ``representative_point``).
    seed : int
        Items are assigned in another way for each seed.

    Returns
    -------
    GeoDataFrame
        The items as given, with the column ``split``.

    Raises
    ------
    InputError
        If an argument cannot be used.
    ItemsError
        If the items cannot be used, have a column "split" already, lack the column, or have
        nulls in it.

    Notes
    -----
    The split of an item is computed from a hash of the seed and its cell (or value, or id). It
    does not depend on the order of the items or on which other items there are, so adding items
    later does not move the earlier ones to another split. In return, shares are met on average
    only: with ``g`` cells, a share ``p`` has a standard deviation of ``sqrt(p * (1 - p) / g)``,
    which is 3 % for 10 % of 100 cells, and more if cells hold unequal numbers of items.

    Examples
    --------
    >>> items = eedask.items.split(points, cell_size=50_000, margin=400)  # doctest: +SKIP
    >>> items = eedask.items.split(points, by="ECO_NAME", seed=1)  # doctest: +SKIP
    >>> items["split"].value_counts(normalize=True)  # doctest: +SKIP
    """
    borders = _borders(shares)
    _check_arguments(by, cell_size, margin, seed)
    checked = check_items(items, geometry=by == "cell")
    if "split" in checked.columns:
        raise ItemsError("the items have a column 'split' already: rename or drop it")
    if by == "cell":
        assert cell_size is not None
        keys, inside = _cells(checked, float(cell_size), float(margin))
    else:
        keys = [repr(plain(one)) for one in (checked.index if by is None else _column(checked, by))]
        inside = np.ones(len(checked), bool)
    names = list(shares)
    drawn = {key: names[bisect.bisect(borders, _draw(key, seed))] for key in set(keys)}
    chosen = [drawn[key] for key in keys]
    found = pd.Series(chosen, index=checked.index, dtype="object").where(inside, None)
    return checked.assign(split=found)


def _borders(shares: Any) -> list[float]:
    """Return the numbers from 0 to 1 at which one split gives way to the next."""
    if not isinstance(shares, Mapping) or not all(
        isinstance(name, str) and name and is_positive(share) for name, share in shares.items()
    ):
        raise InputError(
            "shares are numbers above 0, by the names of the splits, such as"
            f" {SHARES!r}; got {shares!r}"
        )
    total = math.fsum(shares.values())
    if abs(total - 1) > 1e-6:
        raise InputError(f"shares add up to 1; those of {dict(shares)!r} to {total:g}")
    return [*itertools.accumulate(shares.values())][:-1]


def _check_arguments(by: Any, cell_size: Any, margin: Any, seed: Any) -> None:
    if not (by is None or isinstance(by, str)):
        raise InputError(f"by is 'cell', a column's name, or None; got {by!r}")
    if by == "cell" and not (is_positive(cell_size) and cell_size <= _HALF):
        raise InputError(
            "by='cell' needs cell_size=, a number of metres (up to half of the Earth's"
            f" circumference); got {cell_size!r}"
        )
    if by != "cell" and cell_size is not None:
        raise InputError(f"cell_size goes with by='cell'; got by={by!r}")
    if not (is_number(margin) and margin >= 0):
        raise InputError(f"margin is a number of metres, 0 or more; got {margin!r}")
    if margin and by != "cell":
        raise InputError(f"margin goes with by='cell'; got by={by!r}")
    if margin and margin * 2 >= cell_size:
        raise InputError(
            f"cells of {cell_size} m have no inside {margin} m from their edges: state a margin="
            " of less than half of cell_size="
        )
    checked_seed(seed)


def _column(items: gpd.GeoDataFrame, name: str) -> pd.Series:
    """Return the column whose values are groups."""
    if name not in items.columns or name == items.geometry.name:
        others = [c for c in items.columns if c != items.geometry.name]
        raise ItemsError(f"the items have no column {name!r} to split by; they have {others}")
    if (missing := items[name].isna()).any():
        raise ItemsError(
            f"the column {name!r}, by which to split, is null for items"
            f" {some(items.index[missing])}: fill them with fillna, or drop them"
        )
    found: pd.Series = items[name]
    return found


def _cells(
    items: gpd.GeoDataFrame, size: float, margin: float
) -> tuple[list[str], NDArray[np.bool_]]:
    """Return each item's cell, and whether it is at least the margin inside of it."""
    points = items.geometry.representative_point().to_crs("EPSG:4326")
    latitude = np.clip((points.y.to_numpy() + 90) / 180, 0, 1)
    longitude = ((points.x.to_numpy() + 180) / 360) % 1
    rows = math.ceil(_HALF / size)
    row = np.minimum(np.floor(latitude * rows), rows - 1)
    middle = np.cos(np.pi * ((row + 0.5) / rows - 0.5))
    columns = np.maximum(1, np.round(2 * _HALF * middle / size))
    column = np.minimum(np.floor(longitude * columns), columns - 1)
    around = 2 * _HALF * np.cos(np.pi * (latitude - 0.5))
    south, west = latitude * rows - row, longitude * columns - column
    high = np.minimum(south, 1 - south) * _HALF / rows
    wide = np.minimum(west, 1 - west) * around / columns
    keys = [f"{r:.0f},{c:.0f}" for r, c in zip(row, column, strict=True)]
    # The pole is not an edge of the cells around it. It counts as one here, which leaves out a few
    # items more than needed.
    return keys, (high >= margin) & (wide >= margin) if margin else np.ones(len(items), bool)


def _draw(key: str, seed: int) -> float:
    """Return a number from 0 until 1 for a cell, a value or an id."""
    hashed = hashlib.blake2b(f"{int(seed)}:{key}".encode(), digest_size=8).digest()
    return int.from_bytes(hashed, "big") / 2**64

"""How the items of a plan differ from those that a dataset has, told by a hash of each item."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import pandas as pd
import shapely

from eedask.crs import canonical_crs

Hashes = npt.NDArray[np.uint64]


def item_hashes(items: gpd.GeoDataFrame, fields: Sequence[str]) -> Hashes:
    """Return a hash of each item's id and of the fields on which its result depends.

    Parameters
    ----------
    items : GeoDataFrame
    fields : sequence of str
        "geometry", and "column:NAME" for columns; all of them are there.

    Returns
    -------
    ndarray of uint64
    """
    names = [field.removeprefix("column:") for field in fields if field != "geometry"]
    columns = pd.DataFrame(items[names]).set_axis(items.index.map(str), axis=0)
    missing = columns.isna()
    # None, NaN and NaT become one another on the way through a file, and whole numbers floats.
    texts = columns.map(_text).mask(missing, "")
    parts = [pd.util.hash_pandas_object(texts, index=True).to_numpy()]
    if names:
        parts.append(pd.util.hash_pandas_object(missing, index=False).to_numpy())
    if "geometry" in fields:
        crs = "" if items.crs is None else canonical_crs(items.crs)
        shapes = pd.Series(shapely.to_wkb(items.geometry.to_numpy(), hex=True)).fillna("none")
        parts.append(pd.util.hash_pandas_object(crs + shapes, index=False).to_numpy())
    whole = pd.util.hash_pandas_object(pd.DataFrame(dict(enumerate(parts))), index=False)
    return np.asarray(whole, np.uint64)


def _text(value: Any) -> str:
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


@dataclass(frozen=True)
class Growth:
    """What has become of the items since they were written to a dataset.

    Attributes
    ----------
    same, new, changed, gone : Index
        Ids: of items that are as they were; that the dataset does not have; whose geometry, or
        value in a column that the plan uses, is another; that the dataset has and the plan has
        not.
    """

    same: pd.Index
    new: pd.Index
    changed: pd.Index
    gone: pd.Index

    @classmethod
    def between(cls, there: pd.Series, here: pd.Series) -> Growth:
        """Return the difference between hashes by id: of the dataset's items, and the plan's."""
        both = here.index.intersection(there.index, sort=False)
        is_same = (here.loc[both] == there.loc[both]).to_numpy()
        return cls(
            same=both[is_same],
            new=here.index.difference(there.index, sort=False),
            changed=both[~is_same],
            gone=there.index.difference(here.index, sort=False),
        )

    @property
    def is_none(self) -> bool:
        """Whether all items are the same."""
        return not (len(self.new) or len(self.changed) or len(self.gone))

    def __str__(self) -> str:
        counts = [(len(getattr(self, name)), name) for name in ("same", "new", "changed", "gone")]
        return ", ".join(f"{count} {name}" for count, name in counts)

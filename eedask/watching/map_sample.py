"""Chooses which items the map of a run shows.

The choice follows from an item's id alone, so that client and workers choose the same items without
exchanging messages.
"""

from __future__ import annotations

import zlib
from typing import Any

import geopandas as gpd
import numpy as np

# About the most items on the map of one run; by chance it may be a few more.
MOST = 2000

# The states of an item.
WAITING, UNDER_WAY, DONE, FAILED = "waiting", "under way", "done", "failed"


def fraction_of(count: int) -> float:
    """Return the part of ``count`` items that the map shows, from 0 to 1."""
    return min(1.0, MOST / max(1, count))


def mark(id_: Any) -> int:
    """Return the number that identifies an item on the map: a hash of its id."""
    return zlib.crc32(str(id_).encode("utf-8", "surrogatepass"))


def is_shown(mark_: int, fraction: float) -> bool:
    """Return whether a map of this fraction of all items shows the item with this mark."""
    return mark_ < fraction * 2**32


def points_of(items: gpd.GeoDataFrame) -> list[tuple[int, float, float]]:
    """Return mark, longitude and latitude of the items that the map shows.

    Items without a geometry are left out, and all items of a frame without a crs.
    """
    fraction = fraction_of(len(items))
    marks = np.fromiter((mark(id_) for id_ in items.index), np.int64, len(items))
    shown = np.flatnonzero(marks < fraction * 2**32)
    if "geometry" not in items or items.crs is None:
        return []
    shapes = items.geometry.iloc[shown]
    there = ~(shapes.isna() | shapes.is_empty).to_numpy()
    places = shapes[there].representative_point().to_crs("EPSG:4326")
    finite = np.isfinite(places.x) & np.isfinite(places.y)
    places, marks = places[finite], marks[shown][there][finite.to_numpy()]
    return list(zip(marks.tolist(), places.x.round(5), places.y.round(5), strict=True))

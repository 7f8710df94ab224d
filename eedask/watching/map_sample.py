"""Which items a map of a run shows, so that client and workers choose the same without talking."""

from __future__ import annotations

import zlib
from typing import Any

import geopandas as gpd
import numpy as np

# Items on the map of one run, at most, or somewhat more by chance.
MOST = 2000

# What becomes of an item.
WAITING, UNDER_WAY, DONE, FAILED = "waiting", "under way", "done", "failed"


def share_of(count: int) -> float:
    """Return the part of ``count`` items that the map shows, from 0 to 1."""
    return min(1.0, MOST / max(1, count))


def mark(id_: Any) -> int:
    """Return the number by which client, workers and scheduler call an item on the map."""
    return zlib.crc32(str(id_).encode("utf-8", "surrogatepass"))


def is_shown(mark_: int, share: float) -> bool:
    """Return whether the map shows the item of this mark, if it shows a share of all."""
    return mark_ < share * 2**32


def points_of(items: gpd.GeoDataFrame) -> list[tuple[int, float, float]]:
    """Return mark, longitude and latitude of the items that the map shows.

    Items without a geometry, or of a frame without a crs, lie nowhere.
    """
    share = share_of(len(items))
    marks = np.fromiter((mark(id_) for id_ in items.index), np.int64, len(items))
    shown = np.flatnonzero(marks < share * 2**32)
    if "geometry" not in items or items.crs is None:
        return []
    shapes = items.geometry.iloc[shown]
    there = ~(shapes.isna() | shapes.is_empty).to_numpy()
    places = shapes[there].representative_point().to_crs("EPSG:4326")
    finite = np.isfinite(places.x) & np.isfinite(places.y)
    places, marks = places[finite], marks[shown][there][finite.to_numpy()]
    return list(zip(marks.tolist(), places.x.round(5), places.y.round(5), strict=True))

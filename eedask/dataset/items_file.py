"""The items of a plan in the dataset: one GeoParquet file, whose row groups are partitions."""

from __future__ import annotations

import functools
import hashlib
import io
import json
import random
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import shapely
from shapely.geometry.base import BaseGeometry

from eedask.dataset.folder import Folder
from eedask.errors import ItemsError
from eedask.grid import canonical_crs
from eedask.items.item import WorkItem

ITEMS = "items.parquet"
# The items' own order; the file has them in the order of space.
ORDER = "eedask:order"
# How many items besides the first stand for all others.
_SAMPLES = 5


def check_storable(items: gpd.GeoDataFrame) -> None:
    """Refuse columns that no Parquet file holds.

    Raises
    ------
    ItemsError
        If a column's name is not a string, or its values are of several types.
    """
    if odd := [name for name in items.columns if not isinstance(name, str)]:
        raise ItemsError(
            f"the items' columns are kept in Parquet, where names are strings; got {odd}:"
            " rename them, for example with items.rename(columns=str)"
        )
    values = items.drop(columns=items.geometry.name)
    for name in values.columns:
        if not pd.api.types.is_object_dtype(values[name]):
            continue
        try:
            pa.array(values[name], from_pandas=True)
        except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError) as error:
            raise ItemsError(
                f"the items' columns are kept in Parquet, and the values of {name!r} are of"
                f" several types, or of one that it does not know: {error}; drop the column, or"
                f" make it all text with items[{name!r}].astype(str)"
            ) from error


def items_digest(items: gpd.GeoDataFrame) -> str:
    """Return a hash of the items: ids, geometries and values."""
    hasher = hashlib.sha256()
    geometry = items.geometry
    columns = items.drop(columns=geometry.name)
    # None, NaN and NaT become one another on the way through a file.
    texts = columns.map(str).mask(columns.isna(), "").set_axis(items.index.map(str), axis=0)
    hasher.update(columns.isna().to_numpy().tobytes())
    hasher.update(pd.util.hash_pandas_object(texts, index=True).to_numpy().tobytes())
    for shape in shapely.to_wkb(geometry.to_numpy()):
        hasher.update(shape or b"null")
    hasher.update(json.dumps([*map(str, items.columns), _crs_name(items.crs)]).encode())
    return hasher.hexdigest()


def _crs_name(crs: Any) -> str | None:
    # As text, a crs that was read from a file differs from the same one that was not.
    return None if crs is None else canonical_crs(crs)


def work_items(items: gpd.GeoDataFrame) -> list[WorkItem]:
    """Return the items one by one, in EPSG:4326."""
    given = items.geometry
    values = items.drop(columns=given.name)
    if given.crs is None or given.crs == "EPSG:4326":
        return _work_items(values, given)
    crs = canonical_crs(given.crs)
    found = _work_items(values, given.to_crs("EPSG:4326"))
    bounds = shapely.bounds(given.to_numpy()).tolist()
    return [
        replace(item, crs=crs, bounds=tuple(box)) for item, box in zip(found, bounds, strict=True)
    ]


def sample_items(items: gpd.GeoDataFrame) -> list[WorkItem]:
    """Return the first item and a few others, the same ones for the same items."""
    others = random.Random(0).sample(range(len(items)), min(_SAMPLES, len(items)))
    return work_items(items.iloc[[0, *others]])


def _work_items(values: pd.DataFrame, shapes: Iterable[BaseGeometry | None]) -> list[WorkItem]:
    # Older pandas returns none at all where there are no columns.
    records: Any = values.to_dict("records") or [{}] * len(values)
    ids = values.index.tolist()
    return [WorkItem(*parts) for parts in zip(ids, shapes, records, strict=True)]


def items_file(items: gpd.GeoDataFrame, partition_size: int) -> bytes:
    """Return a GeoParquet file whose row groups are partitions of neighbours."""
    staged = items.assign(**{ORDER: range(len(items))})
    nowhere = (items.geometry.isna() | items.geometry.is_empty).to_numpy()
    if not nowhere.all():
        # Neighbours share input tiles at Earth Engine.
        places = np.flatnonzero(~nowhere)
        along = items.geometry.iloc[places].hilbert_distance().to_numpy().argsort(kind="stable")
        staged = staged.iloc[[*places[along], *np.flatnonzero(nowhere)]]
    buffer = io.BytesIO()
    # With index=None a range would be kept as its bounds alone, and no row group has its own ids.
    try:
        staged.to_parquet(buffer, row_group_size=partition_size, index=True)
    except (pa.ArrowException, TypeError) as error:
        # Arrow's words name the column.
        words = "; ".join(map(str, error.args))
        raise ItemsError(
            f"the items cannot be kept in Parquet ({words}); drop that column, or give all its"
            " values one kind"
        ) from error
    return buffer.getvalue()


def read_items(folder: Folder) -> gpd.GeoDataFrame:
    """Return the items as they were given, in their own order."""
    frame = gpd.read_parquet(io.BytesIO(folder.read(ITEMS)))
    return frame.sort_values(ORDER).drop(columns=ORDER)


def read_partition(folder: Folder, number: int) -> list[WorkItem]:
    """Return the items of one row group."""
    with folder.open(ITEMS) as file:
        metadata = _parquet_metadata(folder, folder.fingerprint(ITEMS))
        parquet = pq.ParquetFile(file, metadata=metadata)
        # Many partitions are read at once; threads for one would only be more of them.
        table = parquet.read_row_group(number, use_threads=False)
        frame = table.to_pandas(use_threads=False).drop(columns=ORDER)
        geo = json.loads(parquet.schema_arrow.metadata[b"geo"])
    name = geo["primary_column"]
    shapes = shapely.from_wkb(frame.pop(name).to_numpy())
    crs = geo["columns"][name].get("crs", "OGC:CRS84")
    if not _is_degrees(crs):
        return work_items(gpd.GeoDataFrame(frame, geometry=shapes, crs=crs))
    return _work_items(frame, shapes)


def _is_degrees(crs: Any) -> bool:
    """Whether a crs of GeoParquet (PROJJSON) says itself that it is EPSG:4326 or none.

    Asking pyproj costs every thread that asks a new look into its database.
    """
    if crs is None or crs == "OGC:CRS84":
        return True
    return isinstance(crs, dict) and crs.get("id") == {"authority": "EPSG", "code": 4326}


@functools.lru_cache(maxsize=8)
def _parquet_metadata(folder: Folder, _fingerprint: str) -> pq.FileMetaData:
    """Return the footer, which is megabytes for a million items and the same for each partition."""
    with folder.open(ITEMS) as file:
        return pq.read_metadata(file)

"""The items of a plan in the dataset: one GeoParquet file, whose row groups are partitions."""

from __future__ import annotations

import functools
import hashlib
import io
import json
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import shapely

from eedask.crs import canonical_crs
from eedask.dataset.folder import Folder
from eedask.errors import ItemsError
from eedask.items.item import WorkItem, made_items, work_items

ITEMS = "items.parquet"
# The items' own order; the file has them in the order of space.
ORDER = "eedask:order"


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
    return made_items(frame, shapes)


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

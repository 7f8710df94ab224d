"""The items of a plan in the dataset: one GeoParquet file, whose row groups are partitions."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import io
import json
from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import Any

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import shapely

from eedask.crs import canonical_crs
from eedask.dataset.folder import Folder, refusals_told
from eedask.dataset.growth import Hashes
from eedask.dataset.plan_file import ITEMS
from eedask.errors import DatasetError, ItemsError
from eedask.items.item import WorkItem, made_items, work_items

Positions = npt.NDArray[np.intp]

# The items' own order; the file has them in the order of space.
ORDER = "eedask:order"
# A hash of all in an item on which its result depends, by which a changed item is noticed.
HASH = "eedask:hash"


def items_digest(items: gpd.GeoDataFrame) -> str:
    """Return a hash of the items: ids, geometries and values, in their order."""
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


def neighbours(items: gpd.GeoDataFrame, size: int) -> list[Positions]:
    """Return partitions of items that lie close together: the positions of each one's items."""
    nowhere = (items.geometry.isna() | items.geometry.is_empty).to_numpy()
    order = np.arange(len(items))
    if not nowhere.all():
        # Neighbours share input tiles at Earth Engine.
        places = np.flatnonzero(~nowhere)
        along = items.geometry.iloc[places].hilbert_distance().to_numpy().argsort(kind="stable")
        order = np.concatenate([places[along], np.flatnonzero(nowhere)])
    return [order[first : first + size] for first in range(0, len(items), size)]


def items_file(items: gpd.GeoDataFrame, hashes: Hashes, partitions: Sequence[Positions]) -> bytes:
    """Return a GeoParquet file whose row groups are partitions.

    Parameters
    ----------
    items : GeoDataFrame
        In their own order.
    hashes : ndarray of uint64
        See :func:`eedask.dataset.growth.item_hashes`.
    partitions : sequence of ndarray
        Positions of each partition's items.
    """
    staged = items.assign(**{ORDER: range(len(items)), HASH: hashes})
    staged = staged.iloc[np.concatenate(partitions)]
    sizes = [len(partition) for partition in partitions]
    buffer = io.BytesIO()
    # With index=None a range would be kept as its bounds alone, and no row group has its own ids.
    try:
        staged.to_parquet(buffer, row_group_size=max(sizes), index=True, write_page_checksum=True)
    except (pa.ArrowException, TypeError, ValueError, OverflowError) as error:
        # Arrow's words name the column.
        words = "; ".join(map(str, error.args))
        raise ItemsError(
            f"the items cannot be kept in Parquet ({words}); drop that column, or give all its"
            " values one kind"
        ) from error
    is_even = all(size == max(sizes) for size in sizes[:-1])
    return buffer.getvalue() if is_even else _regrouped(buffer, sizes)


def _regrouped(buffer: io.BytesIO, sizes: Sequence[int]) -> bytes:
    """Return a Parquet file with row groups of other sizes."""
    table = pq.read_table(buffer)
    target = io.BytesIO()
    with pq.ParquetWriter(target, table.schema, write_page_checksum=True) as writer:
        for first, size in zip(accumulate(sizes, initial=0), sizes, strict=False):
            writer.write_table(table.slice(first, size), row_group_size=size)
    return target.getvalue()


def check_items(folder: Folder, digest: str, count: int, partitions: int) -> None:
    """Check that the file is the one that was staged. It is read once, in pieces.

    Parameters
    ----------
    folder : Folder
    digest : str
        Of the file, as hexadecimal SHA-256.
    count, partitions : int
        Items and partitions that it has.

    Raises
    ------
    DatasetError
        If it is not.
    """
    with _or_damaged(folder):
        with folder.open(ITEMS) as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        _check_digest(found, digest)
        with folder.open(ITEMS) as file:
            metadata = pq.read_metadata(file)
        found_counts = metadata.num_rows, metadata.num_row_groups
        if found_counts != (count, partitions):
            raise ValueError(
                f"it has (items, partitions) {found_counts}; plan.json says {(count, partitions)}"
            )


def read_items(folder: Folder, digest: str) -> gpd.GeoDataFrame:
    """Return the items as they were given, in their own order.

    Parameters
    ----------
    folder : Folder
    digest : str
        Of the file, as hexadecimal SHA-256.

    Raises
    ------
    DatasetError
        If the file is damaged.
    """
    return read_staged(folder, digest)[0].sort_values(ORDER).drop(columns=[ORDER, HASH])


def read_staged(folder: Folder, digest: str) -> tuple[gpd.GeoDataFrame, list[Positions]]:
    """Return the file as a frame, and the positions in it of each partition's items.

    Raises
    ------
    DatasetError
        If the file is damaged.
    """
    with _or_damaged(folder):
        data = folder.read(ITEMS)
        _check_digest(hashlib.sha256(data).hexdigest(), digest)
        frame = gpd.read_parquet(io.BytesIO(data))
        metadata = pq.read_metadata(io.BytesIO(data))
        sizes = [metadata.row_group(k).num_rows for k in range(metadata.num_row_groups)]
        return frame, np.split(np.arange(len(frame)), np.cumsum(sizes)[:-1])


def _check_digest(found: str, digest: str) -> None:
    if found != digest:
        raise ValueError("it is not the file that the plan was staged with")


@contextlib.contextmanager
def _or_damaged(folder: Folder) -> Iterator[None]:
    try:
        with refusals_told(folder):
            yield
    except DatasetError:
        raise
    # Arrow's and GeoPandas' errors for a file that is not the one expected are of many kinds.
    except Exception as error:
        raise DatasetError(
            f"{folder.path(ITEMS)} is damaged ({error}): put a copy back, choose another folder,"
            " or begin anew with run(overwrite=True)"
        ) from error


def read_partition(folder: Folder, number: int) -> list[WorkItem]:
    """Return the items of one row group.

    Raises
    ------
    DatasetError
        If the file is damaged.
    """
    with _or_damaged(folder):
        frame, name, crs = _row_group(folder, number)
        shapes = shapely.from_wkb(frame.pop(name).to_numpy())
    if not _is_degrees(crs):
        return work_items(gpd.GeoDataFrame(frame, geometry=shapes, crs=crs))
    return made_items(frame, shapes)


def _row_group(folder: Folder, number: int) -> tuple[pd.DataFrame, str, Any]:
    """Return the rows of a row group, the name of their geometry column, and its crs."""
    with folder.open(ITEMS) as file:
        metadata = _parquet_metadata(folder, folder.fingerprint(ITEMS))
        parquet = pq.ParquetFile(file, metadata=metadata, page_checksum_verification=True)
        # Many partitions are read at once; threads for one would only be more of them.
        table = parquet.read_row_group(number, use_threads=False)
        frame = table.to_pandas(use_threads=False).drop(columns=[ORDER, HASH])
        geo = json.loads(parquet.schema_arrow.metadata[b"geo"])
    name = geo["primary_column"]
    return frame, name, geo["columns"][name].get("crs", "OGC:CRS84")


def _is_degrees(crs: Any) -> bool:
    """Whether a crs of GeoParquet (PROJJSON) is EPSG:4326, or is not given.

    Read from the JSON itself: pyproj opens its database anew in every thread that asks it.
    """
    if crs is None or crs == "OGC:CRS84":
        return True
    return isinstance(crs, dict) and crs.get("id") == {"authority": "EPSG", "code": 4326}


@functools.lru_cache(maxsize=8)
def _parquet_metadata(folder: Folder, _fingerprint: str) -> pq.FileMetaData:
    """Return the footer, which is megabytes for a million items and the same for each partition."""
    with folder.open(ITEMS) as file:
        return pq.read_metadata(file)

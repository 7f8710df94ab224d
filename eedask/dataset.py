"""The folder that a run fills: what was asked, the items, and one row for each of them.

::

    plan.json                 what was asked
    items.parquet             the items; a row group is a partition
    manifest/part-NNNNN.parquet   a row for each item of partition N that is done
    table/part-NNNNN.parquet  the values of those items; table/_common_metadata has the columns
    chips/…                   the files

A partition's rows are written to the same file over and over as it goes, each time whole, so
that a partition which runs twice replaces its own rows and never adds to them.
"""

from __future__ import annotations

import functools
import hashlib
import io
import json
import random
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import shapely
from shapely.geometry.base import BaseGeometry

from eedask.errors import DatasetError, ItemsError
from eedask.grid import canonical_crs
from eedask.storage import Folder
from eedask.workitem import WorkItem

PLAN, ITEMS, PARTS = "plan.json", "items.parquet", "manifest"
CHIPS, TABLE, REPORT, SHEET = "chips", "table", "report.html", "contact_sheet.png"
RESULTS = (CHIPS, TABLE, REPORT, SHEET)
# The table's column of item ids, and where its columns are kept, as Parquet readers expect it.
ITEM_ID = "id"
_TABLE_SCHEMA = f"{TABLE}/_common_metadata"
# The items' own order; the file has them in the order of space.
ORDER = "eedask:order"
FORMAT_VERSION = 1

_DIGEST = re.compile("[0-9a-f]{64}")

OK, FAILED = "ok", "failed"


@dataclass(frozen=True)
class Row:
    """What became of one item: a row of the manifest.

    Attributes
    ----------
    id : int or str
    status : {"ok", "failed"}
    path : str, optional
        The item's file, relative to the dataset.
    nbytes : int
        Of the file.
    attempts : int
        Requests that were sent.
    elapsed_s : float
        Seconds from taking up the item to its end, waiting included.
    error_kind, error : str, optional
        Why it failed, in Earth Engine's own words where it answered.
    finished : datetime
        UTC.
    """

    id: Any
    status: str
    path: str | None = None
    nbytes: int = 0
    attempts: int = 0
    elapsed_s: float = 0.0
    error_kind: str | None = None
    error: str | None = None
    finished: datetime = field(default_factory=lambda: datetime.now(UTC))


_ROW_FIELDS: list[tuple[str, pa.DataType]] = [
    ("status", pa.string()),
    ("path", pa.string()),
    ("nbytes", pa.int64()),
    ("attempts", pa.int32()),
    ("elapsed_s", pa.float64()),
    ("error_kind", pa.string()),
    ("error", pa.string()),
    ("finished", pa.timestamp("us", tz="UTC")),
]
MANIFEST_COLUMNS = tuple(name for name, _ in _ROW_FIELDS)


@dataclass(frozen=True)
class Dataset:
    """A dataset in a folder; picklable.

    Parameters
    ----------
    folder : Folder
    """

    folder: Folder

    def stage(
        self,
        items: gpd.GeoDataFrame,
        asked: Mapping[str, Any],
        partition_size: int,
        overwrite: bool = False,
    ) -> dict[str, Any]:
        """Lay the dataset out, or find it laid out already for the same plan.

        Parameters
        ----------
        items : GeoDataFrame
        asked : mapping
            What determines the result, as JSON.
        partition_size : int
            Items in a partition; a dataset that is there keeps its own.
        overwrite : bool
            Whether a dataset that is there, of this plan or another, is removed first. Files
            that no run has written stay.

        Returns
        -------
        dict
            The content of ``plan.json``.

        Raises
        ------
        DatasetError
            If the folder holds another plan, or something else.
        """
        asked = json.loads(json.dumps({**asked, "items": items_digest(items)}))
        if not self.folder.exists(PLAN):
            self._check_empty()
        elif overwrite:
            self._clear()
        else:
            plan = self.plan()
            _check_same(self.folder.url, plan["asked"], asked)
            return plan
        self.folder.write(ITEMS, _items_file(items, partition_size))
        plan = {
            "eedask": FORMAT_VERSION,
            "asked": asked,
            "count": len(items),
            "partitions": -(-len(items) // partition_size),
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        # Last, so that a folder with a plan always has its items.
        self.folder.write(PLAN, json.dumps(plan, indent=1).encode())
        return plan

    def plan(self) -> dict[str, Any]:
        """Return the content of ``plan.json``.

        Raises
        ------
        DatasetError
            If there is none, or none that can be read.
        """
        url = self.folder.url
        if not self.folder.exists(PLAN):
            raise DatasetError(f"{url} is not an eedask dataset: it has no {PLAN}")
        try:
            plan: dict[str, Any] = json.loads(self.folder.read(PLAN))
            version = plan["eedask"]
        except (ValueError, KeyError, TypeError) as error:
            raise DatasetError(
                f"{url}/{PLAN} is damaged ({error}): put a copy back, choose another folder, or"
                " begin anew with run(overwrite=True)"
            ) from error
        if version != FORMAT_VERSION:
            raise DatasetError(
                f"{url} has format {version} of eedask's datasets; this version reads"
                f" {FORMAT_VERSION}"
            )
        return plan

    def _clear(self) -> None:
        """Remove what runs and reports have written."""
        for name in (PARTS, *RESULTS, ITEMS, PLAN):
            self.folder.remove(name)

    def _check_empty(self) -> None:
        if self.folder.is_file:
            raise DatasetError(f"out={self.folder.url!r} is a file; choose a folder")
        names = self.folder.list() if self.folder.exists() else []
        # What a stage that was cut short leaves is ours.
        foreign = [n for n in names if n != ITEMS]
        if foreign:
            raise DatasetError(
                f"out={self.folder.url!r} already holds something else ({', '.join(foreign[:3])}"
                f"{' …' if len(foreign) > 3 else ''}); choose a new or an empty folder"
            )

    def items(self) -> gpd.GeoDataFrame:
        """Return all items as they were given, in their own order."""
        frame = gpd.read_parquet(io.BytesIO(self.folder.read(ITEMS)))
        return frame.sort_values(ORDER).drop(columns=ORDER)

    def partition(self, number: int) -> list[WorkItem]:
        """Return the items of one partition, in EPSG:4326."""
        return _read_row_group(self.folder, number)

    def rows(self, number: int) -> list[Row]:
        """Return the rows of a partition that were written so far."""
        name = _part(number)
        if not self.folder.exists(name):
            return []
        table = self.read_part(name)
        return [Row(**row) for row in table.to_pylist()]

    def read_part(self, name: str, columns: list[str] | None = None) -> pa.Table:
        """Return a part of the manifest or of the table.

        Raises
        ------
        DatasetError
            If it is damaged.
        """
        try:
            # pq.read_table would load the whole of pyarrow.dataset, for one small file.
            return pq.ParquetFile(pa.BufferReader(self.folder.read(name))).read(
                columns=columns, use_threads=False
            )
        except pa.ArrowInvalid as error:
            raise DatasetError(
                f"{self.folder.path(name)} is damaged ({error}); remove it and run the same plan"
                " again to fetch its items anew"
            ) from error

    def write_rows(self, number: int, rows: Sequence[Row]) -> None:
        """Write all rows of a partition that there are, in place of those written before."""
        buffer = io.BytesIO()
        pq.write_table(_rows_table(rows), buffer)
        self.folder.write(_part(number), buffer.getvalue())

    def state_schema(self, schema: pa.Schema) -> None:
        """State the table's columns, the same for all parts and runs.

        Raises
        ------
        DatasetError
            If an earlier run has stated others.
        """
        there = self.table_schema()
        if there is None:
            buffer = io.BytesIO()
            pq.write_metadata(schema, buffer)
            self.folder.write(_TABLE_SCHEMA, buffer.getvalue())
        elif not there.equals(schema):
            raise DatasetError(
                f"{self.folder.path(TABLE)} has the columns {_columns(there)}, and what Earth"
                f" Engine gives now has {_columns(schema)}: the image or its bands have changed."
                " Choose another folder, or run with overwrite=True"
            )

    def table_schema(self) -> pa.Schema | None:
        """Return the table's columns; None where there is no table."""
        if not self.folder.exists(_TABLE_SCHEMA):
            return None
        return pq.read_schema(io.BytesIO(self.folder.read(_TABLE_SCHEMA)))

    def write_table(self, number: int, table: pa.Table) -> None:
        """Write all rows of a partition's table that there are, in place of those before."""
        buffer = io.BytesIO()
        pq.write_table(table, buffer)
        self.folder.write(table_part(number), buffer.getvalue())

    def table_rows(self, number: int, schema: pa.Schema, ids: Sequence[Any]) -> pa.Table:
        """Return the rows of a partition's table that were written for some items."""
        name = table_part(number)
        if not ids or not self.folder.exists(name):
            return schema.empty_table()
        table = self.read_part(name).cast(schema)
        return table.filter(pc.is_in(table[ITEM_ID], pa.array(ids, table[ITEM_ID].type)))

    def table(self) -> pa.Table | None:
        """Return the table, parts in their order; None where there is none."""
        schema = self.table_schema()
        if schema is None:
            return None
        names = self.table_parts()
        return pa.concat_tables([schema.empty_table(), *map(self.read_part, names)])

    def table_parts(self) -> list[str]:
        """Return the names of the table's parts that there are, in their order."""
        return self.folder.list(TABLE, "part-*.parquet")

    def write_file(self, name: str, data: bytes) -> None:
        """Write an item's file, whole or not at all."""
        self.folder.write(name, data)

    def counts(self) -> dict[str, int]:
        """Return how many items have which status, without reading the items."""
        counts = {OK: 0, FAILED: 0}
        for name in self.folder.list(PARTS, "part-*.parquet"):
            statuses = self.read_part(name, columns=["status"])["status"].value_counts()
            for found in statuses.to_pylist():
                counts[found["values"]] += found["counts"]
        return counts

    def manifest(self) -> gpd.GeoDataFrame:
        """Return the items with what became of each; columns are null where nothing did yet."""
        items = self.items()
        names = self.folder.list(PARTS, "part-*.parquet")
        tables = [self.read_part(name) for name in names]
        if not tables:
            rows = _rows_table([]).drop_columns("id").to_pandas()
            return items.join(rows.reindex(items.index))
        rows = pa.concat_tables(tables).to_pandas().set_index("id")
        return items.join(rows.reindex(items.index))


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


# How many items besides the first stand for all others.
_SAMPLES = 5


def sample_items(items: gpd.GeoDataFrame) -> list[WorkItem]:
    """Return the first item and a few others, the same ones for the same items."""
    others = random.Random(0).sample(range(len(items)), min(_SAMPLES, len(items)))
    return work_items(items.iloc[[0, *others]])


def _work_items(values: pd.DataFrame, shapes: Iterable[BaseGeometry | None]) -> list[WorkItem]:
    # Older pandas returns none at all where there are no columns.
    records: Any = values.to_dict("records") or [{}] * len(values)
    ids = values.index.tolist()
    return [WorkItem(*parts) for parts in zip(ids, shapes, records, strict=True)]


def _items_file(items: gpd.GeoDataFrame, partition_size: int) -> bytes:
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


def _read_row_group(folder: Folder, number: int) -> list[WorkItem]:
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


def _rows_table(rows: Sequence[Row]) -> pa.Table:
    ids = pa.array([row.id for row in rows])
    data = {
        name: pa.array([getattr(row, name) for row in rows], kind) for name, kind in _ROW_FIELDS
    }
    return pa.table({"id": ids, **data})


def table_part(number: int) -> str:
    """Return the name of the table's part for a partition."""
    return f"{TABLE}/part-{number:05d}.parquet"


def _columns(schema: pa.Schema) -> str:
    return ", ".join(f"{field.name} ({field.type})" for field in schema)


def _part(number: int) -> str:
    return f"{PARTS}/part-{number:05d}.parquet"


def _check_same(url: str, there: Mapping[str, Any], asked: Mapping[str, Any]) -> None:
    names = sorted(set(there) | set(asked))
    differing = [name for name in names if there.get(name) != asked.get(name)]
    if not differing:
        return
    details = "; ".join(_difference(name, there.get(name), asked.get(name)) for name in differing)
    raise DatasetError(
        f"out={url!r} holds a different plan ({details}); choose another folder, repeat the plan"
        " that is there to resume it, or remove it with run(overwrite=True)"
    )


def _difference(name: str, there: Any, asked: Any) -> str:
    # Two digests would say no more than that they differ.
    if all(isinstance(value, str) and _DIGEST.fullmatch(value) for value in (there, asked)):
        return f"{name}: not the same as there"
    return f"{name}: there {_short(there)}, asked {_short(asked)}"


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else f"{text[:57]}…"

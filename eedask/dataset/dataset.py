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

import io
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import geopandas as gpd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from eedask.dataset.folder import Folder
from eedask.dataset.items_file import (
    ITEMS,
    ORDER,
    items_digest,
    items_file,
    read_items,
    read_partition,
)
from eedask.dataset.parts import Parts, read_part
from eedask.dataset.rows import (
    CHIP_COLUMNS,
    FAILED,
    ITEM_ID,
    MANIFEST_COLUMNS,
    OK,
    Row,
    chip_names,
    not_done,
    rows_frame,
    rows_of,
    rows_table,
)
from eedask.errors import DatasetError
from eedask.items.item import WorkItem

# Column names that items cannot have, as results need them for themselves. Those of chips give way
# to the items' own (see chip_names), and that of the ids is the index, not a column.
RESERVED = (*MANIFEST_COLUMNS, ORDER)

PLAN, MANIFEST = "plan.json", "manifest"
CHIPS, TABLE, REPORT, SHEET = "chips", "table", "report.html", "contact_sheet.png"
RESULTS = (CHIPS, TABLE, REPORT, SHEET)
_TABLE_SCHEMA = f"{TABLE}/_common_metadata"
FORMAT_VERSION = 1

DIGEST = re.compile("[0-9a-f]{64}")


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
        self.folder.write(ITEMS, items_file(items, partition_size))
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
        for name in (MANIFEST, *RESULTS, ITEMS, PLAN):
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
        return read_items(self.folder)

    def partition(self, number: int) -> list[WorkItem]:
        """Return the items of one partition, in EPSG:4326."""
        return read_partition(self.folder, number)

    @property
    def _manifest_parts(self) -> Parts:
        return Parts(self.folder, MANIFEST)

    @property
    def _table_parts(self) -> Parts:
        return Parts(self.folder, TABLE)

    def rows(self, number: int) -> list[Row]:
        """Return the rows of a partition that were written so far.

        Those of items that are done are left out where the table's part is gone.
        """
        part = self._manifest_parts.read(number)
        if part is None:
            return []
        if self._has_table and not self._table_parts.exists(number):
            part = not_done(part)
        return rows_of(part)

    def read_part(self, name: str) -> pa.Table:
        """Return a part of the manifest or of the table, by its name.

        Raises
        ------
        DatasetError
            If it is damaged.
        """
        return read_part(self.folder, name)

    def write_rows(self, number: int, rows: Sequence[Row]) -> None:
        """Write all rows of a partition that there are, in place of those written before."""
        self._manifest_parts.write(number, rows_table(rows))

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
        if not self._has_table:
            return None
        return pq.read_schema(io.BytesIO(self.folder.read(_TABLE_SCHEMA)))

    @property
    def _has_table(self) -> bool:
        return self.folder.exists(_TABLE_SCHEMA)

    def table_part(self, number: int) -> str:
        """Return the name of the table's part for a partition, whether or not it is there."""
        return self._table_parts.name(number)

    def table_parts(self) -> list[str]:
        """Return the names of the table's parts that there are, in their order."""
        return self._table_parts.names()

    def write_table(self, number: int, table: pa.Table) -> None:
        """Write all rows of a partition's table that there are, in place of those before."""
        self._table_parts.write(number, table)

    def table_rows(self, number: int, schema: pa.Schema, ids: Sequence[Any]) -> pa.Table:
        """Return the rows of a partition's table that were written for some items."""
        part = self._table_parts.read(number) if ids else None
        if part is None:
            return schema.empty_table()
        table = part.cast(schema)
        return table.filter(pc.is_in(table[ITEM_ID], pa.array(ids, table[ITEM_ID].type)))

    def table(self) -> pa.Table | None:
        """Return the table, parts in their order; None where there is none."""
        schema = self.table_schema()
        if schema is None:
            return None
        return pa.concat_tables([schema.empty_table(), *self._table_parts.read_all().values()])

    def write_file(self, name: str, data: bytes) -> None:
        """Write an item's file, whole or not at all."""
        self.folder.write(name, data)

    def counts(self) -> dict[str, int]:
        """Return how many items have which status, without reading the items."""
        counts = {OK: 0, FAILED: 0}
        for part in self._all_rows(columns=["status"]):
            for found in part["status"].value_counts().to_pylist():
                counts[found["values"]] += found["counts"]
        return counts

    def _all_rows(self, columns: list[str] | None = None) -> list[pa.Table]:
        """Return the manifest's parts, each as :meth:`rows` has it."""
        parts = self._manifest_parts.read_all(columns)
        if not self._has_table:
            return list(parts.values())
        # A partition's part of the table is called as its part of the manifest is.
        there = {name.removeprefix(TABLE) for name in self.table_parts()}
        return [
            part if name.removeprefix(MANIFEST) in there else not_done(part)
            for name, part in parts.items()
        ]

    def manifest(self) -> gpd.GeoDataFrame:
        """Return the items with what became of each; columns are null where nothing did yet.

        A table has no chips, and its manifest none of their columns.
        """
        items = self.items()
        rows = rows_frame(self._all_rows())
        if self._has_table:
            rows = rows.drop(columns=list(CHIP_COLUMNS))
        return items.join(rows.rename(columns=chip_names(items.columns)).reindex(items.index))


def _columns(schema: pa.Schema) -> str:
    return ", ".join(f"{field.name} ({field.type})" for field in schema)


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
    if all(isinstance(value, str) and DIGEST.fullmatch(value) for value in (there, asked)):
        return f"{name}: not the same as there"
    return f"{name}: there {_short(there)}, asked {_short(asked)}"


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else f"{text[:57]}…"

"""The folder that a run fills: what was asked, the items, and one row for each of them.

::

    plan.json                 what was asked
    items.parquet             the items; a row group is a partition
    manifest/part-NNNNN.parquet   a row for each item of partition N that is done
    table/part-NNNNN.parquet  the values of those items; table/_common_metadata has the columns
    chips/…                   the files, in chips/ROLE/… where images have roles
    stats/part-NNNNN.parquet  a row for each time that partition N was worked on

A partition's rows are written to the same file over and over as it goes, each time whole, so
that a partition which runs twice replaces its own rows and never adds to them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import geopandas as gpd
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from eedask.dataset.folder import Folder
from eedask.dataset.items_file import (
    HASH,
    ORDER,
    read_items,
    read_partition,
)
from eedask.dataset.parts import Parts, or_damaged, part_name
from eedask.dataset.plan_file import PLAN, read_plan, write_plan
from eedask.dataset.roles import files_of, roles_in
from eedask.dataset.rows import (
    CHIP_COLUMNS,
    FAILED,
    ITEM_ID,
    MANIFEST_COLUMNS,
    OK,
    Row,
    bands_column,
    check_rows,
    chip_names,
    file_columns,
    is_done,
    lost,
    property_columns,
    rows_frame,
    rows_of,
    rows_table,
)
from eedask.dataset.stats import STATS, Stats
from eedask.dataset.values_table import TABLE, ValuesTable, with_values
from eedask.errors import DatasetError
from eedask.items.item import WorkItem

# Column names that items cannot have, as results need them for themselves. Those of chips give way
# to the items' own (see chip_names), and that of the ids is the index, not a column.
RESERVED = (*MANIFEST_COLUMNS, ORDER, HASH)

MANIFEST = "manifest"
CHIPS, REPORT = "chips", "report.html"
RESULTS = (CHIPS, TABLE, STATS, REPORT)


@dataclass(frozen=True)
class Dataset:
    """A dataset in a folder; picklable.

    Parameters
    ----------
    folder : Folder
    """

    folder: Folder

    def plan(self) -> dict[str, Any]:
        """Return the content of ``plan.json``; see :func:`read_plan`."""
        return read_plan(self.folder)

    def items(self) -> gpd.GeoDataFrame:
        """Return all items as they were given, in their own order.

        Raises
        ------
        DatasetError
            If their file is damaged, as for all that reads the dataset.
        """
        plan = self.plan()
        items = read_items(self.folder, plan["items_sha256"])
        if len(items) != plan["count"]:
            raise DatasetError(
                f"{self.folder.path(PLAN)} is damaged: it says {plan['count']} items, and there are"
                f" {len(items)}; put a copy back, or begin anew with run(overwrite=True)"
            )
        return items

    def note_cost(self, eecu_s: float | None) -> None:
        """Write to ``plan.json`` the EECU-seconds that all runs have used, if they are known."""
        if eecu_s is not None:
            write_plan(self.folder, {**self.plan(), "eecu_s": round(eecu_s, 3)})

    def partition(self, number: int) -> list[WorkItem]:
        """Return the items of one partition, in EPSG:4326."""
        return read_partition(self.folder, number)

    @property
    def values(self) -> ValuesTable:
        """The dataset's table. A dataset of chips has none: see its ``exists``."""
        return ValuesTable(self.folder)

    @property
    def stats(self) -> Stats:
        """The statistics of its partitions."""
        return Stats(self.folder)

    @property
    def _parts(self) -> Parts:
        return Parts(self.folder, MANIFEST, check_rows)

    def rows(self, number: int) -> list[Row]:
        """Return the rows of a partition that were written so far.

        Where the table has lost an item's values, the item has lost what it had.
        """
        part = self._parts.read(number)
        if part is None:
            return []
        if self.values.exists:
            there = self.values.parts().read(number)
            kept = _none(part) if there is None else with_values(part["id"], there)
            part = lost(part, pc.and_not(is_done(part), kept))
        return rows_of(part)

    def write_rows(self, number: int, rows: Sequence[Row]) -> None:
        """Write all rows of a partition that there are, in place of those written before.

        The files of chips are on the disk for good when the rows are.
        """
        self._parts.write(number, rows_table(rows))

    def forget_lost_files(self) -> None:
        """Mark items as not done if one of their files is missing, or has another length."""
        if self.values.exists:
            return
        sizes = self.folder.sizes(CHIPS)
        for number, part in self._all_rows().items():
            # A store that tells no sizes gives None.
            whole = [
                all(path in sizes and sizes[path] in (n, None) for path, n in files.items())
                for files in files_of(part)
            ]
            gone = pc.and_not(is_done(part), pa.array(whole, pa.bool_()))
            if pc.any(gone).as_py():
                self._parts.write(number, lost(part, gone))

    def forget(self, ids: Sequence[Any]) -> None:
        """Mark items as not done that have changed, and remove their values or files.

        Rows of the manifest go first: what is cut short after that leaves items that are not done,
        whose old files and values no reader is shown.
        """
        for number, part in self._all_rows().items():
            which = pc.is_in(part["id"], pa.array(ids, part["id"].type))
            if not pc.any(which).as_py():
                continue
            self._parts.write(number, lost(part, which))
            if self.values.exists:
                there = self.values.parts().read(number)
                if there is not None:
                    old = pc.is_in(there[ITEM_ID], pa.array(ids, there[ITEM_ID].type))
                    self.write_table(number, there.filter(pc.invert(old)))
            else:
                for files in files_of(part.filter(which)):
                    for name in files:
                        self.folder.remove(name)

    def table_part(self, number: int) -> str:
        """Return the name of the table's part for a partition, whether or not it is there."""
        return part_name(TABLE, number)

    def write_table(self, number: int, table: pa.Table) -> None:
        """Write all rows of a partition's table that there are, in place of those before."""
        self.values.parts().write(number, table)

    def table_rows(self, number: int, schema: pa.Schema, ids: Sequence[Any]) -> pa.Table:
        """Return the rows of a partition's table that were written for some items."""
        part = self.values.parts().read(number) if ids else None
        if part is None:
            return schema.empty_table()
        return part.filter(pc.is_in(part[ITEM_ID], pa.array(ids, part[ITEM_ID].type)))

    def table_partitions(self) -> list[int]:
        """Return the partitions that have a part of the table."""
        return [*self.values.parts().names(self.plan()["partitions"])]

    def table_of(self, number: int) -> pa.Table:
        """Return the rows of the table that one partition has.

        Raises
        ------
        DatasetError
            If they are gone or damaged.
        """
        parts = self.values.parts()
        part = parts.read(number)
        if part is None:
            raise DatasetError(_gone(self.folder.path(parts.name(number))))
        return self._complete(number, self._parts.read(number), part)

    def table(self) -> pa.Table | None:
        """Return the table, parts in their order; None where there is none."""
        schema = self.values.schema()
        if schema is None:
            return None
        rows = self._all_rows()
        parts = self.values.parts().read_all(self.plan()["partitions"])
        found = [self._complete(number, rows.get(number), part) for number, part in parts.items()]
        return pa.concat_tables([schema.empty_table(), *found])

    def _complete(self, number: int, rows: pa.Table | None, part: pa.Table) -> pa.Table:
        """Return the values of items that are done; raise DatasetError if one has none."""
        if rows is None:
            return part.slice(0, 0)
        done = rows["id"].filter(is_done(rows))
        if not pc.all(with_values(done, part), min_count=0).as_py():
            path = self.folder.path(self.table_part(number))
            raise DatasetError(_gone(f"{path} is damaged: a row of it"))
        # Values of others may be there: of items that have changed, or whose rows were not written.
        return part.filter(pc.is_in(part[ITEM_ID], done.combine_chunks().cast(part[ITEM_ID].type)))

    def write_file(self, name: str, data: bytes) -> None:
        """Write an item's file, whole or not at all; see :meth:`sync_files`."""
        self.folder.write(name, data, sync=False)

    def sync_files(self, names: Iterable[str]) -> None:
        """Put files on the disk for good, before the manifest says that they are there."""
        self.folder.sync(names)

    def counts(self) -> dict[str, int]:
        """Return how many items have which status, without reading the items."""
        counts = {OK: 0, FAILED: 0}
        for part in self._all_rows(columns=["id", "status"]).values():
            for found in part["status"].drop_null().value_counts().to_pylist():
                counts[found["values"]] += found["counts"]
        return counts

    def outcomes(self) -> pa.Table:
        """Return what became of items, without reading the items.

        Returns
        -------
        Table
            A row for each item that a run has come to, with the columns id, status, nbytes,
            error_kind and error of the manifest.
        """
        columns = ["id", "status", "nbytes", "error_kind", "error"]
        parts = self._all_rows(columns).values()
        # The empty part says which columns there are where there is no other.
        empty = rows_table([]).select(columns)
        return pa.concat_tables([empty, *parts], promote_options="default")

    def bands(self) -> pd.Series:
        """Return the bands of each item that has a chip, by its id, as :func:`bands_in` reads them.

        They are categories: most chips of a run have the same.
        """
        parts = self._all_rows(columns=["id", "status", "bands"]).values()
        return bands_column([part.filter(is_done(part)) for part in parts])

    def _all_rows(self, columns: list[str] | None = None) -> dict[int, pa.Table]:
        """Return the manifest's parts by partition.

        Where a part of the table is gone, its items have lost what they had.
        """
        partitions = self.plan()["partitions"]
        parts = self._parts.read_all(partitions, columns)
        if self.values.exists:
            there = self.values.parts().names(partitions)
            parts = {
                number: part if number in there else lost(part, is_done(part))
                for number, part in parts.items()
            }
        return parts

    def manifest(self) -> gpd.GeoDataFrame:
        """Return the items with what became of each; columns are null where nothing did yet.

        A table has no chips, and its manifest none of their columns.
        """
        items = self.items()
        parts = [*self._all_rows().values()]
        rows = rows_frame(parts)
        if not rows.index.is_unique or not rows.index.isin(items.index).all():
            raise DatasetError(
                f"{self.folder.path(MANIFEST)} has rows of other items, or more than one of an"
                " item: remove that folder and run the same plan again to fetch all items anew"
            )
        told = rows.pop("properties")
        if self.values.exists:
            rows = rows.drop(columns=list(CHIP_COLUMNS))
        elif rows["path"].str.startswith(f"{TABLE}/").any():
            raise DatasetError(
                f"{self.folder.path(TABLE)} has lost the file that states its columns; run the same"
                " plan again to fetch its items anew"
            )
        names = chip_names(items.columns)
        manifest = items.join(rows.rename(columns=names).reindex(items.index))
        if roles := roles_in(self.plan()["asked"]):
            with or_damaged(self.folder, MANIFEST):
                manifest = manifest.join(file_columns(parts, roles))
        return self._beside(manifest, told)

    def properties(self, where: Literal["manifest", "table"]) -> list[str]:
        """Return the properties of images that the manifest tells, or that are in the table.

        The manifest has those of an item's own image. A series has many images an item, and those
        of each are in its row of the table, as texts in JSON.
        """
        asked = self.plan()["asked"]
        there = TABLE if asked["verb"] == "time_series" else MANIFEST
        return list(asked.get("properties") or ()) if where == there else []

    def items_and_properties(self, taken: Iterable[str]) -> gpd.GeoDataFrame:
        """Return all items, with the properties of their images if the plan wants any.

        Parameters
        ----------
        taken : iterable of str
            Names that no property may have.
        """
        items = self.items()
        if not self.properties("manifest"):
            return items
        parts = self._all_rows(columns=["id", "status", "properties"])
        return self._beside(items, rows_frame([*parts.values()])["properties"], taken)

    def _beside(
        self, frame: gpd.GeoDataFrame, told: pd.Series, taken: Iterable[str] = ()
    ) -> gpd.GeoDataFrame:
        """Return a frame of all items with properties beside it, of texts in JSON by item."""
        if not (wanted := self.properties("manifest")):
            return frame
        with or_damaged(self.folder, MANIFEST):
            found = property_columns(told.reindex(frame.index), wanted)
        whose = "image" if self.values.exists else "chip"
        names = chip_names([*frame.columns, *taken], wanted, whose)
        return frame.join(found.rename(columns=names))


def _none(part: pa.Table) -> pa.Array:
    return pa.array([False] * len(part))


def _gone(what: str) -> str:
    return f"{what} is gone; remove the part and run the same plan again to fetch its items anew"

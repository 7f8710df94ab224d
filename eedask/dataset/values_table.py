"""The table of a dataset: its columns, and the parts that hold the values."""

from __future__ import annotations

import io
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from eedask.dataset.folder import Folder, refusals_told
from eedask.dataset.parts import Parts
from eedask.dataset.rows import IMAGE, ITEM_ID, WHEN
from eedask.errors import DatasetError

TABLE = "table"
_SCHEMA = f"{TABLE}/_common_metadata"


@dataclass(frozen=True)
class ValuesTable:
    """The table of a dataset, which may have none.

    Parameters
    ----------
    folder : Folder
        Of the dataset.
    """

    folder: Folder

    @property
    def exists(self) -> bool:
        """Whether the dataset has a table. Its columns are written before the first value."""
        return self.folder.exists(_SCHEMA)

    def schema(self) -> pa.Schema | None:
        """Return the columns; None where there is no table.

        Raises
        ------
        DatasetError
            If the file that states them is damaged, or the system does not let it be read.
        """
        if not self.exists:
            return None
        try:
            with refusals_told(self.folder):
                stated = self.folder.read(_SCHEMA)
            schema = pq.read_schema(io.BytesIO(stated))
            if ITEM_ID not in schema.names:
                raise ValueError(f"it has no column {ITEM_ID!r}")
        except DatasetError:
            raise
        # Arrow's errors for files that are no Parquet are of many kinds.
        except Exception as error:
            raise DatasetError(
                f"{self.folder.path(_SCHEMA)} is damaged ({error}); remove it and run the same"
                " plan again, which writes it anew"
            ) from error
        return schema

    def state(self, schema: pa.Schema) -> None:
        """State the columns, the same for all parts and runs.

        Raises
        ------
        DatasetError
            If an earlier run has stated others.
        """
        there = self.schema()
        if there is None:
            buffer = io.BytesIO()
            pq.write_metadata(schema, buffer)
            self.folder.write(_SCHEMA, buffer.getvalue())
        elif not there.equals(schema):
            raise DatasetError(
                f"{self.folder.path(TABLE)} has the columns {_columns(there)}, and what Earth"
                f" Engine gives now has {_columns(schema)}: the image or its bands have changed."
                " Choose another folder, or run with overwrite=True"
            )

    def parts(self) -> Parts:
        """Return the files of the table, checked against the columns when they are read."""
        schema = self.schema()

        def check(part: pa.Table) -> None:
            if schema is None or not part.schema.equals(schema):
                raise ValueError(f"its columns are {_columns(part.schema)}")
            if part[ITEM_ID].null_count:
                raise ValueError("a row is of no item")
            ids = pc.count_distinct(part[ITEM_ID]).as_py()
            if not is_series(schema) and ids != len(part):
                raise ValueError("an item has more than one row")

        return Parts(self.folder, TABLE, check)


def is_series(schema: pa.Schema) -> bool:
    """Whether a table has a row for each image of an item, and not one for each item."""
    # A column of one of these names alone may hold anything.
    return {IMAGE, WHEN} <= {*schema.names}


def with_values(ids: pa.ChunkedArray, part: pa.Table) -> pa.ChunkedArray:
    """Return, for each of some items that are done, whether a part of the table can be theirs.

    An item of a series may have no row, as there may be no image.
    """
    if is_series(part.schema):
        return ids.is_valid()
    return pc.is_in(ids, part[ITEM_ID].combine_chunks().cast(ids.type))


def _columns(schema: pa.Schema) -> str:
    return ", ".join(f"{field.name} ({field.type})" for field in schema)

"""Rows of the manifest, and the columns that tables and manifests have for themselves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

# The table's column of item ids, and where its columns are kept, as Parquet readers expect it.
ITEM_ID = "id"

OK, FAILED = "ok", "failed"

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

# Columns of a long table, before those of the values.
IMAGE, WHEN = "image", "time"


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


def not_done(part: pa.Table) -> pa.Table:
    """Return the rows of a part of the manifest whose items are not done."""
    return part.filter(pc.not_equal(part["status"], OK))


def rows_table(rows: Sequence[Row]) -> pa.Table:
    """Return rows as a part of the manifest."""
    ids = pa.array([row.id for row in rows])
    data = {
        name: pa.array([getattr(row, name) for row in rows], kind) for name, kind in _ROW_FIELDS
    }
    return pa.table({"id": ids, **data})

"""Rows of the manifest, and the columns that tables and manifests have for themselves."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from eedask.grid import Transform

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

# Where a chip's pixels lie. Items may have columns of these names: see chip_names.
_CHIP_FIELDS: list[tuple[str, pa.DataType]] = [
    ("crs", pa.string()),
    ("transform", pa.list_(pa.float64())),
    ("height", pa.int32()),
    ("width", pa.int32()),
]

CHIP_COLUMNS = tuple(name for name, _ in _CHIP_FIELDS)

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
    crs, transform, height, width : optional
        Where the pixels of the item's chip lie, as :class:`eedask.run.task.File` has it. None for
        an item without a chip, and in datasets that were made before chips had them.
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
    crs: str | None = None
    transform: Transform | None = None
    height: int | None = None
    width: int | None = None


def not_done(part: pa.Table) -> pa.Table:
    """Return the rows of a part of the manifest whose items are not done."""
    return part.filter(pc.not_equal(part["status"], OK))


def rows_table(rows: Sequence[Row]) -> pa.Table:
    """Return rows as a part of the manifest."""
    ids = pa.array([row.id for row in rows])
    data = {
        name: pa.array([getattr(row, name) for row in rows], kind)
        for name, kind in (*_ROW_FIELDS, *_CHIP_FIELDS)
    }
    return pa.table({"id": ids, **data})


def rows_of(part: pa.Table) -> list[Row]:
    """Return the rows of a part of the manifest."""
    whole = _completed([part])
    transforms = _transforms(whole["transform"])
    records = whole.drop_columns("transform").to_pylist()
    return [Row(**one, transform=six) for one, six in zip(records, transforms, strict=True)]


def rows_frame(parts: Sequence[pa.Table]) -> pd.DataFrame:
    """Return all parts of the manifest as one frame, with the ids as its index.

    Transforms are tuples of 6 floats: unlike arrays, they can be compared and written as JSON.
    """
    whole = _completed(parts)
    frame: pd.DataFrame = whole.drop_columns("transform").to_pandas()
    frame.insert(
        whole.column_names.index("transform"),
        "transform",
        pd.Series(_transforms(whole["transform"]), dtype=object),
    )
    # Whole numbers stay whole where some are missing.
    return frame.astype({"height": "Int32", "width": "Int32"}).set_index("id")


def _completed(parts: Sequence[pa.Table]) -> pa.Table:
    """Return parts of the manifest as one table.

    Parts that were written before chips had their crs, transform, height and width get them, null.
    """
    # The empty part has all columns, in their order.
    return pa.concat_tables([rows_table([]), *parts], promote_options="default")


def _transforms(column: pa.ChunkedArray) -> list[Transform | None]:
    """Return lists of 6 numbers as tuples, in a few steps for all of them."""
    known = column.drop_null().combine_chunks().flatten().to_numpy().reshape(-1, 6)
    tuples = map(tuple, known.tolist())
    return [next(tuples) if there else None for there in column.is_valid().to_pylist()]


def chip_names(taken: Iterable[str]) -> dict[str, str]:
    """Return how a chip's columns are called beside columns whose names are taken.

    A name that is taken begins with ``chip_``, as many times as it takes to be another.
    """
    others = set(taken)
    names = {}
    for name in CHIP_COLUMNS:
        free = name
        while free in others:
            free = f"chip_{free}"
        names[name] = free
    return names

"""Rows of the manifest, and the columns that tables and manifests have for themselves."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from eedask.dataset.roles import (
    FILES,
    RoleFile,
    check_files,
    columns_of,
    paths_in,
)
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

# What else is told of a chip, which users are shown in other forms: bands and properties as JSON.
# Most chips of a run have the same bands.
_TOLD_FIELDS: list[tuple[str, pa.DataType]] = [
    ("bands", pa.dictionary(pa.int32(), pa.string())),
    ("properties", pa.string()),
    ("files", FILES),
]

_FIELDS = [*_ROW_FIELDS, *_CHIP_FIELDS, *_TOLD_FIELDS]

_ID_TEXTS = (pa.string(), pa.large_string())

# Columns of a long table, before those of the values.
IMAGE, WHEN = "image", "time"

# What a run writes as a path: names made by safe_name below "chips", or a part of the table. None
# leads out of the dataset's folder.
_NAMED = "%()+,=@\\[\\]_~0-9A-Za-z-"
_PATH = rf"^(chips(/[{_NAMED}][{_NAMED} .]*)+|table/part-[0-9]{{5,}}\.parquet)$"


@dataclass(frozen=True)
class Row:
    """What became of one item: a row of the manifest.

    Attributes
    ----------
    id : int or str
    status : {"ok", "failed"}, optional
        None if what the item had is lost: its file is missing, or is not as long as it was.
    path : str, optional
        The item's file, relative to the dataset; that of the first role, if there are several.
    nbytes : int
        Of the file, or of all files.
    attempts : int
        How often the item was tried, in all runs so far.
    elapsed_s : float
        Seconds from taking up the item to its end, waiting included; of items that are done
        together, each has its share.
    error_kind, error : str, optional
        Why it failed, in Earth Engine's own words where it answered. Of an item that is done:
        "no_image" and why, if a file of its holds masked pixels alone because there is no image.
    finished : datetime, optional
        UTC.
    crs, transform, height, width : optional
        Where the pixels of the item's chip lie, as :class:`eedask.run.task.Chip` has it. None for
        an item without a chip, and in datasets that were made before chips had them.
    bands : str, optional
        The types of the chip's bands by their names, as :class:`eedask.run.task.File` has them, in
        JSON; by role, if there are several.
    properties : str, optional
        What the user wanted to know of the item's image, in JSON.
    files : sequence of RoleFile, optional
        One for each role, if there are several.
    """

    id: Any
    status: str | None
    path: str | None = None
    nbytes: int = 0
    attempts: int = 0
    elapsed_s: float = 0.0
    error_kind: str | None = None
    error: str | None = None
    finished: datetime | None = field(default_factory=lambda: datetime.now(UTC))
    crs: str | None = None
    transform: Transform | None = None
    height: int | None = None
    width: int | None = None
    bands: str | None = None
    properties: str | None = None
    files: Sequence[RoleFile] | None = None

    @property
    def paths(self) -> list[str]:
        """The paths of all files of the item."""
        if self.files is not None:
            return [file["path"] for file in self.files]
        return [] if self.path is None else [self.path]


def lost(part: pa.Table, which: pa.Array | pa.ChunkedArray) -> pa.Table:
    """Return a part of the manifest in which some items count as not done.

    Of what their rows said, only the number of attempts stays.

    Parameters
    ----------
    part : Table
    which : Array of bool
        True for those items.
    """
    blank = rows_table([Row(None, None, finished=None)])
    columns = {
        name: part[name]
        if name in ("id", "attempts")
        else pc.if_else(which, pa.scalar(blank[name][0].as_py(), part[name].type), part[name])
        for name in part.column_names
    }
    return pa.table(columns)


def is_done(part: pa.Table) -> pa.ChunkedArray:
    """Return, for each row of a part of the manifest, whether its item is done."""
    return pc.fill_null(pc.equal(part["status"], OK), False)


def check_rows(part: pa.Table) -> None:
    """Check that a part of the manifest, or some of its columns, is as a run writes it.

    Raises
    ------
    ValueError
        If it is not; the message says what is wrong.
    """
    _check_types(part)
    if part["id"].null_count or pc.count_distinct(part["id"]).as_py() != len(part):
        raise ValueError("an item has no id, or more than one row")
    if not pc.all(pc.is_in(part["status"], pa.array([OK, FAILED, None])), min_count=0).as_py():
        raise ValueError("a status is neither 'ok' nor 'failed'")
    if "path" in part.column_names:
        _check_paths(part)
    for name in {"nbytes", "attempts", "elapsed_s", "height", "width"} & {*part.column_names}:
        if (pc.min(part[name]).as_py() or 0) < 0:
            raise ValueError(f"a value of {name!r} is negative")
    if "transform" in part.column_names:
        lengths = pc.unique(pc.list_value_length(part["transform"]).drop_null()).to_pylist()
        if lengths not in ([], [6]) or part["transform"].combine_chunks().flatten().null_count:
            raise ValueError("a transform has other than 6 numbers")
    if "files" in part.column_names:
        check_files(part["files"])
    if "bands" in part.column_names:
        for text in pc.unique(part["bands"]).drop_null().to_pylist():
            _ = bands_in(text)


def _check_types(part: pa.Table) -> None:
    known = dict(_FIELDS)
    for field_ in part.schema:
        if field_.name == "id":
            right = pa.types.is_integer(field_.type) or field_.type in _ID_TEXTS
        else:
            right = field_.type == known.get(field_.name)
        if not right:
            raise ValueError(f"there is no column {field_.name!r} of type {field_.type}")
    if missing := [name for name in ("id", "status") if name not in part.column_names]:
        raise ValueError(f"it has no column {missing[0]!r}")


def _check_paths(part: pa.Table) -> None:
    paths = paths_in(part) if "files" in part.column_names else part["path"]
    right = pc.match_substring_regex(paths, _PATH)
    for path in paths.filter(pc.invert(pc.fill_null(right, True))).to_pylist()[:1]:
        raise ValueError(f"the path {path!r} is none that a run writes")
    if pc.any(pc.and_(is_done(part), part["path"].is_null())).as_py():
        raise ValueError("an item that is done has no path")


def bands_in(text: str) -> dict[str | None, dict[str, str]]:
    """Return the types of bands by their names, by role, as a row has them in JSON.

    The role is None where a chip has one file only.

    Raises
    ------
    ValueError
        If the text says nothing of the kind.
    """
    told = json.loads(text)
    if not isinstance(told, dict):
        raise ValueError(f"{text!r} does not name bands")
    has_roles = any(isinstance(one, dict) for one in told.values())
    by_role: dict[str | None, Any] = {**told} if has_roles else {None: told}
    for bands in by_role.values():
        if not (isinstance(bands, dict) and all(isinstance(k, str) for k in bands.values())):
            raise ValueError(f"{text!r} does not name bands")
    return by_role


def rows_table(rows: Sequence[Row]) -> pa.Table:
    """Return rows as a part of the manifest."""
    ids = pa.array([row.id for row in rows])
    data = {name: pa.array([getattr(row, name) for row in rows], kind) for name, kind in _FIELDS}
    return pa.table({"id": ids, **data})


def rows_of(part: pa.Table) -> list[Row]:
    """Return the rows of a part of the manifest."""
    whole = _completed([part])
    transforms = _transforms(whole["transform"])
    records = whole.drop_columns("transform").to_pylist()
    return [Row(**one, transform=six) for one, six in zip(records, transforms, strict=True)]


def rows_frame(parts: Sequence[pa.Table]) -> pd.DataFrame:
    """Return all parts of the manifest as one frame, with the ids as its index.

    Transforms are tuples of 6 floats, as those of :class:`~eedask.grid.PixelGrid`. The manifest's
    files have lists, of which pandas makes arrays. Tuples can be compared, written as JSON, and
    grouped by.
    Bands and the files of roles are left out, and properties are JSON; see :func:`bands_column`,
    :func:`file_columns`, :func:`property_columns`.
    """
    whole = _completed(parts)
    frame: pd.DataFrame = whole.drop_columns(["transform", "bands", "files"]).to_pandas()
    frame.insert(
        whole.column_names.index("transform"),
        "transform",
        pd.Series(_transforms(whole["transform"]), dtype=object),
    )
    # Whole numbers stay whole where some are missing.
    return frame.astype({"height": "Int32", "width": "Int32"}).set_index("id")


def bands_column(parts: Sequence[pa.Table]) -> pd.Series:
    """Return the column of bands of all parts, as categories, with the ids as its index."""
    whole = _completed(parts)
    found: pd.Series = whole["bands"].to_pandas()
    return found.set_axis(pd.Index(whole["id"].to_pandas(), name="id"))


def file_columns(parts: Sequence[pa.Table], roles: Sequence[str]) -> pd.DataFrame:
    """Return the path and the bytes of each role's file, with the ids as the frame's index.

    Raises
    ------
    ValueError
        If an item has files of other roles.
    """
    whole = _completed(parts)
    found = columns_of(whole["files"], roles)
    return found.set_axis(pd.Index(whole["id"].to_pandas(), name="id"), axis=0)


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


def property_columns(told: pd.Series, names: Sequence[str]) -> pd.DataFrame:
    """Return properties of images as columns, of texts in JSON.

    Parameters
    ----------
    told : Series of str
        Null where nothing is known.
    names : sequence of str

    Raises
    ------
    ValueError
        If a text is none that a run writes.
    """
    records: list[Any] = [{} if pd.isna(text) else json.loads(text) for text in told]
    if not all(isinstance(record, dict) for record in records):
        raise ValueError("a row does not name properties")
    return pd.DataFrame(
        {name: _column([record.get(name) for record in records], told.index) for name in names},
        index=told.index,
    )


def decoded(texts: pd.Series) -> pd.Series:
    """Return the values of a column of texts in JSON, of the type that holds them all."""
    return _column([None if pd.isna(text) else json.loads(text) for text in texts], texts.index)


def _column(values: list[Any], index: pd.Index) -> pd.Series:
    """Return values as a column; whole numbers stay whole where some are missing."""
    kinds = {type(value) for value in values if value is not None}
    # By default, pandas would take what is all null for text or for floats.
    dtype: Any = {frozenset(): object, frozenset({int}): "Int64"}.get(frozenset(kinds))
    column: pd.Series = pd.Series(values, index, dtype=dtype)
    return column


def chip_names(
    taken: Iterable[str], wanted: Iterable[str] = CHIP_COLUMNS, whose: str = "chip"
) -> dict[str, str]:
    """Return the names that columns of a chip get in the manifest, beside those that are taken.

    ``chip_`` is put before a name that is taken already, again and again until it is new.

    Parameters
    ----------
    taken : iterable of str
    wanted : iterable of str
        What is told of where a chip lies, or properties of its image.
    whose : str
        What is put before a name, if it is not a chip's.
    """
    others = set(taken)
    names = {}
    for name in wanted:
        free = name
        while free in others:
            free = f"{whose}_{free}"
        names[name] = free
        others.add(free)
    return names

"""The subfolders that files of items lie in, by the items' values."""

from __future__ import annotations

import datetime
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import geopandas as gpd

from eedask.dataset.file_names import differ_only_by_case, safe_name
from eedask.errors import InputError, ItemsError
from eedask.items.check import some
from eedask.items.item import WorkItem


@dataclass(frozen=True)
class Subfolders:
    """Nested folders, one for each of some columns, in their order.

    Attributes
    ----------
    columns : tuple of str
        None at all: files lie in one folder.
    missing : str, optional
        What a folder is called where an item's value is null; None: there may be no nulls.
    """

    columns: tuple[str, ...] = ()
    missing: str | None = None

    @classmethod
    def of(cls, folder_by: str | Sequence[str] | None, missing: str | None) -> Subfolders:
        """Return the subfolders that a user states.

        Raises
        ------
        InputError
        """
        given = [] if folder_by is None else folder_by
        columns = [given] if isinstance(given, str) else given
        usable = isinstance(columns, Sequence) and all(isinstance(name, str) for name in columns)
        if not usable or len({*columns}) < len(columns):
            raise InputError(
                "folder_by is a column of the items, or a list of several, each once; got"
                f" {folder_by!r}"
            )
        if missing is not None and not (columns and isinstance(missing, str)):
            raise InputError(
                "folder_missing is the name of the folder of items whose value of folder_by is"
                f" null, and needs folder_by; got {missing!r}"
            )
        return cls(tuple(columns), missing)

    def check(self, items: gpd.GeoDataFrame) -> None:
        """Raise ItemsError unless every item has a folder.

        The message names the column, or the items whose value is null.
        """
        geometry = items.geometry.name
        for name in self.columns:
            if name not in items.columns or name == geometry:
                columns = [c for c in items.columns if c != geometry]
                raise ItemsError(
                    f"folder_by={name!r} is not a column of the items; they have {columns}"
                )
            values = items[name]
            if values.dtype == object and not all(isinstance(one, Hashable) for one in values):
                raise ItemsError(
                    f"folder_by={name!r} holds lists or the like, which name no folder: make text"
                    f" of them, with items[{name!r}].astype(str)"
                )
            empty = items.index[items[name].isna()]
            if self.missing is None and len(empty):
                raise ItemsError(
                    f"folder_by={name!r} has no value for {len(empty)} of the items: {some(empty)};"
                    " fill it, or name the folder that they go to, as folder_missing='unknown'"
                )

    def differ_only_by_case(self, items: gpd.GeoDataFrame) -> bool:
        """Whether two folders are one where a file system ignores case."""
        own = [] if self.missing is None else [self.missing]
        return any(
            differ_only_by_case([*items[name].dropna().unique(), *own]) for name in self.columns
        )

    def path(self, item: WorkItem, *, unique_case: bool) -> str:
        """Return the folders of an item, each followed by a slash; see :func:`safe_name`."""
        values = (item.value(f"column:{name}") for name in self.columns)
        named = (self.missing if value is None else name_of(value) for value in values)
        return "".join(f"{safe_name(name, unique_case=unique_case)}/" for name in named)


def name_of(value: Any) -> str:
    """Return a value as text; a time in the shortest form of ISO 8601 that has no colons."""
    if not isinstance(value, datetime.date):
        return str(value)
    if not isinstance(value, datetime.datetime):
        return value.isoformat()
    day, _, clock = value.replace(tzinfo=None).isoformat().partition("T")
    return day if clock == "00:00:00" else f"{day}T{clock.replace(':', '')}"

"""Datasets whose items have several files, one for each role: what is kept of roles.

The plan has their names, and arguments by role. The manifest's parts have a column of all files; it
is null for items with one file, whose path and bytes stand in columns of their own.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, TypedDict

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

ROLES = "roles"


def terms_by_role(terms: Mapping[str | None, Mapping[str, Any]]) -> dict[str, Any]:
    """Return what was asked of each role's image, as a plan keeps it; see :func:`terms_of`.

    Parameters
    ----------
    terms : mapping of str to mapping
        The arguments by their names, by role; those of the role None, the only one, stay as they
        are.
    """
    if None in terms:
        return dict(terms[None])
    names = dict.fromkeys(name for own in terms.values() for name in own)
    found = {name: {role: own[name] for role, own in terms.items()} for name in names}
    stated = {
        name: values if any(v not in (None, ()) for v in values.values()) else None
        for name, values in found.items()
    }
    return {ROLES: [*terms], **stated}


def roles_in(asked: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the roles of a plan, of what it asks; none where items have one file."""
    return tuple(asked.get(ROLES) or ())


def terms_of(asked: Mapping[str, Any], role: str | None) -> Mapping[str, Any]:
    """Return what a plan asks, with the arguments that are by role as those of one of them."""
    if role is None:
        return asked
    return {
        name: value.get(role) if isinstance(value, Mapping) else value
        for name, value in asked.items()
    }


class RoleFile(TypedDict):
    """A file of an item: its path is relative to the dataset."""

    role: str
    path: str
    nbytes: int


# The column of all files of items.
FILES = pa.list_(pa.struct([("role", pa.string()), ("path", pa.string()), ("nbytes", pa.int64())]))


def check_files(files: pa.ChunkedArray) -> None:
    """Raise ValueError if a value of the column is none that a run writes.

    Paths are checked with those of other items, see :func:`paths_in`.
    """
    each = pc.list_flatten(files)
    if any(pc.struct_field(each, name).null_count for name in RoleFile.__annotations__):
        raise ValueError("a file of an item has no role, path or bytes")
    if (pc.min(pc.struct_field(each, "nbytes")).as_py() or 0) < 0:
        raise ValueError("the bytes of a file are negative")


def paths_in(part: pa.Table) -> pa.ChunkedArray:
    """Return the paths of all files of a part of the manifest; nulls may be among them."""
    several = pc.struct_field(pc.list_flatten(part["files"]), "path")
    return pa.chunked_array([*part["path"].chunks, *several.chunks], pa.string())


def files_of(part: pa.Table) -> Iterator[dict[str, int]]:
    """Yield, for each row of a part, the bytes of its files by their paths."""
    columns = (part[name].to_pylist() for name in ("path", "nbytes", "files"))
    for path, nbytes, several in zip(*columns, strict=True):
        if several is not None:
            yield {one["path"]: one["nbytes"] for one in several}
        else:
            yield {} if path is None else {path: nbytes}


def columns_for(role: str | None) -> tuple[str, str]:
    """Return the columns of the manifest with the path and the bytes of a role's file.

    For the role None they are those of items with one file.
    """
    return ("path", "nbytes") if role is None else (f"path_{role}", f"nbytes_{role}")


def column_names(roles: Iterable[str]) -> list[str]:
    """Return the columns that the manifest has for roles."""
    return [name for role in roles for name in columns_for(role)]


def columns_of(files: pa.ChunkedArray, roles: Sequence[str]) -> pd.DataFrame:
    """Return the path and the bytes of each role's file, null for items without files.

    Raises
    ------
    ValueError
        If an item has files of other roles.
    """
    found, right = {}, pc.equal(pc.list_value_length(files), len(roles))
    if pc.all(right, min_count=0).as_py():
        for place, role in enumerate(roles):
            one = pc.list_element(files, place)
            right = pc.and_(right, pc.equal(pc.struct_field(one, "role"), role))
            path, nbytes = columns_for(role)
            found[path] = pc.struct_field(one, "path").to_pandas()
            found[nbytes] = pc.struct_field(one, "nbytes").to_pandas().astype("Int64")
    if not pc.all(right, min_count=0).as_py():
        raise ValueError(f"an item has other files than those of {list(roles)}")
    return pd.DataFrame(found)

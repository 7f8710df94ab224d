"""Checks of work items: a GeoDataFrame with one row an item, whose index holds their ids."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import pyarrow as pa
import shapely
from geopandas.array import GeometryDtype

from eedask.crs import is_plane
from eedask.errors import ItemsError


def check_items(
    items: Any,
    *,
    geometry: bool,
    reserved: Sequence[str] = (),
    missing: bool = False,
    wrapped: bool = False,
) -> gpd.GeoDataFrame:
    """Return the items as a GeoDataFrame that can be worked on.

    Parameters
    ----------
    items : GeoDataFrame or DataFrame
    geometry : bool
        Whether items need a geometry.
    reserved : sequence of str
        Names that the items' columns may not have, as the result uses them.
    missing : bool
        Whether some geometries may be missing or empty. Such items fail in the run, each with its
        own row.
    wrapped : bool
        Whether longitudes may lie beyond 180 degrees, as in shapes across the antimeridian.

    Returns
    -------
    GeoDataFrame
        The items as given; a DataFrame gets a geometry column of None.

    Raises
    ------
    ItemsError
        If they cannot be used. The message names the items, and says what to do.
    """
    if not isinstance(items, pd.DataFrame):
        raise ItemsError(
            f"items is a GeoDataFrame with one row for each item; got {type(items).__name__}: make"
            " one with geopandas.GeoDataFrame, or read one with geopandas.read_file"
        )
    if items.empty and len(items) == 0:
        raise ItemsError("there are no items: the frame has no rows; look at what filtered it")
    if not isinstance(items, gpd.GeoDataFrame) or items._geometry_column_name not in items:
        if geometry:
            raise ItemsError("the items have no geometry column; set one with set_geometry")
        if "geometry" in items:
            raise ItemsError(
                "the items have a column 'geometry' that geopandas does not take for their"
                " geometry: make it that with geopandas.GeoDataFrame(items, geometry='geometry',"
                " crs='EPSG:4326'), or rename or drop it"
            )
        items = gpd.GeoDataFrame(items, geometry=[None] * len(items), crs="EPSG:4326")
    _check_index(items.index)
    if taken := [c for c in items.columns if c in reserved]:
        raise ItemsError(f"the columns {taken} are the manifest's own; rename them in the items")
    _check_id_column(items)
    if not items.columns.is_unique:
        raise ItemsError(
            f"columns stand twice: {some(items.columns[items.columns.duplicated()])}; rename or"
            " drop one of each"
        )
    _check_crs(items)
    _check_numbers(items)
    if geometry:
        _check_geometry(items, missing=missing, east_most=360 if wrapped else 180)
    return items


def _check_index(index: pd.Index) -> None:
    if index.nlevels > 1:
        raise ItemsError("the index has several levels; the ids are one: use reset_index")
    if not index.is_unique:
        raise ItemsError(
            f"ids stand twice in the index: {some(index[index.duplicated()].unique())};"
            " give every item its own, for example with reset_index(drop=True)"
        )
    kind = pd.api.types.infer_dtype(index, skipna=False)
    if kind not in ("integer", "string"):
        raise ItemsError(
            f"ids are all integers or all strings; the index holds {kind} values. Make them one or"
            " the other, for example with items.set_index(items.index.astype(str)), or number the"
            " items anew with reset_index(drop=True)"
        )
    if index.hasnans:
        raise ItemsError(
            "ids are all integers or all strings; some in the index are missing: drop those items,"
            " or number all of them anew with reset_index(drop=True)"
        )

    if kind == "string":
        _check_texts(index)
    elif (index.max() >= 2**63) or (index.min() < -(2**63)):
        far = index.max() if index.max() >= 2**63 else index.min()
        raise ItemsError(
            f"ids are whole numbers below 2**63, or text; got {far}: make them text with"
            " items.set_index(items.index.astype(str))"
        )


def _check_texts(index: pd.Index) -> None:
    try:
        "".join(index).encode()
    except UnicodeEncodeError as error:
        raise ItemsError(
            f"an id has the character {error.object[error.start]!r}, which UTF-8, in which ids are"
            f" kept, cannot encode ({error.reason}): correct it, or number the items anew with"
            " reset_index(drop=True)"
        ) from error


def _check_id_column(items: gpd.GeoDataFrame) -> None:
    """Refuse an index and a column of one name that hold different values."""
    name = items.index.name
    if name is None or name not in items.columns:
        return
    if list(items[name]) != list(items.index):
        raise ItemsError(
            f"the index and a column are both called {name!r}, and differ: rename the column, or"
            f" make it the ids with set_index({name!r})"
        )


def _check_crs(items: gpd.GeoDataFrame) -> None:
    if items.crs is None:
        if not items.geometry.isna().all():
            raise ItemsError(
                "the items have no crs: state it, for example items.set_crs('EPSG:4326')"
            )
    elif not is_plane(items.crs):
        raise ItemsError(
            f"the items' crs {items.crs.to_string()} has no plane ({items.crs.type_name}): bring"
            " them into another with items.to_crs('EPSG:4326'), or set the right one with"
            " set_crs(allow_override=True)"
        )


def _check_numbers(items: gpd.GeoDataFrame) -> None:
    """Refuse coordinates that are NaN, which are neither a place nor missing."""
    shapes = items.geometry.to_numpy()
    drawn = ~(shapely.is_missing(shapes) | shapely.is_empty(shapes))
    if (bad := drawn & np.isnan(shapely.bounds(shapes)).any(axis=1)).any():
        raise ItemsError(
            f"coordinates of items {some(items.index[bad])} are no numbers: drop those items, or"
            " correct them"
        )


def _check_geometry(items: gpd.GeoDataFrame, *, missing: bool, east_most: int) -> None:
    without = items.geometry.isna() | items.geometry.is_empty
    if without.all() or (without.any() and not missing):
        raise ItemsError(
            f"{without.sum()} items have no geometry: {some(items.index[without])}; drop them, or"
            " fetch geometries with from_features(..., geometry=True)"
        )
    west, south, east, north = items.geometry.to_crs("EPSG:4326").total_bounds
    # NaN and infinity, which reprojection gives for what it cannot place, fail this too.
    within = west >= -east_most - 0.001 and east <= east_most + 0.001
    if within and south >= -90.001 and north <= 90.001:
        return
    turned = west >= -360 and east <= 360 and south >= -90 and north <= 90
    raise ItemsError(
        f"the items' coordinates do not fit their crs {items.crs.to_string()}: their bounds"
        f" are {tuple(items.total_bounds.tolist())}; "
        + (
            "cut what crosses the antimeridian in two there, with longitudes from -180 to 180"
            if turned
            else "set the right one with set_crs(allow_override=True)"
        )
    )


def some(values: Any, most: int = 5) -> str:
    """Return the first few of the values as text, for a message."""
    listed = [repr(v) for v in list(values)[: most + 1]]
    return ", ".join(listed[:most]) + (" …" if len(listed) > most else "")


def ids_named(ids: Any, name: str, columns: Any) -> pd.Index:
    """Return ids as an index of a name; of none if a column has it, as both would be one thing."""
    found: pd.Index = pd.Index(ids).rename(None if name in columns else name)
    return found


def check_one_geometry(items: gpd.GeoDataFrame) -> None:
    """Raise ItemsError if a column is called "geometry" that is not the items' geometry."""
    if items.geometry.name != "geometry" and "geometry" in items.columns:
        raise ItemsError("the items have a column 'geometry' beside their shapes: rename it")


def check_storable(items: gpd.GeoDataFrame) -> None:
    """Raise ItemsError if a Parquet file cannot hold the items' columns.

    Raises
    ------
    ItemsError
        If a column's name is not a string, or its values are of several types.
    """
    if odd := [name for name in items.columns if not isinstance(name, str)]:
        raise ItemsError(
            f"names of the items' columns must be strings, as they are kept in Parquet; got {odd}:"
            " rename them, for example with items.rename(columns=str)"
        )
    values = items.drop(columns=items.geometry.name)
    for name, column in values.items():
        try:
            if pd.api.types.is_object_dtype(column):
                pa.array(column, from_pandas=True)
            elif not isinstance(column.dtype, GeometryDtype):
                # Whether a type can be written, its first value tells.
                column.iloc[:1].to_frame().to_parquet(io.BytesIO())
        except (pa.ArrowException, TypeError, ValueError, OverflowError) as error:
            raise ItemsError(
                f"the items' column {name!r} cannot be kept in Parquet, as its values are of"
                f" several types, or of one that Parquet does not have: {error}; drop the column,"
                f" or make it all text with items[{name!r}].astype(str)"
            ) from error

"""Items from files."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import geopandas as gpd
import pandas as pd

from eedask.errors import InputError, ItemsError
from eedask.items.check import check_items, some

# What columns of coordinates are called, in small letters.
_LONGITUDE, _LATITUDE = ("longitude", "lon", "lng", "long"), ("latitude", "lat")


def read(path: str | os.PathLike[str], *, id: str = "id") -> gpd.GeoDataFrame:
    """Read items from a file. No request.

    Parameters
    ----------
    path : str or path
        GeoParquet or Parquet (``.parquet``), CSV (``.csv``), or anything else that geopandas
        reads: GeoPackage, GeoJSON, shapefiles … Places that fsspec knows, such as ``gs://…``, are
        for Parquet and CSV.
    id : str
        The column that becomes the index. Only one called "id" may be missing.

    Returns
    -------
    GeoDataFrame
        The rows in the file's order and crs. Without a column ``id``, the index is that of a
        Parquet file that has one, else numbers from 0. Points of a CSV, or of Parquet without
        geometries, are made of its columns of longitude and latitude (also lon, lng, long and
        lat, in any case), and are in EPSG:4326; without such columns there are no geometries.

    Raises
    ------
    InputError
        If there is no such file, it cannot be read, it has several layers, or it lacks the column
        ``id``.
    ItemsError
        If it holds no items, ids are missing or stand twice, or coordinates are no numbers.

    Examples
    --------
    >>> eedask.items.read("plots.gpkg", id="plot")  # doctest: +SKIP
    >>> eedask.items.read("sites.csv")  # doctest: +SKIP
    """
    if not isinstance(path, str | os.PathLike):
        raise InputError(f"path is that of a file, as text; got {path!r}")
    if not isinstance(id, str):
        raise InputError(f"id is the name of the column of ids; got {id!r}")
    frame = _frame(os.fspath(path))
    if id in frame.columns:
        frame = frame.set_index(id)
    elif id not in ("id", frame.index.name):
        raise InputError(
            f"{os.fspath(path)} has no column {id!r} to be the ids; it has {list(frame.columns)}"
        )
    try:
        # What a column of that name holds, check_items asks.
        if not isinstance(frame, gpd.GeoDataFrame) and "geometry" not in frame:
            frame = _placed(frame)
        return check_items(frame, geometry=False)
    except ItemsError as error:
        raise ItemsError(f"{os.fspath(path)}: {error}") from error


def _frame(path: str) -> pd.DataFrame:
    """Return what a file holds.

    Raises
    ------
    InputError
        If it cannot be read.
    """
    reader: Callable[[str], Any] = _layer
    if path.lower().endswith((".parquet", ".geoparquet", ".pq")):
        reader = _parquet
    elif path.lower().endswith(".csv"):
        reader = pd.read_csv
    try:
        found: pd.DataFrame = reader(path)
    except InputError:
        raise
    except (OSError, ValueError, RuntimeError) as error:  # pyogrio's are the last
        raise InputError(f"no items can be read from {path}: {error}") from error
    return found


def _layer(path: str) -> gpd.GeoDataFrame:
    """Return the one layer of a file."""
    names = list(gpd.list_layers(path)["name"])
    if len(names) > 1:
        raise InputError(
            f"{path} has several layers, {some(names)}: read one of them with"
            f" geopandas.read_file({path!r}, layer={names[-1]!r})"
        )
    return gpd.read_file(path)


def _parquet(path: str) -> pd.DataFrame:
    try:
        found: pd.DataFrame = gpd.read_parquet(path)
    except ValueError:  # no metadata of geometries
        found = pd.read_parquet(path)
    return found


def _placed(frame: pd.DataFrame) -> gpd.GeoDataFrame:
    """Return a frame with points at its longitudes and latitudes."""
    named = {str(name).strip().lower(): name for name in frame.columns}
    x, y = (
        next((named[name] for name in names if name in named), None)
        for names in (_LONGITUDE, _LATITUDE)
    )
    if x is None and y is None:
        return gpd.GeoDataFrame(frame, geometry=[None] * len(frame), crs="EPSG:4326")
    if x is None or y is None:
        raise ItemsError(
            f"there is a column {x or y!r}, but none of {'latitude' if y is None else 'longitude'}:"
            f" call it one of {', '.join(_LATITUDE if y is None else _LONGITUDE)}"
        )
    places = frame[[x, y]].apply(pd.to_numeric, errors="coerce")
    limits = pd.Series({x: 180, y: 90})
    # Also false where no number stands.
    good = (places.abs() <= limits).all(axis=1)
    if not good.all():
        values = frame.loc[~good, [x, y]].to_numpy().tolist()
        raise ItemsError(
            f"items {some(frame.index[~good])} have no place on Earth in columns {x!r} and {y!r},"
            f" in degrees: {some(values)}; correct them, or drop the rows"
        )
    points = gpd.points_from_xy(places[x], places[y])
    return gpd.GeoDataFrame(frame, geometry=points, crs="EPSG:4326")

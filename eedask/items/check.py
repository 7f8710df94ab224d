"""Work items: what is asked for, one row an item, in a GeoDataFrame whose index is their ids."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import dask.bag as db
import ee
import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from ee import serializer
from numpy.typing import NDArray

from eedask.earthengine.connection import Connection, endpoint_of_client
from eedask.earthengine.methods import compute_features
from eedask.earthengine.retry import Attempts, RetryPolicy, call_with_retry
from eedask.errors import InputError, ItemsError, PermanentError

# The property under which ids travel; no table has a column of this name.
_ID = "eedask:id"


def random_points(regions: gpd.GeoDataFrame, n: int, seed: int | None = None) -> gpd.GeoDataFrame:
    """Draw points uniformly on the sphere, the same number in every region.

    Parameters
    ----------
    regions : GeoDataFrame
        Polygons with unique ids in the index. Any crs.
    n : int
        Points in each region.
    seed : int, optional
        The same seed, regions and n give the same points.

    Returns
    -------
    GeoDataFrame
        ``n * len(regions)`` points in EPSG:4326, the regions' columns repeated; the ids are
        ``"REGION-NUMBER"``.

    Raises
    ------
    ItemsError
        If a region has no area, or no geometry.
    """
    if n < 1:
        raise InputError(f"n is the number of points a region, at least 1; got {n}")
    checked = check_items(regions, geometry=True).to_crs("EPSG:4326")
    areas = shapely.area(checked.geometry.to_numpy())
    if not (areas > 0).all():
        raise ItemsError(f"regions without area: {_some(checked.index[~(areas > 0)])}")
    rng = np.random.default_rng(seed)
    points = np.concatenate([_points_in(shape, n, rng) for shape in checked.geometry])
    repeated = checked.drop(columns=checked.geometry.name).loc[np.repeat(checked.index, n)]
    width = len(str(n - 1))
    numbers = np.tile(np.arange(n), len(checked))
    ids = [f"{region}-{k:0{width}d}" for region, k in zip(repeated.index, numbers, strict=True)]
    frame = repeated.set_axis(pd.Index(ids, name="id"), axis=0)
    return gpd.GeoDataFrame(frame, geometry=shapely.points(points), crs="EPSG:4326")


def from_features(
    features: ee.FeatureCollection,
    properties: Sequence[str] | None = None,
    geometry: bool = False,
) -> gpd.GeoDataFrame:
    """Fetch the features of a collection, page by page.

    Parameters
    ----------
    features : ee.FeatureCollection
    properties : sequence of str, optional
        The properties to fetch; all when not given.
    geometry : bool
        Whether to fetch the geometries. They are large, and a request that filters by id on
        Earth Engine's side does not need them.

    Returns
    -------
    GeoDataFrame
        One row a feature, in EPSG:4326, ``system:index`` as the index; geometries are None
        unless asked for. A property that a feature lacks is null.

    Raises
    ------
    RequestError
        If Earth Engine refuses.
    """

    def trim(feature: ee.Feature) -> ee.Feature:
        if properties is None:
            kept = feature if geometry else feature.setGeometry(None)
        else:
            # Not ``select``, which is an error where a feature lacks the property.
            shape = feature.geometry() if geometry else None
            kept = ee.Feature(shape, {name: feature.get(name) for name in properties})
        return kept.set(_ID, feature.get("system:index"))

    expression = serializer.encode(ee.FeatureCollection(features).map(trim), for_cloud_api=True)
    found = list(_features(expression))
    frame = pd.DataFrame([feature["properties"] or {} for feature in found])
    if "system:index" in frame and "system:index" not in (properties or ()):
        del frame["system:index"]
    ids = pd.Index(frame.pop(_ID) if found else [], name="id")
    # In the order that was asked for; what no feature has is there, and empty.
    wanted = list(dict.fromkeys(properties or ()))
    frame = frame.reindex(columns=[*wanted, *frame.columns.difference(wanted, sort=False)])
    shapes = [shapely.geometry.shape(f["geometry"]) if f["geometry"] else None for f in found]
    return gpd.GeoDataFrame(frame.set_axis(ids, axis=0), geometry=shapes, crs="EPSG:4326")


def to_bag(items: gpd.GeoDataFrame, partition_size: int) -> db.Bag:
    """Return the items as a Dask bag, for those who compose their own work.

    Parameters
    ----------
    items : GeoDataFrame
    partition_size : int
        Items in a partition; neighbours in the frame stay together.

    Returns
    -------
    dask.bag.Bag
        One dictionary an item: ``id``, ``geometry`` (shapely, in the frame's crs) and the
        columns.

    Raises
    ------
    InputError
        If the items are none, or have a column that is called as the ids are.
    """
    checked = check_items(items, geometry=False)
    if "id" in checked.columns:
        raise ItemsError(
            "the dictionaries of a bag hold the ids as 'id', and the items have a column 'id':"
            " rename it, or make it the ids with set_index('id')"
        )
    if partition_size < 1:
        raise InputError(f"a partition holds at least one item; partition_size={partition_size}")
    frame = checked.rename_geometry("geometry") if checked.geometry.name != "geometry" else checked
    records = frame.reset_index(names="id").to_dict("records")
    return db.from_sequence(records, partition_size=partition_size)


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
        Column names that the result needs for itself.
    missing : bool
        Whether some geometries may be missing or empty, to become failures of their own.
    wrapped : bool
        Whether longitudes may lie beyond 180 degrees, as of shapes across the antimeridian.

    Raises
    ------
    ItemsError
        Naming the items that cannot be used, and what to do.
    """
    if not isinstance(items, pd.DataFrame):
        raise ItemsError(f"items is a GeoDataFrame, one row an item; got {type(items).__name__}")
    if items.empty and len(items) == 0:
        raise ItemsError("there are no items: the frame is empty")
    if not isinstance(items, gpd.GeoDataFrame) or items._geometry_column_name not in items:
        if geometry:
            raise ItemsError("the items have no geometry column; set one with set_geometry")
        items = gpd.GeoDataFrame(items, geometry=[None] * len(items), crs="EPSG:4326")
    _check_index(items.index)
    if taken := [c for c in items.columns if c in reserved]:
        raise ItemsError(f"the columns {taken} are the manifest's own; rename them in the items")
    _check_id_column(items)
    if not items.columns.is_unique:
        raise ItemsError(f"columns stand twice: {_some(items.columns[items.columns.duplicated()])}")
    if items.crs is None and not items.geometry.isna().all():
        raise ItemsError("the items have no crs; say which with items.set_crs('EPSG:4326')")
    if geometry:
        _check_geometry(items, missing=missing, east_most=360 if wrapped else 180)
    return items


def _check_index(index: pd.Index) -> None:
    if index.nlevels > 1:
        raise ItemsError("the index has several levels; the ids are one: use reset_index")
    if not index.is_unique:
        raise ItemsError(
            f"ids stand twice in the index: {_some(index[index.duplicated()].unique())};"
            " give every item its own, for example with reset_index(drop=True)"
        )
    kind = pd.api.types.infer_dtype(index, skipna=False)
    if kind not in ("integer", "string"):
        raise ItemsError(f"ids are all integers or all strings; the index holds {kind} values")
    if index.hasnans:
        raise ItemsError("ids are all integers or all strings; some in the index are missing")


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


def _check_geometry(items: gpd.GeoDataFrame, *, missing: bool, east_most: int) -> None:
    without = items.geometry.isna() | items.geometry.is_empty
    if without.all() or (without.any() and not missing):
        raise ItemsError(
            f"{without.sum()} items have no geometry: {_some(items.index[without])}; drop them, or"
            " fetch geometries with from_features(..., geometry=True)"
        )
    west, south, east, north = items.geometry.to_crs("EPSG:4326").total_bounds
    # NaN and infinity, which reprojection gives for what it cannot place, fail this too.
    within = west >= -east_most - 0.001 and east <= east_most + 0.001
    if not (within and south >= -90.001 and north <= 90.001):
        raise ItemsError(
            f"the items' coordinates do not fit their crs {items.crs.to_string()}: their bounds"
            f" are {tuple(items.total_bounds.tolist())}; set the right one with"
            " set_crs(allow_override=True)"
        )


def _points_in(
    shape: shapely.geometry.base.BaseGeometry, n: int, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Return n points, shape (n, 2), uniform on the sphere within a shape in degrees.

    Own code because geopandas' ``sample_points`` is uniform in the plane of the coordinates.
    """
    west, south, east, north = shape.bounds
    low, high = np.sin(np.radians([south, north]))
    shapely.prepare(shape)
    found = np.empty((0, 2))
    share = max(shape.area / shapely.box(*shape.bounds).area, 1e-3)
    while len(found) < n:
        size = int(1.2 * (n - len(found)) / share) + 16
        longitude = rng.uniform(west, east, size)
        latitude = np.degrees(np.arcsin(rng.uniform(low, high, size)))
        inside = shapely.contains_xy(shape, longitude, latitude)
        found = np.concatenate([found, np.stack([longitude, latitude], axis=1)[inside]])
    return found[:n]


def _features(expression: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the features of a collection, page after page."""
    endpoint, credentials = endpoint_of_client()
    connection = Connection(endpoint, credentials, connections=1)
    token: str | None = None
    try:
        while True:
            send = partial(connection.send, compute_features(endpoint, expression, token))
            answer = call_with_retry(send, RetryPolicy(), Attempts(), "features")
            try:
                page = json.loads(answer)
            except ValueError as error:
                raise PermanentError(f"a page of features is not JSON: {error}") from error
            yield from page.get("features", [])
            # Pages may be short; only a missing token ends the collection.
            token = page.get("nextPageToken")
            if not token:
                return
    finally:
        connection.close()


def _some(values: Any, most: int = 5) -> str:
    listed = [repr(v) for v in list(values)[: most + 1]]
    return ", ".join(listed[:most]) + (" …" if len(listed) > most else "")

"""Work items that are made without a request to Earth Engine; and items as a Dask bag."""

from __future__ import annotations

import dask.bag as db
import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray

from eedask.errors import InputError, ItemsError
from eedask.items.check import check_items, some


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
        ``n * len(regions)`` points in EPSG:4326, each with the columns of its region. The index,
        named "id", holds ``"REGION-NUMBER"``, numbers from 0.

    Raises
    ------
    InputError
        If n is less than 1.
    ItemsError
        If a region has no area, or no geometry, or the regions cannot be used as items.

    Examples
    --------
    >>> points = eedask.items.random_points(ecoregions, 1000, seed=42)  # doctest: +SKIP
    """
    if n < 1:
        raise InputError(f"n is the number of points a region, at least 1; got {n}")
    checked = check_items(regions, geometry=True).to_crs("EPSG:4326")
    areas = shapely.area(checked.geometry.to_numpy())
    if not (areas > 0).all():
        raise ItemsError(f"regions without area: {some(checked.index[~(areas > 0)])}")
    rng = np.random.default_rng(seed)
    points = np.concatenate([_points_in(shape, n, rng) for shape in checked.geometry])
    repeated = checked.drop(columns=checked.geometry.name).loc[np.repeat(checked.index, n)]
    width = len(str(n - 1))
    numbers = np.tile(np.arange(n), len(checked))
    ids = [f"{region}-{k:0{width}d}" for region, k in zip(repeated.index, numbers, strict=True)]
    frame = repeated.set_axis(pd.Index(ids, name="id"), axis=0)
    return gpd.GeoDataFrame(frame, geometry=shapely.points(points), crs="EPSG:4326")


def to_bag(items: gpd.GeoDataFrame, partition_size: int) -> db.Bag:
    """Return the items as a Dask bag, to process them with functions of your own.

    Parameters
    ----------
    items : GeoDataFrame
        One row an item; the index holds unique ids, all integers or all strings.
    partition_size : int
        Items in a partition; neighbours in the frame stay together.

    Returns
    -------
    dask.bag.Bag
        One dictionary an item: ``id``, ``geometry`` (shapely, in the frame's crs) and the
        columns.

    Raises
    ------
    ItemsError
        If there are no items, or they have a column "id", or cannot be used as they are.
    InputError
        If ``partition_size`` is less than 1.

    Examples
    --------
    >>> bag = eedask.to_bag(points, partition_size=100)  # doctest: +SKIP
    >>> bag.map(lambda item: item["geometry"].x).compute()  # doctest: +SKIP
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

"""Items as a Dask bag."""

from __future__ import annotations

import dask.bag as db
import geopandas as gpd

from eedask.arguments import is_count
from eedask.errors import InputError, ItemsError
from eedask.items.check import check_items, check_one_geometry


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
        If ``partition_size`` is no whole number from 1.

    Examples
    --------
    >>> bag = eedask.to_bag(points, partition_size=100)  # doctest: +SKIP
    >>> bag.map(lambda item: item["geometry"].x).compute()  # doctest: +SKIP
    """
    checked = check_items(items, geometry=False)
    if "id" in checked.columns:
        raise ItemsError(
            "the items have a column 'id', and in a bag the key 'id' holds the index: rename the"
            " column, or make it the index with set_index('id')"
        )
    check_one_geometry(checked)
    if not is_count(partition_size):
        raise InputError(
            f"partition_size is a whole number of items, 1 or more; got {partition_size!r}"
        )
    frame = checked.rename_geometry("geometry") if checked.geometry.name != "geometry" else checked
    records = frame.reset_index(names="id").to_dict("records")
    return db.from_sequence(records, partition_size=int(partition_size))

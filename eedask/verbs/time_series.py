"""The verb ``time_series``: a reducer over each item's region, for each image of a collection."""

from __future__ import annotations

import datetime
import os
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

import ee
import geopandas as gpd
import pyarrow as pa

from eedask.dataset.rows import IMAGE, ITEM_ID, WHEN
from eedask.earthengine.endpoint import DEADLINE, EndpointName
from eedask.earthengine.retry import RetryPolicy
from eedask.errors import InputError
from eedask.expressions.compile import Expression, compile_expression
from eedask.expressions.symbols import Item
from eedask.items.item import sample_items
from eedask.plan import Plan
from eedask.quota.messages import DEFAULT_CONCURRENCY, DEFAULT_RATE
from eedask.tables.composites import Composing
from eedask.tables.grouping import BatchLimits, RegionBatching
from eedask.tables.reducers import reducer as as_reducer
from eedask.tables.series_query import SeriesBatching, SeriesQuery
from eedask.tables.series_task import SeriesTask
from eedask.tables.values import TIME
from eedask.verbs.options import Sending
from eedask.verbs.reduce_regions import check_regions, outlines_as
from eedask.verbs.reduction import Reduction, Region, reduced_table, remarks


def time_series(
    items: gpd.GeoDataFrame,
    collection: ee.ImageCollection | Callable[[Item], ee.ImageCollection],
    reducer: str | Sequence[str] | ee.Reducer,
    *,
    out: str | os.PathLike[str],
    scale: float | None = None,
    crs: Any = None,
    region: Region | None = None,
    properties: Sequence[str] = (),
    freq: str | None = None,
    start: str | datetime.date | None = None,
    end: str | datetime.date | None = None,
    composite: str = "mean",
    mosaic_by_day: bool = False,
    weighted: bool = True,
    tile_scale: float = 1,
    invalid: str = "fail",
    simplify: float | None = None,
    batch_size: int = 1000,
    concurrency: int = DEFAULT_CONCURRENCY,
    rate: float | None = DEFAULT_RATE,
    retry: RetryPolicy | None = None,
    deadline: float = DEADLINE,
    workload_tag: str | None = None,
    credentials: str | os.PathLike[str] | None = None,
    endpoint: EndpointName = "auto",
    partition_size: int | None = None,
) -> Plan:
    """Plan a table with one row an item and image: a reducer over each item's region.

    Every image of the collection has a row, with nulls if all of its pixels in the region are
    masked. Items share a request if their rows fit in one answer; a series that is too long for
    one answer is fetched in spans of time.

    Parameters
    ----------
    items : GeoDataFrame
        One row an item; the index holds unique ids, all integers or all strings. Any crs; edges
        are straight lines in longitude and latitude. The region of a point is the pixel that it
        lies in.
    collection : ee.ImageCollection or callable
        The collection, or a function from an item to it:
        ``lambda item: collection.filterBounds(item.geometry)``.
    reducer : str, sequence of str or ee.Reducer
        What is computed of the pixels in the region: a name ("mean", "p95" …), several names, or a
        reducer of your own. Medians and percentiles may be approximate; see
        :func:`eedask.reduce_regions`.
    out : str or path
        Folder, local or any fsspec URL, that the workers can write to.
    scale : float, optional
        Metres a pixel; needed for composites and mosaics, which have no pixels of their own.
    properties : sequence of str
        Properties of each image, such as "CLOUD_COVER" or "SPACECRAFT_ID", to have as columns,
        null where an image lacks one. They come in the answers with the values, so that they cost
        no request. Composites and mosaics have none.
    freq : str, optional
        Reduce composites instead of the images: one composite for each span of time between
        ``start`` and ``end``, as pandas names spans ("8D", "MS", "YS" …). A span without images
        has a row of nulls.
    start, end : str, date or datetime, optional
        With ``freq``: the first span begins at or after ``start``, the last before ``end``. UTC,
        unless they have a time zone.
    composite : {"mean", "median", "min", "max", "sum", "mode", "count", "mosaic"}
        With ``freq``: how the images of a span become one, pixel by pixel.
    mosaic_by_day : bool
        Reduce a mosaic for each day (UTC) that has images, instead of the images. Of images that
        overlap, the last is on top.
    crs : str or anything pyproj takes, optional
        The crs that pixels lie in; the image's own when not given.
    region : callable, optional
        A function from an item to a region that Earth Engine has; the items then need no geometry.
    weighted : bool
        Whether pixels count by the fraction of them that lies inside and by their mask; see
        :func:`eedask.reduce_regions`.
    tile_scale : float
        Earth Engine's ``tileScale``, from 1 to 16: larger values need less memory, and more time.
    invalid : {"fail", "repair"}
        What happens to an item whose geometry is not valid: it fails, or is made valid.
    simplify : float, optional
        Metres by which outlines may be moved to have fewer vertices; not moved when not given.
    batch_size : int
        Items in a request at most, up to 2,500.
    concurrency : int
        Requests at once, over all workers and all runs of the project on the cluster. Earth
        Engine's default quota is 40 (https://developers.google.com/earth-engine/guides/usage).
        Where Earth Engine grants less, the run adapts to that.
    rate : float, optional
        Requests a second, over all of them; the default quota is 100. None: not limited.
    retry : RetryPolicy, optional
        How often a request that may succeed later is tried, and the waits in between; 8 tries
        when not given.
    deadline : float
        Seconds that one request may take, from its start to the last byte of its answer.
    workload_tag : str, optional
        A label sent with each request, by which Google's monitoring tells costs apart; the
        default is what ``ee.data.setWorkloadTag`` has set.
    credentials : {"default", "client"} or path, optional
        The credentials that workers in other processes use; see :func:`eedask.chips`.
    endpoint : {"auto", "high-volume", "standard"}
        Which of Earth Engine's addresses requests go to; see :func:`eedask.chips`.
    partition_size : int, optional
        Items in a Dask partition. When not given: a 16th of the items, from 1,000 to 10,000.

    Returns
    -------
    Plan
        Its result's ``table()`` has a row for each item and image, by item and time, with the
        columns ``image`` (text: the image's ``system:index``; the day, for composites and
        mosaics), ``time`` (timestamp in UTC: ``system:time_start``), those of ``properties``, and
        one for each band, named and typed as in :func:`eedask.reduce_regions`.
        ``result.to_csv_per_item(folder)`` writes one CSV file for each item.

    Raises
    ------
    InputError
        If an argument cannot be used, or the arguments do not fit each other; when it is run, if a
        band is called like a property.
    ItemsError
        If the items cannot be used as they are.

    Examples
    --------
    >>> lst = ee.ImageCollection("MODIS/061/MOD11A2").select("LST_Day_1km")
    >>> plan = eedask.time_series(
    ...     fields, lst.filterDate("2019", "2020"), "max", out="lst"
    ... )  # doctest: +SKIP
    >>> plan.run().table()[["image", "time", "LST_Day_1km"]]  # doctest: +SKIP
    """
    sending = Sending(
        concurrency, rate, retry, deadline, workload_tag, credentials, partition_size, endpoint
    )
    outlines = outlines_as(invalid, simplify)
    composing = Composing(freq, start, end, composite, mosaic_by_day)
    asked = Reduction(
        _of(collection, composing.images) if composing.applies else collection,
        as_reducer(reducer, weighted=weighted),
        region,
        scale,
        crs,
        tile_scale,
        ee.ImageCollection,
        _of(collection, composing.first),
        properties,
    )
    own = _own_columns(asked.names, composing)
    checked = check_regions(items, region)
    query = _query(asked, collection, composing, checked)
    limits = BatchLimits(items=batch_size)
    regions = RegionBatching(limits, query.regions.lattice.scale, outlined=region is None)
    maker = asked.maker(checked, SeriesBatching(regions, composing.count), outlines)
    table = reduced_table(checked, own)
    task = SeriesTask(sending.endpoint, query, maker, table, remarks(checked))
    terms = {"verb": "time_series", "weighted": weighted, "freq": freq, **asdict(outlines)}
    return sending.table_plan(checked, task, asked.question(terms, query.regions), out)


def _query(
    asked: Reduction, collection: Any, composing: Composing, items: gpd.GeoDataFrame
) -> SeriesQuery:
    return SeriesQuery(
        asked.query(items),
        times_of=_compiled(asked.image, _times, items),
        size_of=_compiled(collection, ee.ImageCollection.size, items),
        composite=composing.applies,
    )


def _own_columns(properties: Sequence[str], composing: Composing) -> dict[str, pa.DataType]:
    """Return the columns that tell of the image; its properties are texts in JSON."""
    if properties and composing.applies:
        raise InputError(
            "properties= are those of a collection's images, and composites and mosaics have none:"
            " leave it out, or leave out freq= and mosaic_by_day="
        )
    if taken := [name for name in properties if name in (ITEM_ID, IMAGE, WHEN)]:
        raise InputError(
            f"properties= names {taken}, and the table has such columns of its own: set the"
            " property under another name, by a function that is mapped over the collection"
        )
    return {IMAGE: pa.string(), WHEN: TIME, **dict.fromkeys(properties, pa.string())}


def _compiled(
    collection: Any, asked: Callable[[ee.ImageCollection], Any], items: gpd.GeoDataFrame
) -> Expression:
    """Return the expression of a question about the collection, or about each item's."""
    return compile_expression(_of(collection, asked), sample_items(items))


def _of(collection: Any, make: Callable[[ee.ImageCollection], Any]) -> Any:
    """Return ``make`` of the collection; a function from an item to it, if items have their own."""
    if callable(collection):
        return lambda item: make(ee.ImageCollection(collection(item)))
    try:
        return make(ee.ImageCollection(collection))
    except ee.EEException as error:
        raise InputError(
            "collection is an ee.ImageCollection, or a function of the item that returns one; got"
            f" {collection!r}"
        ) from error


def _times(collection: ee.ImageCollection) -> ee.List:
    return collection.aggregate_array("system:time_start")

"""The verbs whose results are tables: time series, and any value."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

import ee
import geopandas as gpd
import pyarrow as pa

from eedask.dataset.rows import IMAGE, WHEN
from eedask.earthengine.endpoint import DEADLINE
from eedask.earthengine.retry import RetryPolicy
from eedask.expressions.compile import Expression, compile_expression
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
    collection: ee.ImageCollection | Callable[[Any], ee.ImageCollection],
    reducer: str | Sequence[str] | ee.Reducer,
    *,
    out: str | os.PathLike[str],
    scale: float | None = None,
    crs: Any = None,
    region: Region | None = None,
    freq: str | None = None,
    start: Any = None,
    end: Any = None,
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
    partition_size: int | None = None,
) -> Plan:
    """Plan a long table: a reducer over each item's region, on each image of a collection.

    Every image has its row, also where all of its pixels in the region are masked (the values
    are null then). Items share requests while their rows fit in one answer; a series that is too
    long for one is asked for by spans of time.

    Parameters
    ----------
    items : GeoDataFrame
        As for :func:`eedask.reduce_regions`; points are regions of the one pixel they lie in.
    collection : ee.ImageCollection or callable
        The collection, or a function from an item to it:
        ``lambda item: collection.filterBounds(item.geometry)``.
    reducer : str, sequence of str or ee.Reducer
        Over the region; see :func:`eedask.reduce_regions`.
    out : str or path
        Folder, local or any fsspec URL, that the workers can write to.
    scale : float, optional
        Metres a pixel; needed for composites and mosaics, which have no pixels of their own.
    freq : str, optional
        Composites instead of images: one for each span of time, as pandas names them ("8D",
        "MS", "YS" …), between ``start`` and ``end``. A span without images has a row of nulls.
    start, end : str or datetime, optional
        For ``freq``: the first span begins at or after start, the last before end.
    composite : {"mean", "median", "min", "max", "sum", "mode", "count", "mosaic"}
        For ``freq``: how a span's images become one, pixel by pixel.
    mosaic_by_day : bool
        One mosaic for each day (UTC) that has images, the last on top, instead of its scenes.
    crs, region, weighted, tile_scale, invalid, simplify, batch_size
        As for :func:`eedask.reduce_regions`.
    concurrency, rate, retry, deadline, workload_tag, credentials, partition_size
        As for :func:`eedask.chips`.

    Returns
    -------
    Plan
        Its result's ``table()`` has, for each item, a row an image: ``image`` (its
        ``system:index``; the day, for composites and mosaics), ``time`` (``system:time_start``,
        UTC) and a column for each band, named as in :func:`eedask.reduce_regions`.
        ``result.to_csv_per_item(folder)`` writes one CSV an item.

    Raises
    ------
    InputError
        If the plan cannot work; nothing was sent.
    """
    sending = Sending(concurrency, rate, retry, deadline, workload_tag, credentials, partition_size)
    outlines = outlines_as(invalid, simplify)
    composing = Composing(freq, start, end, composite, mosaic_by_day)
    made = _of(collection, composing.images) if composing.applies else collection
    asked = Reduction(
        made,
        as_reducer(reducer, weighted=weighted),
        region,
        scale,
        crs,
        tile_scale,
        ee.ImageCollection,
        _of(collection, composing.first),
    )
    checked = check_regions(items, region)
    query = SeriesQuery(
        asked.query(checked),
        times_of=_compiled(made, _times, checked),
        size_of=_compiled(collection, ee.ImageCollection.size, checked),
        composite=composing.applies,
    )
    limits = BatchLimits(items=batch_size)
    regions = RegionBatching(limits, query.regions.lattice.scale, outlined=region is None)
    maker = asked.maker(checked, SeriesBatching(regions), outlines)
    table = reduced_table(checked, {IMAGE: pa.string(), WHEN: TIME})
    task = SeriesTask(sending.endpoint, query, maker, table, remarks(checked))
    terms = asked.terms(checked, query.regions)
    terms |= {"verb": "time_series", "weighted": weighted, "freq": freq, **asdict(outlines)}
    return sending.table_plan(checked, task, terms, out)


def _compiled(
    collection: Any, asked: Callable[[ee.ImageCollection], Any], items: gpd.GeoDataFrame
) -> Expression:
    """Return the expression of what is asked of a collection, or of that of an item."""
    return compile_expression(_of(collection, asked), sample_items(items))


def _of(collection: Any, make: Callable[[ee.ImageCollection], Any]) -> Any:
    """Return what is made of a collection; a function from an item to it, if it depends on it."""
    if callable(collection):
        return lambda item: make(ee.ImageCollection(collection(item)))
    return make(ee.ImageCollection(collection))


def _times(collection: ee.ImageCollection) -> ee.List:
    return collection.aggregate_array("system:time_start")

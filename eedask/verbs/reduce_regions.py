"""The verb ``reduce_regions``: a reducer over each item's region."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

import ee
import geopandas as gpd

from eedask.dataset.dataset import RESERVED
from eedask.earthengine.endpoint import DEADLINE
from eedask.earthengine.retry import RetryPolicy
from eedask.errors import InputError
from eedask.items.check import check_items
from eedask.plan import Plan
from eedask.quota.messages import DEFAULT_CONCURRENCY, DEFAULT_RATE
from eedask.tables.grouping import BatchLimits, RegionBatching
from eedask.tables.outlines import Outlines
from eedask.tables.reduce_task import ReduceTask
from eedask.tables.reducers import reducer as as_reducer
from eedask.verbs.options import Sending
from eedask.verbs.reduction import Reduction, Region, reduced_table, remarks


def reduce_regions(
    items: gpd.GeoDataFrame,
    image: ee.Image | Callable[[Any], ee.Image],
    reducer: str | Sequence[str] | ee.Reducer,
    *,
    out: str | os.PathLike[str],
    scale: float | None = None,
    crs: Any = None,
    region: Region | None = None,
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
    """Plan a table with one row an item: a reducer over each item's region.

    Neighbouring regions share requests, as many as fit by vertices and expected pixels. A
    request that is too large for Earth Engine is cut in two, down to one item, and then asked
    with a larger ``tileScale``; what is learned of sizes holds for the requests after it.

    Parameters
    ----------
    items : GeoDataFrame
        One row an item; the index holds unique ids, all integers or all strings. Any crs; edges
        are straight lines in longitude and latitude. Columns of any kind: they are never sent,
        and joined to the result.
    image : ee.Image or callable
        The image, or a function from an item to it; see :func:`eedask.chips`. Items whose images
        are equal share requests; images that differ share the request's round trip.
    reducer : str, sequence of str or ee.Reducer
        "mean", ["mean", "stdDev", "count"], "p95" …, or a reducer of your own.
    out : str or path
        Folder, local or any fsspec URL, that the workers can write to.
    scale : float, optional
        Metres a pixel. When neither it nor ``crs`` is given, the pixels are the image's own;
        a composite has none, so there it is needed.
    crs : str or anything pyproj takes, optional
        The crs that pixels lie in: a code, ``"utm"`` for each item's own zone, or ``"native"``
        (the default) for that of the image's first band.
    region : callable, optional
        From an item to its region, where Earth Engine has it (an ``ee.Geometry``, ``ee.Feature``
        or ``ee.FeatureCollection``): ``lambda item: table.filter(ee.Filter.eq("ID", item["ID"]))``.
        No geometry is moved then; the items need none.
    weighted : bool
        Whether pixels count by the fraction of them that lies inside and by their mask, as Earth
        Engine's "mean", "sum", "stdDev" and "variance" do; otherwise every pixel whose centre is
        inside counts whole (https://developers.google.com/earth-engine/guides/reducers_weighting).
    tile_scale : float
        From 1 to 16: larger values take less memory at Earth Engine, and longer.
    invalid : {"fail", "repair"}
        What becomes of items whose geometry is not valid: a failure row, or they are made valid
        as ``shapely.make_valid`` does it by structure; what has no area then is a failure row.
    simplify : float, optional
        Metres by which outlines may be moved to have fewer vertices. Not done unless asked:
        coordinates are sent as they are, and an outline whose request is longer than Earth
        Engine takes (10 MB, some 250,000 vertices) is a failure row that says so.
    batch_size : int
        Items in a request at most, up to 2,500.
    concurrency, rate, retry, deadline, workload_tag, credentials, partition_size
        As for :func:`eedask.chips`.

    Returns
    -------
    Plan
        Its result's ``table()`` has a column for each band, or ``BAND_REDUCER`` where there are
        several reducers. Counts and picks (min, max, first …) of whole-numbered bands are
        nullable integers, all others floats. Where nothing is unmasked the row holds nulls.

    Raises
    ------
    InputError
        If the plan cannot work; nothing was sent.
    """
    sending = Sending(concurrency, rate, retry, deadline, workload_tag, credentials, partition_size)
    asked = Reduction(image, as_reducer(reducer, weighted=weighted), region, scale, crs, tile_scale)
    outlines = outlines_as(invalid, simplify)
    checked = check_regions(items, region)
    query = asked.query(checked)
    limits = BatchLimits(items=batch_size)
    batching = RegionBatching(limits, query.lattice.scale, outlined=region is None)
    maker = asked.maker(checked, batching, outlines)
    task = ReduceTask(sending.endpoint, query, maker, reduced_table(checked), remarks(checked))
    terms = asked.terms(checked, query)
    terms |= {"verb": "reduce_regions", "weighted": weighted, **asdict(outlines)}
    return sending.table_plan(checked, task, terms, out)


def check_regions(items: gpd.GeoDataFrame, region: Region | None) -> gpd.GeoDataFrame:
    """Return items that are regions, or say which Earth Engine has, checked."""
    own = region is None
    return check_items(items, geometry=own, reserved=RESERVED, missing=True, wrapped=True)


def outlines_as(invalid: str, simplify: float | None) -> Outlines:
    """Return what is done to the outlines of regions.

    Raises
    ------
    InputError
        If that cannot be.
    """
    if invalid not in ("fail", "repair"):
        raise InputError(f"invalid={invalid!r} is not known; choose one of fail, repair")
    return Outlines(repair=invalid == "repair", simplify=simplify)

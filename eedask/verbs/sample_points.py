"""The verb ``sample_points``: the values of the pixel at each point."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from typing import Any

import ee
import geopandas as gpd

from eedask.arguments import is_one_of
from eedask.crs import NATIVE, UTM
from eedask.dataset.dataset import RESERVED
from eedask.earthengine.endpoint import DEADLINE, EndpointName
from eedask.earthengine.retry import RetryPolicy
from eedask.errors import InputError, ItemsError
from eedask.expressions.symbols import Item
from eedask.items.check import check_items
from eedask.items.item import sample_items
from eedask.plan import Plan
from eedask.quota.messages import DEFAULT_CONCURRENCY, DEFAULT_RATE
from eedask.tables.grouping import BatchLimits, PointBatching
from eedask.tables.outlines import Outlines
from eedask.tables.point_cells import room_of
from eedask.tables.points_task import AUTO, CELLS, POINTS, ByCells, PointsTask
from eedask.tables.reducers import reducer as as_reducer
from eedask.tables.region_query import RegionQuery
from eedask.verbs.chip_extent import ChipExtent
from eedask.verbs.image_request import ImageRequest
from eedask.verbs.options import Sending
from eedask.verbs.reduction import Reduction, reduced_table, remarks


def sample_points(
    items: gpd.GeoDataFrame,
    image: ee.Image | Callable[[Item], ee.Image],
    *,
    out: str | os.PathLike[str],
    scale: float | None = None,
    crs: Any = None,
    properties: Sequence[str] = (),
    by: str = AUTO,
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
    """Plan a table with one row a point: the values of the pixel that it lies in.

    Points in the same tile of the image (256 x 256 pixels of its own grid) share a request, so that
    Earth Engine reads the tile once. A request has points of up to a hundred tiles.

    Parameters
    ----------
    items : GeoDataFrame
        One row a point; the index holds unique ids, all integers or all strings. Any crs.
    image : ee.Image or callable
        The image, or a function from an item to it; see :func:`eedask.chips`.
    out : str or path
        Folder, local or any fsspec URL, that the workers can write to.
    scale : float, optional
        Metres a pixel; the image's own when not given. A composite has no pixels of its own: there
        ``scale`` is needed.
    crs : str or anything pyproj takes, optional
        The crs that pixels lie in: a code, ``"utm"`` for each point's own zone, or ``"native"``
        (the default) for that of the image's first band.
    properties : sequence of str
        Properties of the image, such as "system:index" or "CLOUD_COVER", to have in the manifest
        and the table, null where an image lacks one. They come in the answers with the values, so
        that they cost no request. Where a column of that name is there already, it is called
        ``image_NAME``.
    by : {"auto", "points", "cells"}
        How points are asked for. "points": as points. "cells": the pixels of windows that many
        points lie in, in a request each, out of which the points' values are read; the image is
        the same for all items, and the crs for all points. "auto": by cells where that is cheaper,
        for 2,000 points or more that lie so close together that most have at most 512 bytes of
        pixels to themselves (a byte of mask for each value counted: 56 pixels of three bands of 16
        bits); in a crs of the datum WGS 84, as nobody can doubt there which pixel a point lies in.
        Values are the same in all three. Points on the edge of a pixel, or near the antimeridian in
        a crs of degrees, of which only Earth Engine can say which pixel they lie in, and those with
        few neighbours are asked for as points in any case; so are those of a cell that Earth Engine
        refuses, or does not answer as it should.
    batch_size : int
        Points in a request at most, up to 2,500.
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
        Its result's ``table()`` has one row a point, in the points' order, and a column for each
        band: Int64 for whole-numbered bands, float64 for others. A point on a masked pixel, or
        outside the image, has nulls.

    Raises
    ------
    InputError
        If an argument cannot be used, or the arguments do not fit each other.
    ItemsError
        If the items cannot be used as they are.

    Examples
    --------
    >>> dem = ee.Image("USGS/SRTMGL1_003")
    >>> plan = eedask.sample_points(points, dem, out="heights")  # doctest: +SKIP
    >>> plan.run().table()["elevation"]  # doctest: +SKIP
    """
    sending = Sending(
        concurrency, rate, retry, deadline, workload_tag, credentials, partition_size, endpoint
    )
    asked = Reduction(image, as_reducer("first"), None, scale, crs, 1, properties=properties)
    checked = check_items(items, geometry=True, reserved=RESERVED, missing=True)
    if not checked.geometry.dropna().geom_type.eq("Point").all():
        kinds = sorted(set(checked.geometry.dropna().geom_type))
        raise ItemsError(
            f"sample_points takes points; the items are {', '.join(kinds)}. Use reduce_regions,"
            " or items.set_geometry(items.representative_point())"
        )
    query = asked.query(checked, points=True)
    batching = PointBatching(BatchLimits(items=batch_size), query.lattice.scale)
    maker = asked.maker(checked, batching, Outlines())
    task = PointsTask(
        sending.endpoint,
        query,
        maker,
        reduced_table(checked),
        remarks(checked),
        by_cells=_by_cells(by, image, query, checked),
    )
    question = asked.question({"verb": "sample_points"}, query)
    return sending.table_plan(checked, task, question, out)


def _by_cells(by: str, image: Any, query: RegionQuery, items: gpd.GeoDataFrame) -> ByCells | None:
    """Return how points may be read from cells; None where they are asked for as points.

    Raises
    ------
    InputError
        If cells are stated, and there can be none.
    """
    if not is_one_of(by, (AUTO, POINTS, CELLS)):
        raise InputError(f"by={by!r} is not known; choose one of {AUTO}, {POINTS}, {CELLS}")
    alike = not query.image.depends_on_item and query.lattice.crs != UTM
    if by == CELLS and not alike:
        raise InputError(
            "by='cells' reads many points from the same pixels: give one image for all items, and a"
            " crs other than 'utm', or leave by= out"
        )
    if by == POINTS or not alike:
        return None
    room = room_of(items)
    if by == AUTO and not math.isfinite(room):
        return None
    extent = ChipExtent(crs=NATIVE)
    pixels = ImageRequest(image, extent, format="npy").chip_image(sample_items(items), lambda _: {})
    return ByCells(pixels, by == CELLS, room)

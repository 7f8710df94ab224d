"""The verb ``reduce_regions``: a reducer over each item's region."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from typing import Any

import ee
import geopandas as gpd

from eedask.arguments import is_one_of
from eedask.dataset.dataset import RESERVED
from eedask.earthengine.endpoint import DEADLINE, EndpointName
from eedask.earthengine.retry import RetryPolicy
from eedask.errors import InputError
from eedask.expressions.symbols import Item
from eedask.items.check import check_items
from eedask.plan import Plan
from eedask.quota.messages import DEFAULT_CONCURRENCY, DEFAULT_RATE
from eedask.tables.classes import class_labels
from eedask.tables.grouping import BatchLimits, RegionBatching
from eedask.tables.outlines import Outlines
from eedask.tables.reduce_task import ReduceTask
from eedask.tables.reducers import reducer as as_reducer
from eedask.verbs.options import Sending
from eedask.verbs.reduction import Reduction, Region, reduced_table, remarks


def reduce_regions(
    items: gpd.GeoDataFrame,
    image: ee.Image | Callable[[Item], ee.Image],
    reducer: str | Sequence[str] | ee.Reducer,
    *,
    out: str | os.PathLike[str],
    scale: float | None = None,
    crs: Any = None,
    region: Region | None = None,
    weighted: bool = True,
    tile_scale: float = 1,
    max_pixels_per_region: int | None = None,
    classes: Sequence[float | str] | None = None,
    properties: Sequence[str] = (),
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
    """Plan a table with one row an item: a reducer over the pixels in each item's region.

    Neighbouring regions share a request, as many as their vertices and expected pixels allow. If
    Earth Engine finds a request too large, it is split in two, repeatedly if necessary. A single
    item that is still too large is sent again with a larger ``tileScale``. Later requests are made
    in the sizes that were found to work.

    Parameters
    ----------
    items : GeoDataFrame
        One row an item; the index holds unique ids, all integers or all strings. Any crs; edges
        are straight lines in longitude and latitude. Columns are not sent to Earth Engine; they
        stand in the result's table beside the values.
    image : ee.Image or callable
        The image, or a function from an item to it; see :func:`eedask.chips`. Items whose images
        are equal share a computation; items with different images share only the request.
    reducer : str, sequence of str or ee.Reducer
        A name ("mean", "stdDev", "count" … as in ``ee.Reducer``; "p95" for a percentile), several
        names, or a reducer of your own; "frequencyHistogram" counts the pixels of each value.
        Medians and percentiles of many values are approximate, as Earth Engine takes them from a
        histogram. Whether pixels then count by their weights, its documentation does not say.
    out : str or path
        Folder, local or any fsspec URL, that the workers can write to.
    scale : float, optional
        Metres a pixel. When neither ``scale`` nor ``crs`` is given, the pixels are the image's own.
        A composite has no pixels of its own: there ``scale`` is needed.
    crs : str or anything pyproj takes, optional
        The crs that pixels lie in: a code, ``"utm"`` for each item's own zone, or ``"native"``
        (the default) for that of the image's first band.
    region : callable, optional
        A function from an item to a region that Earth Engine has (an ``ee.Geometry``,
        ``ee.Feature`` or ``ee.FeatureCollection``), such as
        ``lambda item: table.filter(ee.Filter.eq("ID", item["ID"]))``. The items then need no
        geometry, and none is sent. Properties of the region's feature, such as its name, are best
        fetched with the items: ``items.from_features(table, properties=["ID", "NAME"])``.
    weighted : bool
        Whether pixels count by the fraction of them that lies inside and by their mask, as Earth
        Engine's "mean", "sum", "stdDev" and "variance" do; otherwise every pixel whose centre is
        inside counts whole (https://developers.google.com/earth-engine/guides/reducers_weighting).
    tile_scale : float
        Earth Engine's ``tileScale``, from 1 to 16: larger values need less memory at Earth
        Engine, and more time.
    max_pixels_per_region : int, optional
        Earth Engine's ``maxPixelsPerRegion``: an item whose region has more pixels fails, and the
        others do not (https://developers.google.com/earth-engine/apidocs/ee-image-reduceregions).
        When not given, there is no limit.
    classes : sequence of float or str, optional
        For reducers that give a value for each class of pixels: ``"frequencyHistogram"`` (pixels of
        each value) and ``ee.Reducer.….group(…)``. Each of these classes has a column of its own,
        ``NAME_CLASS``: ``Map_10``, ``Map_20`` for a histogram of the band ``Map``, ``mean_10`` for
        a grouped mean. If an item does not have a class, its value is 0 in a histogram, and null
        otherwise. An item with a class that is not stated fails, and its error names the class.
        When classes are not given, the values are kept as a map from class to value in one column,
        and ``result.table(layout="wide")`` finds the classes when it is read.
    properties : sequence of str
        Properties of the image, such as "system:index" or "CLOUD_COVER", to have in the manifest
        and the table, null where an image lacks one. They come in the answers with the values, so
        that they cost no request. Where a column of that name is there already, it is called
        ``image_NAME``.
    invalid : {"fail", "repair"}
        What happens to an item whose geometry is not valid. "fail": it gets a row with status
        "failed" in the manifest. "repair": its geometry is made valid with
        ``shapely.make_valid(method="structure")``; if no area is left, it fails.
    simplify : float, optional
        Metres by which outlines may be moved to have fewer vertices. When not given, coordinates
        are sent as they are, and an item whose outline is longer than Earth Engine takes (a
        request of 10 MB, some 250,000 vertices) fails with a message that says so.
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
        Its result's ``table()`` has one row an item, in the items' order, with a column ``BAND``
        for each band, or ``BAND_REDUCER`` if there are several reducers. Counts, and values picked
        from whole-numbered bands (min, max, first …), are Int64; all others are float64. An item
        without an unmasked pixel has nulls.

    Raises
    ------
    InputError
        If an argument cannot be used, or the arguments do not fit each other.
    ItemsError
        If the items cannot be used as they are.

    Examples
    --------
    >>> dem = ee.Image("USGS/SRTMGL1_003")
    >>> plan = eedask.reduce_regions(fields, dem, ["mean", "p95"], out="relief")  # doctest: +SKIP
    >>> plan.run().table()[["elevation_mean", "elevation_p95"]]  # doctest: +SKIP

    Shares of land cover, a column a class:

    >>> cover = ee.ImageCollection("ESA/WorldCover/v200").first()
    >>> plan = eedask.reduce_regions(
    ...     cells, cover, "frequencyHistogram", out="cover", classes=[10, 20, 30, 40, 50, 60, 80]
    ... )  # doctest: +SKIP
    >>> counts = plan.run().table().filter(like="Map_")  # doctest: +SKIP
    >>> counts.div(counts.sum(axis=1), axis=0)  # doctest: +SKIP
    """
    sending = Sending(
        concurrency, rate, retry, deadline, workload_tag, credentials, partition_size, endpoint
    )
    how = as_reducer(reducer, weighted=weighted)
    asked = Reduction(image, how, region, scale, crs, tile_scale, properties=properties)
    outlines = outlines_as(invalid, simplify)
    checked = check_regions(items, region)
    labels = class_labels(classes)
    query = replace(asked.query(checked), max_pixels=max_pixels_per_region)
    most = None if query.max_pixels is None else int(query.max_pixels)
    limits = BatchLimits(items=batch_size)
    batching = RegionBatching(limits, query.lattice.scale, outlined=region is None)
    maker = asked.maker(checked, batching, outlines)
    table, notes = reduced_table(checked), remarks(checked)
    task = ReduceTask(sending.endpoint, query, maker, table, notes, labels)
    terms = {
        "verb": "reduce_regions",
        "max_pixels_per_region": most,
        "weighted": weighted,
        "classes": labels,
        **asdict(outlines),
    }
    return sending.table_plan(checked, task, asked.question(terms, query), out)


def check_regions(items: gpd.GeoDataFrame, region: Region | None) -> gpd.GeoDataFrame:
    """Return checked items, which need geometries unless Earth Engine has their regions."""
    own = region is None
    return check_items(items, geometry=own, reserved=RESERVED, missing=True, wrapped=True)


def outlines_as(invalid: str, simplify: float | None) -> Outlines:
    """Return how the outlines of regions are treated; see :func:`reduce_regions`.

    Raises
    ------
    InputError
        If an argument cannot be used.
    """
    if not is_one_of(invalid, ("fail", "repair")):
        raise InputError(f"invalid={invalid!r} is not known; choose one of fail, repair")
    return Outlines(repair=invalid == "repair", simplify=simplify)

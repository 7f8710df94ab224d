"""The verbs: what can be done for every item of a GeoDataFrame."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import ee
import geopandas as gpd

from eedask.chip_request import ChipRequest
from eedask.chips import COMPUTE_PIXELS
from eedask.connection import DEADLINE, endpoint_of_client
from eedask.items import check_items
from eedask.plan import RESERVED, Plan, RunOptions
from eedask.retrying import RetryPolicy
from eedask.storage import Folder
from eedask.terms import DEFAULT_CONCURRENCY, DEFAULT_RATE


def chips(
    items: gpd.GeoDataFrame,
    image: ee.Image | Callable[[Any], ee.Image],
    *,
    out: str | os.PathLike[str],
    shape: tuple[int, int] | None = None,
    scale: float | None = None,
    crs: Any = None,
    region: float | Callable[[Any], ee.Geometry] | None = None,
    format: str = "png",
    bands: Sequence[str] | None = None,
    vis_params: Mapping[str, Any] | None = None,
    folder_by: str | None = None,
    method: str = COMPUTE_PIXELS,
    concurrency: int = DEFAULT_CONCURRENCY,
    rate: float | None = DEFAULT_RATE,
    retry: RetryPolicy | None = None,
    deadline: float = DEADLINE,
    workload_tag: str | None = None,
    credentials: str | os.PathLike[str] | None = None,
    partition_size: int | None = None,
) -> Plan:
    """Plan one image file an item: the pixels around a point, or of a polygon.

    The pixels are found in one of two ways. With ``scale`` (or ``crs="native"``), they lie on
    the lattice of the crs: ``shape`` of them around each item's centroid, or as many as cover
    its bounding box. That of items in the chips' own crs is taken as it is: a box on pixel edges
    has just those pixels. With ``region``, Earth Engine itself works out the place from the
    region's bounds, and ``shape`` or ``scale`` say how many pixels it is cut into.

    Parameters
    ----------
    items : GeoDataFrame
        One row an item; the index holds unique ids, all integers or all strings. Any crs.
    image : ee.Image or callable
        The image, or a function from an item to it. ``item.geometry`` is the item's geometry,
        ``item["NAME"]`` the value of a column, ``item.id`` its id. The function is traced once;
        one that cannot be is called for every item on the workers.
    out : str or path
        Folder, local or any fsspec URL, that the workers can write to.
    shape : (int, int), optional
        Rows, columns. A chip on the lattice of a crs may be larger than Earth Engine answers at
        once: it is asked for in tiles and put together again, in the worker's memory.
    scale : float, optional
        Metres a pixel.
    crs : str or anything pyproj takes, optional
        The chips' crs: a code, ``"utm"`` for each item's own UTM zone (the default with
        ``scale``), or ``"native"`` for the grid of the image itself, which is asked for with one
        more request an item, or one in all where items share the image. With ``region`` the
        default is the image's own, EPSG:4326 for a composite.
    region : float or callable, optional
        The bounds of a buffer of so many metres, or a function from an item to an
        ``ee.Geometry``: ``lambda item: item.geometry.buffer(127).bounds()``.
    format : {"png", "jpg", "npy", "tif"}
        Pictures (1 or 3 bands, 8 bit) or data (NumPy structured array, GeoTIFF). A chip of
        several requests has the same pixels as one of one, but for JPEG: there it is decoded
        and written anew, at a high quality. Joining GeoTIFFs needs rasterio on the workers.
    bands : sequence of str, optional
        The bands to fetch; all when not given.
    vis_params : mapping, optional
        ``bands``, ``min``, ``max``, ``palette``, ``gamma``, ``opacity`` for pictures.
    folder_by : str, optional
        Column whose values name subfolders.
    method : {"compute_pixels", "thumb_url", "download_url"}
        One request an item, or a URL that is created and then fetched, as ``getThumbURL``
        (pictures) and ``getDownloadURL`` (data) do. The files are the same.
    concurrency : int
        Requests at once, over all workers and all runs of the project on the cluster; Earth
        Engine's default quota is 40. Where it grants less, the run finds that out.
    rate : float, optional
        Requests a second, likewise; Earth Engine's default quota is 100. None: not limited.
    retry : RetryPolicy, optional
    deadline : float
        Seconds for one request.
    workload_tag : str, optional
        Sent with each request; the default is what ``ee.data.setWorkloadTag`` says.
    credentials : str or path, optional
        Whose credentials workers in other processes use. "default": each its own
        (``earthengine authenticate``, or Google's application default credentials); "client":
        short-lived tokens of yours, renewed by this process while it runs; a path: a service
        account's key file that is there on every worker. When not given, a worker's own if it
        has any, else tokens of yours.
    partition_size : int, optional
        Items in a Dask partition.

    Returns
    -------
    Plan

    Raises
    ------
    InputError
        If the plan cannot work; nothing was sent.
    """
    options = RunOptions(concurrency, rate, retry or RetryPolicy(), partition_size)
    request = ChipRequest(
        image=image,
        shape=shape,
        scale=scale,
        crs=crs,
        region=region,
        format=format,
        bands=bands,
        vis_params=vis_params,
        folder_by=folder_by,
        method=method,
    )
    checked = check_items(items, geometry=request.needs_geometry, reserved=RESERVED)
    endpoint, _ = endpoint_of_client(
        workload_tag=workload_tag, deadline=deadline, credentials=credentials
    )
    task, asked = request.task(checked, endpoint)
    return Plan("chips", checked, task, Folder(os.fspath(out)), asked, options)

"""The verb ``chips``: one image file for each item, or one of each role."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import ee
import geopandas as gpd

from eedask.dataset.folder import folder_at
from eedask.earthengine.endpoint import DEADLINE, EndpointName
from eedask.earthengine.retry import RetryPolicy
from eedask.expressions.symbols import Item
from eedask.items.check import check_items
from eedask.pixels.chip_image import COMPUTE_PIXELS
from eedask.pixels.empty_items import FAIL
from eedask.pixels.resampling import NEAREST
from eedask.plan import Plan
from eedask.quota.messages import DEFAULT_CONCURRENCY, DEFAULT_RATE
from eedask.verbs.chip_extent import ChipExtent
from eedask.verbs.chip_request import ChipRequest
from eedask.verbs.options import Sending
from eedask.verbs.roles import image_requests

# An image for all items, or a function from an item to one.
ItemImage: TypeAlias = ee.Image | Callable[[Item], ee.Image]


def chips(
    items: gpd.GeoDataFrame,
    image: ItemImage | Mapping[str, ItemImage],
    *,
    out: str | os.PathLike[str],
    shape: tuple[int, int] | None = None,
    scale: float | None = None,
    crs: Any = None,
    crs_transform: Sequence[float] | None = None,
    buffer: float | None = None,
    resampling: str | Mapping[str, str] = NEAREST,
    region: float | Callable[[Item], ee.Geometry] | None = None,
    format: str | Mapping[str, str] = "png",
    bands: Sequence[str] | Mapping[str, Sequence[str] | None] | None = None,
    vis_params: Mapping[str, Any] | None = None,
    folder_by: str | Sequence[str] | None = None,
    folder_missing: str | None = None,
    method: str | Mapping[str, str] = COMPUTE_PIXELS,
    nodata: float | Mapping[str, float | None] | None = None,
    mask: str | Mapping[str, str | None] | None = None,
    empty: str | Mapping[str, str] = FAIL,
    properties: Sequence[str] = (),
    concurrency: int = DEFAULT_CONCURRENCY,
    rate: float | None = DEFAULT_RATE,
    retry: RetryPolicy | None = None,
    deadline: float = DEADLINE,
    workload_tag: str | None = None,
    credentials: str | os.PathLike[str] | None = None,
    endpoint: EndpointName = "auto",
    partition_size: int | None = None,
) -> Plan:
    """Plan one image file (a chip) for each item: the pixels around a point, or of a polygon.

    There are two ways to say which pixels a chip has.

    Without ``region``, chips lie on a lattice of pixels, so that neighbouring chips fit together.
    With ``scale``, the corners of the lattice's pixels are whole multiples of the pixel size,
    counted from the origin of the crs. With ``crs="native"`` or ``crs_transform``, the lattice is
    that of the image or of the transform. If ``shape`` is given, a chip has that many rows and
    columns around the item's centroid: if their number is odd, the centroid lies in the middle
    pixel; if it is even, the middle of the chip is the pixel corner nearest to the centroid.
    Without ``shape``, a chip has the pixels that cover the item's bounding box, widened by
    ``buffer``. If the items are in the crs of the chips, their boxes are not reprojected, so a box
    on pixel edges gives exactly its pixels.

    With ``region``, a chip covers the bounds of a region that Earth Engine computes, and ``shape``
    or ``scale`` says into how many pixels that is divided.

    An item can have several images, by role: ``{"image": scene, "label": classes}``. They are
    fetched on the same grid, each with a request of its own and into a file of its own,
    ``chips/ROLE/FOLDER/ID.EXT``. ``format``, ``bands``, ``vis_params``, ``nodata``, ``mask``,
    ``empty``, ``resampling`` and ``method`` are then one value for all roles, or a dictionary by
    role; roles that it leaves out have the default. The native grid and the ``properties`` are
    those of the first role's image. With ``region``, roles need a ``crs``. An item is done when all
    its files are written. If one of its images fails, the item fails, its error names the role, and
    none of its files is written. If an item is fetched again, because it failed or a file was lost,
    all its files are. Its row of the manifest has the first role's file as ``path``, the file of
    each role as ``path_ROLE``, and sums as ``nbytes`` and ``attempts``.

    Parameters
    ----------
    items : GeoDataFrame
        One row an item; the index holds unique ids, all integers or all strings. Any crs.
    image : ee.Image or callable, or mapping of str to them
        The image, or a function from an :class:`eedask.Item` to it. ``item.geometry`` is the
        item's geometry, ``item["NAME"]`` the value of a column, ``item.id`` its id. The function
        is called once, with symbols in place of values, and the expression that it builds serves
        all items. A function that needs real values is called for every item on the workers. For
        several images, a dictionary by role; roles are names of letters, digits and ``_``.
    out : str or path
        Folder, local or any fsspec URL, that the workers can write to.
    shape : (int, int), optional
        Rows and columns of a chip. Without ``region``, a chip may be larger than the 48 MB that one
        request may ask for
        (https://developers.google.com/earth-engine/reference/rest/v1/projects.image/computePixels):
        it is then fetched in tiles, which are joined in the worker's memory, up to 2 GiB.
    scale : float, optional
        Metres a pixel.
    crs : str or anything pyproj takes, optional
        The chips' crs: an EPSG code, ``"utm"`` for each item's own UTM zone (the default with
        ``scale``), or ``"native"`` for the grid of the image itself. The native grid takes one
        more request for each 100 items of a partition, or one in all if the items share the image.
        With ``region``, the default is the image's own crs; a composite has EPSG:4326.
    crs_transform : sequence of 6 floats, optional
        The transform of the lattice's pixels in ``crs``, instead of ``scale``, in the order of
        Earth Engine's ``crsTransform`` and of ``rasterio.Affine``: ``(scale_x, shear_x,
        translate_x, shear_y, scale_y, translate_y)``. A chip may begin at any pixel of the lattice.
        With ``crs="utm"`` and ``(30, 0, 15, 0, -30, 15)``, chips have the pixels of Landsat scenes
        in each item's own zone.
    buffer : float, optional
        Without ``shape``: metres by which an item's bounding box is widened on all sides, in the
        chips' crs. In a crs of degrees, a degree counts as long as one of the equator, as it does
        for ``scale``.
    resampling : {"nearest", "bilinear", "bicubic"}
        How values are computed if the chips' pixels are not the image's own. "bilinear" and
        "bicubic" are Earth Engine's ``resample``
        (https://developers.google.com/earth-engine/guides/resample), for which the image needs
        pixels of its own: composites are refused.
    region : float or callable, optional
        Metres by which Earth Engine buffers each item's geometry, where the region is the bounds of
        the buffer; or a function from an item to the region, an ``ee.Geometry``:
        ``lambda item: item.geometry.buffer(127).bounds()``.
    format : {"png", "jpg", "npy", "tif"}
        "png" and "jpg" are pictures: they have 1 or 3 bands of whole numbers from 0 to 255, unless
        ``vis_params`` says how values become colours. "npy" (a NumPy structured array) and "tif"
        (GeoTIFF) are data. A chip that is joined from tiles has the same pixels as one from a
        single request, except for JPEG, which is decoded and compressed again, at a high quality.
        GeoTIFFs need rasterio, here and on the workers, which write them; if bands differ in type,
        all get the smallest type that holds every value. For data, masks are asked for in the same
        request: one further band of bytes for each eight of ``bands``, or one for each band if
        ``bands`` is not given. For GeoTIFFs by ``region``, each band is asked for twice instead,
        and Earth Engine may refuse bands of several types.
    bands : sequence of str, optional
        The bands to fetch; all when not given.
    vis_params : mapping, optional
        How values become colours, with the keys of ``ee.Image.visualize``: ``bands``, ``min``,
        ``max``, ``palette``, ``gamma``, ``opacity``. For pictures only.
    folder_by : str or sequence of str, optional
        A column whose values name the subfolders that files are written to. Several columns, such
        as ``["split", "label"]``, name nested subfolders in that order:
        ``chips/train/forest/17.png``. A time becomes ``2019-07-01``, or ``2019-07-01T173000`` if
        it is not midnight.
    folder_missing : str, optional
        The subfolder for items whose value in such a column is null. When not given, nulls are an
        error, before any request is sent.
    method : {"compute_pixels", "thumb_url", "download_url"}
        Which method of Earth Engine is used. "compute_pixels" takes one request for a chip. The
        others take two: they create a URL and fetch it, as ``getThumbURL`` (pictures) and
        ``getDownloadURL`` (data) do. The files are the same.
    nodata : number, optional
        The value that files of data hold where the image is masked; GeoTIFFs state it in their
        tag. When not given, it is NaN for floats, and the least value for int16 and wider signed
        types. If a real pixel equals this default, the chip fails with a message that says what to
        state. In all other types every value may be a real one, so these files have a mask
        instead: GeoTIFFs have GDAL's internal mask, NumPy files a field ``mask`` with one byte for
        each band, 1 where the band is valid. GDAL's mask is one for all bands, and masks what is
        masked in any of them; with ``nodata``, each band is masked by itself. A pixel counts as
        valid if its mask is greater than 0. Pictures take neither ``nodata`` nor ``mask``: PNGs
        have alpha, and JPEGs are black where masked.
    mask : {"band"}, optional
        Instead of ``nodata``: add a band ``mask`` to files of data, which is 1 where all bands are
        valid and 0 elsewhere. Values are 0 where they are masked. The band is uint8 in NumPy files;
        in GeoTIFFs it has the type of the other bands, and GDAL's mask is there as well.
    empty : {"fail", "nodata"}
        What becomes of an item that has no image: ``first()`` of a collection that is empty for it
        is null, and a ``mosaic()`` or ``median()`` of it has no bands. "fail": the item fails, with
        the ``error_kind`` "no_image". "nodata": it has a file like those of the others, in which
        all is masked: ``nodata`` or a mask in data, clear in a PNG, black in a JPEG. Its row of the
        manifest is "ok" and has the ``error_kind`` "no_image" nevertheless, with the reason as
        ``error``; its ``properties`` are null. That an item has no image is known by Earth
        Engine's refusal of its one request. Bands and types are learned before the run, from one
        masked pixel of the first of up to six items that has an image, which takes as many
        requests at most. If none of them has one, ``bands`` has to be stated, and data are
        float32. "nodata" needs ``crs`` and ``scale`` (or ``crs_transform``): neither a native grid
        nor a ``region`` is known where there is no image. If all items share the image, "nodata"
        changes nothing.
    properties : sequence of str
        Properties of each item's image that become columns of the manifest, such as
        ``["system:index", "CLOUD_COVER"]``. They are null if the image has no such property; a
        mosaic has none of the properties of its images. If all items share one image, properties
        cost no request, as they are asked for together with its bands. Otherwise they take one more
        request for each 100 items of a partition, together with the native grid, because
        computePixels answers with nothing but pixels. An item whose image's properties cannot be
        computed fails.
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
        The credentials that workers in other processes use. "default": each worker's own
        (``earthengine authenticate``, or Google's application default credentials). "client":
        short-lived tokens of yours, renewed by this process while it runs. A path: a service
        account's key file, at this path on every worker. When not given: a worker's own
        credentials if it has any that Earth Engine accepts, else tokens of yours.
    endpoint : {"auto", "high-volume", "standard"}
        Which of Earth Engine's addresses requests go to. "high-volume" is meant for many simple
        requests at once, and is slower for each; "standard" keeps more results for the next
        request, and so may cost less where each request is a large computation that others share
        (https://developers.google.com/earth-engine/guides/processing_environments). "auto" means
        "high-volume". If ``ee.Initialize`` was given the url of another service, such as an
        emulator, that url is used whatever ``endpoint`` is. A dataset that was begun on one
        endpoint can be continued on the other.
    partition_size : int, optional
        Items in a Dask partition. When not given: a 16th of the items, from 10 to 250.

    Returns
    -------
    Plan
        ``plan.run()`` writes a file for each item and returns a :class:`eedask.Result`, whose
        ``manifest`` has the files' paths and grids and ``open(id)`` reads one.

    Raises
    ------
    InputError
        If an argument cannot be used, or the arguments do not fit each other.
    ItemsError
        If the items cannot be used as they are.

    Examples
    --------
    >>> naip = ee.ImageCollection("USDA/NAIP/DOQQ").filterDate("2019", "2020").mosaic()
    >>> plan = eedask.chips(
    ...     points, naip, out="chips", shape=(256, 256), scale=1, bands=["R", "G", "B"]
    ... )  # doctest: +SKIP
    >>> plan.run().manifest[["status", "path", "crs"]]  # doctest: +SKIP

    Images and the land cover under them, to learn from:

    >>> cover = ee.Image("ESA/WorldCover/v200/2021")  # doctest: +SKIP
    >>> plan = eedask.chips(
    ...     points,
    ...     {"image": naip, "label": cover},
    ...     out="pairs",
    ...     shape=(256, 256),
    ...     scale=1,
    ...     format={"image": "png", "label": "tif"},
    ...     bands={"image": ["R", "G", "B"]},
    ...     nodata={"label": 0},
    ... )  # doctest: +SKIP
    >>> label = plan.run().open("p01", role="label")  # doctest: +SKIP
    """
    sending = Sending(
        concurrency, rate, retry, deadline, workload_tag, credentials, partition_size, endpoint
    )
    extent = ChipExtent(shape, scale, crs, crs_transform, buffer, region)
    images = image_requests(
        image,
        extent,
        format=format,
        bands=bands,
        vis_params=vis_params,
        method=method,
        nodata=nodata,
        mask=mask,
        resampling=resampling,
        empty=empty,
    )
    request = ChipRequest(extent, images, folder_by, folder_missing, properties)
    checked = check_items(items, geometry=request.needs_geometry, reserved=request.reserved)
    task, question = request.task(checked, sending.endpoint)
    return Plan(checked, task, folder_at(out, "out"), question, sending.options)

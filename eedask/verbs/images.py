"""The verb ``images``: the images of a collection over a region, one file each."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal

import ee
import geopandas as gpd
import pandas as pd
import shapely

from eedask.arguments import is_one_of
from eedask.crs import NATIVE
from eedask.dataset.dataset import RESERVED
from eedask.dataset.folder import folder_at
from eedask.dataset.question import Question
from eedask.earthengine.endpoint import DEADLINE, EndpointName
from eedask.earthengine.geometries import to_ee_geometry
from eedask.earthengine.retry import RetryPolicy
from eedask.errors import InputError, ItemsError
from eedask.expressions.symbols import Item
from eedask.items.check import check_items, some
from eedask.items.item import sample_items, work_items
from eedask.items.regions import check_region
from eedask.pixels.chip_image import COMPUTE_PIXELS
from eedask.pixels.chip_task import ChipTask
from eedask.pixels.finding import END, INDEX, START, ByDates, ByIndex, Finder
from eedask.pixels.image_question import Wanted, image_question
from eedask.pixels.image_task import MOST_IMAGES, ImageTask
from eedask.pixels.resampling import NEAREST
from eedask.plan import Plan
from eedask.quota.messages import DEFAULT_CONCURRENCY, DEFAULT_RATE
from eedask.verbs.chip_extent import ChipExtent
from eedask.verbs.chip_request import ChipRequest
from eedask.verbs.image_request import ImageRequest
from eedask.verbs.options import Sending

# The fewest images in a partition, as only images of one partition share the request for grids.
_LEAST_PARTITION = 50


@dataclass(frozen=True)
class Search:
    """The arguments of :func:`eedask.images` that say which images it is about, and where.

    Raises
    ------
    InputError, ItemsError
        If one of them cannot be used.
    """

    ids: Any
    collection: Any
    region: Any
    outside: str

    def __post_init__(self) -> None:
        if not is_one_of(self.outside, ("skip", "keep")):
            raise InputError(f"outside is 'skip' or 'keep'; got {self.outside!r}")
        _ = self.items, self.images, self.finder, self.place

    @cached_property
    def items(self) -> gpd.GeoDataFrame:
        """The ids, checked as items."""
        return check_items(self.ids, geometry=False, reserved=RESERVED)

    @cached_property
    def images(self) -> ee.ImageCollection:
        """The collection as an object, also if the id of an asset was given."""
        given = self.collection
        computed = type(given) is ee.ComputedObject
        if not (computed or isinstance(given, ee.ImageCollection | str)):
            raise InputError(f"collection is an ee.ImageCollection; got {type(given).__name__}")
        return ee.ImageCollection(given)

    @cached_property
    def finder(self) -> Finder:
        """How the images of items are found: by dates or by index, depending on their columns."""
        if {START, END} <= set(self.items.columns) and self.items.index.name != INDEX:
            _check_ranges(self.items)
            return ByDates()
        _check_indices(self.items)
        return ByIndex()

    @cached_property
    def place(self) -> gpd.GeoDataFrame:
        """The region as a frame with one row."""
        polygons = check_region(self.region)
        whole = shapely.union_all(shapely.make_valid(polygons.geometry.to_numpy()))
        return gpd.GeoDataFrame(geometry=[whole], index=["region"], crs=polygons.crs)

    @property
    def placed_items(self) -> gpd.GeoDataFrame:
        """The items, each with the region as its geometry."""
        shapes = [self.place.geometry.iloc[0]] * len(self.items)
        return self.items.set_geometry(shapes, crs=self.place.crs)

    def image_of(self, item: Item) -> ee.Image:
        """Return an item's image."""
        return ee.Image(self.finder.matching(self.images, item).first())

    def task(self, chips: ChipTask) -> ImageTask:
        """Return the task that finds images and then makes their files by the task ``chips``."""
        assert chips.layout is not None
        (region,), image = work_items(self.place), chips.first
        wanted = Wanted(
            types=image.format.is_visual and image.visualization is None,
            grid=chips.layout.lattice.is_native,
            bands=image.bands,
            region=to_ee_geometry(region.value("geometry")) if self.outside == "skip" else None,
        )
        sample = sample_items(self.items)[0]
        question = image_question(self.finder, self.images, wanted, sample)
        # Grids are asked for with the question, many at once, and not by each chip.
        return ImageTask(replace(chips, description=None), question, region)

    def question(self, of_chips: Question) -> Question:
        """Return what determines the results, given what determines those of the chips."""
        own = {"verb": "images", "region": self._region_in_words(), "outside": self.outside}
        return Question(
            {**of_chips.terms, **own},
            {"collection": of_chips.recipes["image"]},
            of_chips.uses - {"geometry"},
        )

    def _region_in_words(self) -> str:
        """Return a short text that identifies the region: its bounds, and a hash of its outline."""
        shape = self.place.geometry.iloc[0]
        edges = ", ".join(f"{edge:.12g}" for edge in shape.bounds)
        mark = hashlib.sha256(shapely.normalize(shape).wkb).hexdigest()[:12]
        return f"{shape.geom_type} {mark} within ({edges}) in {self.place.crs.to_string()}"


def _check_ranges(items: gpd.GeoDataFrame) -> None:
    if not all(pd.api.types.is_datetime64_any_dtype(items[name]) for name in (START, END)):
        raise ItemsError(
            "items with columns 'start' and 'end' are ranges of dates, as eedask.items.date_ranges"
            " gives them: make datetimes of both with pandas.to_datetime(…, utc=True). If the index"
            f" holds system:index, call it that: ids.rename_axis({INDEX!r})"
        )
    start, end = (pd.to_datetime(items[name], utc=True) for name in (START, END))
    # Missing dates fail this too.
    backwards = ~(start < end)
    if backwards.any():
        raise ItemsError(
            "a range of dates has a start, and an end after it; not so"
            f" {some(items.index[backwards])}"
        )


def _check_indices(items: gpd.GeoDataFrame) -> None:
    if {"place", "rank"} <= set(items.columns):
        raise ItemsError(
            "these items are from image_ids(…, near=), whose ids are not system:index: fetch them"
            " with eedask.chips(items, lambda item: item.image('id'), …)"
        )
    if items.index.inferred_type != "string":
        raise ItemsError(
            "the index of ids holds system:index, as eedask.items.image_ids gives it, which is"
            f" text; got {items.index.inferred_type} values. Or have ranges of dates as items, with"
            " columns 'start' and 'end' of datetimes"
        )


def _partition(count: int) -> int:
    """Return how many images a partition has, if there are ``count`` of them."""
    return min(MOST_IMAGES, max(_LEAST_PARTITION, -(-count // 16)))


def images(
    ids: gpd.GeoDataFrame | pd.DataFrame,
    collection: ee.ImageCollection | str,
    *,
    region: Any,
    out: str | os.PathLike[str],
    outside: Literal["skip", "keep"] = "skip",
    scale: float | None = None,
    crs: Any = NATIVE,
    crs_transform: Sequence[float] | None = None,
    resampling: str = NEAREST,
    format: str = "tif",
    bands: Sequence[str] | None = None,
    vis_params: Mapping[str, Any] | None = None,
    folder_by: str | Sequence[str] | None = None,
    folder_missing: str | None = None,
    method: str = COMPUTE_PIXELS,
    nodata: float | None = None,
    mask: str | None = None,
    concurrency: int = DEFAULT_CONCURRENCY,
    rate: float | None = DEFAULT_RATE,
    retry: RetryPolicy | None = None,
    deadline: float = DEADLINE,
    workload_tag: str | None = None,
    credentials: str | os.PathLike[str] | None = None,
    endpoint: EndpointName = "auto",
    partition_size: int | None = None,
) -> Plan:
    """Plan one image file for each image of a collection: its pixels over a region.

    Each image is found in the collection by its ``system:index``, and its file has that name. By
    default a file has the image's own pixels, with its own crs and pixel size, and nothing is
    resampled. So images of different UTM zones give files in different crs.

    Before any pixels, many images are asked about in one request: whether the collection has them,
    whether they meet the region, and which bands and grid they have. That is one request for the
    images of a partition (250 at most), in addition to the request for each image's pixels. If an
    image is not found, or does not meet the region, its row of the manifest says so.

    Collections that are mapped or filtered keep their images' indices. Collections that are merged,
    flattened or made of a list have indices that Earth Engine makes up ("1_…", "0", "1" …). These
    do not identify an image, as they change with the order and number of what was put together.
    Composites (images made of several) have no index of the collection at all. For all of these,
    use ranges of dates as items, as :func:`eedask.items.date_ranges` makes them: an item's image is
    then the one whose ``system:time_start`` lies in its range. An item whose range has no image, or
    several, fails with a message that says so.

    Parameters
    ----------
    ids : GeoDataFrame or DataFrame
        One row an image, as :func:`eedask.items.image_ids` gives them: the index holds
        ``system:index``. Other columns go into the manifest; geometries are not used. Or ranges of
        dates, with columns ``start`` and ``end`` (datetimes, UTC), and an index of another name.
    collection : ee.ImageCollection or str
        The collection that the images are in, filtered and mapped as you like; or an asset's id.
        In a large collection, images are found faster if it is filtered by bounds and dates, as it
        was for ``image_ids``.
    region : GeoDataFrame, GeoSeries or shapely geometry
        Polygons in any crs; a bare geometry is in EPSG:4326. A file has the pixels that cover their
        bounding box in the crs of the file. To mask what is outside of the polygons, map
        ``lambda image: image.clip(region)`` over the collection. An ``ee.Geometry`` becomes a
        shapely geometry with ``shapely.geometry.shape(geometry.getInfo())``.
    out : str or path
        Folder, local or any fsspec URL, that the workers can write to.
    outside : {"skip", "keep"}
        What becomes of an image whose footprint does not meet the region. "skip": none of its
        pixels are fetched, and its row of the manifest has the status "failed" and the
        ``error_kind`` "outside". "keep": it has a file, in which all is masked. An image that
        meets a part of the region has a file, masked where the image ends.
    scale : float, optional
        Metres a pixel. With the native crs, pixels of that size begin at the origin of the image's
        own grid. When not given, pixels have the image's own size.
    crs : str or anything pyproj takes
        The crs of the files: "native" for each image's own, "utm" for the zone of the region's
        middle, or an EPSG code. All but "native" need ``scale`` or ``crs_transform``. The native
        grid is that of the first of ``bands``, or of the image's first band.
    format : {"tif", "npy", "png", "jpg"}
        As of :func:`eedask.chips`. A file that is larger than one request (48 MB) is fetched in
        tiles, which are joined, up to 2 GiB.
    crs_transform, resampling, bands, vis_params, folder_by, folder_missing, method, nodata, mask
        As of :func:`eedask.chips`.
    concurrency, rate, retry, deadline, workload_tag, credentials, endpoint
        As of :func:`eedask.chips`.
    partition_size : int, optional
        Images in a Dask partition. When not given: a 16th of them, from 50 to 250.

    Returns
    -------
    Plan
        ``plan.run()`` writes a file for each image and returns a :class:`eedask.Result`.

    Raises
    ------
    InputError
        If an argument cannot be used, or the arguments do not fit each other.
    ItemsError
        If the ids or the region cannot be used as they are.

    Examples
    --------
    >>> city = shapely.box(11.4, 48.05, 11.7, 48.25)
    >>> s2 = (
    ...     ee.ImageCollection("COPERNICUS/S2_SR_HARMONIZED")
    ...     .filterBounds(ee.Geometry.Rectangle(*city.bounds))
    ...     .filterDate("2023-06", "2023-07")
    ... )  # doctest: +SKIP
    >>> ids = eedask.items.image_ids(s2)  # doctest: +SKIP
    >>> plan = eedask.images(
    ...     ids, s2, region=city, out="city", bands=["B4", "B3", "B2"]
    ... )  # doctest: +SKIP
    >>> plan.run().manifest[["time", "status", "path", "crs"]]  # doctest: +SKIP

    Composites of each month, made beforehand:

    >>> months = eedask.items.date_ranges("2023-01-01", "2024-01-01", "MS")
    >>> plan = eedask.images(
    ...     months, composites, region=city, out="months", crs="utm", scale=10
    ... )  # doctest: +SKIP
    """
    sending = Sending(
        concurrency, rate, retry, deadline, workload_tag, credentials, partition_size, endpoint
    )
    search = Search(ids, collection, region, outside)
    extent = ChipExtent(scale=scale, crs=crs, crs_transform=crs_transform)
    image = ImageRequest(
        search.image_of,
        extent,
        format=format,
        bands=bands,
        vis_params=vis_params,
        method=method,
        nodata=nodata,
        mask=mask,
        resampling=resampling,
    )
    request = ChipRequest(extent, (image,), folder_by, folder_missing)
    chips, question = request.task(search.placed_items, sending.endpoint)
    return Plan(
        search.items,
        search.task(chips),
        folder_at(out, "out"),
        search.question(question),
        sending.options.with_partition(_partition(len(search.items))),
    )

"""What a user asks of chips, checked, and turned into the task of the workers."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from numbers import Real
from typing import Any

import ee
import geopandas as gpd

from eedask.arguments import check_scale
from eedask.crs import NATIVE, UTM, crs_name
from eedask.dataset.dataset import RESERVED
from eedask.dataset.file_names import differ_only_by_case
from eedask.dataset.folder import Folder
from eedask.earthengine.endpoint import DEADLINE, Endpoint
from eedask.earthengine.retry import RetryPolicy
from eedask.errors import InputError, ItemsError
from eedask.expressions.compile import Expression, compile_expression, digest_of
from eedask.grid import Lattice
from eedask.items.check import check_items
from eedask.items.item import WorkItem, sample_items
from eedask.pixels.chip_task import COMPUTE_PIXELS, METHODS, URL_METHODS, ChipTask
from eedask.pixels.formats.base import ImageFormat
from eedask.pixels.formats.registry import image_format
from eedask.pixels.layout import Layout
from eedask.pixels.query import check_size
from eedask.pixels.visualization import Visualization, visualization
from eedask.plan import Plan
from eedask.quota.messages import DEFAULT_CONCURRENCY, DEFAULT_RATE
from eedask.verbs.options import Sending

Region = float | Callable[[Any], ee.Geometry]


@dataclass(frozen=True)
class ChipRequest:
    """The arguments of :func:`eedask.chips` that say what the chips are; checked together.

    Raises
    ------
    InputError
        If they cannot be, or do not fit each other.
    """

    image: Any
    shape: Sequence[int] | None
    scale: float | None
    crs: Any
    region: Region | None
    format: str
    bands: Sequence[str] | None
    vis_params: Mapping[str, Any] | None
    folder_by: str | None
    method: str

    def __post_init__(self) -> None:
        _check_method(self.method, self.kind)
        rows_columns, bands = self.rows_columns, self._bands_and_look[0]
        if self.region is None:
            _ = self.layout
            return
        check_scale(self.scale)
        if (self.shape is None) == (self.scale is None):
            raise InputError("with region=, give either shape=(rows, columns) or scale=")
        if not (callable(self.region) or _is_finite(self.region)):
            raise InputError(f"region is a buffer in metres, or a function; got {self.region!r}")
        if self._region_crs == NATIVE:
            raise InputError("with region=, leave crs out to have the image's own grid")
        if rows_columns is not None:
            by_url = self.method != COMPUTE_PIXELS
            check_size(rows_columns, len(bands) or 1, 1, by_url=by_url)

    @property
    def needs_geometry(self) -> bool:
        """Whether the chips lie around the items' own geometries."""
        return self.region is None

    @cached_property
    def kind(self) -> ImageFormat:
        """The format."""
        return image_format(self.format)

    @cached_property
    def rows_columns(self) -> tuple[int, int] | None:
        """The shape, if one is asked for."""
        if self.shape is None:
            return None
        try:
            rows, columns = self.shape
            whole = (int(rows), int(columns))
            if min(whole) < 1 or whole != (rows, columns):
                raise ValueError
        except (TypeError, ValueError):
            raise InputError(
                f"shape is (rows, columns), both at least 1; got {self.shape!r}"
            ) from None
        return whole

    @cached_property
    def layout(self) -> Layout | None:
        """How each item's grid is found; None where Earth Engine works it out from a region."""
        if self.region is not None:
            return None
        lattice = Lattice(UTM if self.crs is None else self.crs, self.scale)
        return Layout(lattice, self.rows_columns)

    def task(self, items: gpd.GeoDataFrame, endpoint: Endpoint) -> tuple[ChipTask, dict[str, Any]]:
        """Return the workers' task, and what determines its results, as JSON.

        Parameters
        ----------
        items : GeoDataFrame
        endpoint : Endpoint
        """
        self._check_items(items)
        samples = sample_items(items)
        image = compile_expression(self._recipe(), samples, expect=ee.Image)
        bands, look = self._bands_and_look
        task = ChipTask(
            endpoint=endpoint,
            image=image,
            layout=self.layout,
            projection=self._projection(samples),
            format=self.kind,
            method=self.method,
            bands=bands,
            visualization=look,
            folder_by=self.folder_by,
            unique_case=not self._case_matters(items),
        )
        if self.rows_columns is not None and self.layout is not None:
            task.check_shape(self.rows_columns)
        return task, self._asked(digest_of(image, samples))

    def _asked(self, expression: str) -> dict[str, Any]:
        bands, look = self._bands_and_look
        return {
            "verb": "chips",
            "expression": expression,
            "format": self.kind.name,
            "shape": self.rows_columns,
            "scale": None if self.scale is None else float(self.scale),
            "crs": self.layout.lattice.crs if self.layout else self._region_crs,
            "bands": bands,
            "visualization": look.to_json() if look else None,
            "folder_by": self.folder_by,
        }

    @cached_property
    def _region_crs(self) -> str | None:
        """The crs of chips that Earth Engine cuts to a region; None for the image's own."""
        return None if self.crs is None else crs_name(self.crs)

    @cached_property
    def _bands_and_look(self) -> tuple[tuple[str, ...], Visualization | None]:
        named = (self.bands,) if isinstance(self.bands, str) else tuple(self.bands or ())
        if self.vis_params is None:
            if self.kind.is_visual and len(named) not in (0, 1, 3):
                raise InputError(f"a {self.kind.name} picture has 1 or 3 bands; got {list(named)}")
            return named, None
        if not self.kind.is_visual:
            raise InputError(f"vis_params makes pictures; format={self.kind.name!r} holds data")
        shown, look = visualization(self.vis_params)
        if named and shown and named != shown:
            raise InputError(f"bands={list(named)} and vis_params' bands {list(shown)} differ")
        return shown or named, look

    def _check_items(self, items: gpd.GeoDataFrame) -> None:
        name, geometry = self.folder_by, items.geometry.name
        if name is not None and (name not in items.columns or name == geometry):
            columns = [c for c in items.columns if c != geometry]
            raise ItemsError(
                f"folder_by={name!r} is not a column of the items; they have {columns}"
            )
        without_extent = self.region is None and self.shape is None
        if without_extent and (items.geometry.geom_type == "Point").any():
            raise InputError(
                "a point has no extent: give shape=(rows, columns), or region= for Earth Engine"
                " to work it out"
            )

    def _case_matters(self, items: gpd.GeoDataFrame) -> bool:
        folders = [] if self.folder_by is None else items[self.folder_by].unique()
        return differ_only_by_case(items.index) or differ_only_by_case(folders)

    def _image_of(self, item: Any) -> ee.Image:
        return self.image(item) if callable(self.image) else self.image

    def _recipe(self) -> Any:
        """Return the image, or the function to it; cut to the region if there is one."""
        return self.image if self.region is None else self._clipped

    def _clipped(self, item: Any) -> ee.Image:
        """Return an item's image cut to its region, as the client does it for thumbnails."""
        image, region, crs = self._image_of(item), self.region, self._region_crs
        place = region(item) if callable(region) else item.geometry.buffer(region).bounds()
        if crs is not None:
            name = item.utm_crs if crs == UTM else crs
            image = image.setDefaultProjection(name, crsTransform=[1, 0, 0, 0, -1, 0])
        size: dict[str, Any] = {"scale": self.scale}
        if self.rows_columns is not None:
            size = dict(zip(("height", "width"), self.rows_columns, strict=True))
        arguments = {"input": image, "geometry": place, **size}
        return ee.ApiFunction.apply_("Image.clipToBoundsAndScale", arguments)

    def _projection(self, samples: list[WorkItem]) -> Expression | None:
        if self.layout is None or not self.layout.lattice.is_native:
            return None
        bands, _ = self._bands_and_look

        def projection(item: Any) -> ee.Projection:
            return self._image_of(item).select(bands[0] if bands else 0).projection()

        what = projection if callable(self.image) else projection(None)
        return compile_expression(what, samples, expect=ee.Projection)


def _is_finite(value: Any) -> bool:
    return isinstance(value, Real) and math.isfinite(value)


def _check_method(method: str, kind: ImageFormat) -> None:
    if method not in METHODS:
        raise InputError(f"method={method!r} is not known; choose one of {METHODS}")
    if method in URL_METHODS and URL_METHODS[method] != kind.is_visual:
        raise InputError(
            f"method={method!r} does not give {kind.name} files: thumbnails are pictures (png,"
            " jpg), downloads are data (npy, tif)"
        )


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
    sending = Sending(concurrency, rate, retry, deadline, workload_tag, credentials, partition_size)
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
    task, asked = request.task(checked, sending.endpoint)
    return Plan("chips", checked, task, Folder(os.fspath(out)), asked, sending.options)

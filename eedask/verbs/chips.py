"""The verb ``chips``: one image file for each item."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, wraps
from numbers import Real
from typing import Any

import ee
import geopandas as gpd

from eedask.arguments import check_scale
from eedask.crs import NATIVE, UTM, crs_name
from eedask.dataset.dataset import RESERVED
from eedask.dataset.file_names import differ_only_by_case
from eedask.dataset.folder import folder_at
from eedask.dataset.question import Question
from eedask.dataset.subfolders import Subfolders
from eedask.earthengine.endpoint import DEADLINE, Endpoint, EndpointName
from eedask.earthengine.retry import RetryPolicy
from eedask.errors import InputError
from eedask.expressions.compile import Expression, compile_expression
from eedask.grid import Lattice
from eedask.items.check import check_items
from eedask.items.from_earth_engine import check_properties
from eedask.items.item import WorkItem, sample_items
from eedask.pixels.chip_task import COMPUTE_PIXELS, METHODS, URL_METHODS, ChipTask
from eedask.pixels.descriptions import PROJECTION, PROPERTIES, property_keys
from eedask.pixels.formats.base import ImageFormat
from eedask.pixels.formats.masking import PACKED, Masking
from eedask.pixels.formats.registry import image_format
from eedask.pixels.layout import Layout
from eedask.pixels.query import check_size
from eedask.pixels.resampling import (
    NEAREST,
    check_has_pixels,
    check_resampling,
    moved_pixels,
    resampled,
)
from eedask.pixels.visualization import Visualization, visualization
from eedask.plan import Plan
from eedask.quota.messages import DEFAULT_CONCURRENCY, DEFAULT_RATE
from eedask.verbs.options import Sending

Region = float | Callable[[Any], ee.Geometry]


@dataclass(frozen=True)
class ChipRequest:
    """The arguments of :func:`eedask.chips` that say what the chips are, checked together.

    Raises
    ------
    InputError
        If one of them cannot be used, or they do not fit each other.
    """

    image: Any
    shape: Sequence[int] | None
    scale: float | None
    crs: Any
    region: Region | None
    format: str
    bands: Sequence[str] | None
    vis_params: Mapping[str, Any] | None
    folder_by: str | Sequence[str] | None
    folder_missing: str | None
    method: str
    nodata: float | None
    mask: str | None
    properties: Sequence[str]
    crs_transform: Sequence[float] | None = None
    buffer: float | None = None
    resampling: str = NEAREST

    def __post_init__(self) -> None:
        _check_method(self.method, self.kind)
        check_resampling(self.resampling)
        check_properties(self.properties)
        _ = self.masking
        if self.crs_transform is not None and self.crs is None:
            raise InputError("crs_transform= is in units of a crs: state crs= as well")
        _ = self._subfolders
        rows_columns, bands = self.rows_columns, self._bands_and_look[0]
        if self.region is None:
            _ = self.layout
            return
        if self.crs_transform is not None or self.buffer is not None:
            raise InputError(
                "crs_transform= and buffer= are for chips that are laid out here; region= has Earth"
                " Engine work out where a chip lies, and region=METRES is a buffer"
            )
        check_scale(self.scale)
        if (self.shape is None) == (self.scale is None):
            raise InputError("with region=, give either shape=(rows, columns) or scale=")
        if not (callable(self.region) or _is_finite(self.region)):
            raise InputError(f"region is a buffer in metres, or a function; got {self.region!r}")
        if self._region_crs == NATIVE:
            raise InputError("with region=, leave crs out to have the image's own grid")
        if rows_columns is not None:
            by_url = self.method != COMPUTE_PIXELS
            of_masks = 0 if self.kind.is_visual else max(1, len(self._sent_as.mask_names(bands)))
            check_size(rows_columns, max(1, len(bands)) + of_masks, 1, by_url=by_url)

    @property
    def needs_geometry(self) -> bool:
        """Whether the chips lie around the items' own geometries."""
        return self.region is None

    @property
    def names(self) -> tuple[str, ...]:
        """The properties of images that the manifest is to have, each once."""
        return tuple(dict.fromkeys(self.properties or ()))

    @cached_property
    def kind(self) -> ImageFormat:
        """The file format, as an object."""
        return image_format(self.format)

    @property
    def _sent_as(self) -> ImageFormat:
        """The format in which Earth Engine is asked for the pixels."""
        return self.kind.sent_as(has_grid=self.region is None)

    @cached_property
    def masking(self) -> Masking:
        """How files of data say which pixels are masked."""
        if self.mask not in (None, "band"):
            raise InputError(f"mask is 'band' or None; got {self.mask!r}")
        if self.nodata is None and self.mask is None:
            return Masking()
        if self.kind.is_visual:
            raise InputError(
                f"nodata= and mask= are for data; format={self.kind.name!r} holds none"
            )
        if self.nodata is not None and self.mask is not None:
            raise InputError("give nodata= or mask='band', not both: each says what is masked")
        if self.nodata is not None and not _is_number(self.nodata):
            raise InputError(f"nodata is a number; got {self.nodata!r}")
        # Of NumPy's numbers, their plain ones.
        plain = getattr(self.nodata, "item", lambda: self.nodata)()
        return Masking(plain, self.mask is not None)

    @cached_property
    def rows_columns(self) -> tuple[int, int] | None:
        """The chip's rows and columns, if ``shape`` was given."""
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
        transform: Any = self.crs_transform
        lattice = Lattice(UTM if self.crs is None else self.crs, self.scale, transform)
        return Layout(lattice, self.rows_columns, self.buffer)

    def task(self, items: gpd.GeoDataFrame, endpoint: Endpoint) -> tuple[ChipTask, Question]:
        """Return the task of the workers, and all that determines its results.

        Parameters
        ----------
        items : GeoDataFrame
            Checked items, see :func:`~eedask.items.check.check_items`.
        endpoint : Endpoint
            Where requests go.

        Returns
        -------
        ChipTask
        Question
            By which a dataset of the same plan is known again.
        """
        self._check_items(items)
        samples = sample_items(items)
        image = compile_expression(self._recipe(), samples, expect=ee.Image)
        check_has_pixels(self.resampling, image, samples)
        bands, look = self._bands_and_look
        if (missing := self.kind.missing()) is not None:
            raise InputError(self.kind.cannot_write(missing))
        is_own = image.depends_on_item if self.region is None else callable(self.image)
        task = ChipTask(
            endpoint=endpoint,
            image=image,
            layout=self.layout,
            about=None if is_own else self._about(samples),
            description=self._description(samples) if is_own else None,
            format=self.kind,
            method=self.method,
            bands=bands,
            visualization=look,
            subfolders=self._subfolders,
            masking=self.masking,
            unique_case=not self._case_matters(items),
            properties=self.names,
            remarks=moved_pixels(self.layout.lattice, image, samples) if self.layout else (),
        )
        if self.rows_columns is not None and self.layout is not None:
            task.check_shape(self.rows_columns)
        return task, Question(self._terms(), {"image": image}, self._uses())

    def _uses(self) -> frozenset[str]:
        """Return what a chip depends on besides its image: where it lies, and its folder."""
        found = {"geometry"} if self.region is None else set()
        return frozenset(found | {f"column:{name}" for name in self._subfolders.columns})

    def _terms(self) -> dict[str, Any]:
        bands, look = self._bands_and_look
        return {
            "verb": "chips",
            "format": self.kind.name,
            "shape": self.rows_columns,
            "scale": None if self.scale is None else float(self.scale),
            "crs": self.layout.lattice.crs if self.layout else self._region_crs,
            "crs_transform": self.layout.lattice.transform if self.layout else None,
            "buffer": None if self.buffer is None else float(self.buffer),
            "resampling": None if self.resampling == NEAREST else self.resampling,
            "bands": bands,
            "visualization": look.to_json() if look else None,
            "folder_by": self._subfolders.columns,
            "folder_missing": self.folder_missing,
            "properties": self.names,
            **self.masking.to_json(),
        }

    @cached_property
    def _subfolders(self) -> Subfolders:
        return Subfolders.of(self.folder_by, self.folder_missing)

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
        self._subfolders.check(items)
        without_extent = self.region is None and self.shape is None and self.buffer is None
        if without_extent and (items.geometry.geom_type == "Point").any():
            raise InputError(
                "a point has no extent: give shape=(rows, columns), or buffer=METRES, or region="
                " for Earth Engine to work it out"
            )

    def _case_matters(self, items: gpd.GeoDataFrame) -> bool:
        return differ_only_by_case(items.index) or self._subfolders.differ_only_by_case(items)

    def _image_of(self, item: Any) -> ee.Image:
        image = self.image(item) if callable(self.image) else self.image
        return resampled(image, self.resampling)

    def _recipe(self) -> Any:
        """Return the image, or a function from an item to it, cut to the region if there is one."""
        recipe = self._with_masks if self.region is None else self._clipped
        if not callable(self.image):
            return recipe(None) if self.region is None else recipe

        # Under the name of the user's function, which errors tell.
        @wraps(self.image)
        def named(item: Any) -> ee.Image:
            return recipe(item)

        return named

    def _with_masks(self, item: Any) -> ee.Image:
        """Return an item's image; of data, its bands and then what tells where they are masked.

        Outside of its footprint an image and its mask have no pixels: there, too, it is masked.
        How each format tells it, :mod:`~eedask.pixels.formats.masking` says.
        """
        image = self._image_of(item)
        if self.kind.is_visual:
            return image
        bands, _ = self._bands_and_look
        image = ee.Image(image)
        chosen = image.select(list(bands)) if bands else image
        valid = chosen.mask().gt(0)
        if self._sent_as.has_one_type:
            # Masks of 0 and 1 alone, as nothing is to come of a value and what fills its place.
            whole = chosen.mask(valid)
            chosen, masks = whole.unmask(0, False), whole.unmask(1, False)
        else:
            masks = _packed(valid, bands) if len(bands) > 1 else valid
            masks = masks.toByte().unmask(0, False)
        names = self._sent_as.mask_names(bands)
        return chosen.addBands(masks.rename(list(names)) if names else masks)

    def _clipped(self, item: Any) -> ee.Image:
        """Return an item's image cut to its region, in the way of the client's ``getThumbURL``."""
        image, region, crs = self._with_masks(item), self.region, self._region_crs
        place = region(item) if callable(region) else item.geometry.buffer(region).bounds()
        if crs is not None:
            name = item.utm_crs if crs == UTM else crs
            image = image.setDefaultProjection(name, crsTransform=[1, 0, 0, 0, -1, 0])
        size: dict[str, Any] = {"scale": self.scale}
        if self.rows_columns is not None:
            size = dict(zip(("height", "width"), self.rows_columns, strict=True))
        arguments = {"input": image, "geometry": place, **size}
        return ee.ApiFunction.apply_("Image.clipToBoundsAndScale", arguments)

    @property
    def _is_native(self) -> bool:
        return self.layout is not None and self.layout.lattice.is_native

    def _about(self, samples: list[WorkItem]) -> Expression:
        """Return the question about the image that all items share."""

        def about(item: Any) -> ee.Dictionary:
            image = self._image_of(item)
            told = {"names": image.bandNames(), "types": image.bandTypes()}
            return ee.Dictionary({**told, **self._told_of(image)})

        what = about if callable(self.image) else about(None)
        return compile_expression(what, samples, expect=ee.Dictionary)

    def _description(self, samples: list[WorkItem]) -> Expression | None:
        """Return the question about an item's own image; None if there is none."""
        if not (self._is_native or self.names):
            return None

        # Under the name of the user's function, which errors tell.
        @wraps(self.image)
        def description(item: Any) -> ee.Dictionary:
            return ee.Dictionary(self._told_of(self._image_of(item)))

        return compile_expression(description, samples, expect=ee.Dictionary)

    def _told_of(self, image: ee.Image) -> dict[str, Any]:
        """Return what has to be known of an image before its pixels are asked for."""
        told: dict[str, Any] = {}
        if self._is_native:
            bands, _ = self._bands_and_look
            told[PROJECTION] = image.select(bands[0] if bands else 0).projection()
        if self.names:
            # As those of a feature: they may be null.
            keys = property_keys(self.names)
            told[PROPERTIES] = ee.Feature(None, {key: image.get(keys[key]) for key in keys})
        return told


def _is_finite(value: Any) -> bool:
    return isinstance(value, Real) and math.isfinite(value)


def _is_number(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)


def _packed(valid: ee.Image, bands: Sequence[str]) -> ee.Image:
    """Return 0 and 1 of several bands as bits, which :func:`~masking.valid_in` reads."""
    numbers = range(len(bands))
    parts = [numbers[first : first + PACKED] for first in numbers[::PACKED]]
    bits = [
        valid.select(list(part))
        .multiply(ee.Image.constant([1 << place for place in range(len(part))]))
        .reduce(ee.Reducer.sum())
        for part in parts
    ]
    return ee.Image.cat(bits)


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
    crs_transform: Sequence[float] | None = None,
    buffer: float | None = None,
    resampling: str = NEAREST,
    region: float | Callable[[Any], ee.Geometry] | None = None,
    format: str = "png",
    bands: Sequence[str] | None = None,
    vis_params: Mapping[str, Any] | None = None,
    folder_by: str | Sequence[str] | None = None,
    folder_missing: str | None = None,
    method: str = COMPUTE_PIXELS,
    nodata: float | None = None,
    mask: str | None = None,
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

    There are two ways to say which pixels a chip has. With ``scale``, pixel corners lie on whole
    multiples of the pixel size, counted from the origin of the crs; with ``crs="native"`` or
    ``crs_transform``, on the corners of that grid. So neighbouring chips fit together. A chip has
    ``shape`` pixels around the item's centroid: of an odd number of rows or columns, the centroid
    lies in the middle one; of an even number, the chip's middle is the pixel corner next to the
    centroid. Without ``shape``, a chip has the pixels that cover the item's bounding box, widened
    by ``buffer``. The box of items that are in the chips' crs is not changed by reprojection: if it
    lies on pixel edges, the chip has exactly its pixels. With ``region``, the chip covers the
    bounds of a region that Earth Engine computes, and ``shape`` or ``scale`` says how many pixels
    that is divided into.

    Parameters
    ----------
    items : GeoDataFrame
        One row an item; the index holds unique ids, all integers or all strings. Any crs.
    image : ee.Image or callable
        The image, or a function from an :class:`eedask.Item` to it. ``item.geometry`` is the
        item's geometry, ``item["NAME"]`` the value of a column, ``item.id`` its id. The function
        is called once, with symbols in place of values, and the graph that it builds serves all
        items. A function that needs real values is called for every item on the workers.
    out : str or path
        Folder, local or any fsspec URL, that the workers can write to.
    shape : (int, int), optional
        Rows, columns. Without ``region``, a chip may be larger than the 48 MB that Earth Engine
        answers at once (https://developers.google.com/earth-engine/reference/rest/v1/projects.image/computePixels):
        it is fetched in tiles, which are joined in the worker's memory, up to 2 GiB.
    scale : float, optional
        Metres a pixel.
    crs : str or anything pyproj takes, optional
        The chips' crs: an EPSG code, ``"utm"`` for each item's own UTM zone (the default with
        ``scale``), or ``"native"`` for the grid of the image itself. The native grid takes one
        more request for each 100 items of a partition, or one in all if the items share the image.
        With ``region``, the default is the image's own crs; a composite has EPSG:4326.
    crs_transform : sequence of 6 floats, optional
        The transform of the pixels in ``crs``, instead of ``scale``, as Earth Engine's
        ``crsTransform`` and ``rasterio.Affine`` have it: ``(scale_x, shear_x, translate_x,
        shear_y, scale_y, translate_y)``. A chip begins at any pixel of it: with ``crs="utm"`` and
        ``(30, 0, 15, 0, -30, 15)``, chips have the pixels of Landsat, in each item's own zone.
    buffer : float, optional
        Without ``shape``: metres by which an item's bounding box is widened on all sides, in the
        chips' crs. In a crs of degrees they are counted like ``scale``, by a degree of the equator.
    resampling : {"nearest", "bilinear", "bicubic"}
        How values come about where pixels are not the image's own. The others than "nearest" are
        Earth Engine's ``resample`` (https://developers.google.com/earth-engine/guides/resample) of
        the image, which has to have pixels of its own: a composite is refused.
    region : float or callable, optional
        Metres by which each item's geometry is buffered, the bounds of the buffer being the
        region; or a function from an item to an ``ee.Geometry``:
        ``lambda item: item.geometry.buffer(127).bounds()``.
    format : {"png", "jpg", "npy", "tif"}
        Pictures (1 or 3 bands of whole numbers from 0 to 255, unless ``vis_params`` says how
        values become colours) or data (NumPy structured array, GeoTIFF). A chip that is
        joined from tiles has the same pixels as one from a single request, except for JPEG, which
        is decoded and compressed again, at a high quality. GeoTIFFs need rasterio, here and on the
        workers, which write them; bands of several types share the least that holds them all.
        Masks of data are asked for in the same request: one band of bytes for each eight of
        ``bands``, or one for each band if they are not named. GeoTIFFs by ``region`` have each
        band twice in the request instead, and Earth Engine may refuse bands of several types.
    bands : sequence of str, optional
        The bands to fetch; all when not given.
    vis_params : mapping, optional
        How values become colours, with the keys of ``ee.Image.visualize``: ``bands``, ``min``,
        ``max``, ``palette``, ``gamma``, ``opacity``. For pictures only.
    folder_by : str or sequence of str, optional
        Column whose values name subfolders of ``out``. Several, as ``["split", "label"]``, name
        nested ones, in that order: ``chips/train/forest/17.png``.
    folder_missing : str, optional
        The subfolder of items whose value in such a column is null. When not given, nulls there
        are an error, before any request.
    method : {"compute_pixels", "thumb_url", "download_url"}
        ``computePixels`` takes one request a chip. The others create a URL and fetch it, as
        ``getThumbURL`` (pictures) and ``getDownloadURL`` (data) do. The files are the same.
    nodata : number, optional
        What files of data hold where the image is masked; GeoTIFFs state it in their tag. When not
        given: NaN for floats, the least value for int16 and wider signed types. All values of
        other types may be real, so those files carry a mask: GeoTIFFs GDAL's internal one, NumPy
        files a field ``mask`` with one byte for each band, 1 where it is valid. A chip that cannot
        hold its default (a real pixel equals it) fails with a message that says what to state.
        A GeoTIFF's mask is one for all bands, and masks what is masked in any; ``nodata`` keeps
        bands apart. A pixel counts as valid if its mask is greater than 0. Pictures take neither
        this nor ``mask``: PNGs have alpha, and JPEGs are black where masked.
    mask : {"band"}, optional
        Add a band ``mask`` instead, 1 where all bands are valid and 0 elsewhere; values are 0
        where they are masked. It is uint8 in NumPy files, and in GeoTIFFs, which have one type,
        that of the other bands. GeoTIFFs have GDAL's mask beside it.
    properties : sequence of str
        Properties of the image that an item got, such as ``["system:index", "CLOUD_COVER"]``, to
        stand in the manifest by their names; null where the image has no such property, as a
        mosaic of others has none of theirs. If the items share one image, they come with the
        request about its bands, which is sent anyway. Otherwise they cost one more request for
        each 100 items of a partition, the same in which the native grid is asked for:
        computePixels answers with pixels alone. An image whose properties cannot be had fails its
        item.
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
        (https://developers.google.com/earth-engine/guides/processing_environments). "auto" is
        "high-volume". A url of another service that ``ee.Initialize`` was given, such as that of
        an emulator, is kept whatever stands here. A dataset that was begun on one is gone on with
        on the other.
    partition_size : int, optional
        Items in a Dask partition. When not given: a 16th of the items, at most 250.

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
    """
    sending = Sending(
        concurrency, rate, retry, deadline, workload_tag, credentials, partition_size, endpoint
    )
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
        folder_missing=folder_missing,
        method=method,
        nodata=nodata,
        mask=mask,
        properties=properties,
        crs_transform=crs_transform,
        buffer=buffer,
        resampling=resampling,
    )
    checked = check_items(items, geometry=request.needs_geometry, reserved=RESERVED)
    task, question = request.task(checked, sending.endpoint)
    return Plan(checked, task, folder_at(out, "out"), question, sending.options)

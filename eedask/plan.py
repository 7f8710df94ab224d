"""The verbs, and the plan that each returns: everything is decided, nothing is sent."""

from __future__ import annotations

import os
import random
import sys
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Any

import dask.bag as db
import ee
import geopandas as gpd

from eedask.chips import COMPUTE_PIXELS, METHODS, URL_METHODS, ChipTask
from eedask.connection import DEADLINE, endpoint_of_client
from eedask.dataset import FAILED, MANIFEST_COLUMNS, OK, ORDER, Dataset, work_items
from eedask.errors import InputError, ItemsError
from eedask.execution import execute, rows_bag
from eedask.expression import Builder, Expression, compile_expression, digest
from eedask.formats import ImageFormat, image_format
from eedask.grid import canonical_crs
from eedask.items import check_items
from eedask.layout import NATIVE, UTM, Layout
from eedask.naming import differ_only_by_case
from eedask.progress import Counter, Listener, Progress, listener
from eedask.requests import Visualization, check_size, visualization
from eedask.result import Result
from eedask.retrying import RetryPolicy
from eedask.storage import Folder
from eedask.terms import DEFAULT_CONCURRENCY, DEFAULT_RATE
from eedask.worker import RunSpec, Task
from eedask.workitem import WorkItem

# How many items besides the first are built for real to check a traced function.
_SAMPLES = 5
_LARGEST_PARTITION = 250


@dataclass(frozen=True, eq=False)
class Plan:
    """What a verb is going to do. Nothing is sent and nothing written until :meth:`run`.

    Attributes
    ----------
    verb : str
    items : GeoDataFrame
    task : Task
    out : Folder
    asked : mapping
        What determines the result; a folder is resumed only by a plan that asks the same.
    notes : tuple of str
        What the user should know before running.
    concurrency : int
        Requests at once, over all workers.
    rate : float, optional
        Requests a second, over all workers; None: not limited.
    policy : RetryPolicy
    partition_size : int
    """

    verb: str
    items: gpd.GeoDataFrame
    task: Task
    out: Folder
    asked: Mapping[str, Any]
    notes: tuple[str, ...] = ()
    concurrency: int = DEFAULT_CONCURRENCY
    rate: float | None = DEFAULT_RATE
    policy: RetryPolicy = field(default_factory=RetryPolicy)
    partition_size: int = _LARGEST_PARTITION

    def run(
        self,
        *,
        progress: bool | Listener = True,
        retry_failed: bool = False,
        overwrite: bool = False,
    ) -> Result:
        """Do all items that are not done, and return what is there.

        Runs on the current ``distributed.Client``; without one, on the scheduler that
        ``dask.config.set(scheduler=…)`` names; without that, on a cluster in this process.

        Parameters
        ----------
        progress : bool or callable
            True draws a bar; a callable is called with :class:`~eedask.progress.Progress`.
        retry_failed : bool
            Whether items that failed in an earlier run are tried again.
        overwrite : bool
            Whether a dataset that is in the folder, of this plan or another, is removed first.
            Files that no run has written stay.

        Returns
        -------
        Result

        Raises
        ------
        DatasetError
            If ``out`` holds something else.
        RunStopped
            If the run could not go on; what is done is kept.
        """
        partitions, spec = self._stage(retry_failed, overwrite)
        before = self._progress_so_far(retry_failed)
        with listener(progress, self.verb) as listen:
            listen(before)
            if before.done < before.total:
                self._execute(partitions, spec, Counter(before, listen))
                # Reports from other processes may be late; what is written is what counts.
                listen(self._progress_so_far(retry_failed=False))
        return Result(spec.dataset, self._retry)

    def bag(self) -> db.Bag:
        """Return a lazy bag of manifest rows, as dictionaries; computing it does the work."""
        partitions, spec = self._stage()
        return rows_bag(partitions, spec)

    def _execute(self, partitions: int, spec: RunSpec, counter: Counter) -> None:
        try:
            execute(partitions, spec, counter)
        except KeyboardInterrupt:
            now = self._progress_so_far(retry_failed=False)
            print(
                f"interrupted: {now.done} of {now.total} items are done and kept in"
                f" {self.out.url}; run the same plan again to go on",
                file=sys.stderr,
            )
            raise

    def _retry(self, progress: bool | Listener) -> Result:
        return self.run(progress=progress, retry_failed=True)

    def _stage(self, retry_failed: bool = False, overwrite: bool = False) -> tuple[int, RunSpec]:
        dataset = Dataset(self.out)
        plan = dataset.stage(self.items, self.asked, self.partition_size, overwrite)
        spec = RunSpec(
            run_id=uuid.uuid4().hex[:12],
            dataset=dataset,
            task=self.task,
            policy=self.policy,
            concurrency=self.concurrency,
            rate=self.rate,
            retry_failed=retry_failed,
        )
        return plan["partitions"], spec

    def _progress_so_far(self, retry_failed: bool) -> Progress:
        status = Dataset(self.out).manifest()["status"]
        failed = 0 if retry_failed else int((status == FAILED).sum())
        return Progress(len(status), int((status == OK).sum()) + failed, failed)

    def __repr__(self) -> str:
        lines = [f"eedask plan: {self.verb} of {len(self.items)} items into {self.out.url}"]
        lines += [f"  {name}: {value}" for name, value in self._described()]
        return "\n".join([*lines, *(f"  note: {note}" for note in self.notes)])

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><th style='text-align:left'>{escape(name)}</th><td>{escape(str(value))}</td></tr>"
            for name, value in self._described()
        )
        notes = "".join(f"<p><em>{escape(note)}</em></p>" for note in self.notes)
        title = f"{self.verb} of {len(self.items)} items into {self.out.url}"
        return f"<b>eedask plan: {escape(title)}</b><table>{rows}</table>{notes}"

    def _described(self) -> list[tuple[str, Any]]:
        hidden = ("verb", "expression")
        asked = [(k, v) for k, v in self.asked.items() if v not in (None, []) and k not in hidden]
        return [
            *asked,
            ("concurrency", self.concurrency),
            ("rate", self.rate),
            ("retry", self.policy),
        ]


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
    partition_size: int | None = None,
) -> Plan:
    """Plan one image file an item: the pixels around a point, or of a polygon.

    The pixels are found in one of two ways. With ``scale`` (or ``crs="native"``), they lie on
    the lattice of the crs: ``shape`` of them around each item's centroid, or as many as cover
    its bounding box. With ``region``, Earth Engine itself works out the place from the region's
    bounds, and ``shape`` or ``scale`` say how many pixels it is cut into.

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
        Pictures (1 or 3 bands, 8 bit) or data (NumPy structured array, GeoTIFF).
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
    endpoint, _ = endpoint_of_client(workload_tag=workload_tag, deadline=deadline)
    checked = check_items(items, geometry=region is None, reserved=(*MANIFEST_COLUMNS, "id", ORDER))
    _check_column(checked, folder_by)
    kind = image_format(format)
    _check_method(method, kind)
    bands_asked, look = _bands(bands, vis_params, kind)
    layout = None if region is not None else _layout(checked, shape, scale, crs)
    if shape is not None and layout is None:
        check_size(_shape(shape), len(bands_asked) or 1, 1, by_url=method != COMPUTE_PIXELS)
    samples = _samples(checked)
    recipe = image if region is None else _clipped(image, region, shape, scale, crs)
    expression = compile_expression(recipe, samples, expect=ee.Image)
    task = ChipTask(
        endpoint=endpoint,
        image=expression,
        layout=layout,
        projection=_projection(recipe, samples, bands_asked, layout),
        format=kind,
        method=method,
        bands=bands_asked,
        visualization=look,
        folder_by=folder_by,
        unique_case=not _case_matters(checked, folder_by),
    )
    if shape is not None and layout is not None:
        task.check_shape(_shape(shape))
    asked = {
        "verb": "chips",
        "expression": digest(expression.encode(samples[0])),
        "format": kind.name,
        "shape": None if shape is None else list(_shape(shape)),
        "scale": None if scale is None else float(scale),
        "crs": layout.crs if layout else crs and _crs(crs),
        "bands": list(bands_asked),
        "visualization": look.to_json() if look else None,
        "folder_by": folder_by,
    }
    return Plan(
        verb="chips",
        items=checked,
        task=task,
        out=Folder(os.fspath(out)),
        asked=asked,
        notes=_notes(expression),
        concurrency=_positive("concurrency", concurrency),
        rate=rate,
        policy=retry or RetryPolicy(),
        partition_size=_partition_size(partition_size, len(checked)),
    )


def _layout(
    items: gpd.GeoDataFrame, shape: tuple[int, int] | None, scale: float | None, crs: Any
) -> Layout:
    if shape is None and (items.geometry.geom_type == "Point").any():
        raise InputError(
            "a point has no extent: give shape=(rows, columns), or region= for Earth Engine to"
            " work it out"
        )
    return Layout(
        crs=UTM if crs is None else _crs(crs),
        scale=None if scale is None else float(scale),
        shape=None if shape is None else _shape(shape),
    )


def _crs(crs: Any) -> str:
    if isinstance(crs, str) and crs.lower() in (UTM, NATIVE):
        return crs.lower()
    return canonical_crs(crs)


def _shape(shape: Sequence[int]) -> tuple[int, int]:
    try:
        rows, columns = shape
        if min(int(rows), int(columns)) < 1 or (int(rows), int(columns)) != (rows, columns):
            raise ValueError
    except (TypeError, ValueError):
        raise InputError(f"shape is (rows, columns), both at least 1; got {shape!r}") from None
    return int(rows), int(columns)


def _clipped(
    image: Any,
    region: float | Callable[[Any], ee.Geometry],
    shape: tuple[int, int] | None,
    scale: float | None,
    crs: Any,
) -> Callable[[Any], ee.Image]:
    """Return a function to the image cut to a region, as the client does it for thumbnails."""
    if (shape is None) == (scale is None):
        raise InputError("with region=, give either shape=(rows, columns) or scale=")
    size: dict[str, Any] = {"scale": scale}
    if shape is not None:
        rows, columns = _shape(shape)
        size = {"width": columns, "height": rows}
    own_crs = None if crs is None else _crs(crs)
    if own_crs == NATIVE:
        raise InputError("with region=, leave crs out to have the image's own grid")

    def clipped(item: Any) -> ee.Image:
        source = image(item) if callable(image) else image
        place = region(item) if callable(region) else item.geometry.buffer(region).bounds()
        if own_crs is not None:
            name = item.utm_crs if own_crs == UTM else own_crs
            source = source.setDefaultProjection(name, crsTransform=[1, 0, 0, 0, -1, 0])
        arguments = {"input": source, "geometry": place, **size}
        return ee.ApiFunction.apply_("Image.clipToBoundsAndScale", arguments)

    return clipped


def _projection(
    image: Any, samples: list[WorkItem], bands: tuple[str, ...], layout: Layout | None
) -> Expression | None:
    if layout is None or not layout.is_native:
        return None
    band = bands[0] if bands else 0

    def projection(item: Any) -> ee.Projection:
        return (image(item) if callable(image) else image).select(band).projection()

    what = projection if callable(image) else projection(None)
    return compile_expression(what, samples, expect=ee.Projection)


def _bands(
    bands: Sequence[str] | None, vis_params: Mapping[str, Any] | None, kind: ImageFormat
) -> tuple[tuple[str, ...], Visualization | None]:
    named = (bands,) if isinstance(bands, str) else tuple(bands or ())
    if vis_params is None:
        if kind.is_visual and len(named) not in (0, 1, 3):
            raise InputError(f"a {kind.name} picture has 1 or 3 bands; bands is {list(named)}")
        return named, None
    if not kind.is_visual:
        raise InputError(f"vis_params makes pictures; format={kind.name!r} holds data")
    shown, look = visualization(vis_params)
    if named and shown and named != shown:
        raise InputError(f"bands={list(named)} and vis_params' bands {list(shown)} differ")
    return shown or named, look


def _check_method(method: str, kind: ImageFormat) -> None:
    if method not in METHODS:
        raise InputError(f"method={method!r} is not known; choose one of {METHODS}")
    if method in URL_METHODS and URL_METHODS[method] != kind.is_visual:
        raise InputError(
            f"method={method!r} does not give {kind.name} files: thumbnails are pictures (png,"
            " jpg), downloads are data (npy, tif)"
        )


def _check_column(items: gpd.GeoDataFrame, name: str | None) -> None:
    if name is not None and (name not in items.columns or name == items.geometry.name):
        columns = [c for c in items.columns if c != items.geometry.name]
        raise ItemsError(f"folder_by={name!r} is not a column of the items; they have {columns}")


def _samples(items: gpd.GeoDataFrame) -> list[WorkItem]:
    others = random.Random(0).sample(range(len(items)), min(_SAMPLES, len(items)))
    return work_items(items.iloc[[0, *others]])


def _case_matters(items: gpd.GeoDataFrame, folder_by: str | None) -> bool:
    folders = [] if folder_by is None else items[folder_by].unique()
    return differ_only_by_case(items.index) or differ_only_by_case(folders)


def _notes(expression: Expression) -> tuple[str, ...]:
    if not isinstance(expression, Builder):
        return ()
    return (f"the image is built for every item on the workers: {expression.reason}",)


def _partition_size(size: int | None, count: int) -> int:
    # At least 16 partitions where there are items enough, so that all workers get some.
    return _positive("partition_size", size or min(_LARGEST_PARTITION, -(-count // 16)))


def _positive(name: str, value: int) -> int:
    if value < 1:
        raise InputError(f"{name} is at least 1; got {value}")
    return int(value)

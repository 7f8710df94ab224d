"""The verbs whose results are tables: regions and points."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import ee
import geopandas as gpd
import pyarrow as pa

from eedask.dataset.folder import Folder
from eedask.dataset.items_file import sample_items
from eedask.earthengine.connection import DEADLINE, Endpoint, endpoint_of_client
from eedask.earthengine.retry import RetryPolicy
from eedask.errors import InputError, ItemsError
from eedask.expressions.compile import Expression, compile_expression, digest, digest_of
from eedask.grid import canonical_crs
from eedask.items.check import check_items
from eedask.pixels.layout import NATIVE, UTM, check_scale
from eedask.plan import RESERVED, Plan, RunOptions
from eedask.quota.messages import DEFAULT_CONCURRENCY, DEFAULT_RATE
from eedask.run.task import Task
from eedask.tables.grouping import BatchLimits
from eedask.tables.reduce_task import MOST_TILE_SCALE, ReduceTask
from eedask.tables.reducers import Reducer
from eedask.tables.reducers import reducer as as_reducer

Region = Callable[[Any], Any]

# Items in a partition: several requests' worth, as requests are laid out within partitions.
_LEAST_PARTITION, _MOST_PARTITION = 1000, 10_000


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
    asked = Reduction(image, as_reducer(reducer, weighted=weighted), region, scale, crs, tile_scale)
    outlines = outline_options(invalid, simplify)
    checked = check_regions(items, region)
    endpoint, _ = endpoint_of_client(
        workload_tag=workload_tag, deadline=deadline, credentials=credentials
    )
    limits = BatchLimits(items=batch_size)
    task, terms = asked.task(checked, endpoint, limits, points=False, **outlines)
    terms |= {"verb": "reduce_regions", "weighted": weighted, **outlines}
    options = RunOptions(concurrency, rate, retry or RetryPolicy(), partition_size)
    return table_plan(checked, task, terms, out, options)


def sample_points(
    items: gpd.GeoDataFrame,
    image: ee.Image | Callable[[Any], ee.Image],
    *,
    out: str | os.PathLike[str],
    scale: float | None = None,
    crs: Any = None,
    batch_size: int = 1000,
    concurrency: int = DEFAULT_CONCURRENCY,
    rate: float | None = DEFAULT_RATE,
    retry: RetryPolicy | None = None,
    deadline: float = DEADLINE,
    workload_tag: str | None = None,
    credentials: str | os.PathLike[str] | None = None,
    partition_size: int | None = None,
) -> Plan:
    """Plan a table with one row a point: the values of the pixel that it lies in.

    Points in one input tile (256 x 256 pixels of the image's own grid, which is asked for once)
    share a request, so that Earth Engine reads the tile once, and so do up to a hundred tiles.

    Parameters
    ----------
    items : GeoDataFrame
        One row a point; the index holds unique ids, all integers or all strings. Any crs.
    image : ee.Image or callable
        The image, or a function from an item to it; see :func:`eedask.chips`.
    out : str or path
        Folder, local or any fsspec URL, that the workers can write to.
    scale : float, optional
        Metres a pixel; the image's own when not given. A composite has none, so there it is
        needed.
    crs : str or anything pyproj takes, optional
        The crs that pixels lie in; see :func:`reduce_regions`.
    batch_size : int
        Points in a request at most, up to 2,500.
    concurrency, rate, retry, deadline, workload_tag, credentials, partition_size
        As for :func:`eedask.chips`.

    Returns
    -------
    Plan
        Its result's ``table()`` has a column for each band: nullable integers, or floats. A point
        on a masked pixel, or outside the image, has nulls.

    Raises
    ------
    InputError
        If the plan cannot work; nothing was sent.
    """
    asked = Reduction(image, as_reducer("first"), None, scale, crs, 1)
    checked = check_items(items, geometry=True, reserved=RESERVED, missing=True)
    if not checked.geometry.dropna().geom_type.eq("Point").all():
        kinds = sorted(set(checked.geometry.dropna().geom_type))
        raise ItemsError(
            f"sample_points takes points; the items are {', '.join(kinds)}. Use reduce_regions,"
            " or items.representative_point()"
        )
    endpoint, _ = endpoint_of_client(
        workload_tag=workload_tag, deadline=deadline, credentials=credentials
    )
    task, terms = asked.task(checked, endpoint, BatchLimits(items=batch_size), points=True)
    terms |= {"verb": "sample_points"}
    options = RunOptions(concurrency, rate, retry or RetryPolicy(), partition_size)
    return table_plan(checked, task, terms, out, options)


def table_partition(count: int, options: RunOptions) -> RunOptions:
    """Return run options whose partitions hold several requests' worth of so many items."""
    size = min(_MOST_PARTITION, max(_LEAST_PARTITION, -(-count // 16)))
    return options.with_partition(size)


def table_plan(
    items: gpd.GeoDataFrame,
    task: Task,
    terms: dict[str, Any],
    out: str | os.PathLike[str],
    options: RunOptions,
) -> Plan:
    """Return the plan of a table."""
    options = table_partition(len(items), options)
    return Plan(str(terms["verb"]), items, task, Folder(os.fspath(out)), terms, options)


@dataclass(frozen=True)
class Reduction:
    """What is reduced, and on which pixels; checked together.

    Attributes
    ----------
    image : ee object or callable
    reducer : Reducer
    region : callable, optional
    scale : float, optional
    crs : str or anything pyproj takes, optional
    tile_scale : float
    expect : type
        Of ``image``: an image, or a collection that stands for each of its images.
    described : ee.Image or callable, optional
        Has the bands and the projection; ``image`` itself if None.
    """

    image: Any
    reducer: Reducer
    region: Region | None
    scale: float | None
    crs: Any
    tile_scale: float
    expect: type = ee.Image
    described: Any = None

    def __post_init__(self) -> None:
        check_scale(self.scale)
        if not 1 <= self.tile_scale <= MOST_TILE_SCALE:
            raise InputError(f"tile_scale is from 1 to {MOST_TILE_SCALE:g}; got {self.tile_scale}")
        if self.crs_name is not None and self.scale is None:
            raise InputError(
                f"crs={self.crs!r} needs a scale (metres a pixel); only crs='native' has its own"
            )
        if self.region is not None and self.crs_name == UTM:
            raise InputError(
                "crs='utm' needs the items' own geometries, which region= does without; state a"
                " crs, or leave it out for the image's own"
            )

    @property
    def crs_name(self) -> str | None:
        """The crs; None for the image's own."""
        named = self.crs.lower() if isinstance(self.crs, str) else self.crs
        if named in (None, NATIVE):
            return None
        return UTM if named == UTM else canonical_crs(self.crs)

    def task(
        self,
        items: gpd.GeoDataFrame,
        endpoint: Endpoint,
        limits: BatchLimits,
        kind: type[ReduceTask] = ReduceTask,
        **more: Any,
    ) -> tuple[ReduceTask, dict[str, Any]]:
        """Return the workers' task, of the given kind, and what determines its results."""
        samples = sample_items(items)
        image = compile_expression(self.image, samples, expect=self.expect)
        region = None if self.region is None else compile_expression(self._place, samples)
        task = kind(
            endpoint=endpoint,
            image=image,
            about=self._about(samples),
            reducer=self.reducer,
            region=region,
            scale=None if self.scale is None else float(self.scale),
            crs=self.crs_name,
            tile_scale=float(self.tile_scale),
            limits=limits,
            id_type=id_type(items),
            remarks=remarks(items),
            of_run=len(items),
            **more,
        )
        return task, {
            "expression": digest_of(image, samples),
            "reducer": self.reducer.asked,
            "reducer_expression": digest(self.reducer.expression),
            "region": None if region is None else digest_of(region, samples),
            "scale": task.scale,
            "crs": self.crs_name or NATIVE,
        }

    def _about(self, samples: Sequence[Any]) -> Expression:
        outputs = ee.ApiFunction.apply_(
            "Reducer.getOutputs", {"reducer": ee.deserializer.decode(self.reducer.expression)}
        )

        described = self.image if self.described is None else self.described

        def about(item: Any) -> ee.Dictionary:
            image = ee.Image(described(item) if callable(described) else described)
            return ee.Dictionary(
                {
                    "names": image.bandNames(),
                    "types": image.bandTypes(),
                    "projection": image.select(0).projection(),
                    "outputs": outputs,
                }
            )

        what = about if callable(described) else about(None)
        return compile_expression(what, samples, expect=ee.Dictionary)

    def _place(self, item: Any) -> Any:
        assert self.region is not None
        place = self.region(item)
        if isinstance(place, ee.FeatureCollection | ee.Feature):
            return place.geometry()
        return place


def id_type(items: gpd.GeoDataFrame) -> pa.DataType:
    """Return the type of a table's ids."""
    return pa.int64() if items.index.inferred_type == "integer" else pa.string()


def remarks(items: gpd.GeoDataFrame) -> tuple[str, ...]:
    """Return what is done to items that their user may want to know."""
    crs = items.crs
    if crs is None or crs == "EPSG:4326" or items.geometry.isna().all():
        return ()
    return (f"the items are in {crs.to_string()}; their vertices are sent in EPSG:4326",)


def check_regions(items: gpd.GeoDataFrame, region: Region | None) -> gpd.GeoDataFrame:
    """Return items that are regions, or say which Earth Engine has, checked."""
    own = region is None
    return check_items(items, geometry=own, reserved=RESERVED, missing=True, wrapped=True)


def outline_options(invalid: str, simplify: float | None) -> dict[str, Any]:
    """Return what a task does to the outlines of regions.

    Raises
    ------
    InputError
        If that cannot be.
    """
    if invalid not in ("fail", "repair"):
        raise InputError(f"invalid={invalid!r} is not known; choose one of fail, repair")
    if simplify is not None and not simplify > 0:
        raise InputError(f"simplify is a number of metres above 0; got {simplify!r}")
    return {"repair": invalid == "repair", "simplify": simplify}

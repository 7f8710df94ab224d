"""The work of a table: items that share a request, what the request asks, and reading its answer.

A request holds *groups*: an image and the features that are reduced over it. Where all items
share the image there is one group; where the image depends on the item, a group for each image.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, ClassVar

import pyarrow as pa

from eedask.crs import UTM
from eedask.dataset.rows import ITEM_ID
from eedask.earthengine.endpoint import Endpoint, Request
from eedask.earthengine.methods import compute_value
from eedask.earthengine.nodes import Encoded, Graph, Node, call, constant, value_node
from eedask.errors import (
    InputError,
    PermanentError,
    RequestError,
    TooLargeError,
    TransientError,
)
from eedask.expressions.compile import Builder, Expression, Template
from eedask.grid import Lattice, NativeProjection
from eedask.items.item import WorkItem
from eedask.run.task import Job, Outcome, Records, Sender
from eedask.tables import outlines
from eedask.tables.batches import Batch, BatchedTask
from eedask.tables.columns import Column, check_columns, columns, fitted, is_features_own
from eedask.tables.features import features_by_item, joined, point_features, region_features, slim
from eedask.tables.grouping import BatchLimits, by_tile, expected_pixels, in_order, tiles_of
from eedask.tables.reducers import Reducer
from eedask.tables.values import infer

# The largest that helps, by https://developers.google.com/earth-engine/apidocs/
# ee-image-reduceregions.
MOST_TILE_SCALE = 16.0


@dataclass(frozen=True)
class ReduceTask(BatchedTask):
    """A reducer over a region, or the pixel at a point, of every item.

    Attributes
    ----------
    endpoint : Endpoint
    image : Expression
    about : Expression
        Band names, types and projection of the image.
    reducer : Reducer
    region : Expression, optional
        The item's region, where it is Earth Engine that knows it.
    points : bool
        Whether items are points, batched by input tile.
    lattice : Lattice
        The pixels that are reduced.
    tile_scale : float
    limits : BatchLimits
    id_type : pyarrow.DataType
    remarks : tuple of str
        What is done to the items that the user may want to know.
    repair : bool
        Whether invalid polygons are made valid; otherwise they fail.
    simplify : float, optional
        Metres by which outlines may be simplified.
    native : NativeProjection, optional
        Of the image, once it is known.
    columns : tuple of Column
        Once they are known.
    of_run : int
        Items of the run.
    """

    endpoint: Endpoint
    image: Expression
    about: Expression
    reducer: Reducer
    region: Expression | None
    points: bool
    lattice: Lattice
    tile_scale: float
    limits: BatchLimits
    id_type: pa.DataType
    remarks: tuple[str, ...] = ()
    repair: bool = False
    simplify: float | None = None
    native: NativeProjection | None = None
    columns: tuple[Column, ...] = ()
    of_run: int = 1

    # Columns of the table's own.
    taken: ClassVar[tuple[str, ...]] = (ITEM_ID,)

    @property
    def needs_client(self) -> bool:
        """Whether expressions are built on the workers, with the ``ee`` client."""
        return not (self.image.is_traced and (self.region is None or self.region.is_traced))

    @property
    def notes(self) -> tuple[str, ...]:
        """What the user should know before running."""
        built = {"image": self.image, "region": self.region}
        return self.remarks + tuple(
            f"the {what} is built for every item on the workers: {expression.reason}"
            for what, expression in built.items()
            if isinstance(expression, Builder)
        )

    @property
    def schema(self) -> pa.Schema:
        """The columns: the item's id, and the values."""
        fields = [(column.name, column.type) for column in self.columns]
        return pa.schema([(ITEM_ID, self.id_type), *fields])

    @property
    def presumed(self) -> float:
        """The weight of a request that is taken to work: for points, their number."""
        return max(250.0, self.limits.items / 8) if self.points else self.limits.pixels / 8

    @property
    def total(self) -> float:
        """The weight of all items, or less."""
        return self.of_run * self._least

    @property
    def _least(self) -> float:
        """The least weight of an item: small regions cost their share of a request's own work."""
        return 1.0 if self.points else self.limits.pixels / self.limits.items

    def prepare(self, send: Callable[[Request], bytes], items: Sequence[WorkItem]) -> ReduceTask:
        """Return the task with the image's bands and projection."""
        about = first_answer(self.endpoint, self.about, send, items)
        native = None
        try:
            native = NativeProjection.from_info(about["projection"])
        except PermanentError as error:
            if self.lattice.scale is None:
                raise InputError(str(error)) from error
        bands = {name: about["types"][name] for name in about["names"]}
        known = replace(self, native=native, columns=columns(bands, about["outputs"]))
        if not self.reducer.is_named:
            known = known._with_types(send, items)
        check_columns(known.columns, self.taken, of_features=True)
        return known

    def _with_types(self, send: Callable[[Request], bytes], items: Sequence[WorkItem]) -> Any:
        """Return the task with the columns that a reducer of the user's turns out to give."""
        found: list[Mapping[str, Any]] = []
        for item in items:
            try:
                job = Job((self._usable(item),), Batch((1.0,), self.tile_scale))
                answer = json.loads(send(compute_value(self.endpoint, self._expression(job))))
            except (PermanentError, TooLargeError, InputError):
                continue
            found += [feature["properties"] for feature in answer["result"]["features"]]
        keys = dict.fromkeys(key for row in found for key in row if not is_features_own(key))
        matched = {key: c for c in self.columns for key in c.keys if key in keys}
        if keys and set(keys) - set(matched):
            # A reducer of several bands at once names its results itself.
            made = tuple(Column(key, (key,), infer(r.get(key) for r in found)) for key in keys)
        else:
            made = tuple(replace(c, type=infer(c.pick(row) for row in found)) for c in self.columns)
        return replace(self, columns=made)

    def jobs(self, items: Sequence[WorkItem]) -> Iterator[Job]:
        """Yield jobs of items that share input tiles, or lie next to each other."""
        usable: list[WorkItem] = []
        for item, ready in zip(items, self._ready(items), strict=True):
            try:
                usable.append(item if ready else self._usable(item))
            except InputError as error:
                yield Job((item,), error)
        if usable:
            batches, weights = self._batches(usable)
            for batch in batches:
                chosen = tuple(usable[k] for k in batch)
                yield Job(chosen, Batch(tuple(weights[k] for k in batch), self.tile_scale))

    def _batches(self, items: Sequence[WorkItem]) -> tuple[list[list[int]], list[float]]:
        """Return the positions of items that share requests, and the weight of each item."""
        if self.points:
            native = None if self.image.depends_on_item else self.native
            tiles = tiles_of(items, native, self.lattice.scale)
            return by_tile(tiles, self.limits), [1.0] * len(items)
        scale = self.lattice.scale or (self.native.scale if self.native else None)
        pixels = [expected_pixels(item, scale) for item in items]
        vertices = [outlines.vertices(item) if self.region is None else 1 for item in items]
        weights = [max(one, self._least) for one in pixels]
        return in_order(zip(vertices, weights, strict=True), self.limits), weights

    def _ready(self, items: Sequence[WorkItem]) -> Sequence[bool]:
        """Return which items are sent as they are."""
        if self.region is not None:
            return [True] * len(items)
        if self.simplify is not None and not self.points:
            return [False] * len(items)
        found: list[bool] = outlines.as_they_are(items).tolist()
        return found

    def _usable(self, item: WorkItem) -> WorkItem:
        if self.region is not None:
            return item
        simplify = None if self.points else self.simplify
        return outlines.usable(item, repair=self.repair, simplify=simplify)

    def too_long(self, item: WorkItem) -> str:
        """Return what to do about an item whose request alone is longer than Earth Engine takes."""
        if self.region is not None:
            return super().too_long(item)
        return (
            f"the outline has {outlines.vertices(item):,} vertices, some 40 bytes each: simplify it"
            " (simplify=METRES), or let Earth Engine take the region from an asset by its id"
            " (region=)"
        )

    def lighter(self, job: Job) -> Sequence[Job]:
        """Return the job with smaller tiles, up to 16 times."""
        batch: Batch = job.laid_out
        if batch.tile_scale >= MOST_TILE_SCALE:
            return ()
        larger = min(MOST_TILE_SCALE, 4 * batch.tile_scale)
        return (replace(job, laid_out=replace(batch, tile_scale=larger, eased=True)),)

    def ask(self, job: Job, sender: Sender) -> Sequence[Outcome]:
        """Return what each item of a job gets, of one request."""
        found: list[list[Mapping[str, Any]]] = []

        def check(body: bytes) -> None:
            found[:] = features_by_item(body, len(job.items))
            if any(len(rows) != 1 for rows in found):
                raise TransientError("the answer does not have one row for every item")

        body = sender.send(compute_value(self.endpoint, self._expression(job)), check)
        share = len(body) // len(job.items)
        return [self._outcome(rows[0], share) for rows in found]

    def _outcome(self, found: Mapping[str, Any], share: int) -> Outcome:
        try:
            return Records([self.values(found)], share)
        except InputError as error:
            return error

    def values(self, found: Mapping[str, Any]) -> dict[str, Any]:
        """Return the values of a row, from the properties of a feature.

        Raises
        ------
        InputError
            If one does not fit its column, or has none.
        """
        if unknown := [key for key in found if key not in self._keys and not is_features_own(key)]:
            raise InputError(
                f"the answer has {sorted(unknown)}, for which the table has no column (it has"
                f" {[column.name for column in self.columns]}): give all items' images the same"
                " bands, with select"
            )
        return fitted(self.columns, found)

    @cached_property
    def _keys(self) -> frozenset[str]:
        """The properties that columns are filled from."""
        return frozenset(key for column in self.columns for key in column.keys)

    def _expression(self, job: Job) -> Encoded:
        graph = Graph()
        reducer = graph.embed(self.reducer.expression)
        batch: Batch = job.laid_out
        scale = None if self.lattice.scale is None else constant(self.lattice.scale)
        reduced = []
        for (image, crs), positions in self._groups(job.items, graph).items():
            features = self._features(job.items, positions, graph)
            reduced.append(
                call(
                    "Image.reduceRegions",
                    image={"valueReference": image},
                    collection=features,
                    reducer=reducer,
                    scale=scale,
                    crs=None if crs is None else constant(crs),
                    tileScale=constant(batch.tile_scale),
                )
            )
        return graph.encode(slim(graph, joined(reduced)))

    def _groups(
        self, items: Sequence[WorkItem], graph: Graph
    ) -> dict[tuple[str, str | None], list[int]]:
        """Return the positions of items by the key of their image, and their crs."""
        groups: dict[tuple[str, str | None], list[int]] = {}
        images: dict[Any, str] = {}
        for position, item in enumerate(items):
            same = _sameness(self.image, item)
            if same not in images:
                images[same] = graph.embed(self.image.encode(item))["valueReference"]
            groups.setdefault((images[same], self._crs_of(item)), []).append(position)
        return groups

    def _crs_of(self, item: WorkItem) -> str | None:
        """Return the crs in which an item is reduced; None for the image's own."""
        if self.lattice.is_native:
            return None
        return item.utm_crs if self.lattice.crs == UTM else self.lattice.crs

    def _features(self, items: Sequence[WorkItem], positions: Sequence[int], graph: Graph) -> Node:
        if self.points:
            return point_features([(items[k], k) for k in positions], graph)
        return region_features([(items[k], k) for k in positions], self.region, graph)


def first_answer(
    endpoint: Endpoint,
    about: Expression,
    send: Callable[[Request], bytes],
    items: Sequence[WorkItem],
) -> dict[str, Any]:
    """Return what Earth Engine answers for the first item for which it does.

    Raises
    ------
    RequestError
        Of the last item, if none gives an answer.
    """
    error: RequestError | InputError | None = None
    for item in items:
        try:
            answer: dict[str, Any] = json.loads(send(compute_value(endpoint, about.encode(item))))
            return dict(answer["result"])
        except (PermanentError, TooLargeError, InputError) as refused:
            error = refused
        if not about.depends_on_item:
            break
    assert error is not None
    raise error


def _sameness(image: Expression, item: WorkItem) -> Any:
    """Return what items whose images are equal share."""
    if not image.depends_on_item:
        return None
    if isinstance(image, Template):
        return json.dumps(
            [value_node(item.value(field)) for field in image.slots.values()], sort_keys=True
        )
    return item.id

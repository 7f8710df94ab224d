"""The work of a time series: a reducer over the region of every item, on every image.

The answer holds a feature for each item and image. Items share a request while there is room for
them; one item whose series is too long, or too heavy, is asked for by windows of time.
"""

from __future__ import annotations

import itertools
import json
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import pyarrow as pa

from eedask.dataset.rows import IMAGE, ITEM_ID, WHEN
from eedask.earthengine.endpoint import Request
from eedask.earthengine.methods import compute_value
from eedask.earthengine.nodes import Encoded, Graph, Node, argument, call, constant, listed
from eedask.errors import InputError, PermanentError, TooLargeError, TransientError
from eedask.expressions.compile import Expression
from eedask.items.item import WorkItem
from eedask.run.task import Job, Outcome, Records, Sender
from eedask.tables.batch_memory import BatchMemory
from eedask.tables.columns import fitted
from eedask.tables.composites import NO_IMAGES
from eedask.tables.features import features_by_item, joined
from eedask.tables.reduce_task import ReduceTask
from eedask.tables.values import TIME, to_time

_IMAGE_KEY, _TIME_KEY = "eedask:image", "system:time_start"
# Features of one answer: less than half of what Earth Engine allows
# (https://developers.google.com/earth-engine/guides/usage).
_MOST_FEATURES = 2000

# A span of the sorted times of a collection: positions of its first, and after its last.
Window = tuple[int, int]


@dataclass(frozen=True)
class Span:
    """A span of time, its end left out, milliseconds since 1970.

    Attributes
    ----------
    start, end : int
    timeless : bool
        Whether images without a time are asked for with it.
    """

    start: int
    end: int
    timeless: bool

    @classmethod
    def of(cls, times: Sequence[int], window: Window | None) -> Span | None:
        """Return the span of a window of some times; those without one go with the first."""
        if window is None:
            return None
        first, after = window
        return cls(times[first], times[after - 1] + 1, first == 0)


@dataclass(frozen=True)
class SeriesTask(ReduceTask):
    """A reducer over the region of every item, on every image of a collection.

    The attributes are those of :class:`~eedask.tables.reduce_task.ReduceTask`, where ``image`` is
    the collection, and:

    Attributes
    ----------
    times_of : Expression
        The times of the collection's images.
    size_of : Expression
        How many images there are, of which a composite may be made.
    composite : bool
        Whether images are composites, which are called by their day.
    times : tuple of int
        Of the images, sorted, each once, milliseconds since 1970; where all items share the
        collection, once they are known.
    count : int
        Images of the collection, likewise.
    """

    times_of: Expression | None = None
    size_of: Expression | None = None
    composite: bool = False
    times: tuple[int, ...] = ()
    count: int = 1

    taken: ClassVar[tuple[str, ...]] = (ITEM_ID, IMAGE, WHEN)

    @property
    def schema(self) -> pa.Schema:
        """The columns: the item's id, the image's, its time, and the values."""
        fields = [(column.name, column.type) for column in self.columns]
        return pa.schema([(ITEM_ID, self.id_type), (IMAGE, pa.string()), (WHEN, TIME), *fields])

    @property
    def total(self) -> float:
        """The weight of all items on all images, or less."""
        return super().total * self.count

    def prepare(self, send: Callable[[Request], bytes], items: Sequence[WorkItem]) -> SeriesTask:
        """Return the task with the images' bands and projection, and their times."""
        try:
            known = super().prepare(send, items)
        except PermanentError as error:
            self._refuse_empty(send, items, error)
            raise
        assert isinstance(known, SeriesTask)
        if self.image.depends_on_item:
            return replace(known, limits=replace(self.limits, items=min(10, self.limits.items)))
        times = _times(send(self._times_request(items[0])))
        return replace(known, times=tuple(sorted(set(times))), count=max(1, len(times)))

    def _batches(self, items: Sequence[WorkItem]) -> tuple[list[list[int]], list[float]]:
        least = self.limits.pixels / _MOST_FEATURES
        batches, weights = super()._batches(items)
        weights = [max(weight, least) * self.count for weight in weights]
        cuts: list[list[int]] = []
        for batch in batches:
            held = self.limits.pixels
            for position in batch:
                if held + weights[position] > self.limits.pixels:
                    cuts.append([])
                    held = 0.0
                cuts[-1].append(position)
                held += weights[position]
        return cuts, weights

    def do(self, job: Job, sender: Sender) -> Sequence[Outcome]:
        """Return what each item of a job gets; a single item's may take several requests."""
        if len(job.items) > 1:
            return super().do(job, sender)
        with self.advising(job):
            return [self._by_windows(job, sender)]

    def ask(self, job: Job, sender: Sender) -> Sequence[Outcome]:
        """Return what each item of a job gets, of one request."""
        rows, size = self._rows(job, sender, None)
        counts = {len(of_item) for of_item in rows}
        if len(counts) > 1 and not self.image.depends_on_item:
            raise TransientError(f"the answer has {sorted(counts)} rows for items alike")
        return [self._records(of_item, size // len(rows)) for of_item in rows]

    def _by_windows(self, job: Job, sender: Sender) -> Outcome:
        """Return what the item of a job gets, of as many requests as it takes."""
        memory: BatchMemory = sender.memory
        weight = job.laid_out.weight
        allowed = memory.admit(job, weight, sender.rest)
        if allowed < weight:
            allowed = memory.admit(job, allowed, sender.rest)
        times = list(self.times)
        todo: deque[Window | None] = deque(self._first_windows(weight, allowed))
        rows: list[Mapping[str, Any]] = []
        size = 0
        while todo:
            window = todo.popleft()
            share = 1.0 if window is None else (window[1] - window[0]) / max(1, len(times))
            try:
                found, nbytes = self._rows(job, sender, Span.of(times, window))
            except TooLargeError as error:
                memory.too_large(job, weight * share, job.label)
                if window is None and not times:
                    times = sorted(set(_times(sender.send(self._times_request(job.items[0])))))
                todo.extendleft(reversed(_halves(window or (0, len(times)), error)))
                continue
            except BaseException:
                memory.other(job)
                raise
            memory.worked(job, weight * share)
            rows += found[0]
            size += nbytes
        return self._records(rows, size)

    def _first_windows(self, weight: float, allowed: float) -> list[Window | None]:
        parts = max(-(-weight // allowed), -(-self.count // _MOST_FEATURES))
        if parts < 2 or len(self.times) < 2:
            return [None]
        edges = [round(len(self.times) * k / parts) for k in range(int(parts) + 1)]
        return [(a, b) for a, b in itertools.pairwise(edges) if b > a]

    def _rows(
        self, job: Job, sender: Sender, span: Span | None
    ) -> tuple[list[list[Mapping[str, Any]]], int]:
        expression = self._expression(job, span)
        body = sender.send(compute_value(self.endpoint, expression))
        return features_by_item(body, len(job.items)), len(body)

    def _records(self, found: Sequence[Mapping[str, Any]], nbytes: int) -> Outcome:
        try:
            rows = [self._row(properties) for properties in found]
        except InputError as error:
            return error
        return Records(sorted(rows, key=lambda row: (row[WHEN] is None, row[WHEN])), nbytes)

    def _row(self, properties: Mapping[str, Any]) -> dict[str, Any]:
        when = to_time(properties.get(_TIME_KEY))
        image = properties.get(_IMAGE_KEY)
        if self.composite and when is not None:
            image = f"{when:%Y-%m-%d}"
        if NO_IMAGES in properties:
            return {IMAGE: image, WHEN: when, **fitted(self.columns, {})}
        return {IMAGE: image, WHEN: when, **self.values(properties)}

    def _expression(self, job: Job, span: Span | None = None) -> Encoded:
        graph = Graph()
        reducer = graph.embed(self.reducer.expression)
        scale = None if self.lattice.scale is None else constant(self.lattice.scale)
        series = []
        for (key, crs), positions in self._groups(job.items, graph).items():
            image = argument("eedask image")
            reduced = call(
                "Image.reduceRegions",
                image=image,
                collection=self._features(job.items, positions, graph),
                reducer=reducer,
                scale=scale,
                crs=None if crs is None else constant(crs),
                tileScale=constant(job.laid_out.tile_scale),
            )
            of_image = graph.function(["eedask image"], _labelled(graph, reduced, image))
            collection = _between({"valueReference": key}, span)
            mapped = call("Collection.map", collection=collection, baseAlgorithm=of_image)
            series.append(call("Collection.flatten", collection=mapped))
        return graph.encode(joined(series))

    def _refuse_empty(
        self, send: Callable[[Request], bytes], items: Sequence[WorkItem], error: PermanentError
    ) -> None:
        """Say so where no bands are known because there are no images."""
        assert self.size_of is not None
        asked = items if self.image.depends_on_item else items[:1]
        sizes = (compute_value(self.endpoint, self.size_of.encode(item)) for item in asked)
        try:
            if any(json.loads(send(request))["result"] for request in sizes):
                return
        except (PermanentError, TooLargeError, InputError):
            return
        whose = f" of any of the {len(asked)} items that were tried" if len(asked) > 1 else ""
        raise InputError(
            f"the collection{whose} has no images: look at its dates, bounds and other filters"
        ) from error

    def _times_request(self, item: WorkItem) -> Request:
        assert self.times_of is not None
        return compute_value(self.endpoint, self.times_of.encode(item))


def _labelled(graph: Graph, reduced: Node, image: Node) -> Node:
    """Return the features without geometry, and with the image's index and time."""
    bare = call("Feature.setGeometry", feature=argument("eedask feature"), geometry=constant(None))
    index = call("Element.get", object=image, property=constant("system:index"))
    named = call("Element.set", object=bare, key=constant(_IMAGE_KEY), value=index)
    # Not by Element.set, which takes no null, and not all images have a time.
    timed = call(
        "Element.copyProperties",
        destination=named,
        source=image,
        properties=constant([_TIME_KEY, NO_IMAGES]),
    )
    make = graph.function(["eedask feature"], timed)
    return call("Collection.map", collection=reduced, baseAlgorithm=make)


def _between(collection: Node, span: Span | None) -> Node:
    """Return the images of a collection whose time lies in a span."""
    if span is None:
        return collection
    dates = call("DateRange", start=constant(span.start), end=constant(span.end))
    within = call("Filter.dateRangeContains", leftValue=dates, rightField=constant(_TIME_KEY))
    if span.timeless:
        timed = call("Filter.notNull", properties=constant([_TIME_KEY]))
        within = call("Filter.or", filters=listed([within, call("Filter.not", filter=timed)]))
    return call("Collection.filter", collection=collection, filter=within)


def _halves(window: Window, error: TooLargeError) -> list[Window | None]:
    """Return a window as two; raise the error where it holds a single time."""
    start, end = window
    middle = (start + end) // 2
    if middle == start:
        raise error
    return [(start, middle), (middle, end)]


def _times(body: bytes) -> list[int]:
    try:
        return [int(time) for time in json.loads(body)["result"]]
    except (ValueError, KeyError, TypeError) as error:
        raise TransientError(f"asked for times; the answer is {body[:200]!r}") from error

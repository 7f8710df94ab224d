"""The work of a time series: a reducer over the region of every item, on every image.

The answer holds a feature for each item and image. Items share a request while there is room for
them; one item whose series is too long, or too heavy, is asked for by spans of time.
"""

from __future__ import annotations

import itertools
import json
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import pyarrow as pa

from eedask.dataset.rows import IMAGE, WHEN
from eedask.earthengine.endpoint import Request
from eedask.earthengine.methods import REFUSALS, Send, ask, compute_value, reading, value_of
from eedask.errors import InputError, PermanentError, TooLargeError
from eedask.items.item import WorkItem
from eedask.run.forecast import Bounds, Forecast
from eedask.run.task import Job, Outcome, Records, Sender, Task
from eedask.tables.batch_sizes import BatchSizes
from eedask.tables.composites import NO_IMAGES
from eedask.tables.features import marked_properties
from eedask.tables.grouping import RegionBatching
from eedask.tables.region_jobs import RegionJobs
from eedask.tables.region_query import columns_by_example
from eedask.tables.series_query import (
    IMAGE_KEY,
    MOST_FEATURES,
    TIME_KEY,
    SeriesBatching,
    SeriesQuery,
    Span,
    series_by_item,
)
from eedask.tables.table_forecast import of_jobs, unbounded
from eedask.tables.table_task import TableTask
from eedask.tables.values import MISFITS, fit, to_time

# Where each item has a collection of its own, nobody knows how many images that are.
_MOST_UNKNOWN = 10

# Which of the sorted times of a collection: positions of the first, and after the last.
Range = tuple[int, int]


@dataclass(frozen=True)
class SeriesTask(TableTask):
    """A reducer over the region of every item, on every image of a collection."""

    query: SeriesQuery
    maker: RegionJobs

    def prepare(self, send: Send, items: Sequence[WorkItem]) -> SeriesTask:
        """Return the task with the images' grid, the columns for their bands, and their times."""
        try:
            about = self.query.regions.describe(self.endpoint, send, items)
        except PermanentError as error:
            self._refuse_empty(send, items, error)
            raise
        query = replace(self.query, regions=self.query.regions.held_to(about))
        task = replace(self, query=query)
        columns = about.columns
        if not query.regions.reducer.is_named:
            columns = columns_by_example(about, items, partial(task.example, send))
        table = replace(self.table, columns=columns, outputs=about.outputs)
        regions = self._batching.regions.on(about.native)
        if not self.query.is_shared:
            maker = replace(self.maker, batching=self._few(regions))
            return replace(task, maker=maker, table=table)
        times = ask(send, self._times_request(items[0]), _times)
        batching = SeriesBatching(regions, max(1, len(times)))
        return replace(
            task,
            query=replace(query, times=tuple(sorted(set(times)))),
            maker=replace(self.maker, batching=batching),
            table=table,
        )

    def ways(self) -> Mapping[str, Task]:
        """Return the same work with a larger tile scale, where none is stated."""
        eased = self.maker.eased()
        return {} if eased is None else {eased[0]: replace(self, maker=eased[1])}

    def before(self, samples: int) -> Bounds:
        """Return how many requests :meth:`prepare` sends: about an image, results, and times."""
        times = Bounds.exactly(1 if self.query.is_shared else 0)
        return self.query.regions.requests_before(samples) + times

    def of_partition(self, items: Sequence[WorkItem]) -> Forecast:
        """Return what is expected to be asked for the items, or less.

        How many images there are is not known: there may be more requests, each for fewer items or
        for a span of time.
        """
        batching = replace(self._few(self._batching.regions), images=self._batching.images)
        found = of_jobs(replace(self.maker, batching=batching).jobs(items), self.presumed)
        return unbounded(found)

    def _few(self, regions: RegionBatching) -> SeriesBatching:
        """Return the batching of items; jobs have fewer where each has a collection of its own."""
        if not self.query.is_shared:
            fewer = min(_MOST_UNKNOWN, regions.limits.items)
            regions = replace(regions, limits=replace(regions.limits, items=fewer))
        return SeriesBatching(regions)

    def example(self, send: Send, item: WorkItem) -> Sequence[Mapping[str, Any]]:
        """Return an item's results on the images that have bands, before columns are known.

        Raises
        ------
        RequestError, InputError
        """
        expression = self.query.expression([self.maker.mended(item)], self.maker.tile_scale)
        request = compute_value(self.endpoint, expression)
        (found,) = ask(send, request, lambda body: series_by_item(body, 1))
        return [row for row in found if not self.query.regions.nulls(row)]

    @property
    def _batching(self) -> SeriesBatching:
        assert isinstance(self.maker.batching, SeriesBatching)
        return self.maker.batching

    def do(self, job: Job, sender: Sender) -> Sequence[Outcome]:
        """Return the outcome of each item of a job; a single item may take several requests."""
        if len(job.items) > 1:
            return super().do(job, sender)
        with self.advising(job):
            return [self._by_spans(job, sender)]

    def ask(self, job: Job, sender: Sender) -> Sequence[Outcome]:
        """Send one request for all items of a job, and return the outcome of each."""
        rows, size = self._rows(job, sender, None)
        return [self._records(of_item, size // len(rows)) for of_item in rows]

    def _by_spans(self, job: Job, sender: Sender) -> Outcome:
        """Return the outcome of the only item of a job, by as many requests as its series takes."""
        sizes: BatchSizes = sender.sizes
        weight = job.laid_out.weight
        allowed = sizes.admit(job, weight, sender.rest)
        if allowed < weight:
            allowed = sizes.admit(job, allowed, sender.rest)
        times = list(self.query.times)
        todo: deque[Range | None] = deque(self._first_ranges(weight, allowed))
        rows: list[Mapping[str, Any]] = []
        size = 0
        while todo:
            which = todo.popleft()
            share = 1.0 if which is None else (which[1] - which[0]) / max(1, len(times))
            try:
                found, nbytes = self._rows(job, sender, _span(times, which))
            except TooLargeError as error:
                sizes.too_large(job, weight * share, job.label)
                if which is None and not times:
                    times = sorted(set(ask(sender.send, self._times_request(*job.items), _times)))
                todo.extendleft(reversed(_halves(which or (0, len(times)), error)))
                continue
            except BaseException:
                sizes.other(job)
                raise
            sizes.worked(job, weight * share)
            rows += found[0]
            size += nbytes
        return self._records(rows, size)

    def _first_ranges(self, weight: float, allowed: float) -> list[Range | None]:
        """Return which times to ask for first; None stands for the whole collection."""
        times = len(self.query.times)
        parts = max(-(-weight // allowed), -(-self._batching.images // MOST_FEATURES))
        if parts < 2 or times < 2:
            return [None]
        edges = [round(times * k / parts) for k in range(int(parts) + 1)]
        return [(a, b) for a, b in itertools.pairwise(edges) if b > a]

    def _rows(
        self, job: Job, sender: Sender, span: Span | None
    ) -> tuple[list[list[Mapping[str, Any]]], int]:
        """Return the properties of each item's features, and the size of the answer in bytes."""

        def read(body: bytes) -> tuple[list[list[Mapping[str, Any]]], int]:
            return series_by_item(body, len(job.items)), len(body)

        expression = self.query.expression(job.items, job.laid_out.tile_scale, span)
        return ask(sender.send, compute_value(self.endpoint, expression), read)

    def _records(self, found: Sequence[Mapping[str, Any]], nbytes: int) -> Outcome:
        try:
            rows = [self._row(properties) for properties in found]
        except InputError as error:
            return error
        except MISFITS as error:
            return InputError(f"an image of the series has an odd name or time: {error}")
        return Records(sorted(rows, key=lambda row: (row[WHEN] is None, row[WHEN])), nbytes)

    def _row(self, properties: Mapping[str, Any]) -> dict[str, Any]:
        when = to_time(properties.get(TIME_KEY))
        image = properties.get(IMAGE_KEY)
        if isinstance(image, int | float) and not isinstance(image, bool):
            # Whoever makes images anew may give them numbers for names.
            image = str(int(image)) if float(image).is_integer() else str(image)
        image = fit(image, pa.string())
        if self.query.composite and when is not None:
            image = f"{when:%Y-%m-%d}"
        # Not by "in": it may be there and null.
        nulls = properties.get(NO_IMAGES) is not None or self.query.regions.nulls(properties)
        values = self.table.nulls if nulls else self.table.values(properties)
        told = marked_properties(properties, self.query.regions.properties)
        # What one image has as a number another may have as a text: JSON holds them all.
        texts = {name: None if one is None else json.dumps(one) for name, one in told.items()}
        return {IMAGE: image, WHEN: when, **texts, **values}

    def _refuse_empty(self, send: Send, items: Sequence[WorkItem], error: PermanentError) -> None:
        """Raise InputError where no bands are known because there are no images."""
        asked = items[:1] if self.query.is_shared else items
        sizes = (compute_value(self.endpoint, self.query.size_of.encode(item)) for item in asked)
        try:
            if any(ask(send, request, _size) for request in sizes):
                return
        except REFUSALS:
            return
        whose = f" of any of the {len(asked)} items that were tried" if len(asked) > 1 else ""
        raise InputError(
            f"the collection{whose} has no images: look at its dates, bounds and other filters"
        ) from error

    def _times_request(self, item: WorkItem) -> Request:
        return compute_value(self.endpoint, self.query.times_of.encode(item))


def _span(times: Sequence[int], which: Range | None) -> Span | None:
    """Return the span of time from the first to the last of some times; None for all of them.

    Images that have no time belong to the first span.
    """
    if which is None:
        return None
    first, after = which
    return Span(times[first], times[after - 1] + 1, timeless=first == 0)


def _halves(which: Range, error: TooLargeError) -> list[Range | None]:
    """Return a range of times as two; raise the error where it holds a single time."""
    start, end = which
    middle = (start + end) // 2
    if middle == start:
        raise error
    return [(start, middle), (middle, end)]


def _times(body: bytes) -> list[int]:
    with reading(body, "times"):
        times = value_of(body)
        if not isinstance(times, list):
            raise ValueError(f"{times!r} is no list")
        return [int(time) for time in times]


def _size(body: bytes) -> int:
    with reading(body, "the size of a collection"):
        return int(value_of(body))

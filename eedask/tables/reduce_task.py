"""The work of a table of regions: one row an item."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from eedask.earthengine.methods import Send, ask, compute_value, reading
from eedask.errors import InputError
from eedask.expressions.graph import graphs
from eedask.grid import NativeProjection
from eedask.items.item import WorkItem
from eedask.run.forecast import Bounds, Forecast
from eedask.run.task import Job, Outcome, Records, Sender, Task
from eedask.tables.bands import checked_bands
from eedask.tables.classes import by_class
from eedask.tables.features import features_by_item, marked_properties
from eedask.tables.region_jobs import RegionJobs
from eedask.tables.region_query import About, RegionQuery, columns_by_example
from eedask.tables.table_forecast import with_bytes, with_pixels
from eedask.tables.table_task import TableTask


@dataclass(frozen=True)
class ReduceTask(TableTask):
    """A reducer over the region of every item.

    Attributes
    ----------
    classes : tuple of str
        Those that have a column each, where the reducer gives a value for each class.
    """

    query: RegionQuery
    maker: RegionJobs
    classes: tuple[str, ...] = ()

    def prepare(self, send: Send, items: Sequence[WorkItem]) -> ReduceTask:
        """Return the task with the image's grid, and the columns for its bands."""
        about = self.query.describe(self.endpoint, send, items)
        query = self.query
        if query.image.depends_on_item:
            query = query.held_to(about)
        task = replace(self.prepared(about), query=query, maker=self._maker_on(about.native))
        columns = about.columns
        if not query.reducer.is_named:
            columns = columns_by_example(about, items, partial(task.example, send))
        columns = by_class(columns, self.classes)
        return replace(task, table=replace(self.table, columns=columns, outputs=about.outputs))

    def prepared(self, about: About) -> ReduceTask:
        """Return the task with what else it has to know of the image."""
        return self

    def ways(self) -> Mapping[str, Task]:
        """Return the same work with a larger tile scale, where none is stated."""
        eased = self.maker.eased()
        return {} if eased is None else {eased[0]: replace(self, maker=eased[1])}

    def before(self, samples: int) -> Bounds:
        """Return how many requests :meth:`prepare` sends: about the image, and its results."""
        return self.query.requests_before(samples)

    def of_partition(self, items: Sequence[WorkItem]) -> Forecast:
        """Return what is expected to be asked for the items, as far as it is known before."""
        seen = graphs(self.query.image, items[:1])
        return with_bytes(self._requests_and_pixels(items), seen[0] if seen else None)

    def _requests_and_pixels(self, items: Sequence[WorkItem]) -> Forecast:
        return with_pixels(super().of_partition(items), items, self.query.lattice.scale)

    def example(self, send: Send, item: WorkItem) -> Sequence[Mapping[str, Any]]:
        """Ask for an item's results, to see which columns they need; none if it has no bands.

        Raises
        ------
        RequestError, InputError
        """
        items = (self.maker.mended(item),)
        (found,), _ = self._answered(send, items, self.maker.tile_scale)
        return [] if self.query.nulls(found) else [found]

    def _maker_on(self, native: NativeProjection | None) -> RegionJobs:
        """Return how jobs are made on an image's grid."""
        return self.maker.on(native)

    def ask(self, job: Job, sender: Sender) -> Sequence[Outcome]:
        """Send one request for all items of a job, and return the outcome of each."""
        rows, size = self._answered(sender.send, job.items, job.laid_out.tile_scale)
        return [self._outcome(row, size // len(rows)) for row in rows]

    def _answered(
        self, send: Send, items: Sequence[WorkItem], tile_scale: float
    ) -> tuple[list[Mapping[str, Any]], int]:
        """Return the properties of each item's feature, and the size of the answer in bytes."""

        def read(body: bytes) -> tuple[list[Mapping[str, Any]], int]:
            with reading(body, "one row for every item", len(items)):
                found = [row for (row,) in features_by_item(body, len(items))]
                for row in found if self.query.bands is not None else ():
                    checked_bands(row)
            return found, len(body)

        expression = self.query.expression(items, tile_scale)
        return ask(send, compute_value(self.endpoint, expression), read)

    def _outcome(self, found: Mapping[str, Any], share: int) -> Outcome:
        try:
            row = self.table.nulls if self.query.nulls(found) else self.table.values(found)
            return Records([row], share, marked_properties(found, self.query.properties))
        except InputError as error:
            return error

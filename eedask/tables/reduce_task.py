"""The work of a table of regions or points: one row an item."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from eedask.earthengine.methods import Send, ask, compute_value
from eedask.errors import InputError, TransientError
from eedask.grid import NativeProjection
from eedask.items.item import WorkItem
from eedask.run.task import Job, Outcome, Records, Sender
from eedask.tables.features import features_by_item
from eedask.tables.region_jobs import RegionJobs
from eedask.tables.region_query import RegionQuery
from eedask.tables.table_task import TableTask


@dataclass(frozen=True)
class ReduceTask(TableTask):
    """A reducer over a region, or the pixel at a point, of every item."""

    query: RegionQuery
    maker: RegionJobs

    def prepare(self, send: Send, items: Sequence[WorkItem]) -> ReduceTask:
        """Return the task with the image's grid, and the columns for its bands."""
        about = self.query.describe(
            self.endpoint,
            send,
            items,
            lambda item: self.query.expression([self.maker.mended(item)], self.maker.tile_scale),
        )
        table = replace(self.table, columns=about.columns)
        return replace(self, maker=self._maker_on(about.native), table=table)

    def _maker_on(self, native: NativeProjection | None) -> RegionJobs:
        """Return how jobs are made on an image's grid."""
        if self.query.points and self.query.image.depends_on_item:
            # Each has an image of its own, whose tiles are others.
            return self.maker
        return self.maker.on(native)

    def ask(self, job: Job, sender: Sender) -> Sequence[Outcome]:
        """Return what each item of a job gets, of one request."""
        count = len(job.items)

        def read(body: bytes) -> tuple[list[Mapping[str, Any]], int]:
            found = features_by_item(body, count)
            if any(len(rows) != 1 for rows in found):
                raise TransientError("the answer does not have one row for every item")
            return [row for (row,) in found], len(body)

        expression = self.query.expression(job.items, job.laid_out.tile_scale)
        rows, size = ask(sender.send, compute_value(self.endpoint, expression), read)
        return [self._outcome(row, size // count) for row in rows]

    def _outcome(self, found: Mapping[str, Any], share: int) -> Outcome:
        try:
            return Records([self.table.values(found)], share)
        except InputError as error:
            return error

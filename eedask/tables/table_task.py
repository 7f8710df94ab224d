"""What the tasks of tables have in common: what is asked, how jobs are made, what is filled."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol, Self

import pyarrow as pa

from eedask.earthengine.endpoint import Endpoint
from eedask.expressions.compile import Expression, built_on_workers
from eedask.items.item import WorkItem
from eedask.run.forecast import Forecast
from eedask.run.task import Job, Task
from eedask.tables.batches import BatchedTask
from eedask.tables.columns import Table
from eedask.tables.table_forecast import of_jobs


class Query(Protocol):
    """The question to Earth Engine of a table's task."""

    @property
    def expressions(self) -> Mapping[str, Expression]:
        """The user's expressions, by the name of the argument that each came from."""


class JobMaker(Protocol):
    """How items become jobs, and jobs become smaller or lighter ones."""

    @property
    def presumed(self) -> float:
        """The weight that a request may have before any request has shown what works."""

    @property
    def total(self) -> float:
        """A lower bound of the weight of all items of the run."""

    def jobs(self, items: Sequence[WorkItem]) -> Iterable[Job]:
        """Return jobs of items that share requests."""

    def lighter(self, job: Job) -> Sequence[Job]:
        """Return jobs to try instead of one of a single item that is too large; or none."""

    def too_long(self, item: WorkItem) -> str:
        """Return what to do about an item whose request alone is longer than Earth Engine takes."""


@dataclass(frozen=True)
class TableTask(BatchedTask):
    """A question about every item, whose answers fill a table.

    Subclasses say what is asked before any item, and how a job's request is asked and read.

    Attributes
    ----------
    endpoint : Endpoint
    query : Query
    maker : JobMaker
    table : Table
    remarks : tuple of str
        What is done to the items that the user may want to know.
    """

    endpoint: Endpoint
    query: Query
    maker: JobMaker
    table: Table
    remarks: tuple[str, ...] = ()

    @property
    def needs_client(self) -> bool:
        """Whether expressions are built on the workers, with the ``ee`` client."""
        return bool(built_on_workers(self.query.expressions))

    @property
    def notes(self) -> tuple[str, ...]:
        """What the user should know before running."""
        return self.remarks + built_on_workers(self.query.expressions)

    @property
    def expressions(self) -> Mapping[str, Expression]:
        """The user's expressions, by the name of the argument that each came from."""
        return self.query.expressions

    @property
    def schema(self) -> pa.Schema:
        """The columns of the table."""
        return self.table.schema

    @property
    def presumed(self) -> float:
        """The weight that a request may have before any request has shown what works."""
        return self.maker.presumed

    @property
    def total(self) -> float:
        """A lower bound of the weight of all items of the run."""
        return self.maker.total

    def jobs(self, items: Sequence[WorkItem]) -> Iterable[Job]:
        """Return jobs of items that share requests; each item is in one of them."""
        return self.maker.jobs(items)

    def sent_to(self, endpoint: Endpoint) -> Self:
        """Return the same work with its requests sent elsewhere."""
        return replace(self, endpoint=endpoint)

    def ways(self) -> Mapping[str, Task]:
        """Return none: there is one way only, unless a subclass knows others."""
        return {}

    def forecast(self, items: Sequence[WorkItem], size: int) -> Forecast:
        """Return what is expected to be asked for the items, as far as it is known before."""
        starts = range(0, len(items), size)
        return Forecast.total(self.of_partition(items[start : start + size]) for start in starts)

    def of_partition(self, items: Sequence[WorkItem]) -> Forecast:
        """Return what is expected to be asked for the items of a partition."""
        return of_jobs(self.maker.jobs(items), self.presumed)

    def lighter(self, job: Job) -> Sequence[Job]:
        """Return jobs to try instead of one of a single item that is too large; or none."""
        return self.maker.lighter(job)

    def too_long(self, item: WorkItem) -> str:
        """Return what to do about an item whose request alone is longer than Earth Engine takes."""
        return self.maker.too_long(item)

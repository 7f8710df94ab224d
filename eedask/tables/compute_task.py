"""The work of ``compute``: any value of Earth Engine for every item, as columns of a table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from eedask.earthengine.methods import Send, ask, compute_value, reading, value_of
from eedask.earthengine.nodes import Encoded, Graph, listed
from eedask.errors import InputError, PermanentError, TooLargeError
from eedask.expressions.compile import Expression
from eedask.items.item import WorkItem
from eedask.run.forecast import Bounds
from eedask.run.task import Job, Outcome, Records, Sender
from eedask.tables.batches import TOO_LONG, Batch
from eedask.tables.columns import columns_of
from eedask.tables.grouping import check_batch_size
from eedask.tables.table_task import TableTask
from eedask.tables.values import infer

# The column of a value that is neither a dictionary nor a feature.
VALUE = "value"


@dataclass(frozen=True)
class ValueQuery:
    """A value for every item.

    Attributes
    ----------
    value : Expression
    """

    value: Expression

    @property
    def expressions(self) -> Mapping[str, Expression]:
        """The user's expressions, by the name of the argument that each came from."""
        return {"value": self.value}

    def expression(self, items: Sequence[WorkItem]) -> Encoded:
        """Return the expression of a list with the value of every item."""
        graph = Graph()
        return graph.encode(listed([graph.embed(self.value.encode(item)) for item in items]))


@dataclass(frozen=True)
class ValueJobs:
    """How jobs are made of items that each have a value: so many neighbours, each of weight 1.

    Attributes
    ----------
    most : int
        Items in a request.
    of_run : int
        Items of the run.

    Raises
    ------
    InputError
        If ``most`` is not a number of items that an answer holds.
    """

    most: int
    of_run: int

    def __post_init__(self) -> None:
        check_batch_size(self.most)

    @property
    def presumed(self) -> float:
        """How many items a request may have before any request has shown what works."""
        return max(1.0, self.most / 4)

    @property
    def total(self) -> float:
        """The number of all items."""
        return float(self.of_run)

    def jobs(self, items: Sequence[WorkItem]) -> Iterator[Job]:
        """Yield jobs of items that lie next to each other."""
        for start in range(0, len(items), self.most):
            batch = tuple(items[start : start + self.most])
            yield Job(batch, Batch((1.0,) * len(batch), 1.0))

    def lighter(self, job: Job) -> Sequence[Job]:
        """Return no jobs, as a request for one value cannot be made lighter."""
        return ()

    def too_long(self, item: WorkItem) -> str:
        """Return what to do about an item whose request alone is longer than Earth Engine takes."""
        return TOO_LONG


@dataclass(frozen=True)
class ComputeTask(TableTask):
    """A value for every item, as a row of a table."""

    query: ValueQuery

    def prepare(self, send: Send, items: Sequence[WorkItem]) -> ComputeTask:
        """Return the task with its columns: those stated, or what a few items turn out to have."""
        if self.table.columns:
            return self
        found: list[Mapping[str, Any]] = []
        error: Exception | None = None
        for item in items:
            try:
                request = compute_value(self.endpoint, self.query.expression([item]))
                found += ask(send, request, lambda body: _rows(body, 1))
            except (PermanentError, TooLargeError, InputError) as refused:
                error = refused
        if not found and error is not None:
            raise error
        names = dict.fromkeys(name for row in found for name in row) or [VALUE]
        kinds = {name: infer(row.get(name) for row in found) for name in names}
        return replace(self, table=replace(self.table, columns=columns_of(kinds)))

    def before(self, samples: int) -> Bounds:
        """Return how many requests :meth:`prepare` sends: one for each example, or none."""
        return Bounds.exactly(0 if self.table.columns else samples)

    def ask(self, job: Job, sender: Sender) -> Sequence[Outcome]:
        """Send one request for all items of a job, and return the outcome of each."""
        count = len(job.items)
        request = compute_value(self.endpoint, self.query.expression(job.items))
        rows, size = ask(sender.send, request, lambda body: (_rows(body, count), len(body)))
        return [self._outcome(row, size // count) for row in rows]

    def _outcome(self, row: Mapping[str, Any], share: int) -> Outcome:
        try:
            return Records([self.table.values(row)], share)
        except InputError as error:
            return error


def row_of(value: Any) -> Mapping[str, Any]:
    """Return a value as columns: the keys of a dictionary, or one column."""
    if not isinstance(value, Mapping) or (value.get("type") == "Date" and "value" in value):
        return {VALUE: value}
    if value.get("type") == "Feature" and "properties" in value:
        return dict(value["properties"] or {})
    if value.get("type") == "FeatureCollection" and "features" in value:
        return {VALUE: [feature["properties"] for feature in value["features"]]}
    return value


def _rows(body: bytes, count: int) -> list[Mapping[str, Any]]:
    """Return the row of each item of a request, from its answer."""
    with reading(body, "a list of values", count):
        values = value_of(body)
        if not isinstance(values, list) or len(values) != count:
            raise ValueError(f"not {count} values")
        return [row_of(value) for value in values]

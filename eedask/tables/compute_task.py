"""The work of ``compute``: any value of Earth Engine for every item, as columns of a table."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa

from eedask.dataset.rows import ITEM_ID
from eedask.earthengine.endpoint import Endpoint, Request
from eedask.earthengine.methods import compute_value
from eedask.earthengine.nodes import Encoded, Graph, listed
from eedask.errors import InputError, PermanentError, TooLargeError, TransientError
from eedask.expressions.compile import Builder, Expression
from eedask.items.item import WorkItem
from eedask.run.task import Job, Outcome, Records, Sender
from eedask.tables.batches import Batch, BatchedTask
from eedask.tables.columns import Column, check_columns, columns_of, fitted
from eedask.tables.values import infer

# The column of a value that is neither a dictionary nor a feature.
VALUE = "value"


@dataclass(frozen=True)
class ComputeTask(BatchedTask):
    """A value for every item.

    Attributes
    ----------
    endpoint : Endpoint
    value : Expression
    most : int
        Items in a request.
    id_type : pyarrow.DataType
    columns : tuple of Column
        Empty until they are known.
    of_run : int
        Items of the run.
    """

    endpoint: Endpoint
    value: Expression
    most: int
    id_type: pa.DataType
    columns: tuple[Column, ...] = ()
    of_run: int = 1

    @property
    def needs_client(self) -> bool:
        """Whether expressions are built on the workers, with the ``ee`` client."""
        return not self.value.is_traced

    @property
    def notes(self) -> tuple[str, ...]:
        """What the user should know before running."""
        if not isinstance(self.value, Builder):
            return ()
        return (f"the value is built for every item on the workers: {self.value.reason}",)

    @property
    def schema(self) -> pa.Schema:
        """The columns: the item's id, and the values."""
        fields = [(column.name, column.type) for column in self.columns]
        return pa.schema([(ITEM_ID, self.id_type), *fields])

    @property
    def presumed(self) -> float:
        """The number of items of a request that is taken to work."""
        return max(1.0, self.most / 4)

    @property
    def total(self) -> float:
        """The number of all items."""
        return float(self.of_run)

    def prepare(self, send: Callable[[Request], bytes], items: Sequence[WorkItem]) -> ComputeTask:
        """Return the task with its columns: those stated, or what a few items turn out to have."""
        if self.columns:
            return self
        found, error = [], None
        for item in items:
            try:
                body = send(compute_value(self.endpoint, self._expression([item])))
                found.append(row_of(_values(body, 1)[0]))
            except (PermanentError, TooLargeError, InputError) as refused:
                error = refused
        if not found and error is not None:
            raise error
        names = dict.fromkeys(name for row in found for name in row) or [VALUE]
        kinds = {name: infer(row.get(name) for row in found) for name in names}
        made = columns_of(kinds)
        check_columns(made, (ITEM_ID,))
        return replace(self, columns=made)

    def jobs(self, items: Sequence[WorkItem]) -> Iterator[Job]:
        """Yield jobs of neighbours."""
        for start in range(0, len(items), self.most):
            batch = tuple(items[start : start + self.most])
            yield Job(batch, Batch((1.0,) * len(batch), 1.0))

    def ask(self, job: Job, sender: Sender) -> Sequence[Outcome]:
        """Return what each item of a job gets, of one request."""
        body = sender.send(compute_value(self.endpoint, self._expression(job.items)))
        share = len(body) // len(job.items)
        return [self._outcome(value, share) for value in _values(body, len(job.items))]

    def _outcome(self, value: Any, share: int) -> Outcome:
        row = row_of(value)
        known = {column.name for column in self.columns}
        if unknown := sorted(set(row) - known):
            return InputError(
                f"the value has {unknown}, for which the table has no column (it has"
                f" {sorted(known)}): state schema= with all of them"
            )
        try:
            return Records([fitted(self.columns, row)], share)
        except InputError as error:
            return error

    def _expression(self, items: Sequence[WorkItem]) -> Encoded:
        graph = Graph()
        return graph.encode(listed([graph.embed(self.value.encode(item)) for item in items]))


def row_of(value: Any) -> Mapping[str, Any]:
    """Return a value as columns: the keys of a dictionary, or one column."""
    if not isinstance(value, Mapping) or (value.get("type") == "Date" and "value" in value):
        return {VALUE: value}
    if value.get("type") == "Feature" and "properties" in value:
        return dict(value["properties"])
    if value.get("type") == "FeatureCollection" and "features" in value:
        return {VALUE: [feature["properties"] for feature in value["features"]]}
    return value


def _values(body: bytes, count: int) -> list[Any]:
    try:
        values = json.loads(body)["result"]
        if len(values) != count:
            raise ValueError(f"{len(values)} values instead of {count}")
    except (ValueError, KeyError, TypeError) as error:
        raise TransientError(
            f"the answer ({len(body)} bytes, starting with {body[:40]!r}) is no list of the"
            f" values that were asked for: {error}"
        ) from error
    return list(values)

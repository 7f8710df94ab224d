"""The work of one Dask task: the items of a partition, done by the process's request threads."""

from __future__ import annotations

import time
from dataclasses import replace
from functools import partial
from typing import Any

import pyarrow as pa
from distributed.metrics import context_meter

from eedask.dataset.rows import ITEM_ID, OK, Row
from eedask.errors import RunStopped
from eedask.run.lifetime import working
from eedask.run.outcomes import Done, do, flush
from eedask.run.process import Process
from eedask.run.request_pool import Backlog
from eedask.run.spec import RunSpec
from eedask.run.stats_keeper import StatsKeeper
from eedask.run.undone import undone
from eedask.watching.partition_counts import PartitionCounts
from eedask.watching.reporter import ACTIVITY, tell_done_before

_POLL_S = 0.25


def run_partition(number: int, spec: RunSpec) -> list[Row]:
    """Do the items of one partition that are not done yet; return the rows of all its items.

    Rows are written every few seconds: if the process dies, those since the last time are lost.
    Called again, it does only the items without a row.

    Raises
    ------
    RunStopped
        If the run is stopped; what is done is written.
    """
    wanted = None if spec.only is None else spec.only.get(number, frozenset())
    if wanted is not None and not wanted:
        return []
    # The old row of an item that is tried again stays until a new one takes its place.
    rows = {row.id: row for row in spec.dataset.rows(number)}
    items = spec.dataset.partition(number)
    left = undone(items, rows.values(), spec.retry_failed)
    todo = [item for item in left if not wanted or item.id in wanted]
    open_ids = {item.id for item in left}
    finished = [row for row in rows.values() if row.id not in open_ids]
    counts = PartitionCounts(number, [item.id for item in items], finished, spec.map_fraction)
    if not todo:
        tell_done_before(spec.run_id, counts)
    else:
        found = PartitionRows(number, spec, rows)
        with working(spec) as process:
            jobs = spec.task.jobs(todo)
            stats = StatsKeeper(spec, counts, process.reporter.sample, process.clock)
            backlog = process.pool.backlog(number, partial(do, process, counts), jobs)
            try:
                _collect(found, process, backlog, counts, stats)
            finally:
                backlog.cancel()
    return [rows[item.id] for item in items if item.id in rows]


class PartitionRows:
    """The rows of a partition so far: of the manifest, by id, and of the table.

    Parameters
    ----------
    number : int
        The partition's number.
    spec : RunSpec
    rows : dict
        Rows of the manifest that earlier runs have written; new ones are added to it.
    """

    def __init__(self, number: int, spec: RunSpec, rows: dict[Any, Row]) -> None:
        self.number = number
        self.rows = rows
        self._schema = spec.task.schema
        self._table: pa.Table | None = None
        self._fresh: list[dict[str, Any]] = []
        # Rows and files since the last flush.
        self._count = 0
        self._files: list[str] = []
        if self._schema is not None:
            known = [row.id for row in rows.values() if row.status == OK]
            self._table = spec.dataset.table_rows(number, self._schema, known)

    def add(self, done: Done) -> None:
        """Add an item; the attempts of earlier runs count with its own."""
        row = done.row
        if (before := self.rows.get(row.id)) is not None:
            row = replace(row, attempts=row.attempts + before.attempts)
        self.rows[row.id] = row
        self._count += 1
        if self._table is None:
            self._files.extend(row.paths)
        self._fresh.extend({ITEM_ID: row.id, **record} for record in done.records)

    def flush(self, process: Process) -> None:
        """Write what there is, unless nothing was added since the last time."""
        if self._count:
            flush(process, self.number, [*self.rows.values()], self.table(), self._files)
            self._count, self._files = 0, []

    def table(self) -> pa.Table | None:
        """Return the rows of the table so far; None if the task makes files."""
        if self._table is not None and self._fresh:
            fresh = pa.Table.from_pylist(self._fresh, schema=self._schema)
            self._table, self._fresh = pa.concat_tables([self._table, fresh]), []
        return self._table


def reason_of_stop(number: int, spec: RunSpec) -> str | None:
    """Do a partition; return None, or the reason if the run was stopped.

    The reason is returned, not raised: Dask would log the error once for every partition.
    """
    try:
        run_partition(number, spec)
    except RunStopped as error:
        return str(error)
    return None


def _collect(
    found: PartitionRows,
    process: Process,
    backlog: Backlog,
    counts: PartitionCounts,
    stats: StatsKeeper,
) -> None:
    """Collect rows until all jobs have ended; write them every few seconds and at the end."""
    spec, verdict = process.spec, process.verdict
    flushed = time.monotonic()
    over = False
    while not over and verdict.reason is None:
        over = backlog.over
        with context_meter.meter(ACTIVITY):
            several = backlog.take(_POLL_S)
        done = [one for some in several for one in some]
        for one in done:
            found.add(one)
            counts.add(one.row)
        process.ask_costs()
        process.reporter.tell(counts)
        if not over and time.monotonic() - flushed > spec.flush_s:
            found.flush(process)
            stats.write()
            flushed = time.monotonic()
    found.flush(process)
    if spec.costs_early and not process.reporter.sample.is_told and verdict.reason is None:
        process.ask_costs(last=True)
    stats.write()
    process.reporter.tell(counts, over=True)
    if verdict.reason is not None:
        raise RunStopped(verdict.reason)

"""Does one job, and turns its outcome into rows of the manifest, files, and rows of the table."""

from __future__ import annotations

import functools
import json
import logging
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa

from eedask.dataset.roles import RoleFile
from eedask.dataset.rows import CHIP_COLUMNS, FAILED, OK, Row
from eedask.errors import DatasetError, EedaskError, InputError, printable
from eedask.quota.limiter import Ticket
from eedask.run.job_sender import JobSender
from eedask.run.process import Process
from eedask.run.request_pool import Split
from eedask.run.spec import RunSpec
from eedask.run.stopping import STOPPING, reason_to_stop
from eedask.run.task import Chip, File, Job, Outcome, Records
from eedask.watching.partition_counts import PartitionCounts

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Done:
    """An item that is done: its row of the manifest, and its rows of the table."""

    row: Row
    records: Sequence[Any] = ()


def do(process: Process, counts: PartitionCounts, job: Job, ticket: Ticket) -> list[Done] | Split:
    """Do a job; return a :class:`Done` for each of its items, or smaller jobs in its place.

    An error fails the job's items, except one that would stop all items (credentials, budget, the
    disk): that stops the run, and nothing is returned.

    Parameters
    ----------
    process : Process
        What the run has in this process.
    counts : PartitionCounts
        Of the job's partition.
    job : Job
    ticket : Ticket
        The slot that the request thread took before it took the job.
    """
    started, worked = time.monotonic(), time.thread_time()

    def share() -> float:
        return (time.monotonic() - started) / len(job.items)

    try:
        outcomes = _outcomes(process, counts, job, ticket)
    except STOPPING as error:
        process.stop(reason_to_stop(error))
        return []
    except Exception as error:
        job.elapsed_s += share()
        if smaller := process.spec.task.split(job, error):
            logger.info("%s: split into %d (%s)", job.label, len(smaller), error)
            return Split(smaller)
        outcomes = [error] * len(job.items)
    else:
        job.elapsed_s += share()
        if isinstance(outcomes, Split):
            return Split([replace(one, elapsed_s=job.elapsed_s) for one in outcomes.jobs])
    outcomes = _storable(outcomes, process.spec.task.schema)
    counts.meter.worked(time.thread_time() - worked)
    try:
        return [
            _done(process, counts.number, job, k, outcome) for k, outcome in enumerate(outcomes)
        ]
    except DatasetError as error:
        process.stop(reason_to_stop(error))
        return []


def _outcomes(
    process: Process, counts: PartitionCounts, job: Job, ticket: Ticket
) -> Sequence[Outcome] | Split:
    if isinstance(job.laid_out, Exception):
        raise job.laid_out
    return process.spec.task.do(job, JobSender(process, counts, job, ticket))


def _storable(outcomes: Sequence[Outcome], schema: pa.Schema | None) -> Sequence[Outcome]:
    """Return outcomes with an error for each item whose rows the table cannot hold.

    They would fail the whole partition when they are written.
    """
    if schema is None:
        return outcomes
    tables = [one for one in outcomes if isinstance(one, Records)]
    if _misfit(tables, schema) is None:
        return outcomes
    return [
        one
        if not isinstance(one, Records) or (reason := _misfit([one], schema)) is None
        else InputError(f"the item's rows do not fit the table: {reason}")
        for one in outcomes
    ]


def _misfit(several: Sequence[Records], schema: pa.Schema) -> str | None:
    """Return why a table cannot hold rows; None if it can."""
    try:
        pa.Table.from_pylist([row for one in several for row in one.rows], schema=schema)
    except (pa.ArrowException, ValueError, TypeError, OverflowError) as error:
        return str(error)
    return None


def _done(process: Process, number: int, job: Job, k: int, outcome: Outcome) -> Done:
    known: dict[str, Any] = {"attempts": job.attempts.count, "elapsed_s": job.elapsed_s}
    id_ = job.items[k].id
    records: Sequence[Any] = ()
    if isinstance(outcome, Exception):
        known |= {"status": FAILED, **_of_error(outcome)}
        if isinstance(outcome, EedaskError):
            logger.info("item %r failed (%s): %s", id_, outcome.kind, known["error"])
        else:
            logger.warning("item %r failed unexpectedly", id_, exc_info=outcome)
    elif isinstance(outcome, Chip):
        for file in outcome.files:
            _write(process.spec, file)
        known |= {"status": OK, **_of_chip(outcome)}
    else:
        records = outcome.rows
        known |= {
            "status": OK,
            "path": process.spec.dataset.table_part(number),
            "nbytes": outcome.nbytes,
        }
    if not isinstance(outcome, Exception) and outcome.properties:
        known["properties"] = json.dumps(dict(outcome.properties))
    failure = _of_error(outcome) if isinstance(outcome, Exception) else {}
    if reason := process.verdict.hear(failure.get("error_kind"), failure.get("error")):
        process.stop(reason)
    return Done(Row(id_, **known), records)


def _of_chip(chip: Chip) -> dict[str, Any]:
    """Return what the manifest says of a chip."""
    told: dict[str, Any] = {name: getattr(chip, name) for name in CHIP_COLUMNS}
    told |= {"path": chip.files[0].path, "nbytes": sum(len(file.data) for file in chip.files)}
    told["files"] = [
        RoleFile(role=file.role, path=file.path, nbytes=len(file.data))
        for file in chip.files
        if file.role is not None
    ] or None
    told["bands"] = _bands_told(tuple((file.role, *file.bands.items()) for file in chip.files))
    return told if chip.missing is None else told | _of_error(chip.missing)


@functools.lru_cache(maxsize=64)
def _bands_told(files: tuple[tuple[Any, ...], ...]) -> str:
    """Return the bands of a chip's files as the manifest has them. Most chips have the same.

    Parameters
    ----------
    files : tuple of tuple
        For each file its role, followed by a name and a type for each band.
    """
    bands = {role: dict(types) for role, *types in files}
    return json.dumps(bands.get(None, bands))


def _write(spec: RunSpec, file: File) -> None:
    try:
        spec.dataset.write_file(file.path, file.data)
    except OSError as error:
        raise _unwritable(spec, error) from error


def flush(
    process: Process, number: int, rows: list[Row], table: pa.Table | None, files: Iterable[str]
) -> None:
    """Write the rows of a partition that there are, of the table and of the manifest.

    Parameters
    ----------
    process : Process
    number : int
        Of the partition.
    rows : list of Row
        All that there are.
    table : Table, optional
        All rows that there are; None where the work makes files.
    files : iterable of str
        Those that were written since the last flush; they are synced before the rows count.
    """
    try:
        if table is not None:
            # The table first: items that the manifest calls done then have their rows.
            process.spec.dataset.write_table(number, table)
        process.spec.dataset.sync_files(files)
        process.spec.dataset.write_rows(number, rows)
    except OSError as error:
        process.stop(str(_unwritable(process.spec, error)))


def _unwritable(spec: RunSpec, error: OSError) -> DatasetError:
    return DatasetError(
        f"{spec.dataset.folder.url} cannot be written to ({error}); mend that and run the same"
        " plan again to go on"
    )


def _of_error(error: Exception) -> dict[str, str]:
    """Return what the manifest says of an error."""
    return {"error_kind": _kind(error), "error": _text(error)}


def _kind(error: Exception) -> str:
    return error.kind if isinstance(error, EedaskError) else "unexpected"


def _text(error: Exception) -> str:
    """Return an error's words for the manifest, of characters that can be shown and written."""
    return printable(
        str(error) if isinstance(error, EedaskError) else f"{type(error).__name__}: {error}"
    )

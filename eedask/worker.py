"""The work of a Dask worker: the items of a partition, through the requests of its process."""

from __future__ import annotations

import concurrent.futures
import contextlib
import logging
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from eedask.connection import Connection, Endpoint, Request, ensure_client
from eedask.dataset import FAILED, OK, Dataset, Row
from eedask.errors import DatasetError, EedaskError, RequestError, RunStopped
from eedask.leases import key_of, limiter_for
from eedask.pool import RequestPool
from eedask.progress import report
from eedask.retrying import Attempts, RetryPolicy, call_with_retry
from eedask.stopping import STOPPING, Verdict, reason_to_stop
from eedask.workitem import WorkItem

logger = logging.getLogger("eedask")

# Backing off holds a thread but no slot; with spare threads others use the slots meanwhile.
SPARE_THREADS = 8
# Seconds that the end of a run waits for requests under way before it leaves them behind.
GRACE_S = 2.0
_POLL_S = 0.25
_ENDED = "the run has ended"


class Output(Protocol):
    """What an item's work gives: a file."""

    @property
    def path(self) -> str:
        """Relative to the dataset."""

    @property
    def data(self) -> bytes:
        """The file's content."""


class Task(Protocol):
    """The work of a verb, one item at a time."""

    @property
    def endpoint(self) -> Endpoint:
        """Where requests go."""

    @property
    def needs_client(self) -> bool:
        """Whether the ``ee`` client is needed on the worker."""

    @property
    def notes(self) -> tuple[str, ...]:
        """What the user should know before running."""

    def memory(self) -> Any:
        """Return a new place for what items of a run teach each other within one process."""

    def lay_out(self, item: WorkItem) -> Any:
        """Return what of the item's work needs no request."""

    def fetch(self, item: WorkItem, laid_out: Any, sender: Any) -> Output:
        """Return the item's result."""


@dataclass(frozen=True)
class RunSpec:
    """What a worker has to know of a run; picklable and free of secrets.

    Attributes
    ----------
    run_id : str
        Tells runs in one process apart.
    dataset : Dataset
    task : Task
    policy : RetryPolicy
    concurrency : int
        Requests at once, over all processes.
    rate : float, optional
        Requests a second, over all processes.
    flush_s : float
        Seconds between writing what is done.
    retry_failed : bool
        Whether items that failed in an earlier run are tried again.
    """

    run_id: str
    dataset: Dataset
    task: Task
    policy: RetryPolicy
    concurrency: int
    rate: float | None = None
    flush_s: float = 5.0
    retry_failed: bool = False

    @property
    def quota(self) -> str:
        """The key of the quota that the run's requests count against."""
        return key_of(self.task.endpoint.url, self.task.endpoint.project)


def run_partition(number: int, spec: RunSpec) -> list[Row]:
    """Do the items of one partition that are not done yet; return the rows of all of them.

    Rows are written as they come, so that whatever ends this call loses at most the last few
    seconds; calling it again does only what is missing.

    Raises
    ------
    RunStopped
        If the run is stopped; what is done is written.
    """
    done = {row.id: row for row in spec.dataset.rows(number)}
    if spec.retry_failed:
        done = {id_: row for id_, row in done.items() if row.status == OK}
    items = spec.dataset.partition(number)
    todo = [_laid_out(spec.task, item) for item in items if item.id not in done]
    if todo:
        with acquire(spec).working() as process:
            futures = {process.pool.submit(number, process.do, job) for job in todo}
            try:
                _collect(number, process, futures, done)
            finally:
                for future in futures:
                    future.cancel()
    return [done[item.id] for item in items]


def _laid_out(task: Task, item: WorkItem) -> tuple[WorkItem, Any]:
    """Return the item with its layout, or with the error that stands in the way of one.

    Here and not in the request threads, as pyproj makes its transformers anew in every thread.
    """
    try:
        return item, task.lay_out(item)
    except Exception as error:
        return item, error


def reason_of_stop(number: int, spec: RunSpec) -> str | None:
    """Do a partition; return why the run was stopped meanwhile, None if it was not.

    Returned and not raised, because Dask logs what tasks raise, once for every partition.
    """
    try:
        run_partition(number, spec)
    except RunStopped as error:
        return str(error)
    return None


def _collect(
    number: int,
    process: Process,
    waiting: set[concurrent.futures.Future[Row]],
    done: dict[Any, Row],
) -> None:
    """Wait for rows, writing and reporting them every few seconds and at the end."""
    spec, verdict = process.spec, process.verdict
    flushed, fresh = time.monotonic(), 0
    while waiting and verdict.reason is None:
        finished, waiting = concurrent.futures.wait(waiting, timeout=_POLL_S)
        rows = [future.result() for future in finished if _has_row(future)]
        done.update((row.id, row) for row in rows)
        fresh += len(rows)
        report(spec.run_id, rows)
        if fresh and (not waiting or time.monotonic() - flushed > spec.flush_s):
            process.flush(number, list(done.values()))
            flushed, fresh = time.monotonic(), 0
    if fresh:
        process.flush(number, list(done.values()))
    if verdict.reason is not None:
        raise RunStopped(verdict.reason)


def _has_row(future: concurrent.futures.Future[Row]) -> bool:
    return not future.cancelled() and future.exception() is None


class Process:
    """What the partitions of one run share in one process: connection, slots, threads.

    Parameters
    ----------
    spec : RunSpec
    """

    def __init__(self, spec: RunSpec) -> None:
        self.spec = spec
        self.verdict = Verdict()
        self.limiter = limiter_for(spec.quota, spec.concurrency, spec.rate)
        threads = spec.concurrency + SPARE_THREADS
        self.connection = Connection(
            spec.task.endpoint, connections=threads, on_restricted=self.limiter.restricted
        )
        self.pool = RequestPool(threads, self.limiter, name=f"eedask-{spec.run_id}")
        self.memory = spec.task.memory()
        self._partitions = 0
        self._idle = threading.Condition()

    @contextlib.contextmanager
    def working(self) -> Iterator[Process]:
        """Count a partition that is being worked on."""
        with self._idle:
            self._partitions += 1
        try:
            yield self
        finally:
            with self._idle:
                self._partitions -= 1
                self._idle.notify_all()

    def do(self, job: tuple[WorkItem, Any], held: contextlib.ExitStack) -> Row:
        """Return the row of an item that was laid out, whatever happens to it.

        Raises
        ------
        RunStopped
            If what happened is not the item's own fault, and the run cannot go on.
        """
        item, laid_out = job
        started, attempts = time.monotonic(), Attempts()
        try:
            if isinstance(laid_out, Exception):
                raise laid_out
            output = self.spec.task.fetch(item, laid_out, ItemSender(self, item, attempts, held))
            self._write(output)
            outcome: dict[str, Any] = {
                "status": OK,
                "path": output.path,
                "nbytes": len(output.data),
            }
        except STOPPING as error:
            self.stop(reason_to_stop(error))
            raise
        except Exception as error:
            outcome = {"status": FAILED, "error_kind": _kind(error), "error": _text(error)}
            if not isinstance(error, EedaskError):
                logger.warning("item %r failed unexpectedly", item.id, exc_info=error)
        if reason := self.verdict.hear(outcome.get("error_kind"), outcome.get("error")):
            self.stop(reason)
        elapsed = time.monotonic() - started
        return Row(item.id, attempts=attempts.count, elapsed_s=elapsed, **outcome)

    def _write(self, output: Output) -> None:
        try:
            self.spec.dataset.write_file(output.path, output.data)
        except OSError as error:
            raise _unwritable(self.spec, error) from error

    def flush(self, number: int, rows: list[Row]) -> None:
        """Write the rows of a partition that there are."""
        try:
            self.spec.dataset.write_rows(number, rows)
        except OSError as error:
            self.stop(str(_unwritable(self.spec, error)))

    def stop(self, reason: str) -> None:
        """Send nothing more. What is under way may end, and is not waited for."""
        self.verdict.stop(reason)
        self.limiter.close()
        self.pool.close()

    def close(self, reason: str) -> None:
        """End what there is of the run, and wait, not for long, until its rows are written.

        Parameters
        ----------
        reason : str
            For partitions that are still being worked on.
        """
        self.stop(reason)
        with self._idle:
            self._idle.wait_for(lambda: not self._partitions, GRACE_S)
        self.limiter.release()
        self.pool.join(GRACE_S / 2)
        self.connection.close()


class ItemSender:
    """Sends the requests of one item.

    Parameters
    ----------
    process : Process
    item : WorkItem
    attempts : Attempts
        Counts them.
    held : ExitStack
        Holds the slot that the item was taken with. It serves the first exchange; any other
        waits for one.
    """

    def __init__(
        self, process: Process, item: WorkItem, attempts: Attempts, held: contextlib.ExitStack
    ) -> None:
        self._process = process
        self._label = f"item {item.id!r}"
        self._attempts = attempts
        self._held: contextlib.ExitStack | None = held

    def send(self, request: Request, check: Callable[[bytes], None] | None = None) -> bytes:
        """Return the answer's body, once a slot was free, trying again what may succeed."""

        def exchange() -> bytes:
            with self._slot():
                body = self._process.connection.send(request)
            if check is not None:
                check(body)
            return body

        return call_with_retry(exchange, self._process.spec.policy, self._attempts, self._label)

    @property
    def memory(self) -> Any:
        """What the task keeps for all items of this process."""
        return self._process.memory

    def _slot(self) -> contextlib.AbstractContextManager[Any]:
        held, self._held = self._held, None
        return self._process.limiter.slot() if held is None else held.pop_all()


_PROCESSES: dict[str, Process] = {}
# A task may start after its run has ended: a cluster hears late that it is cancelled.
_RELEASED: set[str] = set()
_LOCK = threading.Lock()


def acquire(spec: RunSpec) -> Process:
    """Return this process's part of a run, started at its first partition.

    Raises
    ------
    RunStopped
        If the run has ended.
    """
    if spec.task.needs_client:
        ensure_client(spec.task.endpoint)
    with _LOCK:
        if spec.run_id in _RELEASED:
            raise RunStopped(_ENDED)
        if spec.run_id not in _PROCESSES:
            _PROCESSES[spec.run_id] = Process(spec)
        return _PROCESSES[spec.run_id]


def release(run_id: str, reason: str | None = None) -> None:
    """End this process's part of a run, if it has one.

    When it returns, none of the run's partitions writes any more, unless one hangs for longer
    than a few seconds.
    """
    with _LOCK:
        _RELEASED.add(run_id)
        process = _PROCESSES.pop(run_id, None)
    if process is not None:
        process.close(reason or _ENDED)


def _unwritable(spec: RunSpec, error: OSError) -> DatasetError:
    return DatasetError(
        f"{spec.dataset.folder.url} cannot be written to ({error}); mend that and run the same"
        " plan again to go on"
    )


def _kind(error: Exception) -> str:
    if isinstance(error, RequestError):
        return error.kind
    return "input" if isinstance(error, EedaskError) else "unexpected"


def _text(error: Exception) -> str:
    if isinstance(error, EedaskError):
        return str(error)
    return f"{type(error).__name__}: {error}"

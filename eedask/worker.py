"""The work of a Dask worker: one partition after the other, through one pool of request threads.

All partitions that a process works on share one :class:`RequestPool`, which serves the oldest
partition first: partitions then end one by one instead of all at once, and the pool stays full
across their boundaries.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import heapq
import itertools
import logging
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol

from eedask.connection import Connection, Endpoint, Request, ensure_client
from eedask.dataset import FAILED, OK, Dataset, Row
from eedask.errors import EedaskError, RequestError
from eedask.progress import report
from eedask.quota import Limiter
from eedask.retrying import Attempts, RetryPolicy, call_with_retry
from eedask.workitem import WorkItem

logger = logging.getLogger("eedask")

# Backing off holds a thread but no slot; with this many spare threads others use the slots.
SPARE_THREADS = 8


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

    def fetch(self, item: WorkItem, sender: Any) -> Output:
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
    slots : int
        Requests at once in one process.
    flush_s : float
        Seconds between writing what is done.
    retry_failed : bool
        Whether items that failed in an earlier run are tried again.
    """

    run_id: str
    dataset: Dataset
    task: Task
    policy: RetryPolicy
    slots: int
    flush_s: float = 5.0
    retry_failed: bool = False


def run_partition(number: int, spec: RunSpec) -> list[Row]:
    """Do the items of one partition that are not done yet; return the rows of all of them.

    Rows are written as they come, so that whatever ends this call loses at most the last few
    seconds; calling it again does only what is missing.
    """
    done = {row.id: row for row in spec.dataset.rows(number)}
    if spec.retry_failed:
        done = {id_: row for id_, row in done.items() if row.status == OK}
    items = spec.dataset.partition(number)
    todo = [item for item in items if item.id not in done]
    if todo:
        process = acquire(spec)
        futures = [process.pool.submit(number, process.do, item) for item in todo]
        try:
            _collect(number, spec, futures, done)
        except BaseException:
            for future in futures:
                future.cancel()
            raise
    return [done[item.id] for item in items]


def run_partition_counts(number: int, spec: RunSpec) -> dict[str, int]:
    """Do a partition; return how many of its items have which status."""
    rows = run_partition(number, spec)
    return {status: sum(row.status == status for row in rows) for status in (OK, FAILED)}


def _collect(
    number: int,
    spec: RunSpec,
    futures: list[concurrent.futures.Future[Row]],
    done: dict[Any, Row],
) -> None:
    """Wait for rows, writing and reporting them every few seconds and at the end."""
    waiting = set(futures)
    flushed = time.monotonic()
    while waiting:
        finished, waiting = concurrent.futures.wait(
            waiting, timeout=0.5, return_when=concurrent.futures.FIRST_EXCEPTION
        )
        rows = [future.result() for future in finished]
        done.update((row.id, row) for row in rows)
        report(spec.run_id, rows)
        if not waiting or time.monotonic() - flushed > spec.flush_s:
            spec.dataset.write_rows(number, list(done.values()))
            flushed = time.monotonic()


class Process:
    """What the partitions of one run share in one process: connection, limiter, threads.

    Parameters
    ----------
    spec : RunSpec
    """

    def __init__(self, spec: RunSpec) -> None:
        self.spec = spec
        self.connection = Connection(spec.task.endpoint, connections=spec.slots)
        self.limiter = Limiter(spec.slots)
        self.pool = RequestPool(spec.slots + SPARE_THREADS, name=f"eedask-{spec.run_id}")
        self._made: list[Any] = []
        self._lock = threading.Lock()

    def do(self, item: WorkItem) -> Row:
        """Return the item's row, whatever happens to it."""
        started, attempts = time.monotonic(), Attempts()
        try:
            output = self.spec.task.fetch(item, ItemSender(self, item, attempts))
            self.spec.dataset.write_file(output.path, output.data)
            outcome: dict[str, Any] = {
                "status": OK,
                "path": output.path,
                "nbytes": len(output.data),
            }
        except Exception as error:
            outcome = {"status": FAILED, "error_kind": _kind(error), "error": _text(error)}
            if not isinstance(error, EedaskError):
                logger.warning("item %r failed unexpectedly", item.id, exc_info=error)
        elapsed = time.monotonic() - started
        return Row(item.id, attempts=attempts.count, elapsed_s=elapsed, **outcome)

    def once(self, make: Callable[[], Any]) -> Any:
        """Return what ``make`` gives; the first caller makes it, and an error is not kept."""
        with self._lock:
            if not self._made:
                self._made.append(make())
            return self._made[0]

    def close(self) -> None:
        """End the threads and close the connections."""
        self.pool.close()
        self.connection.close()


@dataclass(frozen=True)
class ItemSender:
    """Sends the requests of one item."""

    process: Process
    item: WorkItem
    attempts: Attempts

    def send(self, request: Request, check: Callable[[bytes], None] | None = None) -> bytes:
        """Return the answer's body, once a slot was free, trying again what may succeed."""

        def exchange() -> bytes:
            with self.process.limiter.slot():
                body = self.process.connection.send(request)
            if check is not None:
                check(body)
            return body

        label = f"item {self.item.id!r}"
        return call_with_retry(exchange, self.process.spec.policy, self.attempts, label)

    def once(self, make: Callable[[], Any]) -> Any:
        """Return what ``make`` gives, made once in this process."""
        return self.process.once(make)


@dataclass(order=True)
class _Job:
    rank: int
    sequence: int
    future: concurrent.futures.Future[Any] = field(compare=False)
    function: Callable[[Any], Any] = field(compare=False)
    argument: Any = field(compare=False)


class RequestPool:
    """Threads that take the job with the lowest rank first.

    Outside Dask's executors, so that a worker's own few threads wait for partitions while many
    more requests are under way.

    Parameters
    ----------
    threads : int
    name : str
    """

    def __init__(self, threads: int, name: str = "eedask") -> None:
        self._jobs: list[_Job] = []
        self._sequence = itertools.count()
        self._changed = threading.Condition()
        self._closed = False
        self._threads = [
            threading.Thread(target=self._work, name=f"{name}-{i}", daemon=True)
            for i in range(threads)
        ]
        for thread in self._threads:
            thread.start()

    def submit(
        self, rank: int, function: Callable[[Any], Any], argument: Any
    ) -> concurrent.futures.Future[Any]:
        """Queue a call; those of the lowest rank start first, in the order they came."""
        future: concurrent.futures.Future[Any] = concurrent.futures.Future()
        with self._changed:
            if self._closed:
                raise RuntimeError("the pool is closed")
            job = _Job(rank, next(self._sequence), future, function, argument)
            heapq.heappush(self._jobs, job)
            self._changed.notify()
        return future

    def close(self) -> None:
        """Drop what is queued and wait for what is under way."""
        with self._changed:
            self._closed = True
            for job in self._jobs:
                job.future.cancel()
            self._jobs.clear()
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()

    def _work(self) -> None:
        while (job := self._next()) is not None:
            if not job.future.set_running_or_notify_cancel():
                continue
            try:
                job.future.set_result(job.function(job.argument))
            except BaseException as error:
                job.future.set_exception(error)

    def _next(self) -> _Job | None:
        with self._changed:
            while not self._jobs and not self._closed:
                self._changed.wait()
            return heapq.heappop(self._jobs) if self._jobs else None


_PROCESSES: dict[str, Process] = {}
_LOCK = threading.Lock()


def acquire(spec: RunSpec) -> Process:
    """Return this process's part of a run, started at its first partition."""
    with _LOCK:
        if spec.run_id not in _PROCESSES:
            if spec.task.needs_client:
                ensure_client(spec.task.endpoint)
            _PROCESSES[spec.run_id] = Process(spec)
        return _PROCESSES[spec.run_id]


def release(run_id: str) -> None:
    """End this process's part of a run, if it has one."""
    with _LOCK:
        process = _PROCESSES.pop(run_id, None)
    if process is not None:
        process.close()


@contextlib.contextmanager
def released(run_id: str) -> Iterator[None]:
    """Release the run in this process at the end."""
    try:
        yield
    finally:
        release(run_id)


def _kind(error: Exception) -> str:
    if isinstance(error, RequestError):
        return error.kind
    return "input" if isinstance(error, EedaskError) else "unexpected"


def _text(error: Exception) -> str:
    if isinstance(error, EedaskError):
        return str(error)
    return f"{type(error).__name__}: {error}"

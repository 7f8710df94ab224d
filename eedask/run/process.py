"""A run's part in one process: its connection, its slots of the quota, its request threads."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from eedask.dataset.dataset import table_part
from eedask.dataset.rows import FAILED, OK, Row
from eedask.earthengine.connection import Connection
from eedask.earthengine.endpoint import Request, ensure_client
from eedask.earthengine.retry import call_with_retry
from eedask.errors import DatasetError, EedaskError, RequestError, RunStopped
from eedask.quota.leases import limiter_for
from eedask.quota.limiter import Slot
from eedask.run.profiler import stop_profiler
from eedask.run.request_pool import RequestPool, Split
from eedask.run.spec import RunSpec, check_place
from eedask.run.stopping import STOPPING, Verdict, reason_to_stop
from eedask.run.task import Check, File, Job, Outcome

logger = logging.getLogger("eedask")

# Backing off holds a thread but no slot; with spare threads others use the slots meanwhile.
SPARE_THREADS = 8
# Seconds that the end of a run waits for requests under way before it leaves them behind.
GRACE_S = 2.0
_ENDED = "the run has ended"


@dataclass(frozen=True)
class Done:
    """An item that is done: its row of the manifest, and its rows of the table."""

    row: Row
    records: Sequence[Any] = ()


class Process:
    """What the partitions of one run share in one process.

    Parameters
    ----------
    spec : RunSpec
    """

    def __init__(self, spec: RunSpec) -> None:
        self.spec = spec
        self.verdict = Verdict(first=not (spec.retry_failed or spec.resumes))
        self.limiter = limiter_for(spec.quota, spec.concurrency, spec.rate)
        threads = spec.concurrency + SPARE_THREADS
        self.connection = Connection(
            spec.task.endpoint, connections=threads, on_restricted=self.limiter.restricted
        )
        # The limiter closes by itself when the worker does. Then partitions write what they have.
        self.pool = RequestPool(
            threads, self.limiter, f"eedask-{spec.run_id}", lambda error: self.stop(str(error))
        )
        self.sizes = spec.task.sizes()
        self.touched = time.monotonic()
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
            self._retire_later()

    @property
    def is_idle(self) -> bool:
        """Whether no partition has been worked on for as long as the run says."""
        idle_s = self.spec.idle_s
        if idle_s is None or self._partitions:
            return False
        return time.monotonic() - self.touched >= idle_s

    def _retire_later(self) -> None:
        self.touched = time.monotonic()
        if self.spec.idle_s is not None and not self._partitions:
            # A little later, that it is surely over by then.
            timer = threading.Timer(self.spec.idle_s + 0.1, _retire, [self])
            timer.daemon = True
            timer.start()

    def do(self, number: int, job: Job, held: Slot) -> list[Done] | Split:
        """Return what became of each item of a job, whatever happens, or what to do instead.

        If what happened is not the items' own fault and the run cannot go on, the run is stopped
        and nothing is returned for them.

        Parameters
        ----------
        number : int
            Of the partition.
        job : Job
        held : Slot
            Of the quota, taken.
        """
        started = time.monotonic()
        try:
            outcomes = self._outcomes(number, job, held)
        except STOPPING as error:
            self.stop(reason_to_stop(error))
            return []
        except Exception as error:
            job.elapsed_s += time.monotonic() - started
            if smaller := self.spec.task.split(job, error):
                logger.info("%s: split into %d (%s)", job.label, len(smaller), error)
                return Split(smaller)
            outcomes = [error] * len(job.items)
        else:
            job.elapsed_s += time.monotonic() - started
        try:
            return [self._done(number, job, k, outcome) for k, outcome in enumerate(outcomes)]
        except DatasetError as error:
            self.stop(reason_to_stop(error))
            return []

    def _outcomes(self, number: int, job: Job, held: Slot) -> Sequence[Outcome]:
        if isinstance(job.laid_out, Exception):
            raise job.laid_out
        return self.spec.task.do(job, JobSender(self, number, job, held))

    def _done(self, number: int, job: Job, k: int, outcome: Outcome) -> Done:
        known: dict[str, Any] = {"attempts": job.attempts.count, "elapsed_s": job.elapsed_s}
        id_ = job.items[k].id
        records: Sequence[Any] = ()
        if isinstance(outcome, Exception):
            known |= {"status": FAILED, "error_kind": _kind(outcome), "error": _text(outcome)}
            if not isinstance(outcome, EedaskError):
                logger.warning("item %r failed unexpectedly", id_, exc_info=outcome)
        elif isinstance(outcome, File):
            self._write(outcome)
            known |= {"status": OK, "path": outcome.path, "nbytes": len(outcome.data)}
        else:
            records = outcome.rows
            known |= {"status": OK, "path": table_part(number), "nbytes": outcome.nbytes}
        if reason := self.verdict.hear(known.get("error_kind"), known.get("error")):
            self.stop(reason)
        return Done(Row(id_, **known), records)

    def _write(self, file: File) -> None:
        try:
            self.spec.dataset.write_file(file.path, file.data)
        except OSError as error:
            raise _unwritable(self.spec, error) from error

    def flush(self, number: int, rows: list[Row], table: pa.Table | None) -> None:
        """Write the rows of a partition that there are, of the table and of the manifest."""
        try:
            if table is not None:
                # First, so that whatever the manifest says is done is there.
                self.spec.dataset.write_table(number, table)
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


class JobSender:
    """Sends the requests of one job.

    Parameters
    ----------
    process : Process
    number : int
        Of the partition.
    job : Job
        Its attempts are counted.
    held : Slot
        With which the job was taken. It serves the first exchange; any other waits for one.
    """

    def __init__(self, process: Process, number: int, job: Job, held: Slot) -> None:
        self._process = process
        self._number = number
        self._job = job
        # A list, as taking from one is safe between threads.
        self._held = [held]

    def send(self, request: Request, check: Check | None = None) -> bytes:
        """Return the answer's body, once a slot was free, trying again what may succeed."""

        def exchange() -> bytes:
            with self._slot():
                body = self._process.connection.send(request)
            if check is not None:
                check(body)
            return body

        policy = self._process.spec.policy
        return call_with_retry(exchange, policy, self._job.attempts, self._job.label)

    def rest(self) -> None:
        """Give back the slot that the job was taken with, unless it was used."""
        for held in self._held:
            held.give_back()

    def recruit(self, work: Callable[[], None], hands: int) -> None:
        """Have threads that become idle help with the job, after what its partition has left."""
        hands = min(hands, self._process.spec.concurrency)
        self._process.pool.backlog(self._number, _help, [work] * hands)

    @property
    def sizes(self) -> Any:
        """Which sizes of requests work, as far as the run's jobs have learned in this process."""
        return self._process.sizes

    def _slot(self) -> Slot:
        try:
            return self._held.pop()
        except IndexError:
            return self._process.limiter.slot()


def _help(work: Callable[[], None], held: Slot) -> None:
    # There may be nothing left to do, and each request takes a slot of its own.
    held.give_back()
    work()


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
    InputError
        If this process is none that shares the run's quota.
    """
    check_place(spec)
    if spec.task.needs_client:
        ensure_client(spec.task.endpoint)
    with _LOCK:
        if spec.run_id in _RELEASED:
            raise RunStopped(_ENDED)
        if spec.run_id not in _PROCESSES:
            # Before the threads start.
            stop_profiler()
            _PROCESSES[spec.run_id] = Process(spec)
        process = _PROCESSES[spec.run_id]
        # It does not retire before the partition has begun.
        process.touched = time.monotonic()
        return process


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


def _retire(process: Process) -> None:
    """End a process's part of a run that nobody has used for a while; the next use begins anew."""
    run_id = process.spec.run_id
    with _LOCK:
        if not process.is_idle or _PROCESSES.get(run_id) is not process:
            return
        del _PROCESSES[run_id]
    process.close(_ENDED)


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

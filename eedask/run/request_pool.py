"""The request threads of a process.

All partitions that a process works on share one pool of threads, and the jobs of the oldest
partition come first. Partitions then end one by one, instead of all at the same time, and the
threads always have work. A thread takes a slot of the quota before it takes a job, so that jobs
stay in the queue, in their order, until they can be sent. Not more threads wait for a slot than
there are jobs in the queue: each waiting thread counts as demand, and each slot costs a token of
the rate.
"""

from __future__ import annotations

import contextlib
import heapq
import itertools
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Protocol

from eedask.errors import RunStopped
from eedask.quota.limiter import Ticket


@dataclass(frozen=True)
class Split:
    """Jobs that are to be done instead of one; what the work of that one returns.

    Attributes
    ----------
    jobs : iterable
        The other jobs, which come before all that the partition has left.
    """

    jobs: Iterable[Any]


Work = Callable[[Any, Ticket], Any]


class Slots(Protocol):
    """Hands out slots of the quota; see :class:`eedask.quota.leases.RunLimiter`."""

    def take(self) -> Ticket:
        """Wait until the quota has a slot, take it, and return its ticket."""


class Backlog:
    """The jobs of one partition, and their results; made by :meth:`RequestPool.backlog`.

    It stands for many jobs, as a future for each job would take more time than some requests.
    """

    def __init__(self, work: Work) -> None:
        self._work = work
        self._jobs: deque[Any] = deque()
        self._results: deque[Any] = deque()
        self._error: BaseException | None = None
        self._open = 0
        # Whether it is in the pool's queue; only the pool reads and writes this.
        self.queued = False
        self._lock = threading.Lock()
        self._over = threading.Event()

    @property
    def over(self) -> bool:
        """Whether no job is left to wait for: each has ended, or was cancelled before it began."""
        return self._over.is_set()

    @property
    def left(self) -> int:
        """Jobs that have not begun."""
        return len(self._jobs)

    def wait(self, timeout: float) -> None:
        """Return when it is over, or after ``timeout`` seconds."""
        self._over.wait(timeout)

    def take(self, timeout: float) -> list[Any]:
        """Return the results since the last call, after ``timeout`` seconds or the last job.

        Raises
        ------
        BaseException
            The error that the work of a job raised.
        """
        self.wait(timeout)
        if self._error is not None:
            raise self._error
        return [self._results.popleft() for _ in range(len(self._results))]

    def cancel(self) -> None:
        """Forget the jobs that have not begun."""
        with self._lock:
            self._open -= len(self._jobs)
            self._jobs.clear()
            self._close_if_done()

    def _add(self, jobs: Iterable[Any], *, first: bool = False) -> None:
        new = list(jobs)
        with self._lock:
            self._open += len(new)
            if first:
                self._jobs.extendleft(reversed(new))
            else:
                self._jobs.extend(new)
            self._close_if_done()

    def _next(self) -> tuple[Any, bool]:
        """Return a job that has not begun, and whether more are left, or raise IndexError."""
        with self._lock:
            return self._jobs.popleft(), bool(self._jobs)

    def _do(self, job: Any, ticket: Ticket) -> bool:
        """Do a job; return whether it was split into others."""
        split = False
        try:
            result = self._work(job, ticket)
            if split := isinstance(result, Split):
                self._add(result.jobs, first=True)
            else:
                self._results.append(result)
        except BaseException as error:
            self._error = error
        with self._lock:
            self._open -= 1
            self._close_if_done()
        return split

    def _close_if_done(self) -> None:
        if not self._open:
            self._over.set()


class RequestPool:
    """Threads that take a slot, and then a job of the lowest rank.

    They are outside Dask's executors: a worker's own few threads wait for partitions while many
    more requests are under way.

    Parameters
    ----------
    threads : int
        How many.
    slots : Slots
        Where a thread takes its slot before each job.
    name : str
        Beginning of the threads' names.
    refused : callable, optional
        Called with the error by each thread that ends because no slots are given any more.
    """

    def __init__(
        self,
        threads: int,
        slots: Slots,
        name: str = "eedask",
        refused: Callable[[RunStopped], None] | None = None,
    ) -> None:
        self._slots = slots
        self._refused = refused
        self._queue: list[tuple[int, int, Backlog]] = []
        self._sequence = itertools.count()
        self._changed = threading.Condition()
        # Threads that wait for a slot, or have one and no job yet.
        self._waiting = 0
        self._closed = False
        self._threads = [
            threading.Thread(target=self._run, name=f"{name}-{i}", daemon=True)
            for i in range(threads)
        ]
        for thread in self._threads:
            thread.start()

    def backlog(self, rank: int, work: Work, jobs: Iterable[Any]) -> Backlog:
        """Queue ``work(job, ticket)`` for each job.

        Parameters
        ----------
        rank : int
            Jobs of the lowest rank start first.
        work : callable
            Does a job. Its ticket is a slot that is taken already, for the first request. It
            returns the job's result, or a :class:`Split`.
        jobs : iterable
        """
        backlog = Backlog(work)
        backlog._add(jobs)
        self._push(rank, backlog)
        return backlog

    def close(self) -> None:
        """Cancel all jobs that are queued. Jobs that have begun go on."""
        with self._changed:
            self._closed = True
            for _, _, backlog in self._queue:
                backlog.cancel()
            self._queue.clear()
            self._changed.notify_all()

    def join(self, timeout: float) -> None:
        """Wait until the threads have ended, at most so many seconds."""
        until = time.monotonic() + timeout
        for thread in self._threads:
            thread.join(max(0.0, until - time.monotonic()))

    def _push(self, rank: int, backlog: Backlog) -> None:
        with self._changed:
            if self._closed:
                backlog.cancel()
                return
            if not backlog.queued:
                backlog.queued = True
                heapq.heappush(self._queue, (rank, next(self._sequence), backlog))
            self._changed.notify(backlog.left)

    def _run(self) -> None:
        while self._wait_for_job():
            try:
                ticket = self._slots.take()
            except RunStopped as error:
                if self._refused is not None:
                    self._refused(error)
                return
            if (found := self._pop()) is not None:
                rank, backlog, job = found
                if backlog._do(job, ticket):
                    self._push(rank, backlog)
            ticket.give_back()

    def _wait_for_job(self) -> bool:
        with self._changed:
            while not self._closed and not self._needs_a_thread():
                self._changed.wait()
            self._waiting += 1
            return not self._closed

    def _needs_a_thread(self) -> bool:
        """Whether there are more jobs than threads that are about to take one."""
        jobs = 0
        for _, _, backlog in self._queue:
            jobs += backlog.left
            if jobs > self._waiting:
                return True
        return False

    def _pop(self) -> tuple[int, Backlog, Any] | None:
        with self._changed:
            self._waiting -= 1
            while self._queue:
                rank, _, backlog = self._queue[0]
                job, more = None, False
                with contextlib.suppress(IndexError):  # it was cancelled
                    job, more = backlog._next()
                if not more:
                    # No thread is to take a slot for a backlog without jobs.
                    heapq.heappop(self._queue)
                    backlog.queued = False
                if job is not None:
                    return rank, backlog, job
            return None

"""Request threads of a process: oldest partition first, and a slot before a job.

All partitions that a process works on share one pool, which serves the oldest first: partitions
then end one by one instead of all at once, and the pool stays full across their boundaries. A
thread takes its slot of the quota before it takes a job, so that jobs wait in the queue, in
their order, and not in threads that took them long ago. No more threads wait for slots than
there are jobs in the queue: who waits counts as demand, and a slot costs a token of the rate.
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
    """What a job returns that others have to do in its place, before all that is queued.

    Attributes
    ----------
    jobs : iterable
    """

    jobs: Iterable[Any]


Work = Callable[[Any, Ticket], Any]


class Slots(Protocol):
    """What hands out slots; see :class:`eedask.quota.leases.RunLimiter`."""

    def take(self) -> Ticket:
        """Wait for a slot and return its ticket."""


class Backlog:
    """The jobs of one partition, and what came of them; made by :meth:`RequestPool.backlog`.

    One object for many jobs, as a future for each would cost more than some requests.
    """

    def __init__(self, work: Work) -> None:
        self._work = work
        self._jobs: deque[Any] = deque()
        self._results: deque[Any] = deque()
        self._error: BaseException | None = None
        self._open = 0
        # Whether it stands in the pool's queue; the pool's own.
        self.queued = False
        self._lock = threading.Lock()
        self._over = threading.Event()

    @property
    def over(self) -> bool:
        """Whether all jobs have ended, or never will begin."""
        return self._over.is_set()

    @property
    def left(self) -> int:
        """Jobs that have not begun."""
        return len(self._jobs)

    def take(self, timeout: float) -> list[Any]:
        """Return the results that nobody has taken; wait for the last job, but not for long.

        Raises
        ------
        BaseException
            That a job raised.
        """
        self._over.wait(timeout)
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
        """Do a job; return whether it has left others in its place."""
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
    slots : Slots
    name : str
        Of the threads.
    refused : callable, optional
        Called by each thread that ends because there are no slots any more.
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
        """Queue ``work(job, held)`` for each job; those of the lowest rank start first.

        ``held`` is the slot, taken already: the context of the first request that the work sends.
        The work may return a :class:`Split`.
        """
        backlog = Backlog(work)
        backlog._add(jobs)
        self._push(rank, backlog)
        return backlog

    def close(self) -> None:
        """Forget what is queued. What is under way ends by itself."""
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
                    # Nobody shall take a slot for an empty one.
                    heapq.heappop(self._queue)
                    backlog.queued = False
                if job is not None:
                    return rank, backlog, job
            return None

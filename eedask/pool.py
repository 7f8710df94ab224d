"""Request threads of a process: oldest partition first, and a slot before an item.

All partitions that a process works on share one pool, which serves the oldest first: partitions
then end one by one instead of all at once, and the pool stays full across their boundaries. A
thread takes its slot of the quota before it takes an item, so that items wait in the queue, in
their order, and not in threads that took them long ago.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import heapq
import itertools
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from eedask.errors import RunStopped

Job = Callable[[Any, contextlib.ExitStack], Any]


class Slots(Protocol):
    """What hands out slots; see :class:`eedask.leases.RunLimiter`."""

    def slot(self) -> contextlib.AbstractContextManager[None]:
        """Wait for a slot and hold it."""


class SlotUnused(Exception):
    """Ends a slot under which no request was sent, so that none is counted."""


@dataclass(order=True)
class _Queued:
    rank: int
    sequence: int
    future: concurrent.futures.Future[Any] = field(compare=False)
    job: Job = field(compare=False)
    argument: Any = field(compare=False)


class RequestPool:
    """Threads that take a slot, and then the job with the lowest rank.

    They are outside Dask's executors: a worker's own few threads wait for partitions while many
    more requests are under way.

    Parameters
    ----------
    threads : int
    slots : Slots
    name : str
        Of the threads.
    """

    def __init__(self, threads: int, slots: Slots, name: str = "eedask") -> None:
        self._slots = slots
        self._queue: list[_Queued] = []
        self._sequence = itertools.count()
        self._changed = threading.Condition()
        self._closed = False
        self._threads = [
            threading.Thread(target=self._work, name=f"{name}-{i}", daemon=True)
            for i in range(threads)
        ]
        for thread in self._threads:
            thread.start()

    def submit(self, rank: int, job: Job, argument: Any) -> concurrent.futures.Future[Any]:
        """Queue ``job(argument, held)``; those of the lowest rank start first.

        ``held`` holds the slot; the job closes it, or moves it to where its first request is sent.
        """
        future: concurrent.futures.Future[Any] = concurrent.futures.Future()
        with self._changed:
            if self._closed:
                future.cancel()
                return future
            queued = _Queued(rank, next(self._sequence), future, job, argument)
            heapq.heappush(self._queue, queued)
            self._changed.notify()
        return future

    def close(self) -> None:
        """Cancel what is queued. What is under way ends by itself."""
        with self._changed:
            self._closed = True
            for queued in self._queue:
                queued.future.cancel()
            self._queue.clear()
            self._changed.notify_all()

    def join(self, timeout: float) -> None:
        """Wait until the threads have ended, at most so many seconds."""
        until = time.monotonic() + timeout
        for thread in self._threads:
            thread.join(max(0.0, until - time.monotonic()))

    def _work(self) -> None:
        while self._wait_for_job():
            with contextlib.ExitStack() as held:
                try:
                    held.enter_context(self._slots.slot())
                except RunStopped:
                    return
                if (queued := self._pop()) is not None:
                    _run(queued, held)
                held.pop_all().__exit__(SlotUnused, SlotUnused(), None)

    def _wait_for_job(self) -> bool:
        with self._changed:
            while not self._queue and not self._closed:
                self._changed.wait()
            return not self._closed

    def _pop(self) -> _Queued | None:
        with self._changed:
            return heapq.heappop(self._queue) if self._queue else None


def _run(queued: _Queued, held: contextlib.ExitStack) -> None:
    if not queued.future.set_running_or_notify_cancel():
        return
    try:
        queued.future.set_result(queued.job(queued.argument, held))
    except BaseException as error:
        queued.future.set_exception(error)

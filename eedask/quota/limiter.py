"""The worker's side of a quota: slots and tokens for requests, in one process.

:class:`~eedask.quota.share.Share` is the model, without threads; :class:`Limiter` lets threads wait
for it::

    with limiter.slot():          # waits for a slot and a token, first come, first served
        answer = connection.send(request)

What comes of the request is seen from how the block ends: without an error it succeeded and its
time counts; with :class:`~eedask.errors.QuotaError` it was throttled; any ``retry_after`` is
kept; with :class:`SlotUnused` nothing was sent, and the token is given back. A slot is held for
the exchange alone: not while backing off, decoding or writing.
"""

from __future__ import annotations

import threading
import time
import weakref
from collections import deque
from collections.abc import Callable
from functools import partial
from types import TracebackType
from typing import Any

from eedask.errors import QuotaError, RequestError, RunStopped
from eedask.quota.messages import Ceiling, Lease, Report
from eedask.quota.share import Share


class SlotUnused(Exception):
    """Ends a slot under which no request was sent, so that none is counted."""


class Slot:
    """A context that waits for a slot for one exchange, and gives it back.

    Parameters
    ----------
    begin : callable
        Waits for a slot; returns when it began.
    end : callable
        Gives back a slot that began then, with the error that its block ended with.
    """

    __slots__ = ("_begin", "_end", "_started")

    def __init__(
        self,
        begin: Callable[[], float],
        end: Callable[[float, BaseException | None], None],
    ) -> None:
        self._begin, self._end = begin, end
        self._started = 0.0

    def __enter__(self) -> None:
        self._started = self._begin()

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        self._end(self._started, error)


class Ticket:
    """A slot that a thread has taken before it knew what for; it is used or given back, once.

    Parameters
    ----------
    started : float
        When it was taken.
    end : callable
        Gives the slot back, as that of :class:`Slot`.
    """

    __slots__ = ("_claimed", "_end", "_started")

    def __init__(self, started: float, end: Callable[[float, BaseException | None], None]) -> None:
        self._started, self._end = started, end
        # Only one of several threads acquires a lock that nobody releases.
        self._claimed = threading.Lock()

    def claim(self) -> Slot | None:
        """Return the context of the exchange that uses the slot; None if another has claimed it."""
        if not self._claimed.acquire(blocking=False):
            return None
        return Slot(lambda: self._started, self._end)

    def give_back(self) -> None:
        """End the slot unused, unless it was claimed."""
        if self._claimed.acquire(blocking=False):
            self._end(self._started, SlotUnused())


class _Waiter:
    """A thread that waits for a slot.

    It sleeps on a bare lock, at a fraction of what a ``threading.Event`` costs each request.
    """

    __slots__ = ("_asleep", "closed", "group", "started")

    def __init__(self, group: object) -> None:
        self.group = group
        self.started: float | None = None
        self.closed = False
        self._asleep = threading.Lock()
        self._asleep.acquire()

    def wake(self) -> None:
        """End the sleep, or the next one. Only one thread calls this at a time."""
        if self._asleep.locked():
            self._asleep.release()

    def sleep(self, timeout: float | None) -> None:
        """Wait to be woken; only the waiting thread does."""
        self._asleep.acquire(timeout=-1 if timeout is None else timeout)


class Limiter:
    """Slots of a process, for threads.

    Parameters
    ----------
    slots : int, optional
        Requests at once, for good; None: none before the first :meth:`apply`.
    rate : float, optional
        Requests a second, with ``slots``.
    clock : callable
    """

    def __init__(
        self,
        slots: int | None = None,
        rate: float | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._clock = clock
        self._share = Share(clock())
        self._lock = threading.Lock()
        self._queue: deque[_Waiter] = deque()
        self._closed = False
        self._closed_groups: weakref.WeakSet[Any] = weakref.WeakSet()
        # Called, in the lock and without waiting, when the owner should hear of something now.
        self.alarm: Callable[[], None] = _nothing
        # Whether the owner believes that most of the slots are needed here.
        self._seemed_busy = False
        if slots is not None:
            ceiling = Ceiling(slots, rate)
            self._share.apply(Lease(1, 0, ceiling.concurrency, ceiling.rate), clock())

    @property
    def in_flight(self) -> int:
        """Requests under way."""
        return self._share.in_flight

    @property
    def waiting(self) -> int:
        """Threads that wait for a slot."""
        return len(self._queue)

    @property
    def slots(self) -> int:
        """Requests that may be under way now."""
        with self._lock:
            return self._share.allowed(self._clock())

    def slot(self, group: object = None) -> Slot:
        """Return a context that waits for a slot and a token, and holds the slot.

        Parameters
        ----------
        group : object, optional
            What :meth:`close` may name; who waits then gets
            :class:`~eedask.errors.RunStopped`.
        """
        return Slot(partial(self._acquire, group), self._end)

    def take(self, group: object = None) -> Ticket:
        """Wait for a slot and a token; return the ticket with which the slot is used or given back.

        Raises
        ------
        RunStopped
            If the limiter was closed, for the group or for all.
        """
        return Ticket(self._acquire(group), self._end)

    def restricted(self) -> None:
        """Tell that an answer carried the header of restricted mode."""
        with self._lock:
            self._share.restricted()

    def apply(self, lease: Lease, asked: float | None = None) -> None:
        """Put a lease in force; see :meth:`Share.apply`. What is under way goes on."""
        with self._lock:
            self._share.apply(lease, self._clock(), asked)
            self._serve()

    def report(self, leaving: bool = False) -> Report:
        """Return the next report to the owner."""
        with self._lock:
            self._serve()
            report = self._share.report(self._clock(), len(self._queue), leaving)
            self._seemed_busy = 2 * report.demand > report.slots
            return report

    def close(self, group: object = None) -> None:
        """Refuse those of a group who wait or come later, or all, with an error."""
        with self._lock:
            if group is None:
                self._closed = True
            else:
                self._closed_groups.add(group)
            for waiter in list(self._queue):
                if group is None or waiter.group is group:
                    waiter.closed = True
                    self._queue.remove(waiter)
                    waiter.wake()
            self._serve()

    def _acquire(self, group: object) -> float:
        with self._lock:
            if self._closed or group in self._closed_groups:
                raise _closed()
            now = self._clock()
            if not self._queue and self._share.delay(now) == 0:
                self._share.start(now)
                return now
            waiter = _Waiter(group)
            self._queue.append(waiter)
            if not self._share.allowed(now):
                self.alarm()
        try:
            return self._wait(waiter)
        except BaseException:
            self._abandon(waiter)
            raise

    def _wait(self, waiter: _Waiter) -> float:
        while True:
            with self._lock:
                delay = self._serve()
                if waiter.closed:
                    raise _closed()
                if waiter.started is not None:
                    return waiter.started
                # The first in the queue looks after the time, for all.
                timeout = delay if self._queue[0] is waiter else None
            waiter.sleep(timeout)
            if waiter.started is not None:  # and that is for good
                return waiter.started

    def _serve(self) -> float | None:
        """Start who may; return the seconds until the next may, None if that is not known."""
        now = self._clock()
        while self._queue:
            delay = self._share.delay(now)
            if delay is None:
                return None
            if delay > 0:
                # Who has come to the front takes over the watch.
                self._queue[0].wake()
                return delay
            waiter = self._queue.popleft()
            self._share.start(now)
            waiter.started = now
            waiter.wake()
        return None

    def _abandon(self, waiter: _Waiter) -> None:
        with self._lock:
            if waiter.started is not None:
                self._share.unused()
            elif not waiter.closed:
                self._queue.remove(waiter)
            self._serve()

    def _end(self, started: float, error: BaseException | None) -> None:
        with self._lock:
            now = self._clock()
            if error is None:
                self._share.succeeded(now - started)
            elif isinstance(error, QuotaError):
                self._share.throttled(now, error.retry_after)
                self.alarm()
            elif isinstance(error, SlotUnused):
                self._share.unused()
            else:
                self._share.failed()
                if isinstance(error, RequestError) and error.retry_after:
                    self._share.pause(now, error.retry_after)
                    self.alarm()
            if self._queue:
                self._serve()
            elif self._seemed_busy and 2 * self._share.in_flight <= self._share.allowed(now):
                # Others may be waiting for what is not needed here any more.
                self._seemed_busy = False
                self.alarm()


def _closed() -> RunStopped:
    return RunStopped("the run was stopped while a request waited for a slot of the quota")


def _nothing() -> None:
    """Do nothing."""

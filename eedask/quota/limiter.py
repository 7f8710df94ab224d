"""The part of a quota that one process has: slots that its threads wait for.

A *slot* allows one request to be under way. A *token* allows one request to start: tokens come at
the rate of the quota. :class:`~eedask.quota.share.Share` counts both, without threads;
:class:`Limiter` lets threads wait for them::

    with limiter.slot():          # waits for a slot and a token, first come, first served
        answer = connection.send(request)

How the block ends tells what came of the request. Without an error, it succeeded, and the time that
it took is counted. With :class:`~eedask.errors.QuotaError`, it was throttled. With any error that
has a ``retry_after``, no request starts for so many seconds. With :class:`SlotUnused`, no request
was sent, and the token is given back. A slot is held during the exchange only, not while backing
off, decoding or writing.
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
from eedask.quota.messages import Ceiling, Lease, Usage
from eedask.quota.share import Share


class SlotUnused(Exception):
    """Raise it within a slot's block to give the slot back unused: no request is counted."""


class Slot:
    """A context that waits for a slot for one exchange, and gives it back.

    Parameters
    ----------
    begin : callable
        Waits for a slot; returns the time at which it was taken, in seconds.
    end : callable
        Gives the slot back. Called with that time, and with the error that the block ended with,
        or None.
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
    """A slot that is taken already, to be used for one exchange or given back.

    A request thread takes a slot first and a job second; the ticket is how it hands the slot on to
    the job.

    Parameters
    ----------
    started : float
        Time at which the slot was taken, in seconds.
    end : callable
        Gives the slot back, as in :class:`Slot`.
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

    It sleeps on a bare lock, which takes a fraction of the time of a ``threading.Event``.
    """

    __slots__ = ("_asleep", "closed", "group", "started")

    def __init__(self, group: object) -> None:
        self.group = group
        self.started: float | None = None
        self.closed = False
        self._asleep = threading.Lock()
        self._asleep.acquire()

    def wake(self) -> None:
        """End the thread's sleep, or its next one if it is awake. Only with the limiter's lock."""
        if self._asleep.locked():
            self._asleep.release()

    def sleep(self, timeout: float | None) -> None:
        """Sleep until woken, or for ``timeout`` seconds; only the waiting thread calls this."""
        self._asleep.acquire(timeout=-1 if timeout is None else timeout)


class Limiter:
    """Hands out the slots of a process to its threads.

    Parameters
    ----------
    slots : int, optional
        Requests at once, without a lease and without an end. When not given, no request may start
        before :meth:`apply` puts a lease in force.
    rate : float, optional
        Requests a second, if ``slots`` is given; None: not limited.
    clock : callable
        Returns seconds, never going back.
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
        # Called when the owner should hear of something at once, with the lock held: so it must not
        # wait for anything.
        self.alarm: Callable[[], None] = _nothing
        # Whether, by the last message, more than half of the slots are needed here.
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
            Groups threads for :meth:`close`: the run that they belong to.

        Raises
        ------
        RunStopped
            On entering the context, if the limiter is closed, for the group or for all.
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
        """Note that an answer carried the header of restricted mode."""
        with self._lock:
            self._share.restricted()

    def apply(self, lease: Lease, asked: float | None = None) -> None:
        """Put a lease in force; see :meth:`Share.apply`. Requests under way go on."""
        with self._lock:
            self._share.apply(lease, self._clock(), asked)
            self._serve()

    def next_usage(self, leaving: bool = False) -> Usage:
        """Return the next message to the owner."""
        with self._lock:
            self._serve()
            usage = self._share.next_usage(self._clock(), len(self._queue), leaving)
            self._seemed_busy = 2 * usage.demand > usage.slots
            return usage

    def close(self, group: object = None) -> None:
        """Let threads of a group (None: all) that wait for a slot, or ask later, get RunStopped."""
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
                # The first in the queue wakes by itself when the next request may start; the others
                # are woken.
                timeout = delay if self._queue[0] is waiter else None
            waiter.sleep(timeout)
            if waiter.started is not None:  # it does not change any more: no lock is needed
                return waiter.started

    def _serve(self) -> float | None:
        """Start waiting requests that may; return the seconds until the next may.

        None if none waits, or if the next one needs something else to happen first.
        """
        now = self._clock()
        while self._queue:
            delay = self._share.delay(now)
            if delay is None:
                return None
            if delay > 0:
                # The thread now at the front wakes up to find out how long to sleep.
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
                # Another process may wait for the slots that are not needed here any more.
                self._seemed_busy = False
                self.alarm()


def _closed() -> RunStopped:
    return RunStopped("the run was stopped while a request waited for the quota")


def _nothing() -> None:
    """Do nothing."""

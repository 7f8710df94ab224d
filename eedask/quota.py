"""The worker's side of a quota: slots and tokens for requests, in one process.

:class:`Share` is the model, without threads; :class:`Limiter` lets threads wait for it::

    with limiter.slot():          # waits for a slot and a token, first come, first served
        answer = connection.send(request)

What comes of the request is seen from how the block ends: without an error it succeeded and its
time counts; with :class:`~eedask.errors.QuotaError` it was throttled; any ``retry_after`` is
kept; with :class:`SlotUnused` nothing was sent, and the token is given back. A slot is held for
the exchange alone: not while backing off, decoding or writing.

A share reacts at once to throttling, before its owner hears of it: no more than the server held
beside the throttled request go under way until the next lease.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

from eedask.errors import QuotaError, RequestError, RunStopped
from eedask.terms import DEFAULT_CONCURRENCY, DEFAULT_RATE, Ceiling, Lease, Report

__all__ = ["DEFAULT_CONCURRENCY", "DEFAULT_RATE", "Limiter", "Share", "SlotUnused"]

logger = logging.getLogger("eedask")

# Seconds' worth of tokens that may be saved up.
_BURST_S = 0.1
# Seconds without any request after one that was throttled though no other was under way; twice
# as long each time.
_MIN_BACKOFF_S, _MAX_BACKOFF_S = 0.1, 5.0
# Seconds of a pause that the user should hear of.
_LONG_PAUSE_S = 60.0


class SlotUnused(Exception):
    """Ends a slot under which no request was sent, so that none is counted."""


class Share:
    """What a process may have under way, and what it has.

    Parameters
    ----------
    now : float
        Seconds, as in all methods, on a clock that never goes back.
    patience : float
        Seconds without a first lease after which one slot is there all the same.
    """

    def __init__(self, now: float, patience: float = 10.0) -> None:
        self.in_flight = 0
        self._lease = Lease(0, 0, 0)
        self._expires = now + patience
        self._cap: int | None = None
        self._capped_in = 0
        self._sequence = self._done = self._throttled = 0
        self._latency = 0.0
        self._restricted = False
        self._tokens, self._tokens_at = 1.0, now
        self._pause_until = self._own_pause_until = now
        self._backoff = _MIN_BACKOFF_S

    def allowed(self, now: float) -> int:
        """Return how many requests may be under way."""
        if now >= self._expires:
            return 1
        slots = self._lease.slots
        return slots if self._cap is None else min(slots, self._cap)

    def delay(self, now: float) -> float | None:
        """Return the seconds until a request may start; None: not before something happens."""
        if self.in_flight >= self.allowed(now):
            return None
        return max(0.0, self._pause_until - now, self._token_delay(now))

    def start(self, now: float) -> None:
        """Begin a request. Only when :meth:`delay` is 0."""
        self._refill(now)
        self._tokens -= 1
        self.in_flight += 1

    def succeeded(self, latency: float) -> None:
        """End a request that was answered after so many seconds."""
        self.in_flight -= 1
        self._done += 1
        self._latency += latency
        self._backoff = _MIN_BACKOFF_S

    def failed(self) -> None:
        """End a request that tells nothing of the quota."""
        self.in_flight -= 1

    def unused(self) -> None:
        """End what was begun and not sent."""
        self.in_flight -= 1
        # What is more than may be saved up goes with the next refill.
        self._tokens += 1

    def throttled(self, now: float, retry_after: float | None = None) -> None:
        """End a request that was refused."""
        self.in_flight -= 1
        self._throttled += 1
        self._cap = max(1, min(self.in_flight, self.allowed(now)))
        self._capped_in = self._sequence + 1
        if not self.in_flight:
            self._pause_until = max(self._pause_until, now + self._backoff)
            self._backoff = min(2 * self._backoff, _MAX_BACKOFF_S)
        self.pause(now, retry_after or 0.0)

    def pause(self, now: float, seconds: float) -> None:
        """Start nothing for so many seconds, because the server asked for it."""
        # Once for all requests that are refused together.
        if seconds > _LONG_PAUSE_S and now + seconds > self._own_pause_until + _LONG_PAUSE_S:
            logger.warning(
                "the server asks to be left alone (Retry-After): no request of the project is sent"
                " for %.0f s",
                seconds,
            )
        self._own_pause_until = max(self._own_pause_until, now + seconds)
        self._pause_until = max(self._pause_until, self._own_pause_until)

    def restricted(self) -> None:
        """Note that the server told of restricted mode."""
        self._restricted = True

    def apply(self, lease: Lease, now: float, asked: float | None = None) -> None:
        """Put a lease in force.

        Parameters
        ----------
        lease : Lease
        now : float
        asked : float, optional
            When the report that it answers was made; validity counts from there.
        """
        self._refill(now)
        if lease.answers >= self._capped_in:
            self._cap = None
        self._lease = lease
        self._expires = (now if asked is None else asked) + lease.valid
        self._pause_until = max(self._pause_until, now + lease.pause)

    def report(self, now: float, waiting: int = 0, leaving: bool = False) -> Report:
        """Return the next report to the owner."""
        self._sequence += 1
        restricted, self._restricted = self._restricted, False
        return Report(
            self._sequence,
            self._lease.number,
            self._lease.slots,
            self.in_flight,
            waiting,
            self._cap,
            self._done,
            self._throttled,
            self._latency,
            max(0.0, self._own_pause_until - now),
            restricted,
            leaving,
        )

    def _refill(self, now: float) -> None:
        rate = self._lease.rate
        if rate is None:
            self._tokens = 1.0
        else:
            full = max(1.0, rate * _BURST_S)
            self._tokens = min(full, self._tokens + (now - self._tokens_at) * rate)
        self._tokens_at = now

    def _token_delay(self, now: float) -> float:
        self._refill(now)
        # A sum of small refills may stay a hair below the whole.
        if self._lease.rate is None or self._tokens >= 1 - 1e-9:
            return 0.0
        return (1 - self._tokens) / self._lease.rate


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

    @contextlib.contextmanager
    def slot(self, group: object = None) -> Iterator[None]:
        """Wait for a slot and a token; hold the slot.

        Parameters
        ----------
        group : object, optional
            What :meth:`close` may name.

        Raises
        ------
        RunStopped
            If the limiter was closed meanwhile.
        """
        started = self._acquire(group)
        try:
            yield
        except BaseException as error:
            self._end(started, error, succeeded=False)
            raise
        self._end(started, None, succeeded=True)

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

    def _end(self, started: float, error: BaseException | None, *, succeeded: bool) -> None:
        with self._lock:
            now = self._clock()
            if succeeded:
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

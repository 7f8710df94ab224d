"""The model of a process's share of a quota: what may be under way now, without threads.

It reacts at once to throttling, before the quota's owner hears of it: no more than the server held
beside the throttled request go under way until the next lease.
"""

from __future__ import annotations

import logging

from eedask.quota.messages import Lease, Report

logger = logging.getLogger("eedask")

# Seconds' worth of tokens that may be saved up.
_BURST_S = 0.1
# Seconds without any request after one that was throttled though no other was under way; twice
# as long each time.
_MIN_BACKOFF_S, _MAX_BACKOFF_S = 0.1, 5.0
# Seconds of a pause that the user should hear of.
_LONG_PAUSE_S = 60.0


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

"""A process's share of a quota, without threads: how many of its requests may be under way now.

It reacts to a throttled request before the owner of the quota hears of it: until the next lease,
not more requests are under way than were accepted when that one was refused.
"""

from __future__ import annotations

import logging

from eedask.quota.messages import Lease, Usage

logger = logging.getLogger(__name__)

# A token allows one request to start. Unused tokens of so many seconds are kept.
_BURST_S = 0.1
# Seconds without any request after one that was throttled although no other was under way; twice
# as long each time, up to the second number.
_MIN_BACKOFF_S, _MAX_BACKOFF_S = 0.1, 5.0
# Seconds of a pause from which on the user is told of it.
_LONG_PAUSE_S = 60.0


class Share:
    """The requests that a process may have under way, and those that it has.

    Parameters
    ----------
    now : float
        The time in seconds, as in all methods, on a clock that never goes back.
    patience : float
        Seconds after which one request may be under way even if no lease has come.
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
        """Return how many requests may be under way at once."""
        if now >= self._expires:
            return 1
        slots = self._lease.slots
        return slots if self._cap is None else min(slots, self._cap)

    def delay(self, now: float) -> float | None:
        """Return the seconds until a request may start.

        None if that depends on the end of another request, or on the next lease.
        """
        if self.in_flight >= self.allowed(now):
            return None
        return max(0.0, self._pause_until - now, self._token_delay(now))

    def start(self, now: float) -> None:
        """Count a request as under way. To be called only when :meth:`delay` is 0."""
        self._refill(now)
        self._tokens -= 1
        self.in_flight += 1

    def succeeded(self, latency: float) -> None:
        """End a request that was answered; ``latency`` is the seconds that it took."""
        self.in_flight -= 1
        self._done += 1
        self._latency += latency
        self._backoff = _MIN_BACKOFF_S

    def failed(self) -> None:
        """End a request that failed for a reason other than the quota."""
        self.in_flight -= 1

    def unused(self) -> None:
        """End a request that was counted and not sent."""
        self.in_flight -= 1
        # The next refill takes away tokens beyond those that may be kept.
        self._tokens += 1

    def throttled(self, now: float, retry_after: float | None = None) -> None:
        """End a request that was throttled; ``retry_after`` is the pause asked for, in seconds."""
        self.in_flight -= 1
        self._throttled += 1
        self._cap = max(1, min(self.in_flight, self.allowed(now)))
        self._capped_in = self._sequence + 1
        if not self.in_flight:
            self._pause_until = max(self._pause_until, now + self._backoff)
            self._backoff = min(2 * self._backoff, _MAX_BACKOFF_S)
        self.pause(now, retry_after or 0.0)

    def pause(self, now: float, seconds: float) -> None:
        """Start no request for so many seconds, because the server asked for it."""
        # Requests that are refused together make one warning.
        if seconds > _LONG_PAUSE_S and now + seconds > self._own_pause_until + _LONG_PAUSE_S:
            logger.warning(
                "the server asks to be left alone (Retry-After): no request of the project is sent"
                " for %.0f s",
                seconds,
            )
        self._own_pause_until = max(self._own_pause_until, now + seconds)
        self._pause_until = max(self._pause_until, self._own_pause_until)

    def restricted(self) -> None:
        """Note that the server said that the project is in restricted mode."""
        self._restricted = True

    def apply(self, lease: Lease, now: float, asked: float | None = None) -> None:
        """Put a lease in force.

        Parameters
        ----------
        lease : Lease
        now : float
        asked : float, optional
            Time at which the message that the lease answers was made: its validity counts from
            there. ``now`` when not given.
        """
        self._refill(now)
        if lease.answers >= self._capped_in:
            self._cap = None
        self._lease = lease
        self._expires = (now if asked is None else asked) + lease.valid
        self._pause_until = max(self._pause_until, now + lease.pause)

    def next_usage(self, now: float, waiting: int = 0, leaving: bool = False) -> Usage:
        """Return the next message to the owner.

        Parameters
        ----------
        now : float
        waiting : int
            Requests that wait for a slot.
        leaving : bool
            Whether the process leaves the quota with it.
        """
        self._sequence += 1
        restricted, self._restricted = self._restricted, False
        return Usage(
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
        # A sum of small refills may be just below 1, by rounding.
        if self._lease.rate is None or self._tokens >= 1 - 1e-9:
            return 0.0
        return (1 - self._tokens) / self._lease.rate

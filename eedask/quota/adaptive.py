"""How many requests at once the server really takes, found from what it throttles.

A throttled request tells more than "too many": what was under way beside it was taken, so that
number is the quota, or what others left of it. The limit therefore goes straight to it, and one
burst of rejections is the price of finding a quota. When throttling goes on in the next window,
the limit is cut by a factor, once a window.

Upwards: below the level at which throttling was last met, halfway to it each window; at that
level, one more after a time of patience that doubles whenever it was in vain; beyond it, one
more, then two, then up to a quarter each window. A rejected probe costs about one request.

Throttling that does not heed how many requests are under way (faults, or somebody else's
requests) cannot be cured by sending fewer: where half as many are throttled in the same
proportion, the limit stays at that half, as long as more succeed than not and that holds true.
"""

from __future__ import annotations

from dataclasses import dataclass

# Seconds that a window lasts at least; a mean latency where that is longer.
MIN_WINDOW_S = 1.0
# The limit after a window in which throttling went on. In simulations with quotas that others use
# too, anything from 0.6 to 0.9 did equally well: what was held mostly says more.
DECREASE = 0.8
# The share of throttled requests in a window below which it counts as noise.
NOISE = 0.02
# Seconds before a level at which throttling was met is tried again, at first and at most.
MIN_PATIENCE_S, MAX_PATIENCE_S = 5.0, 60.0
# Requests between two such tries, so that few are wasted where requests are slow.
REQUESTS_A_PROBE = 150
# Requests throttled, or to be throttled going by the share so far, in a window that is to show
# whether throttling heeds the limit: fewer might come or stay away by chance.
EXPECTED = 10
# Seconds without another such verdict once it was found wrong.
SIGHTED_S = 30.0
# Weight of a new mean latency over the old one.
_NEW = 0.3


@dataclass
class _Tally:
    """One window: when it began, at which limit, and what came of its requests."""

    since: float
    limit: int
    done: int = 0
    throttled: int = 0
    hungry: bool = False
    lowered: bool = False

    @property
    def requests(self) -> int:
        return self.done + self.throttled

    @property
    def share(self) -> float:
        """Of requests that were throttled."""
        return self.throttled / self.requests if self.requests else 0.0


@dataclass
class _Trouble:
    """Windows in a row in which requests were throttled: how it began."""

    limit: int
    share: float


class AdaptiveLimit:
    """A limit between 1 and a ceiling that follows what the server takes.

    Parameters
    ----------
    ceiling : int
        Requests at once. The limit begins here: a stated quota is mostly right.
    now : float
        Seconds, as in all methods, on a clock that never goes back.
    """

    def __init__(self, ceiling: int, now: float) -> None:
        self.ceiling = ceiling
        self.limit = ceiling
        self.latency: float | None = None
        self._wall: int | None = None
        self._step = 1
        self._patience = MIN_PATIENCE_S
        self._throttled_at = now
        self._since_throttled = 0
        self._trouble: _Trouble | None = None
        self._blind = False
        self._sighted_until = now
        self._window = _Tally(now, ceiling)

    @property
    def window(self) -> float:
        """Seconds between two steps."""
        return max(MIN_WINDOW_S, self.latency or 0.0)

    @property
    def lowered(self) -> bool:
        """Whether throttling lowered the limit in this window."""
        return self._window.lowered

    def set_ceiling(self, ceiling: int) -> None:
        """Take another ceiling; a limit that never met its own moves with it."""
        if self.limit == self.ceiling and self._wall is None:
            self.limit = ceiling
        self.ceiling = ceiling
        self.limit = min(self.limit, ceiling)

    def observe(self, now: float, done: int, throttled: int, latency: float, held: int) -> None:
        """Hear of requests that ended.

        Parameters
        ----------
        now : float
        done, throttled : int
            Requests.
        latency : float
            Seconds that those done took, in sum.
        held : int
            Requests that the server held when it throttled.
        """
        self._window.done += done
        self._window.throttled += throttled
        self._since_throttled += done
        if done:
            mean = latency / done
            old = mean if self.latency is None else self.latency
            self.latency = old + _NEW * (mean - old)
        if throttled:
            self._throttled_at = now
            self._since_throttled = 0
            if not self._blind:
                self._lower(held)

    def tick(self, now: float, hungry: bool) -> None:
        """Close the window if it is over.

        Parameters
        ----------
        now : float
        hungry : bool
            Whether more requests wait than the limit lets in: no use to raise it otherwise.
        """
        self._window.hungry |= hungry
        if now - self._window.since < self.window or not self._tells(now):
            return
        if self._window.throttled:
            self._trouble_goes_on(now)
        else:
            self._trouble, self._blind = None, False
            if self._window.hungry:
                self._raise(now)
        self._window = _Tally(now, self.limit)

    def _tells(self, now: float) -> bool:
        """Return whether the window saw enough to judge it."""
        window, began = self._window, self._trouble
        if self._blind and began is not None:
            return window.requests * began.share >= EXPECTED
        halved = began is not None and 2 * self.limit <= began.limit
        if halved and 0 < window.throttled < EXPECTED:
            return now - window.since >= 5 * self.window
        return window.requests > 0

    def _lower(self, held: int) -> None:
        level = max(1, min(self.limit, held))
        if not self._window.lowered:
            in_vain = self._wall is not None and level >= self._wall
            patience = 2 * self._patience if in_vain else MIN_PATIENCE_S
            self._patience = min(patience, MAX_PATIENCE_S)
        self._window.lowered = True
        self._wall = self.limit = level

    def _trouble_goes_on(self, now: float) -> None:
        share, began = self._window.share, self._trouble
        if began is None:
            self._trouble = _Trouble(self._window.limit, share)
        elif self._blind:
            if share > min(0.5, 2 * began.share):
                # It did heed the limit.
                self._blind, self._trouble = False, None
                self._sighted_until = now + SIGHTED_S
            elif share < began.share / 4:
                self._blind, self._trouble = False, None
            else:
                began.share += _NEW * (share - began.share)
        elif share <= NOISE:
            self._trouble = None
        elif self._seems_blind(now, began, share):
            self._blind, self._trouble = True, _Trouble(began.limit, share)
            self.limit = max(1, min(self.ceiling, began.limit // 2))
        else:
            self.limit = min(self.limit, max(1, int(self._window.limit * DECREASE)))

    def _seems_blind(self, now: float, began: _Trouble, share: float) -> bool:
        """Return whether half the requests or less met the same throttling as before."""
        if 2 * self.limit > began.limit or 2 * self._window.throttled < EXPECTED:
            return False
        return began.share / 2 < share <= 0.5 and now >= self._sighted_until

    def _raise(self, now: float) -> None:
        wall = self._wall
        if wall is None:
            step = self._step = min(2 * self._step, max(2, self.limit // 4))
        elif self.limit < wall:
            step = (wall - self.limit + 1) // 2
        elif not self._patient(now - self._throttled_at):
            step = 0
        else:
            step = self._step = 1
            # A window later it is known whether the wall still stands there.
            if self.limit > wall:
                self._wall, self._patience = None, MIN_PATIENCE_S
        self.limit = min(self.ceiling, self.limit + step)

    def _patient(self, calm: float) -> bool:
        """Return whether the wall may be tried again after so many seconds without throttling."""
        if self._since_throttled < REQUESTS_A_PROBE:
            # At few slots the requests would take too long to come together.
            return calm >= 4 * self._patience
        return calm >= self._patience

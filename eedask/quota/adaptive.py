"""The limit of requests at once, adapted to how many the server accepts.

The limit is revised once in a window of about a second.

- *Down.* When a request is throttled (refused with status 429), the number of other requests under
  way at that moment is what the server accepts: the quota, or what other programs leave of it. The
  limit drops to that number at once, so that finding a quota costs one burst of refusals. If
  requests are still throttled in the next window, the limit is multiplied by ``DECREASE``, once a
  window.
- *Up.* The *wall* is the limit at which requests were last throttled. Below the wall, the limit
  goes half of the way to it each window. At the wall, it is raised by one after a time of patience,
  which doubles each time this ends in a refusal. Above the wall, it is raised by one, then by two,
  up to a quarter of itself each window. A refused attempt costs about one request.
- *Blind throttling.* Throttling may not depend on how many requests are under way here: faults, or
  the requests of another program. Sending fewer then does not help. Throttling is taken to be blind
  if, at half the limit, requests are throttled in about the same proportion as before, and not more
  than half of them. The limit then stays at that half until the proportion changes much.
"""

from __future__ import annotations

from dataclasses import dataclass

# Seconds that a window lasts at least; a mean latency where that is longer.
MIN_WINDOW_S = 1.0
# Factor on the limit after a window in which throttling went on. In simulations of quotas that
# other programs use too, all values from 0.6 to 0.9 did equally well: the limit mostly follows from
# how many requests the server held.
DECREASE = 0.8
# If a smaller part of a window's requests is throttled, it counts as noise.
NOISE = 0.02
# Seconds without throttling before more requests than the wall are tried, at first and at most.
MIN_PATIENCE_S, MAX_PATIENCE_S = 5.0, 60.0
# Requests between two such attempts, so that few are wasted where requests are slow.
REQUESTS_A_PROBE = 150
# To judge whether throttling is blind, a window needs so many throttled requests, or so many that
# would be throttled if the proportion were as before: fewer could be chance.
EXPECTED = 10
# Seconds in which throttling is not called blind again, after that was found wrong.
SIGHTED_S = 30.0
# Weight of a new mean latency over the old one.
_NEW = 0.3


@dataclass
class _Tally:
    """The counts of one window, with the time in seconds and the limit at which it began."""

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
    def proportion(self) -> float:
        """The part of the requests that was throttled, from 0 to 1."""
        return self.throttled / self.requests if self.requests else 0.0


@dataclass
class _Trouble:
    """A row of windows with throttling: the limit, and the throttled part, in its first window."""

    limit: int
    proportion: float


class AdaptiveLimit:
    """A limit of requests at once, from 1 to a ceiling, that follows what the server accepts.

    Parameters
    ----------
    ceiling : int
        Requests at once. The limit begins here: a stated quota is mostly right.
    now : float
        The time in seconds, as in all methods, on a clock that never goes back.
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
        """Seconds that a window lasts at least."""
        return max(MIN_WINDOW_S, self.latency or 0.0)

    @property
    def lowered(self) -> bool:
        """Whether throttling lowered the limit in this window."""
        return self._window.lowered

    def set_ceiling(self, ceiling: int) -> None:
        """Change the ceiling. A limit that is at the old one, and was never refused, goes along."""
        if self.limit == self.ceiling and self._wall is None:
            self.limit = ceiling
        self.ceiling = ceiling
        self.limit = min(self.limit, ceiling)

    def observe(self, now: float, done: int, throttled: int, latency: float, held: int) -> None:
        """Count requests that ended; lower the limit if some were throttled.

        Parameters
        ----------
        now : float
        done, throttled : int
            Requests that succeeded, and that were throttled, since the last call.
        latency : float
            Seconds that the requests that succeeded took, added up.
        held : int
            Requests that the server had accepted and was working on when it refused others.
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
        """End the window and revise the limit, if the window has lasted long enough to judge it.

        Parameters
        ----------
        now : float
        hungry : bool
            Whether there are more requests than the limit allows. Only then is it raised.
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
        """Return whether the window had enough requests to judge it."""
        window, began = self._window, self._trouble
        if self._blind and began is not None:
            return window.requests * began.proportion >= EXPECTED
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
        proportion, began = self._window.proportion, self._trouble
        if began is None:
            self._trouble = _Trouble(self._window.limit, proportion)
        elif self._blind:
            if proportion > min(0.5, 2 * began.proportion):
                # Throttling did depend on how many requests are under way.
                self._blind, self._trouble = False, None
                self._sighted_until = now + SIGHTED_S
            elif proportion < began.proportion / 4:
                self._blind, self._trouble = False, None
            else:
                began.proportion += _NEW * (proportion - began.proportion)
        elif proportion <= NOISE:
            self._trouble = None
        elif self._seems_blind(now, began, proportion):
            self._blind, self._trouble = True, _Trouble(began.limit, proportion)
            self.limit = max(1, min(self.ceiling, began.limit // 2))
        else:
            self.limit = min(self.limit, max(1, int(self._window.limit * DECREASE)))

    def _seems_blind(self, now: float, began: _Trouble, proportion: float) -> bool:
        """Return whether throttling goes on in the same proportion at half the limit or less."""
        if 2 * self.limit > began.limit or 2 * self._window.throttled < EXPECTED:
            return False
        return began.proportion / 2 < proportion <= 0.5 and now >= self._sighted_until

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

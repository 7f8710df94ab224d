"""The model of how large requests may be, as those before them have shown: no threads, no clock."""

from __future__ import annotations

import math

# After so many requests in a row that worked, a larger one is tried; twice as many after each
# try that failed, so that tries become few.
_CALM = 40

# So many requests of a size that has worked must fail before it counts as too large: one may
# hold an item that is too large by itself. Each that works makes up for so much of one, so that
# a size at which more than some 2 % fail is given up.
_STRIKES = 3

_PARDON = 1 / 50

# The share of a run's requests that may be under way at once at a size that none was answered at.
# One too large is cut in four at least, so that these are a smaller share of what it takes then.
_UNTRIED = 1 / 40

# So many requests of a size have to be answered before it is open to all, once another was found
# too large: what is left of a size that was may be just too large for some.
_ENOUGH = 20

# Seconds that others wait for these before they go on with less: longer than most requests take,
# and no matter in a run of slow ones.
PATIENCE_S = 5.0

_MOMENT_S = 1e-6


class SizeSearch:
    """Learns from the requests of a run how large the next one may be.

    Until a request of the presumed size was answered, only a few go at that size, so that few
    are under way in vain when it is too large: others wait for what becomes of them, and where
    that takes long go on with less. A size that has worked is used by all; once some size was
    found too large, only after it has worked often, and by few more each time until then. One
    request at a time, the scout, is larger than that, to find out whether it works too. Sizes
    are of any unit that a task counts its items' weight in.

    Parameters
    ----------
    presumed : float
        The size that is taken to work before anything is known.
    total : float
        Of all the run's items, or less; the more there is, the more may go at an untried size.
    patience_s : float
        Seconds that requests of an untried size are waited for.

    Attributes
    ----------
    spent : int
        Requests that turned out too large.
    """

    def __init__(self, presumed: float, total: float = 0.0, patience_s: float = PATIENCE_S) -> None:
        self._works = presumed
        # Of nothing at all, no size would be small enough to be gone on with.
        self._total, self._patience_s = max(total, presumed), patience_s
        self._fails = math.inf
        self._scout: object | None = None
        self._tried = 0.0
        # Sizes of requests under way that are larger than any that was answered, and since when.
        self._untried: dict[int, tuple[float, float]] = {}
        # Requests that were answered at about the size that is taken to work, and failures there.
        self._answers, self._strikes = 0, 0.0
        self._calm, self._calm_needed = 0, _CALM
        self.spent = 0

    def admit(self, job: object, size: float, now: float) -> float | None:
        """Return how large a job may be: its own size, or less; it is to be cut to that.

        Parameters
        ----------
        job : object
            Goes under way where its own size is returned, until one of :meth:`worked`,
            :meth:`too_large` and :meth:`other` is told of it.
        size : float
        now : float
            Seconds, on a clock that never goes back.

        Returns
        -------
        float or None
            None where the job is to wait for what becomes of others, for :meth:`delay` at most.
        """
        allowed = self._allowed(job, size)
        if allowed < size or self._scout is job:
            return allowed
        if self._has_room(size):
            if size > self._tried:
                self._untried[id(job)] = (size, now)
            return size
        return None if self.delay(now) > 0 else self._less(size)

    def delay(self, now: float) -> float:
        """Return the seconds until requests of an untried size have been waited for enough."""
        since = min((since for _, since in self._untried.values()), default=-math.inf)
        left = since + self._patience_s - now
        # What rounding leaves of a wait is none.
        return left if left > _MOMENT_S else 0.0

    def worked(self, job: object, size: float) -> None:
        """Take note of a request that was answered."""
        # What was under way at a size that was given up meanwhile does not bring it back.
        if size < self._fails:
            self._works = max(self._works, size)
        if not self._in_doubt:
            self._tried = min(max(self._tried, size), self._works)
        if 2 * size >= self._works:
            self._answers += 1
            self._strikes = max(0.0, self._strikes - _PARDON)
            if not self._in_doubt:
                # What is not much larger is no adventure any more.
                self._tried = self._works
        self.other(job)
        self._calm += 1
        if self._calm >= self._calm_needed:
            # What was too large may have been one item's own weight.
            self._fails, self._calm = 2 * self._fails, 0

    def too_large(self, job: object, size: float) -> None:
        """Take note of a request that was refused for its size."""
        self.spent += 1
        self._calm = 0
        if size > self._works:
            self._fails = min(self._fails, size)
            if self._scout is job:
                self._calm_needed *= 2
        elif self._is_general(size):
            self._fails, self._works = size, size / (2 if self._answers else 4)
            self._calm_needed *= 2 if self._answers else 1
            self._answers, self._strikes = 0, 0.0
            self._tried = min(self._tried, self._works / 2)
        self.other(job)

    def other(self, job: object) -> None:
        """Take note of a request that ended and tells nothing of sizes."""
        if self._scout is job:
            self._scout = None
        self._untried.pop(id(job), None)

    def _allowed(self, job: object, size: float) -> float:
        """Return how large a job may be, going by what worked; a larger one becomes the scout."""
        if size <= self._works:
            return size
        if self._scout is not None and self._scout is not job:
            return self._works
        allowed = min(size, 4 * self._works)
        if allowed >= self._fails:
            return self._works
        if allowed == size:
            self._scout = job
        return allowed

    @property
    def _in_doubt(self) -> bool:
        """Whether too few requests were answered to rely on the size that is in use."""
        return self._answers < (1 if self._fails == math.inf else _ENOUGH)

    def _has_room(self, size: float) -> bool:
        """Return whether a size has worked, or few requests as large are under way."""
        if size <= self._tried:
            return True
        as_large = sum(2 * other >= size for other, _ in self._untried.values())
        return as_large < max(1.0, _UNTRIED * self._total / size, 2.0 * self._answers)

    def _less(self, size: float) -> float:
        """Return a smaller size, at which a request may be sent at once."""
        while not self._has_room(size):
            size = max(size / 4, self._tried)
        return size

    def _is_general(self, size: float) -> bool:
        """Count a failure; return whether there are so many that the size in use is too large."""
        # The halves of one that failed are of its own items as well.
        self._strikes += 4 * size > self._works
        if not self._answers:
            return True
        return self._strikes >= (1 if self._in_doubt else _STRIKES)

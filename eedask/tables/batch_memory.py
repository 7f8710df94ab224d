"""How large the requests of a run may be, as far as those before them have shown."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

logger = logging.getLogger("eedask")

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


class BatchMemory:
    """What the requests of a run teach those after them; safe to share between threads.

    Until a request of the presumed size was answered, only a few go at that size, so that few
    are under way in vain when it is too large: others wait for what becomes of them, and where
    that takes long go on with less. A size that has worked is used by all; once some size was
    found too large, only after it has worked often, and by few more each time until then. One
    request at a time is larger than that, to find out whether it works too. Sizes are of any unit
    that a task counts its items' weight in.

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
        self._changed = threading.Condition()
        self._works = presumed
        # Of nothing at all, no size would be small enough to be gone on with.
        self._total, self._patience_s = max(total, presumed), patience_s
        self._fails = float("inf")
        self._scout: object | None = None
        self._tried = 0.0
        # Sizes of requests under way that are larger than any that was answered, and since when.
        self._untried: dict[int, tuple[float, float]] = {}
        # Requests that were answered at about the size that is taken to work, and failures there.
        self._answers, self._strikes = 0, 0.0
        self._calm, self._patience = 0, _CALM
        self.spent = 0

    def admit(self, job: object, size: float, waits: Callable[[], None] | None = None) -> float:
        """Return how large a job may be: its own size, or less; it is to be cut to that.

        It may wait for what becomes of requests of an untried size; ``waits`` is called before.
        """
        with self._changed:
            while True:
                allowed = self._allowed(job, size)
                if allowed < size or self._scout is job:
                    return allowed
                if self._has_room(size):
                    if size > self._tried:
                        self._untried[id(job)] = (size, time.monotonic())
                    return size
                since = min(since for _, since in self._untried.values())
                left = since + self._patience_s - time.monotonic()
                if left <= 0:
                    return self._less(size)
                if waits is not None:
                    waits()
                    waits = None
                self._changed.wait(left)

    def worked(self, job: object, size: float) -> None:
        """Take note of a request that was answered."""
        with self._changed:
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
            self._end(job)
            self._calm += 1
            if self._calm >= self._patience:
                # What was too large may have been one item's own weight.
                self._fails, self._calm = 2 * self._fails, 0

    def too_large(self, job: object, size: float, label: str) -> None:
        """Take note of a request that was not, for its size."""
        with self._changed:
            self.spent += 1
            self._calm = 0
            if size > self._works:
                self._fails = min(self._fails, size)
                if self._scout is job:
                    self._patience *= 2
            elif self._is_general(size):
                self._fails, self._works = size, size / (2 if self._answers else 4)
                self._patience *= 2 if self._answers else 1
                self._answers, self._strikes = 0, 0.0
                self._tried = min(self._tried, self._works / 2)
            self._end(job)
            logger.info(
                "%s: too large; %d requests so far went on finding the size", label, self.spent
            )

    def other(self, job: object) -> None:
        """Take note of a request that tells nothing of sizes."""
        with self._changed:
            self._end(job)

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
        """Whether the size that is taken to work has not shown that it does, by and large."""
        return self._answers < (1 if self._fails == float("inf") else _ENOUGH)

    def _has_room(self, size: float) -> bool:
        """Whether a request may go at a size: if it was tried, or few others are as large."""
        if size <= self._tried:
            return True
        as_large = sum(2 * other >= size for other, _ in self._untried.values())
        return as_large < max(1.0, _UNTRIED * self._total / size, 2.0 * self._answers)

    def _less(self, size: float) -> float:
        """Return a smaller size at which a request may go."""
        while not self._has_room(size):
            size = max(size / 4, self._tried)
        return size

    def _is_general(self, size: float) -> bool:
        """Whether a failure of a size that was taken to work tells of more than its own items."""
        # The halves of one that failed are of its own items as well.
        self._strikes += 4 * size > self._works
        if not self._answers:
            return True
        return self._strikes >= (1 if self._in_doubt else _STRIKES)

    def _end(self, job: object) -> None:
        if self._scout is job:
            self._scout = None
        self._untried.pop(id(job), None)
        self._changed.notify_all()

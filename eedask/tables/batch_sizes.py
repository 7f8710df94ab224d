"""How large the requests of a run may be, for the threads that send them."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from eedask.tables.size_search import PATIENCE_S, SizeSearch

logger = logging.getLogger(__name__)


class BatchSizes:
    """What the requests of a run teach those after them; safe to share between threads.

    :class:`~eedask.tables.size_search.SizeSearch` decides; this waits, and tells the log.

    Parameters
    ----------
    presumed, total, patience_s : float
        As for :class:`~eedask.tables.size_search.SizeSearch`.

    Attributes
    ----------
    search : SizeSearch
    """

    def __init__(self, presumed: float, total: float = 0.0, patience_s: float = PATIENCE_S) -> None:
        self.search = SizeSearch(presumed, total, patience_s)
        self._changed = threading.Condition()

    @property
    def spent(self) -> int:
        """Requests that turned out too large."""
        return self.search.spent

    def admit(self, job: object, size: float, waits: Callable[[], None] | None = None) -> float:
        """Return how large a job may be: its own size, or less; it is to be cut to that.

        It may wait for what becomes of requests of an untried size; ``waits`` is called before.
        """
        with self._changed:
            while (allowed := self.search.admit(job, size, time.monotonic())) is None:
                if waits is not None:
                    waits()
                    waits = None
                self._changed.wait(self.search.delay(time.monotonic()))
            return allowed

    def worked(self, job: object, size: float) -> None:
        """Take note of a request that was answered."""
        with self._changed:
            self.search.worked(job, size)
            self._changed.notify_all()

    def too_large(self, job: object, size: float, label: str) -> None:
        """Take note of a request that was refused for its size; ``label`` names it in the log."""
        with self._changed:
            self.search.too_large(job, size)
            self._changed.notify_all()
        logger.info("%s: too large; %d requests so far went on finding the size", label, self.spent)

    def other(self, job: object) -> None:
        """Take note of a request that ended and tells nothing of sizes."""
        with self._changed:
            self.search.other(job)
            self._changed.notify_all()

"""Notices when a cluster has no worker: the user is told, and the run ends after some minutes."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from eedask.errors import RunStopped

logger = logging.getLogger(__name__)

# Seconds between two looks.
LOOK_S = 5.0
# Seconds without a worker after which the user is told: a nanny needs a few to start another.
WARN_S = 15.0
# Seconds that a run which has lost all workers waits for a new one. A cluster that has had no
# worker yet, as it queues for machines, is waited for without a limit.
PATIENCE_S = 300.0


class Presence:
    """Notices when a cluster has no worker.

    Dask itself would wait in silence, for ever: a worker whose process is killed while it starts,
    for instance, is not started again.

    Parameters
    ----------
    count : callable
        Returns how many workers there are. Its errors are ignored: if the scheduler is gone, the
        futures show it.
    """

    def __init__(self, count: Callable[[], int]) -> None:
        self._count = count
        self._had_workers = False
        self._missed = self._looked = time.monotonic()
        self._warned = False

    def look(self) -> None:
        """Count the workers, if that is due; tell the user if there was none for a while.

        Raises
        ------
        RunStopped
            If there were workers, and none has come back for minutes.
        """
        now = time.monotonic()
        if now - self._looked < LOOK_S:
            return
        self._looked = now
        try:
            workers = self._count()
        except Exception as error:
            logger.debug("the scheduler does not say how many workers it has: %s", error)
            return
        if workers:
            self._seen(now)
        else:
            self._missing(now - self._missed)

    def _seen(self, now: float) -> None:
        if self._warned:
            logger.warning("a worker is there; the run goes on")
        self._had_workers, self._warned, self._missed = True, False, now

    def _missing(self, seconds: float) -> None:
        if self._had_workers and seconds > PATIENCE_S:
            raise RunStopped(
                f"all workers are gone, and none has come for {PATIENCE_S:g} s; what is done is"
                " kept: start workers and run the same plan again to go on"
            )
        if seconds > WARN_S and not self._warned:
            self._warned = True
            logger.warning("the cluster has no worker; the run waits until one comes")

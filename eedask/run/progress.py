"""Progress item by item, from wherever the items are done to whoever watches."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import distributed
from tqdm.auto import tqdm

from eedask.dataset.rows import FAILED, Row


@dataclass(frozen=True)
class Progress:
    """How far a run is.

    Attributes
    ----------
    total : int
        Items of the plan.
    done : int
        Items that have their row, those of earlier runs included.
    failed : int
        Those of them that failed.
    """

    total: int
    done: int
    failed: int


Listener = Callable[[Progress], None]

# Runs whose rows are made in this very process, with who wants to hear of them.
_LOCAL: dict[str, Callable[[int, int], None]] = {}


def topic(run_id: str) -> str:
    """Return the Dask event topic of a run."""
    return f"eedask-{run_id}"


def tell_done(run_id: str, rows: Sequence[Row]) -> None:
    """Tell that rows are done, from a Dask worker or from this process."""
    if not rows:
        return
    failed = sum(row.status == FAILED for row in rows)
    if run_id in _LOCAL:
        _LOCAL[run_id](len(rows), failed)
        return
    with contextlib.suppress(ValueError):  # not on a worker: nobody watches
        worker = distributed.get_worker()
        worker.log_event(topic(run_id), {"done": len(rows), "failed": failed})


class Counter:
    """Adds up what is done and tells a listener.

    Parameters
    ----------
    total, done, failed : int
        To begin with.
    listener : callable
        Called with a :class:`Progress`, one call at a time.
    """

    def __init__(self, progress: Progress, listener: Listener) -> None:
        self._now = progress
        self._listener = listener
        self._lock = threading.Lock()

    def add(self, done: int, failed: int) -> None:
        """Count more items."""
        with self._lock:
            now = self._now
            # What a worker told before it died, and had not written, is told again.
            sums = min(now.total, now.done + done), min(now.total, now.failed + failed)
            self._now = Progress(now.total, *sums)
            self._listener(self._now)


@contextlib.contextmanager
def watching(
    run_id: str, counter: Counter, client: distributed.Client | None = None
) -> Iterator[None]:
    """Send what is reported of a run to a counter.

    Parameters
    ----------
    run_id : str
    counter : Counter
    client : Client, optional
        Of the cluster that does the work; this process does it when None.
    """
    if client is None:
        _LOCAL[run_id] = counter.add
        try:
            yield
        finally:
            del _LOCAL[run_id]
        return

    def hear(event: tuple[Any, dict[str, Any]]) -> None:
        # The scheduler adds to the event which worker it is from.
        counter.add(event[1]["done"], event[1]["failed"])

    client.subscribe_topic(topic(run_id), hear)
    try:
        yield
    finally:
        # What ends a run may have ended the client; that is not to hide why the run has ended.
        with contextlib.suppress(Exception):
            client.unsubscribe_topic(topic(run_id))


@contextlib.contextmanager
def listener(show: bool | Listener, description: str) -> Iterator[Listener]:
    """Yield a progress bar (True), nothing (False) or the user's own listener."""
    if callable(show):
        yield show
    elif not show:
        yield lambda _: None
    else:
        with tqdm(desc=description, unit="item") as bar:

            def draw(progress: Progress) -> None:
                bar.total = progress.total
                bar.n = progress.done
                if progress.failed:
                    bar.set_postfix(failed=progress.failed, refresh=False)
                bar.refresh()

            yield draw

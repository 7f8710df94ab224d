"""Progress of a run: from the processes that do the items to the listener of the user."""

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
    """How far a run is; what a callable that is passed as ``progress=`` gets.

    Attributes
    ----------
    total : int
        Items of the plan.
    done : int
        Items that have a row in the manifest, failed ones and those of earlier runs included.
    failed : int
        Items, of those done, that failed.

    Examples
    --------
    >>> plan.run(progress=lambda now: print(f"{now.done} of {now.total}"))  # doctest: +SKIP
    """

    total: int
    done: int
    failed: int


Listener = Callable[[Progress], None]

# For each run whose items are done in this process: what to call with (items done, items failed).
_LOCAL: dict[str, Callable[[int, int], None]] = {}


def topic(run_id: str) -> str:
    """Return the Dask event topic of a run."""
    return f"eedask-{run_id}"


def tell_done(run_id: str, rows: Sequence[Row]) -> None:
    """Add rows to the progress of a run, from this process or from a Dask worker."""
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
    """Adds up the items that are done, and calls a listener with the sum.

    Parameters
    ----------
    progress : Progress
        How far the run is at its start.
    listener : callable
        Called with a :class:`Progress`, one call at a time.
    """

    def __init__(self, progress: Progress, listener: Listener) -> None:
        self._now = progress
        self._listener = listener
        self._lock = threading.Lock()

    def add(self, done: int, failed: int) -> None:
        """Add items that are done to the sum, and tell the listener."""
        with self._lock:
            now = self._now
            # Items whose rows were lost with a worker are done again, and must not count twice.
            sums = min(now.total, now.done + done), min(now.total, now.failed + failed)
            self._now = Progress(now.total, *sums)
            self._listener(self._now)


@contextlib.contextmanager
def watching(
    run_id: str, counter: Counter, client: distributed.Client | None = None
) -> Iterator[None]:
    """Return a context in which the events of a run's progress go to a counter.

    Parameters
    ----------
    run_id : str
    counter : Counter
    client : Client, optional
        A client of the cluster that does the items; None: this process does them.
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
        # The client may be gone; an error about that must not hide the reason why the run ended.
        with contextlib.suppress(Exception):
            client.unsubscribe_topic(topic(run_id))


@contextlib.contextmanager
def listener(show: bool | Listener, description: str) -> Iterator[Listener]:
    """Yield the listener that ``show`` asks for: a progress bar, none, or the user's callable."""
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

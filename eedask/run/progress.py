"""Progress of a run: from the processes that do the items to the listener of the user."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass
from typing import Any

import distributed
from tqdm.auto import tqdm

from eedask.dataset.rows import FAILED, Row
from eedask.quota.owner import RESTRICTED
from eedask.watching.compute import Compute, Spent
from eedask.watching.reporter import Reporter

logger = logging.getLogger(__name__)


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
    eecu_s : float, optional
        EECU-seconds that the requests of this run and of earlier ones have used, scaled up from a
        sample of them; runs of which Earth Engine told nothing are left out. None: nothing is
        known. Each process of a run asks from its 64th request or its tenth second on, and runs
        with a budget from their first ones.

    Examples
    --------
    >>> plan.run(progress=lambda now: print(f"{now.done} of {now.total}"))  # doctest: +SKIP
    """

    total: int
    done: int
    failed: int
    eecu_s: float | None = None


Listener = Callable[[Progress], None]

# For each run whose items are done in this process: what to call, as Counter.add is.
_LOCAL: dict[str, Callable[[int, int, str, Compute], None]] = {}


def topic(run_id: str) -> str:
    """Return the Dask event topic of a run."""
    return f"eedask-{run_id}"


def tell_done(reporter: Reporter, rows: Sequence[Row]) -> None:
    """Add rows to the progress of a run, from this process or from a Dask worker.

    What the process's requests have cost so far is told with them.
    """
    failed = sum(row.status == FAILED for row in rows)
    run_id, member, cost = reporter.run_id, reporter.member, reporter.sample.sum
    if run_id in _LOCAL:
        _LOCAL[run_id](len(rows), failed, member, cost)
        return
    with contextlib.suppress(ValueError):  # not on a worker: nobody watches
        worker = distributed.get_worker()
        done = {"done": len(rows), "failed": failed, "member": member, "cost": astuple(cost)}
        worker.log_event(topic(run_id), {**done, "restricted": reporter.restricted})


class Counter:
    """Adds up the items that are done, and calls a listener with the sum.

    Parameters
    ----------
    progress : Progress
        How far the run is at its start.
    listener : callable
        Called with a :class:`Progress`, one call at a time.

    Attributes
    ----------
    computes : dict of str to Compute
        What the requests of each process have cost.
    spent : dict of str to Spent
        What each process has spent; known when the run has ended.
    """

    def __init__(self, progress: Progress, listener: Listener) -> None:
        self.computes: dict[str, Compute] = {}
        self.spent: dict[str, Spent] = {}
        self._before = progress.eecu_s
        self._now = progress
        self._listener = listener
        self._lock = threading.Lock()

    def learn(self, spent: Mapping[str, Spent]) -> None:
        """Take note of what each process has spent when the run has ended."""
        self.spent.update(spent)
        self.computes.update({member: one.cost for member, one in spent.items()})

    @property
    def eecu_s(self) -> float | None:
        """EECU-seconds of this run and of earlier ones, as far as they are known."""
        now = Compute.sum(self.computes.values()).total
        return now if self._before is None else self._before + (now or 0.0)

    def add(self, done: int, failed: int, member: str, cost: Compute) -> None:
        """Count more items, and what the requests of a process have cost so far."""
        with self._lock:
            now = self._now
            self.computes[member] = cost
            # Items whose rows were lost with a worker are done again, and must not count twice.
            sums = min(now.total, now.done + done), min(now.total, now.failed + failed)
            self._now = Progress(now.total, *sums, self.eecu_s)
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

    # The owner of the quota says it where the scheduler is. If that is elsewhere, nobody reads it.
    scheduler = getattr(client.cluster, "scheduler", None)
    is_here = isinstance(scheduler, distributed.Scheduler)
    unsaid = [] if is_here else [RESTRICTED]

    def hear(event: tuple[Any, dict[str, Any]]) -> None:
        # The scheduler adds to the event which worker it is from.
        told = event[1]
        counter.add(told["done"], told["failed"], told["member"], Compute(*told["cost"]))
        if told["restricted"] and unsaid:
            logger.warning(unsaid.pop())

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

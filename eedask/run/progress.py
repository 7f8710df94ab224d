"""Progress of a run: from the processes that do the items to the listener of the user."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any

import distributed

from eedask.dataset.dataset import Dataset
from eedask.dataset.rows import FAILED, OK
from eedask.quota.owner import RESTRICTED
from eedask.watching.compute import Compute, Spent
from eedask.watching.messages import Beginning
from eedask.watching.reporter import heard_here
from eedask.watching.run_state import Limits, RunState
from eedask.watching.scheduler_plugin import topic_of

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Progress:
    """How far a run is; what a callable that is passed as ``progress=`` gets.

    The fields have the names that they have in ``/eedask/status.json``.

    Attributes
    ----------
    total : int
        Items of the plan.
    done : int
        Items that have a row in the manifest, failed ones and those of earlier runs included. It
        may go down where a worker is lost, with rows that it had not written yet.
    failed : int
        Items, of those done, that failed.
    requests_per_s : float
        Requests that were sent a second, in the last seconds.
    in_flight : int
        Requests that are sent and not answered yet.
    throttled : int
        Requests of this run that were refused because of the quota, and are sent again.
    retries : int
        Requests of this run that were sent because an earlier try had failed.
    eta_s : float, optional
        Seconds until the run ends, if it goes on as in the last minute; None where that is not
        known yet.
    eecu_s : float, optional
        EECU-seconds that the requests of this run and of earlier ones have used, scaled up from a
        sample of them; runs of which Earth Engine told nothing are left out. None: nothing is
        known. Each process of a run asks from its 64th request on, or from its tenth second if it
        has had ten answers by then; runs with a budget ask from their first requests on.

    Examples
    --------
    >>> plan.run(progress=lambda now: print(f"{now.done} of {now.total}"))  # doctest: +SKIP
    """

    total: int
    done: int
    failed: int
    requests_per_s: float = 0.0
    in_flight: int = 0
    throttled: int = 0
    retries: int = 0
    eta_s: float | None = None
    eecu_s: float | None = None


Listener = Callable[[Progress], None]


def progress_in(dataset: Dataset, *, retry_failed: bool = False) -> Progress:
    """Return the progress by the rows that are written to a dataset.

    Parameters
    ----------
    dataset : Dataset
    retry_failed : bool
        Whether items that failed count as not done, because they are tried again.
    """
    plan, counts = dataset.plan(), dataset.counts()
    failed = 0 if retry_failed else counts[FAILED]
    return Progress(plan["count"], counts[OK] + failed, failed, eecu_s=plan.get("eecu_s"))


class Counter:
    """Tells a listener of a run's progress, and keeps what the run costs.

    Parameters
    ----------
    before : Progress
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

    def __init__(self, before: Progress, listener: Listener) -> None:
        self.computes: dict[str, Compute] = {}
        self.spent: dict[str, Spent] = {}
        self._before = before.eecu_s
        self._listener = listener

    def learn(self, spent: Mapping[str, Spent]) -> None:
        """Take note of what each process has spent when the run has ended."""
        self.spent.update(spent)
        self.computes.update({member: one.cost for member, one in spent.items()})

    @property
    def eecu_s(self) -> float | None:
        """EECU-seconds of this run and of earlier ones, as far as they are known."""
        now = Compute.sum(self.computes.values()).total
        return now if self._before is None else self._before + (now or 0.0)

    def hear(self, status: Mapping[str, Any], computes: Mapping[str, Compute]) -> None:
        """Take what :meth:`RunState.status` says of the run, and what its processes have cost."""
        self.computes.update(computes)
        now = {field.name: status[field.name] for field in fields(Progress)}
        self._listener(Progress(**{**now, "eecu_s": self.eecu_s}))


class Told:
    """Passes progress on to a listener, and keeps the latest.

    An error of the listener comes out of the first call. If a later one fails, where the run is
    under way, the user is warned and the run goes on unheard.

    Parameters
    ----------
    listener : callable

    Attributes
    ----------
    latest : Progress
        What was told last; before the first call, of no items.
    """

    def __init__(self, listener: Listener) -> None:
        self.latest = Progress(0, 0, 0)
        self._listener: Listener | None = listener
        self._heard = False

    def __call__(self, now: Progress) -> None:
        """Tell the listener how far the run is."""
        first, self._heard = not self._heard, True
        self.latest = now
        if self._listener is None:
            return
        try:
            self._listener(now)
        except Exception:
            if first:
                raise
            self._listener = None
            logger.warning("the function given as progress= fails; the run goes on", exc_info=True)


class Watched:
    """The progress of a run on a cluster, which its client's thread of messages hears.

    The listener is called by :meth:`look`, in the thread that waits for the run: however long it
    takes, messages are not kept waiting.

    Parameters
    ----------
    counter : Counter
    says_restricted : bool
        Whether to warn of restricted mode: its words are not read where the scheduler logs them.
    """

    def __init__(self, counter: Counter, *, says_restricted: bool) -> None:
        self._counter = counter
        self._unsaid = [RESTRICTED] if says_restricted else []
        self._heard: deque[dict[str, Any]] = deque(maxlen=1)

    def hear(self, event: tuple[Any, dict[str, Any]]) -> None:
        """Take an event of Dask that holds the run's status."""
        self._heard.append(event[1])

    def look(self) -> None:
        """Tell the listener what was heard last, if that is news."""
        if not self._heard:
            return
        told = self._heard.pop()
        computes = {member: Compute(*cost) for member, cost in told["computes"].items()}
        self._counter.hear(told["status"], computes)
        if told["restricted"] and self._unsaid:
            logger.warning(self._unsaid.pop())


@contextlib.contextmanager
def watching(
    client: distributed.Client, run_id: str, counter: Counter
) -> Iterator[Callable[[], None]]:
    """Return a context in which a client hears of a run's progress on its cluster.

    Yields
    ------
    callable
        To be called a few times a second; it tells the counter.
    """
    scheduler = getattr(client.cluster, "scheduler", None)
    is_here = isinstance(scheduler, distributed.Scheduler)
    watched, topic = Watched(counter, says_restricted=not is_here), topic_of(run_id)
    client.subscribe_topic(topic, watched.hear)
    try:
        yield watched.look
    finally:
        # The client may be gone; an error about that must not hide the reason why the run ended.
        with contextlib.suppress(Exception):
            client.unsubscribe_topic(topic)


@contextlib.contextmanager
def counting_here(beginning: Beginning, counter: Counter) -> Iterator[None]:
    """Return a context in which this process counts the progress of a run that it does itself.

    Parameters
    ----------
    beginning : Beginning
    counter : Counter
        Is told in the threads that do the items, one call at a time.
    """
    run, lock = RunState(beginning), threading.Lock()

    def hear(message: Mapping[str, Any]) -> None:
        with lock:
            run.hear(message)
            run.sample_if_due(Limits())
            counter.hear(run.status(Limits()), run.computes)

    with heard_here(beginning.run_id, hear):
        yield

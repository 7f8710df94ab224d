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


Listener = Callable[[Progress], None]


def progress_of(status: Mapping[str, Any]) -> Progress:
    """Return the progress of a run, given what :meth:`RunState.status` says of it."""
    return Progress(**{field.name: status[field.name] for field in fields(Progress)})


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
    listen : callable
        Called with a :class:`Progress`.
    """

    def __init__(self, listen: Listener) -> None:
        self._listen = listen
        self._heard: deque[Progress] = deque(maxlen=1)

    def hear(self, event: tuple[Any, dict[str, Any]]) -> None:
        """Take an event of Dask that holds the run's status."""
        self._heard.append(progress_of(event[1]))

    def look(self) -> None:
        """Tell the listener what was heard last, if that is news."""
        if self._heard:
            self._listen(self._heard.pop())


@contextlib.contextmanager
def watching(
    client: distributed.Client, run_id: str, listen: Listener
) -> Iterator[Callable[[], None]]:
    """Return a context in which a client hears of a run's progress on its cluster.

    Yields
    ------
    callable
        To be called a few times a second; it tells the listener.
    """
    watched, topic = Watched(listen), topic_of(run_id)
    client.subscribe_topic(topic, watched.hear)
    try:
        yield watched.look
        watched.look()
    finally:
        # The client may be gone; an error about that must not hide the reason why the run ended.
        with contextlib.suppress(Exception):
            client.unsubscribe_topic(topic)


@contextlib.contextmanager
def counting_here(beginning: Beginning, listen: Listener) -> Iterator[None]:
    """Return a context in which this process counts the progress of a run that it does itself.

    Parameters
    ----------
    beginning : Beginning
    listen : callable
        Called with a :class:`Progress`, one call at a time, in the threads that do the items.
    """
    run, lock = RunState(beginning), threading.Lock()

    def hear(message: Mapping[str, Any]) -> None:
        with lock:
            run.hear(message)
            run.sample_if_due(Limits())
            listen(progress_of(run.status(Limits())))

    with heard_here(beginning.run_id, hear):
        yield

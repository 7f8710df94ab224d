"""Limits of one run: the items that it does, its time, and the compute that it uses."""

from __future__ import annotations

import contextlib
import logging
import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from eedask.arguments import is_count, is_positive
from eedask.dataset.dataset import Dataset
from eedask.errors import InputError, RunStopped
from eedask.items.item import plain
from eedask.run.progress import Listener, Progress
from eedask.run.undone import undone

logger = logging.getLogger(__name__)

_CLOCK = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)\Z")
# Seconds without a word of what requests cost after which a budget's owner is warned.
_UNKNOWN_S = 30.0
# Seconds, at most, between looks at the clock of a run that ends at a time. The clock may be set,
# and the machine may sleep, which timers do not count.
_LOOK_S = 5.0
_GO_ON = "what is done is kept; run the same plan again to go on"


@dataclass(frozen=True)
class RunLimits:
    """When a run stops that is not at its end yet.

    Parameters
    ----------
    max_items : int, optional
        Items that the run does.
    until : str or datetime, optional
        The time until which it goes on: of the clock, as "18:00", or a datetime; without a time
        zone, the one of this machine.
    max_eecu_hours : float, optional
        EECU-hours that the run's requests use.

    Raises
    ------
    InputError
        If one is of another kind, or the time is over.
    """

    max_items: int | None = None
    until: Any = None
    max_eecu_hours: float | None = None

    def __post_init__(self) -> None:
        if self.max_items is not None and not is_count(self.max_items):
            raise InputError(
                f"max_items is a whole number of items, 1 or more; got {self.max_items!r}"
            )
        if self.until is not None and self._end() <= _now():
            raise InputError(f"until={self.until!r} is over; give a time that is to come")
        hours = self.max_eecu_hours
        if hours is not None and not is_positive(hours):
            raise InputError(f"max_eecu_hours is a positive number of EECU-hours; got {hours!r}")

    @property
    def max_eecu_s(self) -> float | None:
        """EECU-seconds that the run's requests may use."""
        return None if self.max_eecu_hours is None else 3600 * self.max_eecu_hours

    def _end(self) -> datetime:
        """Return when ``until`` comes."""
        if isinstance(until := plain(self.until), datetime):
            return until.astimezone()
        clock = _CLOCK.match(self.until) if isinstance(self.until, str) else None
        if clock is None:
            raise InputError(
                f"until is a time of the clock, as '18:00', or a datetime; got {self.until!r}"
            )
        now = _now()
        then = now.replace(hour=int(clock[1]), minute=int(clock[2]), second=0, microsecond=0)
        return then if then > now else then + timedelta(days=1)

    @contextlib.contextmanager
    def kept(
        self, before: Progress, listen: Listener, stop: Callable[[str], None]
    ) -> Iterator[Listener]:
        """Yield a listener for a run that is stopped where it reaches a limit.

        Parameters
        ----------
        before : Progress
            At the run's start.
        listen : callable
            Is told of the progress as well.
        stop : callable
            Stops the run; is called with the reason, in a thread of its own.
        """
        timers: list[threading.Timer] = []

        def begin(seconds: float, what: Callable[..., None], *told: Any) -> None:
            timer = threading.Timer(seconds, what, told)
            timer.daemon = True
            timers.append(timer)
            timer.start()

        is_told, has_ended = threading.Event(), threading.Event()
        cost = _Cost(before.eecu_s or 0.0)

        def heard(now: Progress) -> None:
            listen(now)
            cost.hear(now)
            reason = self._reached(cost.eecu_s)
            is_over = now.done == now.total
            if reason is not None and not is_over and not is_told.is_set():
                is_told.set()
                # Not here, where the client's messages arrive: to stop, it has to send some.
                begin(0, stop, f"{reason}; {_GO_ON}")

        if self.until is not None:
            words = f"until={self.until!s} has come; {_GO_ON}"
            begin(0, _stop_at, self._end(), has_ended, stop, words)
        if self.max_eecu_hours is not None:
            begin(_UNKNOWN_S, cost.warn)
        try:
            yield heard
            if self.max_eecu_hours is not None:
                cost.warn()
        finally:
            has_ended.set()
            for timer in timers:
                timer.cancel()

    def first_of(
        self, dataset: Dataset, partitions: int, *, retry_failed: bool
    ) -> dict[int, frozenset[Any]] | None:
        """Return the ids of each partition that the run does; None: all that are not done."""
        if self.max_items is None:
            return None
        left, found = self.max_items, {}
        for number in range(partitions):
            todo = undone(dataset.partition(number), dataset.rows(number), retry_failed)[:left]
            found[number] = frozenset(item.id for item in todo)
            left -= len(todo)
            if not left:
                break
        return found

    def check_end(self, before: Progress) -> None:
        """Raise RunStopped if more was left before a run than it was to do."""
        if self.max_items is not None and before.total - before.done > self.max_items:
            raise RunStopped(f"max_items={self.max_items} are done in this run; {_GO_ON}")

    def _reached(self, eecu_s: float) -> str | None:
        """Return which limit has been reached by EECU-seconds of this run, in words."""
        if self.max_eecu_s is not None and eecu_s >= self.max_eecu_s:
            return (
                f"max_eecu_hours={self.max_eecu_hours:g} are used up: this run has used about"
                f" {eecu_s / 3600:.3g} EECU-hours"
            )
        return None


def _now() -> datetime:
    return datetime.now().astimezone()


def _stop_at(
    end: datetime, has_ended: threading.Event, stop: Callable[[str], None], reason: str
) -> None:
    """Wait until the clock shows a time, and stop the run, unless it has ended before."""
    while (left := (end - _now()).total_seconds()) > 0:
        if has_ended.wait(min(left, _LOOK_S)):
            return
    stop(reason)


class _Cost:
    """What a run has used, as far as it is known; says so once where it is not.

    Parameters
    ----------
    before : float
        EECU-seconds of earlier runs.
    """

    def __init__(self, before: float) -> None:
        self._before = before
        self.eecu_s = 0.0
        self._warned = False

    def hear(self, now: Progress) -> None:
        """Take note of a run's progress."""
        if now.eecu_s is not None:
            self.eecu_s = now.eecu_s - self._before

    def warn(self) -> None:
        """Say that a budget cannot be kept, if nothing is known."""
        if not (self.eecu_s or self._warned):
            self._warned = True
            logger.warning(
                "max_eecu_hours cannot be kept: Earth Engine does not tell what this run's"
                " requests use. Stop it by max_items= or until=, or set a daily quota of the"
                " project: https://developers.google.com/earth-engine/guides/cost_controls"
            )

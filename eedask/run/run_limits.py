"""Limits of one run: the items that it does, and the time until which it goes on."""

from __future__ import annotations

import contextlib
import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from eedask.errors import InputError
from eedask.run.progress import Listener, Progress

_CLOCK = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)\Z")
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

    Raises
    ------
    InputError
        If one is of another kind, or the time is over.
    """

    max_items: int | None = None
    until: Any = None

    def __post_init__(self) -> None:
        count = self.max_items
        if count is not None and (type(count) is not int or count < 1):
            raise InputError(f"max_items is a number of items, from 1; got {count!r}")
        if self.until is not None and self._seconds_left() <= 0:
            raise InputError(f"until={self.until!r} is over; give a time that is to come")

    def _seconds_left(self) -> float:
        now = datetime.now().astimezone()
        if isinstance(self.until, datetime):
            return (self.until.astimezone() - now).total_seconds()
        clock = _CLOCK.match(self.until) if isinstance(self.until, str) else None
        if clock is None:
            raise InputError(
                f"until is a time of the clock, as '18:00', or a datetime; got {self.until!r}"
            )
        then = now.replace(hour=int(clock[1]), minute=int(clock[2]), second=0, microsecond=0)
        return ((then if then > now else then + timedelta(days=1)) - now).total_seconds()

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

        def begin(seconds: float, reason: str) -> None:
            timer = threading.Timer(seconds, stop, [f"{reason}; {_GO_ON}"])
            timer.daemon = True
            timers.append(timer)
            timer.start()

        most, is_told = self.max_items, threading.Event()

        def heard(now: Progress) -> None:
            listen(now)
            if most is not None and now.done - before.done >= most and not is_told.is_set():
                is_told.set()
                # Not here, where the client's messages arrive: to stop, it has to send some.
                begin(0, f"max_items={most} are done in this run")

        if self.until is not None:
            begin(self._seconds_left(), f"until={self.until!s} has come")
        try:
            yield heard
        finally:
            for timer in timers:
                timer.cancel()

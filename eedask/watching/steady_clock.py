"""A clock for how long things take that also tells the time of day."""

from __future__ import annotations

import time
from datetime import UTC, datetime


class SteadyClock:
    """The machine's clock as it was when this was made, and the time that has passed since.

    Where the machine's clock is set meanwhile, by hours even, spans between times of this clock
    are right all the same. Seconds for which the machine was asleep may be missing.
    """

    def __init__(self) -> None:
        self._began, self._monotonic = time.time(), time.monotonic()

    def seconds(self) -> float:
        """Return the seconds since 1970."""
        return self._began + time.monotonic() - self._monotonic

    def utc(self) -> datetime:
        """Return the date and time in UTC."""
        return datetime.fromtimestamp(self.seconds(), UTC)

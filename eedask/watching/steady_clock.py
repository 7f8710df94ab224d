"""A clock that tells the date and time, and never jumps when the machine's clock is set."""

from __future__ import annotations

import time
from datetime import UTC, datetime


class SteadyClock:
    """Tells the time from the machine's clock when it was made, plus the seconds since then.

    The seconds since are counted by a monotonic clock. If the machine's clock is set meanwhile, the
    difference between two times of this clock is still how long it took. Time during which the
    machine was suspended may be missing.
    """

    def __init__(self) -> None:
        self._began, self._monotonic = time.time(), time.monotonic()

    def seconds(self) -> float:
        """Return the seconds since 1970."""
        return self._began + time.monotonic() - self._monotonic

    def utc(self) -> datetime:
        """Return the date and time in UTC."""
        return datetime.fromtimestamp(self.seconds(), UTC)

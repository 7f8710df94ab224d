"""What a project has computed in a day and a month, and what follows when that is too much.

A day's limit is a quota that administrators set, past which requests fail
(https://developers.google.com/earth-engine/guides/cost_controls). A month's is that of a tier of
noncommercial projects, past which they are in restricted mode: fewer requests at a time, and
answers that say so (https://developers.google.com/earth-engine/guides/noncommercial_tiers).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

from eedask.emulator.errors import EarthEngineError

Calendar = Callable[[], datetime]

OVER_DAILY_QUOTA = (
    "Your usage exceeded the custom quota for "
    "'earthengine.googleapis.com/daily_eecu_usage_time', which is adjustable by your "
    "administrator in the Google Cloud console: https://console.cloud.google.com/quotas/?project=_."
)
_RESTRICTED_SHARE = 10
_RESTRICTED_CONCURRENCY = 4


@dataclass(frozen=True)
class Usage:
    """What one request cost.

    Attributes
    ----------
    eecu_seconds : float
    peak_memory : int
        Bytes.
    tag : str, optional
        The workload tag.
    """

    eecu_seconds: float
    peak_memory: int
    tag: str | None = None


def utc_now() -> datetime:
    """Return the time of the calendar."""
    return datetime.now(UTC)


class Compute:
    """The project's account of EECU time.

    Parameters
    ----------
    daily_eecu_seconds, monthly_eecu_hours : float, optional
        The limits of a calendar day and month, UTC; None: there is none.
    calendar : callable
        The time now.
    """

    def __init__(
        self,
        daily_eecu_seconds: float | None = None,
        monthly_eecu_hours: float | None = None,
        calendar: Calendar = utc_now,
    ) -> None:
        self._calendar = calendar
        self._days: defaultdict[date, float] = defaultdict(float)
        self._months: defaultdict[tuple[int, int], float] = defaultdict(float)
        self._tags: defaultdict[str, float] = defaultdict(float)
        self._peak = 0
        self.set_limits(
            {"daily_eecu_seconds": daily_eecu_seconds, "monthly_eecu_hours": monthly_eecu_hours}
        )

    def set_limits(self, limits: Mapping[str, float | None]) -> None:
        """Change limits; what is not named stays."""
        for name, value in limits.items():
            if value is not None and not value >= 0:
                raise ValueError(f"{name} must be 0 or more, not {value}")
        if "daily_eecu_seconds" in limits:
            self._daily = limits["daily_eecu_seconds"]
        if "monthly_eecu_hours" in limits:
            self._monthly = limits["monthly_eecu_hours"]

    def check(self) -> None:
        """Refuse a request on a day whose limit is used up.

        The code 429 is a guess; the page gives the words.
        """
        if self._daily is not None and self._days[self._day] >= self._daily:
            raise EarthEngineError(OVER_DAILY_QUOTA, 429)

    @property
    def is_restricted(self) -> bool:
        """Whether the month's limit is used up."""
        return self._monthly is not None and self._months[self._month] >= self._monthly * 3600

    def concurrency(self, limit: int | None) -> int | None:
        """Return how many requests may be in flight, given the limit of other days.

        A tenth of it in restricted mode, at least 1: how many it is there is a guess.
        """
        if not self.is_restricted:
            return limit
        return _RESTRICTED_CONCURRENCY if limit is None else max(1, limit // _RESTRICTED_SHARE)

    def spend(self, usage: Usage) -> None:
        """Note what a request cost."""
        today = self._day
        self._days[today] += usage.eecu_seconds
        self._months[today.year, today.month] += usage.eecu_seconds
        self._tags[usage.tag or ""] += usage.eecu_seconds
        self._peak = max(self._peak, usage.peak_memory)

    def stats(self) -> dict[str, Any]:
        """Return the tally, JSON-able: EECU-seconds in all and by tag ("": none), bytes."""
        return {
            "eecu_seconds": sum(self._tags.values()),
            "eecu_seconds_by_tag": dict(self._tags),
            "eecu_seconds_today": self._days[self._day],
            "eecu_seconds_this_month": self._months[self._month],
            "peak_memory": self._peak,
            "restricted": self.is_restricted,
        }

    def forget(self) -> None:
        """Start the tally anew; days and months go on."""
        self._tags.clear()
        self._peak = 0

    @property
    def _day(self) -> date:
        return self._calendar().date()

    @property
    def _month(self) -> tuple[int, int]:
        today = self._day
        return today.year, today.month

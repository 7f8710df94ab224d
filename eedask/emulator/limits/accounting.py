"""The project's account of EECU time by day and month, with its two limits.

The daily limit is a quota that administrators set; beyond it requests fail
(https://developers.google.com/earth-engine/guides/cost_controls). The monthly limit is that of a
noncommercial tier; beyond it the project is in restricted mode: fewer requests may be in flight,
and answers say so in a header (https://developers.google.com/earth-engine/guides/noncommercial_tiers).
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
# Requests in flight in restricted mode: the usual limit divided by ten, or four if there is none.
_RESTRICTED_SHARE = 10
_RESTRICTED_CONCURRENCY = 4


@dataclass(frozen=True)
class Usage:
    """What one request cost.

    Attributes
    ----------
    eecu_seconds : float
    peak_memory : int
        The most bytes that were held at once.
    tag : str, optional
        The request's workload tag.
    """

    eecu_seconds: float
    peak_memory: int
    tag: str | None = None


def utc_now() -> datetime:
    """Return the current date and time in UTC."""
    return datetime.now(UTC)


class Compute:
    """The project's account of EECU time.

    Parameters
    ----------
    daily_eecu_seconds, monthly_eecu_hours : float, optional
        The limits for a calendar day and month in UTC; None for no limit.
    calendar : callable
        Returns the current date and time.
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
        """Change the limits named in a mapping; the others stay.

        Raises
        ------
        ValueError
            A limit is negative.
        """
        for name, value in limits.items():
            if value is not None and not value >= 0:
                raise ValueError(f"{name} must be 0 or more, not {value}")
        if "daily_eecu_seconds" in limits:
            self._daily = limits["daily_eecu_seconds"]
        if "monthly_eecu_hours" in limits:
            self._monthly = limits["monthly_eecu_hours"]

    def check(self) -> None:
        """Raise EarthEngineError if today's limit is used up.

        The status 429 is a guess; the words are those of Earth Engine's page.
        """
        if self._daily is not None and self._days[self._day] >= self._daily:
            raise EarthEngineError(OVER_DAILY_QUOTA, 429)

    @property
    def is_restricted(self) -> bool:
        """Whether the project is in restricted mode, its monthly limit being used up."""
        return self._monthly is not None and self._months[self._month] >= self._monthly * 3600

    def concurrency(self, limit: int | None) -> int | None:
        """Return how many requests may be in flight at once.

        That is the given limit (None for none) or, in restricted mode, a tenth of it and at least
        1. How many Earth Engine allows then is not documented.
        """
        if not self.is_restricted:
            return limit
        return _RESTRICTED_CONCURRENCY if limit is None else max(1, limit // _RESTRICTED_SHARE)

    def spend(self, usage: Usage) -> None:
        """Add the cost of a request to the account."""
        today = self._day
        self._days[today] += usage.eecu_seconds
        self._months[today.year, today.month] += usage.eecu_seconds
        self._tags[usage.tag or ""] += usage.eecu_seconds
        self._peak = max(self._peak, usage.peak_memory)

    def stats(self) -> dict[str, Any]:
        """Return the account as JSON values.

        EECU-seconds are given in all, by workload tag ("" for none), today and this month.
        ``peak_memory`` is in bytes.
        """
        return {
            "eecu_seconds": sum(self._tags.values()),
            "eecu_seconds_by_tag": dict(self._tags),
            "eecu_seconds_today": self._days[self._day],
            "eecu_seconds_this_month": self._months[self._month],
            "peak_memory": self._peak,
            "restricted": self.is_restricted,
        }

    def forget(self) -> None:
        """Reset the totals and the peak, but not the accounts of days and months."""
        self._tags.clear()
        self._peak = 0

    @property
    def _day(self) -> date:
        return self._calendar().date()

    @property
    def _month(self) -> tuple[int, int]:
        today = self._day
        return today.year, today.month

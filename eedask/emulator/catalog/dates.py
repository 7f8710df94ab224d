"""Dates in file names, and dates in Earth Engine's form: milliseconds since 1970 UTC."""

from __future__ import annotations

import datetime as dt
import re

from eedask.emulator.values.value_types import Query

# From the most specific to the least. A pattern must not have digits right before or after it.
_PATTERNS = (
    (re.compile(r"(?<!\d)(\d{4})-(\d{2})-(\d{2})(?!\d)"), "%Y%m%d"),
    (re.compile(r"(?<!\d)(\d{4})_(\d{2})_(\d{2})(?!\d)"), "%Y%m%d"),
    (re.compile(r"(?<!\d)(\d{4})(\d{2})(\d{2})(?!\d)"), "%Y%m%d"),
    (re.compile(r"(?<!\d)(\d{4})[_-](\d{3})(?!\d)"), "%Y%j"),
    (re.compile(r"(?<!\d)(\d{4})(\d{3})(?!\d)"), "%Y%j"),
)
_YEARS = range(1900, 2101)


def date_in_name(name: str) -> dt.datetime | None:
    """Return the first date in a file name, or None.

    It may be written YYYY-MM-DD, YYYY_MM_DD or YYYYMMDD, or with the day of the year as
    YYYY-DDD, YYYY_DDD or YYYYDDD.
    """
    for pattern, form in _PATTERNS:
        for match in pattern.finditer(name):
            try:
                found = dt.datetime.strptime("".join(match.groups()), form)
            except ValueError:
                continue
            # strptime reads day 366 of any year, which may be the first of the next one.
            if found.year in _YEARS and found.year == int(match[1]):
                return found.replace(tzinfo=dt.UTC)
    return None


def millis(moment: dt.datetime | dt.date) -> int:
    """Return a date or time in milliseconds since 1970; a time without a zone counts as UTC."""
    if not isinstance(moment, dt.datetime):
        moment = dt.datetime(moment.year, moment.month, moment.day)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=dt.UTC)
    return round((moment - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)) / dt.timedelta(milliseconds=1))


def within(moment: float, query: Query) -> bool:
    """Whether a moment, in milliseconds since 1970, is in a query's time range."""
    return (query.start is None or moment >= query.start) and (
        query.end is None or moment < query.end
    )


def millis_of(year: int, month: int, day: int) -> int:
    """Return the start of a day (UTC) in milliseconds since 1970."""
    return millis(dt.date(year, month, day))

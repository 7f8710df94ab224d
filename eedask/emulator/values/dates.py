"""Dates: parsing them, converting to and from milliseconds, and the units of the calendar.

Earth Engine's dates follow Joda-Time: https://developers.google.com/earth-engine/apidocs/ee-date.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from eedask.emulator.errors import EarthEngineError

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

MILLIS = {
    "second": 1000.0,
    "minute": 60_000.0,
    "hour": 3_600_000.0,
    "day": 86_400_000.0,
    "week": 604_800_000.0,
    # Average lengths of the Gregorian calendar, 365.2425 days a year.
    "month": 365.2425 / 12 * 86_400_000.0,
    "year": 365.2425 * 86_400_000.0,
}
"""The milliseconds of each unit of time; the average ones of a month and a year."""

_DATE = re.compile(
    r"\s*(?P<year>[+-]?\d{1,9})"
    r"(?:-(?:(?P<ordinal>\d{3})|(?P<month>\d{1,2})(?:-(?P<day>\d{1,2}))?))?"
    r"(?:[T ](?P<hour>\d{1,2})"
    r"(?::?(?P<minute>\d{2})(?::?(?P<second>\d{2})(?P<fraction>[.,]\d+)?)?)?"
    r"\s*+(?P<zone>Z|[+-]\d{2}:?\d{2}|[+-]\d{2})?)?\s*"
)


def unit_name(unit: str) -> str:
    """Return the singular name of a unit of time; raises EarthEngineError if it is unknown."""
    name = unit.lower().removesuffix("s")
    if name not in MILLIS:
        raise EarthEngineError(f"Invalid time unit: '{unit}'.")
    return name


@lru_cache(maxsize=256)
def zone(name: str | None) -> tzinfo:
    """Return the time zone of a name or an offset such as ``+02:00``; UTC by default.

    Raises
    ------
    EarthEngineError
        There is no such time zone.
    """
    if name is None or name in ("UTC", "Z", "Zulu", "GMT"):
        return UTC
    if match := re.fullmatch(r"([+-])(\d{2}):?(\d{2})?", name):
        minutes = int(match[2]) * 60 + int(match[3] or 0)
        return timezone(timedelta(minutes=-minutes if match[1] == "-" else minutes))
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise EarthEngineError(f"The datetime zone id '{name}' is not recognised.") from None


def to_millis(moment: datetime) -> float:
    """Return the milliseconds since 1970-01-01 UTC, exact to the microsecond."""
    difference = moment - EPOCH
    return (difference.days * 86_400 + difference.seconds) * 1000.0 + difference.microseconds / 1000


def to_datetime(millis: float, time_zone: str | None = None) -> datetime:
    """Return a datetime, in a time zone, from milliseconds since 1970-01-01 UTC.

    Raises
    ------
    EarthEngineError
        The year is not from 1 to 9999, or there is no such time zone.
    """
    try:
        return (EPOCH + timedelta(milliseconds=millis)).astimezone(zone(time_zone))
    except (OverflowError, ValueError):
        raise EarthEngineError(f"Date out of range: {millis}.") from None


def parse_date(text: str, time_zone: str | None = None) -> float:
    """Return the milliseconds since 1970-01-01 UTC of an ISO date, with or without a time.

    Parameters
    ----------
    text : str
        Such as ``2017``, ``2017-6-24``, ``2017-175`` (a day of the year) or
        ``2017-06-24T12:30:00Z``. Missing fields are the first of their kind: January, 1, 0 h.
    time_zone : str, optional
        Of a text without an offset from UTC; by default UTC.

    Raises
    ------
    EarthEngineError
        The text is no such date.
    """
    match = _DATE.fullmatch(text)
    if match is None:
        raise EarthEngineError(f"Date: Bad date/time '{text}'.")
    part = match.groupdict()
    where = zone(part["zone"]) if part["zone"] else zone(time_zone)
    numbers = [int(part[k] or 0) for k in ("hour", "minute", "second")]
    micros = round(float("0." + (part["fraction"] or ".0")[1:]) * 1e6)
    try:
        start = datetime(int(part["year"]), int(part["month"] or 1), int(part["day"] or 1))
        moment = start.replace(
            hour=numbers[0], minute=numbers[1], second=numbers[2], microsecond=min(micros, 999_999)
        )
        if part["ordinal"]:
            moment += timedelta(days=int(part["ordinal"]) - 1)
    except ValueError as error:
        raise EarthEngineError(f"Date: Bad date/time '{text}': {error}.") from None
    return to_millis(moment.replace(tzinfo=where))


def floor(moment: datetime, unit: str) -> datetime:
    """Return the start of the year, month, week… that a datetime lies in; weeks start on Monday."""
    if unit == "week":
        moment -= timedelta(days=moment.weekday())
        unit = "day"
    fields = ("year", "month", "day", "hour", "minute", "second")
    keep = fields[: fields.index(unit) + 1]
    first: dict[str, Any] = {
        "month": 1,
        "day": 1,
        "hour": 0,
        "minute": 0,
        "second": 0,
        "microsecond": 0,
    }
    return moment.replace(**{k: v for k, v in first.items() if k not in keep}, fold=0)


def advance(moment: datetime, count: int, unit: str) -> datetime:
    """Return the datetime that is a number of whole units later, or earlier if it is negative.

    Years, months, weeks and days keep the local time of day; hours, minutes and seconds are
    elapsed time. A day beyond the end of a month becomes its last day.
    """
    if unit in ("year", "month"):
        months = moment.year * 12 + moment.month - 1 + count * (12 if unit == "year" else 1)
        year, month = divmod(months, 12)
        return _in_month(moment, year, month + 1)
    if unit in ("day", "week"):
        return moment + timedelta(days=count * (7 if unit == "week" else 1))
    later = moment.astimezone(UTC) + timedelta(milliseconds=count * MILLIS[unit])
    return later.astimezone(moment.tzinfo)


def _in_month(moment: datetime, year: int, month: int) -> datetime:
    for day in range(moment.day, 27, -1):
        try:
            return moment.replace(year=year, month=month, day=day)
        except ValueError:
            continue
    return moment.replace(year=year, month=month)

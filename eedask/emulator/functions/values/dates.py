"""Date.* and DateRange.*."""

from __future__ import annotations

import math
from datetime import timedelta
from typing import Any

from eedask.emulator.errors import EarthEngineError
from eedask.emulator.functions.registry import algorithm
from eedask.emulator.pixels.raster import Image
from eedask.emulator.values import joda
from eedask.emulator.values.comparison import millis
from eedask.emulator.values.dates import (
    MILLIS,
    advance,
    floor,
    parse_date,
    to_datetime,
    to_millis,
    unit_name,
    zone,
)
from eedask.emulator.values.elements import property_of
from eedask.emulator.values.typenames import type_name
from eedask.emulator.values.value_types import Date, DateRange, Feature


def moment(value: Any, time_zone: str | None, where: str) -> float:
    """Return milliseconds since 1970 of a date, a number, an ISO string or an element's start."""
    value = millis(value)
    if isinstance(value, Feature | Image):
        value = property_of(value, "system:time_start")
    if isinstance(value, dict) and value.get("type") == "Date":
        value = value["value"]
    if isinstance(value, str):
        return parse_date(value, time_zone)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    raise EarthEngineError(f"{where}: Cannot make a Date of {type_name(value)}.")


@algorithm("Date")
def date(value: Any, time_zone: str | None) -> Date:
    """Return a date from whatever :func:`moment` takes.

    Null is refused, unlike elsewhere where an Object is declared: the package wxee relies on it.
    """
    if value is None:
        raise EarthEngineError("Date: Parameter 'value' is required and may not be null.")
    return value if isinstance(value, Date) else Date(moment(value, time_zone, "Date"))


@algorithm("Date.advance")
def date_advance(start: Date, delta: float, unit: str, time_zone: str | None) -> Date:
    """Return the date ``delta`` units later.

    Whole units follow the calendar; a fraction is that share of the unit's average length (a
    guess: Earth Engine does not publish how it treats a fraction of a month).
    """
    name = unit_name(unit)
    try:
        whole = math.floor(delta)
        later = advance(to_datetime(start.millis, time_zone), whole, name)
    except (OverflowError, ValueError):
        raise EarthEngineError(f"Date.advance: {delta} {unit} lead out of the calendar.") from None
    return Date(to_millis(later) + (delta - whole) * MILLIS[name])


@algorithm("Date.difference")
def difference(end: Date, start: Date, unit: str) -> float:
    """Return the time between two dates in units of average length."""
    return (end.millis - start.millis) / MILLIS[unit_name(unit)]


@algorithm("Date.format")
def format_date(value: Date, pattern: str | None, time_zone: str | None) -> str:
    """Return a date formatted by a Joda-Time pattern, by default as ``2020-08-18T00:00:00``."""
    pattern = "yyyy-MM-dd'T'HH:mm:ss" if pattern is None else pattern
    return joda.written(to_datetime(value.millis, time_zone), pattern, time_zone)


@algorithm("Date.parse")
def parse(pattern: str, text: str, time_zone: str | None) -> Date:
    """Return the date that a text in the form of a Joda-Time pattern holds."""
    return Date(to_millis(joda.read(text, pattern, zone(time_zone))))


@algorithm("Date.fromYMD")
def from_ymd(year: int, month: int, day: int, time_zone: str | None) -> Date:
    """Return the moment at which a day starts in a time zone, by default UTC."""
    return Date(parse_date(f"{year:04d}-{month:02d}-{day:02d}", time_zone))


@algorithm("Date.get")
def get(value: Date, unit: str, time_zone: str | None) -> int:
    """Return a field of a date: months and days from 1, weeks as ISO counts them."""
    when, name = to_datetime(value.millis, time_zone), unit_name(unit)
    return when.isocalendar().week if name == "week" else int(getattr(when, name))


@algorithm("Date.getFraction")
def get_fraction(value: Date, unit: str, time_zone: str | None) -> float:
    """Return the share of the unit around a date that has passed, from 0 to 1."""
    start, end = _unit_around(value, unit, time_zone)
    return (value.millis - start) / (end - start)


@algorithm("Date.getRange")
def get_range(value: Date, unit: str, time_zone: str | None) -> DateRange:
    """Return the calendar unit, such as the month, that contains a date, as a range."""
    return DateRange(*_unit_around(value, unit, time_zone))


def _unit_around(value: Date, unit: str, time_zone: str | None) -> tuple[float, float]:
    name = unit_name(unit)
    start = floor(to_datetime(value.millis, time_zone), name)
    return to_millis(start), to_millis(advance(start, 1, name))


@algorithm("Date.getRelative")
def get_relative(value: Date, unit: str, in_unit: str, time_zone: str | None) -> int:
    """Return the number, from 0, of the unit that contains a date within the larger ``in_unit``."""
    name, larger = unit_name(unit), unit_name(in_unit)
    when = to_datetime(value.millis, time_zone)
    start = floor(when, larger)
    if name == "month":
        return (when.year - start.year) * 12 + when.month - start.month
    if name == "year":
        return when.year - start.year
    if name in ("day", "week"):
        days = (when.date() - start.date()).days
        return days // 7 if name == "week" else days
    return int((value.millis - to_millis(start)) // MILLIS[name])


@algorithm("Date.millis")
def to_number(value: Date) -> int:
    """Return milliseconds since 1970."""
    return int(value.millis)


@algorithm("Date.unitRatio")
def unit_ratio(numerator: str, denominator: str) -> float:
    """Return the ratio of the average lengths of two units."""
    return MILLIS[unit_name(numerator)] / MILLIS[unit_name(denominator)]


@algorithm("Date.update")
def update(
    value: Date,
    year: int | None,
    month: int | None,
    day: int | None,
    hour: int | None,
    minute: int | None,
    second: float | None,
    time_zone: str | None,
) -> Date:
    """Return a date with some calendar fields replaced.

    A day beyond the end of the new month becomes that month's last day.
    """
    given: dict[str, Any] = {
        "year": year,
        "month": month,
        "day": day,
        "hour": hour,
        "minute": minute,
    }
    fields = {k: v for k, v in given.items() if v is not None}
    if second is not None:
        whole = math.floor(second)
        fields |= {"second": whole, "microsecond": round((second - whole) * 1e6)}
    when = to_datetime(value.millis, time_zone)
    try:
        if day is None and not set(fields).isdisjoint(("year", "month")):
            # The 29th to 31st become the last day of a shorter month.
            first = when.replace(**{**fields, "day": 1})
            last = (advance(first, 1, "month") - timedelta(days=1)).day
            fields["day"] = min(when.day, last)
        return Date(to_millis(when.replace(**fields)))
    except (OverflowError, ValueError) as error:
        raise EarthEngineError(f"Date.update: {error}.") from None


@algorithm("DateRange")
def date_range(start: Any, end: Any, time_zone: str | None) -> DateRange:
    """Return the range from ``start`` up to ``end``; without an end it is one millisecond long."""
    if isinstance(start, DateRange) and end is None:
        return start
    first = moment(start, time_zone, "DateRange")
    return DateRange(first, first + 1 if end is None else moment(end, time_zone, "DateRange"))


@algorithm("DateRange.contains")
def contains(dates: DateRange, other: Any) -> bool:
    """Return whether a range contains a date, or all of another range."""
    if isinstance(other, DateRange):
        return dates.start <= other.start and other.end <= dates.end
    return dates.start <= moment(other, None, "DateRange.contains") < dates.end


@algorithm("DateRange.start")
def range_start(dates: DateRange) -> Date:
    """Return the first moment of the range."""
    return Date(dates.start)


@algorithm("DateRange.end")
def range_end(dates: DateRange) -> Date:
    """Return the first moment after the range."""
    return Date(dates.end)


@algorithm("DateRange.intersection")
def intersection(dates: DateRange, other: DateRange) -> DateRange:
    """Return the intersection of two ranges."""
    start = max(dates.start, other.start)
    return DateRange(start, max(start, min(dates.end, other.end)))


@algorithm("DateRange.intersects")
def intersects(dates: DateRange, other: DateRange) -> bool:
    """Return whether two ranges have a moment in common."""
    return max(dates.start, other.start) < min(dates.end, other.end)


@algorithm("DateRange.union")
def union(dates: DateRange, other: DateRange) -> DateRange:
    """Return the smallest range that contains both."""
    return DateRange(min(dates.start, other.start), max(dates.end, other.end))


@algorithm("DateRange.isEmpty")
def is_empty(dates: DateRange) -> bool:
    """Return whether the range contains no moment."""
    return dates.start >= dates.end


@algorithm("DateRange.isUnbounded")
def is_unbounded(dates: DateRange) -> bool:
    """Return whether the range contains all moments."""
    return math.isinf(dates.start) and math.isinf(dates.end)


@algorithm("DateRange.unbounded")
def unbounded() -> DateRange:
    """Return the range of all moments."""
    return DateRange(-math.inf, math.inf)

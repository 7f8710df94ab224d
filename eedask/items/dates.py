"""Ranges of time as items."""

from __future__ import annotations

import datetime
from numbers import Number
from typing import Any

import numpy as np
import pandas as pd

from eedask.errors import InputError

_MOST_RANGES = 1_000_000


def date_ranges(start: str | datetime.date, end: str | datetime.date, freq: str) -> pd.DataFrame:
    """Cut a span of time into ranges, one after the other. No request.

    Parameters
    ----------
    start, end : str, date or datetime
        The first range begins at ``start``, the last ends at ``end``, which is left out as Earth
        Engine's ``filterDate`` leaves it out. UTC, unless they state a zone.
    freq : str
        How long a range is, in pandas' words: "8D", "MS" (calendar months), "YS" (years), "6h" …
        The first and the last are shorter where ``start`` or ``end`` is no border of such ranges.

    Returns
    -------
    DataFrame
        Columns ``start`` and ``end`` (datetime64[ms, UTC]): each range from its start until just
        before its end, which is the start of the next. The index, named "id", holds the starts as
        ISO 8601: ``"2019-01-01"``, with the time of day if one of them is no midnight.

    Raises
    ------
    InputError
        If a date or ``freq`` cannot be read, ``end`` is not after ``start``, or there would be
        more than a million ranges.

    Examples
    --------
    >>> eedask.items.date_ranges("2019-01-01", "2019-03-15", "MS")
                                   start                       end
    id
    2019-01-01 2019-01-01 00:00:00+00:00 2019-02-01 00:00:00+00:00
    2019-02-01 2019-02-01 00:00:00+00:00 2019-03-01 00:00:00+00:00
    2019-03-01 2019-03-01 00:00:00+00:00 2019-03-15 00:00:00+00:00
    """
    first, last = interval(start, end)
    inner = borders(first, last, freq)
    inner = inner[(inner > first) & (inner < last)]
    edges = pd.DatetimeIndex([first, *inner, last]).as_unit("ms")
    begins = edges[:-1]
    ids = pd.Index(_iso(begins), name="id")
    return pd.DataFrame({"start": begins, "end": edges[1:]}).set_axis(ids, axis=0)


def interval(start: Any, end: Any) -> tuple[pd.Timestamp, pd.Timestamp]:
    """Return the times from which and until which a span reaches, in UTC.

    Raises
    ------
    InputError
        If they are no dates, or the span is empty.
    """
    first, last = _instant("start", start), _instant("end", end)
    if not first < last:
        raise InputError(f"end is after start, and left out; got start={start!r}, end={end!r}")
    return first, last


def _instant(name: str, value: Any) -> pd.Timestamp:
    """Return a date as a time in UTC, to the millisecond, as Earth Engine counts it."""
    try:
        # pandas takes a number for nanoseconds since 1970; people mean a year by it.
        if isinstance(value, Number):
            raise ValueError("a number is no date")
        found = pd.Timestamp(value)
        if pd.isna(found):
            raise ValueError("it is missing")
        found = found.tz_localize("UTC") if found.tz is None else found.tz_convert("UTC")
        return found.as_unit("ms")
    except (ValueError, TypeError) as error:
        raise InputError(
            f"{name} is a date such as '2019-01-01'; got {value!r}: {error}"
        ) from error


def borders(first: pd.Timestamp, last: pd.Timestamp, freq: Any) -> pd.DatetimeIndex:
    """Return where ranges of a frequency begin, from the day of the first time to the last.

    Raises
    ------
    InputError
        If ``freq`` cannot be read, makes more than a million ranges, or divides milliseconds.
    """
    try:
        offset: Any = pd.tseries.frequencies.to_offset(freq)
        if offset is None or not first < first + offset:
            raise ValueError("it does not lead forward in time")
        # As many ranges as there are of the first one's length; months and years are as long.
        count = (last - first) / max(first + offset + offset - (first + offset), _MILLISECOND)
    except (ValueError, TypeError, OverflowError) as error:
        raise InputError(
            f"freq is a length of time in pandas' words, such as '8D', 'MS' or 'YS'; got"
            f" {freq!r}: {error}"
        ) from error
    if count > _MOST_RANGES:
        raise InputError(
            f"freq={freq!r} makes some {count:.3g} ranges from {first} to {last}, more than"
            f" {_MOST_RANGES:,}: state a longer one"
        )
    # Months and years begin at midnight, whatever the time of day they are counted from.
    counted = isinstance(offset, pd.offsets.Tick | pd.offsets.Day)
    found = pd.date_range(first if counted else first.normalize(), last, freq=offset)
    if (found != found.floor("ms")).any():
        raise InputError(f"Earth Engine counts milliseconds; freq={freq!r} divides them")
    return found


_MILLISECOND = pd.Timedelta(milliseconds=1)


def _iso(times: pd.DatetimeIndex) -> list[str]:
    """Return times as ISO 8601: as dates, if all are midnights."""
    days = np.all(times == times.normalize())
    plain = times.tz_localize(None)
    return [str(t.date()) if days else t.isoformat() for t in plain]

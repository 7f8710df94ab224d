"""Formatting and parsing dates by Joda-Time's patterns.

https://www.joda.org/joda-time/apidocs/org/joda/time/format/DateTimeFormat.html
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import date, datetime, timedelta, tzinfo
from functools import lru_cache

from eedask.emulator.errors import EarthEngineError
from eedask.emulator.values.dates import EPOCH
from eedask.emulator.values.patterns import Pattern

_MONTHS = [
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
]
_DAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]

# Long English names of time zones, as Java has them. Any other zone is named by its offset.
_ZONE_NAMES = {
    "UTC": "Coordinated Universal Time",
    "GMT": "Greenwich Mean Time",
    "BST": "British Summer Time",
    "WET": "Western European Time",
    "WEST": "Western European Summer Time",
    "CET": "Central European Time",
    "CEST": "Central European Summer Time",
    "EET": "Eastern European Time",
    "EEST": "Eastern European Summer Time",
    "JST": "Japan Standard Time",
    "AKST": "Alaska Standard Time",
    "AKDT": "Alaska Daylight Time",
    "HST": "Hawaii Standard Time",
} | {
    f"{zone[0]}{kind[0]}T": f"{zone} {kind} Time"
    for zone in ("Eastern", "Central", "Mountain", "Pacific")
    for kind in ("Standard", "Daylight")
}

_YEARS = ("Y", "y", "x")

_NUMBERS: dict[str, Callable[[datetime], int]] = {
    "C": lambda d: d.year // 100,
    "Y": lambda d: d.year,
    "y": lambda d: d.year,
    "x": lambda d: d.isocalendar().year,
    "w": lambda d: d.isocalendar().week,
    "e": lambda d: d.isoweekday(),
    "D": lambda d: d.timetuple().tm_yday,
    "M": lambda d: d.month,
    "d": lambda d: d.day,
    "K": lambda d: d.hour % 12,
    "h": lambda d: d.hour % 12 or 12,
    "H": lambda d: d.hour,
    "k": lambda d: d.hour or 24,
    "m": lambda d: d.minute,
    "s": lambda d: d.second,
}


@lru_cache(maxsize=256)
def _tokens(pattern: str) -> tuple[tuple[str, str], ...]:
    """Return the tokens of a pattern: (letter, run of the letter) or, for literals, ("", text)."""
    tokens: list[tuple[str, str]] = []
    for match in re.finditer(r"''|'((?:[^']|'')*)'|(([A-Za-z])\3*)|([^A-Za-z']+|')", pattern):
        if match[2]:
            tokens.append((match[3], match[2]))
        elif match[0] == "''":
            tokens.append(("", "'"))
        else:
            tokens.append(("", match[1].replace("''", "'") if match[4] is None else match[4]))
    return tuple(tokens)


def written(when: datetime, pattern: str, zone_name: str | None) -> str:
    """Return a datetime formatted by a pattern.

    Parameters
    ----------
    when : datetime
        In the time zone to show.
    pattern : str
    zone_name : str, optional
        The zone's id, which the pattern ``ZZZ`` shows; by default UTC.

    Raises
    ------
    EarthEngineError
        The pattern has a letter without meaning.
    """
    return "".join(_written(when, letter, token, zone_name) for letter, token in _tokens(pattern))


def _written(when: datetime, letter: str, token: str, zone_name: str | None) -> str:
    size = len(token)
    if letter == "":
        return token
    if letter in _YEARS and size == 2:
        return f"{_NUMBERS[letter](when) % 100:02d}"
    if letter == "M" and size >= 3:
        return _MONTHS[when.month - 1][: None if size > 3 else 3]
    if letter in _NUMBERS:
        return f"{_NUMBERS[letter](when):0{size}d}"
    if letter == "S":
        return f"{when.microsecond:06d}".ljust(size, "0")[:size]
    if letter == "E":
        return _DAYS[when.weekday()][: None if size > 3 else 3]
    if letter == "a":
        return "AM" if when.hour < 12 else "PM"
    if letter == "G":
        return "AD"
    if letter in "zZ":
        return _zone(when, letter, size, zone_name)
    raise EarthEngineError(f"Date.format: Illegal pattern component: {token}.")


def _zone(when: datetime, letter: str, size: int, zone_name: str | None) -> str:
    if letter == "Z" and size >= 3:
        return zone_name or "UTC"
    text = when.strftime("%z")
    if letter == "z":
        short = when.tzname() or "UTC"
        if size < 4:
            return short
        return _ZONE_NAMES.get(short, f"{text[:3]}:{text[3:5]}")
    return text[:5] if size == 1 else f"{text[:3]}:{text[3:5]}"


def read(text: str, pattern: str, zone: tzinfo) -> datetime:
    """Return the datetime that a text states, in the form of a pattern.

    Fields that the pattern lacks are the first of their kind, in the year 1970. ``zone`` is the
    time zone of a text without an offset.

    Raises
    ------
    EarthEngineError
        The text does not match the pattern, or a field is out of range.
    """
    found = Pattern("".join(_expressions(pattern)), ignore_case=True).groups(text.strip())
    if found is None:
        raise EarthEngineError(f"Date.parse: Invalid format: '{text}' does not match '{pattern}'.")
    for letter, token in _tokens(pattern):
        if letter in _YEARS and len(token) == 2 and len(found[letter]) == 2:
            found[letter] = str(_near_now(int(found[letter])))
    try:
        return _assembled(found, zone)
    except (ValueError, OverflowError) as error:
        raise EarthEngineError(f"Date.parse: Cannot parse '{text}': {error}.") from None


def _near_now(year: int) -> int:
    """Return the year of two digits that lies from 80 years ago to 19 years ahead, as in Joda."""
    first = datetime.now(EPOCH.tzinfo).year - 80
    return first + (year - first) % 100


def _expressions(pattern: str) -> Iterator[str]:
    tokens = _tokens(pattern)
    for i, (letter, token) in enumerate(tokens):
        if letter == "":
            yield re.escape(token)
        elif letter in "ME" and len(token) >= 3:
            yield f"(?P<{letter}>[A-Za-z]+)"
        elif letter == "a":
            yield "(?P<a>AM|PM)"
        elif letter == "Z":
            yield "(?P<Z>Z|[+-][0-9]{2}:?[0-9]{2})"
        elif letter in _NUMBERS or letter == "S":
            # A field that directly follows would be digits too, so each takes as many as it has
            # letters.
            tight = i + 1 < len(tokens) and tokens[i + 1][0] != ""
            count = f"{{{len(token)}}}" if tight or letter == "S" else "+"
            yield f"(?P<{letter}>[0-9]{count})"
        else:
            raise EarthEngineError(f"Date.parse: Illegal pattern component: {token}.")


def _named(value: str, names: list[str]) -> int:
    for number, name in enumerate(names, 1):
        if name.lower().startswith(value.lower()) and len(value) >= 3:
            return number
    return int(value)


def _assembled(found: dict[str, str], zone: tzinfo) -> datetime:
    year = int(found.get("Y") or found.get("y") or found.get("x") or EPOCH.year)
    hour = int(found.get("H") or int(found.get("k", "0")) % 24)
    if "h" in found or "K" in found:
        hour = int(found.get("h") or found["K"]) % 12
        hour += 12 * (found.get("a", "AM").upper() == "PM")
    when = datetime(
        year,
        _named(found.get("M", "1"), _MONTHS),
        int(found.get("d", 1)),
        hour,
        int(found.get("m", 0)),
        int(found.get("s", 0)),
        int(found.get("S", "0").ljust(6, "0")[:6]),
    )
    if "w" in found:
        week = date.fromisocalendar(year, int(found["w"]), int(found.get("e", 1)))
        when = when.replace(year=week.year, month=week.month, day=week.day)
    if "D" in found:
        when = when.replace(month=1, day=1) + timedelta(days=int(found["D"]) - 1)
    if "Z" in found and found["Z"] not in "Zz":
        text = found["Z"].replace(":", "")
        offset = timedelta(hours=int(text[1:3]), minutes=int(text[3:5]))
        return when.replace(tzinfo=EPOCH.tzinfo) - (offset if text[0] == "+" else -offset)
    return when.replace(tzinfo=EPOCH.tzinfo if "Z" in found else zone)

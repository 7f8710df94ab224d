"""Profiles: each algorithm's share of a request's cost, as ``ee.profilePrinting`` prints it.

A request with the header ``X-Earth-Engine-Computation-Profiling`` is answered with the id of its
profile in ``x-earth-engine-computation-profile``; ``Profile.getProfiles`` returns the profiles of
such ids. The columns are those shown at
https://developers.google.com/earth-engine/guides/debugging; their layout, and the form of the
output format ``json``, are guesses.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from eedask.emulator.limits.budget import OPERATIONS_PER_EECU_SECOND
from eedask.emulator.limits.metering import Meter

Row = Mapping[str, Any]
_UNITS = ("", "k", "M", "G", "T")


def profile_of(meter: Meter) -> list[Row]:
    """Return a request's profile as JSON values, one row for each algorithm."""
    return [
        {
            "description": f"Algorithm {name}" if name else "(overhead)",
            "eecuSeconds": entry.operations / OPERATIONS_PER_EECU_SECOND,
            "peakMemoryBytes": entry.peak,
            "count": entry.count,
        }
        for name, entry in meter.entries.items()
    ]


def merged(profiles: Iterable[Iterable[Row]]) -> list[Row]:
    """Return the sum of several profiles, the most expensive algorithm first."""
    rows: dict[str, dict[str, Any]] = {}
    for row in (row for profile in profiles for row in profile):
        known = rows.setdefault(row["description"], {**row, "eecuSeconds": 0.0, "count": 0})
        known["eecuSeconds"] += row["eecuSeconds"]
        known["count"] += row["count"]
        known["peakMemoryBytes"] = max(known["peakMemoryBytes"], row["peakMemoryBytes"])
    return sorted(rows.values(), key=lambda row: (-row["eecuSeconds"], row["description"]))


def fitted(rows: list[Row], most: int) -> list[Row]:
    """Return at most ``most`` rows; if some do not fit, the last row is their sum, ``(...)``."""
    if len(rows) <= most:
        return rows
    kept = max(0, most - 1)
    rest = merged([[{**row, "description": "(...)"} for row in rows[kept:]]])
    return [*rows[:kept], *rest]


def as_text(rows: Iterable[Row]) -> str:
    """Return a profile as a table in plain text."""
    lines = [" EECU·s  PeakMem  Count  Description"]
    for row in rows:
        memory = _amount(row["peakMemoryBytes"])
        cost, count = row["eecuSeconds"], row["count"] or ""
        lines.append(f"{cost:7.3f}  {memory:>7}  {count:>5}  {row['description']}")
    return "\n".join(lines) + "\n"


def _amount(size: float) -> str:
    unit = 0
    while size >= 1000 and unit < len(_UNITS) - 1:
        size, unit = size / 1000, unit + 1
    return f"{size:.0f}{_UNITS[unit]}"

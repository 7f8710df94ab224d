"""Draws histograms, bars and lines of time series as SVG."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from eedask.dataset.rows import WHEN
from eedask.results.reporting import svg
from eedask.results.reporting.markup import number, plural

_WIDTH, _HEIGHT = 320.0, 130.0
# Room for labels: left, top, right, bottom.
_LEFT, _TOP, _RIGHT, _BOTTOM = 44.0, 8.0, 12.0, 22.0
_BINS = 24
_MOST_BARS = 6
_MOST_TIMES = 160


def histogram(values: pd.Series[Any], name: str) -> str:
    """Return a histogram of numbers or times, none of them null, as SVG."""
    is_time = pd.api.types.is_datetime64_any_dtype(values)
    plain = _numbers(values)
    low, high = _axis(plain)
    counts, edges = np.histogram(plain, _BINS, (low, high))
    most = int(counts.max())
    across = (_WIDTH - _LEFT - _RIGHT) / _BINS
    floor = _HEIGHT - _BOTTOM
    bars = []
    for k, count in enumerate(counts.tolist()):
        if not count:
            continue
        # A bar is at least so high that it is seen.
        tall = max(1.5, (floor - _TOP) * count / most)
        told = f"{_at(edges[k], is_time)} to {_at(edges[k + 1], is_time)}: {count:,}"
        bars.append(
            f'<rect x="{_LEFT + k * across + 0.5:.1f}" y="{floor - tall:.1f}"'
            f' width="{across - 1:.1f}" height="{tall:.1f}" fill="{svg.colour("mark")}">'
            f"<title>{told}</title></rect>"
        )
    ends = [(_LEFT, low, "start"), (_WIDTH - _RIGHT, high, "end")]
    labels = [svg.label(x, _HEIGHT - 6, _at(value, is_time), side) for x, value, side in ends]
    rules = _rule(floor, "0") + _rule(_TOP, f"{most:,}")
    return svg.drawing(_WIDTH, _HEIGHT, f"histogram of {name}", rules, *bars, *labels)


def frequent(values: pd.Series[Any], name: str) -> str:
    """Return bars of the most frequent texts of a column, none of them null, as SVG."""
    counts = values.value_counts()
    shown = counts.iloc[:_MOST_BARS]
    rest = int(counts.iloc[_MOST_BARS:].sum())
    rows = [(str(value), int(count)) for value, count in shown.items()]
    if rest:
        rows.append((plural(len(counts) - len(shown), "other value"), rest))
    most = max(count for _, count in rows)
    parts = []
    for k, (value, count) in enumerate(rows):
        y = 4 + 18 * k
        long = max(1.5, 130 * count / most)
        short = value if len(value) <= 20 else f"{value[:19]}…"
        parts.append(
            svg.label(136, y + 11, short, "end")
            + f'<rect x="142" y="{y}" width="{long:.1f}" height="13" fill="{svg.colour("mark")}"/>'
            + svg.label(148 + long, y + 11, f"{count:,}", "start")
        )
    return svg.drawing(_WIDTH, 8 + 18 * len(rows), f"most frequent values of {name}", *parts)


def series_lines(values: pd.DataFrame, column: str) -> str:
    """Draw a column of a time series against time: the median of the items, and their spread.

    Parameters
    ----------
    values : DataFrame
        With the column ``time``; rows without a time or a value are left out.
    column : str
        Of numbers.

    Returns
    -------
    str
        SVG: a line for the median, and an area from the 10th to the 90th percentile of the items.
        If there are more than 160 different times, they are grouped into 160 spans of time.
    """
    lines = _shares_by_time(values[[WHEN, column]].dropna(), column)
    x = _scaled(lines.index.to_numpy(float), _LEFT, _WIDTH - _RIGHT)
    low, high = _axis(lines.to_numpy())
    floor = _HEIGHT - _BOTTOM
    y = floor - (lines.to_numpy() - low) / (high - low) * (floor - _TOP)
    band = np.concatenate([np.column_stack([x, y[:, 0]]), np.column_stack([x, y[:, 2]])[::-1]])
    first, last = lines.index[0], lines.index[-1]
    parts = [
        _rule(floor, number(low)),
        _rule(_TOP, number(high)),
        svg.area(band, svg.colour("mark"), 0.2),
        svg.line(np.column_stack([x, y[:, 1]]), svg.colour("mark"), 1.6),
        svg.label(_LEFT, _HEIGHT - 6, _at(first, True), "start"),
        svg.label(_WIDTH - _RIGHT, _HEIGHT - 6, _at(last, True), "end"),
    ]
    return svg.drawing(_WIDTH, _HEIGHT, f"{column} over time", *parts)


def _shares_by_time(known: pd.DataFrame, column: str) -> pd.DataFrame:
    """Return the 10th, 50th and 90th percentile of a column, indexed by time in seconds."""
    when = _numbers(known[WHEN])
    if len(np.unique(when)) > _MOST_TIMES:
        low, high = when.min(), when.max()
        span = (high - low) / _MOST_TIMES
        when = low + (np.floor((when - low) / span).clip(max=_MOST_TIMES - 1) + 0.5) * span
    by_time = pd.Series(_numbers(known[column])).groupby(when)
    return by_time.quantile(np.array([0.1, 0.5, 0.9])).unstack()


def _axis(values: NDArray[np.float64]) -> tuple[float, float]:
    """Return the ends of an axis. They differ even if all values are equal, or nearly so."""
    low, high = float(values.min()), float(values.max())
    largest = max(abs(low), abs(high))
    if high - low <= max(1e-12 * largest, 1e-290):
        room = max(0.5, 1e-3 * largest)
        return low - room, high + room
    return low, high


def _numbers(values: pd.Series[Any]) -> NDArray[np.float64]:
    """Return values as floats; times in seconds since 1970."""
    if pd.api.types.is_datetime64_any_dtype(values):
        return values.astype("datetime64[ns, UTC]").astype("int64").to_numpy() / 1e9
    return values.to_numpy(dtype=float)


def _scaled(values: NDArray[np.float64], low: float, high: float) -> NDArray[np.float64]:
    least, span = values.min(), np.ptp(values)
    if span == 0:
        return np.full(len(values), (low + high) / 2)
    places: NDArray[np.float64] = low + (values - least) / span * (high - low)
    return places


def _at(value: float, is_time: bool) -> str:
    return f"{pd.Timestamp(value, unit='s'):%Y-%m-%d}" if is_time else number(value)


def _rule(y: float, words: str) -> str:
    ends = np.array([[_LEFT, y], [_WIDTH - _RIGHT, y]])
    return svg.line(ends, svg.colour("rule")) + svg.label(_LEFT - 5, y + 4, words, "end")

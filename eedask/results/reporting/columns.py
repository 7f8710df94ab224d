"""The section of the report about a table's columns: numbers and a figure for each."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from eedask.dataset.rows import WHEN
from eedask.results.reporting.figures import frequent, histogram, series_lines
from eedask.results.reporting.markup import card, cards, number, plural, section

_MOST = 36
# The most different values of which bars are drawn: with more, each bar would be tiny.
_MOST_VALUES = 30


def columns(values: pd.DataFrame, is_series: bool) -> str:
    """Return the columns of a table as HTML.

    Parameters
    ----------
    values : DataFrame
        See :func:`eedask.results.values.all_values`.
    is_series : bool
        Whether it is the table of a time series, whose numbers are also drawn against time.
    """
    names = list(values.columns)
    more = len(names) - _MOST
    remark = f"… and {plural(more, 'more column')} in the table" if more > 0 else ""
    lines = [_over_time(values, name) for name in names[:_MOST]] if is_series else []
    boxes = [_column(values[name], str(name)) for name in names[:_MOST]]
    rows = f'<p class="note">{plural(len(values), "row")}</p>'
    over_time = section("Over time", cards([box for box in lines if box]))
    return over_time + section("Values", rows, cards(boxes, remark))


def _over_time(values: pd.DataFrame, name: Any) -> str:
    if not _is_number(values[name]):
        return ""
    # By position: a series has many rows of an item.
    finite = np.isfinite(values[name].to_numpy(float, na_value=np.nan))
    known = values.loc[finite, [WHEN, name]].dropna()
    remark = "median of the items, and where 8 of 10 lie"
    return "" if known.empty else card(str(name), remark, series_lines(known, name))


def _column(column: pd.Series[Any], name: str) -> str:
    known = _finite(column.dropna())
    nulls = int(column.isna().sum())
    told = [str(column.dtype), plural(nulls, "null") if nulls else "no nulls"]
    if known.empty:
        return card(name, ", ".join(told), "")
    if _is_number(column):
        least, mean, most = map(float, (known.min(), known.mean(), known.max()))
        told.append(f"{number(least)} to {number(most)}, mean {number(mean)}")
    if _is_number(column) or pd.api.types.is_datetime64_any_dtype(column):
        return card(name, "; ".join(told), histogram(known, name))
    texts = known.astype(str)
    if (different := texts.nunique()) > _MOST_VALUES:
        told.append(f"{different:,} different values, such as {texts.iloc[0]}")
        return card(name, "; ".join(told), "")
    return card(name, "; ".join(told), frequent(texts, name))


def _is_number(column: pd.Series[Any]) -> bool:
    return pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column)


def _finite(known: pd.Series[Any]) -> pd.Series[Any]:
    return known[np.isfinite(known.to_numpy(float))] if _is_number(known) else known

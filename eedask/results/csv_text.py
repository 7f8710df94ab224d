"""Writes a table as CSV; on request, texts that a spreadsheet would run as formulas are escaped."""

from __future__ import annotations

import csv
from typing import Any

import pandas as pd

# Beginnings of cells that a spreadsheet takes for formulas, some of them after it has dropped white
# space, as listed by OWASP's page on CSV injection.
_BEGINNINGS = ("=", "+", "-", "@", "\t", "\r", "\n")


def csv_of(rows: pd.DataFrame, *, escape_formulas: bool) -> bytes:
    """Return a table as CSV in UTF-8, without its index.

    Parameters
    ----------
    rows : DataFrame
    escape_formulas : bool
        Whether texts that begin with ``=``, ``+``, ``-``, ``@``, a tab or a line break, names of
        columns included, get an apostrophe in front. Numbers, dates and nulls never do.
    """
    if escape_formulas:
        rows = rows.apply(_without_formulas).rename(columns=_escaped)
    text = rows.to_csv(index=False)
    if "\r" in text:
        # Before Python 3.13, the writer does not quote a carriage return, which readers take for
        # the end of a line.
        text = rows.to_csv(index=False, quoting=csv.QUOTE_NONNUMERIC)
    return text.encode()


def _without_formulas(column: pd.Series[Any]) -> pd.Series[Any]:
    if not pd.api.types.is_string_dtype(column.dtype):
        return column
    return column.map(_escaped, na_action="ignore")


def _escaped(cell: Any) -> Any:
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(_BEGINNINGS) else cell

"""A table as CSV, with or without an escape for what spreadsheets would run as formulas."""

from __future__ import annotations

import csv
from typing import Any

import pandas as pd

# What OWASP's page on CSV injection lists: a cell that begins so is a formula to a spreadsheet, or
# becomes one once the white space is dropped.
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
        # Python's writer, before 3.13, takes a carriage return for no end of a line; readers do.
        text = rows.to_csv(index=False, quoting=csv.QUOTE_NONNUMERIC)
    return text.encode()


def _without_formulas(column: pd.Series[Any]) -> pd.Series[Any]:
    if not pd.api.types.is_string_dtype(column.dtype):
        return column
    return column.map(_escaped, na_action="ignore")


def _escaped(cell: Any) -> Any:
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(_BEGINNINGS) else cell

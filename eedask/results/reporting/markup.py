"""Makes HTML of values. All text that comes from outside is escaped here."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from typing import Any

from eedask.errors import printable


def text(value: Any) -> str:
    """Return a value as escaped HTML text, which is safe in attributes too."""
    return escape(printable(str(value)))


def number(value: float) -> str:
    """Return a number with four significant digits, or with all digits before the decimal point."""
    if abs(value) < 1e15 and (float(value).is_integer() or abs(value) >= 1000):
        return f"{round(value):,}"
    return f"{value:.4g}"


def size(nbytes: float) -> str:
    """Return a number of bytes in kB, MB or GB."""
    for unit, bytes_of in (("GB", 1e9), ("MB", 1e6)):
        if nbytes >= bytes_of / 10:
            return f"{nbytes / bytes_of:.1f} {unit}"
    return f"{nbytes / 1e3:.1f} kB"


def seconds(value: float) -> str:
    """Return a duration in seconds with two decimals."""
    return f"{value:.2f} s"


def plural(count: int, noun: str) -> str:
    """Return a count with its noun, in the plural unless it is 1."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def table(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Return a table with numbers aligned to the right; it scrolls if it is wider than the page."""
    rows = [*rows]
    # The heads of numbers stand above them.
    kinds = map(_kind, rows[0]) if rows else [""] * len(header)
    named = zip(header, kinds, strict=True)
    head = "".join(f"<th{kind}>{text(name)}</th>" for name, kind in named)
    body = "".join(f"<tr>{''.join(map(_cell, row))}</tr>" for row in rows)
    return (
        '<div class="wide"><table>'
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _cell(value: Any) -> str:
    kind = _kind(value)
    return f"<td{kind}>{text(f'{value:,}' if kind else value)}</td>"


def _kind(value: Any) -> str:
    return ' class="n"' if isinstance(value, int | float) else ""


def section(title: str, *parts: str) -> str:
    """Return a section with a heading; nothing if its parts are empty."""
    body = "".join(parts)
    return f"<section><h2>{text(title)}</h2>{body}</section>" if body else ""


def cards(found: Sequence[str], more: str = "") -> str:
    """Return boxes beside each other, as many as fit into a row, with a remark below."""
    note = f'<p class="note">{text(more)}</p>' if more else ""
    return f'<div class="cards">{"".join(found)}</div>{note}' if found else ""


def card(title: str, remark: str, picture: str) -> str:
    """Return a box with a title, a remark and a picture, which is HTML."""
    return (
        f'<figure class="card"><figcaption><b>{text(title)}</b> <span>{text(remark)}</span>'
        f"</figcaption>{picture}</figure>"
    )

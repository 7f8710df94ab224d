"""The report: an HTML page about the results of a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import geopandas as gpd
import pandas as pd

from eedask.dataset.plan_file import DIGEST
from eedask.dataset.rows import FAILED, OK

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #23272f; margin: 2rem auto; max-width: 90rem;
       padding: 0 1.5rem; }
h1 { font-size: 1.5rem; margin-bottom: .2rem; } h2 { font-size: 1.1rem; margin-top: 2rem; }
pre { background: #f5f6f8; padding: .8rem 1rem; border-radius: 6px; white-space: pre-wrap; }
table { border-collapse: collapse; } th, td { padding: .25rem .9rem .25rem 0; text-align: left;
       border-bottom: 1px solid #e6e8ec; vertical-align: top; } td.n { text-align: right; }
.bar { display: flex; height: 12px; border-radius: 6px; overflow: hidden; background: #d9dde3; }
.ok { background: #2f855a; } .failed { background: #c53030; } img { max-width: 100%; }
"""
_MOST_FAILURES = 100


def report_html(
    plan: Mapping[str, Any],
    manifest: gpd.GeoDataFrame,
    summary: str,
    sheet: str | None,
    values: pd.DataFrame | None,
) -> str:
    """Return the report as one HTML page.

    Parameters
    ----------
    plan : mapping
        The content of ``plan.json``.
    manifest : GeoDataFrame
        One row an item, see :attr:`eedask.Result.manifest`.
    summary : str
        A few lines of text, see :meth:`eedask.Result.summary`.
    sheet : str, optional
        File name of the contact sheet, relative to the page; None if there are no chips.
    values : DataFrame, optional
        The table's values, one column each; None if the dataset has no table.
    """
    asked = plan["asked"]
    title = f"{asked['verb']}: {len(manifest)} items"
    parts = [
        f"<h1>{escape(title)}</h1><p>planned {escape(plan['created'])}</p>",
        _bar(manifest),
        f"<pre>{escape(summary)}</pre>",
        _folders(manifest, asked.get("folder_by", ())),
        f'<h2>Chips</h2><img src="{sheet}" alt="a sample of the chips">' if sheet else "",
        "" if values is None else _values(values),
        _failures(manifest),
        "<h2>What was asked</h2>" + _table(["parameter", "value"], _asked_rows(asked)),
    ]
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{escape(title)}</title>'
        f"<style>{_STYLE}</style><body>{''.join(parts)}</body></html>"
    )


def _bar(manifest: gpd.GeoDataFrame) -> str:
    shares = manifest["status"].value_counts() / len(manifest) * 100
    pieces = (
        f'<div class="{s}" style="width:{shares.get(s, 0):.2f}%"></div>' for s in (OK, FAILED)
    )
    return f'<div class="bar">{"".join(pieces)}</div>'


def _folders(manifest: gpd.GeoDataFrame, columns: Sequence[str]) -> str:
    if not columns:
        return ""
    groups = manifest.groupby([*columns], dropna=False)
    rows = [
        [
            *name,
            len(group),
            int((group["status"] == FAILED).sum()),
            f"{group['nbytes'].sum() / 1e6:.1f}",
        ]
        for name, group in groups
    ]
    head = [*columns, "items", "failed", "MB"]
    return f"<h2>By {escape(', '.join(columns))}</h2>" + _table(head, rows)


def _values(values: pd.DataFrame) -> str:
    rows = [
        [name, str(column.dtype), int(column.notna().sum()), *_range(column)]
        for name, column in values.items()
    ]
    head = ["column", "kind", "not null", "least", "mean", "most"]
    return f"<h2>Values</h2><p>{len(values)} rows</p>" + _table(head, rows)


def _range(column: pd.Series[Any]) -> list[str]:
    known = column.dropna()
    if known.empty or not pd.api.types.is_numeric_dtype(column):
        return ["", "", ""]
    return [f"{float(value):g}" for value in (known.min(), known.mean(), known.max())]


def _failures(manifest: gpd.GeoDataFrame) -> str:
    failed = manifest[manifest["status"] == FAILED]
    if failed.empty:
        return ""
    rows = [
        [item_id, row.error_kind, row.attempts, row.error]
        for item_id, row in failed.head(_MOST_FAILURES).iterrows()
    ]
    more = len(failed) - len(rows)
    note = f"<p>… and {more} more in the manifest</p>" if more else ""
    return "<h2>Failures</h2>" + _table(["id", "kind", "attempts", "error"], rows) + note


def _asked_rows(asked: Mapping[str, Any]) -> list[list[Any]]:
    return [[name, _told(value)] for name, value in asked.items() if value not in (None, [])]


def _told(value: Any) -> Any:
    # A hash serves to see that two reports are of the same items or image. Its beginning will do.
    is_digest = isinstance(value, str) and DIGEST.fullmatch(value)
    return f"SHA-256 {value[:12]}…" if is_digest else value


def _table(header: list[str], rows: list[list[Any]]) -> str:
    head = "".join(f"<th>{escape(str(name))}</th>" for name in header)
    body = "".join(f"<tr>{''.join(map(_cell, row))}</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _cell(value: Any) -> str:
    kind = ' class="n"' if isinstance(value, int | float) else ""
    return f"<td{kind}>{escape(str(value))}</td>"

"""The HTML by which notebooks show plans and results: a few lines in the notebook's colours."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import geopandas as gpd

from eedask.dataset.rows import FAILED, OK
from eedask.results.reporting.markup import plural, size, text
from eedask.results.reporting.page import bar, told


def result_html(url: str, manifest: gpd.GeoDataFrame, pace: str) -> str:
    """Return a result as HTML: a bar, counts, speed, and failures by kind with an example each.

    Parameters
    ----------
    url : str
        The dataset's folder.
    manifest : GeoDataFrame
    pace : str
        How long the last run took and how fast it was, in words.
    """
    counts = manifest["status"].value_counts()
    done, failed = int(counts.get(OK, 0)), int(counts.get(FAILED, 0))
    counted = [f"{done:,} ok", f"{failed:,} failed"]
    if (left := len(manifest) - done - failed) > 0:
        counted.append(f"{left:,} not done")
    counted.append(size(manifest["nbytes"].sum()))
    by_kind = manifest[manifest["status"] == FAILED].groupby("error_kind")["error"]
    causes = "".join(
        f"<li><b>{text(kind)}</b> ({len(errors):,}): {text(errors.iloc[0])}</li>"
        for kind, errors in by_kind
    )
    return (
        '<div style="max-width:44em">'
        f"<b>eedask result: {plural(len(manifest), 'item')}</b> in <code>{text(url)}</code>"
        f"{bar(manifest['status'])}<div>{', '.join(counted)}</div><div>{text(pace)}</div>"
        f"{f'<ul>{causes}</ul>' if causes else ''}</div>"
    )


def plan_html(title: str, described: Iterable[tuple[str, Any]], notes: Iterable[str]) -> str:
    """Return a plan as HTML: its arguments, and notes about it.

    Parameters
    ----------
    title : str
    described : iterable of (str, value)
        The plan's arguments by name.
    notes : iterable of str
    """
    left = "text-align:left"
    rows = "".join(
        f'<tr><th style="{left}">{text(name)}</th><td style="{left}">{text(told(value))}</td></tr>'
        for name, value in described
    )
    remarks = "".join(f"<p><em>{text(note)}</em></p>" for note in notes)
    return f"<b>eedask plan: {text(title)}</b><table>{rows}</table>{remarks}"

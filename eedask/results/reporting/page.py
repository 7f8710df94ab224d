"""Writes the report: one HTML page about the results of a run, which needs no other file."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import geopandas as gpd
import pandas as pd

from eedask.dataset.plan_file import DIGEST
from eedask.dataset.rows import FAILED, OK
from eedask.results.reporting import svg
from eedask.results.reporting.columns import columns
from eedask.results.reporting.failures import failures
from eedask.results.reporting.figures import histogram
from eedask.results.reporting.item_map import item_map, locator, places_of, state_dots
from eedask.results.reporting.markup import (
    card,
    cards,
    number,
    plural,
    seconds,
    section,
    size,
    table,
    text,
)
from eedask.results.runs import RunFigures

_STYLE = Path(__file__).with_name("page.css")
# The browser is told to run no scripts and to load nothing: the page is complete.
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
# More dots than these would be drawn on top of each other, and make the page slow.
_MOST_DOTS = 5000
_MOST_RUNS = 20
_PACKAGES = ("eedask", "earthengine-api", "dask", "distributed", "geopandas")


@dataclass(frozen=True)
class Content:
    """The content of a report.

    Attributes
    ----------
    plan : mapping
        The content of ``plan.json``.
    url : str
        The dataset's folder.
    manifest : GeoDataFrame
        One row an item, see :attr:`eedask.Result.manifest`.
    chips : str
        The HTML of the chips' pictures; empty if there are none.
    values : DataFrame, optional
        The table's values; None if the dataset has no table.
    is_series : bool
        Whether the table is that of a time series.
    runs : sequence of RunFigures
    """

    plan: Mapping[str, Any]
    url: str
    manifest: gpd.GeoDataFrame
    chips: str
    values: pd.DataFrame | None
    is_series: bool
    runs: Sequence[RunFigures]


def report_html(content: Content) -> str:
    """Return the report as one HTML page, with all pictures within it."""
    asked, manifest = content.plan["asked"], content.manifest
    title = f"{asked['verb']}: {plural(len(manifest), 'item')}"
    parts = [
        f"<h1>{text(title)}</h1>",
        f'<p class="note">{text(content.url)}<br>planned {text(content.plan["created"])}</p>',
        bar(manifest["status"]),
        _tiles(manifest, content.runs),
        section("Where", _maps(manifest)),
        _folders(manifest, asked.get("folder_by") or ()),
        section("Chips", content.chips),
        "" if content.values is None else columns(content.values, content.is_series),
        section("Time", _latency(manifest)),
        _runs(content.runs),
        failures(manifest[manifest["status"] == FAILED]),
        section("What was asked", table(["parameter", "value"], asked_rows(asked))),
        section("Versions", table(["on the machine that wrote this page", ""], _versions())),
    ]
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{text(title)}</title><style>{_STYLE.read_text(encoding='utf-8')}</style></head>"
        f"<body>{''.join(parts)}</body></html>"
    )


def bar(status: pd.Series[Any]) -> str:
    """Return a bar that shows how many items are done and failed, as HTML with its own colours."""
    shares = status.value_counts() / max(len(status), 1) * 100
    pieces = (
        f'<div style="width:{shares.get(s, 0):.2f}%;background:{svg.colour(s)}"></div>'
        for s in (OK, FAILED)
    )
    frame = "display:flex;height:12px;border-radius:6px;overflow:hidden;margin:.4em 0"
    return f'<div style="{frame};background:{svg.colour("rule")}">{"".join(pieces)}</div>'


def _tiles(manifest: gpd.GeoDataFrame, runs: Sequence[RunFigures]) -> str:
    counts = manifest["status"].value_counts()
    done, failed = int(counts.get(OK, 0)), int(counts.get(FAILED, 0))
    figures = [(f"{done:,}", "ok"), (f"{failed:,}", "failed")]
    if (left := len(manifest) - done - failed) > 0:
        figures.append((f"{left:,}", "not done"))
    figures.append((size(manifest["nbytes"].sum()), "received"))
    if done:
        figures.append((seconds(manifest["elapsed_s"].median()), "an item (median)"))
    if runs:
        figures.append((f"{sum(run.requests for run in runs):,}", "requests"))
    boxes = "".join(
        f"<div><b>{text(figure)}</b><span>{name}</span></div>" for figure, name in figures
    )
    return f'<div class="tiles">{boxes}</div>'


def _maps(manifest: gpd.GeoDataFrame) -> str:
    shown = manifest
    if len(manifest) > _MOST_DOTS:
        # Failed items come first, so that all of them are shown as far as there is room.
        order = (manifest["status"] != FAILED).sample(frac=1, random_state=0).sort_values()
        shown = manifest.loc[order.index[:_MOST_DOTS]]
    drawn = item_map(state_dots(shown), "map of the items by state")
    if not drawn:
        return ""
    note = f"{len(shown):,} of {len(manifest):,} items. " if len(shown) < len(manifest) else ""
    found = f'<div class="maps"><div>{drawn}</div><div>{locator(places_of(shown))}</div></div>'
    return f'{found}<p class="note">{note}Coast line: Natural Earth, simplified.</p>'


def _folders(manifest: gpd.GeoDataFrame, columns: Sequence[str]) -> str:
    if not columns:
        return ""
    rows = [
        [
            *("no value" if pd.isna(name) else name for name in names),
            len(group),
            int((group["status"] == FAILED).sum()),
            round(float(group["nbytes"].sum()) / 1e6, 1),
        ]
        for names, group in manifest.groupby([*columns], dropna=False)
    ]
    head = [*columns, "items", "failed", "MB"]
    return section(f"By {', '.join(columns)}", table(head, rows))


def _latency(manifest: gpd.GeoDataFrame) -> str:
    taken = manifest.loc[manifest["status"] == OK, "elapsed_s"].dropna()
    if taken.empty:
        return ""
    middle, late, last = (seconds(taken.quantile(share)) for share in (0.5, 0.95, 1.0))
    remark = f"median {middle}, 95 of 100 within {late}, slowest {last}"
    boxes = [card("Seconds an item", remark, histogram(taken, "seconds an item"))]
    tries = manifest["attempts"].dropna()
    if (tries > 1).any():
        again = f"{plural(int((tries > 1).sum()), 'item')} tried more than once"
        boxes.append(
            card(
                "Requests an item",
                f"{again}, at most {number(tries.max())} times",
                histogram(tries, "requests an item"),
            )
        )
    return cards(boxes)


def _runs(runs: Sequence[RunFigures]) -> str:
    if not runs:
        return ""
    head = ["began, UTC", "took", "items", "failed", "requests", "a second", "retries"]
    head += ["throttled", "latency", "EECU-seconds", "of the ideal"]
    rows = [
        [
            f"{run.started:%Y-%m-%d %H:%M:%S}",
            seconds(run.wall_s),
            run.items,
            run.failed,
            run.requests,
            round(run.requests_per_s, 1),
            run.retries,
            run.throttled,
            "" if run.latency_s is None else seconds(run.latency_s),
            "not told" if run.eecu_s is None else round(run.eecu_s, 1),
            "" if run.share_of_ideal is None else f"{run.share_of_ideal:.0%}",
        ]
        for run in runs[-_MOST_RUNS:]
    ]
    some = f"The last {len(rows)} of {len(runs):,} runs. " if len(rows) < len(runs) else ""
    note = (
        f"{some}The ideal is a run without retries that uses the plan's limits in full. Latency is"
        " the mean of requests that succeeded."
    )
    shown = f'<div class="runs">{table(head, rows)}</div>'
    return section("Runs", shown, f'<p class="note">{note}</p>')


def asked_rows(asked: Mapping[str, Any]) -> list[list[str]]:
    """Return the arguments that were given, by name, with hashes cut short."""
    return [[name, told(value)] for name, value in asked.items() if value not in (None, [], ())]


def told(value: Any) -> str:
    """Return the value of an argument as text. A hash is cut short.

    A reader compares hashes to see whether two reports are about the same items or image; the first
    characters are enough for that.
    """
    is_digest = isinstance(value, str) and DIGEST.fullmatch(value)
    return f"SHA-256 {value[:12]}…" if is_digest else str(value)


def _versions() -> list[list[str]]:
    return [["Python", platform.python_version()]] + [
        [name, metadata.version(name)] for name in _PACKAGES
    ]

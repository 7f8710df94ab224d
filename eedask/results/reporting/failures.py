"""The section of the report about failures: each kind with an example and with what to do."""

from __future__ import annotations

import geopandas as gpd

from eedask.results.reporting.markup import plural, section, table, text

_MOST = 100
# What a user can do about each kind of error, by ``error_kind``.
_HELP = {
    "quota": "Earth Engine had no room for the request, however often it was tried: try again.",
    "transient": "A fault that passes: try again.",
    "too_large": "The request is too much for Earth Engine even for this item alone: ask for less,"
    " such as a larger scale, smaller chips or regions, fewer bands or a shorter span.",
    "permanent": "Earth Engine refuses this very request and would again: mend the item or the"
    " expression.",
    "no_image": "The collection has no image for the item: see its dates and its place.",
    "outside": "The item's image does not reach its region: leave the item out.",
    "input": "The item, or what the function makes of it, cannot be used: mend it.",
}
_AGAIN = """result = plan.run(retry_failed=True)   # the same plan; only failed items are sent
result.failed[["error_kind", "error"]]   # what is left"""


def failures(failed: gpd.GeoDataFrame) -> str:
    """Return the section about failures as HTML; empty if nothing failed.

    Parameters
    ----------
    failed : GeoDataFrame
        The failed rows of the manifest.
    """
    if failed.empty:
        return ""
    counts = failed["error_kind"].value_counts()
    kinds = [_kind(kind, failed[failed["error_kind"] == kind]) for kind in counts.index]
    rows = [[str(i), r.error_kind, r.attempts, r.error] for i, r in failed.head(_MOST).iterrows()]
    more = len(failed) - len(rows)
    note = f'<p class="note">… and {more:,} more in the manifest</p>' if more else ""
    return section(
        "Failures",
        *kinds,
        f"<p>Try them again:</p><pre>{text_block(_AGAIN)}</pre>",
        f"<details><summary>{plural(len(rows), 'failed item')}</summary>",
        table(["id", "kind", "attempts", "error"], rows),
        f"{note}</details>",
    )


def _kind(kind: str, rows: gpd.GeoDataFrame) -> str:
    return (
        f'<div class="kind"><h3>{text(kind)} <span>{plural(len(rows), "item")}</span></h3>'
        f"<q>{text(rows.index[0])}: {text(rows['error'].iloc[0])}</q>"
        f"<p>{text(_HELP.get(kind, 'See the message.'))}</p></div>"
    )


def text_block(code: str) -> str:
    """Return lines of code as HTML text."""
    return "\n".join(map(text, code.splitlines()))

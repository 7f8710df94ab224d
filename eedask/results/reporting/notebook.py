"""What a result looks like in a notebook: a few lines of HTML that take the notebook's colours."""

from __future__ import annotations

import geopandas as gpd

from eedask.dataset.rows import FAILED, OK
from eedask.results.reporting.markup import plural, size, text
from eedask.results.reporting.page import bar


def result_html(url: str, manifest: gpd.GeoDataFrame) -> str:
    """Return a bar, counts, and failures by kind with an example each.

    Parameters
    ----------
    url : str
        Of the dataset's folder.
    manifest : GeoDataFrame
    """
    counts = manifest["status"].value_counts()
    done, failed = int(counts.get(OK, 0)), int(counts.get(FAILED, 0))
    told = [f"{done:,} ok", f"{failed:,} failed"]
    if (left := len(manifest) - done - failed) > 0:
        told.append(f"{left:,} not done")
    told.append(size(manifest["nbytes"].sum()))
    by_kind = manifest[manifest["status"] == FAILED].groupby("error_kind")["error"]
    causes = "".join(
        f"<li><b>{text(kind)}</b> ({len(errors):,}): {text(errors.iloc[0])}</li>"
        for kind, errors in by_kind
    )
    return (
        '<div style="max-width:44em">'
        f"<b>eedask result: {plural(len(manifest), 'item')}</b> in <code>{text(url)}</code>"
        f"{bar(manifest['status'])}<div>{', '.join(told)}</div>"
        f"{f'<ul>{causes}</ul>' if causes else ''}</div>"
    )

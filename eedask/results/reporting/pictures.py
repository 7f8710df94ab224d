"""Puts chips into the page as small pictures."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Sequence

import geopandas as gpd
from PIL import Image

from eedask.results.contact_sheet import Labelled
from eedask.results.reporting.chosen import Group
from eedask.results.reporting.markup import plural, text

Pictures = Callable[[gpd.GeoDataFrame], Sequence[Labelled]]
_SIDE = 176


def chip_groups(groups: Sequence[Group], pictures: Pictures) -> str:
    """Return chips with their ids, group by group, as HTML.

    Parameters
    ----------
    groups : sequence of Group
    pictures : callable
        Returns the pictures of items, given their rows of the manifest.
    """
    return "".join(_heading(group) + _chips(pictures(group.rows)) for group in groups)


def _heading(group: Group) -> str:
    shown = len(group.rows)
    told = plural(group.total, "chip") if shown == group.total else f"{shown} of {group.total:,}"
    if group.name is None:
        return f'<p class="note">{told}</p>'
    return f"<h3>{text(group.name)} <span>{told}</span></h3>"


def _chips(pictures: Sequence[Labelled]) -> str:
    figures = [_figure(one.label, one.picture) for one in pictures]
    return f'<div class="chips">{"".join(figures)}</div>'


def _figure(id_: str, image: Image.Image) -> str:
    # Single pixels stay visible when small chips are enlarged.
    kind = ' class="small"' if max(image.size) <= _SIDE // 2 else ""
    return (
        f'<figure><img{kind} src="{data_uri(image)}" alt="chip {text(id_)}" loading="lazy">'
        f"<figcaption>{text(id_)}</figcaption></figure>"
    )


def data_uri(image: Image.Image) -> str:
    """Return a reduced picture as a data URI: as a PNG if it is small or has alpha, else a JPEG."""
    small = image.copy()
    small.thumbnail((_SIDE, _SIDE), Image.Resampling.LANCZOS)
    is_png = small.mode == "RGBA" or max(image.size) <= _SIDE // 2
    buffer = io.BytesIO()
    if is_png:
        small.save(buffer, "PNG", optimize=True)
    else:
        small.convert("RGB").save(buffer, "JPEG", quality=85)
    kind = "png" if is_png else "jpeg"
    return f"data:image/{kind};base64,{base64.b64encode(buffer.getvalue()).decode()}"

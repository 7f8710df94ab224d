"""Chips as small pictures within the page."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Sequence

from PIL import Image

from eedask.results.reporting.chosen import Group
from eedask.results.reporting.markup import plural, text

Pictures = Callable[[str, int], Image.Image]
_SIDE = 176


def chip_groups(groups: Sequence[Group], picture: Pictures) -> str:
    """Return chips with their ids, group by group, as HTML.

    Parameters
    ----------
    groups : sequence of Group
    picture : callable
        Returns a chip as a picture, by its path and bytes as the manifest has them.
    """
    return "".join(_heading(group) + _chips(group, picture) for group in groups)


def _heading(group: Group) -> str:
    shown = len(group.rows)
    told = plural(group.total, "chip") if shown == group.total else f"{shown} of {group.total:,}"
    if group.name is None:
        return f'<p class="note">{told}</p>'
    return f"<h3>{text(group.name)} <span>{told}</span></h3>"


def _chips(group: Group, picture: Pictures) -> str:
    rows = zip(group.rows.index, group.rows["path"], group.rows["nbytes"], strict=True)
    figures = [_figure(str(id_), picture(path, nbytes)) for id_, path, nbytes in rows]
    return f'<div class="chips">{"".join(figures)}</div>'


def _figure(id_: str, image: Image.Image) -> str:
    # Single pixels stay visible when small chips are enlarged.
    kind = ' class="small"' if max(image.size) <= _SIDE // 2 else ""
    return (
        f'<figure><img{kind} src="{data_uri(image)}" alt="chip {text(id_)}" loading="lazy">'
        f"<figcaption>{text(id_)}</figcaption></figure>"
    )


def data_uri(image: Image.Image) -> str:
    """Return a picture as text that stands in a page: made small, as JPEG if it has no alpha."""
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

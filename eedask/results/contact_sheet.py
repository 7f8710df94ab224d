"""The contact sheet: many pictures in one image, each with a label."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image, ImageDraw, ImageFont

_BACKGROUND = (255, 255, 255)
_INK = (40, 44, 52)
_MISSING = (225, 225, 225)
_MARGIN, _LABEL = 6, 18


@dataclass(frozen=True)
class Labelled:
    """A picture on a contact sheet.

    Attributes
    ----------
    picture : PIL image, optional
        None draws an empty frame.
    label : str
        Text below the picture, cut off if it is wider.
    """

    picture: Image.Image | None
    label: str


def contact_sheet(pictures: Sequence[Labelled], columns: int = 8, side: int = 160) -> Image.Image:
    """Return one image with all pictures, row by row.

    Parameters
    ----------
    pictures : sequence of Labelled
        In reading order.
    columns : int
        Pictures in a row.
    side : int
        Pixels of a picture's longer side.
    """
    columns = max(1, min(columns, len(pictures)))
    rows = max(1, -(-len(pictures) // columns))
    cell, line = side + _MARGIN, side + _LABEL + _MARGIN
    sheet = Image.new("RGB", (columns * cell + _MARGIN, rows * line + _MARGIN), _BACKGROUND)
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(size=11)
    for number, one in enumerate(pictures):
        left = _MARGIN + number % columns * cell
        top = _MARGIN + number // columns * line
        if one.picture is None:
            draw.rectangle((left, top, left + side - 1, top + side - 1), fill=_MISSING)
        else:
            _paste(sheet, one.picture, left, top, side)
        draw.text((left, top + side + 2), _fitted(one.label, font, side), fill=_INK, font=font)
    return sheet


def _paste(sheet: Image.Image, picture: Image.Image, left: int, top: int, side: int) -> None:
    factor = side / max(picture.size)
    size = (max(1, round(picture.width * factor)), max(1, round(picture.height * factor)))
    # Single pixels stay visible when small chips are enlarged.
    method = Image.Resampling.NEAREST if factor >= 2 else Image.Resampling.LANCZOS
    small = picture.resize(size, method)
    if small.mode != "RGBA":
        sheet.paste(small, (left, top))
        return
    # What is masked looks like nothing that is white, such as clouds.
    sheet.paste(_MISSING, (left, top, left + size[0], top + size[1]))
    sheet.paste(small, (left, top), small)


def _fitted(text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, width: int) -> str:
    if font.getlength(text) <= width:
        return text
    while text and font.getlength(f"{text}…") > width:
        text = text[:-1]
    return f"{text}…"

"""The contact sheet: many pictures in one image, each with a label, in groups with headings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image, ImageDraw, ImageFont

_BACKGROUND = (255, 255, 255)
_INK = (40, 44, 52)
_MASKED = (225, 225, 225)
_MARGIN, _LABEL, _HEADING = 6, 18, 26

_Font = ImageFont.FreeTypeFont | ImageFont.ImageFont


@dataclass(frozen=True)
class Labelled:
    """A picture on a contact sheet.

    Attributes
    ----------
    picture : PIL image
        RGB, or RGBA if some of it is masked.
    label : str
        Text below the picture, cut off if it is wider.
    """

    picture: Image.Image
    label: str


@dataclass(frozen=True)
class Shelf:
    """A group of pictures on a contact sheet, with a heading.

    Attributes
    ----------
    heading : str, optional
        Text above them, cut off if it is wider than the sheet.
    pictures : sequence of Labelled
        In reading order.
    """

    heading: str | None
    pictures: Sequence[Labelled]

    def height(self, columns: int, line: int) -> int:
        """Return its height in pixels, with ``columns`` pictures in a row of height ``line``."""
        rows = -(-len(self.pictures) // columns)
        return rows * line + (_HEADING if self.heading is not None else 0)


def contact_sheet(shelves: Sequence[Shelf], columns: int = 8, side: int = 160) -> Image.Image:
    """Return one image with all pictures, shelf by shelf, row by row.

    Parameters
    ----------
    shelves : sequence of Shelf
    columns : int
        Pictures in a row.
    side : int
        Pixels of a picture's longer side. A row is as high as the highest picture of all, so that
        labels are near what they name.
    """
    columns = max(1, min(columns, max((len(shelf.pictures) for shelf in shelves), default=1)))
    sizes = [_size(one.picture, side) for shelf in shelves for one in shelf.pictures]
    high = max((height for _, height in sizes), default=side)
    cell, line = side + _MARGIN, high + _LABEL + _MARGIN
    width = columns * cell + _MARGIN
    height = sum(shelf.height(columns, line) for shelf in shelves)
    sheet = Image.new("RGB", (width, max(height, line) + _MARGIN), _BACKGROUND)
    draw, top = ImageDraw.Draw(sheet), _MARGIN
    heading, label = ImageFont.load_default(size=15), ImageFont.load_default(size=11)
    for shelf in shelves:
        if shelf.heading is not None:
            words = _fitted(shelf.heading, heading, width - 2 * _MARGIN)
            draw.text((_MARGIN, top + 3), words, fill=_INK, font=heading)
            top += _HEADING
        for number, one in enumerate(shelf.pictures):
            left, below = _MARGIN + number % columns * cell, top + number // columns * line
            _draw(sheet, one, left, below, side)
            words = _fitted(one.label, label, side)
            draw.text((left, below + high + 2), words, fill=_INK, font=label)
        top += -(-len(shelf.pictures) // columns) * line
    return sheet


def _draw(sheet: Image.Image, one: Labelled, left: int, top: int, side: int) -> None:
    size = _size(one.picture, side)
    # Single pixels stay visible when small chips are enlarged.
    is_small = side >= 2 * max(one.picture.size)
    method = Image.Resampling.NEAREST if is_small else Image.Resampling.LANCZOS
    small = one.picture.resize(size, method)
    if small.mode != "RGBA":
        sheet.paste(small, (left, top))
        return
    # Masked pixels are grey, so that they are not taken for something white, such as clouds.
    sheet.paste(_MASKED, (left, top, left + size[0], top + size[1]))
    sheet.paste(small, (left, top), small)


def _size(picture: Image.Image, side: int) -> tuple[int, int]:
    """Return the width and height of a picture whose longer side is so long."""
    factor = side / max(picture.size)
    return max(1, round(picture.width * factor)), max(1, round(picture.height * factor))


def _fitted(text: str, font: _Font, width: int) -> str:
    if font.getlength(text) <= width:
        return text
    while text and font.getlength(f"{text}…") > width:
        text = text[:-1]
    return f"{text}…"

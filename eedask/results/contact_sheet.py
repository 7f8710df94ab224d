"""Chips as pictures for people: from any format, and many of them on one sheet."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont, JpegImagePlugin, PngImagePlugin

_BACKGROUND = (255, 255, 255)
_INK = (40, 44, 52)
_MISSING = (225, 225, 225)
_MARGIN, _LABEL = 6, 18


@dataclass(frozen=True)
class Tile:
    """A picture on a contact sheet.

    Attributes
    ----------
    picture : PIL image, optional
        None draws an empty frame.
    label : str
    """

    picture: Image.Image | None
    label: str


def opened(suffix: str, data: bytes) -> Image.Image:
    """Return a picture as it is, of any size.

    Not by ``Image.open``, which takes what has more than 179 million pixels for an attack; chips
    are the user's own, and put together of tiles they may be larger.

    Parameters
    ----------
    suffix : {"png", "jpg"}
    data : bytes
    """
    kind = PngImagePlugin.PngImageFile if suffix == "png" else JpegImagePlugin.JpegImageFile
    image = kind(io.BytesIO(data))
    image.load()
    return image


def as_picture(suffix: str, data: bytes) -> Image.Image:
    """Return a file of a chip as an RGB(A) picture.

    Data are stretched between the 2nd and 98th percentile of what is not zero, over the first
    three bands, or one.

    Parameters
    ----------
    suffix : {"png", "jpg", "npy", "tif"}
    data : bytes
    """
    if suffix in ("png", "jpg"):
        image = opened(suffix, data)
        return image.convert("RGBA" if "A" in image.getbands() else "RGB")
    return _stretched(_bands(suffix, data))


def _bands(suffix: str, data: bytes) -> NDArray[np.float64]:
    """Return (bands, rows, columns), 0 where masked."""
    if suffix == "npy":
        array = np.load(io.BytesIO(data), allow_pickle=False)
        return np.stack([array[name] for name in array.dtype.names]).astype(float)
    # GeoTIFFs are for those who have rasterio; nothing else here needs it.
    import rasterio

    with rasterio.MemoryFile(data) as memory, memory.open() as source:
        return np.asarray(source.read(masked=True).astype(float).filled(0))


def _stretched(bands: NDArray[np.float64]) -> Image.Image:
    shown = np.nan_to_num(bands[:3] if len(bands) >= 3 else bands[:1])
    valid = shown[shown != 0]
    low, high = np.percentile(valid, [2, 98]) if valid.size else (0.0, 1.0)
    scaled = np.clip((shown - low) / max(high - low, 1e-12), 0, 1) * 255
    gray_or_color = scaled[0] if len(scaled) == 1 else np.moveaxis(scaled, 0, -1)
    return Image.fromarray(gray_or_color.astype(np.uint8)).convert("RGB")


def contact_sheet(tiles: Sequence[Tile], columns: int = 8, side: int = 160) -> Image.Image:
    """Return a sheet of labelled pictures.

    Parameters
    ----------
    tiles : sequence of Tile
    columns : int
        Pictures in a row.
    side : int
        Pixels of a picture's longer side.
    """
    columns = max(1, min(columns, len(tiles)))
    rows = max(1, -(-len(tiles) // columns))
    cell, line = side + _MARGIN, side + _LABEL + _MARGIN
    sheet = Image.new("RGB", (columns * cell + _MARGIN, rows * line + _MARGIN), _BACKGROUND)
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(size=11)
    for number, tile in enumerate(tiles):
        left = _MARGIN + number % columns * cell
        top = _MARGIN + number // columns * line
        if tile.picture is None:
            draw.rectangle((left, top, left + side - 1, top + side - 1), fill=_MISSING)
        else:
            _paste(sheet, tile.picture, left, top, side)
        draw.text((left, top + side + 2), _fitted(tile.label, font, side), fill=_INK, font=font)
    return sheet


def _paste(sheet: Image.Image, picture: Image.Image, left: int, top: int, side: int) -> None:
    factor = side / max(picture.size)
    size = (max(1, round(picture.width * factor)), max(1, round(picture.height * factor)))
    # Single pixels stay visible when small chips are enlarged.
    method = Image.Resampling.NEAREST if factor >= 2 else Image.Resampling.LANCZOS
    small = picture.resize(size, method)
    sheet.paste(small, (left, top), small if small.mode == "RGBA" else None)


def _fitted(text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, width: int) -> str:
    if font.getlength(text) <= width:
        return text
    while text and font.getlength(f"{text}…") > width:
        text = text[:-1]
    return f"{text}…"

"""Tiles of a chip, put together into the one file that a single answer would have been.

A joiner holds the whole chip decoded, and one tile at a time beside it; the file that it makes in
the end comes on top (for NPY files it is the chip itself). Pixels are those of the tiles, whatever
the format; only JPEG, which loses something whenever it is written, is decoded and written once
more, at a quality that hides it.
"""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, JpegImagePlugin, PngImagePlugin

from eedask.grid import PixelGrid, Window
from eedask.pixels.formats.base import check_memory

# Chroma at full resolution, too: the tiles have been through one JPEG already.
_JPEG = {"format": "JPEG", "quality": 95, "subsampling": 0}
_PNG = {"format": "PNG"}
# The longest side that libjpeg writes.
MAX_JPEG_SIDE = 65_500
# Bytes of a pixel in Pillow's memory.
_PILLOW_BYTES = {"L": 1, "LA": 4, "RGB": 4, "RGBA": 4}


class _PictureJoiner:
    """Pictures, by Pillow; if any tile has colour or alpha, the whole has.

    Earth Engine leaves the alpha out of a PNG without masked pixels, so tiles may differ.
    """

    def __init__(self, grid: PixelGrid, most: int, save: dict[str, Any]) -> None:
        self._shape = grid.shape
        self._most = most
        self._save = save
        self._canvas: Image.Image | None = None

    def add(self, window: Window, data: bytes) -> None:
        tile = _plain(data)
        if self._canvas is None:
            check_memory(self._shape, _PILLOW_BYTES[tile.mode], self._most)
            self._canvas = Image.new(tile.mode, self._shape[::-1])
        mode = _common_mode(tile.mode, self._canvas.mode)
        if mode != self._canvas.mode:
            check_memory(self._shape, _PILLOW_BYTES[mode], self._most)
            self._canvas = self._canvas.convert(mode)
        if mode != tile.mode:
            tile = tile.convert(mode)
        self._canvas.paste(tile, (window.column, window.row))

    def finish(self) -> bytes:
        assert self._canvas is not None
        stream = io.BytesIO()
        self._canvas.save(stream, **self._save)
        self._canvas = None
        return stream.getvalue()


def _plain(data: bytes) -> Image.Image:
    """Return a picture in one of four modes: grey or RGB, with alpha or without."""
    image: Image.Image = Image.open(io.BytesIO(data))
    image.load()
    has_alpha = image.has_transparency_data
    if image.mode in _PILLOW_BYTES and has_alpha == image.mode.endswith("A"):
        return image
    grey = image.mode in ("1", "L", "LA")
    return image.convert(("L" if grey else "RGB") + ("A" if has_alpha else ""))


def _common_mode(one: str, other: str) -> str:
    colour = "RGB" if "RGB" in one + other else "L"
    return colour + ("A" if one.endswith("A") or other.endswith("A") else "")


def _png_shape(data: bytes) -> tuple[int, int]:
    with Image.open(io.BytesIO(data), formats=["PNG"]) as image:
        columns, rows = image.size
        # Reads every chunk's checksum without unpacking the pixels.
        image.verify()
    if not data.endswith(b"IEND\xaeB`\x82"):
        raise ValueError("the end of the file is missing")
    return rows, columns


def _jpeg_shape(data: bytes) -> tuple[int, int]:
    with Image.open(io.BytesIO(data), formats=["JPEG"]) as image:
        image.load()
        return image.height, image.width


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

"""PNG: pictures without loss, with alpha where pixels are masked."""

from __future__ import annotations

import io

from PIL import Image, PngImagePlugin

from eedask.pixels.formats.pictures import PictureFormat


class Png(PictureFormat):
    """PNG files."""

    name = "png"
    rest_name = "PNG"
    suffix = "png"

    def shape_of(self, data: bytes) -> tuple[int, int]:
        """Read every chunk's checksum, without unpacking the pixels."""
        with Image.open(io.BytesIO(data), formats=["PNG"]) as image:
            columns, rows = image.size
            image.verify()
        if not data.endswith(b"IEND\xaeB`\x82"):
            raise ValueError("the end of the file is missing")
        return rows, columns

    def unread(self, data: bytes) -> PngImagePlugin.PngImageFile:
        """Return Pillow's image of a PNG."""
        return PngImagePlugin.PngImageFile(io.BytesIO(data))

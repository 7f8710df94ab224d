"""PNG: pictures without loss, with alpha where pixels are masked."""

from __future__ import annotations

import io
import struct
import zlib

from PIL import Image, PngImagePlugin

from eedask.pixels.formats.pictures import PictureFormat

# Samples of a pixel, by the colour type of the head; https://www.w3.org/TR/png-3/.
_SAMPLES = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
_LAST_FILTER = 4


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

    def check_pixels(self, data: bytes) -> None:
        """Unpack the rows, and see that all are there: Pillow takes those that are not for black.

        Rows that are interlaced are only decoded.
        """
        width, height, depth, color, interlaced = struct.unpack(">IIBBxxB", data[16:29])
        if interlaced:
            self.open(data)
            return
        length = 1 + -(-width * depth * _SAMPLES[color] // 8)
        unpacking = zlib.decompressobj()
        rows = unpacking.decompress(_packed(data), height * length + 1)
        if len(rows) != height * length or not unpacking.eof:
            raise ValueError(f"{len(rows)} bytes of pixels, not {height} x {length}")
        if max(rows[::length]) > _LAST_FILTER:
            raise ValueError("rows are filtered in a way that there is not")

    def unread(self, data: bytes) -> PngImagePlugin.PngImageFile:
        """Return Pillow's image of a PNG."""
        return PngImagePlugin.PngImageFile(io.BytesIO(data))


def _packed(data: bytes) -> bytes:
    """Return the packed pixels, which may be in several chunks."""
    parts, start = [], 8
    while start + 12 <= len(data):
        (length,) = struct.unpack(">I", data[start : start + 4])
        if data[start + 4 : start + 8] == b"IDAT":
            parts.append(data[start + 8 : start + 8 + length])
        start += 12 + length
    return b"".join(parts)

"""PNG: pictures without loss, whose alpha channel says which pixels are masked."""

from __future__ import annotations

import io
import struct
import zlib

from PIL import Image, PngImagePlugin

from eedask.pixels.formats.pictures import PictureFormat

# Samples of a pixel, by the colour type in the header (https://www.w3.org/TR/png-3/), and the
# highest number of a filter.
_SAMPLES = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
_LAST_FILTER = 4


class Png(PictureFormat):
    """PNG files."""

    name = "png"
    rest_name = "PNG"
    suffix = "png"

    def shape_of(self, data: bytes) -> tuple[int, int]:
        """Read the header, and check every chunk's checksum; pixels are not decompressed."""
        with Image.open(io.BytesIO(data), formats=["PNG"]) as image:
            columns, rows = image.size
            image.verify()
        if not data.endswith(b"IEND\xaeB`\x82"):
            raise ValueError("the end of the file is missing")
        return rows, columns

    def check_pixels(self, data: bytes) -> None:
        """Decompress the rows, and raise ValueError unless all are there.

        Pillow would read missing rows as black. Interlaced files are only decoded with Pillow.
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
            raise ValueError("a row has a filter that PNG does not define")

    def unread(self, data: bytes) -> PngImagePlugin.PngImageFile:
        """Return Pillow's image of a PNG."""
        return PngImagePlugin.PngImageFile(io.BytesIO(data))


def _packed(data: bytes) -> bytes:
    """Return the compressed pixels of all IDAT chunks."""
    parts, start = [], 8
    while start + 12 <= len(data):
        (length,) = struct.unpack(">I", data[start : start + 4])
        if data[start + 4 : start + 8] == b"IDAT":
            parts.append(data[start + 8 : start + 8 + length])
        start += 12 + length
    return b"".join(parts)

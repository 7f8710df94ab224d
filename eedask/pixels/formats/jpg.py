"""JPEG: pictures with lossy compression.

Some detail is lost each time a JPEG is written. A chip that is joined from tiles is decoded and
written once more than a chip from one request; it is written at a quality at which this is not
visible.
"""

from __future__ import annotations

import io
from typing import Any, ClassVar

from PIL import Image, JpegImagePlugin

from eedask.pixels.formats.pictures import PictureFormat


class Jpg(PictureFormat):
    """JPEG files."""

    name = "jpg"
    aliases = ("jpeg",)
    rest_name = "JPEG"
    suffix = "jpg"
    # The longest that libjpeg writes.
    max_side = 65_500
    # Colour at full resolution, too: the tiles have been through one JPEG already.
    options: ClassVar[dict[str, Any]] = {"quality": 95, "subsampling": 0}

    def shape_of(self, data: bytes) -> tuple[int, int]:
        """Read the header. Only decoding shows whether all of a JPEG is there."""
        with Image.open(io.BytesIO(data), formats=["JPEG"]) as image:
            return image.height, image.width

    def unread(self, data: bytes) -> JpegImagePlugin.JpegImageFile:
        """Return Pillow's image of a JPEG."""
        return JpegImagePlugin.JpegImageFile(io.BytesIO(data))

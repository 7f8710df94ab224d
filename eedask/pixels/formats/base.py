"""The image formats that Earth Engine answers in, and whether an answer is a whole one."""

from __future__ import annotations

import functools
import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from PIL import Image, TiffImagePlugin

from eedask.errors import InputError, TransientError

# What PIL and NumPy raise for bytes that are not what they should be.
_DAMAGE = (OSError, SyntaxError, ValueError, EOFError, KeyError, IndexError, TypeError)
_WIDTH, _HEIGHT = 256, 257
_STRIPS, _TILES = (273, 279), (324, 325)


@dataclass(frozen=True)
class ImageFormat:
    """A format of image files.

    Attributes
    ----------
    name : str
        As the user says it.
    rest_name : str
        ``ImageFileFormat`` of Earth Engine's REST API.
    suffix : str
        Of file names.
    is_visual : bool
        Whether it holds 8-bit pictures (1 or 3 bands), not data.
    shape_of : callable
        From a file's bytes to (rows, columns); raises if the file is not whole.
    """

    name: str
    rest_name: str
    suffix: str
    is_visual: bool
    shape_of: Callable[[bytes], tuple[int, int]]

    def check(self, data: bytes, shape: tuple[int, int] | None) -> None:
        """Raise TransientError unless ``data`` is one whole image of (rows, columns) ``shape``."""
        try:
            found = self.shape_of(data)
        except _DAMAGE as error:
            start = data[:16]
            raise TransientError(
                f"the answer ({len(data)} bytes, starting with {start!r}) is not a whole"
                f" {self.name} image: {error}"
            ) from error
        if shape is not None and found != shape:
            raise TransientError(f"the image has {found} (rows, columns); {shape} was asked for")


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


def _npy_shape(data: bytes) -> tuple[int, int]:
    """Read the header, and see that as many values follow; they need no reading."""
    # The length of the header stands in it: https://numpy.org/doc/stable/reference/generated/
    # numpy.lib.format.html
    length = 10 + int.from_bytes(data[8:10], "little")
    (rows, columns), dtype = _npy_header(data[:length])
    if len(data) - length != rows * columns * dtype.itemsize:
        raise ValueError(f"{len(data) - length} bytes for {rows} x {columns} of {dtype}")
    return rows, columns


@functools.lru_cache(maxsize=64)
def _npy_header(header: bytes) -> tuple[tuple[int, int], np.dtype[Any]]:
    """Return shape and dtype; the chips of a run mostly share them, and they are slow to read."""
    file = io.BytesIO(header)
    if np.lib.format.read_magic(file) != (1, 0):
        raise ValueError("a version of the format that Earth Engine does not write")
    shape, _, dtype = np.lib.format.read_array_header_1_0(file)
    if len(shape) != 2 or dtype.names is None:
        raise ValueError(f"an array of {dtype} with {len(shape)} dimensions")
    return (shape[0], shape[1]), dtype


def _tiff_shape(data: bytes) -> tuple[int, int]:
    """Read the directory of the file, and see that what it points to is there."""
    directory = TiffImagePlugin.ImageFileDirectory_v2(data[:8])
    order: Literal["little", "big"] = "little" if data.startswith(b"II") else "big"
    entries = int.from_bytes(data[directory.next : directory.next + 2], order)
    # Pillow only warns where the directory itself is cut off.
    if directory.next + 2 + 12 * entries + 4 > len(data):
        raise ValueError("the directory is cut off")
    file = io.BytesIO(data)
    file.seek(directory.next)
    directory.load(file)
    offsets, counts = _TILES if _TILES[0] in directory else _STRIPS
    ends = (o + n for o, n in zip(directory[offsets], directory[counts], strict=True))
    if max(ends) > len(data):
        raise ValueError("the end of the file is missing")
    return int(directory[_HEIGHT]), int(directory[_WIDTH])


_FORMATS = {
    "png": ImageFormat("png", "PNG", "png", True, _png_shape),
    "jpg": ImageFormat("jpg", "JPEG", "jpg", True, _jpeg_shape),
    "npy": ImageFormat("npy", "NPY", "npy", False, _npy_shape),
    "tif": ImageFormat("tif", "GEO_TIFF", "tif", False, _tiff_shape),
}
_ALIASES = {
    "jpeg": "jpg",
    "numpy": "npy",
    "geotiff": "tif",
    "geo_tiff": "tif",
    "tiff": "tif",
}


def image_format(name: str) -> ImageFormat:
    """Return a format by its name, in any case; "jpeg", "geotiff" and "numpy" are known too.

    Raises
    ------
    InputError
        If there is no such format.
    """
    key = str(name).lower()
    try:
        return _FORMATS[_ALIASES.get(key, key)]
    except KeyError:
        known = ", ".join(map(repr, _FORMATS))
        raise InputError(f"format={name!r} is not known; choose one of {known}") from None

"""The formats of chips by name."""

from __future__ import annotations

import importlib.util

from eedask.errors import InputError, PermanentError, SizeError
from eedask.grid import PixelGrid
from eedask.pixels.formats.base import ImageFormat, Joiner
from eedask.pixels.formats.npy import _npy_shape, _NpyJoiner
from eedask.pixels.formats.pictures import (
    _JPEG,
    _PNG,
    MAX_JPEG_SIDE,
    _jpeg_shape,
    _PictureJoiner,
    _png_shape,
)
from eedask.pixels.formats.tif import _tiff_shape, _TiffJoiner

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


def joiner(form: ImageFormat, grid: PixelGrid, most: int) -> Joiner:
    """Return what puts a chip together.

    Parameters
    ----------
    form : ImageFormat
        Of the tiles and of the whole.
    grid : PixelGrid
        Of the whole.
    most : int
        Bytes that the whole chip may take decoded.

    Raises
    ------
    SizeError
        If the format cannot hold the shape.
    PermanentError
        If what reads and writes the format is not installed.
    """
    if reason := missing(form):
        raise PermanentError(reason)
    check_side(form, grid.shape)
    if form.name == "npy":
        return _NpyJoiner(grid, most)
    if form.name == "tif":
        return _TiffJoiner(grid, most)
    return _PictureJoiner(grid, most, _PNG if form.name == "png" else _JPEG)


def missing(form: ImageFormat) -> str | None:
    """Return what has to be installed before tiles of a format can be joined, in words."""
    if form.name != "tif" or importlib.util.find_spec("rasterio") is not None:
        return None
    return (
        "the chip is too large for one request, and GeoTIFFs of several are joined with rasterio,"
        " which is not installed: pip install rasterio where the workers run, or ask for"
        " format='npy'"
    )


def check_side(form: ImageFormat, shape: tuple[int, int]) -> None:
    """Raise SizeError if files of the format cannot have so many (rows, columns)."""
    if form.name == "jpg" and max(shape) > MAX_JPEG_SIDE:
        raise SizeError(
            f"shape {shape} has a side of {max(shape)} pixels; a JPEG holds {MAX_JPEG_SIDE} at"
            " most. Ask for format='png'"
        )

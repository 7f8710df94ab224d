"""Tiles of a chip, put together into the one file that a single answer would have been.

A joiner holds the whole chip decoded, and one tile at a time beside it; the file that it makes in
the end comes on top (for NPY files it is the chip itself). Pixels are those of the tiles, whatever
the format; only JPEG, which loses something whenever it is written, is decoded and written once
more, at a quality that hides it.
"""

from __future__ import annotations

import importlib.util
import io
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from eedask.errors import PermanentError, SizeError
from eedask.grid import PixelGrid, Window
from eedask.pixels.formats.base import ImageFormat

if TYPE_CHECKING:
    import rasterio.io

# Chroma at full resolution, too: the tiles have been through one JPEG already.
_JPEG = {"format": "JPEG", "quality": 95, "subsampling": 0}
_PNG = {"format": "PNG"}
# The longest side that libjpeg writes.
MAX_JPEG_SIDE = 65_500
# GeoTIFFs with a longer side are tiled inside, so that a window of one is quick to read.
_STRIPED = 512
_BLOCK = {"tiled": True, "blockxsize": 256, "blockysize": 256}
# Bytes of a pixel in Pillow's memory.
_PILLOW_BYTES = {"L": 1, "LA": 4, "RGB": 4, "RGBA": 4}


class Joiner(Protocol):
    """Takes tiles in any order and gives the whole file."""

    def add(self, window: Window, data: bytes) -> None:
        """Put a tile, an encoded file, in its place.

        Raises
        ------
        SizeError
            If the whole would take more memory than it may.
        PermanentError
            If the tile has other bands or types than those before it.
        """

    def finish(self) -> bytes:
        """Return the file; no tile can be added any more."""


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


def check_memory(shape: tuple[int, int], pixel_bytes: int, most: int) -> None:
    """Raise SizeError, with the arithmetic, if a chip takes more than ``most`` bytes decoded."""
    rows, columns = shape
    if (size := rows * columns * pixel_bytes) > most:
        side = int((most / pixel_bytes) ** 0.5)
        raise SizeError(
            f"{rows} rows x {columns} columns x {pixel_bytes} bytes = {size} bytes; a chip that is"
            f" put together of several requests may take {most} in memory. Ask for smaller chips"
            f" (a square one of {side} pixels would do) or fewer bands"
        )


class _NpyJoiner:
    """Structured arrays; the array lies in the file that is being made."""

    def __init__(self, grid: PixelGrid, most: int) -> None:
        self._shape = grid.shape
        self._most = most
        self._file = io.BytesIO()
        self._array: NDArray[Any] | None = None

    def add(self, window: Window, data: bytes) -> None:
        tile = np.load(io.BytesIO(data), allow_pickle=False)
        if self._array is None:
            self._array = self._allocated(tile.dtype)
        _same("bands", tile.dtype, self._array.dtype)
        self._array[window.slices] = tile

    def finish(self) -> bytes:
        self._array = None  # a buffer that is looked at cannot be given away without a copy
        return self._file.getvalue()

    def _allocated(self, dtype: np.dtype[Any]) -> NDArray[Any]:
        check_memory(self._shape, dtype.itemsize, self._most)
        _write_npy_header(self._file, dtype, self._shape)
        start = self._file.tell()
        self._file.seek(self._shape[0] * self._shape[1] * dtype.itemsize - 1, io.SEEK_CUR)
        self._file.write(b"\0")
        pixels = np.frombuffer(self._file.getbuffer(), dtype, offset=start)
        return pixels.reshape(self._shape)


def _write_npy_header(file: io.BytesIO, dtype: np.dtype[Any], shape: tuple[int, int]) -> None:
    descr = np.lib.format.dtype_to_descr(dtype)
    header = {"descr": descr, "fortran_order": False, "shape": shape}
    try:
        np.lib.format.write_array_header_1_0(file, header)
    except ValueError:  # over 64 kB, with hundreds of bands
        np.lib.format.write_array_header_2_0(file, header)


class _TiffJoiner:
    """GeoTIFFs, by rasterio; all but size and place is as in the first tile."""

    def __init__(self, grid: PixelGrid, most: int) -> None:
        self._grid = grid
        self._most = most
        self._values: NDArray[Any] | None = None
        self._about: dict[str, Any] = {}

    def add(self, window: Window, data: bytes) -> None:
        from rasterio.io import MemoryFile  # only those whose GeoTIFFs are split need it

        with MemoryFile(data) as file, file.open() as source:
            if self._values is None:
                self._about, self._values = _about(source), self._allocated(source)
            _same("crs", source.crs, self._about["profile"]["crs"])
            _same("bands", source.descriptions, self._about["descriptions"])
            _same("types", set(source.dtypes), {self._values.dtype.name})
            self._values[:, *window.slices] = source.read()

    def finish(self) -> bytes:
        from rasterio.io import MemoryFile

        assert self._values is not None
        with MemoryFile() as file:
            with file.open(**self._profile()) as target:
                _describe(target, self._about)
                target.write(self._values)
            self._values = None
            return bytes(file.getbuffer())

    def _allocated(self, source: rasterio.io.DatasetReader) -> NDArray[Any]:
        dtype = np.dtype(source.dtypes[0])
        check_memory(self._grid.shape, source.count * dtype.itemsize, self._most)
        return np.zeros((source.count, *self._grid.shape), dtype)

    def _profile(self) -> dict[str, Any]:
        from rasterio import Affine

        rows, columns = self._grid.shape
        place = {"width": columns, "height": rows, "transform": Affine(*self._grid.transform)}
        blocks = _BLOCK if max(rows, columns) > _STRIPED else {}
        return {**self._about["profile"], **place, **blocks, "bigtiff": "if_safer"}


_PROFILE = ("driver", "dtype", "nodata", "count", "crs", "compress", "interleave", "photometric")


def _about(source: rasterio.io.DatasetReader) -> dict[str, Any]:
    """Return what a GeoTIFF says besides its pixels, their number and place."""
    profile = {key: source.profile[key] for key in _PROFILE if key in source.profile}
    return {
        "profile": profile,
        "descriptions": source.descriptions,
        "colorinterp": source.colorinterp,
        "scales": source.scales,
        "offsets": source.offsets,
        "units": source.units,
        "tags": source.tags(),
        "band_tags": [source.tags(band) for band in source.indexes],
    }


def _describe(target: rasterio.io.DatasetWriter, about: dict[str, Any]) -> None:
    # Before the pixels: what a band means cannot be changed in a file that has begun.
    target.colorinterp = about["colorinterp"]
    for name in ("descriptions", "scales", "offsets"):
        setattr(target, name, about[name])
    if any(about["units"]):
        target.units = [unit or "" for unit in about["units"]]
    target.update_tags(**about["tags"])
    for band, tags in enumerate(about["band_tags"], 1):
        target.update_tags(band, **tags)


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


def _same(what: str, found: Any, first: Any) -> None:
    if found != first:
        raise PermanentError(f"the tiles of one image differ in their {what}: {first}, {found}")

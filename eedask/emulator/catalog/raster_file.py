"""One raster file as a native source: exact pixels, masks, and a pyramid made on demand."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from pathlib import Path
from threading import Lock
from typing import Any, Literal, NamedTuple, cast, get_args

import numpy as np
import rasterio
from affine import Affine
from numpy.typing import NDArray
from rasterio.enums import ColorInterp, MaskFlags
from rasterio.errors import RasterioError
from rasterio.windows import Window as FileWindow

from eedask.emulator.catalog.crs import crs_name
from eedask.emulator.raster import Pixels, PixelType, Projection, is_opaque, uniform
from eedask.emulator.sampling import Window

PyramidingPolicy = Literal["MEAN", "SAMPLE", "MIN", "MAX", "MODE"]
POLICIES: tuple[str, ...] = get_args(PyramidingPolicy)
_TRUE_ALPHA = frozenset({"PNG", "WEBP"})
_CACHE_BYTES = 64 * 2**20
# Native pixels are kept in tiles of this side; windows of more pixels than this are read at once.
_TILE = 256
_LARGE = 1024 * 1024


class Header(NamedTuple):
    """What a raster file says of itself.

    Attributes
    ----------
    numbers : tuple of int
        rasterio's numbers (from 1) of the bands, without an alpha band that is a mask.
    tags : mapping of str to str
        The user's own tags of a GeoTIFF.
    """

    projection: Projection
    width: int
    height: int
    ids: tuple[str, ...]
    types: tuple[PixelType, ...]
    numbers: tuple[int, ...]
    tags: Mapping[str, str]


def read_header(path: Path) -> Header:
    """Return a raster file's grid and bands.

    Raises
    ------
    ValueError
        If rasterio cannot read it, or it has no georeference, or complex pixels.
    """
    try:
        with rasterio.open(path) as file:
            if file.crs is None or not file.crs.wkt:
                raise ValueError(f"{path} has no coordinate reference system.")
            if file.transform == Affine.identity():
                raise ValueError(f"{path} has no georeferencing transform.")
            drop = ColorInterp.alpha if _alpha_is_certain(file) else None
            numbers = [n for n, use in enumerate(file.colorinterp, 1) if use is not drop]
            complex_ = [n for n in numbers if np.dtype(file.dtypes[n - 1]).kind == "c"]
            if complex_ or not numbers:
                raise ValueError(f"{path} has no band of real numbers, or complex ones.")
            return Header(
                projection=Projection(crs_name(file.crs.wkt), file.transform),
                width=file.width,
                height=file.height,
                ids=_band_ids([file.descriptions[n - 1] for n in numbers]),
                types=tuple(PixelType.of(file.dtypes[n - 1]) for n in numbers),
                numbers=tuple(numbers),
                tags=_own_tags(file),
            )
    except RasterioError as error:
        raise ValueError(f"{path} cannot be read as a raster: {error}") from error


def _own_tags(file: Any) -> dict[str, str]:
    """Return a GeoTIFF's tags without GDAL's and TIFF's own, which tell of the file."""
    if file.driver not in ("GTiff", "COG"):
        return {}
    return {
        name: text
        for name, text in file.tags().items()
        if name != "AREA_OR_POINT" and not name.startswith(("TIFFTAG_", "OVR_", "STATISTICS_"))
    }


def _alpha_is_certain(file: Any) -> bool:
    """Whether a band that is called alpha is transparency, and not just the fourth.

    GDAL calls the last of four byte bands alpha whenever a GeoTIFF does not say otherwise, and
    so the near infrared of many an aerial photograph. Earth Engine takes it for a band unless
    told that it is alpha; so does this, but for formats in which it can be nothing else.
    """
    return file.driver in _TRUE_ALPHA and file.nodata is None


def _mask(file: Any, number: int, part: FileWindow, values: NDArray[Any]) -> NDArray[np.uint8]:
    """Return 255 where a band's pixels are valid, 0 where not, between under an alpha band."""
    if ColorInterp.alpha in file.colorinterp and not _alpha_is_certain(file):
        if file.nodata is not None:
            return np.where(values == file.nodata, 0, 255).astype(np.uint8)
        if MaskFlags.alpha in file.mask_flag_enums[number - 1]:
            return np.full(values.shape, 255, np.uint8)
    flags: NDArray[np.uint8] = file.read_masks(number, window=part)
    return flags


def _band_ids(descriptions: list[str | None]) -> tuple[str, ...]:
    """Return the descriptions as ids where they are distinct, else b1, b2 and so on."""
    if all(descriptions) and len(set(descriptions)) == len(descriptions):
        return tuple(str(description).replace(" ", "_") for description in descriptions)
    return tuple(f"b{number}" for number in range(1, len(descriptions) + 1))


class RasterFile:
    """A raster file behind the protocol of :class:`~eedask.emulator.sampling.NativeSource`.

    The file is opened for each read and closed again, so that threads never share a handle.
    What was read lately is kept, a few dozen megabytes of it.

    Parameters
    ----------
    path : Path
    header : Header
    policy : str
        How a pixel of a pyramid level is made of the valid ones of its four below; Earth
        Engine's default is MEAN. Whether a pixel is valid of which only some of the four are
        is not documented: here it is.
    """

    def __init__(self, path: Path, header: Header, policy: PyramidingPolicy = "MEAN") -> None:
        self._path = path
        self._numbers = header.numbers
        self._combine = _COMBINE[policy]
        self._cache = _Cache(_CACHE_BYTES)
        self.projection = header.projection
        self.width = header.width
        self.height = header.height

    def read(self, band: int, level: int, window: Window) -> Pixels:
        """Return the pixels of one band (from 0) in a window of a level."""
        if level == 0:
            return self._read_native(band, window)
        key = (band, level, window)
        found = self._cache.get(key)
        if found is None:
            found = self._read_reduced(band, level, window)
            self._cache.put(key, found)
        return found

    def _read_native(self, band: int, window: Window) -> Pixels:
        """Return native pixels: of small windows by way of the tiles that they lie in."""
        if window.width * window.height > _LARGE:
            return self._read_file(band, window)
        around = self._tiles_around(window)
        tiles = {tile: self._cache.get((band, tile)) for tile in _tiles(around)}
        if None in tiles.values():
            block = self._read_file(band, around)
            for tile in tiles:
                tiles[tile] = pixels = _part(block, around, tile)
                # Copies, since parts would keep the whole block in memory.
                self._cache.put((band, tile), Pixels(pixels.values.copy(), _copied(pixels.mask)))
            return _part(block, around, window)
        found = [(tile, pixels) for tile, pixels in tiles.items() if pixels is not None]
        if len(found) == 1:
            return _part(found[0][1], found[0][0], window)
        return _part(_joined(found, around), around, window)

    def _tiles_around(self, window: Window) -> Window:
        """Return the least window of whole tiles, cut at the edges, around a window."""
        left, top = window.col // _TILE * _TILE, window.row // _TILE * _TILE
        right = min(self.width, -(-(window.col + window.width) // _TILE) * _TILE)
        bottom = min(self.height, -(-(window.row + window.height) // _TILE) * _TILE)
        return Window(left, top, right - left, bottom - top)

    def _read_file(self, band: int, window: Window) -> Pixels:
        number = self._numbers[band]
        with rasterio.open(self._path) as file:
            part = FileWindow(*window)
            values = file.read(number, window=part)
            flags = _mask(file, number, part, values)
        if values.dtype.kind == "f":
            flags[np.isnan(values)] = 0
        if (flags == 255).all():
            return Pixels(values, uniform(1, flags.shape))
        mask: NDArray[np.float32] = (flags / 255).astype(np.float32)
        return Pixels(values, mask)

    def _read_reduced(self, band: int, level: int, window: Window) -> Pixels:
        """Return pixels made of those of the level below, in blocks of two by two."""
        width, height = self.size(level - 1)
        col, row = 2 * window.col, 2 * window.row
        below = Window(
            col, row, min(2 * window.width, width - col), min(2 * window.height, height - row)
        )
        fine = self.read(band, level - 1, below)
        pad = ((0, 2 * window.height - below.height), (0, 2 * window.width - below.width))
        values = _blocks(np.pad(fine.values, pad))
        valid = _blocks(np.pad(fine.mask, pad)) > 0
        any_valid = cast(NDArray[np.bool_], valid.any(axis=0))
        combined = self._combine(values, valid)
        if fine.values.dtype.kind in "iu":
            combined = np.rint(combined) if combined.dtype.kind == "f" else combined
        result = np.where(any_valid, combined, 0).astype(fine.values.dtype)
        return Pixels(result, any_valid.astype(np.float32))

    def size(self, level: int) -> tuple[int, int]:
        """Return (width, height) of a level in its pixels."""
        return (-(-self.width // 2**level), -(-self.height // 2**level))


def _tiles(window: Window) -> list[Window]:
    """Return the tiles that a window of whole tiles is made of, cut as it is."""
    right, bottom = window.col + window.width, window.row + window.height
    return [
        Window(col, row, min(_TILE, right - col), min(_TILE, bottom - row))
        for row in range(window.row, bottom, _TILE)
        for col in range(window.col, right, _TILE)
    ]


def _part(block: Pixels, around: Window, window: Window) -> Pixels:
    """Return the pixels of a window within another's."""
    rows = slice(window.row - around.row, window.row - around.row + window.height)
    cols = slice(window.col - around.col, window.col - around.col + window.width)
    return Pixels(block.values[rows, cols], block.mask[rows, cols])


def _copied(mask: NDArray[np.float32]) -> NDArray[np.float32]:
    return uniform(1, mask.shape) if is_opaque(mask) else mask.copy()


def _joined(tiles: list[tuple[Window, Pixels]], around: Window) -> Pixels:
    """Return the pixels of a window that tiles fill."""
    shape = (around.height, around.width)
    opaque = all(is_opaque(pixels.mask) for _, pixels in tiles)
    values = np.empty(shape, tiles[0][1].values.dtype)
    mask = uniform(1, shape) if opaque else np.empty(shape, np.float32)
    whole = Pixels(values, mask)
    for tile, pixels in tiles:
        into = _part(whole, around, tile)
        into.values[...] = pixels.values
        if not opaque:
            into.mask[...] = pixels.mask
    return whole


class _Cache:
    """The results last used, up to a number of bytes."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._bytes = 0
        self._items: OrderedDict[Any, Pixels] = OrderedDict()
        self._lock = Lock()

    def get(self, key: Any) -> Pixels | None:
        with self._lock:
            if key in self._items:
                self._items.move_to_end(key)
            return self._items.get(key)

    def put(self, key: Any, pixels: Pixels) -> None:
        for array in pixels:
            array.setflags(write=False)
        with self._lock:
            if key in self._items:
                return
            self._items[key] = pixels
            self._bytes += _size(pixels)
            while self._bytes > self._limit:
                self._bytes -= _size(self._items.popitem(last=False)[1])


def _size(pixels: Pixels) -> int:
    return int(pixels.values.nbytes + pixels.mask.nbytes)


def _blocks(array: NDArray[Any]) -> NDArray[Any]:
    """Return the four pixels of each block of two by two: shape (4, height / 2, width / 2)."""
    height, width = array.shape
    blocks = array.reshape(height // 2, 2, width // 2, 2).transpose(1, 3, 0, 2)
    return blocks.reshape(4, height // 2, width // 2)


def _mean(values: NDArray[Any], valid: NDArray[np.bool_]) -> NDArray[Any]:
    total = np.where(valid, values, 0).sum(axis=0, dtype=np.float64)
    return cast(NDArray[Any], total / np.maximum(valid.sum(axis=0), 1))


def _sample(values: NDArray[Any], valid: NDArray[np.bool_]) -> NDArray[Any]:
    """Return the first valid pixel of each block, from the top left."""
    first = valid.argmax(axis=0)[None]
    return np.take_along_axis(values, first, axis=0)[0]


def _extreme(values: NDArray[Any], valid: NDArray[np.bool_], largest: bool) -> NDArray[Any]:
    kind = values.dtype.kind
    info: Any = np.finfo(values.dtype) if kind == "f" else np.iinfo(values.dtype)
    filled = np.where(valid, values, info.min if largest else info.max)
    return cast(NDArray[Any], filled.max(axis=0) if largest else filled.min(axis=0))


def _mode(values: NDArray[Any], valid: NDArray[np.bool_]) -> NDArray[Any]:
    """Return the value that most valid pixels of a block have; the first of equals."""
    equal = (values[:, None] == values[None]) & valid[:, None] & valid[None]
    commonest = equal.sum(axis=1).argmax(axis=0)[None]
    return np.take_along_axis(values, commonest, axis=0)[0]


_COMBINE: dict[str, Callable[[NDArray[Any], NDArray[np.bool_]], NDArray[Any]]] = {
    "MEAN": _mean,
    "SAMPLE": _sample,
    "MIN": lambda values, valid: _extreme(values, valid, largest=False),
    "MAX": lambda values, valid: _extreme(values, valid, largest=True),
    "MODE": _mode,
}

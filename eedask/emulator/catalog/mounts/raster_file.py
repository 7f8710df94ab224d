"""One raster file as a native source: its exact pixels, its masks, and its pyramid levels."""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path
from threading import local
from typing import Any, NamedTuple

import numpy as np
import rasterio
from affine import Affine
from numpy.typing import NDArray
from rasterio.enums import ColorInterp, MaskFlags
from rasterio.errors import RasterioError
from rasterio.windows import Window as FileWindow

from eedask.emulator.catalog.crs import crs_name
from eedask.emulator.catalog.mounts.pyramids import PyramidingPolicy, reduced
from eedask.emulator.pixels.native_sources import WHOLE, NativeSource, Window, sized
from eedask.emulator.pixels.native_tiles import native_pixels
from eedask.emulator.pixels.raster import Pixels, PixelType, Projection, uniform

# Drivers of formats whose alpha band is certainly transparency.
_TRUE_ALPHA = frozenset({"PNG", "WEBP"})
_MOST_OPEN = 16
_SIDE = 256  # of the tiles that are cached, in pixels


class Header(NamedTuple):
    """The grid, the bands and the tags of a raster file.

    Attributes
    ----------
    projection : Projection
    width, height : int
        In pixels.
    ids : tuple of str
        The names of the bands.
    types : tuple of PixelType
    numbers : tuple of int
        rasterio's numbers (from 1) of the bands, without an alpha band that is a mask.
    tags : tuple of (str, str)
        Names and texts of the user's own tags of a GeoTIFF.
    changed : (int, int)
        When the file was last changed, in nanoseconds, and its size then.
    """

    projection: Projection
    width: int
    height: int
    ids: tuple[str, ...]
    types: tuple[PixelType, ...]
    numbers: tuple[int, ...]
    tags: tuple[tuple[str, str], ...]
    changed: tuple[int, int]


def read_header(path: Path) -> Header:
    """Return the header of a raster file.

    Raises
    ------
    ValueError
        If rasterio cannot read it, or it has no georeference, no bands, or complex pixels.
    """
    try:
        status = path.stat()
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
                tags=tuple(_own_tags(file).items()),
                changed=(status.st_mtime_ns, status.st_size),
            )
    except (RasterioError, OSError) as error:
        raise ValueError(f"{path} cannot be read as a raster: {error}") from error


def _own_tags(file: Any) -> dict[str, str]:
    """Return a GeoTIFF's tags without those of GDAL and of the TIFF format itself."""
    if file.driver not in ("GTiff", "COG"):
        return {}
    return {
        name: text
        for name, text in file.tags().items()
        if name != "AREA_OR_POINT" and not name.startswith(("TIFFTAG_", "OVR_", "STATISTICS_"))
    }


def _alpha_is_certain(file: Any) -> bool:
    """Return whether a band that GDAL calls alpha is certainly transparency.

    GDAL calls the last of four byte bands alpha whenever a GeoTIFF does not say otherwise: also
    the near infrared of many aerial photographs. Earth Engine takes it for an ordinary band unless
    told that it is alpha. So it is one here too, except in formats where a fourth band is always
    alpha.
    """
    return file.driver in _TRUE_ALPHA and file.nodata is None


def _mask(file: Any, number: int, part: FileWindow, values: NDArray[Any]) -> NDArray[np.uint8]:
    """Return the mask of a band's pixels: 255 valid, 0 masked, in between the alpha band's."""
    if ColorInterp.alpha in file.colorinterp and not _alpha_is_certain(file):
        if file.nodata is not None:
            return np.where(values == file.nodata, 0, 255).astype(np.uint8)
        if MaskFlags.alpha in file.mask_flag_enums[number - 1]:
            return np.full(values.shape, 255, np.uint8)
    flags: NDArray[np.uint8] = file.read_masks(number, window=part)
    return flags


def _band_ids(descriptions: list[str | None]) -> tuple[str, ...]:
    """Return the bands' descriptions as their ids if all are distinct; else b1, b2 and so on."""
    if all(descriptions) and len(set(descriptions)) == len(descriptions):
        return tuple(str(description).replace(" ", "_") for description in descriptions)
    return tuple(f"b{number}" for number in range(1, len(descriptions) + 1))


class RasterFile(NativeSource):
    """A raster file: its exact pixels, and a pyramid that is computed from them on demand.

    Each thread opens the file for itself.

    Attributes
    ----------
    path : Path
    header : Header
        A file that was changed gets another header, so its old pixels in the cache are not used.
    policy : str
        How a pixel is computed from four of the finer level; Earth Engine's default is MEAN.
    """

    path: Path
    header: Header
    policy: PyramidingPolicy = "MEAN"

    @property
    def projection(self) -> Projection:  # type: ignore[override]
        """The projection of the file."""
        return self.header.projection

    @property
    def width(self) -> int:  # type: ignore[override]
        """Pixels of a row."""
        return self.header.width

    @property
    def height(self) -> int:  # type: ignore[override]
        """Pixels of a column."""
        return self.header.height

    def tile_side(self, level: int) -> int:
        """Return the side of cached tiles for the file itself (level 0), else ``WHOLE``.

        Of other levels, windows are cached as they are read.
        """
        return WHOLE if level else _SIDE

    def draw(self, band: int, level: int, window: Window) -> Pixels:
        """Return the pixels of one band in a window of a level."""
        if level:
            return self._reduced(band, level, window)
        return self._read_file(band, window)

    def _read_file(self, band: int, window: Window) -> Pixels:
        number = self.header.numbers[band]
        file = _OPEN.handle(self.path, self.header.changed)
        part = FileWindow(*window)
        values = file.read(number, window=part)
        flags = _mask(file, number, part, values)
        if values.dtype.kind == "f":
            flags[np.isnan(values)] = 0
        if (flags == 255).all():
            return Pixels(values, uniform(1, flags.shape))
        mask: NDArray[np.float32] = (flags / 255).astype(np.float32)
        return Pixels(values, mask)

    def _reduced(self, band: int, level: int, window: Window) -> Pixels:
        """Return pixels computed from blocks of two by two of the next finer level."""
        _, width, height = sized(self, level - 1)
        col, row = 2 * window.col, 2 * window.row
        below = Window(
            col, row, min(2 * window.width, width - col), min(2 * window.height, height - row)
        )
        return reduced(native_pixels(self, band, level - 1, below), self.policy)


class _Handles(local):
    """The files that a thread read last, kept open: opening takes longer than reading a tile."""

    def __init__(self) -> None:
        self._files: OrderedDict[tuple[Path, tuple[int, int]], Any] = OrderedDict()

    def handle(self, path: Path, changed: tuple[int, int]) -> Any:
        """Return an open dataset of a file as it was last changed."""
        found = self._files.pop((path, changed), None)
        if found is None:
            found = rasterio.open(path)
        self._files[path, changed] = found
        while len(self._files) > _MOST_OPEN:
            self._files.popitem(last=False)[1].close()
        return found


_OPEN = _Handles()

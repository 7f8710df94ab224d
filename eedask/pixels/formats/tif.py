"""GeoTIFF, by its directory; rasterio where tiles are joined or pixels are read."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import TiffImagePlugin

from eedask.grid import PixelGrid, Window
from eedask.pixels.formats.base import check_memory, check_same

if TYPE_CHECKING:
    import rasterio

_WIDTH, _HEIGHT = 256, 257

_STRIPS, _TILES = (273, 279), (324, 325)

# GeoTIFFs with a longer side are tiled inside, so that a window of one is quick to read.
_STRIPED = 512

_BLOCK = {"tiled": True, "blockxsize": 256, "blockysize": 256}

_PROFILE = ("driver", "dtype", "nodata", "count", "crs", "compress", "interleave", "photometric")


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
            check_same("crs", source.crs, self._about["profile"]["crs"])
            check_same("bands", source.descriptions, self._about["descriptions"])
            check_same("types", set(source.dtypes), {self._values.dtype.name})
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

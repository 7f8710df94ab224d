"""GeoTIFF: checked by its directory alone; joined and read with rasterio."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from eedask.grid import PixelGrid, Window
from eedask.pixels.formats.base import ImageFormat, Joiner, check_memory, check_same
from eedask.pixels.formats.geotiff_tags import (
    dtype_in,
    misplaced,
    names_in,
    samples_in,
    shape_in,
    tags_of,
)

# rasterio is imported where it is used: it is not installed with eedask, and only those who open
# GeoTIFFs, or join them, need it.
if TYPE_CHECKING:
    import rasterio

# GeoTIFFs with a longer side are tiled inside, so that a window of one is quick to read.
_STRIPED = 512

_BLOCK = {"tiled": True, "blockxsize": 256, "blockysize": 256}

_PROFILE = ("driver", "dtype", "count", "crs", "compress", "interleave", "photometric")


class Tif(ImageFormat):
    """GeoTIFF files."""

    name = "tif"
    aliases = ("geotiff", "geo_tiff", "tiff")
    rest_name = "GEO_TIFF"
    suffix = "tif"
    is_visual = False
    library = "rasterio"

    def shape_of(self, data: bytes) -> tuple[int, int]:
        """Read the directory of the file, and see that what it points to is there."""
        return shape_in(tags_of(data))

    def bands_of(self, data: bytes, named: Sequence[str] = ()) -> dict[str, str]:
        """Return the bands by their descriptions, or else as they were asked for, or by number."""
        tags = tags_of(data)
        count = samples_in(tags)
        numbered = [f"b{number}" for number in range(1, count + 1)]
        known = names_in(tags) or (named if len(named) == count else numbered)
        return dict.fromkeys(known, dtype_in(tags))

    def difference(self, data: bytes, bands: Sequence[str], grid: PixelGrid | None) -> str | None:
        """Compare the number of bands, and where the pixels lie."""
        tags = tags_of(data)
        if bands and samples_in(tags) != len(bands):
            return f"it has {samples_in(tags)} bands, not {list(bands)}"
        return None if grid is None else misplaced(tags, grid)

    def grid_of(self, data: bytes) -> PixelGrid | None:
        """Return where the pixels lie; None if the file does not say, or without rasterio."""
        if self.missing():
            return None
        with self.open(data) as source:
            if source.crs is None:
                return None
            # Named as canonical_crs does, without pyproj, which is slow in a thread's first use.
            authority = source.crs.to_authority(confidence_threshold=100)
            crs = ":".join(authority) if authority else source.crs.to_wkt(version="WKT1_GDAL")
            return PixelGrid(crs, tuple(source.transform)[:6], source.shape)

    def joiner_of(self, grid: PixelGrid, most: int) -> Joiner:
        """Return a joiner whose file is like the first tile's, in all but size and place."""
        return _Joiner(grid, most)

    def open(self, data: bytes) -> rasterio.io.DatasetReader:
        """Return rasterio's dataset of the file.

        Raises
        ------
        InputError
            If rasterio is not installed.
        """
        self.check_opens()
        import rasterio

        # Of other formats that GDAL knows, some are files that name other files, or addresses.
        return rasterio.open(io.BytesIO(data), driver="GTiff")

    def as_array(self, data: bytes) -> NDArray[Any]:
        """Return the bands; 0 where they have the file's nodata value."""
        with self.open(data) as source:
            return np.asarray(source.read(masked=True).filled(0))


class _Joiner:
    """Holds the values of the whole chip, and what the first tile says besides its pixels.

    The nodata value is that of any tile: a tile without masked pixels may state none.
    """

    def __init__(self, grid: PixelGrid, most: int) -> None:
        self._grid = grid
        self._most = most
        self._values: NDArray[Any] | None = None
        self._about: dict[str, Any] = {}
        self._nodata: float | None = None

    def add(self, window: Window, data: bytes) -> None:
        from rasterio.io import MemoryFile

        with MemoryFile(data) as file, file.open(driver="GTiff") as source:
            if self._values is None:
                self._about, self._values = _about(source), self._allocated(source)
            check_same("crs", source.crs, self._about["profile"]["crs"])
            check_same("bands", source.descriptions, self._about["descriptions"])
            check_same("types", set(source.dtypes), {self._values.dtype.name})
            self._nodata = _one_nodata(self._nodata, source.nodata)
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
        about = {**self._about["profile"], "nodata": self._nodata}
        return {**about, **place, **blocks, "bigtiff": "if_safer"}


def _one_nodata(known: float | None, stated: float | None) -> float | None:
    """Return the nodata value of a chip of which one more tile states its own, or None.

    Raises
    ------
    PermanentError
        Two tiles state different ones.
    """
    if known is None or stated is None:
        return stated if known is None else known
    check_same("nodata values", str(stated), str(known))
    return known


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

"""GeoTIFF: checked by its directory alone; joined and read with rasterio."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from eedask.errors import PermanentError
from eedask.grid import PixelGrid, Window
from eedask.pixels.formats.base import ImageFormat, Joiner, check_memory, check_same
from eedask.pixels.formats.geotiff_tags import misplaced, samples_in, shape_in, tags_of
from eedask.pixels.formats.masking import MASK, Masking, valid_in

# rasterio is imported where it is used: it is not installed with eedask, and only those who ask
# for GeoTIFFs need it.
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

    def bands_in(self, data: bytes) -> int:
        """Return the number of samples of a pixel."""
        return samples_in(tags_of(data))

    def settle(self, data: bytes, masking: Masking, count: int) -> bytes:
        """Return the file with a nodata value, a mask that GDAL reads, or a band ``mask``.

        GDAL's mask in a GeoTIFF is one for all bands (GMF_PER_DATASET,
        https://gdal.org/en/stable/drivers/raster/gtiff.html#internal-nodata-masks). A pixel that
        is masked in any band is masked in it, so that no masked pixel is ever taken for a value;
        the values of the other bands stay in the file.
        """
        if missing := self.missing():
            raise PermanentError(self.cannot_write(missing))
        from rasterio.io import MemoryFile

        with MemoryFile(data) as file, file.open(driver="GTiff") as source:
            about, everything = _about(source, count), source.read()
            profile = {**about["profile"], "transform": source.transform}
        values, valid = everything[:count], valid_in(everything[count:], count)
        nodata = masking.value_for(values.dtype)
        everywhere = np.asarray(valid.all(axis=0))
        masking.fill(values, valid, "the image")
        if masking.as_band:
            values = np.concatenate([values, everywhere[np.newaxis].astype(values.dtype)])
            about = _with_mask_band(about)
        is_carried = nodata is None and not everywhere.all()
        profile |= {"nodata": nodata, **_sizes(values)}
        return _written(profile, about, values, everywhere if is_carried else None)

    def open(self, data: bytes, masking: Masking | None = None) -> rasterio.io.DatasetReader:
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

    def as_array(self, data: bytes, masking: Masking | None = None) -> NDArray[Any]:
        """Return the bands; 0 where the file masks them."""
        with self.open(data) as source:
            return np.asarray(source.read(masked=True).filled(0))


class _Joiner:
    """Holds the values of the whole chip, and what the first tile says besides its pixels.

    What tiles state as nodata is left out: their masks are bands like others.
    """

    def __init__(self, grid: PixelGrid, most: int) -> None:
        self._grid = grid
        self._most = most
        self._values: NDArray[Any] | None = None
        self._about: dict[str, Any] = {}

    def add(self, window: Window, data: bytes) -> None:
        from rasterio.io import MemoryFile

        with MemoryFile(data) as file, file.open(driver="GTiff") as source:
            if self._values is None:
                self._about, self._values = _about(source, source.count), self._allocated(source)
            check_same("crs", source.crs, self._about["profile"]["crs"])
            check_same("bands", source.descriptions, self._about["descriptions"])
            check_same("types", set(source.dtypes), {self._values.dtype.name})
            self._values[:, *window.slices] = source.read()

    def finish(self) -> bytes:
        assert self._values is not None
        return _written(self._profile(), self._about, self._values, None)

    def _allocated(self, source: rasterio.io.DatasetReader) -> NDArray[Any]:
        dtype = np.dtype(source.dtypes[0])
        check_memory(self._grid.shape, source.count * dtype.itemsize, self._most)
        return np.zeros((source.count, *self._grid.shape), dtype)

    def _profile(self) -> dict[str, Any]:
        from rasterio import Affine

        assert self._values is not None
        return {
            **self._about["profile"],
            "transform": Affine(*self._grid.transform),
            **_sizes(self._values),
        }


def _sizes(values: NDArray[Any]) -> dict[str, Any]:
    """Return how many bands, rows and columns a file has, and how it is cut inside."""
    count, rows, columns = values.shape
    blocks = _BLOCK if max(rows, columns) > _STRIPED else {}
    return {"count": count, "height": rows, "width": columns, **blocks, "bigtiff": "if_safer"}


def _written(
    profile: dict[str, Any],
    about: dict[str, Any],
    values: NDArray[Any],
    valid: NDArray[np.bool_] | None,
) -> bytes:
    """Return a file; ``valid`` is written into it as a mask, if given."""
    import rasterio
    from rasterio.io import MemoryFile

    # Without the option, GDAL writes the mask to a second file.
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True), MemoryFile() as file:
        with file.open(**profile) as target:
            _describe(target, about)
            target.write(values)
            if valid is not None:
                target.write_mask(valid)
        return bytes(file.getbuffer())


def _about(source: rasterio.io.DatasetReader, count: int) -> dict[str, Any]:
    """Return what a GeoTIFF says of its first bands besides their pixels and place."""
    profile = {key: source.profile[key] for key in _PROFILE if key in source.profile}
    return {
        "profile": profile,
        "descriptions": source.descriptions[:count],
        "colorinterp": source.colorinterp[:count],
        "scales": source.scales[:count],
        "offsets": source.offsets[:count],
        "units": source.units[:count],
        "tags": source.tags(),
        "band_tags": [source.tags(band) for band in source.indexes[:count]],
    }


def _with_mask_band(about: dict[str, Any]) -> dict[str, Any]:
    """Return what a file says of its bands, with one more that is called ``mask``."""
    from rasterio.enums import ColorInterp

    if MASK in about["descriptions"]:
        raise PermanentError(f"the image has a band {MASK!r}, as the file has: rename the band")
    more = {
        "descriptions": MASK,
        "colorinterp": ColorInterp.undefined,
        "scales": 1.0,
        "offsets": 0.0,
        "units": None,
        "band_tags": {},
    }
    return {**about, **{key: (*about[key], value) for key, value in more.items()}}


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

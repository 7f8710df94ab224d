"""GeoTIFF: files are written and opened with rasterio; Earth Engine's are checked without it.

All bands of a GeoTIFF have one type. Earth Engine may refuse bands of several types, as its exports
do ("Exported bands must have compatible data types"), or convert them to one. Therefore, if the
pixels' grid is known, Earth Engine is asked for NPY, and the GeoTIFF is written here.
"""

from __future__ import annotations

import functools
import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from eedask.crs import as_pyproj
from eedask.errors import PermanentError
from eedask.grid import PixelGrid
from eedask.pixels.formats.base import ImageFormat, JoinableFormat
from eedask.pixels.formats.geotiff_tags import dtype_in, names_in, samples_in, shape_in, tags_of
from eedask.pixels.formats.masking import MASK, MaskedBands, Masking, check_free, equal_in
from eedask.pixels.formats.npy import Npy

# rasterio is imported where it is used: it is not installed with eedask, and only those who ask
# for GeoTIFFs need it.
if TYPE_CHECKING:
    import rasterio

# GeoTIFFs with a longer side are tiled inside, so that a window of one is quick to read.
_STRIPED = 512

_BLOCK = {"tiled": True, "blockxsize": 256, "blockysize": 256}

# The quickest compression that every reader knows. Of 256 x 256 noisy pixels in three bands, the
# best of 40 files of GDAL 3.10 took, and had:
#
#                     uint8             float32
#     none            1.8 ms, 197 kB    3.9 ms, 787 kB
#     deflate 1       4.0 ms, 165 kB    8.3 ms, 692 kB
#     + predictor     6.1 ms, 120 kB   11.7 ms, 606 kB
#     LZW             7.2 ms, 187 kB   13.9 ms, 846 kB
#     zstd 1          4.2 ms, 166 kB    4.9 ms, 693 kB    (many readers do not have it)
#
# Bands are written one after the other, so they are not interleaved. MINISBLACK keeps GDAL from
# declaring three bands of bytes to be an RGB picture.
_PROFILE = {
    "driver": "GTiff",
    "compress": "deflate",
    "zlevel": 1,
    "interleave": "band",
    "photometric": "MINISBLACK",
    "bigtiff": "if_safer",
}


class Tif(ImageFormat):
    """GeoTIFF files."""

    name = "tif"
    aliases = ("geotiff", "geo_tiff", "tiff")
    rest_name = "GEO_TIFF"
    suffix = "tif"
    is_visual = False
    library = "rasterio"
    has_one_type = True

    @property
    def on_grid(self) -> JoinableFormat:
        """NPY, whose bands may differ in type."""
        return Npy()

    def shape_of(self, data: bytes) -> tuple[int, int]:
        """Read the directory of the file, and check that the pixels it points to are there."""
        return shape_in(tags_of(data))

    def bands_of(self, data: bytes, named: Sequence[str] = ()) -> dict[str, str]:
        """Return the bands by their descriptions, or else as they were asked for, or by number."""
        tags = tags_of(data)
        count = samples_in(tags)
        numbered = [f"b{number}" for number in range(1, count + 1)]
        known = names_in(tags) or (named if len(named) == count else numbered)
        return dict.fromkeys(known, dtype_in(tags))

    def difference(self, data: bytes, bands: Sequence[str]) -> str | None:
        """Compare the number of bands."""
        tags = tags_of(data)
        if bands and samples_in(tags) != len(bands):
            return f"it has {samples_in(tags)} bands, not {list(bands)}"
        return None

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

    def bands_in(self, data: bytes) -> int:
        """Return the number of samples of a pixel."""
        return samples_in(tags_of(data))

    def unpack(self, data: bytes, count: int) -> MaskedBands:
        """Return the first ``count`` bands; they are masked where the other bands differ."""
        with self.open(data) as source:
            everything, names = source.read(), source.descriptions
        values = everything[:count]
        return MaskedBands(names[:count], tuple(values), equal_in(values, everything[count:]))

    def settle(
        self,
        data: bytes,
        sent_as: ImageFormat,
        masking: Masking,
        count: int,
        grid: PixelGrid | None,
    ) -> bytes:
        """Return the file with a nodata value, a mask that GDAL reads, or a band ``mask``.

        GDAL's mask in a GeoTIFF is one for all bands (GMF_PER_DATASET,
        https://gdal.org/en/stable/drivers/raster/gtiff.html#internal-nodata-masks). A pixel that
        is masked in any band is masked in it, so that no masked pixel is ever taken for a value;
        the values of the other bands stay in the file. The type is the least that holds those of
        all bands.
        """
        if grid is None:
            raise PermanentError("Earth Engine's GeoTIFF does not say where its pixels lie")
        bands = sent_as.unpack(data, count)
        if masking.as_band:
            check_free(MASK, bands.names)
        return _written(bands, masking, grid)

    def open(self, data: bytes, masking: Masking | None = None) -> rasterio.io.DatasetReader:
        """Return rasterio's dataset of the file.

        Raises
        ------
        InputError
            If rasterio is not installed.
        """
        self.check_opens()
        import rasterio

        # Only this driver: files of some other formats make GDAL open further files or addresses.
        return rasterio.open(io.BytesIO(data), driver="GTiff")

    def as_array(self, data: bytes, masking: Masking | None = None) -> NDArray[Any]:
        """Return the bands; 0 where the file masks them."""
        with self.open(data) as source:
            return np.asarray(source.read(masked=True).filled(0))


def _written(bands: MaskedBands, masking: Masking, grid: PixelGrid) -> bytes:
    import rasterio
    from rasterio.io import MemoryFile

    dtype = np.result_type(*(values.dtype for values in bands.values))
    everywhere = bands.valid.all(axis=0)
    names = (*bands.names, MASK) if masking.as_band else bands.names
    profile = _profile(grid, dtype, len(names), masking.value_for(dtype))
    is_carried = profile["nodata"] is None and not everywhere.all()
    written = np.empty(everywhere.shape, dtype)
    # Without the option, GDAL writes the mask to a second file.
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True), MemoryFile() as file:
        with file.open(**profile) as target:
            # Before the pixels, as descriptions cannot be changed once pixels are written.
            target.descriptions = names
            for number, name in enumerate(bands.names):
                values, valid = bands.values[number], bands.valid[number]
                masking.fill(written, values, valid, name)
                target.write(written, number + 1)
            if masking.as_band:
                target.write(everywhere.astype(dtype), len(names))
            if is_carried:
                target.write_mask(everywhere)
        return bytes(file.getbuffer())


def _profile(
    grid: PixelGrid, dtype: np.dtype[Any], count: int, nodata: float | None
) -> dict[str, Any]:
    """Return rasterio's profile of a file on a grid."""
    from rasterio import Affine

    rows, columns = grid.shape
    return {
        **_PROFILE,
        **(_BLOCK if max(rows, columns) > _STRIPED else {}),
        "dtype": dtype.name,
        "count": count,
        "height": rows,
        "width": columns,
        "nodata": nodata,
        "crs": _crs(grid.crs),
        "transform": Affine(*grid.transform),
    }


@functools.lru_cache(maxsize=256)
def _crs(name: str) -> str:
    """Return a crs in a form that GDAL reads; it does not know all of Earth Engine's names."""
    return name if name.startswith("EPSG:") else str(as_pyproj(name).to_wkt())

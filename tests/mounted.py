"""The asset ids under which the tests' own rasters are mounted, and how those are written."""

import rasterio

SCENE = "projects/eedask-tests/assets/scene"
FIELD = "projects/eedask-tests/assets/field"
SERIES = "projects/eedask-tests/assets/series"


def write(path, bands, crs, transform, nodata=None, names=None):
    """Write bands, shape (bands, rows, columns), as a GeoTIFF."""
    count, height, width = bands.shape
    profile = {"driver": "GTiff", "dtype": bands.dtype, "count": count, "crs": crs}
    profile |= {"width": width, "height": height, "transform": transform, "nodata": nodata}
    # Else GDAL takes a fourth byte band for alpha, and alpha is a mask.
    profile |= {"photometric": "MINISBLACK", "alpha": "NO"}
    with rasterio.open(path, "w", **profile) as target:
        target.write(bands)
        target.descriptions = names or tuple(f"b{k + 1}" for k in range(count))

"""Points in the tests' rasters."""

import geopandas as gpd
import numpy as np
import rasterio


def points_in(path, count, seed, margin=0):
    """Return random points in a raster, in its crs; none is nearer to its edge than a margin."""
    with rasterio.open(path) as file:
        left, bottom, right, top = file.bounds
        crs = file.crs
    rng = np.random.default_rng(seed)
    x = rng.uniform(left + margin, right - margin, count)
    y = rng.uniform(bottom + margin, top - margin, count)
    return gpd.GeoSeries(gpd.points_from_xy(x, y, crs=crs))

"""Polygons for the tests of tables."""

import geopandas as gpd
import numpy as np
import rasterio
import shapely


def fields(path, count=40, seed=1):
    """Return stars of some pixels to a hundred in the raster, in degrees, edges kept straight."""
    with rasterio.open(path) as file:
        left, bottom, right, top = file.bounds
        crs, pixel = file.crs, file.transform.a
    rng = np.random.default_rng(seed)
    shapes = []
    for x, y in zip(rng.uniform(left, right, count), rng.uniform(bottom, top, count), strict=True):
        angle = np.sort(rng.uniform(0, 2 * np.pi, 9))
        reach = pixel * rng.uniform(2, 12, 9)
        ring = np.column_stack([x + reach * np.cos(angle), y + reach * np.sin(angle)])
        shapes.append(shapely.make_valid(shapely.Polygon(ring)))
    frame = gpd.GeoDataFrame({"k": range(count)}, geometry=shapes, crs=crs)
    return frame.to_crs("EPSG:4326").set_axis([f"f{k:03d}" for k in range(count)], axis=0)


def frame_of(*shapes):
    return gpd.GeoDataFrame(geometry=list(shapes), crs="EPSG:4326")

"""eedask: sample Google Earth Engine at scale, from a GeoDataFrame, on Dask."""

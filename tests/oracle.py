"""What a grid of pixels should hold, by rasterio and pyproj alone."""

from __future__ import annotations

import numpy as np
import pyproj
import rasterio
from rasterio.windows import Window


def native_window(path, longitude, latitude, shape):
    """Return (values, transform) of the window centred on a point; 0 outside and where nodata.

    Values have the shape (bands, rows, columns).
    """
    with rasterio.open(path) as source:
        to_crs = pyproj.Transformer.from_crs("EPSG:4326", source.crs, always_xy=True)
        column, row = place(~source.transform, *to_crs.transform(longitude, latitude))
        window = Window(
            int(np.floor(column - shape[1] / 2 + 0.5)),
            int(np.floor(row - shape[0] / 2 + 0.5)),
            shape[1],
            shape[0],
        )
        fill = source.nodata or 0
        values = source.read(window=window, boundless=True, fill_value=fill)
        values = np.where(values == source.nodata, 0, values).astype(values.dtype)
        return values, source.window_transform(window)


def nearest(path, crs, transform, shape):
    """Return the source pixel under the centre of each pixel of a grid; 0 outside.

    Values have the shape (bands, rows, columns).
    """
    columns, rows = np.meshgrid(np.arange(shape[1]) + 0.5, np.arange(shape[0]) + 0.5)
    with rasterio.open(path) as source:
        to_source = pyproj.Transformer.from_crs(crs, source.crs, always_xy=True)
        x, y = to_source.transform(*place(transform, columns, rows))
        column, row = (np.floor(v).astype(int) for v in place(~source.transform, x, y))
        inside = (column >= 0) & (column < source.width) & (row >= 0) & (row < source.height)
        found = source.read()[:, row.clip(0, source.height - 1), column.clip(0, source.width - 1)]
        found[:, ~inside] = 0
        return np.where(found == source.nodata, 0, found).astype(found.dtype)


def place(transform, x, y):
    """Apply an affine transform to coordinates."""
    a, b, c, d, e, f = tuple(transform)[:6]
    return a * x + b * y + c, d * x + e * y + f

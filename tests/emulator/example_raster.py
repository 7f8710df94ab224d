"""The raster that the emulator under test has mounted."""

import numpy as np
from affine import Affine

PROJECT = "test-project"
RASTER_ID = f"projects/{PROJECT}/assets/raster"
CRS = "EPSG:32613"
SHAPE = (60, 80)
TRANSFORM = Affine(10, 0, 500000, 0, -10, 4400000)
NODATA_CORNER = 5


def raster_values() -> np.ndarray:
    """Red, green and blue of shape (3, rows, columns): 0 is nodata, in the first corner."""
    row, col = np.indices(SHAPE)
    values = np.stack([row, col, row * 3 + col]) + 1
    values[:, :NODATA_CORNER, :NODATA_CORNER] = 0
    return values.astype(np.uint16)

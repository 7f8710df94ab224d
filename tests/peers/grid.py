"""The asset ids and the pixel grid of the rasters that the peers read."""

from __future__ import annotations

from rasterio import Affine

# One part only: geedim asks Google's STAC server about every asset whose id has more.
SCENE = "scene"
SERIES = "projects/peers/assets/series"
ZONES = "projects/peers/assets/zones"
SITES = "projects/peers/assets/sites"

CRS = "EPSG:32613"
# Off the multiples of the scale, so that alignment to the native grid must be real.
TRANSFORM = Affine(30.0, 0.0, 500007.0, 0.0, -30.0, 4400011.0)
SHAPE = (150, 200)
BANDS = ("red", "nir")
NODATA = -9999
SERIES_BANDS = ("day", "night")
DAYS = ("2016-01-01", "2016-01-17", "2016-02-02", "2016-02-18")


def place(row: float, column: float) -> tuple[float, float]:
    """Return where a pixel is, from the upper left corner of the grid, in its crs."""
    x, y = TRANSFORM @ (column, row)
    return x, y

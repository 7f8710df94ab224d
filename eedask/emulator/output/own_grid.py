"""Finds the grid on which an image is read if a request states none."""

from __future__ import annotations

from affine import Affine

from eedask.emulator.errors import EarthEngineError
from eedask.emulator.functions.images.geometry import image_bounds, longest_side_grid, north_up
from eedask.emulator.pixels.projection import grid_covering
from eedask.emulator.pixels.raster import Grid, Image, compose

_UNBOUNDED = (
    "Image.getPixels: Unable to determine the pixels to render: the image is unbounded. "
    "Specify a region, or clip the image."
)


def output_grid(image: Image, *, default_size: int | None = None) -> Grid:
    """Return an image's own grid: the projection of its first band over the image's extent.

    Parameters
    ----------
    image : Image
        After ``Image.clipToBoundsAndScale`` the grid is the one that it made. Otherwise the
        extent is the image's footprint (what ``Image.clip`` leaves), or its bands' dimensions.
    default_size : int, optional
        Number of pixels of the longer side, if the image states no size: 512 for ``getThumbURL``.
        None: pixels have the size of the projection's own, as for ``getDownloadURL``.

    Raises
    ------
    EarthEngineError
        The image has no bands, or no bounds.
    """
    if not image.bands:
        raise EarthEngineError("Image must have at least one band.")
    band = image.bands[0]
    projection = band.projection
    if image.sized and band.dimensions is not None:
        col, row = band.origin or (0, 0)
        transform = compose(projection.transform, Affine.translation(col, row))
        return Grid(projection.crs, transform, *band.dimensions)
    if image.footprint is None and band.dimensions is None:
        raise EarthEngineError(_UNBOUNDED)
    if default_size is None and band.dimensions is not None and not band.has_default_projection:
        col, row = band.origin or (0, 0)
        transform = compose(projection.transform, Affine.translation(col, row))
        return Grid(projection.crs, transform, *band.dimensions)
    bounds = image_bounds(image, image.footprint, "Image.getPixels")
    if default_size is not None:
        return longest_side_grid(projection.crs, bounds, default_size)
    grid, _, _ = grid_covering(north_up(projection), bounds)
    return grid

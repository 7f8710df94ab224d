"""Completes the PixelGrid of a request: missing members follow from the region and the image.

https://developers.google.com/earth-engine/reference/rest/v1/PixelGrid. Earth Engine documents only
what happens if the whole grid is missing; how single members are completed is a guess.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from affine import Affine

from eedask.emulator.errors import EarthEngineError
from eedask.emulator.functions.images.geometry import image_bounds, north_up
from eedask.emulator.geometry.crs import check_requested
from eedask.emulator.geometry.geometry import from_geojson
from eedask.emulator.output.own_grid import output_grid
from eedask.emulator.pixels.projection import (
    at_scale,
    grid_covering,
    nominal_scale,
    same_crs,
    transform_bounds,
)
from eedask.emulator.pixels.raster import Grid, Image, Projection
from eedask.emulator.regions.shapes import shape_in

Bounds = tuple[float, float, float, float]


def requested_grid(
    image: Image,
    grid: Mapping[str, Any],
    region: Mapping[str, Any] | None = None,
    default_size: int | None = None,
) -> Grid:
    """Return the grid of a PixelGrid, completed from a region or from the image itself.

    Parameters
    ----------
    image : Image
        With at least one band.
    grid : mapping
        A checked PixelGrid. Omitted members of the transform are 0; without a crs it is that of
        the first band; dimensions without a transform divide the bounds.
    region : mapping, optional
        GeoJSON. The grid covers its bounds in the crs of the answer; dimensions say into how many
        pixels these are divided.
    default_size : int, optional
        Number of pixels of the longer side, if nothing else says how many there are.

    Raises
    ------
    EarthEngineError
        400: an invalid grid, or no bounds from which to complete it.
    """
    if not grid and region is None:
        return output_grid(image, default_size=default_size)
    native = image.bands[0].projection
    named = grid.get("crsCode") or grid.get("crsWkt")
    if named:
        check_requested(named)
    crs = named or native.crs
    size = _dimensions(grid["dimensions"]) if "dimensions" in grid else None
    transform = _affine(grid["affineTransform"]) if "affineTransform" in grid else None
    if size and transform and region is None:
        return Grid(crs, transform, *size)
    bounds = _bounds(image, region, crs)
    if size:
        return _divided(crs, bounds, *size)
    if transform:
        projection = Projection(crs, transform)
    elif same_crs(crs, native.crs):
        projection = native
    else:
        projection = north_up(at_scale(Projection(crs), nominal_scale(native)))
    return grid_covering(projection, bounds)[0]


def _dimensions(dimensions: Mapping[str, int]) -> tuple[int, int]:
    width, height = dimensions.get("width", 0), dimensions.get("height", 0)
    if width <= 0 or height <= 0:
        raise EarthEngineError(f"Pixel grid dimensions ({width}x{height}) must be positive.")
    return width, height


def _affine(transform: Mapping[str, float]) -> Affine:
    names = ("scaleX", "shearX", "translateX", "shearY", "scaleY", "translateY")
    result = Affine(*(transform.get(name, 0.0) for name in names))
    if not math.isfinite(result.determinant) or result.determinant == 0:
        raise EarthEngineError("The affine transform of the grid must be invertible.")
    return result


def _bounds(image: Image, region: Mapping[str, Any] | None, crs: str) -> Bounds:
    if region is not None:
        # Edges of GeoJSON are straight in degrees (RFC 7946), unless it says otherwise itself.
        shape = shape_in(from_geojson({"geodesic": False, **region}), crs, 1e-3)
        if shape.is_empty:
            raise EarthEngineError("The region is empty.")
        return shape.bounds
    own = image_bounds(image, None, "Image.getPixels")
    return transform_bounds(own, image.bands[0].projection.crs, crs)


def _divided(crs: str, bounds: Bounds, width: int, height: int) -> Grid:
    left, bottom, right, top = bounds
    if not (right > left and top > bottom):
        raise EarthEngineError("The region has no area.")
    scale_x, scale_y = (right - left) / width, (top - bottom) / height
    return Grid(crs, Affine(scale_x, 0, left, 0, -scale_y, top), width, height)

"""Image algorithms of clipping, projections and resampling."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np
import shapely
from affine import Affine

from eedask.emulator.errors import EarthEngineError
from eedask.emulator.functions.registry import Keeps, algorithm
from eedask.emulator.geometry.crs import WGS84
from eedask.emulator.geometry.geometry import UNBOUNDED, Geometry
from eedask.emulator.pixels.bands import Mask, both, footprint_or_none, with_mask
from eedask.emulator.pixels.projection import (
    at_scale,
    grid_covering,
    requested,
    same_crs,
    transform_bounds,
)
from eedask.emulator.pixels.raster import (
    Band,
    Grid,
    Image,
    Pixels,
    Projection,
    compose,
    is_clear,
    uniform,
)
from eedask.emulator.pixels.resampling import read_through
from eedask.emulator.pixels.sampling import masked
from eedask.emulator.regions.coverage import coverage
from eedask.emulator.regions.shapes import shape_in
from eedask.emulator.values.value_types import Collection, ErrorMargin, Feature


@algorithm("Image.clip", takes_arrays=True, keeps=Keeps.FIRST)
def clip(image: Image, geometry: Any) -> Image:
    """Return the image masked outside a geometry; its mask at the edge is the covered fraction.

    https://developers.google.com/earth-engine/apidocs/ee-image-clip
    """
    return _clipped(image, _as_geometry(geometry, "Image.clip"))


@algorithm("Image.clipToCollection", takes_arrays=True, keeps=Keeps.FIRST)
def clip_to_collection(image: Image, collection: Any) -> Image:
    """Return the image masked outside all geometries of a collection."""
    return _clipped(image, _as_geometry(collection, "Image.clipToCollection"))


def _clipped(image: Image, geometry: Geometry) -> Image:
    if geometry.unbounded:
        return image
    footprint = geometry
    if image.footprint is not None:
        shape = shapely.intersection(image.footprint.lonlat, geometry.lonlat)
        footprint = Geometry(shape, geodesic=False)
    return replace(within(image, geometry), footprint=footprint)


def within(image: Image, geometry: Geometry) -> Image:
    """Return the image masked outside a geometry, with its footprint unchanged."""
    if geometry.unbounded:
        return image
    bands = (_with_extent(_masked_outside(band, geometry), geometry) for band in image.bands)
    return image.with_bands(tuple(bands))


def _masked_outside(band: Band, geometry: Geometry) -> Band:
    def read(grid: Grid) -> Pixels:
        cover = region_mask(geometry, grid)
        if is_clear(cover):
            return masked(grid.shape, band.type.dtype)
        pixels = band.read(grid)
        return Pixels(pixels.values, both(pixels.mask, cover))

    return replace(band, read=read)


def _with_extent(band: Band, geometry: Geometry) -> Band:
    """Return a band whose ``dimensions`` and ``origin`` are those of a geometry's bounds."""
    if band.has_default_projection or geometry.shape.is_empty:
        return band
    pixel = math.sqrt(abs(band.projection.transform.determinant))
    shape = shape_in(geometry, band.projection.crs, pixel)
    grid, col, row = grid_covering(band.projection, shape.bounds)
    right, bottom = col + grid.width, row + grid.height
    if band.dimensions is not None:
        left, top = band.origin or (0, 0)
        right = min(right, left + band.dimensions[0])
        bottom = min(bottom, top + band.dimensions[1])
        col, row = max(col, left), max(row, top)
    size = (max(0, right - col), max(0, bottom - row))
    return replace(band, dimensions=size, origin=(col, row))


@lru_cache(maxsize=16)
def region_mask(geometry: Geometry, grid: Grid) -> Mask:
    """Return the fraction of each pixel of a grid that a geometry covers, in steps of 1/255.

    https://developers.google.com/earth-engine/guides/reducers_weighting
    """
    pixel = math.sqrt(abs(grid.transform.determinant))
    shape = shape_in(geometry, grid.crs, pixel)
    frame = shapely.box(*grid.bounds)
    if not shapely.intersects(shape, frame):
        return uniform(0, grid.shape)
    if shapely.get_dimensions(shape) == 2 and shapely.contains(shape, frame):
        return uniform(1, grid.shape)
    fraction = coverage(shape, grid)
    return np.rint(fraction * 255).astype(np.float32) / np.float32(255)


def _as_geometry(value: Any, name: str) -> Geometry:
    if isinstance(value, Geometry):
        return value
    if isinstance(value, Feature):
        return value.geometry or Geometry(shapely.GeometryCollection())
    if isinstance(value, Image):
        return value.footprint or UNBOUNDED
    if isinstance(value, Collection):
        shapes = []
        for element in value.elements():
            geometry = _as_geometry(element, name)
            if geometry.unbounded:
                return geometry
            shapes.append(geometry.lonlat)
        return Geometry(shapely.union_all(shapes), geodesic=False)
    raise EarthEngineError(f"{name}: Expected a geometry, a feature or a collection.")


@algorithm("Image.clipToBoundsAndScale", takes_arrays=True)
def clip_to_bounds_and_scale(
    image: Image,
    geometry: Geometry | None = None,
    width: int | None = None,
    height: int | None = None,
    max_dimension: int | None = None,
    scale: float | None = None,
) -> Image:
    """Return the image cut to the bounds of a geometry, on a grid of a given size or scale.

    The bounds are taken in the crs of the image. ``width`` and ``height`` are the number of
    pixels that divide them exactly. ``scale`` gives pixels of that size aligned with the
    projection's origin, all that touch the bounds. ``max_dimension`` gives square pixels, that
    many along the longer side.
    https://developers.google.com/earth-engine/apidocs/ee-image-cliptoboundsandscale
    """
    if not image.bands:
        return replace(image, sized=True)
    _check_sizes(width, height, max_dimension, scale)
    base = image.bands[0].projection
    bounds = image_bounds(image, geometry, "Image.clipToBoundsAndScale")
    if width and height:
        grid = _divided(base.crs, bounds, width, height)
    elif max_dimension:
        grid = longest_side_grid(base.crs, bounds, max_dimension)
    else:
        grid, _, _ = grid_covering(north_up(at_scale(base, scale) if scale else base), bounds)
    left, bottom, right, top = bounds
    bands = tuple(_cut_to(band, grid, (left, bottom, right, top)) for band in image.bands)
    region = Geometry(shapely.box(*bounds), base.crs, geodesic=False)
    if not same_crs(base.crs, WGS84):
        region = Geometry(region.lonlat, geodesic=False)
    return replace(image, bands=bands, footprint=region, sized=True)


def _check_sizes(
    width: int | None, height: int | None, longest: int | None, scale: float | None
) -> None:
    if (width is None) != (height is None):
        raise EarthEngineError("Image.clipToBoundsAndScale: Width and height go together.")
    if sum(v is not None for v in (width, longest, scale)) > 1:
        raise EarthEngineError(
            "Image.clipToBoundsAndScale: Only one of width and height, maxDimension and scale "
            "may be specified."
        )
    if any(v is not None and v <= 0 for v in (width, height, longest, scale)):
        raise EarthEngineError("Image.clipToBoundsAndScale: Sizes must be positive.")


def image_bounds(
    image: Image, geometry: Geometry | None, name: str
) -> tuple[float, float, float, float]:
    """Return (left, bottom, right, top) of a geometry, or of an image, in the first band's crs."""
    band = image.bands[0]
    if geometry is not None and not geometry.unbounded:
        shape = shape_in(geometry, band.projection.crs, abs(band.projection.transform.a))
        if not shape.is_empty:
            return shape.bounds
        raise EarthEngineError(f"{name}: The geometry is empty.")
    if band.dimensions is not None:
        col, row = band.origin or (0, 0)
        t = compose(band.projection.transform, Affine.translation(col, row))
        return Grid(band.projection.crs, t, *band.dimensions).bounds
    if image.footprint is not None:
        return shape_in(image.footprint, band.projection.crs, 1e-3).bounds
    raise EarthEngineError(f"{name}: The geometry for image clipping must not be unbounded.")


def north_up(projection: Projection) -> Projection:
    """Return the projection with rows that run southwards, as in pictures."""
    t = projection.transform
    if t.e > 0 and t.b == t.d == 0:
        return Projection(projection.crs, Affine(t.a, 0, t.c, 0, -t.e, t.f))
    return projection


def _divided(crs: str, bounds: tuple[float, float, float, float], width: int, height: int) -> Grid:
    left, bottom, right, top = bounds
    size = ((right - left) / width, (top - bottom) / height)
    if not all(size):
        raise EarthEngineError("Image.clipToBoundsAndScale: The geometry has no area.")
    return Grid(crs, Affine(size[0], 0, left, 0, -size[1], top), width, height)


def longest_side_grid(crs: str, bounds: tuple[float, float, float, float], longest: int) -> Grid:
    """Return a grid that divides bounds exactly, with ``longest`` pixels on the longer side.

    The number on the shorter side makes pixels as nearly square as possible (a guess).
    """
    left, bottom, right, top = bounds
    size = max(right - left, top - bottom) / longest
    if not size > 0:
        raise EarthEngineError("The region has no area.")
    width = max(1, round((right - left) / size))
    height = max(1, round((top - bottom) / size))
    return _divided(crs, bounds, width, height)


def _cut_to(band: Band, grid: Grid, bounds: tuple[float, float, float, float]) -> Band:
    """Return a band with ``grid`` as its default, masked outside bounds in that grid's crs."""
    region = Geometry(shapely.box(*bounds), grid.crs, geodesic=False)
    # The bounds are widened by a millionth of a pixel, so that rounding does not mask the outermost
    # pixels, which fit them exactly.
    margin = 1e-6 * max(abs(grid.transform.a), abs(grid.transform.e))
    left, bottom, right, top = bounds
    padded = (left - margin, bottom - margin, right + margin, top + margin)

    def cover(asked: Grid, mask: Mask) -> Mask:
        inner = transform_bounds(asked.bounds, asked.crs, grid.crs)
        if _contains(padded, inner) or asked == grid:
            return mask
        return both(mask, region_mask(region, asked))

    return replace(
        with_mask(band, cover),
        projection=grid.projection,
        dimensions=(grid.width, grid.height),
        origin=None,
    )


def _contains(outer: Sequence[float], inner: Sequence[float]) -> bool:
    return (
        outer[0] <= inner[0]
        and outer[1] <= inner[1]
        and inner[2] <= outer[2]
        and inner[3] <= outer[3]
    )


@algorithm("Image.setDefaultProjection", takes_arrays=True, keeps=Keeps.FIRST)
def set_default_projection(
    image: Image,
    crs: Projection,
    transform: Sequence[float] | None = None,
    scale: float | None = None,
) -> Image:
    """Return the image with another default projection; its pixels are not resampled.

    https://developers.google.com/earth-engine/apidocs/ee-image-setdefaultprojection
    """
    projection = _stated(crs, transform, scale)
    bands = (
        replace(band, projection=projection, dimensions=None, origin=None) for band in image.bands
    )
    return image.with_bands(tuple(bands))


def _stated(crs: Projection, transform: Sequence[float] | None, scale: float | None) -> Projection:
    projection = requested(None, crs, transform, scale)
    assert projection is not None  # the crs is given
    return projection


@algorithm("Image.reproject", takes_arrays=True, keeps=Keeps.FIRST)
def reproject(
    image: Image,
    crs: Projection,
    transform: Sequence[float] | None = None,
    scale: float | None = None,
) -> Image:
    """Return the image computed in a projection; other grids get its nearest pixels.

    https://developers.google.com/earth-engine/apidocs/ee-image-reproject
    """
    projection = _stated(crs, transform, scale)
    return image.with_bands(tuple(_fixed(band, projection) for band in image.bands))


def _fixed(band: Band, projection: Projection) -> Band:
    def read(grid: Grid) -> Pixels:
        return read_through(band.read, projection, grid, band.type.dtype)

    dimensions = band.dimensions if projection == band.projection else None
    origin = band.origin if projection == band.projection else None
    return replace(band, projection=projection, read=read, dimensions=dimensions, origin=origin)


@algorithm("Image.resample", keeps=Keeps.FIRST)
def resample(image: Image, mode: str = "bilinear") -> Image:
    """Return the image with its source pixels interpolated wherever they are reprojected.

    https://developers.google.com/earth-engine/guides/resample
    """
    if mode not in ("bilinear", "bicubic"):
        raise EarthEngineError(
            f"Image.resample: Unknown resampling mode '{mode}'; use 'bilinear' or 'bicubic'."
        )
    bands = []
    for band in image.bands:

        def read(grid: Grid, band: Band = band) -> Pixels:
            wanted: Any = mode
            # A request passes the last ``resample`` first, so the one next to the source decides.
            return band.read(replace(grid, resampling=wanted))

        bands.append(replace(band, read=read))
    return image.with_bands(tuple(bands))


@algorithm("Image.projection", takes_arrays=True)
def projection_of(image: Image) -> Projection:
    """Return the default projection; raise Earth Engine's 400 if the bands' differ.

    https://developers.google.com/earth-engine/apidocs/ee-image-projection
    """
    if not image.bands:
        raise EarthEngineError("Image.projection: The image has no bands.")
    projections = {band.projection for band in image.bands}
    if len(projections) > 1:
        raise EarthEngineError(
            "Image.projection: The bands of the specified image contains different projections. "
            "Use Image.select to pick a single band."
        )
    return image.bands[0].projection


@algorithm("Image.geometry", takes_arrays=True)
def geometry(
    image: Any,
    max_error: ErrorMargin | None = None,
    projection: Projection | None = None,
    geodesics: bool | None = None,
) -> Geometry:
    """Return the image's footprint; that of an unbounded image is the whole earth."""
    del max_error, geodesics
    footprint: Geometry | None
    footprint = image.footprint if isinstance(image, Image) else image.geometry
    footprint = footprint_or_none(footprint)
    if footprint is None:
        return UNBOUNDED
    if projection is None or same_crs(projection.crs, footprint.crs):
        return footprint
    return Geometry(footprint.coordinates_in(projection.crs), projection.crs, geodesic=False)

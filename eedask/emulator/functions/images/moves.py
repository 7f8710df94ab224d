"""Image algorithms that move pixels: translate, changeProj, displace."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import shapely
from affine import Affine

from eedask.emulator.errors import EarthEngineError
from eedask.emulator.functions.registry import algorithm
from eedask.emulator.geometry.geometry import Geometry
from eedask.emulator.pixels.bands import Array, both, footprint_or_none
from eedask.emulator.pixels.pixel_plans import taps
from eedask.emulator.pixels.pixel_types import cast
from eedask.emulator.pixels.projection import (
    EDGE,
    at_scale,
    locate,
    nominal_scale,
    same_crs,
    unit_metres,
    window_grid,
)
from eedask.emulator.pixels.raster import Band, Grid, Image, Pixels, Projection, apply, compose
from eedask.emulator.pixels.resampling import read_through
from eedask.emulator.pixels.sampling import masked

_MODES = ("nearest_neighbor", "bilinear", "bicubic")
_MOST_PIXELS = 2**26


@algorithm("Image.changeProj")
def change_proj(image: Image, source: Projection, target: Projection) -> Image:
    """Return the image moved so that pixel (c, r) of ``source`` lies at (c, r) of ``target``.

    https://developers.google.com/earth-engine/apidocs/ee-image-changeproj
    """
    return replace(
        image.with_bands(tuple(_moved(band, source, target) for band in image.bands)),
        footprint=_moved_footprint(image.footprint, source, target),
    )


@algorithm("Image.translate")
def translate(
    image: Image, x: float, y: float, units: str = "meters", projection: Projection | None = None
) -> Image:
    """Return the image moved by the vector (x, y), in metres or in pixels of a projection.

    Metres are measured along the axes of the projection, east and north, at its point of true
    scale; pixels along its columns and rows (a guess).
    https://developers.google.com/earth-engine/apidocs/ee-image-translate
    """
    if units not in ("meters", "pixels"):
        raise EarthEngineError(f"Image.translate: Unknown units '{units}'.")
    if not image.bands:
        return image
    source = projection or image.bands[0].projection
    if units == "pixels":
        target = compose(source.transform, Affine.translation(x, y))
    else:
        unit = unit_metres(source.crs)
        target = compose(Affine.translation(x / unit, y / unit), source.transform)
    return change_proj(image, source, Projection(source.crs, target))


def _moved(band: Band, source: Projection, target: Projection) -> Band:
    back = compose(source.transform, ~target.transform)
    forth = compose(target.transform, ~source.transform)

    def read_here(grid: Grid) -> Pixels:
        return band.read(replace(grid, crs=source.crs, transform=compose(back, grid.transform)))

    def read(grid: Grid) -> Pixels:
        if same_crs(grid.crs, target.crs):
            return read_here(grid)
        scale = nominal_scale(grid.projection)
        return read_through(read_here, at_scale(target, scale), grid, band.type.dtype)

    if not same_crs(band.projection.crs, source.crs):
        return replace(band, projection=target, read=read, dimensions=None, origin=None)
    moved = Projection(target.crs, compose(forth, band.projection.transform))
    return replace(band, projection=moved, read=read)


def _moved_footprint(
    footprint: Geometry | None, source: Projection, target: Projection
) -> Geometry | None:
    footprint = footprint_or_none(footprint)
    if footprint is None:
        return None
    forth = compose(target.transform, ~source.transform)

    def move(points: Array) -> Array:
        return np.column_stack(apply(forth, points[:, 0], points[:, 1]))

    shape = shapely.transform(footprint.coordinates_in(source.crs), move)
    return Geometry(Geometry(shape, target.crs, geodesic=False).lonlat, geodesic=False)


@algorithm("Image.displace")
def displace(
    image: Image, displacement: Image, mode: str = "bicubic", most: float | None = None
) -> Image:
    """Return the image warped by vectors in metres.

    A pixel at p shows the value of ``image`` at p + d, where d is the first two bands of
    ``displacement`` there, along the axes of its default projection.
    https://developers.google.com/earth-engine/guides/register
    """
    if mode not in _MODES:
        raise EarthEngineError(f"Image.displace: Unknown mode '{mode}'.")
    if len(displacement.bands) < 2:
        raise EarthEngineError("Image.displace: The displacement must have two bands.")
    del most  # not needed: the area to read follows from the displacements themselves
    made = (_displaced(band, displacement, mode) for band in image.bands)
    return image.with_bands(tuple(made))


def _displaced(band: Band, displacement: Image, mode: str) -> Band:
    across, along = displacement.bands[:2]
    crs = across.projection.crs

    def read(grid: Grid) -> Pixels:
        dx, dy = across.read(grid), along.read(grid)
        mask = both(dx.mask, dy.mask)
        unit = unit_metres(crs)
        # Vectors are added in the displacement's crs, on pixels of the size that is asked for.
        pixels = at_scale(across.projection, nominal_scale(grid.projection))
        if same_crs(grid.crs, crs):
            pixels = grid.projection
        located = locate(grid, pixels)
        there = np.where(mask > 0, 1, np.nan)
        inverse = ~pixels.transform
        vx, vy = dx.values / unit * there, dy.values / unit * there
        cols = located.cols + inverse.a * vx + inverse.b * vy
        rows = located.rows + inverse.d * vx + inverse.e * vy
        found = _picked(band, pixels, cols, rows, mode)
        return Pixels(found.values, both(found.mask, mask))

    return replace(band, read=read)


def _picked(band: Band, projection: Projection, cols: Array, rows: Array, mode: str) -> Pixels:
    """Return a band's pixels at positions in a projection, masked where a position is not finite.

    ``cols`` and ``rows`` are fractional pixel coordinates; (0.5, 0.5) is the first centre.
    """
    known = np.isfinite(cols) & np.isfinite(rows)
    if not known.any():
        return masked(cols.shape, band.type.dtype)
    left, right = math.floor(cols[known].min()) - 2, math.ceil(cols[known].max()) + 3
    top, bottom = math.floor(rows[known].min()) - 2, math.ceil(rows[known].max()) + 3
    if (right - left) * (bottom - top) > _MOST_PIXELS:
        raise EarthEngineError("Image.displace: The displacements reach too far.")
    block = band.read(window_grid(projection, left, top, right - left, bottom - top))
    c, r = np.where(known, cols - left, 0.5), np.where(known, rows - top, 0.5)
    nearest = np.floor(r + EDGE).astype(np.intp), np.floor(c + EDGE).astype(np.intp)
    mask = np.where(known, block.mask[nearest], np.float32(0))
    if mode == "nearest_neighbor":
        return Pixels(block.values[nearest], mask)
    with np.errstate(invalid="ignore", over="ignore"):
        values = _interpolated(block, c - 0.5, r - 0.5, mode == "bicubic")
    if block.values.dtype.kind in "iu":
        values = np.rint(values)
    return Pixels(cast(values, block.values.dtype), mask)


def _interpolated(block: Pixels, cols: Array, rows: Array, bicubic: bool) -> Array:
    """Return values interpolated between pixel centres, without masked neighbours.

    ``cols`` and ``rows`` are fractional; (0, 0) is the centre of the first pixel.
    """
    total, weight = np.zeros(cols.shape), np.zeros(cols.shape)
    valid = block.mask > 0
    data = np.where(valid, block.values, 0).astype(np.float64)
    height, width = data.shape
    for col, col_weight in taps(cols, bicubic):
        for row, row_weight in taps(rows, bicubic):
            at = np.clip(row, 0, height - 1), np.clip(col, 0, width - 1)
            w = np.where(valid[at], col_weight * row_weight, 0.0)
            total += w * data[at]
            weight += w
    return total / np.where(weight != 0, weight, 1)

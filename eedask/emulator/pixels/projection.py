"""Coordinate reference systems, pixel grids, and transformations between them.

Positions are fractional pixel coordinates: (0, 0) is the outer corner of the first pixel and
(0.5, 0.5) its centre. A position that cannot be transformed is infinite.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from affine import Affine
from numpy.typing import NDArray

from eedask.emulator.errors import EarthEngineError
from eedask.emulator.geometry.crs import resolve as crs
from eedask.emulator.geometry.crs import transformer
from eedask.emulator.pixels.raster import Grid, Projection, apply, compose

Bounds = tuple[float, float, float, float]
Positions = NDArray[np.float64]

# One degree of the equator of WGS 84: what Earth Engine multiplies degrees by.
METRES_PER_DEGREE = 111319.49079327358

# Positions this close (in pixels) to a pixel's edge count as on it, so that rounding errors do not
# separate grids that are aligned.
EDGE = 1e-6


@lru_cache(maxsize=256)
def same_crs(a: str, b: str) -> bool:
    """Whether two names stand for the same coordinate reference system."""
    return a == b or crs(a).equals(crs(b), ignore_axis_order=True)


@lru_cache(maxsize=256)
def unit_metres(name: str) -> float:
    """Return the size in metres of a crs's unit, at its point of true scale."""
    system = crs(name)
    factor = float(system.axis_info[0].unit_conversion_factor) if system.axis_info else 1.0
    return math.degrees(factor) * METRES_PER_DEGREE if system.is_geographic else factor


def nominal_scale(projection: Projection) -> float:
    """Return the size of a pixel in metres at the projection's point of true scale.

    Pixels that are not square count as the square of the same area (a guess).
    https://developers.google.com/earth-engine/apidocs/ee-projection-nominalscale
    """
    t = projection.transform
    if t.b == t.d == 0 and abs(t.a) == abs(t.e):
        return abs(t.a) * unit_metres(projection.crs)
    return math.sqrt(abs(t.determinant)) * unit_metres(projection.crs)


def at_scale(projection: Projection, metres: float) -> Projection:
    """Return the projection with pixels of another size in metres, and the same origin.

    https://developers.google.com/earth-engine/apidocs/ee-projection-atscale
    """
    if not metres > 0:
        raise EarthEngineError("Projection.atScale: scale must be positive.")
    factor = metres / nominal_scale(projection)
    scaled = compose(projection.transform, Affine.scale(factor))
    t = projection.transform
    if t.b == t.d == 0 and abs(t.a) == abs(t.e):
        # Computed without the old size, so that whole metres stay exact.
        size = metres / unit_metres(projection.crs)
        scaled = Affine(math.copysign(size, t.a), 0, t.c, 0, math.copysign(size, t.e), t.f)
    return Projection(projection.crs, scaled)


def affine_of(numbers: Sequence[Any]) -> Affine:
    """Return the transform of a ``crsTransform`` list: six numbers, row by row."""
    if len(numbers) != 6:
        raise EarthEngineError("The transform of a projection must have 6 elements.")
    result = Affine(*(float(n) for n in numbers))
    if result.determinant == 0 or not math.isfinite(result.determinant):
        raise EarthEngineError("The transform of a projection must be invertible.")
    return result


def requested(
    base: Projection | None,
    given: Projection | None,
    transform: Sequence[float] | None,
    scale: float | None,
) -> Projection | None:
    """Return the projection that ``crs``, ``crsTransform`` and ``scale`` arguments ask for.

    ``base`` is the image's own. A ``crsTransform`` excludes ``scale``; ``scale`` rescales
    whichever projection there is.
    https://developers.google.com/earth-engine/guides/scale
    """
    if transform is not None:
        if scale is not None:
            raise EarthEngineError("Only one of 'scale' and 'crsTransform' may be specified.")
        chosen = given or base
        name = chosen.crs if chosen else "EPSG:4326"
        return Projection(name, affine_of(transform))
    chosen = given or base
    if chosen is not None and scale is not None:
        return at_scale(chosen, scale)
    return chosen


def grid_covering(projection: Projection, bounds: Bounds) -> tuple[Grid, int, int]:
    """Return the grid of all pixels of a projection that a box in its crs touches.

    Parameters
    ----------
    projection : Projection
    bounds : (left, bottom, right, top) in crs units

    Returns
    -------
    grid : Grid
    col, row : int
        The grid's first pixel, counted in the projection's pixels.
    """
    inverse = ~projection.transform
    left, bottom, right, top = bounds
    corners = [
        apply(inverse, *c) for c in ((left, bottom), (right, bottom), (left, top), (right, top))
    ]
    columns, rows = zip(*corners, strict=True)
    if not all(math.isfinite(v) for v in (*columns, *rows)):
        raise EarthEngineError("The region is unbounded or does not fit the projection.")
    col, row = math.floor(min(columns) + EDGE), math.floor(min(rows) + EDGE)
    width = max(1, math.ceil(max(columns) - EDGE) - col)
    height = max(1, math.ceil(max(rows) - EDGE) - row)
    return window_grid(projection, col, row, width, height), col, row


def window_grid(projection: Projection, col: int, row: int, width: int, height: int) -> Grid:
    """Return a rectangle of a projection's pixels as a grid."""
    transform = compose(projection.transform, Affine.translation(col, row))
    return Grid(projection.crs, transform, width, height)


def transform_bounds(bounds: Bounds, source: str, target: str) -> Bounds:
    """Return the box in ``target`` around a box in ``source``, whose edges are densified."""
    if same_crs(source, target):
        return bounds
    # pyproj's own transform_bounds breaks the box at the antimeridian; a plain hull is wanted.
    left, bottom, right, top = bounds
    t = np.linspace(0.0, 1.0, 22)
    x, y = left + (right - left) * t, bottom + (top - bottom) * t
    xs = np.concatenate([x, x, np.full_like(t, left), np.full_like(t, right)])
    ys = np.concatenate([np.full_like(t, bottom), np.full_like(t, top), y, y])
    u, v = transformer(source, target).transform(xs, ys)
    good = np.isfinite(u) & np.isfinite(v)
    if not good.any():
        return (-math.inf, -math.inf, math.inf, math.inf)
    u, v = u[good], v[good]
    # A curved edge may bulge between two samples: by less than a thousandth of the box.
    du, dv = (u.max() - u.min()) * 1e-3, (v.max() - v.min()) * 1e-3
    return (u.min() - du, v.min() - dv, u.max() + du, v.max() + dv)


@lru_cache(maxsize=64)
def degrees_bounds(grid: Grid) -> Bounds:
    """Return the box (west, south, east, north) in degrees around a grid."""
    return transform_bounds(grid.bounds, grid.crs, "EPSG:4326")


class Located(NamedTuple):
    """Where the centres of a grid's pixels lie in another projection, in its pixels.

    Attributes
    ----------
    cols, rows : ndarray of float64
        Shapes (1, width) and (height, 1) when ``separable``, else (height, width).
    separable : bool
        Whether the grids are parallel: a column's position depends on the column only, a row's
        on the row only.
    """

    cols: Positions
    rows: Positions
    separable: bool


def locate(grid: Grid, projection: Projection) -> Located:
    """Return the positions of a grid's pixel centres in the pixels of a projection.

    Between two crs's the positions are interpolated, with errors far below a pixel. Those so
    close to a pixel's edge that the error could change the pixel are computed exactly.
    """
    if same_crs(grid.crs, projection.crs):
        return _affine_positions(grid, compose(~projection.transform, grid.transform))
    return _warped_positions(grid, projection)


def _affine_positions(grid: Grid, mapping: Affine) -> Located:
    cols = np.arange(grid.width) + 0.5
    rows = (np.arange(grid.height) + 0.5)[:, None]
    if mapping.b == 0 and mapping.d == 0:
        x = mapping.a * cols + mapping.c
        return Located(x[None, :], mapping.e * rows + mapping.f, True)
    return Located(
        mapping.a * cols + mapping.b * rows + mapping.c,
        mapping.d * cols + mapping.e * rows + mapping.f,
        False,
    )


@lru_cache(maxsize=4)
def _warped_positions(grid: Grid, projection: Projection) -> Located:
    warp = _crs_positions(grid, projection.crs)
    inverse = ~projection.transform
    cols = inverse.a * warp.x + inverse.c
    rows = inverse.e * warp.y + inverse.f
    if inverse.b or inverse.d:
        cols += inverse.b * warp.y
        rows += inverse.d * warp.x
    if warp.error:
        bound = warp.error * max(abs(inverse.a) + abs(inverse.b), abs(inverse.d) + abs(inverse.e))
        _make_edges_exact(cols, rows, grid, projection, bound + EDGE)
    cols.setflags(write=False)
    rows.setflags(write=False)
    return Located(cols, rows, False)


def _make_edges_exact(
    cols: Positions, rows: Positions, grid: Grid, projection: Projection, bound: float
) -> None:
    near = np.abs(cols - np.rint(cols)) < bound
    near |= np.abs(rows - np.rint(rows)) < bound
    at_row, at_col = np.nonzero(near)
    if at_row.size:
        x, y = _transform_centres(grid, projection.crs, at_col + 0.5, at_row + 0.5)
        inverse = ~projection.transform
        cols[at_row, at_col] = inverse.a * x + inverse.b * y + inverse.c
        rows[at_row, at_col] = inverse.d * x + inverse.e * y + inverse.f


@dataclass(frozen=True)
class _Warp:
    """Pixel centres in another crs, with a bound of their error (crs units)."""

    x: Positions
    y: Positions
    error: float


@lru_cache(maxsize=8)
def _crs_positions(grid: Grid, target: str) -> _Warp:
    """Transform all pixel centres, by interpolation in a lattice where that is accurate enough.

    The error of interpolating a lattice is measured at the midpoints of its edges; then the
    lattice of twice the density, which those midpoints complete, is used: its error is about a
    quarter of the measured one, which is kept as the bound.
    """
    target_pixel = _pixel_in(grid, target)
    for step in (32, 16, 8):
        if min(grid.shape) < 2 * step or not math.isfinite(target_pixel):
            continue
        lattice = _lattice(grid, target, step)
        if lattice is not None and lattice.error < 0.02 * target_pixel:
            return lattice
    cols, rows = np.meshgrid(np.arange(grid.width) + 0.5, np.arange(grid.height) + 0.5)
    x, y = _transform_centres(grid, target, cols, rows)
    return _Warp(x, y, 0.0)


def _lattice(grid: Grid, target: str, step: int) -> _Warp | None:
    """Interpolate between nodes ``step / 2`` pixels apart; None where a node is infinite."""
    half = step // 2
    n_cols = 2 * math.ceil((grid.width - 1) / step) + 1
    n_rows = 2 * math.ceil((grid.height - 1) / step) + 1
    cols, rows = np.meshgrid(np.arange(n_cols) * half + 0.5, np.arange(n_rows) * half + 0.5)
    x, y = _transform_centres(grid, target, cols, rows)
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        return None
    error = max(_midpoint_error(x), _midpoint_error(y))
    return _Warp(_refined(x, grid, half), _refined(y, grid, half), error)


def _midpoint_error(nodes: Positions) -> float:
    across = np.abs(nodes[:, 1::2] - (nodes[:, :-1:2] + nodes[:, 2::2]) / 2).max()
    along = np.abs(nodes[1::2] - (nodes[:-1:2] + nodes[2::2]) / 2).max()
    return float(across + along)


def _refined(nodes: Positions, grid: Grid, step: int) -> Positions:
    """Interpolate nodes ``step`` pixels apart to all pixels.

    This is no product of matrices: the threads of BLAS cost more than the work when several
    requests are served at once.
    """
    left, right_share = _between(grid.width, nodes.shape[1], step)
    across = nodes[:, left] * (1 - right_share) + nodes[:, left + 1] * right_share
    top, lower_share = _between(grid.height, nodes.shape[0], step)
    lower_share = lower_share[:, None]
    result: Positions = across[top]
    result *= 1 - lower_share
    result += across[top + 1] * lower_share
    return result


def _between(size: int, nodes: int, step: int) -> tuple[NDArray[np.intp], Positions]:
    """Return the node before each of ``size`` pixels, and the share of the one after it."""
    position = np.arange(size) / step
    before = np.minimum(position.astype(np.intp), nodes - 2)
    return before, position - before


def _transform_centres(
    grid: Grid, target: str, cols: NDArray[Any], rows: NDArray[Any]
) -> tuple[Positions, Positions]:
    t = grid.transform
    x = t.a * cols + t.b * rows + t.c
    y = t.d * cols + t.e * rows + t.f
    u, v = transformer(grid.crs, target).transform(x, y)
    return np.asarray(u), np.asarray(v)


def _pixel_in(grid: Grid, target: str) -> float:
    """Return the side of the grid's middle pixel in units of another crs; NaN if outside it."""
    col, row = grid.width / 2, grid.height / 2
    cols, rows = np.array([col, col + 1, col]), np.array([row, row, row + 1])
    x, y = _transform_centres(grid, target, cols, rows)
    with np.errstate(invalid="ignore"):
        area = (x[1] - x[0]) * (y[2] - y[0]) - (x[2] - x[0]) * (y[1] - y[0])
    return math.sqrt(abs(area)) if math.isfinite(area) else math.nan


@lru_cache(maxsize=256)
def pixel_ratio(grid: Grid, projection: Projection) -> float:
    """Return the side of a grid's pixel in pixels of a projection.

    It is measured in the projection's crs at the middle of the grid; 1 if that lies outside.
    """
    if same_crs(grid.crs, projection.crs):
        return math.sqrt(abs(grid.transform.determinant / projection.transform.determinant))
    size = _pixel_in(grid, projection.crs)
    return size / math.sqrt(abs(projection.transform.determinant)) if size > 0 else 1.0

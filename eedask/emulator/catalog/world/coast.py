"""The signed distance to the coast, smoothed, computed from the outlines of the land."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import scipy  # its subpackages are imported when they are first used
import shapely
from affine import Affine
from numpy.typing import NDArray
from rasterio.features import rasterize

from eedask.emulator.catalog.world import terrain

Floats = NDArray[np.float32]
Degrees = NDArray[np.float64]

# The greatest distance that is computed, in metres.
REACH = 10_000.0
_CELLS = 400  # cells per degree, of about 280 m
_MARGIN = 64  # cells around a tile of one degree that are used to compute its distances
_POLAR = 85.0  # degrees: places nearer to the poles have the distance of this latitude


def coast_distance(lon: Degrees, lat: Degrees) -> Floats:
    """Return the metres to the coast, negative in the sea, from -:data:`REACH` to :data:`REACH`.

    Parameters
    ----------
    lon, lat : ndarray of one shape
        Degrees.

    Returns
    -------
    ndarray of float32, of the same shape

    Notes
    -----
    It is interpolated bilinearly between nodes 1/400 of a degree apart. A node's distance is
    computed with the whole tile of one degree that it lies in, so that it does not depend on
    which other places are asked for.
    """
    u, v = _positions(lon, lat)
    col, row = np.floor(u).astype(np.int64), np.floor(v).astype(np.int64)
    left, top, right, bottom = int(col.min()), int(row.min()), int(col.max()), int(row.max())
    kind = _same_distance(left, top, right + 1, bottom + 1)
    if kind is not None:
        return np.full(col.shape, kind, np.float32)
    nodes = _nodes(left, top, right + 1, bottom + 1)
    across, down = (u - col).astype(np.float32), (v - row).astype(np.float32)
    c, r = col - left, row - top
    upper = nodes[r, c] * (1 - across) + nodes[r, c + 1] * across
    lower = nodes[r + 1, c] * (1 - across) + nodes[r + 1, c + 1] * across
    return (upper * (1 - down) + lower * down).astype(np.float32, copy=False)


def same_distance(lon: Degrees, lat: Degrees) -> float | None:
    """Return the distance to the coast if it is the same all over a rectangle; None otherwise.

    Parameters
    ----------
    lon, lat : ndarray
        Longitudes and latitudes that include the rectangle's first and last.
    """
    col, row = (np.floor(at).astype(np.int64) for at in _positions(lon, lat))
    return _same_distance(int(col.min()), int(row.min()), int(col.max()) + 1, int(row.max()) + 1)


def _positions(lon: Degrees, lat: Degrees) -> tuple[Degrees, Degrees]:
    """Return places as fractional columns and rows of the grid of nodes."""
    u = (np.clip(lon, -180, 180 - 1e-9) + 180) * _CELLS - 0.5
    v = (90 - np.clip(lat, -_POLAR, _POLAR)) * _CELLS - 0.5
    return u, v


def has_land(lon: int, lat: int) -> bool:
    """Return whether land is in or near the square of one degree with this south-western corner."""
    row, col = 89 - lat, (lon + 180) % 360
    return 0 <= row < 180 and _tile_distance(col, row) != -REACH


def _same_distance(left: int, top: int, right: int, bottom: int) -> float | None:
    """Return the distance of a rectangle of nodes far from all coasts; None if one is near."""
    kinds = {
        _tile_distance(col % 360, row)
        for col in range(left // _CELLS, right // _CELLS + 1)
        for row in range(top // _CELLS, bottom // _CELLS + 1)
    }
    return kinds.pop() if len(kinds) == 1 else None


def _nodes(left: int, top: int, right: int, bottom: int) -> Floats:
    found = np.empty((bottom - top + 1, right - left + 1), np.float32)
    for tile_row in range(top // _CELLS, bottom // _CELLS + 1):
        rows = _overlap(tile_row, top, bottom)
        for tile_col in range(left // _CELLS, right // _CELLS + 1):
            cols = _overlap(tile_col, left, right)
            found[rows[1], cols[1]] = _tile(tile_col % 360, tile_row)[rows[0], cols[0]]
    return found


def _overlap(tile: int, first: int, last: int) -> tuple[slice, slice]:
    """Return the overlap of a tile and an interval of nodes, as a slice of each."""
    start, stop = max(first, tile * _CELLS), min(last + 1, (tile + 1) * _CELLS)
    return (
        slice(start - tile * _CELLS, stop - tile * _CELLS),
        slice(start - first, stop - first),
    )


@lru_cache(maxsize=360 * 180)
def _tile_distance(col: int, row: int) -> float | None:
    """Return the distance of a tile of one degree far from all coasts; None if one is near."""
    if not 0 <= row < 180:
        return -REACH if row < 0 else REACH
    box = shapely.box(*_box(col, row))
    near = terrain.land_near(box)
    if not near:
        return -REACH
    shapely.prepare(near)
    return REACH if len(near) == 1 and near[0].contains(box) else None


def _box(col: int, row: int) -> tuple[float, float, float, float]:
    margin = _MARGIN / _CELLS
    west, north = -180.0 + col, 90.0 - row
    return (west - margin, north - 1 - margin, west + 1 + margin, north + margin)


@lru_cache(maxsize=128)
def _tile(col: int, row: int) -> Floats:
    kind = _tile_distance(col, row)
    if kind is not None:
        return np.full((_CELLS, _CELLS), kind, np.float32)
    west, _, _, north = _box(col, row)
    box = shapely.box(*_box(col, row))
    parts = [shapely.clip_by_rect(part, *box.bounds) for part in terrain.land_near(box)]
    size = _CELLS + 2 * _MARGIN
    transform = Affine(1 / _CELLS, 0.0, west, 0.0, -1 / _CELLS, north)
    shapes = [part for part in parts if not part.is_empty]
    land = np.zeros((size, size), np.bool_)
    if shapes:
        land = rasterize(shapes, (size, size), transform=transform, dtype="uint8").astype(np.bool_)
    distance = _signed_distance(land, 89.5 - row)
    inner = slice(_MARGIN, _MARGIN + _CELLS)
    return np.ascontiguousarray(distance[inner, inner])


def _signed_distance(land: NDArray[np.bool_], lat: float) -> Floats:
    """Return the signed distance to the edge of a land mask, in metres, slightly smoothed."""
    step = 111_195.0 / _CELLS
    sampling = (step, step * float(np.cos(np.radians(min(abs(lat), 84.5)))))
    far = np.float32(REACH)
    inside = scipy.ndimage.distance_transform_edt(land, sampling) if not land.all() else far
    outside = scipy.ndimage.distance_transform_edt(~land, sampling) if land.any() else far
    signed = np.clip(np.broadcast_to(inside - outside, land.shape), -REACH, REACH)
    smoothed: Floats = scipy.ndimage.gaussian_filter(signed.astype(np.float32), 1.5, mode="nearest")
    return smoothed

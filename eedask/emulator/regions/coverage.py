"""The exact fraction of each pixel of a grid that a shape covers.

Every edge is cut at the lines of the pixel grid, so that each piece lies in one pixel. By Green's
theorem a piece adds (with the sign of its direction) the height that it spans to the area of every
pixel to its right, and the trapezium between it and the pixel's right side to its own pixel. A
cumulative sum along each row then gives the covered fractions. The time is proportional to the
edges' length in pixels plus the number of pixels.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import shapely
from affine import Affine
from numpy.typing import NDArray
from shapely.geometry.base import BaseGeometry
from shapely.geometry.polygon import orient

from eedask.emulator.pixels.projection import EDGE
from eedask.emulator.pixels.raster import Grid, Projection

Points = NDArray[np.float64]  # shape (n, 2): columns and rows of the grid


class Cover:
    """Tells which pixels of a projection a shape covers, window by window.

    Parameters
    ----------
    shape : shapely geometry
        In the projection's crs. Polygons cover fractions of pixels. A point covers the whole pixel
        that it lies in, a line the whole of each pixel that it passes through.
    projection : Projection
        Its pixels are what ``col`` and ``row`` count.
    """

    def __init__(self, shape: BaseGeometry, projection: Projection) -> None:
        inverse = ~projection.transform
        parts = _simple_parts(shape)
        polygonal = shapely.get_dimensions(parts) == 2
        merged = _merge(parts[polygonal])
        # Exteriors must go round in one direction and holes in the other.
        polygons = [orient(part) for part in merged if part.geom_type == "Polygon"]
        sign = 1 if inverse.determinant > 0 else -1
        self._areas = _segments(shapely.get_rings(polygons), inverse, sign)
        self._lines = _segments(parts[~polygonal], inverse, 1)

    def fractions(self, col: int, row: int, width: int, height: int) -> NDArray[np.float32]:
        """Return the covered fraction of each pixel of a window, shape (height, width)."""
        size = (height, width)
        out = _signed_area(_moved(self._areas, col, row), size).astype(np.float32)
        if len(self._lines[0]):
            out[_touched(*_moved(self._lines, col, row), size)] = 1
        return out

    def centres(self, col: int, row: int, width: int, height: int) -> NDArray[np.bool_]:
        """Return whether each pixel's centre is in the shape, an array (height, width) of bool.

        A centre on a left or upper edge is inside and one on a right or lower edge outside, so
        that regions that share an edge share no pixel.
        """
        size = (height, width)
        inside = _winding(_moved(self._areas, col, row), size) > 0
        if len(self._lines[0]):
            inside |= _touched(*_moved(self._lines, col, row), size)
        return inside


def coverage(shape: BaseGeometry, grid: Grid) -> NDArray[np.float32]:
    """Return the fraction of each pixel of a grid that a shape (in the grid's crs) covers."""
    return Cover(shape, grid.projection).fractions(0, 0, grid.width, grid.height)


def centres(shape: BaseGeometry, grid: Grid) -> NDArray[np.bool_]:
    """Return whether the centre of each pixel of a grid is in a shape (in the grid's crs)."""
    return Cover(shape, grid.projection).centres(0, 0, grid.width, grid.height)


def covered_by(quads: Points) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return, for each of many quadrilaterals, the fractions of the pixels that it covers.

    Parameters
    ----------
    quads : ndarray of float64, shape (n, 4, 2)
        The columns and rows of the corners, clockwise or counter-clockwise.

    Returns
    -------
    corner : ndarray of int, shape (n, 2)
        Column and row of the first pixel of each quadrilateral's window.
    fractions : ndarray of float64, shape (n, height, width)
        The covered fraction of each pixel of the windows, which all have the size that the
        largest quadrilateral needs.
    """
    corner = np.floor(quads.min(axis=1)).astype(np.int64)
    far = np.ceil(quads.max(axis=1)).astype(np.int64)
    width, height = (int(v) for v in np.maximum(far - corner, 1).max(axis=0))
    # The windows are stacked below each other, so that one sweep serves all.
    placed = quads - corner[:, None]
    placed[:, :, 1] += (np.arange(len(quads)) * height)[:, None]
    x, y = placed[..., 0], placed[..., 1]
    turn = (x * np.roll(y, -1, axis=1) - np.roll(x, -1, axis=1) * y).sum(axis=1)
    placed[turn < 0] = placed[turn < 0, ::-1]
    edges = placed.reshape(-1, 2), np.roll(placed, -1, axis=1).reshape(-1, 2)
    area = _signed_area(edges, (len(quads) * height, width))
    return corner, area.reshape(len(quads), height, width)


def _simple_parts(shape: BaseGeometry) -> NDArray[np.object_]:
    parts = np.atleast_1d(shapely.get_parts(shape))
    while any(part.geom_type.startswith(("Multi", "Geometry")) for part in parts):
        parts = shapely.get_parts(parts)
    return np.asarray(parts[~shapely.is_empty(parts)], dtype=object)


def _moved(edges: tuple[Points, Points], col: int, row: int) -> tuple[Points, Points]:
    """Return edges with columns and rows counted from the first pixel of a window."""
    if not (col or row):
        return edges
    return edges[0] - (col, row), edges[1] - (col, row)


def _merge(polygons: NDArray[np.object_]) -> NDArray[np.object_]:
    """Return the union of polygons as polygons that do not overlap: no area may count twice."""
    if len(polygons) <= 1 and shapely.is_valid(polygons).all():
        return polygons
    merged = shapely.union_all(shapely.make_valid(polygons))
    return np.atleast_1d(shapely.get_parts(merged))


def _segments(lines: Any, inverse: Affine, sign: int) -> tuple[Points, Points]:
    """Return the starts and ends, in pixels, of the segments of lines; a point has length 0.

    With a negative ``sign`` they are exchanged.
    """
    xy, owner = shapely.get_coordinates(lines, return_index=True)
    t = np.array([[inverse.a, inverse.d], [inverse.b, inverse.e]])
    points = xy @ t + (inverse.c, inverse.f)
    joined = owner[:-1] == owner[1:]
    single = np.bincount(owner, minlength=1)[owner] == 1
    start = np.vstack([points[:-1][joined], points[single]])
    end = np.vstack([points[1:][joined], points[single]])
    return (start, end) if sign > 0 else (end, start)


def _cut(start: Points, end: Points, axis: int) -> tuple[Points, Points]:
    """Cut segments where their coordinate along an axis passes a whole number."""
    a, b = start[:, axis], end[:, axis]
    low, high = np.floor(np.minimum(a, b)), np.ceil(np.maximum(a, b))
    pieces = np.maximum(high - low, 1).astype(np.int64)
    if (pieces == 1).all():
        return start, end
    which = np.repeat(np.arange(len(pieces)), pieces)
    number = np.arange(len(which)) - np.repeat(np.cumsum(pieces) - pieces, pieces)
    up = (b >= a)[which]
    first = np.where(up, low[which] + number, high[which] - number)
    last = np.where(up, first + 1, first - 1)
    begin = _at(start[which], end[which], axis, first)
    finish = _at(start[which], end[which], axis, last)
    is_first, is_last = number == 0, number == pieces[which] - 1
    begin[is_first], finish[is_last] = start[which[is_first]], end[which[is_last]]
    return begin, finish


def _at(start: Points, end: Points, axis: int, value: NDArray[np.float64]) -> Points:
    """Return the point of each segment whose coordinate along an axis is (exactly) a value."""
    span = end[:, axis] - start[:, axis]
    with np.errstate(invalid="ignore", divide="ignore"):
        t = np.where(span == 0, 0.0, (value - start[:, axis]) / span)
    out = start + t[:, None] * (end - start)
    out[:, axis] = value
    return out


def _clip_rows(start: Points, end: Points, low: float, high: float) -> tuple[Points, Points]:
    """Return the parts of segments that lie between two rows."""
    keep = (np.maximum(start[:, 1], end[:, 1]) > low) & (np.minimum(start[:, 1], end[:, 1]) < high)
    start, end = start[keep], end[keep]
    out = []
    for here, other in ((start, end), (end, start)):
        clipped = np.clip(here[:, 1], low, high)
        out.append(np.where((clipped != here[:, 1])[:, None], _at(here, other, 1, clipped), here))
    return out[0], out[1]


def _clamp_cols(start: Points, end: Points, width: int) -> tuple[Points, Points]:
    """Move what lies left or right of the grid onto its sides, which leaves the areas the same."""
    for edge in (0.0, float(width)):
        a, b = start[:, 0] - edge, end[:, 0] - edge
        cross = a * b < 0
        if cross.any():
            middle = _at(start[cross], end[cross], 0, np.full(int(cross.sum()), edge))
            kept = end.copy()
            kept[cross] = middle
            start, end = np.vstack([start, middle]), np.vstack([kept, end[cross]])
    start, end = start.copy(), end.copy()
    start[:, 0] = np.clip(start[:, 0], 0, width)
    end[:, 0] = np.clip(end[:, 0], 0, width)
    return start, end


def _signed_area(edges: tuple[Points, Points], size: tuple[int, int]) -> NDArray[np.float64]:
    """Return the covered fraction of each pixel, shape ``size``, inside edges that go round it."""
    height, width = size
    start, end = _clip_rows(*edges, 0.0, float(height))
    start, end = _clamp_cols(start, end, width)
    start, end = _cut(*_cut(start, end, 1), 0)
    if not len(start):
        return np.zeros(size)
    middle = (start + end) / 2
    row = np.clip(np.floor(middle[:, 1]), 0, height - 1).astype(np.int64)
    col = np.floor(middle[:, 0]).astype(np.int64)  # is `width` for edges right of the grid
    dy = start[:, 1] - end[:, 1]
    share = middle[:, 0] - col
    # `own` is what a piece adds in its own pixel. `rest`, one column further right, completes the
    # whole height for the pixels to its right once the row is summed cumulatively.
    stride = width + 2
    flat = row * stride + col
    own = np.bincount(flat, dy * (1 - share), height * stride)
    rest = np.bincount(flat + 1, dy * share, height * stride)
    area = np.cumsum((own + rest).reshape(height, stride), axis=1)[:, :width]
    # Rounding errors must neither give an untouched pixel a tiny fraction nor take one from a
    # fully covered pixel.
    return np.clip(np.round(area, 9), 0.0, 1.0)


def _winding(edges: tuple[Points, Points], size: tuple[int, int]) -> NDArray[np.int64]:
    """Return how many times the edges go round each pixel's centre."""
    height, width = size
    start, end = _clip_rows(*edges, 0.0, float(height))
    a, b = start[:, 1], end[:, 1]
    low = np.ceil(np.minimum(a, b) - 0.5).astype(np.int64)
    high = np.ceil(np.maximum(a, b) - 0.5).astype(np.int64)  # centres in [low, high)
    count = np.maximum(high - low, 0)
    which = np.repeat(np.arange(len(count)), count)
    row = low[which] + np.arange(len(which)) - np.repeat(np.cumsum(count) - count, count)
    x = _at(start[which], end[which], 1, row + 0.5)[:, 0]
    col = np.clip(np.ceil(x - 0.5), 0, width).astype(np.int64)
    direction = np.where(a > b, 1, -1)[which]
    crossings = np.bincount(row * (width + 1) + col, direction, height * (width + 1))
    turns = np.cumsum(crossings.reshape(height, width + 1), axis=1)[:, :width]
    return np.rint(turns).astype(np.int64)


def _touched(start: Points, end: Points, size: tuple[int, int]) -> NDArray[np.bool_]:
    """Return whether a line passes through each pixel, or a point lies in it, shape ``size``.

    A point within rounding error of an edge belongs to the pixel to the right of it or below, as
    in :func:`~eedask.emulator.pixels.projection.grid_covering`.
    """
    height, width = size
    out = np.zeros(size, bool)
    start, end = start + EDGE, end + EDGE
    keep = (np.maximum(start, end) >= 0).all(axis=1)
    keep &= (np.minimum(start, end) <= (width, height)).all(axis=1)
    start, end = _clip_line(start[keep], end[keep], (width, height))
    start, end = _cut(*_cut(start, end, 1), 0)
    middle = np.floor((start + end) / 2).astype(np.int64)
    inside = (middle >= 0).all(axis=1) & (middle < (width, height)).all(axis=1)
    out[middle[inside, 1], middle[inside, 0]] = True
    return out


def _clip_line(start: Points, end: Points, size: tuple[int, int]) -> tuple[Points, Points]:
    """Clip lines to the grid and one pixel around it, so that long ones make few pieces."""
    for axis in (0, 1):
        low, high = -1.0, size[axis] + 1.0
        keep = np.maximum(start[:, axis], end[:, axis]) >= low
        keep &= np.minimum(start[:, axis], end[:, axis]) <= high
        start, end = start[keep], end[keep]
        new = []
        for here, other in ((start, end), (end, start)):
            clipped = np.clip(here[:, axis], low, high)
            moved = _at(here, other, axis, clipped)
            new.append(np.where((clipped != here[:, axis])[:, None], moved, here))
        start, end = new
    return start, end

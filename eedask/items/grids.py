"""Cells and points of regular grids, over regions."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import pyproj
import shapely
from numpy.typing import NDArray
from shapely.geometry.base import BaseGeometry

from eedask.arguments import is_positive
from eedask.errors import InputError, ItemsError
from eedask.grid import Transform, apply, invert
from eedask.items.regions import Polygons, check_region, laid_crs, polygons_in

Numbers = NDArray[np.int64]

# A region must reach this share of a cell's side into a cell to meet it: edges that coincide but
# for rounding do not.
_SLACK = 1e-6
# The most cells in the bounds of all polygons: each takes some 300 bytes of memory.
_MOST_CELLS = 5_000_000


def grid(region: Any, cell_size: float, crs: Any = None) -> gpd.GeoDataFrame:
    """Cut a region into the square cells of a grid. No request.

    Parameters
    ----------
    region : GeoDataFrame, GeoSeries or shapely geometry
        Polygons in any crs; a bare geometry is in EPSG:4326.
    cell_size : float
        Side of a cell in the units of ``crs``: metres, or degrees where it is geographic.
    crs : anything pyproj reads, or "utm", optional
        In which cells are square. When not given, the region's own if that is projected, else
        the UTM zone of its middle. Cells are equal in area in a crs such as "EPSG:6933".

    Returns
    -------
    GeoDataFrame
        The cells that the region meets, whole ones, row by row, in ``crs``. Columns: ``row`` and
        ``column`` (int64), counted from the origin of the crs to the north and the east, so that
        a cell is the same whatever the region. The index, named "id", holds ``"rROWcCOLUMN"``.
        In a geographic crs, cells end at the antimeridian and the poles.

    Raises
    ------
    InputError
        If the size is no positive number, the crs cannot hold the region, or there would be
        millions of cells.
    ItemsError
        If the region has no area, or no crs.

    Examples
    --------
    >>> cells = eedask.items.grid(shapely.box(-105.0, 40.0, -104.9, 40.1), 5000)
    >>> len(cells), cells.index[0], cells.crs.to_string()
    (6, 'r885c100', 'EPSG:32613')
    """
    _check_size("cell_size", cell_size)
    return cells_over(*_laid(region, cell_size, crs))


def points_on_grid(region: Any, spacing: float, crs: Any = None) -> gpd.GeoDataFrame:
    """Lay points over a region at regular distances. No request.

    Parameters
    ----------
    region : GeoDataFrame, GeoSeries or shapely geometry
        Polygons in any crs; a bare geometry is in EPSG:4326.
    spacing : float
        Distance to the next point of a row or column, in the units of ``crs``.
    crs : anything pyproj reads, or "utm", optional
        As in :func:`grid`.

    Returns
    -------
    GeoDataFrame
        The middles of the cells of :func:`grid`, with their ``row``, ``column`` and ids, that lie
        within the region or on its border, in ``crs``.

    Raises
    ------
    InputError
        As of :func:`grid`; also if no point lies in the region.
    ItemsError
        If the region has no area, or no crs.

    Examples
    --------
    >>> box = shapely.box(0, 0, 3, 2)
    >>> points = eedask.items.points_on_grid(box, 1, crs="EPSG:4326")
    >>> len(points), points.index[0], points.geometry.iloc[0].wkt
    (6, 'r0c0', 'POINT (0.5 0.5)')
    """
    _check_size("spacing", spacing)
    polygons, known, transform = _laid(region, spacing, crs)
    found = []
    for shape, rows, columns in _candidates(polygons, transform):
        inside = shapely.intersects_xy(shape, columns + 0.5, rows + 0.5)
        found.append(np.stack([rows, columns], axis=1)[inside])
    at = np.unique(np.concatenate(found), axis=0)
    if not len(at):
        raise ItemsError(
            f"no point of a grid of spacing={spacing!r} lies in the region: state a smaller one,"
            f" in the units of {known.name!r}"
        )
    xs, ys = apply(transform, at[:, 1] + 0.5, at[:, 0] + 0.5)
    return _frame(at, shapely.points(xs, ys), known)


def cells_over(polygons: Polygons, crs: pyproj.CRS, transform: Transform) -> gpd.GeoDataFrame:
    """Return the cells that polygons meet.

    Parameters
    ----------
    polygons : ndarray of shapely.Polygon
        In ``crs``.
    crs : pyproj.CRS
    transform : tuple of 6 floats
        From (column, row), counted in cells, to coordinates.

    Raises
    ------
    InputError
        If there are too many.
    """
    found = []
    for shape, rows, columns in _candidates(polygons, transform):
        inner = (columns + _SLACK, rows + _SLACK, columns + 1 - _SLACK, rows + 1 - _SLACK)
        met = shapely.intersects(shape, shapely.box(*inner))
        found.append(np.stack([rows, columns], axis=1)[met])
    at = np.unique(np.concatenate(found), axis=0)
    return _frame(at, _squares(at, crs, transform), crs)


def _check_size(name: str, size: Any) -> None:
    if not is_positive(size):
        raise InputError(f"{name} is a positive number of the crs's units; got {size!r}")


def _laid(region: Any, size: float, crs: Any) -> tuple[Polygons, pyproj.CRS, Transform]:
    """Return a region's polygons, the crs that they are in, and the transform of its cells."""
    checked = check_region(region)
    known = laid_crs(checked, crs)
    transform = (float(size), 0.0, 0.0, 0.0, float(size), 0.0)
    return polygons_in(checked, known), known, transform


def _candidates(
    polygons: Polygons, transform: Transform
) -> Iterator[tuple[BaseGeometry, Numbers, Numbers]]:
    """Yield each polygon, measured in cells, with row and column of the cells in its bounds."""
    shapes = shapely.transform(
        polygons, lambda at: np.stack(invert(transform, at[:, 0], at[:, 1]), axis=1)
    )
    low = np.floor(shapely.bounds(shapes)[:, :2] + _SLACK)
    high = np.maximum(np.ceil(shapely.bounds(shapes)[:, 2:] - _SLACK), low + 1)
    # Of numbers so large that they may exceed an integer.
    if (count := float(np.prod(high - low, axis=1).sum())) > _MOST_CELLS:
        raise InputError(
            f"some {count:.3g} cells of such a size lie about the region, more than"
            f" {_MOST_CELLS:,}: make cells larger (their size is in the crs's units, such as"
            " metres), or work on parts of the region"
        )
    shapely.prepare(shapes)
    for shape, (left, bottom), (right, top) in zip(
        shapes, low.astype(np.int64), high.astype(np.int64), strict=True
    ):
        rows, columns = np.divmod(np.arange((top - bottom) * (right - left)), right - left)
        yield shape, rows + bottom, columns + left


def _squares(at: Numbers, crs: pyproj.CRS, transform: Transform) -> Polygons:
    """Return cells as polygons; in a geographic crs they end where the world does."""
    corners = np.array([(0, 0), (0, 1), (1, 1), (1, 0)])
    rows, columns = (at[:, [k]] + corners[:, k] for k in (0, 1))
    rings = np.stack(apply(transform, columns, rows), axis=-1)
    squares = np.asarray(shapely.polygons(rings), object)
    if crs.is_geographic:
        beyond = (np.abs(rings) > (180, 90)).any(axis=(1, 2))
        squares[beyond] = shapely.intersection(squares[beyond], shapely.box(-180, -90, 180, 90))
    return np.asarray(shapely.normalize(squares), object)


def _frame(at: Numbers, shapes: Any, crs: pyproj.CRS) -> gpd.GeoDataFrame:
    ids = pd.Index([f"r{row}c{column}" for row, column in at.tolist()], name="id")
    columns = {"row": at[:, 0], "column": at[:, 1]}
    return gpd.GeoDataFrame(columns, geometry=shapes, index=ids, crs=crs)

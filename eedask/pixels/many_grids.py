"""Works out where the chips of many items lie, all at once.

One item by itself takes about 0.2 ms, most of it for calls of shapely and pyproj. These take hardly
longer for arrays of thousands.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import repeat

import numpy as np
import shapely
from numpy.typing import NDArray

from eedask.crs import UTM, from_degrees, same_crs, utm_crs
from eedask.grid import PixelGrid, centred, covered, grid_at
from eedask.items.item import WorkItem
from eedask.pixels.layout import Layout

# More columns of blocks than a lattice around the Earth has.
_BLOCKS = 2**32

# By how much the sides of a box move when it is widened by 1.
_OUTWARDS = np.array([-1.0, -1.0, 1.0, 1.0])

# If outlines have more vertices on average, estimates use their bounding boxes instead.
_MOST_VERTICES = 20


@dataclass(frozen=True)
class Places:
    """Where the chips of several items lie.

    Attributes
    ----------
    crs : ndarray of str, shape (items,)
        The crs of each chip.
    first : ndarray of int64, shape (items, 2)
        Row and column of each chip's first pixel, on its lattice.
    shapes : ndarray of int64, shape (items, 2)
        Rows and columns of each chip.
    placed : ndarray of bool, shape (items,)
        Whether it is known where the item's chip lies. Where this is False, the item has no
        geometry or lies where the crs is not defined, and the other arrays hold no meaningful
        values.
    about : bool
        Whether shapes are estimates, which may be off by a row or column, or by a few per cent.
    """

    crs: NDArray[np.object_]
    first: NDArray[np.int64]
    shapes: NDArray[np.int64]
    placed: NDArray[np.bool_]
    about: bool = False

    @property
    def names(self) -> frozenset[str]:
        """The names of all crs that chips are in."""
        return frozenset(self.crs[self.placed])

    def cells(self) -> frozenset[tuple[str, int]]:
        """Return which blocks of the lattice the chips lie in. All chips must have one shape.

        The lattice is divided into blocks of that shape. A block is given as its crs and one number
        that combines its row and its column among the blocks.
        """
        shape, found = self.shapes[:1], set[tuple[str, int]]()
        for crs in self.names:
            here = self.placed & (self.crs == crs)
            low, high = self.first[here] // shape, (self.first[here] + shape - 1) // shape
            rows, columns = (low[:, 0], high[:, 0]), (low[:, 1], high[:, 1])
            numbers = [row * _BLOCKS + column for row in rows for column in columns]
            found.update(zip(repeat(crs), np.unique(numbers).tolist(), strict=False))
        return frozenset(found)


def grids(layout: Layout, items: Sequence[WorkItem]) -> list[PixelGrid | Exception]:
    """Return the grid of each item's chip, or the error that says why it has none.

    The grids equal those of :meth:`~eedask.pixels.layout.Layout.grid`. The layout's lattice must
    not be native.
    """
    shape = layout.shape
    if shape is None:
        return [_grid(layout, item) for item in items]
    places = placed(layout, items)
    lattices = {crs: layout.transform(crs) for crs in places.names}
    return [
        grid_at(crs, lattices[crs], row, column, shape) if there else _grid(layout, item)
        for item, crs, (row, column), there in zip(
            items, places.crs, places.first.tolist(), places.placed, strict=True
        )
    ]


def _grid(layout: Layout, item: WorkItem) -> PixelGrid | Exception:
    try:
        return layout.grid(item)
    except Exception as error:
        return error


def placed(layout: Layout, items: Sequence[WorkItem]) -> Places:
    """Return where the chips of items lie: exactly if the layout has a shape, else about."""
    geometries = np.array([item.geometry for item in items], dtype=object)
    centres = np.asarray(shapely.centroid(geometries), object)
    # Some versions of GEOS refuse to tell the coordinates of empty points.
    centres[shapely.is_empty(centres)] = None
    xy = np.stack([shapely.get_x(centres), shapely.get_y(centres)], axis=1)
    there = np.asarray(np.isfinite(xy).all(axis=1), np.bool_)
    crs = np.full(len(items), layout.lattice.crs, dtype=object)
    if layout.lattice.crs == UTM:
        crs[there] = utm_crs(*xy[there].T)
    first = np.zeros((len(items), 2), np.int64)
    shapes = np.ones((len(items), 2), np.int64)
    for name in set(crs[there]):
        here = np.flatnonzero(there & (crs == name))
        if layout.shape is None:
            near = [items[k] for k in here.tolist()]
            own = [item.bounds if item.crs and same_crs(item.crs, name) else None for item in near]
            boxes = _boxes(name, geometries[here], own) + layout.margin(name) * _OUTWARDS
            row, column, *sides = covered(layout.transform(name), *boxes.T)
        else:
            x, y = _projected(name, xy[here]).T
            row, column = centred(layout.transform(name), x, y, layout.shape)
            sides = [np.full(len(here), side) for side in layout.shape]
        finite = np.isfinite([row, column, *sides]).all(axis=0)
        there[here[~finite]] = False
        first[here[finite]] = np.stack([row, column], axis=1)[finite]
        shapes[here[finite]] = np.stack(sides, axis=1)[finite]
    return Places(crs, first, shapes, there, about=layout.shape is None)


def _projected(crs: str, xy: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return points in a crs, shape (points, 2); NaN where it cannot hold them."""
    found = np.stack(from_degrees(crs).transform(*xy.T), axis=1)
    return np.where(np.isfinite(found), found, np.nan)


def _boxes(
    crs: str, geometries: NDArray[np.object_], own: Sequence[tuple[float, ...] | None]
) -> NDArray[np.float64]:
    """Return the bounds of geometries in a crs, shape (geometries, 4).

    They are ``own`` where that is not None, and else the bounds of the vertices; edges, which are
    curves in the crs, may reach a little beyond these.
    """
    outlines: NDArray[np.object_] = geometries
    if shapely.get_num_coordinates(geometries).mean() > _MOST_VERTICES:
        outlines = np.asarray(shapely.box(*shapely.bounds(geometries).T))
    xy, which = shapely.get_coordinates(outlines, return_index=True)
    projected = _projected(crs, xy)
    start = np.searchsorted(which, np.arange(len(outlines)))
    low, high = np.minimum.reduceat(projected, start), np.maximum.reduceat(projected, start)
    boxes = np.concatenate([low, high], axis=1)
    for k, bounds in enumerate(own):
        if bounds is not None:
            boxes[k] = bounds
    return boxes

"""Reads many points that lie close together from one window of pixels, called a cell.

Earth Engine computes whole tiles of an image, whether one of their pixels is asked for or all of
them. Where points are dense, one request for all pixels of a window around them is cheaper than
requests that name each point: fewer requests, and fewer bytes for each point.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import geopandas as gpd
import numpy as np
import shapely
from numpy.typing import NDArray

from eedask.crs import METRES_PER_DEGREE, as_pyproj, from_degrees
from eedask.dataset.items_file import neighbours
from eedask.grid import (
    Lattice,
    NativeProjection,
    PixelGrid,
    Transform,
    aligned,
    grid_at,
    invert,
    rescaled,
)
from eedask.items.item import WorkItem

# Bytes of pixels that are fetched for a point of a cell, at most. A point that is asked for by its
# coordinates takes some 150 bytes, and 20 for each of its values.
BYTES_A_POINT = 512
# Bytes of a cell's pixels: a cell may always have the first number, and never more than the second.
_LITTLE, _MUCH = 2**16, 2**23
# A cell has at least one in _PART of the points that are laid out together, or _ENOUGH points if
# that is less. Cells with fewer points would take more requests than asking for the points does.
_PART, _ENOUGH = 8, 1000
# In pixels. For a point this close to a pixel's edge, Earth Engine's rounding may choose the pixel
# next to the one that is computed here.
_EDGE = 1e-5
# Degrees of longitude, east or west. Near the antimeridian, no document says which pixel of an
# image in degrees a point on the other side of it lies in.
_EASTERNMOST = 170.0
# The density of points is measured in groups of _TOGETHER neighbours. Fewer than two groups take
# few requests anyway. Of many points, a sample of about _LOOKED_AT is enough, and takes a fraction
# of a second.
_TOGETHER, _LOOKED_AT = 1000, 100_000


@dataclass(frozen=True)
class Cell:
    """A window of pixels, and which of them each of its points lies in.

    Attributes
    ----------
    grid : PixelGrid
        The window's crs, transform and shape.
    rows, columns : ndarray of int, shape (points,)
        Row and column, within the window, of the pixel that each point lies in.
    """

    grid: PixelGrid
    rows: NDArray[np.int64]
    columns: NDArray[np.int64]

    @property
    def weight(self) -> float:
        """Number of the window's pixels."""
        return float(self.grid.shape[0] * self.grid.shape[1])


@dataclass(frozen=True)
class CellGrid:
    """The grid of pixels of an image, out of which cells are cut.

    Attributes
    ----------
    crs : str
        The grid's coordinate system.
    transform : tuple of 6 floats
        From (column, row) to crs coordinates, in the order a, b, c, d, e, f of an affine
        transform. It has no first or last pixel: rows and columns may be negative.
    pixel_bytes : int
        Bytes of one pixel: the values of all bands, and one byte of mask for each band.
    """

    crs: str
    transform: Transform
    pixel_bytes: int

    @classmethod
    def of(
        cls, lattice: Lattice, native: NativeProjection | None, types: Mapping[str, Any]
    ) -> CellGrid | None:
        """Return the grid whose pixels Earth Engine samples; None if it is not known here.

        Parameters
        ----------
        lattice : Lattice
            The grid that the user asks for: a crs and a scale, or the image's own grid.
        native : NativeProjection, optional
            The image's own grid; None if its crs cannot be read.
        types : mapping of str to mapping
            The type of each band, as ``ee.PixelType.getInfo`` tells it.
        """
        # An image without bands has no bytes; Earth Engine refuses it when pixels are asked for.
        pixel_bytes = sum(_bytes_of(kind) + 1 for kind in types.values()) or 1
        if not lattice.is_native:
            assert lattice.scale is not None
            return cls(lattice.crs, aligned(lattice.crs, lattice.scale), pixel_bytes)
        if native is None:
            return None
        factor = 1.0 if lattice.scale is None else lattice.scale / native.scale
        return cls(native.crs, rescaled(native.transform, factor), pixel_bytes)

    def cells(self, items: Sequence[WorkItem]) -> list[tuple[list[int], Cell]]:
        """Return cells, each with the positions in ``items`` of the points that lie in it.

        The box around all points is halved, and each half again, until a box has few enough pixels
        for its points. Points that are in no cell have to be asked for as points: those with too
        few neighbours, and those for which only Earth Engine can say which pixel they lie in,
        because they are on a pixel's edge, outside of the crs, or near the antimeridian in a crs
        of degrees.

        Parameters
        ----------
        items : sequence of WorkItem
            Items whose geometries are points.
        """
        if not items:
            return []
        pixels, placed = self._pixels(items)
        fewest = fewest_of(len(items))
        found, todo = [], [np.flatnonzero(placed)]
        while todo:
            chosen = todo.pop()
            if len(chosen) < fewest:
                continue
            first = pixels[chosen].min(axis=0)
            shape = pixels[chosen].max(axis=0) - first + 1
            most = min(_MUCH, max(_LITTLE, BYTES_A_POINT * len(chosen)))
            # As floats: points far apart have more pixels between them than an integer can count.
            if math.prod(map(float, shape)) * self.pixel_bytes <= most:
                found.append((chosen.tolist(), self._cell(pixels[chosen] - first, first, shape)))
                continue
            axis = int(shape.argmax())
            before = pixels[chosen, axis] < first[axis] + shape[axis] // 2
            todo += [chosen[~before], chosen[before]]
        return found

    def _pixels(self, items: Sequence[WorkItem]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """Return the pixel of each point, and whether Earth Engine is sure to find the same.

        Two arrays: (row, column) of each point, shape (points, 2), and booleans, shape (points,).
        """
        degrees = shapely.get_coordinates([item.geometry for item in items])
        x, y = from_degrees(self.crs).transform(degrees[:, 0], degrees[:, 1])
        column, row = invert(self.transform, x, y)
        places = np.stack([row, column], axis=1)
        with np.errstate(invalid="ignore"):
            inside = (np.abs(places) < 2**31).all(axis=1)
            certain = (np.abs(places - np.round(places)) > _EDGE).all(axis=1)
        if as_pyproj(self.crs).is_geographic:
            certain &= np.abs(degrees[:, 0]) < _EASTERNMOST
        whole = np.floor(np.where(inside[:, None], places, 0))
        return whole.astype(np.int64), inside & certain

    def _cell(
        self, pixels: NDArray[np.int64], first: NDArray[np.int64], shape: NDArray[np.int64]
    ) -> Cell:
        row, column = first.tolist()
        height, width = shape.tolist()
        grid = grid_at(self.crs, self.transform, row, column, (height, width))
        return Cell(grid, pixels[:, 0], pixels[:, 1])


def fewest_of(count: int) -> int:
    """Return how many points a cell has, at least, where ``count`` points are laid out together."""
    return max(1, min(_ENOUGH, -(-count // _PART)))


def room_of(items: gpd.GeoDataFrame) -> float:
    """Return the square metres for each point, where points are as dense as at most of them.

    That is the median over groups of neighbouring points: the area of a group's box, divided by the
    number of points in it. It is infinite for fewer than 2,000 points.
    """
    places = items.geometry[~(items.geometry.isna() | items.geometry.is_empty)]
    if len(places) < 2 * _TOGETHER:
        return np.inf
    step = max(1, len(places) // _LOOKED_AT)
    some = places.iloc[::step].to_crs("EPSG:4326")
    degrees = shapely.get_coordinates(some)
    rooms = []
    for chosen in neighbours(some.to_frame(), _TOGETHER):
        width, height = np.ptp(degrees[chosen], axis=0)
        squeeze = np.cos(np.radians(degrees[chosen, 1].mean()))
        rooms.append(width * height * squeeze * METRES_PER_DEGREE**2 / (len(chosen) * step))
    return float(np.median(rooms))


def is_dense(room: float, scale: float, pixel_bytes: float) -> bool:
    """Return True if points are so dense that reading them from cells is cheaper.

    Parameters
    ----------
    room : float
        Square metres for each point; see :func:`room_of`.
    scale : float
        Side of a pixel in metres.
    pixel_bytes : float
        Bytes of one pixel, of all bands, with their masks.
    """
    return room / scale**2 * pixel_bytes <= BYTES_A_POINT


def _bytes_of(kind: Mapping[str, Any]) -> int:
    """Return the bytes of a band's value: 1, 2, 4 or 8, and 8 if the type does not say."""
    if kind.get("precision") == "float":
        return 4
    if kind.get("precision") == "int" and {"min", "max"} <= kind.keys():
        span = kind["max"] - kind["min"]
        return next((size for size in (1, 2, 4) if span < 256**size), 8)
    return 8

"""Dense points by cells: a window of pixels in one request, out of which many points are read.

Earth Engine computes whole tiles, whether one of their pixels is asked for or all. Where points lie
close together, the pixels of a window take one request, and fewer bytes a point than the request
and the answer for each point would.
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

# Bytes of pixels that a point may cost. As a point it takes some 150, and 20 for each value.
BYTES_A_POINT = 512
# What a cell may have however few its points are, and however many.
_LITTLE, _MUCH = 2**16, 2**23
# Points of a cell, at least: an eighth of those that are laid out together, or so many. Cells of
# fewer would be more requests than their points take as points.
_PART, _ENOUGH = 8, 1000
# A part of a pixel. Of a point that lies so near to its edge, Earth Engine may find that it is in
# the next one.
_EDGE = 1e-5
# Degrees of longitude. Beyond, an image in degrees may lie across the antimeridian, and no document
# says which of its pixels a point on the other side lies in.
_EASTERNMOST = 170.0
# Points that are looked at together to see how dense all are; fewer take few requests anyway. And
# of all, so that it takes a fraction of a second.
_TOGETHER, _LOOKED_AT = 1000, 100_000


@dataclass(frozen=True)
class Cell:
    """The window of pixels that some points lie in.

    Attributes
    ----------
    grid : PixelGrid
    rows, columns : ndarray of int, shape (points,)
        Of each point's pixel within the window.
    """

    grid: PixelGrid
    rows: NDArray[np.int64]
    columns: NDArray[np.int64]

    @property
    def weight(self) -> float:
        """Its pixels."""
        return float(self.grid.shape[0] * self.grid.shape[1])


@dataclass(frozen=True)
class CellGrid:
    """The pixels of an image that points are read from.

    Attributes
    ----------
    crs : str
    transform : tuple of 6 floats
        Any pixel of it may be a cell's first.
    pixel_bytes : int
        Of a pixel's values, with a byte of mask for each.
    """

    crs: str
    transform: Transform
    pixel_bytes: int

    @classmethod
    def of(
        cls, lattice: Lattice, native: NativeProjection | None, types: Mapping[str, Any]
    ) -> CellGrid | None:
        """Return the pixels that Earth Engine samples; None where they cannot be placed here.

        Parameters
        ----------
        lattice : Lattice
            The pixels that are asked for, which may be the image's own.
        native : NativeProjection, optional
            The image's grid; None where it has none that can be read.
        types : mapping of str to mapping
            The type of each band, as ``ee.PixelType.getInfo`` tells it.
        """
        # An image without bands is refused with its pixels, and not here.
        pixel_bytes = sum(_bytes_of(kind) + 1 for kind in types.values()) or 1
        if not lattice.is_native:
            assert lattice.scale is not None
            return cls(lattice.crs, aligned(lattice.crs, lattice.scale), pixel_bytes)
        if native is None:
            return None
        factor = 1.0 if lattice.scale is None else lattice.scale / native.scale
        return cls(native.crs, rescaled(native.transform, factor), pixel_bytes)

    def cells(self, items: Sequence[WorkItem]) -> list[tuple[list[int], Cell]]:
        """Return the positions of points that share a cell, and the cell; some are in none.

        A box around all points is halved, and its halves are, until their pixels are few enough
        for their points. Left out are points with too few neighbours, and those of which only Earth
        Engine can say which pixel they lie in: on the edge of one, outside of the crs, or near the
        antimeridian in a crs of degrees.

        Parameters
        ----------
        items : sequence of WorkItem
            Points.
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
            # As floats: the pixels between far points are too many for integers.
            if math.prod(map(float, shape)) * self.pixel_bytes <= most:
                found.append((chosen.tolist(), self._cell(pixels[chosen] - first, first, shape)))
                continue
            axis = int(shape.argmax())
            before = pixels[chosen, axis] < first[axis] + shape[axis] // 2
            todo += [chosen[~before], chosen[before]]
        return found

    def _pixels(self, items: Sequence[WorkItem]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """Return the (row, column) of each point, shape (points, 2), and whether it is certain."""
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
    """Return how many points a cell has, at least, if so many are laid out together."""
    return max(1, min(_ENOUGH, -(-count // _PART)))


def room_of(items: gpd.GeoDataFrame) -> float:
    """Return the square metres that a point has for itself, where points lie as most of them do.

    It is infinite for fewer than 2,000 points.
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
    """Return whether cells are cheaper: whether the pixels around a point are few bytes.

    Parameters
    ----------
    room : float
        Square metres a point; see :func:`room_of`.
    scale : float
        Metres a pixel.
    pixel_bytes : float
    """
    return room / scale**2 * pixel_bytes <= BYTES_A_POINT


def _bytes_of(kind: Mapping[str, Any]) -> int:
    """Return the bytes of a value of a type, or of the widest that it may be."""
    if kind.get("precision") == "float":
        return 4
    if kind.get("precision") == "int" and {"min", "max"} <= kind.keys():
        span = kind["max"] - kind["min"]
        return next((size for size in (1, 2, 4) if span < 256**size), 8)
    return 8

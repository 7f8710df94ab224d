"""Which items share a request, and how large requests may be.

This is what is known before asking: vertices, expected pixels, points of one input tile. What the
requests of a run teach about it is in :mod:`eedask.tables.batches`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
import shapely
from numpy.typing import NDArray

from eedask.arguments import is_count
from eedask.crs import METRES_PER_DEGREE, from_degrees
from eedask.errors import InputError
from eedask.grid import NativeProjection, invert
from eedask.items.item import WorkItem

# Side of Earth Engine's input tiles, pixels.
TILE = 256
# A request's answer holds 5,000 elements at most
# (https://developers.google.com/earth-engine/guides/usage); half leaves room.
_MOST_ITEMS = 2500


def check_batch_size(size: Any) -> None:
    """Raise InputError unless an answer holds a batch of so many items."""
    if not is_count(size) or size > _MOST_ITEMS:
        raise InputError(f"batch_size is a whole number from 1 to {_MOST_ITEMS}; got {size!r}")


@dataclass(frozen=True)
class BatchLimits:
    """How much one request may hold, as far as it is known before asking.

    Attributes
    ----------
    items : int
    tiles : int
        Input tiles that points lie in.
    vertices : int
        Of all geometries; a vertex is about 40 bytes of JSON, and 10 MB the most.
    pixels : float
        Expected to be reduced.
    """

    items: int = 1000
    tiles: int = 100
    vertices: int = 50_000
    pixels: float = 2e7

    def __post_init__(self) -> None:
        check_batch_size(self.items)


class Batching(Protocol):
    """How items are put together in requests, each item with a weight in a unit of its kind."""

    @property
    def presumed(self) -> float:
        """The weight that a request may have before any request has shown what works."""

    @property
    def least(self) -> float:
        """The least weight of an item."""

    def on(self, native: NativeProjection | None) -> Batching:
        """Return the batching of items on an image's grid, once it is known."""

    def batches(self, items: Sequence[WorkItem]) -> tuple[list[list[int]], list[float]]:
        """Return the positions of items that share requests, and the weight of each item."""


@dataclass(frozen=True)
class PointBatching:
    """Points of one input tile share a request; each weighs 1.

    Attributes
    ----------
    limits : BatchLimits
    scale : float, optional
        Metres a pixel, if another than the image's own.
    native : NativeProjection, optional
        The image's grid; None where it has none, or each item its own.
    """

    limits: BatchLimits
    scale: float | None
    native: NativeProjection | None = None

    @property
    def presumed(self) -> float:
        """How many points a request may have before any request has shown what works."""
        return max(250.0, self.limits.items / 8)

    @property
    def least(self) -> float:
        """The weight of a point."""
        return 1.0

    def on(self, native: NativeProjection | None) -> PointBatching:
        """Return the batching of points on an image's grid."""
        return replace(self, native=native)

    def batches(self, items: Sequence[WorkItem]) -> tuple[list[list[int]], list[float]]:
        """Return the positions of points that share requests, and the weight of each."""
        tiles = tiles_of(items, self.native, self.scale)
        return by_tile(tiles, self.limits), [1.0] * len(items)


@dataclass(frozen=True)
class RegionBatching:
    """Regions next to each other share a request; a region weighs the pixels expected in it.

    Attributes
    ----------
    limits : BatchLimits
    scale : float, optional
        Metres a pixel; the native one when None.
    native : NativeProjection, optional
        The image's grid, where it has one.
    outlined : bool
        Whether requests hold the regions' vertices; otherwise Earth Engine knows the regions.
    """

    limits: BatchLimits
    scale: float | None
    native: NativeProjection | None = None
    outlined: bool = True

    @property
    def presumed(self) -> float:
        """How many pixels a request may have before any request has shown what works."""
        return self.limits.pixels / 8

    @property
    def least(self) -> float:
        """The least weight of a region, however small, as a request has work of its own."""
        return self.limits.pixels / self.limits.items

    def on(self, native: NativeProjection | None) -> RegionBatching:
        """Return the batching of regions on an image's grid."""
        return replace(self, native=native)

    def batches(self, items: Sequence[WorkItem]) -> tuple[list[list[int]], list[float]]:
        """Return the positions of regions that share requests, and the weight of each."""
        scale = self.scale or (self.native.scale if self.native else None)
        weights = np.maximum(expected_pixels(items, scale), self.least).tolist()
        vertices = [1] * len(items)
        if self.outlined:
            vertices = shapely.get_num_coordinates([item.geometry for item in items]).tolist()
        return in_order(zip(vertices, weights, strict=True), self.limits), weights


def by_tile(tiles: NDArray[np.int64], limits: BatchLimits) -> list[list[int]]:
    """Return the positions of points that share requests.

    Points of one input tile are in one request, unless they are more than fit; tiles are taken
    in the order in which they first come, which is that of space.

    Parameters
    ----------
    tiles : array of int, shape (points, 2)
        The tile of each point.
    limits : BatchLimits
    """
    _, first, found = np.unique(tiles, axis=0, return_index=True, return_inverse=True)
    tile_of = found.ravel()
    # Sorting by each tile's first point keeps tiles together and in their order.
    order = np.lexsort((np.arange(len(tiles)), first[tile_of])).tolist()
    batches: list[list[int]] = [[]]
    held, current = 0, -1
    sizes = np.bincount(tile_of).tolist()
    numbers = tile_of.tolist()
    for position in order:
        tile = numbers[position]
        fresh = tile != current
        full = len(batches[-1]) >= limits.items
        # A tile that does not fit in whole, but would in a request of its own, begins one.
        parts = fresh and len(batches[-1]) + sizes[tile] > limits.items
        if batches[-1] and (full or parts or (fresh and held >= limits.tiles)):
            batches.append([])
            held, fresh = 0, True
        batches[-1].append(position)
        held += fresh
        current = tile
    return batches


def tiles_of(
    items: Sequence[WorkItem], native: NativeProjection | None, scale: float | None
) -> NDArray[np.int64]:
    """Return the input tile of each point, shape (points, 2).

    Parameters
    ----------
    items : sequence of WorkItem
        Points.
    native : NativeProjection, optional
        The image's grid; None where it has none, or each item its own.
    scale : float, optional
        Metres a pixel, if another than the image's own.
    """
    xy = shapely.get_coordinates([item.geometry for item in items])
    if native is None:
        side = TILE * (scale or 30.0) / METRES_PER_DEGREE
        return np.asarray(np.floor(xy / side), np.int64)
    x, y = from_degrees(native.crs).transform(xy[:, 0], xy[:, 1])
    pixels = np.stack(invert(native.transform, x, y), axis=1)
    # Larger pixels are read from a pyramid's level, whose tiles cover more.
    coarser = 1.0 if scale is None else max(1.0, scale / native.scale)
    # Points that the crs cannot hold are masked in the answer.
    whole = np.floor(np.nan_to_num(pixels, posinf=0, neginf=0) / (TILE * coarser))
    return np.asarray(whole, np.int64)


def in_order(weights: Iterable[tuple[int, float]], limits: BatchLimits) -> list[list[int]]:
    """Return the positions of regions that share requests, neighbours together.

    Parameters
    ----------
    weights : iterable of (int, float)
        Vertices and expected pixels of each region, in the order of space.
    limits : BatchLimits
    """
    batches: list[list[int]] = []
    vertices, pixels = 0, 0.0
    for position, (more_vertices, more_pixels) in enumerate(weights):
        vertices, pixels = vertices + more_vertices, pixels + more_pixels
        over = vertices > limits.vertices or pixels > limits.pixels
        if not batches or over or len(batches[-1]) >= limits.items:
            batches.append([])
            vertices, pixels = more_vertices, more_pixels
        batches[-1].append(position)
    return batches


def expected_pixels(items: Sequence[WorkItem], scale: float | None) -> NDArray[np.float64]:
    """Return roughly how many pixels of so many metres each region has; 0 if that is unknown."""
    shapes = np.array([item.geometry for item in items], dtype=object)
    if not scale:
        return np.zeros(len(shapes))
    _, south, _, north = shapely.bounds(shapes).T
    squeeze = np.cos(np.radians((south + north) / 2))
    # Without a geometry, or with an empty one, bounds are NaN.
    pixels = shapely.area(shapes) * squeeze * (METRES_PER_DEGREE / scale) ** 2
    return np.asarray(np.nan_to_num(pixels), np.float64)

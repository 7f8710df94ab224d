"""What native rasters are: pixels on one grid, and a pyramid of coarser levels."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, fields
from functools import cached_property, lru_cache
from typing import Any, NamedTuple, dataclass_transform, final

import numpy as np
from affine import Affine
from numpy.typing import NDArray

from eedask.emulator.pixels.projection import EDGE
from eedask.emulator.pixels.raster import Pixels, Projection, compose

Numbers = NDArray[np.int64]


class Window(NamedTuple):
    """A rectangle of native pixels of one pyramid level."""

    col: int
    row: int
    width: int
    height: int


@dataclass_transform(eq_default=False, frozen_default=True)
class NativeSource(ABC):
    """One raster: all its bands on one grid, with a pyramid of coarser levels.

    Level k has pixels ``2**k`` as large as level 0, ``ceil(width / 2**k)`` by
    ``ceil(height / 2**k)`` of them, from the same corner.

    Every subclass is made a frozen dataclass. Two sources are equal if they are of one class and
    all their fields are equal. Pixels are cached under the source itself
    (:mod:`eedask.emulator.pixels.native_tiles`), so whatever its pixels depend on has to be a
    field, or constant; fields have to be hashable.

    A source whose pixels can be had by themselves has a method
    ``read_points(band, level, cols, rows) -> Pixels | None`` as well, shape (1, n), and if none of
    its pixels is masked an attribute ``is_opaque`` that is true. Its class may have a static
    method ``read_ahead(parts)``, called with several of its sources, each with a level, columns
    and rows, before these are read one by one.
    """

    projection: Projection
    width: int
    height: int

    def __init_subclass__(cls) -> None:
        dataclass(frozen=True, eq=False)(cls)

    @abstractmethod
    def draw(self, band: int, level: int, window: Window) -> Pixels:
        """Make the pixels of one band (from 0) in a window that lies inside a level."""

    def tile_side(self, level: int) -> int | None:
        """Return in which pieces a level's pixels are cached: the side of square tiles in pixels.

        Few pixels where each takes long to make, many where every call does. 0 (``WHOLE``):
        windows are cached just as they are asked for. None: nothing is cached.
        """
        del level
        return None

    @final
    @cached_property
    def identity(self) -> tuple[Any, ...]:
        """The class and all fields: what tells a source from all others."""
        return (type(self), *(getattr(self, field.name) for field in fields(self)))  # type: ignore[arg-type]

    @cached_property
    def _hash(self) -> int:
        return hash(self.identity)

    @final
    def __hash__(self) -> int:
        return self._hash

    @final
    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        return isinstance(other, NativeSource) and self.identity == other.identity


WHOLE = 0


def level_of(ratio: float, source: NativeSource) -> int:
    """Return the level for pixels so many times as large as the source's own."""
    return min(_highest(max(source.width, source.height)), _fitting(ratio))


def _highest(side: int) -> int:
    """Return the level of one pixel: how often a side can be halved, rounded up."""
    return (side - 1).bit_length() if side > 1 else 0


# The images of a mosaic are asked about the same pixels one after the other.
@lru_cache(maxsize=1024)
def _fitting(ratio: float) -> int:
    return max(0, math.floor(math.log2(max(ratio, 1.0) * (1 + EDGE))))


def sized(source: NativeSource, level: int) -> tuple[Projection, int, int]:
    """Return the projection, width and height of a level."""
    factor = 2**level
    projection = source.projection
    if level:
        projection = Projection(projection.crs, compose(projection.transform, Affine.scale(factor)))
    return projection, math.ceil(source.width / factor), math.ceil(source.height / factor)

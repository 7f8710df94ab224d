"""Native rasters: sources of pixels on one grid, with a pyramid of coarser levels."""

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

    Level k has pixels ``2**k`` times as wide and high as level 0, ``ceil(width / 2**k)`` by
    ``ceil(height / 2**k)`` of them, from the same corner.

    Every subclass is made a frozen dataclass. Two sources are equal if they are of one class and
    all their fields are equal. Pixels are cached under the source itself
    (:mod:`eedask.emulator.pixels.native_tiles`), so whatever its pixels depend on has to be a
    field, or constant; fields have to be hashable.

    Optional members: A source that can compute single pixels has a method
    ``read_points(band, level, cols, rows) -> Pixels | None``, whose result has shape (1, n). If
    none of its pixels is masked, it also has an attribute ``is_opaque`` that is true. Its class
    may have a static method ``read_ahead(parts)``, which is called with several sources, each with
    a level, columns and rows, before these are read one by one.
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
        """Return the side in pixels of the square tiles in which a level is drawn and cached.

        Small tiles suit sources that take long for each pixel, large ones those that take long for
        each call. 0 (``WHOLE``): windows are cached as they are asked for. None: no caching.
        """
        del level
        return None

    @final
    @cached_property
    def identity(self) -> tuple[Any, ...]:
        """The class and the values of all fields, which distinguish a source from all others."""
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
    """Return the level to read for pixels ``ratio`` times as large as the source's own."""
    return min(_highest(max(source.width, source.height)), _fitting(ratio))


def _highest(side: int) -> int:
    """Return the level at which a side of this many pixels is a single pixel."""
    return (side - 1).bit_length() if side > 1 else 0


# Cached because the images of a mosaic are asked for the same pixel size one after the other.
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

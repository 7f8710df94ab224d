"""The canvas: arrays of pixels that land is drawn into, step by step."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eedask.emulator.catalog.world.laying import Mask, lay
from eedask.emulator.catalog.world.palette import Material
from eedask.emulator.catalog.world.patterns import Texture
from eedask.emulator.catalog.world.surface import Cells, Scattered

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]
CanvasIndex = tuple[slice, slice | NDArray[np.intp]]
"""The rows and columns of a part of a canvas, as an index into its arrays."""

_FEW = 16  # scattered pixels that are tested one by one rather than as arrays
# The contrast of textures at pixels of 1, 2, 4 ... metres, relative to their full contrast.
_CONTRAST = (1.0, 0.85, 0.6, 0.4, 0.22, 0.1)


@dataclass(frozen=True)
class Canvas:
    """The pixels of a rectangle of land while it is drawn.

    All two-dimensional arrays have the shape (rows, columns), which is (1, n) for n scattered
    pixels.

    Attributes
    ----------
    cells : Cells or Scattered
        Where the pixels are: a rectangle, or single pixels.
    material : ndarray of uint8
        The :class:`~eedask.emulator.catalog.world.palette.Material`.
    tone : ndarray of float32
        From 0 to 15, between the two extreme colours of the material.
    light : ndarray of float32
        Brightness, around 1.
    trees, shrubs : ndarray of float32
        The density of plants to draw, 0 to 255.
    tamed : ndarray of bool
        True in fields and towns, where no wild tracks are drawn.
    x, south : ndarray of float64, shapes (columns,) and (rows,)
        The pixels' centres on the land plane, in metres east and south.
    """

    cells: Cells | Scattered
    material: NDArray[np.uint8]
    tone: Floats
    light: Floats
    trees: Floats
    shrubs: Floats
    tamed: NDArray[np.bool_]
    x: Doubles
    south: Doubles

    @classmethod
    def empty(cls, cells: Cells | Scattered) -> Canvas:
        """Return a canvas for cells, its arrays (except ``tamed``) not initialized yet."""
        size = 2**cells.q
        if isinstance(cells, Scattered):
            shape, cols, rows = (1, len(cells.cols)), cells.cols, cells.rows
        else:
            shape = (cells.height, cells.width)
            cols, rows = cells.col + np.arange(cells.width), cells.row + np.arange(cells.height)
        return cls(
            cells=cells,
            material=np.empty(shape, np.uint8),
            tone=np.empty(shape, np.float32),
            light=np.empty(shape, np.float32),
            trees=np.empty(shape, np.float32),
            shrubs=np.empty(shape, np.float32),
            tamed=np.zeros(shape, np.bool_),
            x=(cols + 0.5) * size,
            south=(rows + 0.5) * size,
        )

    def some(self, span: slice) -> Canvas:
        """Return a canvas of some of the scattered pixels, whose arrays are views of this one's."""
        assert isinstance(self.cells, Scattered)
        at = np.s_[:, span]
        return Canvas(
            Scattered(self.cells.q, self.cells.cols[span], self.cells.rows[span]),
            self.material[at],
            self.tone[at],
            self.light[at],
            self.trees[at],
            self.shrubs[at],
            self.tamed[at],
            self.x[span],
            self.south[span],
        )

    @property
    def contrast(self) -> np.float32:
        """The contrast of textures at this size of pixels, 0 to 1."""
        level = self.cells.q
        return np.float32(_CONTRAST[level] if level < len(_CONTRAST) else 0.04)

    def part(self, west: float, north: float, east: float, south: float) -> CanvasIndex | None:
        """Return the indices of the pixels whose centres are in a rectangle; None for no pixels.

        The rectangle is in metres on the land plane. The indices are slices, which make views,
        except for some but not all of scattered pixels.
        """
        if isinstance(self.cells, Scattered):
            return self._scattered_part(self.cells, (west, north, east, south))
        cols = self._span(west, east, self.cells.col, self.cells.width)
        rows = self._span(north, south, self.cells.row, self.cells.height)
        return None if cols is None or rows is None else (rows, cols)

    def _scattered_part(
        self, cells: Scattered, box: tuple[float, float, float, float]
    ) -> CanvasIndex | None:
        if len(cells.cols) <= _FEW:
            return self._few_in(box)
        inside = np.ones(len(cells.cols), np.bool_)
        for at, low, high in ((cells.cols, box[0], box[2]), (cells.rows, box[1], box[3])):
            start, stop = self._ends(low, high)
            inside &= (at >= start) & (at < stop)
        if inside.all():
            return slice(0, 1), slice(0, len(inside))
        return (slice(0, 1), np.flatnonzero(inside)) if inside.any() else None

    def _few_in(self, box: tuple[float, float, float, float]) -> CanvasIndex | None:
        """Return the same as :meth:`part` for a few scattered pixels, in plain Python for speed."""
        cols, rows = self._numbers
        west, east = self._ends(box[0], box[2])
        north, south = self._ends(box[1], box[3])
        within = [west <= c < east and north <= r < south for c, r in zip(cols, rows, strict=True)]
        if all(within):
            return slice(0, 1), slice(0, len(within))
        return (slice(0, 1), np.flatnonzero(within)) if any(within) else None

    @cached_property
    def _numbers(self) -> tuple[list[int], list[int]]:
        """The columns and rows of scattered pixels, as lists."""
        assert isinstance(self.cells, Scattered)
        return self.cells.cols.tolist(), self.cells.rows.tolist()

    def down(self, part: CanvasIndex) -> Doubles:
        """Return the ``south`` of a part's pixels in a shape that broadcasts with its ``x``."""
        if isinstance(self.cells, Scattered):
            return self.south[part[1]][None]
        return self.south[part[0]][:, None]

    def _ends(self, low: float, high: float) -> tuple[int, int]:
        """Return the first cell whose centre is in an interval of metres, and the first beyond."""
        size = 2**self.cells.q
        return math.ceil(low / size - 0.5), math.ceil(high / size - 0.5)

    def _span(self, low: float, high: float, first: int, count: int) -> slice | None:
        start, stop = self._ends(low, high)
        start, stop = max(0, start - first), min(count, stop - first)
        return slice(start, stop) if start < stop else None

    def tame(self, part: CanvasIndex) -> None:
        """Remove the plants from a part, and mark it as free of wild tracks."""
        self.trees[part] = 0
        self.shrubs[part] = 0
        self.tamed[part] = True

    def ranks(self, texture: Texture) -> NDArray[Any]:
        """Return a texture of ranks at the pixels; at large pixels all are near the middle rank."""
        ranks = texture.cut(self.cells)
        if self.cells.q < 2:
            return ranks
        return np.float32(128) + (ranks - np.float32(128)) * self.contrast

    def lit(self, texture: Texture) -> Floats:
        """Return a texture of light at the pixels, its contrast adapted to their size."""
        light = texture.cut(self.cells)
        return light if self.cells.q == 0 else 1 + (light - 1) * self.contrast

    def fill(self, where: Mask, material: Material) -> None:
        """Set the material where a mask is True."""
        lay(self.material, where, np.uint8(material))

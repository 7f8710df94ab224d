"""The sheet that land is drawn on."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eedask.emulator.catalog.palette import Material
from eedask.emulator.catalog.patterns import Texture
from eedask.emulator.catalog.surface import Cells

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]
Mask = NDArray[np.bool_] | np.bool_
Part = tuple[slice, slice]  # rows, columns

# How much of the textures' contrast is left when pixels grow to 1, 2, 4 ... metres.
_CONTRAST = (1.0, 0.85, 0.6, 0.4, 0.22, 0.1)


@dataclass(frozen=True)
class Canvas:
    """Pixels of a box of land in the making.

    Attributes
    ----------
    cells : Cells
        The box.
    material : ndarray of uint8
    tone, light : ndarray of float32
    trees, shrubs : ndarray of float32
        Density that is wanted, 0 to 255.
    tamed : ndarray of bool
        Fields and towns, where no wild track runs.
    x, south : ndarray of float64, shapes (columns,) and (rows,)
        Metres of the pixels' middles on the land plane.
    """

    cells: Cells
    material: NDArray[np.uint8]
    tone: Floats
    light: Floats
    trees: Floats
    shrubs: Floats
    tamed: NDArray[np.bool_]
    x: Doubles
    south: Doubles

    @classmethod
    def empty(cls, cells: Cells) -> Canvas:
        """Return a sheet to draw on."""
        shape = (cells.height, cells.width)
        size = 2**cells.q
        return cls(
            cells=cells,
            material=np.empty(shape, np.uint8),
            tone=np.empty(shape, np.float32),
            light=np.empty(shape, np.float32),
            trees=np.empty(shape, np.float32),
            shrubs=np.empty(shape, np.float32),
            tamed=np.zeros(shape, np.bool_),
            x=(cells.col + np.arange(cells.width) + 0.5) * size,
            south=(cells.row + np.arange(cells.height) + 0.5) * size,
        )

    @property
    def contrast(self) -> np.float32:
        """What is left of fine contrast at this pixel size, 0 to 1."""
        level = self.cells.q
        return np.float32(_CONTRAST[level] if level < len(_CONTRAST) else 0.04)

    def part(self, west: float, north: float, east: float, south: float) -> Part | None:
        """Return the pixels whose middles are in a rectangle of metres, or None."""
        cols = self._span(west, east, self.cells.col, self.cells.width)
        rows = self._span(north, south, self.cells.row, self.cells.height)
        return None if cols is None or rows is None else (rows, cols)

    def _span(self, low: float, high: float, first: int, count: int) -> slice | None:
        size = 2**self.cells.q
        start = max(0, math.ceil(low / size - 0.5) - first)
        stop = min(count, math.ceil(high / size - 0.5) - first)
        return slice(start, stop) if start < stop else None

    def tame(self, part: Part) -> None:
        """Clear plants and wild tracks from a part."""
        self.trees[part] = 0
        self.shrubs[part] = 0
        self.tamed[part] = True

    def ranks(self, texture: Texture) -> NDArray[Any]:
        """Return ranks over the box; on large pixels all near the middle rank."""
        ranks = texture.cut(self.cells)
        if self.cells.q < 2:
            return ranks
        return np.float32(128) + (ranks - np.float32(128)) * self.contrast

    def lit(self, texture: Texture) -> Floats:
        """Return a texture of light over the box."""
        light = texture.cut(self.cells)
        return light if self.cells.q == 0 else 1 + (light - 1) * self.contrast

    def fill(self, where: Mask, material: Material) -> None:
        """Lay a material."""
        np.copyto(self.material, np.uint8(material), where=where)

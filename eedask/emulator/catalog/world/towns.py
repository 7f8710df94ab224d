"""Painting the squares of towns: houses on lots along streets, parks, and shopping centres."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from eedask.emulator.catalog.world.canvas import Canvas, CanvasIndex
from eedask.emulator.catalog.world.laying import lay
from eedask.emulator.catalog.world.noise import Floats, hashes, hashes_at, uniform
from eedask.emulator.catalog.world.palette import Material

# In metres: the width of a lot along the street, and half the width of a street.
_LOT = 20.0
_HALF_STREET = 4.5


def paint_town(
    canvas: Canvas, part: CanvasIndex, west: float, north: float, lasting: np.random.Generator
) -> None:
    """Paint one square of a town.

    Parameters
    ----------
    canvas : Canvas
    part : CanvasIndex
        The pixels of the square.
    west, north : float
        Its north-western corner, in metres on the land plane.
    lasting : Generator
        Draws all random numbers of the square.
    """
    kind = lasting.random()
    canvas.material[part] = Material.GRASS
    canvas.tone[part] = canvas.tone[part] * 0.3 + 8.5
    canvas.tamed[part] = True
    canvas.shrubs[part] = 25
    if kind < 0.08:
        canvas.trees[part] = np.maximum(canvas.trees[part], 90)  # a park
        return
    canvas.trees[part] = lasting.uniform(25, 95)
    if kind < 0.2:
        _paint_yards(canvas, part, west, north, lasting)
    else:
        _paint_houses(canvas, part, west, north, lasting)


def _paint_houses(
    canvas: Canvas, part: CanvasIndex, west: float, north: float, lasting: np.random.Generator
) -> None:
    """Paint houses on lots along streets that run east and west."""
    depth = float(lasting.choice([66.0, 80.0, 100.0]))  # from street to street
    block = float(lasting.choice([160.0, 200.0, 400.0]))
    seed = int(lasting.integers(2**31))
    tiles = lasting.random() < 0.3
    x, y = canvas.x[part[1]] - west, canvas.down(part) - north
    in_depth = y % depth
    street_x = _from_line(x, block) < _HALF_STREET
    street_y = _from_line(y, depth) < _HALF_STREET
    back = _from_line(y, depth) - _HALF_STREET
    lot_x = (x // _LOT).astype(np.int64)
    lot_y = (2 * y // depth).astype(np.int64)
    chance, width = _chances(lot_x, lot_y, seed), _chances(lot_x, lot_y, seed + 1)
    half_width = 5.2 + 3 * width
    built = chance < 0.93
    house = _houses(x, y, depth, half_width) & built
    # Shadows fall to the north-west.
    shade = _houses(x + 2, y + 3.5, depth, half_width) & built & ~house
    drive = (np.abs(x % _LOT - 3.5) < 1.6) & ((back > -1) & (back < 9))
    material, tone, light = canvas.material[part], canvas.tone[part], canvas.light[part]
    lay(material, shade, Material.SHADOW)
    lay(material, drive, Material.GRAVEL)
    lay(material, house, Material.TILES if tiles else Material.ROOF)
    lay(tone, house, chance * 16)
    middle = np.where(in_depth < depth / 2, _HALF_STREET + 12.25, depth - _HALF_STREET - 12.25)
    slope = np.where(in_depth < middle, 0.84, 1.1).astype(np.float32)
    lay(light, house, slope)
    street = street_x | street_y
    lay(material, street, Material.ASPHALT)
    lay(tone, street, lasting.uniform(3, 12))
    bare = house | street | drive
    lay(canvas.trees[part], bare, 0)
    lay(canvas.shrubs[part], bare, 0)


def _chances(columns: NDArray[np.int64], rows: NDArray[np.int64], seed: int) -> Floats:
    """Return a random number from 0 to 1 of the lot that each pixel is in."""
    if rows.shape[0] == 1:
        return uniform(hashes_at(columns[None], rows, seed))
    lots_x, at_x = np.unique(columns, return_inverse=True)
    lots_y, at_y = np.unique(rows[:, 0], return_inverse=True)
    return uniform(hashes(lots_x, lots_y, seed))[np.ix_(at_y, at_x)]


def _from_line(at: NDArray[np.float64], every: float) -> NDArray[np.float64]:
    """Return the distance to the nearest multiple of ``every``."""
    beyond = at % every
    return np.minimum(beyond, every - beyond)


def _houses(
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    depth: float,
    half_width: NDArray[np.float32],
) -> NDArray[np.bool_]:
    """Return whether pixels are in a house: in the middle of its lot, 7 metres off the street."""
    back = _from_line(y, depth) - _HALF_STREET
    across = np.abs(x % _LOT - _LOT / 2) < half_width
    standing: NDArray[np.bool_] = across & ((back > 7) & (back < 17.5))
    return standing


def _paint_yards(
    canvas: Canvas, part: CanvasIndex, west: float, north: float, lasting: np.random.Generator
) -> None:
    """Paint a shopping centre: large roofs among parking places."""
    canvas.material[part] = Material.ASPHALT
    canvas.tone[part] = lasting.uniform(2, 10)
    canvas.trees[part] = 9
    canvas.shrubs[part] = 0
    y = canvas.down(part) - north
    stripes = ((y % 17) < 5).astype(np.float32)
    canvas.light[part] *= 1 - canvas.contrast * np.float32(0.16) * stripes
    for _ in range(9):
        x, top = lasting.uniform(20, 640, 2)
        width, height = lasting.uniform(40, 150, 2)
        tone = lasting.uniform(0, 6)
        corner = (west + x, north + top)
        shade = canvas.part(
            corner[0] - 5, corner[1] - 6, corner[0] + width - 5, corner[1] + height - 6
        )
        roof = canvas.part(*corner, corner[0] + width, corner[1] + height)
        if shade is not None:
            canvas.material[shade] = Material.SHADOW
            canvas.trees[shade] = 0
        if roof is not None:
            canvas.material[roof] = Material.ROOF
            canvas.tone[roof] = tone
            canvas.light[roof] = 1
            canvas.trees[roof] = 0

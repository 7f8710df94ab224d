"""Farmland, towns and roads on the squares of the land survey.

The land plane is divided into squares of 800 metres, about a quarter section. Each is wild, a farm
or part of a town, by the traits of the place and a hash of its column and row. Roads run along the
lines between squares.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from eedask.emulator.catalog.world.canvas import Canvas
from eedask.emulator.catalog.world.crops import (
    SQUARE,
    growing,
    paint_circle,
    paint_old,
    paint_strips,
)
from eedask.emulator.catalog.world.laying import lay
from eedask.emulator.catalog.world.noise import fields, hashes, hashes_at, uniform
from eedask.emulator.catalog.world.palette import Material
from eedask.emulator.catalog.world.regions import Trait, traits, traits_at
from eedask.emulator.catalog.world.surface import Scattered
from eedask.emulator.catalog.world.towns import paint_town

Floats = NDArray[np.float32]

_SEED = 77
COARSEST = 5  # on pixels larger than 2**5 metres a square is painted in one tone
_BROADEST_ROAD = 10.0  # metres: at least the distance from a road's middle to the edge of its verge
_WILD, _FARM, _TOWN = 0, 1, 2


class _Squares(NamedTuple):
    """The squares under a canvas, and a line of squares around them.

    Attributes
    ----------
    cols, rows : ndarray of int64, shapes (columns,) and (rows,)
        The numbers of the squares, counted from the origin of the land plane.
    use : ndarray of int64, shape (rows, columns)
        ``_WILD``, ``_FARM`` or ``_TOWN``.
    place : ndarray of float32, shape (traits, rows, columns)
        The traits.
    """

    cols: NDArray[np.int64]
    rows: NDArray[np.int64]
    use: NDArray[np.int64]
    place: Floats


def paint_fields(canvas: Canvas, year: int) -> None:
    """Paint the fields and towns of a rectangular canvas, and the roads between them."""
    squares = _squares(canvas)
    if not squares.use.any():
        return
    if canvas.cells.q > COARSEST:
        _paint_small(canvas, squares, year)
        return
    for r, row in enumerate(squares.rows.tolist()):
        for c, col in enumerate(squares.cols.tolist()):
            if squares.use[r, c] != _WILD:
                _paint_square(canvas, col, row, squares.use[r, c], squares.place[:, r, c], year)
    _paint_roads(canvas, squares)


def paint_fields_at(canvas: Canvas, year: int) -> None:
    """Paint a canvas of scattered pixels exactly as :func:`paint_fields` paints a rectangle.

    The pixels must be of at most ``2**COARSEST`` metres. Pixels of the same square that follow
    each other are painted together (see :func:`by_square`).
    """
    cols = (canvas.x // SQUARE).astype(np.int64)
    rows = (canvas.south // SQUARE).astype(np.int64)
    x, south = _middles(cols), _middles(rows)
    place = traits_at(x, south)
    use = _uses(cols, rows, x, south, place)
    by_road = _near_line(canvas.x) | _near_line(canvas.south)
    starts = np.flatnonzero(np.diff(cols, prepend=cols[0] - 1) | np.diff(rows, prepend=0))
    for k, stop in zip(starts.tolist(), [*starts[1:].tolist(), len(cols)], strict=True):
        roads = by_road[k:stop].any()
        if use[k] == _WILD and not roads:
            continue
        pixels = canvas.some(slice(k, stop))
        if use[k] != _WILD:
            _paint_square(pixels, int(cols[k]), int(rows[k]), int(use[k]), place[:, k], year)
        if roads:
            squares = _squares(pixels)
            if squares.use.any():
                _paint_roads(pixels, squares)


def by_square(pixels: Scattered) -> NDArray[np.intp]:
    """Return an order of scattered pixels in which those of the same square follow each other."""
    size = 2**pixels.q
    return np.lexsort([((at + 0.5) * size) // SQUARE for at in (pixels.cols, pixels.rows)])


def _near_line(at: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return whether coordinates (metres) are so near a line between squares that a road may be."""
    beyond = at % SQUARE
    return np.minimum(beyond, SQUARE - beyond) <= _BROADEST_ROAD


def _squares(canvas: Canvas) -> _Squares:
    cols = np.arange(canvas.x[0] // SQUARE - 1, canvas.x[-1] // SQUARE + 2).astype(np.int64)
    rows = np.arange(canvas.south[0] // SQUARE - 1, canvas.south[-1] // SQUARE + 2).astype(np.int64)
    x, south = _middles(cols), _middles(rows)
    place = traits(x, south)
    use = _uses(cols[None, :], rows[:, None], x[None, :], south[:, None], place)
    return _Squares(cols, rows, use, place)


def _middles(numbers: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the centres of squares, in metres, from their columns or rows."""
    return (numbers.astype(np.float64) + 0.5) * SQUARE


def _uses(
    cols: NDArray[np.int64],
    rows: NDArray[np.int64],
    x: NDArray[np.float64],
    south: NDArray[np.float64],
    place: Floats,
) -> NDArray[np.int64]:
    """Return the use of squares, from their numbers, centres (metres) and traits."""
    # Farms lie together, and so do towns: their probabilities vary over kilometres.
    farms, towns = fields(x / 6000, south / 6000, (71, 72))
    farm = place[Trait.CROPS] * 1.25 - 0.12 + 0.45 * farms
    town = place[Trait.TOWNS] * (1.1 + 0.35 * towns) - 0.08
    use = np.where(uniform(hashes_at(cols, rows, _SEED)) < farm, _FARM, _WILD)
    use[uniform(hashes_at(cols, rows, _SEED + 1)) < town] = _TOWN
    use[(place[Trait.RUGGED] > 0.55) & (place[Trait.TOWNS] < 0.3)] = _WILD
    return use


def _paint_square(canvas: Canvas, col: int, row: int, use: int, place: Floats, year: int) -> None:
    west, north = col * SQUARE, row * SQUARE
    part = canvas.part(west, north, west + SQUARE, north + SQUARE)
    if part is None:
        return
    # One generator draws the properties that stay the same, the other those of a single year.
    lasting = np.random.default_rng((col & 0xFFFFF, row & 0xFFFFF, _SEED))
    yearly = np.random.default_rng((col & 0xFFFFF, row & 0xFFFFF, year))
    if use == _TOWN:
        paint_town(canvas, part, west, north, lasting)
    elif lasting.random() < place[Trait.PIVOTS]:
        paint_circle(canvas, part, west, north, lasting, yearly)
    elif lasting.random() < place[Trait.OLD_FIELDS]:
        paint_old(canvas, part, west, north, lasting, yearly)
    else:
        paint_strips(canvas, west, north, lasting, yearly)
    if use == _FARM and lasting.random() < 0.3:
        _paint_farm(canvas, west, north, lasting)


def _paint_farm(canvas: Canvas, west: float, north: float, lasting: np.random.Generator) -> None:
    """Paint a farmyard in a corner of a square: grass, trees, a lane and roofs."""
    left, top = west + lasting.choice([16, SQUARE - 106]), north + lasting.choice([16, 680])
    yard = canvas.part(left, top, left + 90, top + 80)
    roofs = [
        (left + lasting.uniform(5, 60), top + lasting.uniform(5, 60), *lasting.uniform(7, 26, 2))
        for _ in range(5)
    ]
    tones = lasting.uniform(0, 15, 5)
    if yard is None:
        return
    canvas.material[yard] = Material.GRASS
    canvas.tone[yard] = canvas.tone[yard] * 0.4 + 7
    canvas.trees[yard] = 45
    canvas.tamed[yard] = True
    lane = canvas.part(left + 35, top + 25, left + 60, top + 55)
    if lane is not None:
        canvas.material[lane] = Material.GRAVEL
        canvas.trees[lane] = 0
    for (x, y, width, height), tone in zip(roofs, tones.tolist(), strict=True):
        paint_roof(canvas, x, y, width, height, tone)


def paint_roof(
    canvas: Canvas, x: float, y: float, width: float, height: float, tone: float
) -> None:
    """Paint a ridged roof and its shadow to the north-west; lengths are in metres."""
    shade = canvas.part(x - 3, y - 4, x + width - 3, y + height - 4)
    if shade is not None:
        canvas.material[shade] = Material.SHADOW
        canvas.trees[shade] = 0
    for top, bottom, light in ((y, y + height / 2, 0.86), (y + height / 2, y + height, 1.08)):
        half = canvas.part(x, top, x + width, bottom)
        if half is not None:
            canvas.material[half] = Material.ROOF
            canvas.tone[half] = tone
            canvas.light[half] = light
            canvas.trees[half] = 0


def _paint_roads(canvas: Canvas, squares: _Squares) -> None:
    """Paint roads along the western and northern sides of squares next to farms and towns."""
    used = squares.use != _WILD
    west_road = used | np.roll(used, 1, axis=1)
    north_road = used | np.roll(used, 1, axis=0)
    humid = squares.place[Trait.DRY] < 0.3
    for r, row in enumerate(squares.rows.tolist()):
        for c, col in enumerate(squares.cols.tolist()):
            x, y = col * SQUARE, row * SQUARE
            if c and west_road[r, c] and _is_road(col, 5):
                half, material = _road(col, 5)
                _paint_road(canvas, (x, y, x, y + SQUARE), half, material, bool(humid[r, c]))
            if r and north_road[r, c] and _is_road(row, 6):
                half, material = _road(row, 6)
                _paint_road(canvas, (x, y, x + SQUARE, y), half, material, bool(humid[r, c]))


@lru_cache(maxsize=4096)
def _is_road(number: int, seed: int) -> bool:
    """Return whether a road follows a line between squares: every other line, and some more."""
    return number % 2 == 0 or np.random.default_rng((number & 0xFFFFF, seed)).random() < 0.25


@lru_cache(maxsize=4096)
def _road(number: int, seed: int) -> tuple[float, Material]:
    """Return half the width, in metres, and the material of the road on a line."""
    paved = np.random.default_rng((number & 0xFFFFF, seed + 10)).random() < 0.3
    return (4.5, Material.ASPHALT) if paved else (3.2, Material.GRAVEL)


def _paint_road(
    canvas: Canvas,
    ends: tuple[float, float, float, float],
    half: float,
    material: Material,
    humid: bool,
) -> None:
    """Paint a straight road, ``half`` metres wide to each side, and its verges."""
    for reach, laid in ((half + 5, Material.GRASS), (half, material)):
        part = canvas.part(ends[0] - reach, ends[1] - reach, ends[2] + reach, ends[3] + reach)
        if part is not None:
            canvas.material[part] = laid
            canvas.tone[part] = canvas.tone[part] * 0.3 + 5
            canvas.shrubs[part] = 0
            canvas.tamed[part] = True
            canvas.trees[part] = 28 if humid and laid is Material.GRASS else 0


def _paint_small(canvas: Canvas, squares: _Squares, year: int) -> None:
    """Paint squares in one material each, for pixels too large to show fields and houses."""
    col = (canvas.x // SQUARE).astype(np.int64) - squares.cols[0]
    row = (canvas.south // SQUARE).astype(np.int64) - squares.rows[0]
    chance = uniform(hashes(squares.cols, squares.rows, _SEED + year))
    material = growing(chance)
    material[squares.use == _TOWN] = Material.ASPHALT
    at = np.ix_(row, col)
    used = (squares.use != _WILD)[at]
    lay(canvas.material, used, material[at])
    canvas.trees[used] *= 0.15
    canvas.shrubs[used] = 0
    canvas.tamed[used] = True

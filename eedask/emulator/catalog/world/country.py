"""The smooth surfaces that land is drawn from: relief, vegetation, geology, courses of streams.

They are computed on coarse cells of 8 by 8 pixels and interpolated to the pixels when needed.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from eedask.emulator.catalog.world.coast import REACH, coast_distance, same_distance
from eedask.emulator.catalog.world.land_plane import degrees
from eedask.emulator.catalog.world.laying import Mask
from eedask.emulator.catalog.world.regions import Trait, traits, traits_at
from eedask.emulator.catalog.world.surface import (
    Cells,
    Scattered,
    patches,
    spread,
    spread_at,
    surfaces,
)

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]

_SEED = 20240229
_TOP = 14  # the largest cells are of 2**14 metres
_COARSE = 3  # a coarse cell has 2**3 pixels a side
_ROUGH = 0.3  # by how much the grain texture changes a surface, to roughen borders
# The amplitudes of each surface's noise on cells of 16384 m, 8192 m and so on.
_RELIEF = (0.0, 0.0, 260.0, 190.0, 130.0, 78.0, 42.0, 22.0, 11.0, 5.0, 2.2, 0.9)
_COVER = (0.0, 0.0, 0.35, 0.45, 0.5, 0.5, 0.45, 0.4, 0.35, 0.35, 0.3, 0.3)
_STREAMS = (0.0, 0.0, 1.0, 0.7, 0.42, 0.2, 0.09, 0.04, 0.012)
_TRACKS = (0.0, 0.0, 1.0, 0.5, 0.3, 0.1, 0.03)
_GEOLOGY = (0.0, 0.0, 0.4, 0.35, 0.4, 0.35, 0.35, 0.35, 0.3, 0.25, 0.2)
_LAKES = (0.0, 0.0, 0.0, 0.45, 0.7, 0.5, 0.3, 0.16, 0.08)
_DRAWS = (0.0, 0.0, 0.0, 0.0, 0.5, 1.0, 0.5, 0.2, 0.08, 0.03)
_RIVERS = (1.0, 0.5, 0.3, 0.14, 0.09, 0.05, 0.025, 0.009)
_SHORE = (0.0, 0.0, 0.4, 0.45, 0.3, 0.2, 0.13, 0.08, 0.05)
_SERIES = (
    _RELIEF, _COVER, _STREAMS, _TRACKS, _GEOLOGY, _LAKES, _DRAWS, _RIVERS, _SHORE
)  # fmt: skip
_SHAPING = (0, 1, 5, 7, 8)  # relief, cover, lakes, rivers, shore
_LINES = [2, 6, 7, 3]  # streams, draws, rivers, tracks
# By how many metres noise moves the coast, whose outlines are coarse straight lines.
_COAST_NOISE = 420.0


class Country:
    """The surfaces of a rectangle of pixels, by name.

    Attributes
    ----------
    fine : callable
        ``fine(name)`` returns a surface at the pixels, shape (rows, columns).
    """

    def __init__(self, cells: Cells) -> None:
        self._cells = cells
        self._coarse = cells.coarser(_COARSE, 1)
        self._surfaces = _box_surfaces(self._coarse)
        self.fine = cache(self._fine)

    def _fine(self, name: str) -> Floats:
        """Return a surface interpolated to the pixels."""
        half = 2**_COARSE // 2
        row = self._cells.row - (self._coarse.row * 2**_COARSE + half)
        col = self._cells.col - (self._coarse.col * 2**_COARSE + half)
        window = (col, row, self._cells.width, self._cells.height)
        return spread(self._surfaces[name], _COARSE, window)

    def above(self, name: str, limit: float, grain: Floats | None = None) -> Mask:
        """Return where a surface is above a limit, its border roughened by grain (-1 to 1).

        It is a single boolean where the whole surface is above, or below: then, as mostly, it
        need not be interpolated.
        """
        values = self._surfaces[name]
        margin = 0.0 if grain is None else _ROUGH
        if values.max() <= limit - margin:
            return np.False_
        if values.min() > limit + margin:
            return np.True_
        fine = self.fine(name)
        return (fine if grain is None else fine + np.float32(_ROUGH) * grain) > limit

    def near(self, name: str, reach: float) -> bool:
        """Return whether a surface of distances comes within reach (metres) of its zero line."""
        values = self._surfaces[name]
        return bool(values.min() < reach and values.max() > -reach)


class CountryAt(Country):
    """The surfaces at n scattered pixels, by name, each of shape (1, n).

    Parameters
    ----------
    pixels : Scattered
    coast : float
        The distance to the coast, which :meth:`coast` returns.
    """

    def __init__(self, pixels: Scattered, coast: float) -> None:
        self._at = pixels
        half = 2**_COARSE // 2
        self._cols, self._rows = pixels.cols - half, pixels.rows - half
        q = pixels.q + _COARSE
        cols, rows = self._cols >> _COARSE, self._rows >> _COARSE
        drawn = patches(q, cols, rows, _SERIES, _TOP, _SEED, range(len(_SERIES)))
        size = np.float64(2**q)
        x, south = np.broadcast_arrays(
            (cols[:, None, None] + np.arange(2) + 0.5) * size,
            (rows[:, None, None] + np.arange(2)[:, None] + 0.5) * size,
        )
        _, lat = degrees(x, south)
        far = np.full(x.shape, coast, np.float32)
        self._surfaces = _surfaces(drawn, q, lat, traits_at(x, south), far)
        self.fine = cache(self._fine)

    @staticmethod
    def coast(pixels: Scattered) -> float | None:
        """Return the distance to the coast if it is the same for all pixels; None otherwise.

        None also for pixels too large to be drawn from surfaces.
        """
        if pixels.q + _COARSE >= _TOP:
            return None
        size = 2.0 ** (pixels.q + _COARSE)
        ends = [np.array([at.min(), at.max()]) for at in (pixels.cols, pixels.rows)]
        cells = [(end >> _COARSE) + np.array([-1, 1]) for end in ends]
        return same_distance(*degrees(*((cell + 0.5) * size for cell in cells)))

    def _fine(self, name: str) -> Floats:
        within = 2**_COARSE - 1
        cols, rows = self._cols & within, self._rows & within
        return spread_at(self._surfaces[name], _COARSE, cols, rows)[None]


def _box_surfaces(cells: Cells) -> dict[str, Floats]:
    """Return the surfaces of a rectangle of coarse cells, by name, each (rows, columns)."""
    around = Cells(cells.q, cells.col - 1, cells.row - 1, cells.width + 2, cells.height + 2)
    lon, lat, place = places(cells)
    drawn = surfaces(around, _SERIES, _TOP, _SEED)
    return _surfaces(drawn, cells.q, lat[:, None], place, _coast(lon, lat))


def _surfaces(
    drawn: Floats, q: int, lat: Doubles, place: Floats, coast: Floats
) -> dict[str, Floats]:
    """Return the surfaces of coarse cells, by name.

    Parameters
    ----------
    drawn : ndarray of float32, shape (9, ..., rows + 2, columns + 2)
        The noise of :data:`_SERIES`, with a line of cells around.
    q : int
        The cells are ``2**q`` metres wide.
    lat : ndarray of float64
        Degrees; broadcasts with the cells.
    place : ndarray of float32
        The traits of the cells, along the first axis.
    coast : ndarray of float32
        The distance to the coast, in metres.
    """
    relief, cover, _, _, geology, lakes, _, _, shore = drawn
    size = np.float32(2.0**q)
    dry, rugged, forest = place[Trait.DRY], place[Trait.RUGGED], place[Trait.FOREST]
    stream, draw, river, track = _distance(drawn[_LINES], size)
    cover, geology, lakes = _inner(cover), _inner(geology), _inner(lakes)
    # The sun stands in the south-east, so slopes that face it are bright.
    east, south = _slopes(relief, size)
    facing = -(np.float32(0.55) * east + np.float32(0.83) * south) * rugged
    wet = np.exp(-np.abs(stream) / 45) * (1 - 0.5 * dry)
    wet += np.exp(-np.abs(draw) / 16) * rugged * 0.45
    height = place[Trait.ELEVATION] + _inner(relief) * rugged
    alpine = np.clip((height + _cold(lat) - 3350) / 220, 0, 1)
    trees = (forest * 1.3 - 0.55 + 0.62 * cover - 0.9 * facing * (0.3 + dry) + 0.75 * wet) * 1.9
    shrubs = 0.25 + 0.5 * dry - 0.7 * geology + 0.5 * wet - 0.8 * alpine
    shrubs *= np.clip((1.05 - dry) / 0.15, 0, 1)  # none in the driest deserts
    rock = rugged * 1.15 - 0.72 + 0.6 * geology + 0.35 * np.abs(facing) + 0.5 * alpine
    bare = 1.15 * dry - 0.5 + 0.42 * geology - 0.3 * cover - 0.4 * wet + 0.25 * rugged * dry
    return {
        "light": np.clip(1 + 0.95 * facing, 0.5, 1.22),
        "bare": bare,
        "tone": 8.5 - 7.5 * dry + 4.5 * cover + 5 * wet - 1.5 * geology,
        "trees": 255 * np.clip(trees * (1 - alpine), 0, 1),
        "shrubs": 255 * np.clip(shrubs, 0, 0.75),
        "conifer": np.clip((height - 1500) / 500, 0, 1) + dry + 0.4 * geology,
        "rock": rock,
        "red": place[Trait.RED] * 1.3 + 0.5 * geology,
        "stream": stream,
        # Half of the width, in metres; streams are broader in the lowlands.
        "stream width": 2.5 + 9 * np.clip(cover + 0.4 - 0.6 * rugged, 0, 1.5),
        "river": river,
        "river width": river_width(cover, place),
        "coast": coast + np.float32(_COAST_NOISE) * _inner(shore),
        "track": track,
        "lake": lake(lakes, place),
        "snow": alpine * 1.2 - 0.9 - 1.2 * facing + 0.3 * cover,
    }


def heights(cells: Cells) -> Floats:
    """Return the heights of cells in metres above the sea, with river valleys and level lakes."""
    around = Cells(cells.q, cells.col - 1, cells.row - 1, cells.width + 2, cells.height + 2)
    drawn = surfaces(around, _SERIES, _TOP, _SEED, _SHAPING)
    lon, lat, place = places(cells)
    return _heights(drawn, cells.q, _coast(lon, lat), place)


def patch_heights(
    q: int, cols: NDArray[np.int64], rows: NDArray[np.int64], coast: Floats
) -> Floats:
    """Return the heights of n single cells and their neighbours east and south, (n, 2, 2).

    They are exactly those of :func:`heights`, in metres.

    Parameters
    ----------
    q : int
        The cells are ``2**q`` metres wide.
    cols, rows : ndarray, shape (n,)
    coast : ndarray of float32, shape (n, 2, 2)
        The distance to the coast of each cell, in metres.
    """
    drawn = patches(q, cols, rows, _SERIES, _TOP, _SEED, _SHAPING)
    size = np.float64(2**q)
    x = (cols[:, None, None] + np.arange(2) + 0.5) * size
    south = (rows[:, None, None] + np.arange(2)[:, None] + 0.5) * size
    return _heights(drawn, q, coast, traits_at(*np.broadcast_arrays(x, south)))


def _heights(drawn: Floats, q: int, coast: Floats, place: Floats) -> Floats:
    """Return the heights of cells from the noise of :data:`_SHAPING` on them and a line around."""
    relief, cover, lakes, rivers, shore = drawn
    rugged = place[Trait.RUGGED]
    beside = np.abs(_distance(rivers, np.float32(2.0**q)))
    beside = np.maximum(beside - river_width(_inner(cover), place), 0)
    level = np.clip(-4 * lake(_inner(lakes), place), 0, 1) * (1 - 0.9 * np.exp(-beside / 150))
    height = place[Trait.ELEVATION] + _inner(relief) * rugged * level
    height -= (6 + 70 * rugged) * np.exp(-beside / 260)
    coast = coast + np.float32(_COAST_NOISE) * _inner(shore)
    inland = np.clip(coast / REACH, 0, 1)
    found: Floats = np.maximum(height, 1) * inland * (2 - inland)
    return found


def places(cells: Cells) -> tuple[Doubles, Doubles, Floats]:
    """Return the longitudes of columns, latitudes of rows, and traits of cells.

    The traits have the shape (traits, rows, columns).
    """
    size = np.float64(2**cells.q)
    x = (cells.col + np.arange(cells.width) + 0.5) * size
    south = (cells.row + np.arange(cells.height) + 0.5) * size
    lon, lat = degrees(x, south)
    return lon, lat, traits(x, south)


def _coast(lon: Doubles, lat: Doubles) -> Floats:
    """Return the distance to the coast on a grid of longitudes and latitudes, (rows, columns)."""
    same = same_distance(lon[[0, -1]], lat[[0, -1]])
    if same is None:
        return coast_distance(*np.meshgrid(lon, lat))
    return np.full((len(lat), len(lon)), same, np.float32)


def lake(lakes: Floats, place: Floats) -> Floats:
    """Return the surface that is above 0 in lakes, from its noise and the traits."""
    found: Floats = lakes - 1.4 + 0.95 * place[Trait.PONDS] - 0.35 * place[Trait.RUGGED]
    return found


def river_width(cover: Floats, place: Floats) -> Floats:
    """Return half the width of rivers in metres; they are broader in the lowlands."""
    found: Floats = 30 + 80 * np.clip(cover + 0.4 - 0.8 * place[Trait.RUGGED], 0, 1.2)
    return found


def _cold(lat: Doubles) -> Floats:
    """Return how many metres lower the tree line is than at latitudes up to 50 degrees."""
    return (90 * np.maximum(np.abs(lat) - 50, 0)).astype(np.float32)


def _inner(values: Floats) -> Floats:
    return values[..., 1:-1, 1:-1]


def _slopes(values: Floats, size: np.float32) -> tuple[Floats, Floats]:
    """Return the rise per metre to the east and to the south, without the outer line of cells."""
    east = (values[..., 1:-1, 2:] - values[..., 1:-1, :-2]) / (2 * size)
    south = (values[..., 2:, 1:-1] - values[..., :-2, 1:-1]) / (2 * size)
    return east, south


def _distance(values: Floats, size: np.float32) -> Floats:
    """Return the approximate signed distance, in metres, to the winding line of a surface's zeros.

    It is negative on one side of the line, so that interpolation keeps the line in its place.
    """
    east, south = _slopes(values, size)
    steepness = np.sqrt(east * east + south * south)
    return np.clip(_inner(values) / np.maximum(steepness, 1e-6), -4000, 4000)

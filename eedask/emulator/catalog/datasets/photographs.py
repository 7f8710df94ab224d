"""Aerial photographs of the synthetic land."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from functools import cached_property, lru_cache
from typing import NamedTuple

import numpy as np
from affine import Affine
from numpy.typing import NDArray

from eedask.emulator.catalog.world import patterns
from eedask.emulator.catalog.world.land_plane import lookup, lookup_at
from eedask.emulator.catalog.world.landscape import land, land_at
from eedask.emulator.catalog.world.palette import colors
from eedask.emulator.catalog.world.surface import Cells, Scattered
from eedask.emulator.pixels.native_sources import WHOLE, NativeSource, Numbers, Window
from eedask.emulator.pixels.raster import Pixels, Projection, uniform

# Windows are drawn in pieces of at most this side in pixels, because the land plane under a piece,
# which is rotated and scaled, must not exceed the size of a texture.
_PIECE = 384


class Photograph(NativeSource):
    """One aerial photograph: a source of red, green, blue and near-infrared bands.

    Coarser levels are drawn directly, not averaged.

    Attributes
    ----------
    zone : int
        UTM zone.
    left, top : int
        Easting and northing of the north-western corner in metres.
    width, height : int
        Size in pixels of one metre.
    date : date
        Day of the flight.
    """

    zone: int
    left: int
    top: int
    width: int
    height: int
    date: dt.date

    is_opaque = True

    @cached_property
    def projection(self) -> Projection:  # type: ignore[override]
        """The zone of NAD83 / UTM with pixels of one metre."""
        corner = Affine(1.0, 0.0, self.left, 0.0, -1.0, self.top)
        return Projection(f"EPSG:269{self.zone:02d}", corner)

    def tile_side(self, level: int) -> int:
        """Return WHOLE: windows are cached as they are asked for."""
        del level
        return WHOLE

    def read_points(self, band: int, level: int, cols: Numbers, rows: Numbers) -> Pixels | None:
        """Return n single pixels of one band, shape (1, n); None if windows have to be read."""
        scene = _scene_at(self._spots(level, cols, rows))
        if scene is None:
            return None
        values = self._exposed(band, scene)
        return Pixels(values, uniform(1, values.shape))

    @staticmethod
    def read_ahead(parts: Sequence[tuple[Photograph, int, Numbers, Numbers]]) -> None:
        """Draw the points of all photographs of a year in one call, since most have few points.

        Parameters
        ----------
        parts : sequence of (photograph, level, columns, rows)
        """
        years: dict[tuple[int, int], list[_Spots]] = {}
        for photograph, level, cols, rows in parts:
            spots = photograph._spots(level, cols, rows)
            years.setdefault((level, spots.year), []).append(spots)
        _AHEAD.clear()
        for group in years.values():
            _AHEAD.update(_scenes_at(group))

    def _spots(self, level: int, cols: Numbers, rows: Numbers) -> _Spots:
        size = 2**level
        left, top = size * cols + self.left, size * rows - self.top
        return _Spots(self.zone, level, left.tobytes(), top.tobytes(), self.date.year)

    def draw(self, band: int, level: int, window: Window) -> Pixels:
        """Return the pixels of one band in a window of a level; none is masked."""
        if max(window.width, window.height) <= _PIECE:
            values = self._piece(band, level, window)
            return Pixels(values, uniform(1, values.shape))
        values = np.empty((window.height, window.width), np.uint8)
        for row in range(0, window.height, _PIECE):
            for col in range(0, window.width, _PIECE):
                height = min(_PIECE, window.height - row)
                width = min(_PIECE, window.width - col)
                piece = Window(window.col + col, window.row + row, width, height)
                values[row : row + height, col : col + width] = self._piece(band, level, piece)
        return Pixels(values, uniform(1, values.shape))

    def _piece(self, band: int, level: int, window: Window) -> NDArray[np.uint8]:
        size = 2**level
        left, top = self.left + size * window.col, self.top - size * window.row
        scene = _scene(self.zone, level, left, top, window.width, window.height, self.date.year)
        return self._exposed(band, scene)

    def _exposed(self, band: int, scene: _Scene) -> NDArray[np.uint8]:
        values = colors(self.date)[band].take(scene.kind)
        values *= scene.light
        return np.clip(values, 0, 255, out=values).astype(np.uint8)


class _Scene(NamedTuple):
    """The content of a window: codes of land (material and tone), and brightness with grain."""

    kind: NDArray[np.intp]
    light: NDArray[np.float32]


@lru_cache(maxsize=32)
def _scene(
    zone: int, level: int, left: int, top: int, width: int, height: int, year: int
) -> _Scene:
    """Return the scene of a window; it is cached because the other bands need it as well."""
    found = lookup(zone, level, left, top, width, height)
    ground = land(Cells(level, found.col, found.row, found.width, found.height), year)
    kind = ground.kind.reshape(-1).take(found.flat).astype(np.intp)
    light = ground.light.reshape(-1).take(found.flat)
    size = 2**level
    light *= patterns.camera().cut(Cells(0, left // size, -top // size, width, height))
    return _Scene(kind, light)


class _Spots(NamedTuple):
    """Single pixels of a photograph, as a hashable key.

    Attributes
    ----------
    zone, level : int
    lefts, tops : bytes
        Easting, and negative northing, of their north-western corners: arrays of int64 metres.
    year : int
    """

    zone: int
    level: int
    lefts: bytes
    tops: bytes
    year: int

    @property
    def corners(self) -> NDArray[np.int64]:
        """Eastings and negative northings, shape (2, n)."""
        return np.stack([np.frombuffer(self.lefts, np.int64), np.frombuffer(self.tops, np.int64)])


# Scenes drawn by the last ``read_ahead``, kept until the next one.
_AHEAD: dict[_Spots, _Scene] = {}


# Cached because the bands of a photograph are read at the same pixels in turn.
@lru_cache(maxsize=16)
def _scene_at(spots: _Spots) -> _Scene | None:
    """Return the scene of n single pixels, shape (1, n).

    It equals that of :func:`_scene` to the bit; None if they cannot be drawn singly.
    """
    return _AHEAD.get(spots) or _scenes_at([spots]).get(spots)


def _scenes_at(group: Sequence[_Spots]) -> dict[_Spots, _Scene]:
    """Return the scenes of photographs of one level and year, empty if that is impossible."""
    level, year = group[0].level, group[0].year
    corners = [spots.corners for spots in group]
    zones = np.repeat([spots.zone for spots in group], [at.shape[1] for at in corners])
    left, top = np.concatenate(corners, axis=1)
    size = 2**level
    cols, rows = np.empty_like(left), np.empty_like(top)
    for zone in {spots.zone for spots in group}:
        on = zones == zone
        cols[on], rows[on] = lookup_at(zone, level, left[on] + size * 0.5, top[on] + size * 0.5)
    ground = land_at(Scattered(level, cols, rows), year)
    if ground is None:
        return {}
    light = ground.light * patterns.camera().cut(Scattered(0, left // size, top // size))
    kind = ground.kind.astype(np.intp)
    ends = np.cumsum([at.shape[1] for at in corners])[:-1]
    parts = zip(np.split(kind, ends, axis=1), np.split(light, ends, axis=1), strict=True)
    return {spots: _Scene(*part) for spots, part in zip(group, parts, strict=True)}

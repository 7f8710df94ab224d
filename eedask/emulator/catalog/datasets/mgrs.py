"""The tiles of Sentinel-2: squares of 110 km in UTM, named by the military grid.

A tile begins with a square of 100 km of the grid, up to 40 metres west and north of it where that
is no whole number of its largest pixels, and overlaps its southern and eastern neighbours by 9.8
km. It is there if its square reaches into its zone; the exceptions of the zones around Norway are
left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from affine import Affine

from eedask.emulator.catalog.datasets.places import FIRST_TILE_ROW, TILES, places
from eedask.emulator.catalog.footprints import from_degrees, to_degrees
from eedask.emulator.catalog.world.terrain import is_land
from eedask.emulator.pixels.raster import Projection

SIZE = 109_800  # metres
_STEP = 100_000
_PIXEL = 60  # metres: corners are whole numbers of the largest pixels away from the equator
_COLUMNS = ("STUVWXYZ", "ABCDEFGH", "JKLMNPQR")  # by zone modulo 3
_ROWS = "ABCDEFGHJKLMNPQRSTUV"
_BANDS = "CDEFGHJKLMNPQRSTUVWX"
_SOUTH, _NORTH = -56.0, 83.0  # of what Sentinel-2 looks at
_NAME = re.compile(r"(\d{2})([C-HJ-NP-X])([A-HJ-NP-Z])([A-HJ-NP-V])")


class Tile(NamedTuple):
    """A tile.

    Attributes
    ----------
    zone : int
    col, row : int
        Of its square: hundreds of kilometres of easting, and of northing from the equator.
    """

    zone: int
    col: int
    row: int

    @property
    def crs(self) -> str:
        """EPSG code of its UTM zone, of the southern half south of the equator."""
        return f"EPSG:{326 if self.row >= 0 else 327}{self.zone:02d}"

    @property
    def left(self) -> int:
        """Easting of its western side."""
        return self.col * _STEP // _PIXEL * _PIXEL

    @property
    def top(self) -> int:
        """Northing of its northern side."""
        return -(-(self.row + 1) * _STEP // _PIXEL) * _PIXEL + self._false_northing

    @property
    def _false_northing(self) -> int:
        return 0 if self.row >= 0 else 10_000_000

    @property
    def square(self) -> tuple[int, int]:
        """Easting and northing of the north-western corner of its square of the grid."""
        return self.col * _STEP, (self.row + 1) * _STEP + self._false_northing

    @property
    def middle(self) -> tuple[float, float]:
        """Longitude and latitude of its middle."""
        return _middle(self)

    @property
    def name(self) -> str:
        """As in ``10SEH``."""
        column = _COLUMNS[self.zone % 3][self.col - 1]
        row = _ROWS[(self.row + (5 if self.zone % 2 == 0 else 0)) % 20]
        return f"{self.zone:02d}{_band(self.middle[1])}{column}{row}"

    def projection(self, pixel: int) -> Projection:
        """Return the grid of pixels of so many metres."""
        return Projection(self.crs, Affine(pixel, 0.0, self.left, 0.0, -pixel, self.top))


@lru_cache(maxsize=20_000)
def _middle(tile: Tile) -> tuple[float, float]:
    half = SIZE / 2
    lon, lat = to_degrees(tile.crs).transform(tile.left + half, tile.top - half)
    return float(lon), float(lat)


def _band(lat: float) -> str:
    return _BANDS[min(int((lat + 80) // 8), 19)]


@lru_cache(maxsize=20_000)
def parse(name: str) -> Tile | None:
    """Return the tile of a name such as ``10SEH``, or None if there is none."""
    match = _NAME.fullmatch(name)
    if match is None or not 1 <= int(match[1]) <= 60:
        return None
    zone = int(match[1])
    col = _COLUMNS[zone % 3].find(match[3]) + 1
    letter = _ROWS.index(match[4]) - (5 if zone % 2 == 0 else 0)
    south = (_BANDS.index(match[2]) * 8 - 80) * 110.6 / 100 - 3
    for row in range(int(np.floor(south)), int(np.floor(south)) + 20):
        if (row - letter) % 20 == 0:
            tile = Tile(zone, col, row)
            return tile if col and exists(tile) and tile.name == name else None
    return None


def exists(tile: Tile) -> bool:
    """Whether there are scenes of a tile."""
    row = tile.row - FIRST_TILE_ROW
    return 0 <= row < TILES[1] and bool(places().sentinel2[tile.zone - 1, row, tile.col - 1])


def has_land(tile: Tile) -> bool:
    """Whether a tile reaches into its zone, has land in it, and is among those looked at."""
    at = np.linspace(0, 1, 9)
    left, top = tile.square
    x, y = np.meshgrid(left + at * _STEP, top - at * _STEP)
    lon, lat = to_degrees(tile.crs).transform(x, y)
    west = 6 * tile.zone - 186
    if not ((lon >= west) & (lon < west + 6) & (lat >= _SOUTH) & (lat <= _NORTH)).any():
        return False
    return bool(is_land(np.clip(lon, -180, 180), lat).any())


def tiles(bounds: tuple[float, float, float, float]) -> Iterator[Tile]:
    """Yield the tiles that may meet a box of degrees, by zone, row and column."""
    west, south, east, north = bounds
    south, north = max(south, _SOUTH - 1), min(north, _NORTH + 1)
    if south > north:
        return
    reach = 1.1 / max(np.cos(np.radians(max(abs(south), abs(north)))), 0.1)
    first, last = int((west - reach + 180) // 6) + 1, int((east + reach + 180) // 6) + 1
    for number in range(first, min(last, first + 59) + 1):
        zone = (number - 1) % 60 + 1
        yield from _zone_tiles(zone, 360.0 * ((number - 1) // 60), bounds)


def _zone_tiles(
    zone: int, turn: float, bounds: tuple[float, float, float, float]
) -> Iterator[Tile]:
    west, south, east, north = bounds
    middle = 6 * zone - 183
    lon = np.clip(np.array([west, (west + east) / 2, east]) - turn, middle - 12, middle + 12)
    lat = np.clip(np.array([south, (south + north) / 2, north]), _SOUTH - 1, _NORTH + 1)
    lons, lats = np.meshgrid(lon, lat)
    x, y = from_degrees(f"EPSG:326{zone:02d}").transform(lons, lats)
    cols = range(max(1, int(x.min() // _STEP) - 1), min(8, int(x.max() // _STEP) + 1) + 1)
    for row in range(int(y.min() // _STEP) - 1, int(y.max() // _STEP) + 2):
        for col in cols:
            tile = Tile(zone, col, row)
            if exists(tile):
                yield tile

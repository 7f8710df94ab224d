"""The tiles of Sentinel-2: squares of 109.8 km in UTM, named by the military grid (MGRS).

The north-western corner of a tile is that of a square of 100 km of the grid, moved by up to 40
metres to the west and north so that it is a whole number of the largest pixels (60 m). A tile
overlaps its southern and eastern neighbours by 9.8 km. It exists if its square reaches into its UTM
zone; the irregular zones around Norway are not modelled.
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
_PIXEL = 60  # metres: coordinates of corners are multiples of the largest pixel
_COLUMNS = ("STUVWXYZ", "ABCDEFGH", "JKLMNPQR")  # column letters, by zone modulo 3
_ROWS = "ABCDEFGHJKLMNPQRSTUV"
_BANDS = "CDEFGHJKLMNPQRSTUVWX"
_SOUTH, _NORTH = -56.0, 83.0  # latitudes between which Sentinel-2 takes images
_NAME = re.compile(r"(\d{2})([C-HJ-NP-X])([A-HJ-NP-Z])([A-HJ-NP-V])")


class MgrsTile(NamedTuple):
    """A tile of Sentinel-2.

    Attributes
    ----------
    zone : int
    col, row : int
        Position of its square of 100 km: easting, and northing from the equator, in units of
        100 km.
    """

    zone: int
    col: int
    row: int

    @property
    def crs(self) -> str:
        """EPSG code of its UTM zone, the southern one for tiles south of the equator."""
        return f"EPSG:{326 if self.row >= 0 else 327}{self.zone:02d}"

    @property
    def left(self) -> int:
        """Easting of its western side in metres."""
        return self.col * _STEP // _PIXEL * _PIXEL

    @property
    def top(self) -> int:
        """Northing of its northern side in metres."""
        return -(-(self.row + 1) * _STEP // _PIXEL) * _PIXEL + self._false_northing

    @property
    def _false_northing(self) -> int:
        return 0 if self.row >= 0 else 10_000_000

    @property
    def square(self) -> tuple[int, int]:
        """Easting and northing in metres of the north-western corner of its 100 km square."""
        return self.col * _STEP, (self.row + 1) * _STEP + self._false_northing

    @property
    def middle(self) -> tuple[float, float]:
        """Longitude and latitude of its middle in degrees."""
        return _middle(self)

    @property
    def name(self) -> str:
        """Its name: zone, latitude band, column and row letters, as in ``10SEH``."""
        column = _COLUMNS[self.zone % 3][self.col - 1]
        row = _ROWS[(self.row + (5 if self.zone % 2 == 0 else 0)) % 20]
        return f"{self.zone:02d}{_band(self.middle[1])}{column}{row}"

    def projection(self, pixel: int) -> Projection:
        """Return the projection with pixels of ``pixel`` metres from its north-western corner."""
        return Projection(self.crs, Affine(pixel, 0.0, self.left, 0.0, -pixel, self.top))


@lru_cache(maxsize=20_000)
def _middle(tile: MgrsTile) -> tuple[float, float]:
    half = SIZE / 2
    lon, lat = to_degrees(tile.crs).transform(tile.left + half, tile.top - half)
    return float(lon), float(lat)


def _band(lat: float) -> str:
    return _BANDS[min(int((lat + 80) // 8), 19)]


@lru_cache(maxsize=20_000)
def parse(name: str) -> MgrsTile | None:
    """Return the tile with a name such as ``10SEH``, or None if there is none."""
    match = _NAME.fullmatch(name)
    if match is None or not 1 <= int(match[1]) <= 60:
        return None
    zone = int(match[1])
    col = _COLUMNS[zone % 3].find(match[3]) + 1
    letter = _ROWS.index(match[4]) - (5 if zone % 2 == 0 else 0)
    south = (_BANDS.index(match[2]) * 8 - 80) * 110.6 / 100 - 3
    for row in range(int(np.floor(south)), int(np.floor(south)) + 20):
        if (row - letter) % 20 == 0:
            tile = MgrsTile(zone, col, row)
            return tile if col and exists(tile) and tile.name == name else None
    return None


def exists(tile: MgrsTile) -> bool:
    """Whether a tile has scenes, as the shipped file of places tells."""
    row = tile.row - FIRST_TILE_ROW
    return 0 <= row < TILES[1] and bool(places().sentinel2[tile.zone - 1, row, tile.col - 1])


def has_land(tile: MgrsTile) -> bool:
    """Whether a tile reaches into its zone, contains land and lies in Sentinel-2's latitudes."""
    at = np.linspace(0, 1, 9)
    left, top = tile.square
    x, y = np.meshgrid(left + at * _STEP, top - at * _STEP)
    lon, lat = to_degrees(tile.crs).transform(x, y)
    west = 6 * tile.zone - 186
    if not ((lon >= west) & (lon < west + 6) & (lat >= _SOUTH) & (lat <= _NORTH)).any():
        return False
    return bool(is_land(np.clip(lon, -180, 180), lat).any())


def tiles(bounds: tuple[float, float, float, float]) -> Iterator[MgrsTile]:
    """Yield the tiles that may meet a box in degrees, ordered by zone, row and column."""
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
) -> Iterator[MgrsTile]:
    west, south, east, north = bounds
    middle = 6 * zone - 183
    lon = np.clip(np.array([west, (west + east) / 2, east]) - turn, middle - 12, middle + 12)
    lat = np.clip(np.array([south, (south + north) / 2, north]), _SOUTH - 1, _NORTH + 1)
    lons, lats = np.meshgrid(lon, lat)
    x, y = from_degrees(f"EPSG:326{zone:02d}").transform(lons, lats)
    cols = range(max(1, int(x.min() // _STEP) - 1), min(8, int(x.max() // _STEP) + 1) + 1)
    for row in range(int(y.min() // _STEP) - 1, int(y.max() // _STEP) + 2):
        for col in cols:
            tile = MgrsTile(zone, col, row)
            if exists(tile):
                yield tile

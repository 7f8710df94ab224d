"""The traits of places: how dry, high, forested, farmed or built up the land is.

They are smooth functions of place, with more detail in the United States. They are evaluated at
nodes 33 km apart on the land plane (see :mod:`~eedask.emulator.catalog.world.land_plane`) and
interpolated bilinearly.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import IntEnum
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eedask.emulator.catalog.world.land_plane import degrees
from eedask.emulator.catalog.world.noise import field, fractal
from eedask.emulator.catalog.world.terrain import dryness, elevation, ruggedness

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]
Bump = tuple[float, float, float, float, float]

_NODE = 2.0**15  # metres between nodes
_BLOCK = 16  # nodes on each side of a block, which is evaluated at once


class Trait(IntEnum):
    """The traits of a place. Each is from 0 to 1, except the elevation, which is in metres."""

    DRY = 0
    ELEVATION = 1
    RUGGED = 2
    FOREST = 3
    CROPS = 4
    PONDS = 5
    TOWNS = 6
    RED = 7  # red soil and rock
    OLD_FIELDS = 8  # share of irregular fields, older than the squares of the land survey
    PIVOTS = 9  # share of circular fields, watered by centre pivots


# Places with much of a trait: longitude, latitude, half widths in degrees, and strength (0 to 1).
_FARMLAND: tuple[Bump, ...] = (
    (-93.0, 42.0, 8.5, 4.0, 1.0),
    (-99.5, 41.0, 4.0, 7.0, 0.75),
    (-102.8, 38.9, 1.9, 3.4, 0.55),
    (-102.0, 34.5, 1.8, 2.2, 0.8),
    (-97.5, 47.3, 4.0, 2.6, 0.95),
    (-107.0, 47.5, 5.0, 1.6, 0.45),
    (-120.4, 36.9, 0.8, 1.6, 0.95),
    (-121.6, 39.0, 0.5, 1.1, 0.9),
    (-90.5, 34.2, 1.0, 2.8, 0.9),
    (-84.0, 40.6, 3.5, 1.6, 0.9),
    (-119.2, 46.8, 1.6, 1.1, 0.75),
    (-114.2, 42.9, 2.6, 0.5, 0.7),
    (-112.1, 43.7, 0.6, 0.7, 0.8),
    (-77.2, 36.0, 1.6, 2.2, 0.5),
    (-83.6, 31.6, 2.0, 1.2, 0.5),
    (-76.3, 40.3, 1.4, 0.9, 0.5),
    (-76.8, 43.0, 2.2, 0.6, 0.55),
    (-85.5, 43.0, 1.6, 1.2, 0.6),
    (-111.9, 33.2, 1.0, 0.6, 0.5),
    (-104.7, 40.4, 0.55, 0.7, 0.85),
    (-106.0, 37.7, 0.35, 0.5, 0.95),
    (-108.3, 38.8, 0.45, 0.3, 0.6),
    (-103.8, 38.1, 0.9, 0.15, 0.8),
    (-97.0, 33.0, 1.5, 4.0, 0.35),
    # The other continents
    (-107.0, 51.5, 7.0, 2.0, 0.9),
    (-81.0, 43.3, 1.5, 1.0, 0.7),
    (-101.5, 20.6, 2.5, 1.0, 0.5),
    (-61.5, -34.0, 4.0, 4.0, 0.95),
    (-53.0, -25.0, 3.0, 2.5, 0.75),
    (-48.5, -21.5, 2.5, 1.8, 0.7),
    (-56.0, -13.5, 2.5, 2.0, 0.6),
    (-71.3, -35.0, 0.7, 2.5, 0.6),
    (2.0, 48.5, 3.5, 1.8, 0.9),
    (-0.5, 52.6, 1.2, 1.4, 0.8),
    (11.5, 52.5, 4.5, 1.4, 0.8),
    (19.0, 52.0, 3.5, 1.8, 0.75),
    (10.3, 45.1, 2.4, 0.6, 0.95),
    (20.0, 46.3, 2.2, 1.6, 0.85),
    (26.5, 45.0, 3.0, 1.4, 0.8),
    (-4.5, 40.5, 2.8, 2.4, 0.5),
    (33.0, 48.5, 7.0, 2.6, 0.95),
    (45.0, 51.0, 7.0, 2.6, 0.7),
    (68.0, 53.5, 9.0, 1.6, 0.7),
    (31.2, 30.9, 0.8, 0.7, 1.0),
    (-7.0, 33.0, 1.6, 1.2, 0.5),
    (2.0, 11.8, 9.0, 1.4, 0.6),
    (38.5, 9.5, 2.0, 2.0, 0.55),
    (34.8, -0.2, 1.2, 1.2, 0.6),
    (27.5, -27.5, 2.2, 1.6, 0.7),
    (75.5, 30.5, 2.2, 1.6, 1.0),
    (82.5, 26.0, 5.5, 1.5, 0.95),
    (89.5, 24.2, 2.0, 1.8, 0.95),
    (77.0, 20.0, 3.5, 3.0, 0.75),
    (79.5, 14.0, 2.0, 3.5, 0.65),
    (116.5, 35.5, 3.6, 3.2, 0.95),
    (125.5, 45.0, 3.0, 2.4, 0.9),
    (105.3, 30.3, 2.2, 1.4, 0.85),
    (113.5, 30.0, 2.8, 1.6, 0.75),
    (100.5, 15.0, 1.4, 1.6, 0.9),
    (105.8, 10.2, 1.0, 0.9, 1.0),
    (110.5, -7.3, 3.2, 0.6, 0.8),
    (121.0, 15.6, 0.6, 0.8, 0.8),
    (140.5, 38.6, 0.8, 1.8, 0.5),
    (147.0, -34.5, 3.6, 2.0, 0.75),
    (117.5, -31.8, 1.6, 2.0, 0.75),
    (171.8, -43.9, 0.6, 0.5, 0.6),
)
_LAKES: tuple[Bump, ...] = (
    (-94.5, 46.5, 3.0, 2.5, 1.0),
    (-90.0, 45.7, 2.5, 1.2, 0.9),
    (-85.0, 44.6, 2.0, 2.0, 0.5),
    (-69.3, 45.2, 2.0, 1.6, 0.8),
    (-74.4, 44.0, 1.0, 0.7, 0.6),
    (-81.6, 28.3, 1.0, 2.0, 0.8),
    (-98.8, 47.5, 1.6, 2.5, 0.8),
    (-91.3, 30.0, 3.0, 0.7, 0.8),
)
_CITIES: tuple[Bump, ...] = (
    (-104.95, 39.72, 0.25, 0.25, 0.9),
    (-104.8, 38.85, 0.15, 0.15, 0.7),
    (-105.05, 40.5, 0.15, 0.2, 0.45),
    (-118.1, 34.0, 0.5, 0.3, 1.0),
    (-122.2, 37.6, 0.3, 0.35, 0.9),
    (-112.0, 33.5, 0.4, 0.3, 0.95),
    (-97.0, 32.85, 0.5, 0.35, 0.9),
    (-95.4, 29.8, 0.4, 0.35, 0.9),
    (-87.9, 41.85, 0.4, 0.4, 0.95),
    (-83.2, 42.4, 0.35, 0.3, 0.9),
    (-84.35, 33.8, 0.45, 0.4, 0.8),
    (-74.1, 40.75, 0.5, 0.35, 1.0),
    (-75.2, 40.0, 0.35, 0.25, 0.9),
    (-77.0, 38.95, 0.35, 0.35, 0.9),
    (-71.2, 42.35, 0.35, 0.3, 0.85),
    (-80.3, 26.1, 0.15, 0.5, 0.9),
    (-122.3, 47.5, 0.2, 0.4, 0.85),
    (-122.65, 45.5, 0.2, 0.2, 0.8),
    (-93.2, 44.95, 0.35, 0.3, 0.85),
    (-90.4, 38.65, 0.3, 0.25, 0.8),
    (-111.9, 40.7, 0.15, 0.3, 0.85),
    (-115.15, 36.15, 0.2, 0.2, 0.9),
    # The other continents
    (-79.4, 43.75, 0.4, 0.3, 0.9),
    (-73.6, 45.5, 0.3, 0.25, 0.85),
    (-123.0, 49.2, 0.25, 0.2, 0.8),
    (-99.15, 19.45, 0.35, 0.35, 1.0),
    (-74.1, 4.65, 0.2, 0.25, 0.95),
    (-77.0, -12.05, 0.25, 0.3, 0.95),
    (-70.65, -33.45, 0.25, 0.25, 0.9),
    (-58.5, -34.6, 0.4, 0.35, 1.0),
    (-46.6, -23.55, 0.45, 0.35, 1.0),
    (-43.35, -22.85, 0.35, 0.25, 0.9),
    (-47.95, -15.8, 0.25, 0.25, 0.8),
    (-60.0, -3.08, 0.15, 0.12, 0.8),
    (-0.1, 51.5, 0.4, 0.3, 1.0),
    (2.35, 48.85, 0.35, 0.25, 1.0),
    (-3.7, 40.42, 0.25, 0.2, 0.9),
    (13.4, 52.5, 0.3, 0.2, 0.9),
    (12.5, 41.9, 0.2, 0.18, 0.85),
    (9.2, 45.5, 0.25, 0.18, 0.85),
    (4.7, 52.1, 0.45, 0.3, 0.8),
    (7.0, 51.4, 0.45, 0.25, 0.85),
    (21.0, 52.22, 0.25, 0.18, 0.85),
    (30.5, 50.45, 0.25, 0.2, 0.85),
    (37.6, 55.75, 0.5, 0.35, 1.0),
    (29.0, 41.05, 0.4, 0.2, 1.0),
    (31.25, 30.05, 0.25, 0.25, 1.0),
    (3.4, 6.55, 0.25, 0.2, 1.0),
    (15.3, -4.4, 0.2, 0.18, 0.9),
    (36.85, -1.28, 0.2, 0.2, 0.9),
    (38.75, 9.0, 0.15, 0.15, 0.85),
    (28.05, -26.15, 0.4, 0.3, 0.95),
    (18.6, -33.95, 0.2, 0.2, 0.8),
    (51.4, 35.7, 0.3, 0.2, 0.95),
    (67.05, 24.9, 0.2, 0.2, 0.95),
    (77.2, 28.6, 0.4, 0.35, 1.0),
    (72.9, 19.1, 0.2, 0.3, 1.0),
    (88.4, 22.6, 0.25, 0.3, 0.95),
    (77.6, 12.97, 0.25, 0.22, 0.95),
    (90.4, 23.8, 0.2, 0.22, 1.0),
    (100.55, 13.75, 0.35, 0.3, 0.95),
    (106.7, 10.8, 0.25, 0.2, 0.95),
    (106.85, -6.25, 0.4, 0.25, 1.0),
    (121.05, 14.55, 0.2, 0.3, 1.0),
    (113.6, 22.9, 0.6, 0.4, 1.0),
    (121.4, 31.2, 0.4, 0.3, 1.0),
    (116.4, 39.95, 0.4, 0.35, 1.0),
    (126.95, 37.55, 0.3, 0.25, 1.0),
    (139.7, 35.7, 0.5, 0.35, 1.0),
    (135.5, 34.7, 0.3, 0.25, 0.95),
    (151.0, -33.85, 0.25, 0.2, 0.85),
    (145.0, -37.85, 0.3, 0.2, 0.85),
)
_RED: tuple[Bump, ...] = (
    (-110.0, 37.6, 2.6, 2.0, 1.0),
    (-112.0, 36.0, 2.0, 1.4, 0.8),
    (-97.8, 35.0, 1.6, 1.6, 0.75),
    (-100.5, 34.5, 1.6, 2.0, 0.6),
    (-82.5, 34.2, 3.5, 1.6, 0.6),
    (-108.0, 44.0, 1.0, 1.0, 0.4),
)


def traits(x: NDArray[Any], south: NDArray[Any]) -> Floats:
    """Return the traits on a grid of places, shape (traits, rows, columns).

    Parameters
    ----------
    x, south : ndarray, shapes (columns,) and (rows,)
        Increasing coordinates on the land plane, in metres east and south of its origin.
    """
    col, across = _between(x)
    row, down = _between(south)
    corners = _nodes((int(col[0]), int(col[-1]) + 1), (int(row[0]), int(row[-1]) + 1))
    if corners.shape[1:] == (2, 2):
        left, right = corners[:, :, 0], corners[:, :, 1]
        upper = left[:, :1] + (right[:, :1] - left[:, :1]) * across
        lower = left[:, 1:] + (right[:, 1:] - left[:, 1:]) * across
    else:
        col, row = col - col[0], row - row[0]
        lines = corners[..., col] + (corners[..., col + 1] - corners[..., col]) * across
        upper, lower = lines[:, row], lines[:, row + 1]
        found: Floats = upper + (lower - upper) * down[:, None]
        return found
    return upper[:, None] + (lower - upper)[:, None] * down[:, None]


def traits_at(x: Doubles, south: Doubles) -> Floats:
    """Return the traits at places of any shape, (traits, ...); the same as :func:`traits`."""
    col, across = _between(x)
    row, down = _between(south)
    nodes, number = np.unique(
        np.stack([col.ravel(), row.ravel()], axis=1), axis=0, return_inverse=True
    )
    corners = np.stack([_nodes((c, c + 1), (r, r + 1)) for c, r in nodes.tolist()], axis=1)
    corners = corners[:, number.reshape(x.shape)]
    left, right = corners[..., 0], corners[..., 1]
    upper = left[..., 0] + (right[..., 0] - left[..., 0]) * across
    lower = left[..., 1] + (right[..., 1] - left[..., 1]) * across
    found: Floats = upper + (lower - upper) * down
    return found


def _between(at: NDArray[Any]) -> tuple[NDArray[np.int64], Floats]:
    """Return the node before each place on an axis, and the fraction of the way to the next."""
    place = at / _NODE - 0.5
    node = np.floor(place)
    return node.astype(np.int64), (place - node).astype(np.float32)


def _nodes(cols: tuple[int, int], rows: tuple[int, int]) -> Floats:
    """Return the traits at a rectangle of nodes, shape (traits, rows, columns).

    ``cols`` and ``rows`` are the first and the last of each.
    """
    found = np.empty((len(Trait), rows[1] - rows[0] + 1, cols[1] - cols[0] + 1), np.float32)
    for block_row in range(rows[0] // _BLOCK, rows[1] // _BLOCK + 1):
        in_rows, at_rows = _overlap(block_row, rows)
        for block_col in range(cols[0] // _BLOCK, cols[1] // _BLOCK + 1):
            in_cols, at_cols = _overlap(block_col, cols)
            found[:, at_rows, at_cols] = _block(block_col, block_row)[:, in_rows, in_cols]
    return found


def _overlap(block: int, nodes: tuple[int, int]) -> tuple[slice, slice]:
    """Return the overlap of a block and an interval of nodes, as a slice of each."""
    first, last = max(nodes[0], block * _BLOCK), min(nodes[1], (block + 1) * _BLOCK - 1)
    return (
        slice(first - block * _BLOCK, last + 1 - block * _BLOCK),
        slice(first - nodes[0], last + 1 - nodes[0]),
    )


@lru_cache(maxsize=512)
def _block(col: int, row: int) -> Floats:
    """Return the traits at a block of nodes, shape (traits, 16, 16)."""
    x = (col * _BLOCK + np.arange(_BLOCK) + 0.5) * _NODE
    south = (row * _BLOCK + np.arange(_BLOCK) + 0.5) * _NODE
    return place(*degrees(*np.meshgrid(x, south)))


def place(lon: Doubles, lat: Doubles, wanted: Sequence[Trait] = tuple(Trait)) -> Floats:
    """Return the wanted traits at longitudes and latitudes of one shape, shape (traits, ...)."""
    dry, height = dryness(lon, lat), elevation(lon, lat)
    patchy = fractal(lon * 1.1, lat * 1.1, 61)
    farmland = _bumps(_FARMLAND, lon, lat)
    rugged = ruggedness(lon, lat) * (1 - 0.85 * farmland)
    crops = farmland * (1.1 + 0.5 * patchy) * (1 - 0.9 * rugged)
    crops = np.clip(crops + 0.18 * (1 - dry) * (1 - rugged), 0, 1)
    mountain = np.clip((height - 1500) / 700, 0, 1) * np.clip((3500 - height) / 300, 0, 1)
    forest = 0.95 * (1 - dry) ** 1.3 + 0.95 * mountain * rugged + 0.25 * patchy - 0.55 * crops
    forest *= np.clip((70 - np.abs(lat)) / 6, 0, 1)  # nearer to the poles is tundra
    crops *= np.clip((60 - np.abs(lat)) / 4, 0, 1)
    found: dict[Trait, Callable[[], NDArray[Any]]] = {
        Trait.DRY: lambda: dry,
        Trait.ELEVATION: lambda: height,
        Trait.RUGGED: lambda: np.clip(rugged + 0.12 * (1 + patchy), 0.05, 1),
        Trait.FOREST: lambda: np.clip(forest, 0, 1),
        Trait.CROPS: lambda: crops,
        Trait.PONDS: lambda: np.maximum(_bumps(_LAKES, lon, lat), 0.25 * (1 - dry)),
        Trait.TOWNS: lambda: np.maximum(
            _bumps(_CITIES, lon, lat), 0.03 * (1 - dry) * (np.abs(lat) < 62)
        ),
        Trait.RED: lambda: _bumps(_RED, lon, lat),
        Trait.OLD_FIELDS: lambda: np.clip((lon + 88) / 3, 0, 1),
        Trait.PIVOTS: lambda: np.clip(1.6 * dry + 0.12 * field(lon, lat, 63), 0, 1) * (lon < -93),
    }
    return np.stack([found[trait]().astype(np.float32) for trait in wanted])


def _bumps(bumps: tuple[Bump, ...], lon: Doubles, lat: Doubles) -> Doubles:
    total = np.zeros(lon.shape)
    for at_lon, at_lat, half_lon, half_lat, strength in bumps:
        away = ((lon - at_lon) / half_lon) ** 2 + ((lat - at_lat) / half_lat) ** 2
        total = np.maximum(total, strength * np.exp(-(away**1.5)))
    return total

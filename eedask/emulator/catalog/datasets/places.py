"""The Landsat scenes and Sentinel-2 tiles that contain land, read from a file.

Finding them takes a minute, so :mod:`~eedask.emulator.catalog.datasets.build_places` did it once.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Places(NamedTuple):
    """Whether each place contains land, as arrays of bool.

    Attributes
    ----------
    landsat : ndarray, shape (paths, rows)
        From path 1 and row 1 on.
    sentinel2 : ndarray, shape (zones, rows, columns)
        Tiles by zone, from 1; row of the grid, from :data:`FIRST_TILE_ROW`; column, from 1.
    """

    landsat: NDArray[np.bool_]
    sentinel2: NDArray[np.bool_]


PATHS, ROWS = 233, 119
FIRST_TILE_ROW = -62
TILES = (60, 155, 8)
FILE = "data/places.npz"


@cache
def places() -> Places:
    """Return the places in the file."""
    with files("eedask.emulator.catalog").joinpath(FILE).open("rb") as file:
        kept = np.load(file)
        return Places(
            _unpacked(kept["landsat"], (PATHS, ROWS)), _unpacked(kept["sentinel2"], TILES)
        )


def _unpacked(bits: NDArray[np.uint8], shape: tuple[int, ...]) -> NDArray[np.bool_]:
    flat = np.unpackbits(bits, count=int(np.prod(shape)))
    return flat.reshape(shape).astype(np.bool_)

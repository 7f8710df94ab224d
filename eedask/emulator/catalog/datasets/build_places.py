"""Make ``data/places.npz``, which tells the Landsat scenes and Sentinel-2 tiles with land.

    python -m eedask.emulator.catalog.datasets.build_places

To be run again when the outlines of the land or the places of the scenes change.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from eedask.emulator.catalog.datasets import landsat, mgrs
from eedask.emulator.catalog.datasets.places import FILE, FIRST_TILE_ROW, PATHS, ROWS, TILES


def main() -> None:
    """Write the file into the package."""
    # Row by row, since neighbours in a row need the same outlines.
    found = np.zeros((PATHS, ROWS), np.bool_)
    for row in range(ROWS):
        for path in range(PATHS):
            found[path, row] = landsat.has_land(landsat.Place(path + 1, row + 1))
    tiles = np.zeros(TILES, np.bool_)
    for row in range(TILES[1]):
        for zone, col in np.ndindex(TILES[0], TILES[2]):
            tile = mgrs.MgrsTile(zone + 1, col + 1, FIRST_TILE_ROW + row)
            tiles[zone, row, col] = mgrs.has_land(tile)
    output = Path(__file__).parents[1] / FILE
    np.savez_compressed(output, landsat=np.packbits(found), sentinel2=np.packbits(tiles))


if __name__ == "__main__":
    main()

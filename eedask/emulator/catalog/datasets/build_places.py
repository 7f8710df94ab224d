"""Make ``data/places.npz``: look for land in every place of Landsat and tile of Sentinel-2.

    python -m eedask.emulator.catalog.datasets.build_places

To be done again when the outlines change, or where scenes lie.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from eedask.emulator.catalog.datasets import landsat, mgrs
from eedask.emulator.catalog.datasets.places import FILE, FIRST_TILE_ROW, PATHS, ROWS, TILES


def main() -> None:
    """Write the package file."""
    # Row by row, since the land of a row is looked up together.
    found = np.zeros((PATHS, ROWS), np.bool_)
    for row in range(ROWS):
        for path in range(PATHS):
            found[path, row] = landsat.has_land(landsat.Place(path + 1, row + 1))
    tiles = np.zeros(TILES, np.bool_)
    for row in range(TILES[1]):
        for zone, col in np.ndindex(TILES[0], TILES[2]):
            tile = mgrs.Tile(zone + 1, col + 1, FIRST_TILE_ROW + row)
            tiles[zone, row, col] = mgrs.has_land(tile)
    output = Path(__file__).parents[1] / FILE
    np.savez_compressed(output, landsat=np.packbits(found), sentinel2=np.packbits(tiles))


if __name__ == "__main__":
    main()

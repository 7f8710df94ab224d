"""The outlines of the world's land masses, from the package's own data.

They are Natural Earth's (public domain). ``data/land.npz`` is made by
:mod:`eedask.emulator.catalog.tables.build`: reading it takes a hundredth of the time that
decoding and mending the source takes.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import shapely

FILE = Path(__file__).parents[1] / "data" / "land.npz"


@cache
def land() -> tuple[shapely.Polygon, ...]:
    """Return the world's land masses, one valid polygon each, in degrees."""
    with np.load(FILE) as data:
        offsets = (data["rings"], data["polygons"])
        polygons = shapely.from_ragged_array(
            shapely.GeometryType.POLYGON, data["vertices"], offsets
        )
    return tuple(polygons)

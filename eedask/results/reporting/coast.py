"""The coast line of maps: Natural Earth's (public domain), made by ``build_coast``."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

FILE = Path(__file__).with_name("coast.npz")
# The file has whole numbers: hundredths of a degree.
STEPS = 100


@cache
def coast() -> tuple[NDArray[np.float64], ...]:
    """Return the lines of the world's coast, each of shape (n, 2): longitude, latitude."""
    with np.load(FILE) as found:
        degrees = found["points"] / STEPS
        ends = np.cumsum(found["lengths"], dtype=np.int64)
    return tuple(np.split(degrees, ends[:-1]))

"""The reflectances of the land, in tables by greenness of the season, material and tone.

Bands are named by their part of the spectrum; each band of a sensor uses one of these. The numbers
are reflectances times 10,000, plausible but not measured.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from eedask.emulator.catalog.world.palette import TONES, Material

Floats = NDArray[np.float32]

# The number of steps of greenness, from withered to the height of the season.
STEPS = 64
KINDS = len(Material) * TONES

_MEASURED = ("blue", "green", "red", "edge1", "edge2", "nir", "swir1", "swir2")
# Reflectances of the first and the last tone in these bands, at the height of the season.
_REFLECTANCES = {
    Material.SOIL: (
        (900, 1200, 1600, 1800, 1950, 2200, 3100, 2700),
        (500, 700, 950, 1100, 1200, 1400, 2000, 1700),
    ),
    Material.GRASS: (
        (700, 1000, 1250, 1600, 2000, 2300, 2800, 2000),
        (330, 640, 450, 1000, 2700, 3300, 1900, 950),
    ),
    Material.CONIFER: (
        (300, 450, 380, 650, 1600, 2000, 1100, 600),
        (180, 320, 230, 450, 1350, 1750, 800, 380),
    ),
    Material.BROADLEAF: (
        (300, 600, 400, 900, 2800, 3400, 1700, 800),
        (200, 450, 260, 700, 2400, 3000, 1400, 600),
    ),
    Material.SHRUB: (
        (600, 850, 950, 1300, 1800, 2100, 2500, 1800),
        (400, 600, 600, 1000, 1700, 2100, 1900, 1200),
    ),
    Material.SHADOW: (
        (180, 300, 210, 420, 1100, 1400, 650, 320),
        (120, 200, 150, 300, 850, 1100, 480, 230),
    ),
    Material.WATER: (
        (720, 950, 760, 600, 380, 310, 120, 70),
        (330, 300, 170, 110, 70, 45, 20, 15),
    ),
    Material.ASPHALT: (
        (1000, 1100, 1200, 1300, 1400, 1500, 1800, 1700),
        (600, 650, 700, 780, 850, 900, 1200, 1150),
    ),
    Material.GRAVEL: (
        (1500, 1800, 2100, 2250, 2400, 2550, 3000, 2800),
        (1100, 1350, 1600, 1750, 1850, 2000, 2500, 2300),
    ),
    Material.CROP: (
        (350, 750, 450, 1150, 3300, 4100, 2100, 1000),
        (250, 600, 300, 900, 3200, 4000, 1700, 750),
    ),
    Material.RIPE: (
        (800, 1200, 1600, 2000, 2400, 2700, 3200, 2300),
        (600, 950, 1250, 1650, 2100, 2400, 2800, 1900),
    ),
    Material.TILLED: (
        (700, 950, 1250, 1400, 1550, 1700, 2500, 2300),
        (400, 560, 750, 880, 980, 1100, 1700, 1500),
    ),
    Material.ROOF: (
        (2200, 2300, 2400, 2450, 2500, 2600, 2600, 2400),
        (800, 850, 900, 950, 1000, 1100, 1400, 1300),
    ),
    Material.STUBBLE: (
        (800, 1100, 1450, 1700, 1950, 2200, 3300, 2700),
        (600, 850, 1100, 1350, 1600, 1850, 2700, 2100),
    ),
    Material.SNOW: (
        (9200, 9100, 9000, 8900, 8700, 8200, 1500, 1000),
        (8000, 8000, 7900, 7800, 7500, 7000, 1100, 800),
    ),
    Material.SAND: (
        (1700, 2200, 2700, 2900, 3000, 3200, 3900, 3500),
        (1300, 1700, 2100, 2300, 2450, 2600, 3200, 2900),
    ),
    Material.RED_SOIL: (
        (700, 1000, 1900, 2200, 2400, 2600, 3400, 2900),
        (450, 650, 1300, 1550, 1750, 1900, 2600, 2200),
    ),
    Material.ROCK: (
        (1100, 1300, 1500, 1600, 1700, 1800, 2200, 2000),
        (700, 820, 950, 1030, 1100, 1200, 1600, 1450),
    ),
    Material.MEADOW: (
        (350, 700, 420, 1050, 3000, 3700, 2000, 950),
        (300, 600, 350, 900, 2700, 3300, 1800, 850),
    ),
    Material.TILES: (
        (900, 1200, 1900, 2000, 2100, 2200, 2500, 2300),
        (600, 780, 1200, 1300, 1400, 1500, 1800, 1700),
    ),
}
# The reflectances that green materials take on out of season, and by which share at most.
_WITHERED = {
    Material.GRASS: ((720, 1020, 1300, 1600, 1900, 2200, 2900, 2200), 0.85),
    Material.BROADLEAF: ((480, 640, 740, 950, 1350, 1650, 2000, 1300), 0.75),
    Material.MEADOW: ((650, 950, 1100, 1450, 2000, 2350, 2800, 1900), 0.8),
    Material.CROP: ((680, 930, 1180, 1380, 1600, 1800, 2500, 2150), 0.95),
    Material.SHRUB: ((680, 950, 1200, 1350, 1550, 1750, 2600, 2050), 0.9),
    Material.CONIFER: ((280, 400, 360, 600, 1400, 1750, 1000, 560), 0.4),
}
# Bands that are weighted sums of two of the bands above.
_MIXED = {
    "coastal": (("blue", 0.86), ("green", 0.0)),
    "edge3": (("edge2", 0.3), ("nir", 0.66)),
    "nir_narrow": (("nir", 1.02), ("edge2", 0.0)),
    "vapour": (("nir", 0.96), ("swir1", 0.03)),
}
# The reflectances of clouds.
CLOUD = {
    "coastal": 7000.0,
    "blue": 6900.0,
    "green": 6700.0,
    "red": 6800.0,
    "edge1": 6900.0,
    "edge2": 6950.0,
    "edge3": 7000.0,
    "nir": 7050.0,
    "nir_narrow": 7050.0,
    "vapour": 6500.0,
    "swir1": 5200.0,
    "swir2": 4300.0,
}


def index(kind: NDArray[np.uint16], green: Floats) -> NDArray[np.int32]:
    """Return indices into :func:`table`, from codes of land cover and greenness (0 to 1)."""
    step = np.clip(green * STEPS, 0, STEPS - 1).astype(np.int32)
    return step * np.int32(KINDS) + kind


@lru_cache(maxsize=16)
def table(band: str) -> Floats:
    """Return a band's reflectances times 10,000, a flat table to look up with :func:`index`."""
    if band in _MIXED:
        (one, a), (other, b) = _MIXED[band]
        mixed: Floats = np.float32(a) * table(one) + np.float32(b) * table(other)
        return mixed
    column = _MEASURED.index(band)
    tones = np.linspace(0, 1, TONES)
    withering = 1 - (np.arange(STEPS) + 0.5) / STEPS
    values = np.empty((STEPS, len(Material), TONES), np.float32)
    for material in Material:
        first, last = (ends[column] for ends in _REFLECTANCES[material])
        green = first + tones * (last - first)
        withered, most = _WITHERED.get(material, (None, 0.0))
        target = green if withered is None else withered[column]
        values[:, material] = green + (most * withering)[:, None] * (target - green)
    return values.reshape(-1)

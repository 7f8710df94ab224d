"""The materials of the land, and their colours in red, green, blue and near infrared.

A pixel of land has a material, a tone from 0 to 15 between the material's two extreme colours, and
a brightness. Colours change with the season and a little from flight to flight; the land does not.
"""

from __future__ import annotations

import datetime as dt
import zlib
from enum import IntEnum
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

TONES = 16


class Material(IntEnum):
    """The materials, in the order of the colour table."""

    SOIL = 0
    GRASS = 1
    CONIFER = 2
    BROADLEAF = 3
    SHRUB = 4
    SHADOW = 5
    WATER = 6
    ASPHALT = 7
    GRAVEL = 8
    CROP = 9
    RIPE = 10
    TILLED = 11
    ROOF = 12
    STUBBLE = 13
    SNOW = 14
    SAND = 15
    RED_SOIL = 16
    ROCK = 17
    MEADOW = 18
    TILES = 19


# Digital numbers of the first and the last tone in red, green, blue and near infrared, at the
# height of the season and at a brightness of 1.
_COLORS = np.array(
    [
        [(196, 180, 154, 188), (138, 120, 98, 132)],  # SOIL
        [(184, 172, 132, 184), (92, 118, 66, 196)],  # GRASS: dry to lush
        [(78, 90, 62, 140), (46, 64, 42, 128)],  # CONIFER
        [(112, 130, 76, 212), (64, 92, 48, 196)],  # BROADLEAF
        [(134, 132, 106, 150), (92, 100, 74, 144)],  # SHRUB
        [(66, 66, 60, 72), (36, 42, 40, 50)],  # SHADOW
        [(104, 112, 92, 44), (42, 58, 66, 16)],  # WATER: muddy to deep
        [(158, 156, 152, 146), (104, 104, 106, 96)],  # ASPHALT
        [(214, 202, 178, 204), (176, 158, 130, 164)],  # GRAVEL
        [(128, 152, 84, 222), (70, 108, 56, 214)],  # CROP
        [(212, 194, 136, 204), (176, 156, 96, 184)],  # RIPE
        [(166, 142, 114, 152), (98, 80, 64, 90)],  # TILLED
        [(226, 224, 220, 214), (92, 90, 92, 92)],  # ROOF
        [(192, 176, 138, 182), (148, 140, 102, 166)],  # STUBBLE
        [(240, 241, 243, 228), (206, 206, 204, 192)],  # SNOW
        [(222, 206, 176, 212), (188, 168, 138, 184)],  # SAND
        [(204, 150, 116, 184), (140, 86, 62, 120)],  # RED_SOIL
        [(172, 164, 152, 160), (104, 99, 95, 101)],  # ROCK
        [(118, 142, 82, 216), (66, 96, 50, 190)],  # MEADOW
        [(182, 122, 96, 160), (96, 68, 58, 90)],  # TILES
    ],
    np.float32,
)
# The colours that green materials take on outside their season, and by which share at most.
_WITHERED = {
    Material.GRASS: ((178, 166, 124, 172), 0.6),
    Material.BROADLEAF: ((138, 118, 88, 142), 0.7),
    Material.MEADOW: ((160, 150, 104, 170), 0.5),
    Material.CROP: ((180, 164, 112, 176), 0.35),
    Material.SHRUB: ((136, 130, 108, 144), 0.3),
}
_PEAK = 186  # day of the year when the land is greenest


@lru_cache(maxsize=512)
def colors(date: dt.date) -> NDArray[np.float32]:
    """Return the colours on the date of a flight, shape (4, materials x 16).

    Columns are indexed by 16 times the material, plus the tone. Each date has its own exposure
    and haze.
    """
    season = min(1.0, abs(date.timetuple().tm_yday - _PEAK) / 110)
    ends = _COLORS.copy()
    for material, (color, most) in _WITHERED.items():
        share = np.float32(most * season**1.5)
        ends[material] += share * (np.array(color, np.float32) - ends[material])
    step = np.linspace(0, 1, TONES, dtype=np.float32)[:, None]
    table = ends[:, :1] + step * (ends[:, 1:] - ends[:, :1])
    draw = np.random.default_rng(zlib.crc32(f"flight {date.isoformat()}".encode()))
    gain = draw.normal(0.96, 0.035) * draw.normal(1, 0.012, 4)
    haze = draw.uniform(0, 9) * np.array([0.7, 0.9, 1.2, 0.3])
    flown = table.reshape(-1, 4) * gain + haze
    return np.ascontiguousarray(flown.T.astype(np.float32))

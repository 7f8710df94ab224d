"""Land cover for large pixels: the kind of land that prevails around a place."""

from __future__ import annotations

from functools import partial

import numpy as np
from numpy.typing import NDArray

from eedask.emulator.catalog.world.noise import fractal, mixed, uniform
from eedask.emulator.catalog.world.palette import TONES, Material
from eedask.emulator.catalog.world.regions import Trait, place
from eedask.emulator.catalog.world.sample_points import Spots, evaluated, lonlat
from eedask.emulator.catalog.world.terrain import is_land, is_land_roughly

Floats = NDArray[np.float32]

_TRAITS = (Trait.DRY, Trait.ELEVATION, Trait.FOREST, Trait.CROPS)
_NODES = 15  # traits are evaluated at nodes at least 2**15 metres apart
_ROUGH = 13  # for places 2**13 metres apart or more, a land mask of a tenth of a degree suffices
# What grows on fields; the shares of all but the last are summed up in _SHARES.
_CROPS = (Material.CROP, Material.RIPE, Material.TILLED, Material.STUBBLE, Material.MEADOW)
_SHARES = np.cumsum([0.46, 0.17, 0.1, 0.15])


def broad_ground(at: Spots, year: int) -> NDArray[np.uint16]:
    """Return the kind of land (16 times the material, plus the tone) at places in a year.

    The codes are those of :class:`~eedask.emulator.catalog.world.landscape.Land`; the array has the
    shape of the places.
    """
    lon, lat = np.broadcast_arrays(*lonlat(at))
    find = evaluated(partial(place, wanted=_TRAITS), at, _NODES, (0, 0))
    dry, height, forest, crops = find
    patchy = fractal(lon * 9.0, lat * 9.0, 67)
    cold = 90 * np.maximum(np.abs(lat) - 50, 0)
    tree_line = np.clip((height + cold - 3350) / 220, 0, 1)
    trees = (forest * 1.3 - 0.45 + 0.5 * patchy) * (1 - tree_line)
    material = np.full(lon.shape, Material.GRASS, np.uint16)
    material[(1.15 * dry - 0.6 + 0.3 * patchy) > 0.2] = Material.SOIL
    material[trees > 0.4] = Material.BROADLEAF
    material[(trees > 0.4) & ((height + cold - 1500) / 500 + dry > 0.75)] = Material.CONIFER
    material[(tree_line * 1.2 - 0.7 + 0.3 * patchy) > 0.2] = Material.SNOW
    chance = _chances(at, year)
    farmed = crops * 1.25 - 0.12 + 0.45 * patchy > _chances(at, 0)
    sown = np.array(_CROPS, np.uint16)[np.searchsorted(_SHARES, chance)]
    np.copyto(material, sown, where=farmed & (material != Material.SNOW))
    tone = np.clip(8.5 - 7.5 * dry + 4.5 * patchy, 0, TONES - 1)
    sea = ~(is_land if at.q < _ROUGH else is_land_roughly)(lon, lat)
    material[sea] = Material.WATER
    tone = np.where(sea, 14, tone)
    return material * np.uint16(TONES) + tone.astype(np.uint16)


def _chances(at: Spots, seed: int) -> Floats:
    """Return a random number from 0 to 1 for the square, ``2**at.q`` m wide, of each place."""
    size = 2.0**at.q
    x = np.floor(at.x / size).astype(np.int64) * 0x9E3779B1 & 0xFFFFFFFF
    y = np.floor(at.south / size).astype(np.int64) * 0x85EBCA77 + seed * 0xC2B2AE3D & 0xFFFFFFFF
    return uniform(mixed(np.broadcast_to(x ^ y, at.shape).astype(np.uint32)))

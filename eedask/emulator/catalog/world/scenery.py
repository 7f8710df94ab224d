"""The reflectances that an optical satellite measures of the invented land on a day.

All optical sensors take their pixels from here, so that they see the same land and, on the same
day, the same clouds.
"""

from __future__ import annotations

import datetime as dt
import math
import zlib
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from eedask.emulator.catalog.world import spectra
from eedask.emulator.catalog.world.averaging import pixel_means
from eedask.emulator.catalog.world.climate import greenness, sky
from eedask.emulator.catalog.world.ground_cover import Ground, ground
from eedask.emulator.catalog.world.palette import Material
from eedask.emulator.catalog.world.sample_points import evaluated, spots
from eedask.emulator.pixels.native_sources import Window
from eedask.emulator.pixels.raster import Projection

Floats = NDArray[np.float32]

_CLOUD_NODES = 7  # clouds are evaluated at nodes 2**7 metres apart
_SEASON_NODES = 13  # and greenness at nodes 2**13 metres apart
_CLOUD_BASE = 1500.0  # height of the clouds in metres
_OPAQUE = 0.16  # clouds of this thickness (see Sky) or more hide the ground
_SHADE = 0.42  # share of the light that is left in the shadow of an opaque cloud


class View(NamedTuple):
    """The pixels of a scene to compute, and its day.

    Attributes
    ----------
    projection, level, window : Projection, int, Window
        Where the pixels are, as for :func:`~eedask.emulator.catalog.world.sample_points.spots`.
    day : date
    parts : int
        A pixel is the mean of ``parts`` by ``parts`` points.
    sun : (float, float)
        Metres east and south from a place to the cloud that casts its shadow there.
    """

    projection: Projection
    level: int
    window: Window
    day: dt.date
    parts: int = 1
    sun: tuple[float, float] = (0.0, 0.0)


class Clouds(NamedTuple):
    """The thickness of cloud, of cirrus, and of the cloud whose shadow falls, for each pixel.

    There is none where a thickness is 0 or less (see
    :class:`~eedask.emulator.catalog.world.climate.Sky`).
    """

    cloud: Floats
    cirrus: Floats
    shadow: Floats


class Shares(NamedTuple):
    """The shares of each pixel that are water, snow, or the shadow of trees, 0 to 1."""

    water: Floats
    snow: Floats
    dark: Floats


def to_sun(elevation: float, azimuth: float) -> tuple[float, float]:
    """Return :attr:`View.sun` for a sun's elevation and azimuth, in degrees."""
    away = _CLOUD_BASE / max(math.tan(math.radians(elevation)), 0.3)
    turn = math.radians(azimuth)
    return away * math.sin(turn), -away * math.cos(turn)


@lru_cache(maxsize=48)
def clouds(view: View) -> Clouds:
    """Return the clouds over a view's pixels; they are not averaged over points."""
    at = spots(view.projection, view.level, view.window)
    q = max(_CLOUD_NODES, at.q)
    octaves = max(4, 10 - max(0, q - 9))

    def overhead(lon: NDArray[np.float64], lat: NDArray[np.float64]) -> Floats:
        return sky(lon, lat, view.day, octaves)

    # The shadow at a place is the cloud a whole number of nodes away, towards the sun.
    shift = round(view.sun[0] / 2.0**q), round(view.sun[1] / 2.0**q)
    cloud, cirrus = evaluated(overhead, at, _CLOUD_NODES, (0, 0))
    if shift == (0, 0):
        shadow = np.full_like(cloud, -1)
    else:
        shadow = evaluated(overhead, at, _CLOUD_NODES, shift)[0]
    return Clouds(cloud, cirrus, shadow)


@lru_cache(maxsize=48)
def _index(view: View) -> NDArray[np.int32]:
    """Return the indices of a view's points into the tables of reflectances."""
    at = spots(view.projection, view.level, view.window, view.parts)

    def season(lon: NDArray[np.float64], lat: NDArray[np.float64]) -> Floats:
        return greenness(lon, lat, view.day)

    green = evaluated(season, at, _SEASON_NODES, (0, 0))
    return spectra.index(_ground(view).kind, green)


def _ground(view: View) -> Ground:
    return ground(view.projection, view.level, view.window, view.day.year, view.parts)


def surface(view: View, band: str) -> Floats:
    """Return the reflectance of the ground without clouds, times 10,000, (rows, columns)."""
    land = view._replace(sun=(0.0, 0.0))
    seen = spectra.table(band).take(_index(land))
    seen *= _ground(land).light * np.float32(0.01 * _gain(view.day))
    return pixel_means(seen, view.parts)


def seen(view: View, band: str) -> Floats:
    """Return the reflectance with clouds and their shadows, times 10,000, (rows, columns)."""
    overhead = clouds(view._replace(parts=1))
    values = surface(view, band)
    if overhead.shadow.max() > 0:
        values *= 1 - np.float32(1 - _SHADE) * _depth(overhead.shadow)
    if overhead.cirrus.max() > 0:
        veil = np.float32(0.22) * np.clip(overhead.cirrus * 3, 0, 1)
        values += veil * (np.float32(0.6 * spectra.CLOUD[band]) - values)
    if overhead.cloud.max() > 0:
        depth = _depth(overhead.cloud)
        bright = spectra.CLOUD[band] * (0.75 + 0.45 * np.clip(overhead.cloud, 0, 1))
        values += depth * (bright.astype(np.float32) - values)
    return values


def _depth(cloud: Floats) -> Floats:
    """Return the share of the light that clouds of some thickness take, 0 to 1."""
    depth: Floats = np.sqrt(np.clip(cloud * np.float32(1 / _OPAQUE), 0, 1))
    return depth


@lru_cache(maxsize=32)
def shares(view: View) -> Shares:
    """Return the shares of a view's pixels that are water, snow or shadow."""
    material = _ground(view).material
    water, snow, dark = (
        pixel_means(material == kind, view.parts)
        for kind in (Material.WATER, Material.SNOW, Material.SHADOW)
    )
    return Shares(water, snow, dark)


@lru_cache(maxsize=4096)
def _gain(day: dt.date) -> float:
    """Return the factor of brightness of a day, within 1.5 % of 1."""
    return 1 + 0.03 * (zlib.crc32(f"gain {day}".encode()) / 2**32 - 0.5)

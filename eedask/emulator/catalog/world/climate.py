"""Seasons and weather of the invented world: temperature, greenness, clouds and rain.

All are functions of longitude, latitude and the day only, so that all sensors see the same weather
on the same day.
"""

from __future__ import annotations

import datetime as dt
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from eedask.emulator.catalog.world.noise import field, fractal
from eedask.emulator.catalog.world.terrain import dryness

Floats = NDArray[np.float32]
Degrees = NDArray[np.float64]

_RAINS = 205.0  # the day of the year when the tropical rains are farthest north
_YEAR = 365.25


class Sky(NamedTuple):
    """The clouds over places.

    Attributes
    ----------
    cloud : ndarray of float32
        The thickness of clouds, without a unit; there is no cloud where it is 0 or less.
    cirrus : ndarray of float32
        The same for high, thin clouds.
    """

    cloud: Floats
    cirrus: Floats


def day_of_year(day: dt.date) -> int:
    """Return the number of a day in its year, counted from 1."""
    return day.timetuple().tm_yday


def season(lat: Degrees, day: dt.date) -> Degrees:
    """Return the season at latitudes, from -1 (midwinter) to 1 (midsummer); 0 at the equator."""
    turn = np.cos(2 * np.pi * (day_of_year(day) - _RAINS) / _YEAR)
    found: Degrees = turn * np.clip(lat / 15, -1, 1)
    return found


def air_temperature(lon: Degrees, lat: Degrees, height: Floats, day: dt.date) -> Degrees:
    """Return a day's mean temperature near the ground, in kelvins; ``height`` is in metres."""
    anomaly = 3.5 * field(lon * 0.12, lat * 0.12, day.toordinal())
    mean = 301.5 - 0.0088 * np.abs(lat) ** 2 - 5.2 * (height / 1000)
    swing = 2.0 + 0.28 * np.minimum(np.abs(lat), 60)
    found: Degrees = mean + swing * season(lat, day) + anomaly
    return found


def greenness(lon: Degrees, lat: Degrees, day: dt.date) -> Floats:
    """Return how green the vegetation is on a day, 0 to 1; it differs a little between years."""
    away = np.clip((np.abs(lat) - 12) / 22, 0, 1)
    temperate = np.clip(0.5 + 0.85 * season(lat, day), 0, 1)
    rains = 0.72 + 0.28 * np.cos(2 * np.pi * (day_of_year(day) - _RAINS - 182 * (lat < 0)) / _YEAR)
    luck = 0.07 * field(lon * 0.25, lat * 0.25, 5000 + day.year)
    green = away * temperate + (1 - away) * rains + luck - 0.75 * dryness(lon, lat) ** 2
    return np.clip(green, 0, 1).astype(np.float32)


def sky(
    lon: Degrees, lat: Degrees, day: dt.date, octaves: int = 10, dry: Floats | None = None
) -> Floats:
    """Return the clouds of a day, a :class:`Sky` stacked along the first axis.

    Parameters
    ----------
    lon, lat : ndarray of float64
        Degrees.
    day : date
    octaves : int
        With ten, clouds have details of some hundred metres; each one less doubles that size.
    dry : ndarray, optional
        The dryness of the places, if it has been computed already.
    """
    if dry is None:
        dry = dryness(lon, lat)
    number = day.toordinal()
    fronts = field(lon * 0.11 - number * 0.37, lat * 0.13, 7001)
    heaps = fractal(lon * 1.1, lat * 1.1, 7 * number, 4)
    if octaves > 4:
        heaps = heaps + np.float32(0.45) * fractal(lon * 11, lat * 11, 7 * number + 4, octaves - 4)
    cloud = heaps + np.float32(1.6) * fronts - cloudlessness(lat, day, dry)
    cirrus = field(lon * 0.8, lat * 2.1, number + 3) + np.float32(0.8) * fronts - np.float32(0.42)
    return np.stack([cloud, cirrus.astype(np.float32)])


def cloudlessness(lat: Degrees, day: dt.date, dry: Floats) -> Floats:
    """Return the threshold that the noise of cloudiness must exceed for a cloud to form."""
    found: Floats = (0.02 - 0.15 * _wet(lat, dry, day) + 0.8 * dry).astype(np.float32)
    return found


def _wet(lat: Degrees, dry: Floats, day: dt.date) -> Degrees:
    """Return how strong the tropical rains are on a day, 0 to 1."""
    rains = 8 * np.cos(2 * np.pi * (day_of_year(day) - _RAINS) / _YEAR)  # degrees north
    found: Degrees = np.exp(-(((lat - rains) / 9) ** 2)) * (1 - dry)
    return found


def rain(lon: Degrees, lat: Degrees, day: dt.date, dry: Floats, height: Floats) -> Floats:
    """Return a day's rain in millimetres. It rains from thick clouds, and more in the mountains.

    Parameters
    ----------
    lon, lat : ndarray of float64
        Degrees.
    day : date
    dry : ndarray
        The dryness of the places, 0 to 1.
    height : ndarray
        Metres above the sea.
    """
    thickness = sky(lon, lat, day, octaves=5, dry=dry)[0] - np.float32(0.25)
    strength = 13 + 20 * _wet(lat, dry, day)
    fall = np.maximum(thickness, 0) * strength * (1 + height / 6000)
    return fall.astype(np.float32)

"""``MODIS/061/MOD11A2`` (and 006): synthetic land surface temperature, every 8 days.

One image a date on MODIS' global sinusoidal grid. Bands, types and quality bits are those of
https://developers.google.com/earth-engine/datasets/catalog/MODIS_061_MOD11A2. Temperature
follows latitude, season, height and dryness, with weather that passes; clouds are masked in the
temperatures, and named in the quality bands; the sea is masked everywhere.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from affine import Affine
from numpy.typing import NDArray

from eedask.emulator.catalog.crs import MODIS_SINUSOIDAL
from eedask.emulator.catalog.dates import millis, within
from eedask.emulator.catalog.footprints import footprint, ring
from eedask.emulator.catalog.noise import field, fractal
from eedask.emulator.catalog.tables import SYNTHETIC_IMAGERY
from eedask.emulator.catalog.terrain import dryness, elevation, is_land
from eedask.emulator.raster import Image, Pixels, PixelType, Projection
from eedask.emulator.sampling import Window, source_bands
from eedask.emulator.values import Collection, Query

ASSET_IDS = ("MODIS/061/MOD11A2", "MODIS/006/MOD11A2")

_PIXEL = 926.625433055833
_LEFT, _TOP = -20015109.354, 10007554.677003
_WIDTH, _HEIGHT = 43200, 21600
_RADIUS = 6371007.181
PROJECTION = Projection(MODIS_SINUSOIDAL, Affine(_PIXEL, 0.0, _LEFT, 0.0, -_PIXEL, _TOP))

_SHORT = PixelType("int", 0, 65535)
_BYTE = PixelType("int", 0, 255)
_BANDS = {
    "LST_Day_1km": _SHORT,
    "QC_Day": _BYTE,
    "Day_view_time": _BYTE,
    "Day_view_angl": _BYTE,
    "LST_Night_1km": _SHORT,
    "QC_Night": _BYTE,
    "Night_view_time": _BYTE,
    "Night_view_angl": _BYTE,
    "Emis_31": _BYTE,
    "Emis_32": _BYTE,
    "Clear_sky_days": _BYTE,
    "Clear_sky_nights": _BYTE,
}
_SCALE = 0.02  # kelvins a count
_FIRST = dt.date(2000, 2, 18)
_LAST = {"MODIS/061/MOD11A2": dt.date(2024, 12, 26), "MODIS/006/MOD11A2": dt.date(2023, 2, 10)}


def collection(asset_id: str) -> Collection:
    """Return one of the two collections."""

    def source(query: Query) -> Iterator[Image]:
        for date in _dates(asset_id):
            named = query.equals.get("system:index", _index(date)) == _index(date)
            if named and within(millis(date), query):
                yield _image(asset_id, date)

    return Collection("ImageCollection", source, SYNTHETIC_IMAGERY, id=asset_id)


def image(asset_id: str, index: str) -> Image | None:
    """Return the image of a ``system:index`` such as ``2019_01_01``, or None."""
    return next((_image(asset_id, d) for d in _dates(asset_id) if _index(d) == index), None)


def _index(date: dt.date) -> str:
    return f"{date:%Y_%m_%d}"


def _dates(asset_id: str) -> Iterator[dt.date]:
    """Yield the first days of the periods: every eighth of each year, from January 1st."""
    for year in range(_FIRST.year, _LAST[asset_id].year + 1):
        for day in range(0, 365, 8):
            date = dt.date(year, 1, 1) + dt.timedelta(days=day)
            if _FIRST <= date <= _LAST[asset_id]:
                yield date


@lru_cache(maxsize=2048)
def _image(asset_id: str, date: dt.date) -> Image:
    outline = footprint(PROJECTION, _WIDTH, _HEIGHT)
    start = millis(date)
    end = min(date + dt.timedelta(days=8), dt.date(date.year + 1, 1, 1))
    properties: dict[str, Any] = {
        "system:index": _index(date),
        "system:time_start": start,
        "system:time_end": millis(end),
        "system:footprint": ring(outline),
        "system:asset_size": 3 * len(_BANDS) * 10**7,
        **SYNTHETIC_IMAGERY,
    }
    return Image(
        bands=source_bands(Period(date), list(_BANDS), list(_BANDS.values())),
        properties=properties,
        footprint=outline,
        id=f"{asset_id}/{_index(date)}",
        version=start * 1000,
    )


class _Ground(NamedTuple):
    """What does not change with time, at the pixels of a window."""

    lon: NDArray[np.float64]
    lat: NDArray[np.float64]
    land: NDArray[np.bool_]
    height: NDArray[np.float32]
    dry: NDArray[np.float32]


class _Weather(NamedTuple):
    """Eight days over a window: kelvins, and where clouds hid the ground."""

    day: NDArray[np.float32]
    night: NDArray[np.float32]
    cloudy_day: NDArray[np.bool_]
    cloudy_night: NDArray[np.bool_]
    cloud: NDArray[np.float32]


class Period:
    """Eight days of the globe: a :class:`~eedask.emulator.sampling.NativeSource`.

    Coarser levels are evaluated at the middles of their own pixels.
    """

    projection = PROJECTION
    width = _WIDTH
    height = _HEIGHT

    def __init__(self, date: dt.date) -> None:
        self._date = date

    def read(self, band: int, level: int, window: Window) -> Pixels:
        """Return the pixels of one band in a window of a level."""
        ground = _ground(level, window)
        weather = _weather(self._date, level, window)
        name = list(_BANDS)[band]
        values, valid = _band(name, ground, weather)
        dtype = _BANDS[name].dtype
        mask = (ground.land & valid).astype(np.float32)
        return Pixels(np.where(mask > 0, values, 0).astype(dtype), mask)


@lru_cache(maxsize=8)
def _ground(level: int, window: Window) -> _Ground:
    size = 2**level
    x = _LEFT + (window.col + np.arange(window.width) + 0.5) * size * _PIXEL
    y = _TOP - (window.row + np.arange(window.height) + 0.5) * size * _PIXEL
    lat = np.degrees(y / _RADIUS)[:, None] + np.zeros_like(x)[None]
    lon = np.degrees(x[None] / (_RADIUS * np.cos(np.radians(np.clip(lat, -89.99, 89.99)))))
    on_earth = np.abs(lon) <= 180
    lon = np.clip(lon, -180, 180)
    return _Ground(lon, lat, is_land(lon, lat) & on_earth, elevation(lon, lat), dryness(lon, lat))


@lru_cache(maxsize=8)
def _weather(date: dt.date, level: int, window: Window) -> _Weather:
    ground = _ground(level, window)
    lon, lat = ground.lon, ground.lat
    number = date.toordinal()
    anomaly = 3.5 * field(lon * 0.12, lat * 0.12, number)
    patches = 2.2 * fractal(lon * 4.0, lat * 4.0, 31, octaves=4)
    mean = 301.5 - 0.0088 * np.abs(lat) ** 2 - 5.2 * (ground.height / 1000)
    day_of_year = (number - dt.date(date.year, 1, 1).toordinal()) + 4
    phase = np.cos(2 * np.pi * (day_of_year - 205) / 365.25) * np.clip(lat / 15, -1, 1)
    season = (2.0 + 0.28 * np.minimum(np.abs(lat), 60)) * phase
    air = mean + season + anomaly
    sun = np.clip(1 - np.abs(lat) / 90 + 0.3 * phase, 0.05, 1.2)
    day = air + (4.0 + 15.0 * ground.dry) * sun + patches * (0.5 + ground.dry)
    night = air - (6.0 + 7.0 * ground.dry) + 0.4 * patches
    cloud = fractal(lon * 0.9, lat * 0.9, 7 * number, octaves=4) + 0.25 * field(
        lon * 0.1, lat * 0.1, number + 1
    )
    rains = 8 * np.cos(2 * np.pi * (day_of_year - 205) / 365.25)  # degrees north
    wet = np.exp(-(((lat - rains) / 9) ** 2)) * (1 - ground.dry)
    threshold = (0.62 - 0.35 * wet + 0.5 * ground.dry).astype(np.float32)
    return _Weather(
        day.astype(np.float32),
        night.astype(np.float32),
        cloud > threshold,
        cloud + np.float32(0.2) * field(lon * 2, lat * 2, number + 2) > threshold,
        cloud - threshold,
    )


def _band(
    name: str, ground: _Ground, weather: _Weather
) -> tuple[NDArray[Any], NDArray[np.bool_] | bool]:
    """Return a band's counts, and where they are valid on land."""
    by_night = "Night" in name or "night" in name
    cloudy = weather.cloudy_night if by_night else weather.cloudy_day
    if name.startswith("LST"):
        kelvins = weather.night if by_night else weather.day
        return np.clip(np.rint(kelvins / _SCALE), 7500, 65535), ~cloudy
    if name.startswith("QC"):
        return _quality(weather.cloud, cloudy), True
    if name.endswith("view_time"):
        hour = 22.3 if by_night else 10.6
        return np.rint((hour + 0.6 * field(ground.lon * 0.2, ground.lat * 0.2, 41)) / 0.1), ~cloudy
    if name.endswith("view_angl"):
        return np.rint(65 + 50 * field(ground.lon * 0.3, ground.lat * 0.3, 43)), ~cloudy
    if name.startswith("Emis"):
        green = 1 - ground.dry
        emissivity = (0.962 if name == "Emis_31" else 0.968) + 0.018 * green
        return np.rint((emissivity - 0.49) / 0.002), ~cloudy
    return _clear_days(weather.cloud, cloudy), True


def _quality(cloud: NDArray[np.float32], cloudy: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return quality bits.

    0-1: 0 good, 1 other, 2 not produced because of clouds; 2-3: data quality; 4-5: emissivity
    error up to 0.01, 0.02, 0.04, more; 6-7: temperature error up to 1, 2, 3 K, more.
    """
    nearness = np.clip((cloud + 0.45) / 0.45, 0, 0.999)  # of clouds, to a clear pixel
    error = np.floor(nearness * 4).astype(np.int64)
    other = error > 0
    bits = other | (other << 2) | (np.minimum(error, 2) << 4) | (error << 6)
    return np.where(cloudy, 2, bits)


def _clear_days(cloud: NDArray[np.float32], cloudy: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return a bit for each of the eight days: set when it was clear."""
    days = np.clip(np.rint(6 - 6 * (cloud + 0.4)), 1, 8).astype(np.int64)
    return np.where(cloudy, 0, (1 << days) - 1)

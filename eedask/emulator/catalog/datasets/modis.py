"""``MODIS/061/MOD11A1`` and ``MOD11A2`` (and 006): synthetic land surface temperature.

One image a day, or every 8 days, on MODIS' global sinusoidal grid. Bands, types and quality bits
are those of https://developers.google.com/earth-engine/datasets/catalog/MODIS_061_MOD11A2 and
MODIS_061_MOD11A1. Temperature depends on latitude, season, height, dryness and the weather.
Clouds are masked in the temperatures and marked in the quality bands; the sea is masked in all.
"""

from __future__ import annotations

import datetime as dt
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from affine import Affine
from numpy.typing import NDArray

from eedask.emulator.catalog.crs import MODIS_SINUSOIDAL
from eedask.emulator.catalog.datasets.series import Series
from eedask.emulator.catalog.datasets.single import drawn_image
from eedask.emulator.catalog.dates import millis
from eedask.emulator.catalog.world.climate import air_temperature, season, sky
from eedask.emulator.catalog.world.noise import field, fractal
from eedask.emulator.catalog.world.terrain import dryness, elevation, is_land
from eedask.emulator.pixels.native_sources import NativeSource, Window
from eedask.emulator.pixels.raster import Image, Pixels, PixelType, Projection

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
_DAILY_BANDS = {
    "LST_Day_1km": _SHORT,
    "QC_Day": _BYTE,
    "Day_view_time": _BYTE,
    "Day_view_angle": _BYTE,
    "LST_Night_1km": _SHORT,
    "QC_Night": _BYTE,
    "Night_view_time": _BYTE,
    "Night_view_angle": _BYTE,
    "Emis_31": _BYTE,
    "Emis_32": _BYTE,
    "Clear_day_cov": _SHORT,
    "Clear_night_cov": _SHORT,
}
_SCALE = 0.02  # kelvins a count
# Side of the tiles that are drawn; small, since time series are often of single points.
_SIDE = 32


@lru_cache(maxsize=4096)
def _image(asset_id: str, date: dt.date) -> Image:
    series = SERIES[asset_id]
    bands = _DAILY_BANDS if series.days == 1 else _BANDS
    return drawn_image(
        f"{asset_id}/{date:{series.form}}",
        Period(date, series.days),
        bands,
        {"system:time_start": millis(date), "system:time_end": millis(series.end(date))},
    )


SERIES = {
    series.asset_id: series
    for series in (
        Series(
            "MODIS/061/MOD11A2", dt.date(2000, 2, 18), dt.date(2024, 12, 26), 8, "%Y_%m_%d", _image
        ),
        Series(
            "MODIS/006/MOD11A2", dt.date(2000, 2, 18), dt.date(2023, 2, 10), 8, "%Y_%m_%d", _image
        ),
        Series(
            "MODIS/061/MOD11A1", dt.date(2000, 2, 24), dt.date(2024, 12, 31), 1, "%Y_%m_%d", _image
        ),
        Series(
            "MODIS/006/MOD11A1", dt.date(2000, 3, 5), dt.date(2023, 2, 17), 1, "%Y_%m_%d", _image
        ),
    )
}


class _Ground(NamedTuple):
    """Properties of the pixels of a window that do not change with time.

    All are arrays of shape (height, width): degrees, whether there is land, metres, and dryness
    from 0 to 1.
    """

    lon: NDArray[np.float64]
    lat: NDArray[np.float64]
    land: NDArray[np.bool_]
    height: NDArray[np.float32]
    dry: NDArray[np.float32]


class _Weather(NamedTuple):
    """The weather of a period in a window.

    All are arrays of shape (height, width): temperatures in kelvins by day and night, where
    clouds hid the ground, and the thickness of clouds (negative where it is clear).
    """

    day: NDArray[np.float32]
    night: NDArray[np.float32]
    cloudy_day: NDArray[np.bool_]
    cloudy_night: NDArray[np.bool_]
    cloud: NDArray[np.float32]


class Period(NativeSource):
    """The global raster of one period: one day or eight.

    A coarser level holds the values at the centres of its own pixels, not means.
    """

    date: dt.date
    days: int = 8

    projection = PROJECTION
    width = _WIDTH
    height = _HEIGHT

    def tile_side(self, level: int) -> int:
        """Return the side of the tiles that are cached."""
        del level
        return _SIDE

    def draw(self, band: int, level: int, window: Window) -> Pixels:
        """Return the pixels of one band in a window of a level."""
        ground = _ground(level, window)
        weather = _weather(self.date, self.days, level, window)
        name, kind = list((_DAILY_BANDS if self.days == 1 else _BANDS).items())[band]
        values, valid = _band(name, ground, weather)
        dtype = kind.dtype
        mask = (ground.land & valid).astype(np.float32)
        return Pixels(np.where(mask > 0, values, 0).astype(dtype), mask)


# Time series of several regions read each window for many dates; the ground is the same for all.
@lru_cache(maxsize=24)
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
def _weather(date: dt.date, days: int, level: int, window: Window) -> _Weather:
    ground = _ground(level, window)
    lon, lat = ground.lon, ground.lat
    number = date.toordinal()
    patches = 2.2 * fractal(lon * 4.0, lat * 4.0, 31, octaves=4)
    middle = date + dt.timedelta(days=days // 2 - 1 if days > 1 else 0)
    air = air_temperature(lon, lat, ground.height, middle)
    day_of_year = middle.timetuple().tm_yday
    phase = season(lat, middle)
    sun = np.clip(1 - np.abs(lat) / 90 + 0.3 * phase, 0.05, 1.2)
    day = air + (4.0 + 15.0 * ground.dry) * sun + patches * (0.5 + ground.dry)
    night = air - (6.0 + 7.0 * ground.dry) + 0.4 * patches
    if days == 1:
        # The sky of a single day is the one in the images of all other sensors.
        cloud = sky(lon, lat, date, octaves=7, dry=ground.dry)[0]
        return _Weather(
            day.astype(np.float32), night.astype(np.float32), cloud > 0, cloud > 0.1, cloud
        )
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
    """Return a band's counts (DN), and where they are valid if there is land (bool)."""
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
    if "view_angl" in name:
        return np.rint(65 + 50 * field(ground.lon * 0.3, ground.lat * 0.3, 43)), ~cloudy
    if name.startswith("Emis"):
        green = 1 - ground.dry
        emissivity = (0.962 if name == "Emis_31" else 0.968) + 0.018 * green
        return np.rint((emissivity - 0.49) / 0.002), ~cloudy
    if name.endswith("_cov"):  # clear-sky coverage in units of 0.0005
        return np.rint(2000 * np.clip(-weather.cloud / 0.2, 0.05, 1)), ~cloudy
    return _clear_days(weather.cloud, cloudy), True


def _quality(cloud: NDArray[np.float32], cloudy: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return the quality bits of a temperature.

    0-1: 0 good, 1 other, 2 not produced because of clouds; 2-3: data quality; 4-5: emissivity
    error up to 0.01, 0.02, 0.04, more; 6-7: temperature error up to 1, 2, 3 K, more.
    """
    nearness = np.clip((cloud + 0.45) / 0.45, 0, 0.999)  # of a clear pixel to clouds: 1 is nearest
    error = np.floor(nearness * 4).astype(np.int64)
    other = error > 0
    bits = other | (other << 2) | (np.minimum(error, 2) << 4) | (error << 6)
    return np.where(cloudy, 2, bits)


def _clear_days(cloud: NDArray[np.float32], cloudy: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return integers with a bit for each of the eight days, set if the day was clear."""
    days = np.clip(np.rint(6 - 6 * (cloud + 0.4)), 1, 8).astype(np.int64)
    return np.where(cloudy, 0, (1 << days) - 1)

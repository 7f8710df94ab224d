"""``UCSB-CHG/CHIRPS/DAILY`` and ``ECMWF/ERA5_LAND/DAILY_AGGR``: the synthetic world's weather.

Grids, bands and properties are those of
https://developers.google.com/earth-engine/datasets/catalog/UCSB-CHG_CHIRPS_DAILY and
https://developers.google.com/earth-engine/datasets/catalog/ECMWF_ERA5_LAND_DAILY_AGGR; of the
latter's 150 bands there are those that scripts use most. It rains where the day's clouds are thick;
they are the clouds of the optical sensors, and both data sets have the same rain. The sea is
masked.
"""

from __future__ import annotations

import datetime as dt
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from affine import Affine
from numpy.typing import NDArray

from eedask.emulator.catalog.datasets.series import Series
from eedask.emulator.catalog.datasets.single import DOUBLE, FLOAT, Drawn, drawn_image
from eedask.emulator.catalog.dates import millis
from eedask.emulator.catalog.world.climate import air_temperature, rain, season, sky
from eedask.emulator.catalog.world.noise import field
from eedask.emulator.catalog.world.terrain import dryness, elevation, is_land, is_land_roughly
from eedask.emulator.pixels.native_sources import Window
from eedask.emulator.pixels.raster import Image, Pixels, PixelType, Projection

CHIRPS, ERA5_LAND = "UCSB-CHG/CHIRPS/DAILY", "ECMWF/ERA5_LAND/DAILY_AGGR"

Floats = NDArray[np.float32]

_CHIRPS_GRID = Projection("EPSG:4326", Affine(0.05, 0.0, -180.0, 0.0, -0.05, 50.0))
_CHIRPS_SIZE = (7200, 2000)
_ERA5_GRID = Projection("EPSG:4326", Affine(0.1, 0.0, -180.05, 0.0, -0.1, 90.05))
_ERA5_SIZE = (3601, 1801)
_ERA5_BANDS: dict[str, PixelType] = dict.fromkeys(
    (
        "dewpoint_temperature_2m",
        "temperature_2m",
        "skin_temperature",
        "soil_temperature_level_1",
        "volumetric_soil_water_layer_1",
        "surface_solar_radiation_downwards_sum",
        "total_evaporation_sum",
        "u_component_of_wind_10m",
        "v_component_of_wind_10m",
        "surface_pressure",
        "total_precipitation_sum",
        "temperature_2m_min",
        "temperature_2m_max",
    ),
    DOUBLE,
)
_LAST = dt.date(2025, 12, 31)
_ONE_DAY = dt.timedelta(days=1)


class Places(NamedTuple):
    """Properties of the pixels of a window that do not depend on the day.

    All are arrays of shape (height, width): degrees, dryness from 0 to 1, metres, and whether
    there is land.
    """

    lon: NDArray[np.float64]
    lat: NDArray[np.float64]
    dry: Floats
    height: Floats
    land: NDArray[np.bool_]


@lru_cache(maxsize=2048)
def _chirps(asset_id: str, date: dt.date) -> Image:
    source = Drawn(_CHIRPS_GRID, *_CHIRPS_SIZE, ("precipitation",), _draw_rain, (date,))
    times = {"system:time_start": millis(date), "system:time_end": millis(date + _ONE_DAY)}
    return drawn_image(f"{asset_id}/{date:%Y%m%d}", source, {"precipitation": FLOAT}, times)


@lru_cache(maxsize=2048)
def _era5(asset_id: str, date: dt.date) -> Image:
    source = Drawn(_ERA5_GRID, *_ERA5_SIZE, tuple(_ERA5_BANDS), _draw_weather, (date,))
    properties = {
        "day": date.day,
        "month": date.month,
        "year": date.year,
        "system:time_start": millis(date),
        "system:time_end": millis(date + _ONE_DAY),
    }
    return drawn_image(f"{asset_id}/{date:%Y%m%d}", source, _ERA5_BANDS, properties)


SERIES = {
    CHIRPS: Series(CHIRPS, dt.date(1981, 1, 1), _LAST, 1, "%Y%m%d", _chirps),
    ERA5_LAND: Series(ERA5_LAND, dt.date(1950, 1, 2), _LAST, 1, "%Y%m%d", _era5),
}


@lru_cache(maxsize=32)
def places(projection: Projection, level: int, window: Window) -> Places:
    """Return the properties of a window of pyramid level ``level``, at its pixels' centres."""
    t, size = projection.transform, 2.0**level
    x = t.c + t.a * size * (window.col + np.arange(window.width) + 0.5)
    y = t.f + t.e * size * (window.row + np.arange(window.height) + 0.5)
    lon, lat = np.meshgrid(np.clip(x, -180, 180), np.clip(y, -90, 90))
    land = (is_land_roughly if level else is_land)(lon, lat)
    return Places(lon, lat, dryness(lon, lat), elevation(lon, lat), land)


def _draw_rain(date: dt.date, band: str, level: int, window: Window) -> Pixels:
    del band
    at = places(_CHIRPS_GRID, level, window)
    fall = rain(at.lon, at.lat, date, at.dry, at.height)
    return Pixels(fall, at.land.astype(np.float32))


def _draw_weather(date: dt.date, band: str, level: int, window: Window) -> Pixels:
    at = places(_ERA5_GRID, level, window)
    values = _weather(band, date, at)
    return Pixels(values.astype(np.float64), at.land.astype(np.float32))


def _weather(band: str, date: dt.date, at: Places) -> NDArray[np.floating]:
    if band == "total_precipitation_sum":
        return rain(at.lon, at.lat, date, at.dry, at.height) / 1000
    if band == "surface_pressure":
        return 101_325 * np.exp(-at.height / 8400) + 600 * field(at.lon / 9, at.lat / 9, _day(date))
    if band.endswith("_of_wind_10m"):
        return 5 * field(at.lon / 7, at.lat / 7, _day(date) + (17 if band[0] == "u" else 18))
    if band == "surface_solar_radiation_downwards_sum":
        clear = 2.6e7 * np.clip(np.cos(np.radians(at.lat)) + 0.45 * season(at.lat, date), 0.02, 1.2)
        return clear * (1 - 0.6 * np.clip(0.5 + _cloud(date, at), 0, 1))
    if band == "volumetric_soil_water_layer_1":
        return np.clip(0.38 - 0.28 * at.dry + 0.08 * _cloud(date, at), 0.02, 0.5)
    air = air_temperature(at.lon, at.lat, at.height, date)
    if band == "total_evaporation_sum":  # positive is downward, so evaporation is negative
        return -np.clip((air - 268) * 1.1e-4, 0, None) * (1 - 0.85 * at.dry)
    return air + _apart(band, at)


def _apart(band: str, at: Places) -> Floats:
    """Return the difference in kelvins of a band's temperature to the day's mean of the air."""
    swing = 4 + 6 * at.dry
    return {
        "temperature_2m": 0 * swing,
        "temperature_2m_min": -swing,
        "temperature_2m_max": swing,
        "dewpoint_temperature_2m": -(2 + 14 * at.dry),
        "skin_temperature": 0.1 * swing,
        "soil_temperature_level_1": 0.2 * swing,
    }[band]


def _cloud(date: dt.date, at: Places) -> Floats:
    found: Floats = sky(at.lon, at.lat, date, octaves=4, dry=at.dry)[0]
    return found


def _day(date: dt.date) -> int:
    return date.toordinal()

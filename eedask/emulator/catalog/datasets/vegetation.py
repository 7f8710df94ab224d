"""``MODIS/061/MOD13Q1`` (and 006): vegetation indices of the synthetic land, every 16 days.

Bands, types and quality bits are those of
https://developers.google.com/earth-engine/datasets/catalog/MODIS_061_MOD13Q1. Indices are computed
from the same reflectances as those of the finer sensors, in the middle of the period and without
clouds; the quality bands mark pixels that were cloudy all the time. The sea is masked.
"""

from __future__ import annotations

import datetime as dt
from functools import lru_cache
from typing import Any

import numpy as np
from affine import Affine
from numpy.typing import NDArray

from eedask.emulator.catalog.crs import MODIS_SINUSOIDAL
from eedask.emulator.catalog.datasets.series import Series
from eedask.emulator.catalog.datasets.single import INT8, INT16, UINT16, Drawn, drawn_image
from eedask.emulator.catalog.dates import millis
from eedask.emulator.catalog.world import scenery
from eedask.emulator.catalog.world.climate import sky
from eedask.emulator.catalog.world.coast import coast_distance
from eedask.emulator.catalog.world.ground_cover import ground
from eedask.emulator.catalog.world.sample_points import evaluated, lonlat, noise, spots
from eedask.emulator.catalog.world.terrain import is_land_roughly
from eedask.emulator.pixels.native_sources import Window
from eedask.emulator.pixels.raster import Image, Pixels, PixelType, Projection

Floats = NDArray[np.float32]

_PIXEL = 231.65635826395825
_LEFT, _TOP = -20015109.354, 10007554.677003
_GRID = Projection(MODIS_SINUSOIDAL, Affine(_PIXEL, 0.0, _LEFT, 0.0, -_PIXEL, _TOP))
_WIDTH, _HEIGHT = 172_800, 86_400
_BANDS: dict[str, PixelType] = {
    "NDVI": INT16,
    "EVI": INT16,
    "DetailedQA": UINT16,
    "sur_refl_b01": INT16,
    "sur_refl_b02": INT16,
    "sur_refl_b03": INT16,
    "sur_refl_b07": INT16,
    "ViewZenith": INT16,
    "SolarZenith": INT16,
    "RelativeAzimuth": INT16,
    "DayOfYear": INT16,
    "SummaryQA": INT8,
}
_SEEN = {
    "sur_refl_b01": "red",
    "sur_refl_b02": "nir",
    "sur_refl_b03": "blue",
    "sur_refl_b07": "swir2",
}
_DAYS = 16
_LOOKS = (0, 5, 10, 15)  # days of a period whose clouds enter the quality bands
_ROUGH = 5  # the pyramid level with pixels of 7 kilometres
_SHORE = 600.0  # metres from the outlines' coast within which water is the sea
_RADIUS = 6371007.181
_GOOD, _MARGINAL, _SNOW, _CLOUDY = range(4)


@lru_cache(maxsize=2048)
def _image(asset_id: str, date: dt.date) -> Image:
    series = SERIES[asset_id]
    source = Drawn(_GRID, _WIDTH, _HEIGHT, tuple(_BANDS), _draw, (date,))
    times = {"system:time_start": millis(date), "system:time_end": millis(series.end(date))}
    return drawn_image(f"{asset_id}/{date:{series.form}}", source, _BANDS, times)


SERIES = {
    asset_id: Series(asset_id, dt.date(2000, 2, 18), last, _DAYS, "%Y_%m_%d", _image)
    for asset_id, last in (
        ("MODIS/061/MOD13Q1", dt.date(2024, 12, 18)),
        ("MODIS/006/MOD13Q1", dt.date(2023, 2, 2)),
    )
}


def _draw(date: dt.date, band: str, level: int, window: Window) -> Pixels:
    day = date + dt.timedelta(days=_DAYS // 2)
    view = scenery.View(_GRID, level, window, day, 1 if level else 2)
    dtype = _BANDS[band].dtype
    limits = np.iinfo(dtype)
    values = np.clip(np.rint(_values(date, band, view)), limits.min, limits.max)
    return Pixels(values.astype(dtype), _land(level, window, day.year))


@lru_cache(maxsize=16)
def _land(level: int, window: Window, year: int) -> Floats:
    """Return the mask: 1 on land and inland water, 0 in the sea and off the sinusoidal's earth."""
    at = spots(_GRID, level, window)
    if level >= _ROUGH:
        land = is_land_roughly(*np.broadcast_arrays(*lonlat(at)))
    else:
        water = ground(_GRID, level, window, year).water
        land = ~water | (evaluated(coast_distance, at, 9, (0, 0)) > _SHORE)
    t, size = _GRID.transform, 2.0**level
    x = t.c + t.a * size * (window.col + np.arange(window.width) + 0.5)
    y = t.f + t.e * size * (window.row + np.arange(window.height) + 0.5)
    reach = np.abs(t.c) * np.cos(y / _RADIUS)
    return (land & (np.abs(x)[None, :] <= reach[:, None])).astype(np.float32)


def _values(date: dt.date, band: str, view: scenery.View) -> NDArray[Any]:
    if band in _SEEN:
        return scenery.surface(view, _SEEN[band])
    if band in ("NDVI", "EVI"):
        red, infrared, blue = (scenery.surface(view, name) for name in ("red", "nir", "blue"))
        if band == "NDVI":
            return 10_000 * (infrared - red) / np.maximum(infrared + red, 1)
        return 25_000 * (infrared - red) / (infrared + 6 * red - 7.5 * blue + 10_000)
    if band in ("SummaryQA", "DetailedQA"):
        reliability = _reliability(date, view)
        return reliability if band == "SummaryQA" else _detailed(reliability, view)
    at = spots(view.projection, view.level, view.window)
    if band == "DayOfYear":
        first = date.timetuple().tm_yday
        return first + np.clip(8 + 9 * noise(at, 40_000, date.toordinal()), 0, _DAYS - 1)
    if band == "SolarZenith":
        return np.broadcast_to(_solar_zenith(lonlat(at)[1], view.day), at.shape)
    across = noise(at, 600_000, date.toordinal() + 1)
    return 2500 + 2400 * across if band == "ViewZenith" else 9000 * across


def _solar_zenith(lat: NDArray[np.float64], day: dt.date) -> NDArray[np.float64]:
    """Return the sun's zenith angle at 10:30 local time, in hundredths of a degree."""
    declination = -23.44 * np.cos(2 * np.pi * (day.timetuple().tm_yday + 10) / 365.25)
    phi, delta, hour = np.radians(lat), np.radians(declination), np.radians(-22.5)
    sine = np.sin(phi) * np.sin(delta) + np.cos(phi) * np.cos(delta) * np.cos(hour)
    found: NDArray[np.float64] = 100 * (90 - np.degrees(np.arcsin(sine)))
    return found


@lru_cache(maxsize=16)
def _reliability(date: dt.date, view: scenery.View) -> NDArray[np.int8]:
    """Return SummaryQA, from the clearest of some days of the period."""
    at = spots(view.projection, view.level, view.window)

    def clearest(lon: NDArray[np.float64], lat: NDArray[np.float64]) -> Floats:
        days = (date + dt.timedelta(days=look) for look in _LOOKS)
        skies = [sky(lon, lat, day, octaves=6)[0] for day in days]
        return np.minimum.reduce(skies)

    cloud = evaluated(clearest, at, 10, (0, 0))
    found = np.where(cloud > -0.15, _MARGINAL, _GOOD).astype(np.int8)
    found[scenery.shares(view).snow > 0.5] = _SNOW
    found[cloud > 0.05] = _CLOUDY
    return found


def _detailed(reliability: NDArray[np.int8], view: scenery.View) -> NDArray[Any]:
    """Return the bits of DetailedQA: quality, usefulness, aerosol, adjacent clouds, water, snow."""
    quality = np.select([reliability == _GOOD, reliability == _CLOUDY], [0, 2], 1)
    usefulness = np.select([reliability == _GOOD, reliability == _MARGINAL], [1, 4], 10)
    water = scenery.shares(view).water
    ground = np.select([water > 0.7, water > 0.2], [3, 2], 1)  # inland water, shore, land
    bits = quality | (usefulness << 2) | (1 << 6) | (ground << 11)
    bits = bits | np.where(reliability == _MARGINAL, 1 << 8, 0)
    return bits | np.where(reliability == _SNOW, 1 << 14, 0)

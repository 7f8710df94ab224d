"""A scene of ``LANDSAT/LC08/C02/T1_L2``: its bands, its pixels and its properties.

It follows https://developers.google.com/earth-engine/datasets/catalog/LANDSAT_LC08_C02_T1_L2:
reflectance is 0.0000275 DN - 0.2, temperature 0.00341802 DN + 149 kelvins. Quality bits mark the
clouds that the reflectances show, and water and snow on the ground.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from eedask.emulator.catalog.datasets import scenes
from eedask.emulator.catalog.datasets.scenes import Extent
from eedask.emulator.catalog.datasets.single import BYTE, INT16, UINT16, Drawn, counts
from eedask.emulator.catalog.dates import millis
from eedask.emulator.catalog.footprints import ring
from eedask.emulator.catalog.tables.tables import SYNTHETIC_IMAGERY
from eedask.emulator.catalog.world import climate, scenery
from eedask.emulator.catalog.world.relief import heights
from eedask.emulator.catalog.world.sample_points import Spots, evaluated, spots
from eedask.emulator.catalog.world.solar_position import sun
from eedask.emulator.pixels.late import LateProperties
from eedask.emulator.pixels.native_sources import Window
from eedask.emulator.pixels.raster import Image, Pixels, PixelType, uniform
from eedask.emulator.pixels.sampling import source_bands

Floats = NDArray[np.float32]

_REFLECTANCES = {
    "SR_B1": "coastal",
    "SR_B2": "blue",
    "SR_B3": "green",
    "SR_B4": "red",
    "SR_B5": "nir",
    "SR_B6": "swir1",
    "SR_B7": "swir2",
}
_BANDS: dict[str, PixelType] = {
    **dict.fromkeys(_REFLECTANCES, UINT16),
    "SR_QA_AEROSOL": BYTE,
    "ST_B10": UINT16,
    "ST_ATRAN": INT16,
    "ST_CDIST": INT16,
    "ST_DRAD": INT16,
    "ST_EMIS": INT16,
    "ST_EMSD": INT16,
    "ST_QA": INT16,
    "ST_TRAD": INT16,
    "ST_URAD": INT16,
    "QA_PIXEL": UINT16,
    "QA_RADSAT": UINT16,
}
_SCALE, _OFFSET = 2.75e-5, -0.2
_KELVIN_SCALE, _KELVIN_OFFSET = 0.00341802, 149.0
# Bits of QA_PIXEL.
_DILATED, _CIRRUS, _CLOUD, _SHADOW, _SNOW, _CLEAR, _WATER = (1 << n for n in range(1, 8))
_LOW, _MEDIUM, _HIGH = 1, 2, 3  # confidences, two bits each from bits 8, 10, 12 and 14 on
_NEAR = 0.06  # a pixel is near a cloud if its thickness, negative when clear, is above minus this


@dataclass(frozen=True)
class Satellite:
    """A satellite: its number, its first day, and a day on which it flew along path 44."""

    number: int
    first: dt.date
    known: dt.date

    @property
    def code(self) -> str:
        """The satellite's part of asset ids, such as ``LC08``."""
        return f"LC{self.number:02d}"


@dataclass(frozen=True)
class Scene:
    """One satellite's pass over one place.

    Attributes
    ----------
    path, row : int
    sensed : datetime
        Time at which the scene's middle was seen.
    extent : Extent
        The raster, and the part of it that has data.
    footprint : Polygon
        Outline of that part in metres.
    """

    asset_id: str
    satellite: Satellite
    path: int
    row: int
    sensed: dt.datetime
    extent: Extent
    footprint: shapely.Polygon

    @property
    def index(self) -> str:
        """The scene's ``system:index``."""
        return f"{self.satellite.code}_{self.path:03d}{self.row:03d}_{self.sensed:%Y%m%d}"

    @property
    def day(self) -> dt.date:
        """The day of sensing (UTC), whose weather the scene shows."""
        return self.sensed.date()


@lru_cache(maxsize=8192)
def scene_image(scene: Scene) -> Image:
    """Return a scene's image."""
    outline = scenes.outline(scene.footprint, scene.extent.projection.crs)
    taken = millis(scene.sensed)
    extent = scene.extent
    source = Drawn(extent.projection, extent.width, extent.height, tuple(_BANDS), _draw, (scene,))
    nbytes = sum(kind.dtype.itemsize for kind in _BANDS.values()) * extent.width * extent.height
    return Image(
        bands=source_bands(source, tuple(_BANDS), tuple(_BANDS.values())),
        properties=LateProperties(
            {
                "system:index": scene.index,
                "system:time_start": taken,
                "system:footprint": ring(outline),
                "system:asset_size": nbytes // 2,
                **_properties(scene),
                **SYNTHETIC_IMAGERY,
            },
            ("CLOUD_COVER", "CLOUD_COVER_LAND"),
            partial(_cloudiness, scene),
        ),
        footprint=outline,
        id=f"{scene.asset_id}/{scene.index}",
        version=taken * 1000,
    )


@lru_cache(maxsize=4096)
def _sun(scene: Scene) -> tuple[float, float]:
    return sun(*scenes.middle(scene.extent), scene.sensed)


def _draw(scene: Scene, band: str, level: int, window: Window) -> Pixels:
    projection = scene.extent.projection
    mask = scenes.mask(scene.extent, projection, level, window)
    if not mask.any():
        return Pixels(uniform(0, mask.shape, _BANDS[band].dtype), uniform(0, mask.shape))
    to_sun = scenery.to_sun(*_sun(scene))
    view = scenery.View(projection, level, window, scene.day, 1 if level else 2, to_sun)
    return Pixels(counts(_values(band, view), _BANDS[band]), mask)


def _values(band: str, view: scenery.View) -> NDArray[Any]:
    if band in _REFLECTANCES:
        reflectance = scenery.seen(view, _REFLECTANCES[band]) * np.float32(1e-4)
        return (reflectance - np.float32(_OFFSET)) * np.float32(1 / _SCALE)
    if band == "QA_PIXEL":
        return quality(view)
    if band == "QA_RADSAT":
        return np.zeros((view.window.height, view.window.width), np.uint16)
    if band == "SR_QA_AEROSOL":
        water = scenery.shares(view).water >= 0.5
        return np.where(water, 0b01000100, 0b01000010)  # low aerosol; valid retrieval on land
    if band == "ST_B10":
        return (_kelvins(view) - _KELVIN_OFFSET) / _KELVIN_SCALE
    return _thermal(band, view)


@lru_cache(maxsize=16)
def quality(view: scenery.View) -> NDArray[np.uint16]:
    """Return the quality bits of a view."""
    overhead, made_of = scenery.clouds(view._replace(parts=1)), scenery.shares(view)
    cloud = overhead.cloud > 0.05
    dilated = ~cloud & (overhead.cloud > -_NEAR)
    cirrus = overhead.cirrus > 0
    shadow = ~cloud & (overhead.shadow > 0.05)
    snow = (made_of.snow > 0.5) & ~cloud
    water = (made_of.water >= 0.5) & ~cloud
    bits: NDArray[Any] = np.where(cloud, _CLOUD, 0) | np.where(dilated, _DILATED, 0)
    bits = bits | np.where(cirrus, _CIRRUS, 0) | np.where(shadow, _SHADOW, 0)
    bits = bits | np.where(snow, _SNOW, 0) | np.where(water, _WATER, 0)
    bits = bits | np.where(cloud | dilated, 0, _CLEAR)
    confidence = np.where(cloud, _HIGH, np.where(dilated, _MEDIUM, _LOW))
    bits = bits | (confidence << 8)
    for first_bit, found in ((10, shadow), (12, snow), (14, cirrus)):
        bits = bits | (np.where(found, _HIGH, _LOW) << first_bit)
    return bits.astype(np.uint16)


def _air(at: Spots, day: dt.date) -> Floats:
    """Return the air temperature in kelvins at places, by day and height."""

    def at_sea(lon: NDArray[np.float64], lat: NDArray[np.float64]) -> Floats:
        level = np.zeros(lon.shape, np.float32)
        return climate.air_temperature(lon, lat, level, day).astype(np.float32)

    found: Floats = evaluated(at_sea, at, 13, (0, 0)) - np.float32(0.0052) * heights(at)
    return found


def _kelvins(view: scenery.View) -> Floats:
    """Return the surface temperature in kelvins: bare ground is hot, water mild, clouds cold."""
    air = _air(spots(view.projection, view.level, view.window), view.day)
    red, infrared = scenery.surface(view, "red"), scenery.surface(view, "nir")
    green = np.clip((infrared - red) / np.maximum(infrared + red, 1), 0, 0.9)
    made_of = scenery.shares(view)
    warm = air + 15 - 16 * green
    warm += made_of.water * (air + 1 - warm) + made_of.snow * (np.minimum(air, 272) - warm)
    depth = np.clip(scenery.clouds(view._replace(parts=1)).cloud / 0.16, 0, 1)
    found: Floats = warm + depth * (air - 28 - warm)
    return found


def _thermal(band: str, view: scenery.View) -> NDArray[Any]:
    """Return an intermediate band of the surface temperature product, such as ``ST_TRAD``."""
    overhead = scenery.clouds(view._replace(parts=1))
    shape = overhead.cloud.shape
    if band == "ST_CDIST":  # roughly the distance to clouds in hundredths of a kilometre
        return np.clip(-overhead.cloud * 1500, 0, 24_000)
    if band == "ST_EMIS":
        return 9650 + 230 * scenery.shares(view).water
    if band == "ST_TRAD":
        return 9300 + 130 * (_kelvins(view) - 300)
    if band == "ST_QA":
        return np.clip(250 + 400 * (overhead.cloud + 0.6), 150, 900)
    constants = {"ST_ATRAN": 8200, "ST_DRAD": 900, "ST_EMSD": 90, "ST_URAD": 1500}
    return np.full(shape, constants[band])


def _properties(scene: Scene) -> dict[str, Any]:
    elevation, azimuth = _sun(scene)
    number, day = scene.satellite.number, scene.sensed
    made = day + dt.timedelta(days=20)
    product = f"{scene.path:03d}{scene.row:03d}_{day:%Y%m%d}_{made:%Y%m%d}_02_T1"
    return {
        "ALGORITHM_SOURCE_SURFACE_REFLECTANCE": "LaSRC_1.5.0",
        "ALGORITHM_SOURCE_SURFACE_TEMPERATURE": "st_1.3.0",
        "COLLECTION_CATEGORY": "T1",
        "COLLECTION_NUMBER": 2,
        "DATA_SOURCE_AIR_TEMPERATURE": "MODIS",
        "DATA_SOURCE_ELEVATION": "GLS2000",
        "DATA_SOURCE_OZONE": "MODIS",
        "DATA_SOURCE_PRESSURE": "Calculated",
        "DATA_SOURCE_REANALYSIS": "GEOS-5 FP-IT",
        "DATA_SOURCE_TIRS_STRAY_LIGHT_CORRECTION": "TIRS",
        "DATA_SOURCE_WATER_VAPOR": "MODIS",
        "DATE_ACQUIRED": f"{day:%Y-%m-%d}",
        "DATE_PRODUCT_GENERATED": millis(made),
        "EARTH_SUN_DISTANCE": round(_distance(scene.day), 7),
        "ELLIPSOID": "WGS84",
        "EPHEMERIS_TYPE": "DEFINITIVE",
        "GEOMETRIC_RMSE_MODEL": 6.5,
        "GEOMETRIC_RMSE_MODEL_X": 4.6,
        "GEOMETRIC_RMSE_MODEL_Y": 4.6,
        "GRID_CELL_SIZE_REFLECTIVE": 30,
        "GRID_CELL_SIZE_THERMAL": 30,
        "GROUND_CONTROL_POINTS_MODEL": 600,
        "GROUND_CONTROL_POINTS_VERSION": 5,
        "IMAGE_QUALITY_OLI": 9,
        "IMAGE_QUALITY_TIRS": 9,
        "L1_LANDSAT_PRODUCT_ID": f"{scene.satellite.code}_L1TP_{product}",
        "L1_PROCESSING_LEVEL": "L1TP",
        "LANDSAT_PRODUCT_ID": f"{scene.satellite.code}_L2SP_{product}",
        "LANDSAT_SCENE_ID": f"LC{number}{scene.path:03d}{scene.row:03d}{day:%Y%j}LGN00",
        "MAP_PROJECTION": "UTM",
        **_scales(),
        "PROCESSING_LEVEL": "L2SP",
        "REFLECTIVE_LINES": scene.extent.height,
        "REFLECTIVE_SAMPLES": scene.extent.width,
        "ROLL_ANGLE": 0.001 * number,
        "SCENE_CENTER_TIME": f"{day:%H:%M:%S}.{day.microsecond // 100:04d}000Z",
        "SENSOR_ID": "OLI_TIRS",
        "SPACECRAFT_ID": f"LANDSAT_{number}",
        "STATION_ID": "LGN",
        "SUN_AZIMUTH": round(azimuth if azimuth <= 180 else azimuth - 360, 6),
        "SUN_ELEVATION": round(elevation, 6),
        "TARGET_WRS_PATH": scene.path,
        "TARGET_WRS_ROW": scene.row,
        "TEMPERATURE_MAXIMUM_BAND_ST_B10": 372.999941,
        "TEMPERATURE_MINIMUM_BAND_ST_B10": 149.003418,
        "UTM_ZONE": int(scene.extent.projection.crs[-2:]),
        "WRS_PATH": scene.path,
        "WRS_ROW": scene.row,
        "WRS_TYPE": 2,
    }


def _cloudiness(scene: Scene) -> dict[str, float]:
    shown = scenes.cover(scene.extent, scene.day)
    return {
        "CLOUD_COVER": round(100 * (shown.cloud + shown.cirrus), 2),
        "CLOUD_COVER_LAND": round(100 * shown.cloud_over_land, 2),
    }


def _scales() -> dict[str, float]:
    """Return the properties with each band's factor and offset from DN to physical units."""
    found: dict[str, float] = {}
    for number in range(1, 8):
        found[f"REFLECTANCE_ADD_BAND_{number}"] = _OFFSET
        found[f"REFLECTANCE_MULT_BAND_{number}"] = _SCALE
    found["TEMPERATURE_ADD_BAND_ST_B10"] = _KELVIN_OFFSET
    found["TEMPERATURE_MULT_BAND_ST_B10"] = _KELVIN_SCALE
    return found


def _distance(day: dt.date) -> float:
    """Return the earth's distance to the sun in astronomical units."""
    return float(1 - 0.0167 * np.cos(2 * np.pi * (day.timetuple().tm_yday - 4) / 365.25))

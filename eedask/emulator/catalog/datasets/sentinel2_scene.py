"""A scene of ``COPERNICUS/S2_SR_HARMONIZED``: its bands, its pixels and its properties.

It follows https://developers.google.com/earth-engine/datasets/catalog/COPERNICUS_S2_SR_HARMONIZED:
reflectances times 10,000, grids of 10, 20 and 60 metres with a common corner, ``QA60`` masked from
25 January 2022 to 28 February 2024, and the ``MSK_CLASSI`` bands masked before then. The
classification ``SCL``, the probabilities and the quality bits all agree with the clouds that the
reflectances show.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from eedask.emulator.catalog.datasets import mgrs, scenes
from eedask.emulator.catalog.datasets.scenes import Cover, Extent
from eedask.emulator.catalog.datasets.single import BYTE, UINT16, UINT32, Drawn, counts
from eedask.emulator.catalog.dates import millis
from eedask.emulator.catalog.footprints import ring
from eedask.emulator.catalog.tables.tables import SYNTHETIC_IMAGERY
from eedask.emulator.catalog.world import scenery
from eedask.emulator.catalog.world.solar_position import sun
from eedask.emulator.pixels.late import LateProperties
from eedask.emulator.pixels.native_sources import Window
from eedask.emulator.pixels.raster import Band, Image, Pixels, PixelType, uniform
from eedask.emulator.pixels.sampling import source_bands

ASSET_ID = "COPERNICUS/S2_SR_HARMONIZED"

# Pixel size in metres, pixel type, and for reflectances the spectral band.
_BANDS: dict[str, tuple[int, PixelType, str]] = {
    "B1": (60, UINT16, "coastal"),
    "B2": (10, UINT16, "blue"),
    "B3": (10, UINT16, "green"),
    "B4": (10, UINT16, "red"),
    "B5": (20, UINT16, "edge1"),
    "B6": (20, UINT16, "edge2"),
    "B7": (20, UINT16, "edge3"),
    "B8": (10, UINT16, "nir"),
    "B8A": (20, UINT16, "nir_narrow"),
    "B9": (60, UINT16, "vapour"),
    "B11": (20, UINT16, "swir1"),
    "B12": (20, UINT16, "swir2"),
    "AOT": (10, UINT16, ""),
    "WVP": (10, UINT16, ""),
    "SCL": (20, BYTE, ""),
    "TCI_R": (10, BYTE, "red"),
    "TCI_G": (10, BYTE, "green"),
    "TCI_B": (10, BYTE, "blue"),
    "MSK_CLDPRB": (20, BYTE, ""),
    "MSK_SNWPRB": (20, BYTE, ""),
    "QA10": (10, UINT16, ""),
    "QA20": (20, UINT32, ""),
    "QA60": (60, UINT16, ""),
    "MSK_CLASSI_OPAQUE": (60, BYTE, ""),
    "MSK_CLASSI_CIRRUS": (60, BYTE, ""),
    "MSK_CLASSI_SNOW_ICE": (60, BYTE, ""),
}
_SIZES = (10, 20, 60)
# Classes of SCL.
DARK, SHADOW, VEGETATION, BARE, WATER, LOW, MEDIUM, HIGH, CIRRUS, SNOW = range(2, 12)
# Clouds thinner than these are of low and of medium probability.
_MEDIUM, _HIGH = 0.05, 0.15
_OPAQUE_BIT, _CIRRUS_BIT = 1 << 10, 1 << 11
_NO_QA60 = (dt.date(2022, 1, 25), dt.date(2024, 2, 28))
_TRUE_COLOR = 255 / 3558  # a reflectance of 0.3558 is white
_TONES_OF_GREEN = 0.38  # NDVI above which there is vegetation
_IRRADIANCE = {
    "B1": 1884.69, "B2": 1959.66, "B3": 1823.24, "B4": 1512.06, "B5": 1424.64, "B6": 1287.61,
    "B7": 1162.08, "B8": 1041.63, "B8A": 955.32, "B9": 812.92, "B10": 367.15, "B11": 245.59,
    "B12": 85.25,
}  # fmt: skip


@dataclass(frozen=True)
class Scene:
    """One satellite's pass over one tile.

    Attributes
    ----------
    index : str
        ``system:index``.
    sensed, began : datetime
        Time at which the tile was seen, and at which its datatake began.
    satellite : str
        ``"A"`` or ``"B"``.
    orbit : int
        Relative orbit, 1 to 143.
    extent : Extent
        The tile's raster of 10 m pixels, and the part of it that was seen.
    footprint : Polygon
        Outline of that part in metres.
    """

    index: str
    tile: mgrs.MgrsTile
    sensed: dt.datetime
    began: dt.datetime
    satellite: str
    orbit: int
    extent: Extent
    footprint: shapely.Polygon

    @property
    def day(self) -> dt.date:
        """The day of sensing (UTC), whose weather it shows."""
        return self.sensed.date()

    @property
    def sun(self) -> tuple[float, float]:
        """Elevation and azimuth of the sun at the tile's middle, in degrees."""
        return sun(*self.tile.middle, self.sensed)


@lru_cache(maxsize=8192)
def scene_image(scene: Scene) -> Image:
    """Return a scene's image."""
    outline = scenes.outline(scene.footprint, scene.tile.crs)
    taken = millis(scene.sensed)
    side = mgrs.SIZE
    nbytes = sum(kind.dtype.itemsize * (side // size) ** 2 for size, kind, _ in _BANDS.values())
    return Image(
        bands=_bands(scene),
        properties=LateProperties(
            {
                "system:index": scene.index,
                "system:time_start": taken,
                "system:time_end": taken,
                "system:footprint": ring(outline),
                "system:asset_size": nbytes // 2,
                **_properties(scene),
                **SYNTHETIC_IMAGERY,
            },
            tuple(_SHARES),
            partial(_percentages, scene),
        ),
        footprint=outline,
        id=f"{ASSET_ID}/{scene.index}",
        version=taken * 1000,
    )


def _bands(scene: Scene) -> tuple[Band, ...]:
    made: dict[str, Band] = {}
    for size in _SIZES:
        names = tuple(name for name, (own, _, _) in _BANDS.items() if own == size)
        pixels = mgrs.SIZE // size
        projection = scene.tile.projection(size)
        source = Drawn(projection, pixels, pixels, names, _draw, (scene, size))
        types = [_BANDS[name][1] for name in names]
        made.update({band.id: band for band in source_bands(source, names, types)})
    return tuple(made[name] for name in _BANDS)


def _draw(scene: Scene, size: int, band: str, level: int, window: Window) -> Pixels:
    projection = scene.tile.projection(size)
    mask = scenes.mask(scene.extent, projection, level, window)
    _, kind, seen = _BANDS[band]
    if _absent(band, scene.day):
        return Pixels(uniform(0, mask.shape, kind.dtype), uniform(0, mask.shape))
    parts = 1 if level or size == 10 else 2
    view = scenery.View(projection, level, window, scene.day, parts, _to_sun(scene))
    if band.startswith("TCI"):
        values = 1 + scenery.seen(view, seen) * np.float32(_TRUE_COLOR)
    elif seen:
        values = np.maximum(scenery.seen(view, seen), 1)
    else:
        values = _quality(band, view)
    return Pixels(counts(values, kind), mask)


@lru_cache(maxsize=4096)
def _to_sun(scene: Scene) -> tuple[float, float]:
    return scenery.to_sun(*scene.sun)


def _absent(band: str, day: dt.date) -> bool:
    """Whether a band is fully masked on a day."""
    if band == "QA60":
        return _NO_QA60[0] <= day <= _NO_QA60[1]
    return band.startswith("MSK_CLASSI") and day <= _NO_QA60[1]


def _quality(band: str, view: scenery.View) -> NDArray[Any]:
    """Return the values of a band of quality, classification or probability."""
    overhead = scenery.clouds(view._replace(parts=1))
    shape = overhead.cloud.shape
    if band in ("QA10", "QA20"):
        return np.zeros(shape, np.uint8)
    if band == "SCL":
        return classified(view)
    if band == "AOT":
        return 90 + 60 * np.clip(overhead.cloud + 1, 0, 2)
    if band == "WVP":
        return 900 + 700 * np.clip(overhead.cloud + 1, 0, 2)
    opaque, cirrus = overhead.cloud > _MEDIUM, (overhead.cirrus > 0) & (overhead.cloud <= 0)
    if band == "QA60":
        return np.where(opaque, _OPAQUE_BIT, 0) | np.where(cirrus, _CIRRUS_BIT, 0)
    if band == "MSK_CLDPRB":
        return np.clip(20 + 420 * overhead.cloud, 0, 100) * (overhead.cloud > -0.04)
    if band == "MSK_CLASSI_OPAQUE":
        return opaque
    if band == "MSK_CLASSI_CIRRUS":
        return cirrus
    snow = scenery.shares(view).snow * (overhead.cloud <= 0)
    return snow > 0.5 if band == "MSK_CLASSI_SNOW_ICE" else 100 * snow


@lru_cache(maxsize=16)
def classified(view: scenery.View) -> NDArray[np.uint8]:
    """Return the scene classification of a view."""
    overhead, made_of = scenery.clouds(view._replace(parts=1)), scenery.shares(view)
    red, infrared = scenery.surface(view, "red"), scenery.surface(view, "nir")
    green = (infrared - red) / np.maximum(infrared + red, 1) > _TONES_OF_GREEN
    found = np.where(green, VEGETATION, BARE).astype(np.uint8)
    found[(made_of.dark > 0.7) & (infrared < 900)] = DARK
    found[made_of.water >= 0.5] = WATER
    found[made_of.snow > 0.5] = SNOW
    found[(overhead.shadow > _MEDIUM) & (found != WATER)] = SHADOW
    found[overhead.cirrus > 0] = CIRRUS
    for least, name in ((0.0, LOW), (_MEDIUM, MEDIUM), (_HIGH, HIGH)):
        found[overhead.cloud > least] = name
    return found


def _properties(scene: Scene) -> dict[str, Any]:
    elevation, azimuth = scene.sun
    square = (scene.extent.width * 10.0) ** 2
    missing = 100 * (1 - scene.footprint.area / square)
    tile, began, baseline = scene.tile.name, scene.began, _baseline(scene.day)
    name, made = f"Sentinel-2{scene.satellite}", scene.sensed + dt.timedelta(hours=3)
    number = int((scene.sensed - dt.datetime(2017, 3, 28, tzinfo=dt.UTC)).days * 14.3) + 9000
    stamp = f"{began:%Y%m%dT%H%M%S}"
    return {
        "AOT_RETRIEVAL_ACCURACY": 0,
        "DATASTRIP_ID": f"S2{scene.satellite}_OPER_MSI_L2A_DS_EMUL_{made:%Y%m%dT%H%M%S}_S{stamp}"
        f"_N{baseline}",
        "DATATAKE_IDENTIFIER": f"GS2{scene.satellite}_{stamp}_{number:06d}_N{baseline}",
        "DATATAKE_TYPE": "INS-NOBS",
        "DEGRADED_MSI_DATA_PERCENTAGE": 0,
        "FORMAT_CORRECTNESS": "PASSED",
        "GENERAL_QUALITY": "PASSED",
        "GENERATION_TIME": millis(made),
        "GEOMETRIC_QUALITY": "PASSED",
        "GRANULE_ID": f"L2A_T{tile}_A{number:06d}_{scene.sensed:%Y%m%dT%H%M%S}",
        **_angles(scene),
        "MEAN_SOLAR_AZIMUTH_ANGLE": round(azimuth, 6),
        "MEAN_SOLAR_ZENITH_ANGLE": round(90 - elevation, 6),
        "MGRS_TILE": tile,
        "NODATA_PIXEL_PERCENTAGE": round(max(missing, 0.0), 6),
        "PROCESSING_BASELINE": f"{baseline[:2]}.{baseline[2:]}",
        "PRODUCT_ID": f"S2{scene.satellite}_MSIL2A_{stamp}_N{baseline}_R{scene.orbit:03d}_T{tile}"
        f"_{made:%Y%m%dT%H%M%S}",
        "RADIATIVE_TRANSFER_ACCURACY": 0,
        "RADIOMETRIC_QUALITY": "PASSED",
        "REFLECTANCE_CONVERSION_CORRECTION": round(_sun_distance(scene.day), 6),
        "SENSING_ORBIT_DIRECTION": "DESCENDING",
        "SENSING_ORBIT_NUMBER": scene.orbit,
        "SENSOR_QUALITY": "PASSED",
        **{f"SOLAR_IRRADIANCE_{band}": value for band, value in _IRRADIANCE.items()},
        "SPACECRAFT_NAME": name,
        "WATER_VAPOUR_RETRIEVAL_ACCURACY": 0,
    }


def _clear(shown: Cover) -> float:
    return 1 - shown.cloud - shown.cirrus - shown.shadow


# Properties of the shares of classes, computed from a scene's cover.
_SHARES: dict[str, Callable[[Cover], float]] = {
    "CLOUDY_PIXEL_PERCENTAGE": lambda shown: shown.cloud + shown.cirrus,
    "CLOUD_COVERAGE_ASSESSMENT": lambda shown: shown.cloud + shown.cirrus,
    "CLOUDY_SHADOW_PERCENTAGE": lambda shown: shown.shadow,
    "DARK_FEATURES_PERCENTAGE": lambda shown: 0.01 * _clear(shown),
    "HIGH_PROBA_CLOUDS_PERCENTAGE": lambda shown: shown.thick,
    "MEDIUM_PROBA_CLOUDS_PERCENTAGE": lambda shown: shown.cloud - shown.thick,
    "NOT_VEGETATED_PERCENTAGE": lambda shown: (
        max(0.0, 1 - shown.green - shown.water - shown.snow) * _clear(shown)
    ),
    "SATURATED_DEFECTIVE_PIXEL_PERCENTAGE": lambda _: 0.0,
    "SNOW_ICE_PERCENTAGE": lambda shown: shown.snow * _clear(shown),
    "THIN_CIRRUS_PERCENTAGE": lambda shown: shown.cirrus,
    "UNCLASSIFIED_PERCENTAGE": lambda _: 0.0,
    "VEGETATION_PERCENTAGE": lambda shown: 0.99 * shown.green * _clear(shown),
    "WATER_PERCENTAGE": lambda shown: shown.water * _clear(shown),
}


def _percentages(scene: Scene) -> dict[str, float]:
    shown = scenes.cover(scene.extent, scene.day)
    return {name: round(100 * share(shown), 6) for name, share in _SHARES.items()}


def _angles(scene: Scene) -> dict[str, float]:
    """Return the properties of viewing angles in degrees, which are roughly across the track."""
    azimuth, zenith = (105.0, 5.0) if scene.orbit % 2 else (285.0, 7.5)
    found = {}
    for number, band in enumerate(_IRRADIANCE):
        found[f"MEAN_INCIDENCE_AZIMUTH_ANGLE_{band}"] = round(azimuth + 0.3 * number, 6)
        found[f"MEAN_INCIDENCE_ZENITH_ANGLE_{band}"] = round(zenith + 0.05 * number, 6)
    return found


def _baseline(day: dt.date) -> str:
    if day < dt.date(2018, 11, 6):
        return "0206"
    if day < dt.date(2022, 1, 25):
        return "0211" if day < dt.date(2019, 7, 8) else "0214"
    return "0400" if day < dt.date(2022, 12, 6) else "0509"


def _sun_distance(day: dt.date) -> float:
    """Return the factor, about 1, that corrects reflectances for the distance to the sun."""
    return float(1 + 0.0334 * np.cos(2 * np.pi * (day.timetuple().tm_yday - 3) / 365.25))

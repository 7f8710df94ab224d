"""The built-in assets: synthetic imagery and region tables under public ids."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

from eedask.emulator.catalog.assets import Asset, CollectionAsset, ImageAsset, TableAsset
from eedask.emulator.catalog.datasets import (
    climate_models,
    elevation_models,
    land_cover,
    landsat,
    modis,
    naip,
    population,
    sentinel2,
    surface_water,
    vegetation,
)
from eedask.emulator.catalog.tables import shipped
from eedask.emulator.catalog.tables.tables import SYNTHETIC
from eedask.emulator.values.value_types import Collection

# Titles of the collections whose id does not tell what they hold.
_TITLES = {
    "COPERNICUS/S2_SR_HARMONIZED": "Synthetic Sentinel-2 surface reflectance, Level-2A",
    "ECMWF/ERA5_LAND/DAILY_AGGR": "Synthetic ERA5-Land, daily",
    "ESA/WorldCover/v100": "Synthetic WorldCover land cover, 10 m, 2020",
    "ESA/WorldCover/v200": "Synthetic WorldCover land cover, 10 m, 2021",
    "LANDSAT/LC08/C02/T1_L2": "Synthetic Landsat 8 Level 2, Collection 2, Tier 1",
    "LANDSAT/LC09/C02/T1_L2": "Synthetic Landsat 9 Level 2, Collection 2, Tier 1",
    "MODIS/006/MOD11A1": "Synthetic Terra land surface temperature, daily, 1 km",
    "MODIS/006/MOD11A2": "Synthetic Terra land surface temperature, 8 days, 1 km",
    "MODIS/006/MOD13Q1": "Synthetic Terra vegetation indices, 16 days, 250 m",
    "MODIS/061/MOD11A1": "Synthetic Terra land surface temperature, daily, 1 km",
    "MODIS/061/MOD11A2": "Synthetic Terra land surface temperature, 8 days, 1 km",
    "MODIS/061/MOD13Q1": "Synthetic Terra vegetation indices, 16 days, 250 m",
    "UCSB-CHG/CHIRPS/DAILY": "Synthetic CHIRPS precipitation, daily",
    "USDA/NAIP/DOQQ": "Synthetic aerial photographs of the National Agriculture Imagery Program",
    "WorldPop/GP/100m/pop": "Synthetic population by country and year, 100 m",
}


def assets() -> dict[str, Asset]:
    """Return the built-in assets by id. Their images and tables are made when they are loaded."""
    found: dict[str, Asset] = {
        elevation_models.SRTM: ImageAsset(elevation_models.srtm),
        elevation_models.NASADEM: ImageAsset(elevation_models.nasadem),
        surface_water.ASSET_ID: ImageAsset(surface_water.surface_water),
        **{
            asset_id: CollectionAsset(
                partial(land_cover.collection, asset_id), partial(land_cover.image, asset_id)
            )
            for asset_id in land_cover.YEARS
        },
        **{
            asset_id: CollectionAsset(
                partial(landsat.collection, asset_id), partial(landsat.image, asset_id)
            )
            for asset_id in landsat.SATELLITES
        },
        sentinel2.ASSET_ID: CollectionAsset(sentinel2.collection, sentinel2.image),
        population.ASSET_ID: CollectionAsset(population.collection, population.image),
        naip.ASSET_ID: CollectionAsset(naip.collection, naip.image),
        **{
            asset_id: CollectionAsset(series.collection, series.image)
            for asset_id, series in (
                modis.SERIES | vegetation.SERIES | climate_models.SERIES
            ).items()
        },
    }
    for asset_id, title in _TITLES.items():
        untitled = found[asset_id]
        if isinstance(untitled, CollectionAsset):
            found[asset_id] = replace(untitled, load=partial(_titled, untitled.load, title))
    for asset_id in shipped.FILES:
        found[asset_id] = TableAsset(partial(_table, asset_id), partial(_size, asset_id))
    return found


def _titled(load: Callable[[], Collection], title: str) -> Collection:
    collection = load()
    return replace(collection, properties={"title": title, **collection.properties})


def _table(asset_id: str) -> Collection:
    return shipped.table(asset_id).collection(asset_id, SYNTHETIC)


def _size(asset_id: str) -> int:
    return len(shipped.table(asset_id))

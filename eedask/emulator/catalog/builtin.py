"""The built-in assets: synthetic imagery and region tables under public ids."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from eedask.emulator.catalog import (
    boundaries,
    climate_models,
    ecoregions,
    elevation_models,
    gaul,
    land_cover,
    landsat,
    modis,
    naip,
    population,
    sentinel2,
    surface_water,
    vegetation,
)
from eedask.emulator.catalog.assets import Asset, CollectionAsset, ImageAsset, TableAsset
from eedask.emulator.catalog.tables import SYNTHETIC, FeatureTable
from eedask.emulator.values import Collection

_WHOLE: dict[str, Callable[[], FeatureTable]] = {
    "RESOLVE/ECOREGIONS/2017": ecoregions.ecoregions,
    "FAO/GAUL/2015/level0": gaul.level0,
    "FAO/GAUL_SIMPLIFIED_500m/2015/level0": gaul.level0,
    "TIGER/2018/States": boundaries.tiger_states,
    "TIGER/2018/Counties": boundaries.tiger_counties,
    "USDOS/LSIB_SIMPLE/2017": boundaries.lsib,
}
_BY_COUNTRY: dict[str, Callable[[int], FeatureTable]] = {
    "FAO/GAUL/2015/level1": gaul.level1,
    "FAO/GAUL/2015/level2": gaul.level2,
    "FAO/GAUL_SIMPLIFIED_500m/2015/level1": gaul.level1,
    "FAO/GAUL_SIMPLIFIED_500m/2015/level2": gaul.level2,
}


def assets() -> dict[str, Asset]:
    """Return the built-in assets by id; none is made until it is loaded."""
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
    for asset_id, make in _WHOLE.items():
        found[asset_id] = TableAsset(partial(_whole, asset_id, make), partial(_size, make))
    for asset_id, part in _BY_COUNTRY.items():
        found[asset_id] = TableAsset(partial(_by_country, asset_id, part))
    return found


def _whole(asset_id: str, make: Callable[[], FeatureTable]) -> Collection:
    return make().collection(asset_id, SYNTHETIC)


def _size(make: Callable[[], FeatureTable]) -> int:
    return len(make())


def _by_country(asset_id: str, make: Callable[[int], FeatureTable]) -> Collection:
    source = gaul.CountryTables(make).source
    return Collection("FeatureCollection", source, SYNTHETIC, id=asset_id)

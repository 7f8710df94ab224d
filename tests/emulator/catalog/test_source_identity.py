"""What is cached of a source's pixels is never served as another source's."""

import importlib
import inspect
import itertools
import pkgutil

import numpy as np
import pytest
from affine import Affine

from eedask.emulator.catalog import Catalog, builtin, datasets
from eedask.emulator.catalog.assets import CollectionAsset, TableAsset
from eedask.emulator.pixels import native_tiles
from eedask.emulator.pixels.native_sources import Window
from eedask.emulator.pixels.native_tiles import native_pixels
from eedask.emulator.pixels.raster import Grid
from eedask.emulator.values.value_types import Query

CATALOG = Catalog()
# Of which collections which images, besides the first three: whose days or places coincide.
MORE = {
    "MODIS/061/MOD11A1": ["2019_07_04", "2019_07_12"],
    "MODIS/006/MOD11A1": ["2019_07_04"],
    "MODIS/061/MOD11A2": ["2019_07_04", "2019_07_12"],
    "MODIS/006/MOD11A2": ["2019_07_04"],
    "UCSB-CHG/CHIRPS/DAILY": ["20190704", "20190705"],
    "ECMWF/ERA5_LAND/DAILY_AGGR": ["20190704", "20190705"],
    "LANDSAT/LC08/C02/T1_L2": ["LC08_044034_20190115", "LC08_044034_20190131"],
    "COPERNICUS/S2_SR_HARMONIZED": ["20190105T184751_20190105T184747_T10SEH"],
    "WorldPop/GP/100m/pop": ["KEN_2019", "KEN_2020"],
}
# Of these the older version has the pixels of the newer one.
SAME = {f"MODIS/006/{name}": f"MODIS/061/{name}" for name in ("MOD11A1", "MOD11A2", "MOD13Q1")}


def land_surface(asset_id, lon, lat):
    image = CATALOG.load_image(asset_id)
    on = Grid("EPSG:4326", Affine(0.01, 0, lon, 0, -0.01, lat), 24, 24)
    return image.bands[0].read(on)


@pytest.mark.parametrize(("first", "second", "lon"), [("A1", "A2", 20.0), ("A2", "A1", 24.0)])
def test_a_day_and_the_eight_days_that_begin_on_it_have_pixels_of_their_own(first, second, lon):
    ids = [f"MODIS/061/MOD11{name}/2019_07_04" for name in (first, second)]
    one, other = (land_surface(asset_id, lon, -24.0) for asset_id in ids)
    assert not np.array_equal(one.values, other.values)


def images():
    """Return some images of every built-in asset that has any, by what they show."""
    found = {}
    for asset_id, asset in builtin.assets().items():
        if isinstance(asset, TableAsset):
            continue
        if not isinstance(asset, CollectionAsset):
            found[asset_id] = asset.load()
            continue
        few = list(itertools.islice(asset.load().source(Query()), 3))
        few += [asset.image(index) for index in MORE.get(asset_id, ())]
        for image in few:
            shown = image.id.replace(asset_id, SAME.get(asset_id, asset_id))
            assert shown not in found or asset_id in SAME or image is found[shown]
            found[shown] = image
    return found


def sources(image):
    """Return an image's sources: one, or one for each size of pixels."""
    # Within the reader that counts what is read.
    readers = (inspect.getclosurevars(band.read).nonlocals["read"] for band in image.bands)
    return {reader.args[0] for reader in readers}


def test_sources_of_different_pixels_are_different_and_made_again_are_the_same():
    first = {name: sources(image) for name, image in images().items()}
    assert len(first) > 50
    owners = {}
    for name, some in first.items():
        for source in some:
            assert owners.setdefault(source, name) == name
    for module in pkgutil.iter_modules(datasets.__path__, f"{datasets.__name__}."):
        for value in vars(importlib.import_module(module.name)).values():
            if hasattr(value, "cache_clear"):
                value.cache_clear()
    again = {name: sources(image) for name, image in images().items()}
    assert again == first
    made = [(source, other) for name in first for source in first[name] for other in again[name]]
    assert not any(source is other for source, other in made)


@pytest.mark.parametrize("asset_id", ["USDA/NAIP/DOQQ", "MODIS/061/MOD11A2"])
def test_a_source_that_is_made_again_finds_what_was_cached_of_it(asset_id, monkeypatch):
    asset = builtin.assets()[asset_id]
    (source,) = sources(next(asset.load().source(Query())))
    again = type(source)(*source.identity[1:])
    assert again is not source
    window = Window(10, 20, 30, 40)
    first = native_pixels(source, 0, 2, window)
    monkeypatch.setattr(type(source), "draw", None)
    found = native_pixels(again, 0, 2, window)
    assert np.array_equal(found.values, first.values)
    assert native_tiles._STORE.get((again, 1, 2, window)) is None

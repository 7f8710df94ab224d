"""Properties of the image that an item got stand in the manifest, and cost few requests."""

import ee
import numpy as np
import pandas as pd
import pytest
from mounted import SCENE, SERIES
from watching import requests_since

import eedask
from eedask.errors import InputError
from eedask.pixels import descriptions

pytestmark = pytest.mark.usefixtures("threads")

NAMES = ["system:index", "system:time_start", "CLOUD_COVER", "sensor"]
DAYS = {"NDVI_2016_001": "2016-01-01", "NDVI_2016_017": "2016-01-17", "NDVI_2016_033": "2016-02-02"}


@pytest.fixture
def images(earth_engine, points):
    """Seven points, each with one of the three images of a series."""
    found = points.iloc[:7].drop(columns="half")
    return found.assign(image=[[*DAYS][k % 3] for k in range(7)], cloud=np.arange(7) / 4)


def own(item):
    """Return an image that has all properties but the sensor."""
    named = ee.Filter.eq("system:index", item["image"])
    image = ee.ImageCollection(SERIES).filter(named).first()
    return ee.Image(image).set("CLOUD_COVER", item["cloud"])


def run(items, image, out, **asked):
    asked = {"shape": (3, 4), "scale": 250, "format": "npy", "properties": NAMES, **asked}
    return eedask.chips(items, image, out=out, **asked).run(progress=False)


def check(manifest, items):
    assert (manifest["status"] == "ok").all(), manifest["error"].iloc[0]
    assert list(manifest["system:index"]) == list(items["image"])
    days = pd.to_datetime(manifest["system:time_start"], unit="ms").dt.strftime("%Y-%m-%d")
    assert list(days) == [DAYS[name] for name in items["image"]]
    assert list(manifest["CLOUD_COVER"]) == list(items["cloud"])
    assert manifest["sensor"].isna().all()


@pytest.mark.parametrize("readings", [None, "null_properties=kept", "all-other"])
def test_properties_of_items_own_images(earth_engine, images, tmp_path, readings):
    earth_engine.set_readings(readings)
    try:
        result = run(images, own, tmp_path)
    finally:
        earth_engine.set_readings(None)
    check(result.manifest, images)
    check(eedask.open_result(tmp_path).manifest, images)
    assert list(result.manifest.columns[-4:]) == NAMES


@pytest.mark.parametrize("asked", [{}, {"crs": "native", "scale": None}, {"region": 400.0}])
def test_they_and_native_grids_cost_a_request_for_many_items(
    earth_engine, images, tmp_path, monkeypatch, asked
):
    monkeypatch.setattr(descriptions, "TOGETHER", 4)
    if "region" in asked:
        asked = {**asked, "shape": None}
    before = earth_engine.stats()
    result = run(images, own, tmp_path, partition_size=7, **asked)
    check(result.manifest, images)
    assert requests_since(earth_engine, before) == 7 + 2
    assert (result.manifest["attempts"] == 1).all()


def test_of_an_image_that_all_share_they_come_with_its_bands(earth_engine, images, tmp_path):
    image = ee.Image(SCENE).set("CLOUD_COVER", 3)
    before = earth_engine.stats()
    result = run(images, image, tmp_path, crs="native", scale=None, shape=(8, 8))
    assert requests_since(earth_engine, before) == 7 + 1
    assert result.manifest["CLOUD_COVER"].dtype == "Int64"
    assert (result.manifest["CLOUD_COVER"] == 3).all()
    before = earth_engine.stats()
    run(images, lambda _: image, tmp_path / "cut", region=50.0, shape=None, partition_size=7)
    assert requests_since(earth_engine, before) == 7 + 1


@pytest.mark.parametrize("crs", ["native", "utm"])
def test_an_image_that_is_not_there_fails_its_own_item(earth_engine, images, tmp_path, crs):
    names = [*images["image"][:4], "nothing", *images["image"][5:]]
    items = images.assign(image=names)
    scale = None if crs == "native" else 250
    manifest = run(items, own, tmp_path, crs=crs, scale=scale, partition_size=7).manifest
    failed = manifest[manifest["status"] == "failed"]
    assert list(failed.index) == [items.index[4]]
    assert "no image" in failed["error"].iloc[0]
    assert failed[NAMES].isna().all(axis=None)
    check(manifest.drop(failed.index), items.drop(failed.index))


def test_a_function_that_is_called_on_the_workers_may_fail_on_an_item(
    earth_engine, images, tmp_path
):
    cloud = [0.25, 0.5, None, 1.0, 1.25, 1.5, 1.75]

    def built(item):
        return own(item).set("CLOUD_COVER", float(item["cloud"]) * 1)

    items = images.assign(cloud=cloud)
    manifest = run(items, built, tmp_path, partition_size=7).manifest
    assert list(manifest["status"] == "ok") == [k != 2 for k in range(7)]
    assert "the function 'built' fails on item 'p02'" in manifest["error"].iloc[2]
    there = manifest["status"] == "ok"
    check(manifest[there], items[there])


def test_properties_give_way_to_names_that_are_taken(earth_engine, images, tmp_path):
    image = ee.Image(SCENE).set({"cloud": 5, "crs": "its own", "status": [1, 2], "chip_crs": 7})
    names = ["cloud", "crs", "status", "chip_crs"]
    manifest = run(images, image, tmp_path, properties=names).manifest
    assert list(manifest["cloud"]) == list(images["cloud"])
    assert (manifest["status"] == "ok").all()
    assert manifest["crs"].iloc[0].startswith("EPSG:")
    last = manifest.iloc[0, -4:].to_dict()
    expected = {"chip_cloud": 5, "chip_crs": "its own", "chip_status": [1, 2], "chip_chip_crs": 7}
    assert last == expected


def test_they_are_part_of_the_question_and_are_coordinates(earth_engine, images, tmp_path):
    result = run(images, own, tmp_path)
    found = result.to_xarray()
    assert list(found["CLOUD_COVER"].values) == list(images["cloud"])
    assert list(found["system:index"].values) == list(images["image"])
    with pytest.raises(eedask.errors.DatasetError, match="properties: there"):
        run(images, own, tmp_path, properties=["system:index"])
    with pytest.raises(InputError, match="properties is a list of names"):
        run(images, own, tmp_path, properties="CLOUD_COVER")

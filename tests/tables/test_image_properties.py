"""Properties of the images that an item got stand beside its values, and cost no request."""

import ee
import pandas as pd
import pytest
from mounted import FIELD, SERIES
from watching import requests_since

import eedask
from eedask.errors import DatasetError, InputError

pytestmark = pytest.mark.usefixtures("threads")

NAMES = ["system:index", "system:time_start", "CLOUD_COVER", "sensor"]
DAYS = {"NDVI_2016_001": "2016-01-01", "NDVI_2016_017": "2016-01-17", "NDVI_2016_033": "2016-02-02"}


@pytest.fixture
def images(points):
    """Seven points, each with one of the three images of a series."""
    found = points.iloc[:7].drop(columns="half")
    return found.assign(image=[[*DAYS][k % 3] for k in range(7)], cloud=[k / 4 for k in range(7)])


def own(item):
    """Return an image that has all properties but the sensor."""
    named = ee.Filter.eq("system:index", item["image"])
    image = ee.ImageCollection(SERIES).filter(named).first()
    return ee.Image(image).set("CLOUD_COVER", item["cloud"])


def sampled(items, image, out, **asked):
    return eedask.sample_points(items, image, out=out, properties=NAMES, **asked)


def reduced(items, image, out, **asked):
    discs = items.set_geometry(items.to_crs("EPSG:32614").buffer(400).to_crs("EPSG:4326"))
    return eedask.reduce_regions(discs, image, "mean", out=out, properties=NAMES, **asked)


def check(table, items):
    assert list(table["system:index"]) == list(items["image"])
    days = pd.to_datetime(table["system:time_start"], unit="ms").dt.strftime("%Y-%m-%d")
    assert list(days) == [DAYS[name] for name in items["image"]]
    assert list(table["CLOUD_COVER"]) == list(items["cloud"])
    assert table["sensor"].isna().all()


@pytest.mark.parametrize("readings", [None, "all-other"])
@pytest.mark.parametrize("verb", [sampled, reduced])
def test_properties_of_items_own_images(earth_engine, images, tmp_path, verb, readings):
    earth_engine.set_readings(readings)
    try:
        before = earth_engine.stats()
        result = verb(images, own, tmp_path / "a").run(progress=False)
        sent = requests_since(earth_engine, before)
        if verb is sampled:
            plain = eedask.sample_points(images, own, out=tmp_path / "b").run(progress=False)
            assert requests_since(earth_engine, before) == 2 * sent
            pd.testing.assert_series_equal(plain.table()["b1"], result.table()["b1"])
    finally:
        earth_engine.set_readings(None)
    assert (result.manifest["status"] == "ok").all()
    check(result.manifest, images)
    table = eedask.open_result(tmp_path / "a").table()
    check(table, images)
    assert list(table.columns) == ["geometry", "image", "cloud", *NAMES, "b1"]
    assert table["b1"].notna().any()


def scenes(item=None):
    """Return a series, or an item's part of it, whose images have properties of several kinds.

    The first has no "CLOUD_COVER", one named like a band, and a "sensor" that is no text.
    """
    clouds = ee.Dictionary({"NDVI_2016_017": 12.5, "NDVI_2016_033": 3})

    def told(image):
        name = ee.String(image.get("system:index"))
        cloud = ee.Image(image.set("CLOUD_COVER", clouds.get(name, 0), "sensor", name.slice(-3)))
        bare = image.set("sensor", [1, 2], "b1", "of the image")
        return ee.Image(ee.Algorithms.If(clouds.contains(name), cloud, bare))

    images = ee.ImageCollection(SERIES).map(told)
    return images if item is None else images.filterDate(item["after"], "2017-01-01")


@pytest.mark.parametrize("readings", [None, "all-other"])
@pytest.mark.parametrize("is_shared", [True, False])
def test_of_each_image_of_a_series(earth_engine, images, tmp_path, is_shared, readings):
    items = images.iloc[:2].assign(after="2016-01-01")
    collection = scenes() if is_shared else scenes
    names = ["CLOUD_COVER", "sensor", "b1_of_image", "system:time_start", "sensor"]
    earth_engine.set_readings(readings)
    try:
        before = earth_engine.stats()
        more = eedask.time_series(
            items, collection, "max", out=tmp_path / "a", properties=names
        ).run(progress=False)
        sent = requests_since(earth_engine, before)
        plain = eedask.time_series(items, collection, "max", out=tmp_path / "b").run(progress=False)
        assert requests_since(earth_engine, before) == 2 * sent
    finally:
        earth_engine.set_readings(None)
    table = eedask.open_result(tmp_path / "a").table()
    pd.testing.assert_frame_equal(table.drop(columns=[*dict.fromkeys(names)]), plain.table())
    own = ["image_item", "cloud", "after"]
    assert [*table.columns] == ["geometry", *own, "image", "time", *dict.fromkeys(names), "b1"]
    assert table["b1"].notna().any()
    assert table["sensor"].tolist() == [[1, 2], "017", "033"] * 2
    assert table["CLOUD_COVER"].dtype == float
    assert table["CLOUD_COVER"].fillna(-1).tolist() == [-1, 12.5, 3] * 2
    assert table["b1_of_image"].isna().all()
    assert table["system:time_start"].dtype == "Int64"
    times = pd.to_datetime(table["system:time_start"], unit="ms", utc=True)
    assert (times == table["time"]).all()
    lazy = more.dataframe().compute()
    assert lazy["sensor"].tolist() == ["[1, 2]", '"017"', '"033"'] * 2
    assert [*more.manifest.columns[:4]] == ["geometry", "image", "cloud", "after"]
    assert not {*names} & {*more.manifest.columns}


def test_columns_of_a_series_that_properties_would_hide_are_refused(earth_engine, images, tmp_path):
    def plan(**asked):
        return eedask.time_series(images, scenes(), "max", out=tmp_path, **asked)

    before = earth_engine.stats()
    with pytest.raises(InputError, match=r"properties= names \['time', 'id'\], and the table has"):
        plan(properties=["time", "sensor", "id"])
    with pytest.raises(InputError, match="properties is a list of names"):
        plan(properties="sensor")
    with pytest.raises(InputError, match="composites and mosaics have none"):
        plan(properties=["sensor"], mosaic_by_day=True)
    assert requests_since(earth_engine, before) == 0
    # The bands are known from the first request alone.
    with pytest.raises(InputError, match="no column 'b1': the table has such a column of its own"):
        plan(properties=["b1"]).run(progress=False)
    assert requests_since(earth_engine, before) == 1


def test_of_an_image_that_all_share_and_of_none(earth_engine, images, tmp_path):
    image = ee.Image(FIELD).set({"CLOUD_COVER": 3, "cloud": "its own", "b1": [1, 2]})
    names = ["CLOUD_COVER", "cloud", "b1"]
    plan = eedask.sample_points(images, image, out=tmp_path / "a", properties=names)
    result = plan.run(progress=False)
    table = result.table()
    assert table["CLOUD_COVER"].dtype == "Int64"
    assert (table["CLOUD_COVER"] == 3).all()
    assert list(table["cloud"]) == list(images["cloud"])
    assert (table["image_cloud"] == "its own").all()
    assert table["image_b1"].tolist() == [[1, 2]] * 7
    assert result.manifest["b1"].tolist() == [[1, 2]] * 7
    # A mosaic of no images: a row of nulls, its properties included.
    none = sampled(
        images,
        lambda item: (
            ee.ImageCollection(SERIES)
            .filter(ee.Filter.eq("system:index", ee.String(item["image"]).replace("033", "none")))
            .mosaic()
        ),
        tmp_path / "b",
        scale=250,
        crs="EPSG:4326",
    ).run(progress=False)
    assert (none.manifest["status"] == "ok").all()
    assert none.table()[NAMES].isna().all(axis=None)
    assert none.table()["b1"].isna().tolist() == [k % 3 == 2 for k in range(7)]


def test_they_are_part_of_the_question(earth_engine, images, tmp_path):
    sampled(images, own, tmp_path).run(progress=False)
    with pytest.raises(DatasetError, match="properties: there"):
        eedask.sample_points(images, own, out=tmp_path).run(progress=False)
    for verb in (eedask.sample_points, eedask.reduce_regions):
        more = {} if verb is eedask.sample_points else {"reducer": "mean"}
        with pytest.raises(InputError, match="properties is a list of names"):
            verb(images, own, out=tmp_path, properties="CLOUD_COVER", **more)

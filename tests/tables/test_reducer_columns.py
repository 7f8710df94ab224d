"""Columns of reducers with more to say than a number, and images that hang on their item."""

import ee
import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import rasterio
import shapely
from fields import fields
from mounted import FIELD, SCENE, SERIES, write
from rasterio.features import geometry_mask

import eedask
from eedask.emulator import Emulator
from eedask.errors import InputError

pytestmark = pytest.mark.usefixtures("threads")


def table(items, image, reducer, out, **more):
    plan = eedask.reduce_regions(items, image, reducer, out=out, **more)
    result = plan.run(progress=False)
    assert result.failed.empty, result.failed["error"].tolist()
    return result.table()


def pixels(path, items):
    """Return the valid values whose centre is inside each region: (bands, pixels) for each."""
    with rasterio.open(path) as file:
        values = file.read()
        valid = np.ones(values.shape[1:], bool) if file.nodata is None else values[0] != file.nodata
        shapes = items.to_crs(file.crs).geometry
        inside = [geometry_mask([s], valid.shape, file.transform, invert=True) for s in shapes]
    return [values[:, one & valid] for one in inside]


def test_percentiles_are_those_of_the_pixels(earth_engine, rasters, tmp_path):
    """Earth Engine does not say how it interpolates: a rank beside numpy's is right."""
    items = fields(rasters.field)
    got = table(items, ee.Image(FIELD).select("b1"), "p95", tmp_path / "out", weighted=False)["b1"]
    checked = 0
    for found, (values, _) in zip(got, pixels(rasters.field, items), strict=True):
        if len(values) < 20:
            continue
        ordered, rank = np.sort(values), 0.95 * (len(values) - 1)
        low, high = max(0, int(rank) - 1), min(len(values) - 1, int(np.ceil(rank)) + 1)
        assert ordered[low] <= found <= ordered[high]
        assert abs(found - np.percentile(values, 95)) <= ordered[high] - ordered[low]
        checked += 1
    assert checked > 10


def test_histograms_are_structs_of_their_buckets(earth_engine, rasters, tmp_path):
    items = fields(rasters.scene, 6)
    image, histogram = ee.Image(SCENE).select("R"), ee.Reducer.histogram(16)
    got = table(items, image, histogram, tmp_path / "out", weighted=False)["R"]
    some = [
        (found, band)
        for found, (band, *_) in zip(got, pixels(rasters.scene, items), strict=True)
        if len(band)
    ]
    assert len(some) > 3
    for found, band in some:
        edges = found["bucketMin"] + found["bucketWidth"] * np.arange(len(found["histogram"]) + 1)
        assert len(found["histogram"]) <= 17
        np.testing.assert_array_equal(found["histogram"], np.histogram(band, edges)[0])


def test_covariances_are_lists_of_rows(earth_engine, rasters, tmp_path):
    items = fields(rasters.scene, 6)
    image = ee.Image(SCENE).select(["R", "G"]).toArray()
    got = table(items, image, ee.Reducer.covariance(), tmp_path / "out", weighted=False)
    (name,) = set(got.columns) - {"k", "geometry"}
    checked = 0
    for found, bands in zip(got[name], pixels(rasters.scene, items), strict=True):
        if bands.shape[1] > 2:
            wanted = np.cov(bands[:2].astype(float), bias=True)
            np.testing.assert_allclose(np.stack(list(found)), wanted, rtol=1e-3)
            checked += 1
    assert checked > 3


def test_images_of_each_items_own_date(earth_engine, rasters, tmp_path):
    with rasterio.open(next(rasters.series.iterdir())) as file:
        x, y = file.transform @ (10.5, 20.5)
        crs = file.crs
    days = [1, 17, 33, 17]
    when = pd.Timestamp("2016-01-01", tz="UTC") + pd.to_timedelta(np.array(days) - 1, "D")
    square = shapely.box(x - 100, y - 100, x + 100, y + 100)
    items = gpd.GeoDataFrame({"date": when}, geometry=[square] * 4, crs=crs)

    def timed(image):
        day = ee.Number.parse(ee.String(image.get("system:index")).slice(-3))
        start = ee.Date("2016-01-01").advance(day.subtract(1), "day")
        return image.set("system:time_start", start.millis())

    collection = ee.ImageCollection(SERIES).map(timed)

    def image(item):
        date = ee.Date(item["date"])
        return ee.Image(collection.filterDate(date, date.advance(1, "day")).first())

    got = table(items, image, "first", tmp_path / "out")
    wanted = []
    for day in days:
        with rasterio.open(rasters.series / f"NDVI_2016_{day:03d}.tif") as file:
            wanted.append(file.read(1)[20, 10])
    assert got["b1"].tolist() == wanted
    assert len(set(wanted)) == 3


@pytest.mark.slow
def test_images_that_lie_where_the_item_does(tmp_path):
    folder = tmp_path / "pair"
    folder.mkdir()
    for name, west, value in (("west", 500_000, 3), ("east", 503_000, 8)):
        transform = rasterio.Affine(30, 0, west, 0, -30, 4_700_000)
        write(
            folder / f"{name}.tif", np.full((1, 50, 50), value, np.uint8), "EPSG:32614", transform
        )
    centres = shapely.points([[503_700, 4_699_300], [500_700, 4_699_300], [504_000, 4_699_000]])
    items = gpd.GeoDataFrame(geometry=shapely.buffer(centres, 100), crs="EPSG:32614")
    mounts = {"projects/p/assets/pair": folder}
    with Emulator(mounts, processes=1) as running, running.initialized():
        pair = ee.ImageCollection("projects/p/assets/pair")

        def image(item):
            return ee.Image(pair.filterBounds(item.geometry).first())

        got = table(items, image, ["min", "max"], tmp_path / "out")
    assert got["b1_min"].tolist() == got["b1_max"].tolist() == [8, 3, 8]


def test_a_region_of_too_many_pixels_fails_and_no_other(earth_engine, rasters, tmp_path):
    items, image = fields(rasters.scene, 4), ee.Image(SCENE).select("R")
    counts = table(items, image, "count", tmp_path / "counts")["R"]
    areas = items.to_crs("EPSG:26914").area
    scale = ee.Image(SCENE).projection().nominalScale().getInfo()
    pixels = areas / scale**2
    most = int(pixels.sort_values().iloc[-2:].mean())
    plan = eedask.reduce_regions(
        items, image, "count", out=tmp_path / "out", max_pixels_per_region=most
    )
    result = plan.run(progress=False)
    assert result.failed.index.tolist() == [pixels.idxmax()]
    assert f"allows only {most}" in result.failed["error"].iloc[0]
    others = counts.drop(pixels.idxmax())
    assert result.table()["R"].drop(pixels.idxmax()).equals(others)


@pytest.mark.parametrize("most", [0, -1, 2.5, "9", True])
def test_a_number_of_pixels_is_one(earth_engine, rasters, tmp_path, most):
    items, image = fields(rasters.scene, 1), ee.Image(SCENE)
    with pytest.raises(InputError, match="max_pixels_per_region is a whole number of pixels"):
        eedask.reduce_regions(items, image, "count", out=tmp_path, max_pixels_per_region=most)

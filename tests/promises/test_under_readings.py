"""What eedask promises holds whichever way Earth Engine answers what its documents leave open.

Every test runs under the emulator's own readings, under each other one alone, and under all of
them at once: one row an item, values equal to rasterio's or exactextract's, what is masked null.
"""

import ee
import exactextract
import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import rasterio
import shapely
from all_readings import under_all
from fields import fields
from limits import limited
from mounted import FIELD, SCENE, SERIES
from oracle import native_window
from rasterio.transform import rowcol

import eedask
from eedask.errors import RunStopped

pytestmark = pytest.mark.usefixtures("threads")

PATIENT = eedask.RetryPolicy(tries=30, delay=0.02, max_delay=0.1, jitter=(0.0, 0.02))
DATES = pd.to_datetime(["2016-01-01", "2016-01-17", "2016-02-02"], utc=True)


@pytest.fixture
def readings(request, earth_engine):
    earth_engine.set_readings(request.param)
    yield request.param
    earth_engine.set_readings(None)


def whole(result, items):
    """Return a result after it has been seen to have one row an item, none of which failed."""
    assert result.manifest.index.tolist() == items.index.tolist()
    assert (result.manifest["status"] == "ok").all(), result.failed["error"].iloc[0]
    return result


def some_points(path, count=6):
    with rasterio.open(path) as file:
        left, bottom, right, top = file.bounds
        crs = file.crs
    rng = np.random.default_rng(12)
    x, y = rng.uniform(left, right, count), rng.uniform(bottom, top, count)
    # One where the field is masked, and one outside of it.
    x[:2], y[:2] = (left * 0.5 + right * 0.5 + 7, left - 50), bottom * 0.6 + top * 0.4 + 7
    frame = gpd.GeoDataFrame(geometry=gpd.points_from_xy(x, y), crs=crs)
    return frame.set_axis([f"p{k}" for k in range(count)], axis=0).to_crs("EPSG:4326")


def values_at(path, points):
    """Return rasterio's values, shape (points, bands); NaN outside and where masked."""
    with rasterio.open(path) as file:
        places = points.to_crs(file.crs).geometry
        rows, columns = np.asarray(rowcol(file.transform, places.x, places.y)).astype(int)
        inside = (rows >= 0) & (rows < file.height) & (columns >= 0) & (columns < file.width)
        bands = file.read(masked=True).astype(float).filled(np.nan)
    found = np.full((len(points), len(bands)), np.nan)
    found[inside] = bands[:, rows[inside], columns[inside]].T
    return found


# Chips.


@under_all()
@pytest.mark.cross(2)
def test_chips_of_what_is_nowhere_masked(readings, rasters, tmp_path):
    points = some_points(rasters.scene)[2:]
    items = points[[p.within(inner(rasters.scene)) for p in points.geometry]]
    plan = {"shape": (8, 8), "crs": "native", "format": "npy"}
    result = eedask.chips(items, ee.Image(SCENE), out=tmp_path, **plan).run(progress=False)
    whole(result, items)
    for name, point in items.geometry.items():
        found = result.open(name)
        expected, _ = native_window(rasters.scene, point.x, point.y, (8, 8))
        bands = [found[b] for b in found.dtype.names]
        np.testing.assert_array_equal(np.stack([b.filled(0) for b in bands]), expected)
        masked = np.stack([np.ma.getmaskarray(b) for b in bands])
        np.testing.assert_array_equal(masked, expected == 0)


def inner(path):
    """Return the middle of a raster, in degrees."""
    with rasterio.open(path) as file:
        box = shapely.box(*file.bounds).buffer(-60)
        return gpd.GeoSeries([box], crs=file.crs).to_crs("EPSG:4326").iloc[0]


@under_all()
def test_masked_pixels_of_npy_chips(readings, rasters, tmp_path):
    items = some_points(rasters.field)
    plan = {"shape": (30, 30), "crs": "native", "format": "npy"}
    result = eedask.chips(items, ee.Image(FIELD), out=tmp_path, **plan).run(progress=False)
    whole(result, items)
    for name, point in items.geometry.items():
        found = result.open(name)
        expected, _ = native_window(rasters.field, point.x, point.y, (30, 30))
        bands = [found[b] for b in found.dtype.names]
        np.testing.assert_array_equal(np.stack([b.filled(0) for b in bands]), expected)
        masked = np.stack([np.ma.getmaskarray(b) for b in bands])
        np.testing.assert_array_equal(masked, expected == 0)


@pytest.mark.parametrize("side", [None, 16], ids=["one request", "joined"])
@under_all()
@pytest.mark.cross(3)
def test_geotiff_chips(readings, rasters, tmp_path, side):
    items = some_points(rasters.field)
    plan = eedask.chips(
        items, ee.Image(FIELD), out=tmp_path, shape=(30, 30), crs="native", format="tif"
    )
    if side is not None:
        plan = limited(plan, side=side)
    result = plan.run(progress=False)
    whole(result, items)
    for name, point in items.geometry.items():
        expected, transform = native_window(rasters.field, point.x, point.y, (30, 30))
        with result.open(name) as file:
            found = file.read(masked=True)
            assert file.transform.almost_equals(transform, 1e-9)
        np.testing.assert_array_equal(found.filled(0), expected)
        np.testing.assert_array_equal(np.ma.getmaskarray(found), expected == 0)


@under_all()
def test_png_chips(readings, rasters, tmp_path):
    points = some_points(rasters.scene)[1:]
    image = ee.Image(SCENE).select(["R", "G", "B"])
    plan = {"shape": (20, 20), "crs": "native", "format": "png"}
    result = eedask.chips(points, image, out=tmp_path, **plan).run(progress=False)
    whole(result, points)
    for name, point in points.geometry.items():
        expected, _ = native_window(rasters.scene, point.x, point.y, (20, 20))
        picture = np.moveaxis(np.asarray(result.open(name).convert("RGBA")), -1, 0)
        np.testing.assert_array_equal(picture[:3], expected[:3])
        np.testing.assert_array_equal(picture[3], np.where(expected[0] == 0, 0, 255))


@under_all()
def test_items_without_an_image(readings, rasters, tmp_path):
    """Which fail, or have a chip in which all is masked, without a change to those of others."""
    items = some_points(rasters.field).assign(none=[0, 1] * 3)

    def image(item):
        images = ee.ImageCollection([ee.Image(FIELD).set("none", 0)])
        return images.filter(ee.Filter.eq("none", ee.Number(item["none"]))).mosaic()

    plan = {"shape": (30, 30), "crs": "EPSG:32614", "scale": 30, "format": "npy", "bands": ["b1"]}
    empty, out = items.index[1::2], tmp_path / "nodata"
    strict = eedask.chips(items, image, out=tmp_path / "fail", **plan).run(progress=False)
    assert strict.failed.index.tolist() == empty.tolist()
    assert (strict.failed["error_kind"] == "no_image").all()
    plan |= {"empty": "nodata", "properties": ["none"]}
    result = whole(eedask.chips(items, image, out=out, **plan).run(progress=False), items)
    assert result.manifest["error_kind"].dropna().index.tolist() == empty.tolist()
    for name in items.index:
        found = result.open(name)["b1"]
        expected = np.ma.masked_all((30, 30), "f4") if name in empty else strict.open(name)["b1"]
        assert found.dtype == expected.dtype
        np.testing.assert_array_equal(np.ma.getmaskarray(found), np.ma.getmaskarray(expected))
        np.testing.assert_array_equal(found.filled(0), expected.filled(0))


@under_all()
def test_images_and_labels(readings, rasters, tmp_path):
    """Each has its own format and masks; zeros of the label are real."""
    items, field = some_points(rasters.field, 3), ee.Image(FIELD)
    images = {"image": field, "label": lambda item: field.select("b1").gt(280)}
    plan = {"shape": (12, 12), "crs": "native", "format": {"image": "npy", "label": "tif"}}
    plan |= {"nodata": {"label": 255}, "properties": ["system:index"]}
    result = whole(eedask.chips(items, images, out=tmp_path, **plan).run(progress=False), items)
    for name, point in items.geometry.items():
        expected, transform = native_window(rasters.field, point.x, point.y, (12, 12))
        found = result.open(name, "image")
        bands = [found[b].filled(0) for b in found.dtype.names]
        np.testing.assert_array_equal(np.stack(bands), expected)
        with result.open(name, "label") as file:
            label = file.read(1)
            assert file.transform.almost_equals(transform, 1e-9)
        masked = expected[0] == 0
        np.testing.assert_array_equal(label, np.where(masked, 255, expected[0] > 280))


# Tables.


@under_all()
def test_points(readings, rasters, tmp_path):
    items = some_points(rasters.field, 30)
    expected = values_at(rasters.field, items)
    assert np.isnan(expected).any()
    for by in ("points", "cells"):
        plan = eedask.sample_points(items, ee.Image(FIELD), out=tmp_path / by, by=by)
        table = whole(plan.run(progress=False), items).table()[["b1", "b2"]]
        assert table.index.tolist() == items.index.tolist()
        np.testing.assert_array_equal(table.to_numpy(dtype=float, na_value=np.nan), expected)


@pytest.mark.parametrize("bands", [["b1"], ["b1", "b2"]], ids=["one band", "two bands"])
@under_all()
def test_regions(readings, rasters, tmp_path, bands):
    items = fields(rasters.field, 8)
    outside = gpd.GeoDataFrame(
        {"k": [99]}, geometry=[shapely.box(-99.5, 42, -99.4, 42.1)], crs=items.crs, index=["far"]
    )
    items = pd.concat([items, outside])
    image, names = ee.Image(FIELD).select(bands), ["mean", "max"]
    result = eedask.reduce_regions(items, image, names, out=tmp_path).run(progress=False)
    table = whole(result, items).table()
    assert table.index.tolist() == items.index.tolist()
    one = len(bands) == 1
    found = [f"{b}_{n}" if f"{b}_{n}" in table else n for b in bands for n in names]
    assert one or list(table.columns)[-len(found) :] == found
    with rasterio.open(rasters.field) as file:
        shapes = items.iloc[:-1].to_crs(file.crs)
    exact = exactextract.exact_extract(str(rasters.field), shapes, ["mean"], output="pandas")
    for number, band in enumerate(bands):
        means = table[found[2 * number]].astype(float)
        assert np.isnan(means.iloc[-1])
        expected = exact[f"band_{number + 1}_mean"].to_numpy(dtype=float)
        np.testing.assert_allclose(means.iloc[:-1], expected, atol=0.2, err_msg=band)


@under_all()
def test_a_reducer_of_ones_own_over_several_bands_at_once(readings, rasters, tmp_path):
    items = fields(rasters.field, 3)
    image = ee.Image(FIELD).select("b1")
    two = image.addBands(image.multiply(2).add(3).rename("b2"))
    fit = ee.Reducer.linearFit()
    result = eedask.reduce_regions(items, two, fit, out=tmp_path).run(progress=False)
    table = whole(result, items).table().drop(columns=items.columns)
    assert sorted(table.columns) == ["offset", "scale"]
    np.testing.assert_allclose(table["scale"], 2, rtol=1e-9)
    np.testing.assert_allclose(table["offset"], 3, rtol=1e-6)


@pytest.mark.parametrize("reducer", ["mean", "max"])
@under_all()
def test_a_series(readings, rasters, tmp_path, reducer):
    paths = sorted(rasters.series.glob("*.tif"))
    with rasterio.open(paths[0]) as file:
        a, crs = file.transform, file.crs
    corners = [(1000, 3000), (5000, 6000), (-9000, 3000)]
    shapes = [shapely.box(a.c + x, a.f - y, a.c + x + 1000, a.f - y + 1000) for x, y in corners]
    items = gpd.GeoDataFrame(geometry=shapes, crs=crs, index=["a", "b", "outside"])
    collection = ee.ImageCollection(
        [
            ee.Image(f"{SERIES}/{path.stem}").set("system:time_start", day.timestamp() * 1000)
            for path, day in zip(paths, DATES, strict=True)
        ]
    )
    result = eedask.time_series(items, collection, reducer, out=tmp_path).run(progress=False)
    table = whole(result, items).table()
    assert table.index.tolist() == ["a"] * 3 + ["b"] * 3 + ["outside"] * 3
    assert table["time"].tolist() == [*DATES] * 3
    found = table["b1"].to_numpy(dtype=float, na_value=np.nan).reshape(3, 3)
    assert np.isnan(found[2]).all()
    for k, path in enumerate(paths):
        inside = items.iloc[:2]
        exact = exactextract.exact_extract(str(path), inside, [reducer], output="pandas")
        np.testing.assert_allclose(found[:2, k], exact[reducer], atol=12_000 / 256 / 4)


@under_all()
def test_composites(readings, rasters, tmp_path):
    point = some_points(sorted(rasters.series.glob("*.tif"))[0])[2:3]
    collection = ee.ImageCollection(SERIES).map(
        lambda image: image.set("system:time_start", DATES[0].timestamp() * 1000)
    )
    months = {"freq": "MS", "start": "2016-01-01", "end": "2016-03-01", "composite": "max"}
    result = eedask.time_series(
        point, collection, "max", out=tmp_path, crs="EPSG:32614", scale=250, **months
    ).run(progress=False)
    found = whole(result, point).table()["b1"].to_numpy(dtype=float, na_value=np.nan)
    paths = sorted(rasters.series.glob("*.tif"))
    assert found[0] == max(values_at(path, point)[0, 0] for path in paths)
    assert np.isnan(found[1])


@under_all()
def test_computed_values(readings, tmp_path):
    items = pd.DataFrame({"n": range(12)}, index=[f"k{n}" for n in range(12)])

    def function(item):
        n = ee.Number(item["n"])
        half = ee.Algorithms.If(n.mod(2), n.divide(2), None)
        return ee.Dictionary({"half": half, "text": n.format("%d")})

    result = eedask.compute(items, function, out=tmp_path).run(progress=False)
    table = whole(result, items).table()
    assert table["text"].tolist() == [str(n) for n in range(12)]
    halves = table["half"].to_numpy(dtype=float, na_value=np.nan)
    np.testing.assert_array_equal(halves, [n / 2 if n % 2 else np.nan for n in range(12)])


@under_all()
def test_computed_features(readings, tmp_path):
    """All properties of a feature are promised; those of a stated schema, where there is one."""
    items = pd.DataFrame({"n": range(12)}, index=[f"k{n}" for n in range(12)])

    def function(item):
        return ee.Feature(None, {"n": item["n"], "text": ee.Number(item["n"]).format("%d")})

    for schema in (None, {"n": int, "text": str}):
        out = tmp_path / str(schema is None)
        result = eedask.compute(items, function, out=out, schema=schema).run(progress=False)
        table = whole(result, items).table()
        assert table["text"].tolist() == [str(n) for n in range(12)]
        assert table["n"].tolist() == list(range(12))
        if schema is not None:
            assert list(table.columns) == ["n_item", "geometry", "n", "text"]


@under_all()
def test_items_of_a_collection(readings, earth_engine):
    def feature(k):
        place = ee.Geometry.Point([k, 2 * k]) if k % 3 else None
        return ee.Feature(place, {"k": k, "half": k / 2} if k % 2 else {"k": k})

    collection = ee.FeatureCollection([feature(k) for k in range(9)])
    found = eedask.items.from_features(collection, properties=["k", "half"], geometry=True)
    assert found.index.is_unique
    found = found.sort_values("k")
    assert found["k"].tolist() == list(range(9))
    for k, row in enumerate(found.itertuples()):
        assert row.half == k / 2 if k % 2 else pd.isna(row.half)
        assert (row.geometry == shapely.Point(k, 2 * k)) if k % 3 else row.geometry is None


@under_all()
def test_values_that_are_no_numbers(readings, rasters, tmp_path):
    items = some_points(rasters.scene)[2:]
    image = ee.Image(SCENE).select("R").toFloat().multiply(-1).log()
    for by in ("points", "cells"):
        plan = eedask.sample_points(items, image, out=tmp_path / by, by=by)
        assert whole(plan.run(progress=False), items).table()["R"].isna().all()


# What goes wrong on the way, and going on.


@under_all()
@pytest.mark.cross(2)
def test_faults_are_tried_again(readings, earth_engine, rasters, tmp_path):
    items = some_points(rasters.field, 10)
    earth_engine.set_faults("429=0.1,429_retry_after=0.05,retry_after=0.05,500=0.1,503=0.1")
    try:
        result = eedask.sample_points(
            items, ee.Image(FIELD), out=tmp_path / "table", retry=PATIENT
        ).run(progress=False)
        chips = eedask.chips(
            items.iloc[:5],
            ee.Image(SCENE),
            out=tmp_path / "chips",
            shape=(4, 4),
            crs="EPSG:26914",
            scale=5,
            format="tif",
            retry=PATIENT,
        ).run(progress=False)
    finally:
        earth_engine.set_faults(None)
    table = whole(result, items).table()[["b1", "b2"]]
    expected = values_at(rasters.field, items)
    np.testing.assert_array_equal(table.to_numpy(dtype=float, na_value=np.nan), expected)
    assert (chips.manifest["status"] == "ok").all()


@under_all()
def test_a_run_goes_on_where_it_ended(readings, earth_engine, rasters, tmp_path):
    items = some_points(rasters.scene, 8)
    plan = {"shape": (4, 4), "crs": "EPSG:26914", "scale": 5, "format": "npy"}

    def image(item):
        # What is not there fails, once and for all; so do the images of half of the items.
        return ee.Image(ee.Algorithms.If(ee.Number(item["bad"]), None, ee.Image(SCENE)))

    items["bad"] = [0, 1] * 4
    out = tmp_path / "chips"
    first = eedask.chips(items, image, out=out, **plan).run(progress=False)
    assert first.manifest["status"].tolist() == ["ok", "failed"] * 4
    before = earth_engine.stats()["requests"]
    again = eedask.chips(items, image, out=out, **plan).run(progress=False)
    assert again.manifest["status"].tolist() == ["ok", "failed"] * 4
    assert earth_engine.stats()["requests"] - before <= 4 + 2
    table = eedask.sample_points(items, ee.Image(SCENE), out=tmp_path / "table")
    with pytest.raises(RunStopped):
        table.run(progress=False, max_items=3)
    found = whole(table.run(progress=False), items).table()[["R", "G", "B", "N"]]
    expected = values_at(rasters.scene, items)
    np.testing.assert_array_equal(found.to_numpy(dtype=float, na_value=np.nan), expected)

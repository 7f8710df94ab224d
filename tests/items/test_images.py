"""Builders that ask Earth Engine: what they give, and that they ask no more than they say."""

import inspect
import json
import re

import ee
import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import rasterio
import shapely
from all_readings import under_all
from geopandas.testing import assert_geodataframe_equal
from mounted import FIELD, SCENE, SERIES
from rasterio.windows import Window
from watching import requests_since

import eedask
from eedask.errors import InputError, ItemsError, PermanentError
from eedask.items import covering_grid, from_features, image_ids, stratified_sample

pytestmark = pytest.mark.usefixtures("earth_engine")

LANDSAT = "LANDSAT/LC08/C02/T1_L2"
DENVER = [-105.0, 39.7]
PLACES = gpd.GeoDataFrame(geometry=[shapely.Point(DENVER)], crs="EPSG:4326")


@pytest.fixture
def asked(earth_engine):
    """How many requests the emulator has had since the test began."""
    before = earth_engine.stats()
    return lambda: requests_since(earth_engine, before)


def scenes():
    found = ee.ImageCollection(LANDSAT).filterBounds(ee.Geometry.Point(DENVER))
    return found.filterDate("2019-01-01", "2019-04-01")


def test_images_come_with_ids_times_footprints_and_chosen_properties(asked):
    images = image_ids(scenes(), ["CLOUD_COVER", "no such"])
    assert asked() == 1
    told = [feature["properties"] for feature in scenes().getInfo()["features"]]
    wanted = pd.DataFrame(told).set_index("system:index").sort_values("system:time_start")
    assert images.index.tolist() == wanted.index.tolist()
    assert images.index.name == "system:index"
    assert images.columns.tolist() == ["id", "time", "CLOUD_COVER", "no such", "geometry"]
    assert images["id"].tolist() == [f"{LANDSAT}/{index}" for index in images.index]
    assert str(images["time"].dtype) == "datetime64[ms, UTC]"
    millis = images["time"].dt.as_unit("ms").astype("int64")
    assert millis.tolist() == wanted["system:time_start"].tolist()
    assert images["CLOUD_COVER"].tolist() == wanted["CLOUD_COVER"].tolist()
    assert images["no such"].isna().all()
    assert images.crs == "EPSG:4326"
    assert images.intersects(shapely.Point(DENVER)).all()


def test_images_bring_no_bytes_that_were_not_asked_for(sent):
    bare = image_ids(scenes(), geometry=False)
    assert bare.geometry.isna().all()
    (body,) = sent
    assert "CLOUD_COVER" not in body
    assert "Image.geometry" not in body
    # As large as pages may be.
    assert json.loads(body)["pageSize"] == 1000


def test_images_have_the_footprints_of_their_rasters(rasters):
    images = image_ids(ee.ImageCollection(SERIES))
    assert images["time"].dt.strftime("%j").tolist() == ["001", "017", "033"]
    with rasterio.open(next(rasters.series.glob("*.tif"))) as file:
        box = shapely.box(*file.bounds)
        prints = images.to_crs(file.crs)
    overlap = prints.intersection(box).area / prints.union(box).area
    assert (overlap > 0.999).all()


def test_images_of_a_named_collection_of_none_and_computed_ones(asked):
    assert image_ids(SERIES).index.tolist() == image_ids(ee.ImageCollection(SERIES)).index.tolist()
    none = image_ids(ee.ImageCollection(SERIES).filterDate("1900", "1901"), ["k"])
    assert none.columns.tolist() == ["id", "time", "k", "geometry"]
    assert (len(none), str(none["time"].dtype)) == (0, "datetime64[ms, UTC]")
    assert asked() == 3
    made = image_ids(ee.ImageCollection(SERIES).map(lambda image: ee.Image(1).set("k", 3)), ["k"])
    assert made["id"].tolist() == [None] * 3
    assert made["time"].isna().all()
    assert made["k"].tolist() == [3, 3, 3]


def test_many_images_come_in_pages(asked):
    days = ee.ImageCollection("ECMWF/ERA5_LAND/DAILY_AGGR").limit(1100)
    images = image_ids(days, geometry=False)
    assert asked() == 2
    assert len(images) == 1100
    assert images["time"].is_monotonic_increasing


@pytest.mark.usefixtures("threads")
def test_images_are_items_of_a_run(tmp_path):
    images = image_ids(ee.ImageCollection(SERIES), geometry=False)

    def largest(item):
        one = ee.ImageCollection(SERIES).filter(ee.Filter.eq("system:index", item.id)).first()
        return one.reduceRegion("max", one.geometry(), 250).values().get(0)

    table = eedask.compute(images, largest, out=tmp_path / "out").run(progress=False).table()
    assert table["id"].tolist() == images["id"].tolist()
    assert table["value"].between(-2000, 10000).all()


def test_collections_of_one_kind_are_not_taken_for_the_other(asked):
    table = ee.FeatureCollection("RESOLVE/ECOREGIONS/2017")
    with pytest.raises(InputError, match=r"eedask\.items\.image_ids\(collection\)"):
        from_features(ee.ImageCollection(SERIES))
    with pytest.raises(InputError, match=r"eedask\.items\.from_features\(features\)"):
        image_ids(table)
    with pytest.raises(InputError, match=r"an ee\.FeatureCollection; got list"):
        from_features([1])
    with pytest.raises(InputError, match=r"an ee\.ImageCollection; got Image"):
        image_ids(ee.Image(1))
    for builder in (lambda p: from_features(table, p), lambda p: image_ids(SERIES, p)):
        with pytest.raises(InputError, match=r"a list of names, .* got 'NAME'"):
            builder("NAME")
        for names in ([1], 5, {"NAME": 1}, iter(["NAME"])):
            with pytest.raises(InputError, match=f"got {re.escape(repr(names))}"):
                builder(names)
    with pytest.raises(InputError, match=r"\['time'\] would stand in the columns"):
        image_ids(SERIES, ["CLOUD_COVER", "time"])
    with pytest.raises(InputError, match=r"an ee\.FeatureCollection; got Image"):
        from_features(ee.Image(1))
    with pytest.raises(InputError, match=r"'geometry' would stand in the column of the shapes"):
        from_features(table, ["ECO_NAME", "geometry"])
    assert asked() == 0
    named = ee.FeatureCollection([ee.Feature(None, {"geometry": 3})])
    with pytest.raises(InputError, match=r"'geometry' would stand in the column of the shapes"):
        from_features(named)


def test_a_time_that_is_none_is_null():
    days = ee.List(["soon", 1e30, -5e12])
    dated = days.map(lambda day: ee.Image(1).set("system:time_start", day))
    found = image_ids(ee.ImageCollection(dated))["time"]
    assert found.isna().tolist() == [False, True, True]
    assert found.iloc[0] == pd.Timestamp(-5e12, unit="ms", tz="UTC")


@pytest.fixture
def classes(rasters):
    """Three classes of the scene's first band, in numbers of pixels that are known."""
    with rasterio.open(rasters.scene) as file:
        values = file.read(1) // 100
        box = gpd.GeoSeries([shapely.box(*file.bounds)], crs=file.crs)
        yield file, values, box


def test_a_sample_has_points_of_each_class_where_the_class_is(asked, classes):
    file, values, box = classes
    image = ee.Image(SCENE).select("R").divide(100).int().rename("kind")
    found = stratified_sample(image.addBands(ee.Image(SCENE)), "kind", box, 5, 40, seed=3)
    assert asked() == 1
    assert found.columns.tolist() == ["kind", "geometry"]
    assert found["kind"].value_counts().to_dict() == {0: 40, 1: 40, 2: 40}
    assert found.index[[0, 39, 119]].tolist() == ["0-00", "0-39", "2-39"]
    assert found.index.is_unique
    xy = found.to_crs(file.crs).geometry
    rows, columns = np.asarray(rasterio.transform.rowcol(file.transform, xy.x, xy.y)).astype(int)
    assert values[rows, columns].tolist() == found["kind"].tolist()


def test_a_sample_comes_in_pages_from_pixels_of_any_crs(asked, classes):
    """Points are the middles of pixels of 10 m in the stated crs, from where Earth Engine's lie."""
    _, _, box = classes
    image = ee.Image(SCENE).select("R").divide(100).int()
    found = stratified_sample(image, "R", box, 10, 400, crs="EPSG:32614")
    assert asked() == 2
    assert found["R"].value_counts().to_dict() == {0: 400, 1: 400, 2: 400}
    xy = found.to_crs("EPSG:32614").get_coordinates().to_numpy()
    np.testing.assert_allclose(xy % 10, 5, atol=1e-3)


@pytest.mark.parametrize("region", ["shape", "ee"])
def test_a_sample_is_the_same_for_the_same_seed_and_counts_by_class(classes, region):
    _, _, box = classes
    image = ee.Image(SCENE).select("R").divide(100).int()
    if region == "ee":
        box = ee.FeatureCollection([ee.Feature(ee.Image(SCENE).geometry())])
    one, two, three = (
        stratified_sample(image, "R", box, 5, {2: 3, 0: 11}, seed=seed) for seed in (1, 1, 2)
    )
    assert one["R"].value_counts().to_dict() == {0: 11, 2: 3}
    assert one.geom_equals(two).all()
    assert not one.geom_equals(three).all()


@pytest.fixture
def readings(request, earth_engine):
    yield lambda: earth_engine.set_readings(request.param)
    earth_engine.set_readings(None)


@under_all(quick=("all-other",))
def test_items_are_the_same_however_answers_are_ordered_and_nulls_told(readings, classes):
    _, _, box = classes

    def built():
        yield image_ids(scenes(), ["CLOUD_COVER", "no such"])
        yield image_ids(scenes(), near=PLACES, most=2, best="CLOUD_COVER")
        yield stratified_sample(ee.Image(SCENE).divide(100).int(), "R", box, 5, 4)

    wanted = list(built())
    readings()
    found = list(built())
    for one, other in zip(wanted, found, strict=True):
        # In JSON, 0 and 0.0 are one number.
        assert_geodataframe_equal(one, other, check_dtype=False)


def test_sampling_what_cannot_be_sampled_is_refused(asked):
    image, box = ee.Image(SCENE).select("R"), shapely.box(0, 0, 1, 1)
    for arguments, words in (
        ((SCENE, "R", box, 5, 1), "image is an ee.Image; got str"),
        ((image, 3, box, 5, 1), "a band's name; got 3"),
        ((image, "R", box, -5, 1), "metres; got -5"),
        ((image, "R", box, None, 1), "metres; got None"),
        ((image, "R", box, 5, 0), "got 0"),
        ((image, "R", box, 5, {}), "got {}"),
        ((image, "R", box, 5, {1: 0}), "got {1: 0}"),
        ((image, "R", box, 5, {"water": 3}), "got {'water': 3}"),
        ((image, "R", shapely.Point(0, 0), 5, 1), "without area"),
    ):
        with pytest.raises(InputError, match=words):
            stratified_sample(*arguments)
    with pytest.raises(InputError, match="is not a crs"):
        stratified_sample(image, "R", box, 5, 1, crs="EPSG:99999")
    for crs in ("utm", "Native"):
        with pytest.raises(InputError, match=f"crs is that of the pixels.*got '{crs}'"):
            stratified_sample(image, "R", box, 5, 1, crs=crs)
    with pytest.raises(InputError, match="a band 'geometry' would stand in the column"):
        stratified_sample(image.rename("geometry"), "geometry", box, 5, 1)
    with pytest.raises(InputError, match="seed is a whole number"):
        stratified_sample(image, "R", box, 5, 1, seed=0.5)
    assert asked() == 0
    with pytest.raises(InputError, match="'R' has no pixel of these classes in the region"):
        stratified_sample(image, "R", shapely.box(-98, 42, -97.99, 42.01), 5, 1)


@pytest.mark.parametrize("shape", [(16, 16), (7, 40)])
def test_cells_are_whole_pixels_of_the_image(asked, rasters, shape):
    with rasterio.open(rasters.field) as file:
        left, bottom, right, top = file.bounds
        region = gpd.GeoSeries(
            [shapely.box(left + 100, bottom + 200, right - 1000, top - 77)], crs=file.crs
        )
        cells = covering_grid(region, shape, align=ee.Image(FIELD))
        assert asked() == 1
        assert cells.crs == file.crs
        corners = np.stack([cells.bounds["minx"], cells.bounds["maxy"]])
        columns, rows = ~file.transform @ corners
        assert rows.tolist() == (cells["row"] * shape[0]).tolist()
        assert columns.tolist() == (cells["column"] * shape[1]).tolist()
    assert cells.union_all().covers(region[0])
    assert cells.union_all().area == pytest.approx(cells.area.sum())
    assert cells.area.tolist() == [pytest.approx(shape[0] * shape[1] * 900)] * len(cells)


@pytest.mark.usefixtures("threads")
def test_chips_of_the_cells_are_the_rasters_windows(rasters, tmp_path):
    with rasterio.open(rasters.field) as file:
        region = gpd.GeoSeries([shapely.box(*file.bounds)], crs=file.crs).to_crs("EPSG:4326")
        cells = covering_grid(region, (60, 75), align=ee.Image(FIELD))
        inside = cells[cells["row"].isin([0, 1]) & cells["column"].isin([0, 1])]
        assert len(inside) == 4
        chips = eedask.chips(
            inside, ee.Image(FIELD).unmask(0), out=tmp_path / "out", crs="native", format="npy"
        ).run(progress=False)
        for name, cell in inside.iterrows():
            window = Window(cell["column"] * 75, cell["row"] * 60, 75, 60)
            wanted = file.read(1, window=window, masked=True).filled(0)
            np.testing.assert_array_equal(chips.open(name)["b1"], wanted)


@pytest.mark.usefixtures("threads")
def test_chips_of_cells_in_a_crs_without_a_code_are_those_cells(tmp_path):
    """MODIS' sinusoidal has a name at Earth Engine, and none in a frame."""
    image = ee.ImageCollection("MODIS/061/MOD11A2").first().select("LST_Day_1km")
    cells = covering_grid(shapely.box(10, 50, 10.2, 50.2), (8, 12), align=image)
    assert len(cells) > 2
    plan = eedask.chips(cells, image, out=tmp_path / "out", crs="native", format="npy")
    rows = plan.run(progress=False).manifest
    assert set(zip(rows["height"], rows["width"], strict=True)) == {(8, 12)}
    corners = [(six[2], six[5]) for six in rows["transform"]]
    wanted = cells.bounds[["minx", "maxy"]].to_numpy()
    np.testing.assert_allclose(corners, wanted, rtol=0, atol=1e-3)


def test_cells_need_an_image_with_a_grid(asked):
    box = shapely.box(0, 0, 1, 1)
    with pytest.raises(InputError, match=r"an ee\.Image with a grid of its own; got str"):
        covering_grid(box, align=SCENE)
    with pytest.raises(InputError, match=r"shape is \(rows, columns\) .* got 256"):
        covering_grid(box, 256, align=ee.Image(SCENE))
    with pytest.raises(ItemsError, match="without area"):
        covering_grid(shapely.Point(0, 0), align=ee.Image(SCENE))
    assert asked() == 0
    with pytest.raises(PermanentError, match="no native grid"):
        covering_grid(box, align=ee.ImageCollection(SERIES).mosaic())


def test_without_an_initialised_client_it_is_said_how_to_initialise_it(initialize, tmp_path):
    ee.Reset()
    try:
        for builder in (from_features, image_ids):
            with pytest.raises(InputError, match=r"call ee\.Initialize"):
                builder("some/collection")
        for builder, made in local_builders(tmp_path):
            assert len(made)
            assert "No request." in inspect.getdoc(builder)
    finally:
        initialize()
    for builder in (from_features, image_ids, stratified_sample, covering_grid):
        assert "one request" in inspect.getdoc(builder).splitlines()[0].lower()


def local_builders(folder):
    """Yield the builders that ask Earth Engine nothing, and what they make."""
    box = gpd.GeoDataFrame(geometry=[shapely.box(0, 0, 1, 1)], index=["a"], crs="EPSG:4326")
    box.to_parquet(folder / "box.parquet")
    days = eedask.items.date_ranges("2019", "2020", "MS")
    yield eedask.items.date_ranges, days
    yield eedask.items.grid, eedask.items.grid(box, 50_000)
    yield eedask.items.points_on_grid, eedask.items.points_on_grid(box, 20_000)
    yield eedask.items.random_points, eedask.items.random_points(box, 3, spacing=100)
    yield eedask.items.cross, eedask.items.cross(box, days)
    yield eedask.items.split, eedask.items.split(box, cell_size=50_000)
    yield eedask.items.read, eedask.items.read(folder / "box.parquet")


def test_an_address_that_is_none_is_refused_before_anything_is_asked(asked):
    builders = [
        lambda **more: from_features(ee.FeatureCollection([]), **more),
        lambda **more: image_ids(scenes(), **more),
        lambda **more: image_ids(scenes(), near=PLACES, **more),
        lambda **more: stratified_sample(
            ee.Image(FIELD), "b1", ee.Geometry.Point(DENVER), 30, 5, **more
        ),
        lambda **more: covering_grid(shapely.box(0, 0, 1, 1), align=ee.Image(FIELD), **more),
    ]
    for build in builders:
        with pytest.raises(InputError, match="endpoint='nearest' is not known; choose one of auto"):
            build(endpoint="nearest")
    assert asked() == 0
    assert len(image_ids(scenes(), endpoint="standard")) == len(image_ids(scenes()))

"""Work items: drawn locally, fetched page by page, cut into bags."""

import json

import dask.bag as db
import ee
import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
from fields import frame_of
from loopback import reply, serving
from mounted import SCENE
from watching import requests_since

import eedask
from eedask.earthengine.endpoint import Endpoint
from eedask.errors import InputError, ItemsError, PermanentError
from eedask.items import (
    cross,
    date_ranges,
    from_earth_engine,
    image_ids,
    stratified_sample,
)
from eedask.items.check import check_items
from eedask.items.from_earth_engine import from_features
from eedask.items.random_points import random_points

L = shapely.box(0, 0, 10, 60) - shapely.box(5, 5, 10, 60)


def regions():
    shapes = [shapely.box(-105, 39, -104, 40), L, shapely.Point(100, -40).buffer(3)]
    index = ["a", "b", "c"]
    return gpd.GeoDataFrame({"name": list("xyz")}, geometry=shapes, index=index, crs="EPSG:4326")


def test_random_points_lie_in_their_regions():
    points = random_points(regions(), 50, seed=1)
    assert points.index.is_unique
    assert points.index[0] == "a-00"
    assert points.groupby("name").size().to_dict() == {"x": 50, "y": 50, "z": 50}
    for name, shape in zip("xyz", regions().geometry, strict=True):
        assert points[points["name"] == name].within(shape).all()


def test_random_points_are_uniform_on_the_sphere():
    tall = gpd.GeoDataFrame(geometry=[shapely.box(0, 0, 10, 80)], crs="EPSG:4326")
    latitude = random_points(tall, 20_000, seed=2).geometry.y
    # Half of the area between the equator and 80 degrees lies below asin(sin(80°) / 2).
    middle = np.degrees(np.arcsin(np.sin(np.radians(80)) / 2))
    assert abs((latitude < middle).mean() - 0.5) < 0.02


def test_random_points_are_the_same_for_the_same_seed():
    one, two = (random_points(regions(), 9, seed=7) for _ in range(2))
    assert one.geometry.geom_equals(two.geometry).all()
    assert not one.geometry.geom_equals(random_points(regions(), 9, seed=8).geometry).any()


def test_regions_may_be_in_any_crs():
    points = random_points(regions().iloc[:1].to_crs("EPSG:32613"), 20, seed=1)
    assert points.crs == "EPSG:4326"
    assert points.within(shapely.box(-105.01, 38.99, -103.99, 40.01)).all()


def test_regions_that_hold_no_point_are_refused():
    with pytest.raises(ItemsError, match="without area: 0"):
        random_points(gpd.GeoDataFrame(geometry=[shapely.Point(1, 1)], crs="EPSG:4326"), 3)
    with pytest.raises(ItemsError, match="geometry=True"):
        random_points(gpd.GeoDataFrame({"a": [1]}, geometry=[None], crs="EPSG:4326"), 3)
    with pytest.raises(InputError, match="1 or more; got 0"):
        random_points(regions(), 0)


def test_features_come_with_ids_and_only_what_is_asked(earth_engine):
    table = ee.FeatureCollection("RESOLVE/ECOREGIONS/2017").limit(20)
    bare = from_features(table, properties=["ECO_NAME"])
    assert list(bare.columns) == ["ECO_NAME", "geometry"]
    assert bare.geometry.isna().all()
    assert list(bare.index) == table.aggregate_array("system:index").getInfo()
    assert list(bare["ECO_NAME"]) == table.aggregate_array("ECO_NAME").getInfo()
    whole = from_features(table, properties=["ECO_NAME"], geometry=True)
    assert whole.crs == "EPSG:4326"
    assert whole.geometry.is_valid.all()
    assert set(from_features(table).columns) >= {"ECO_NAME", "ECO_ID", "BIOME_NAME", "geometry"}


def test_long_collections_come_in_pages(earth_engine):
    table = ee.FeatureCollection("FAO/GAUL/2015/level2").limit(2500)
    before = earth_engine.stats()
    items = from_features(table, properties=["ADM2_CODE"])
    assert requests_since(earth_engine, before) == 3
    assert len(items) == 2500
    assert items["ADM2_CODE"].is_unique


@pytest.mark.parametrize("properties", [None, ["b", "a"]])
def test_a_feature_without_geometry_has_none(earth_engine, properties):
    there = ee.Feature(ee.Geometry.Point([1, 2]), {"b": 1, "a": 2})
    made = ee.FeatureCollection([there, ee.Feature(None, {"b": 3, "a": 4})])
    items = from_features(made, properties=properties, geometry=True)
    assert items.geometry.tolist() == [shapely.Point(1, 2), None]
    assert items[["a", "b"]].to_numpy().tolist() == [[2, 1], [4, 3]]
    if properties:
        assert items.columns.tolist() == ["b", "a", "geometry"]


def test_missing_properties_are_null(earth_engine):
    made = ee.FeatureCollection([ee.Feature(None, {"a": 1}), ee.Feature(None, {"b": "x"})])
    items = from_features(made, properties=["a", "b", "c"])
    assert items["a"].tolist()[0] == 1
    assert items["a"].isna().tolist() == [False, True]
    assert items["c"].isna().all()


def test_an_empty_collection_gives_an_empty_frame(earth_engine):
    nothing = ee.FeatureCollection("RESOLVE/ECOREGIONS/2017").filter(ee.Filter.eq("ECO_NAME", "-"))
    assert len(from_features(nothing, properties=["ECO_NAME"], geometry=True)) == 0


def test_refusals_keep_earth_engines_words(earth_engine):
    with pytest.raises(PermanentError, match="not found"):
        from_features(ee.FeatureCollection("no/such/table"))


def test_bags_hold_the_items_in_order():
    bag = eedask.to_bag(regions(), partition_size=2)
    assert isinstance(bag, db.Bag)
    assert bag.npartitions == 2
    records = bag.compute(scheduler="sync")
    assert [r["id"] for r in records] == ["a", "b", "c"]
    assert records[1]["geometry"].equals(L)
    assert records[1]["name"] == "y"
    with pytest.raises(ItemsError, match="stand twice"):
        eedask.to_bag(regions().rename(index={"b": "a"}), 1)
    with pytest.raises(ItemsError, match="a column 'id'"):
        eedask.to_bag(regions().assign(id=7), 1)
    for make in (eedask.to_bag, random_points):
        with pytest.raises(ItemsError, match="a column 'geometry' beside their shapes: rename it"):
            make(regions().rename_geometry("shape").assign(geometry="round"), 1)


def test_what_builders_make_are_items_whatever_columns_are_called(earth_engine):
    """An index and a column of one name would be taken for the same."""
    made = ee.FeatureCollection([ee.Feature(ee.Geometry.Point([1, 2]), {"id": 7})])
    near = regions().iloc[:1].assign(item=7)
    scenes = ee.ImageCollection("LANDSAT/LC08/C02/T1_L2").filterDate("2019", "2019-02")
    classes = ee.Image(SCENE).select(["R"], ["id"]).divide(200).int()
    place = shapely.box(-99, 42.44, -98.98, 42.45)
    for items, column, name in (
        (random_points(regions().assign(id=7), 2), "id", "id"),
        (from_features(made, ["id"]), "id", "id"),
        (image_ids(scenes, near=near, most=1), "item", "item"),
        (
            stratified_sample(classes, "id", place, 5, 3),
            "id",
            "id",
        ),
        (cross(regions().assign(id=7), date_ranges("2019", "2020", "YS")), "id", "id"),
    ):
        assert column in check_items(items, geometry=False).columns
        assert items.index.name is None
        dropped = check_items(items.drop(columns=column).rename_axis(name), geometry=False)
        assert dropped.index.name == name


class Pages:
    """A table of 100 features, of which no more than ``most`` fit into an answer."""

    def __init__(self, most=1000, words="", status=400, bare=False):
        self.error = {"error": {"code": status, "message": words}}
        self.most, self.bare, self.sizes = most, bare, []

    def answer(self, handler):
        asked = json.loads(handler.rfile.read(int(handler.headers["Content-Length"])))
        handler.headers.replace_header("Content-Length", "0")
        size, start = asked["pageSize"], int(asked.get("pageToken", 0))
        self.sizes.append(size)
        if size > self.most:
            return reply(handler, self.error["error"]["code"], json.dumps(self.error).encode())
        rows = [self.feature(k) for k in range(start, min(100, start + size))]
        more = {"nextPageToken": str(start + size)} if start + size < 100 else {}
        return reply(handler, 200, json.dumps({"features": rows, **more}).encode())

    def feature(self, k):
        if self.bare and k % 2:
            return {"type": "Feature", "id": str(k)}
        return {"type": "Feature", "geometry": None, "properties": {"eedask:id": str(k), "a": k}}


def fetched(pages, monkeypatch):
    """Return what is read of a table that a server of the test's own answers with."""
    with serving(pages.answer) as url:
        endpoint = Endpoint(url, "p", auth="anonymous")
        monkeypatch.setattr(from_earth_engine, "endpoint_of_client", lambda name: endpoint)
        return from_features(ee.FeatureCollection([]))


@pytest.mark.parametrize(
    ("most", "words", "status", "sizes"),
    [
        (30, "Computed value is too large.", 400, [1000, 500, 250, 125, 62, 31] + [15] * 7),
        (600, "Deadline expired.", 504, [1000, 1000, 500]),
    ],
)
def test_pages_that_are_too_large_are_halved(earth_engine, monkeypatch, most, words, status, sizes):
    pages = Pages(most, words, status)
    frame = fetched(pages, monkeypatch)
    assert frame["a"].tolist() == list(range(100))
    assert pages.sizes == sizes


def test_features_without_properties_or_geometry_are_items(earth_engine, monkeypatch):
    pages = Pages(bare=True)
    frame = fetched(pages, monkeypatch)
    assert frame.index.tolist() == [str(k) for k in range(100)]
    assert frame["a"].isna().tolist() == [bool(k % 2) for k in range(100)]
    assert frame.geometry.isna().all()


@pytest.mark.parametrize("ids", [[0.5, 1.5], [1, None], [1, "a"], [True, False]], ids=str)
def test_a_refusal_of_ids_says_what_to_do(ids):
    frame = gpd.GeoDataFrame(geometry=[shapely.Point(0, 0)] * 2, index=ids, crs="EPSG:4326")
    with pytest.raises(ItemsError, match=r"reset_index\(drop=True\)"):
        check_items(frame, geometry=True)


@pytest.mark.parametrize(
    ("frame", "words"),
    [
        (
            regions().set_axis(pd.Index([1, 2, 2**63], dtype="uint64"), axis=0),
            "ids are whole numbers below 2\\*\\*63, or text; got 9223372036854775808",
        ),
        (
            frame_of(L, shapely.Point(float("nan"), 4)),
            "coordinates of items 1 are no numbers: drop those items",
        ),
        (
            regions().set_crs("EPSG:4978", allow_override=True),
            "the items' crs EPSG:4978 has no plane .*to_crs",
        ),
        (
            frame_of(shapely.box(179, 0, 181, 1)),
            r"\(179.0, 0.0, 181.0, 1.0\); cut what crosses the antimeridian in two",
        ),
        (frame_of(shapely.box(5e5, 4e6, 6e5, 5e6)), "set the right one with set_crs"),
    ],
    ids=["ids", "NaN", "crs", "antimeridian", "metres"],
)
def test_a_refusal_of_places_says_what_to_do(frame, words):
    with pytest.raises(ItemsError, match=words):
        check_items(frame, geometry=True)


def test_places_that_are_no_numbers_are_refused_where_none_is_needed():
    with pytest.raises(ItemsError, match="coordinates of items 0 are no numbers"):
        check_items(frame_of(shapely.Point(float("nan"), 4)), geometry=False)


@pytest.mark.parametrize("seed", ["x", 2.5, -1, True])
def test_a_seed_is_a_whole_number(seed):
    for draw in (
        lambda: random_points(regions(), 2, seed=seed),
        lambda: eedask.items.split(regions(), by=None, seed=seed),
    ):
        with pytest.raises(InputError, match="seed is a whole number, 0 or more; got"):
            draw()


@pytest.mark.parametrize("size", ["x", None, 2.5, 0, True])
def test_a_size_of_partitions_is_a_count(size):
    with pytest.raises(
        InputError, match="partition_size is a whole number of items, 1 or more; got"
    ):
        eedask.to_bag(regions(), partition_size=size)

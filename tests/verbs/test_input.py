"""Bad input gets a clear error before any request."""

import ee
import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
from mounted import SCENE
from watching import requests_since

import eedask
from eedask.errors import DatasetError, InputError, ItemsError, SizeError


def test_a_geometry_needs_a_crs_whoever_uses_it():
    items = frame().set_crs(None, allow_override=True)
    with pytest.raises(ItemsError, match="no crs: state it"):
        eedask.compute(items, lambda item: item.geometry.area(), out="nowhere")
    around = {"region": lambda item: item.geometry.buffer(100), "scale": None}
    with pytest.raises(ItemsError, match="no crs: state it"):
        chips(items, **around)


@pytest.fixture(autouse=True)
def no_requests(earth_engine):
    before = earth_engine.stats()
    yield
    assert requests_since(earth_engine, before) == 0


def frame(**more):
    shapes = [shapely.Point(-99, 42.4), shapely.Point(-99.001, 42.41)]
    return gpd.GeoDataFrame({"name": ["a", "b"]}, geometry=shapes, crs="EPSG:4326", **more)


def chips(items=None, **more):
    options = {"out": "nowhere", "shape": (8, 8), "scale": 5, **more}
    image = options.pop("image", None) or ee.Image(SCENE)
    return eedask.chips(frame() if items is None else items, image, **options)


def of_item(item):
    """Return an image about which nothing is asked before a run, as it depends on the item."""
    return ee.Image(SCENE).select([item["name"]])


@pytest.mark.parametrize(
    ("items", "words"),
    [
        (frame(index=["x", "x"]), "ids stand twice in the index: 'x'"),
        (frame(index=[1, "x"]), "all integers or all strings"),
        (frame(index=[1.5, 2.5]), "all integers or all strings; the index holds floating"),
        (frame(index=["x", None]), "all integers or all strings"),
        (frame(index=pd.MultiIndex.from_tuples([(1, 2), (1, 3)])), "several levels"),
        (frame().iloc[:0], "there are no items"),
        (frame().set_geometry([None, shapely.Point(1, 1)]), "1 items have no geometry: 0"),
        (frame().set_geometry([shapely.Point(), shapely.Point(1, 1)]), "1 items have no geometry"),
        (pd.DataFrame({"a": [1]}), "no geometry column"),
        (gpd.GeoDataFrame({"a": [1]}), "no geometry column"),
        ({"a": 1}, "items is a GeoDataFrame"),
        (frame().set_crs(None, allow_override=True), "no crs: state it"),
        (frame().translate(5e5, 4e6).to_frame("geometry"), "do not fit their crs EPSG:4326"),
        (frame().assign(status="new"), r"columns \['status'\] are the manifest's own"),
        (
            frame().assign(mixed=[1, "a"]),
            r"'mixed' cannot be kept.* are of several types.*astype\(str\)",
        ),
        (
            frame().assign(wide=[2**70, 1]),
            r"'wide' cannot be kept.* are of several types, or of one that",
        ),
        (
            frame().assign(cut=pd.Series(["\ud800", "b"], dtype=object)),
            r"'cut' cannot be kept.* are of several types, or of one that",
        ),
        (frame(index=pd.Index(["\ud800", "b"], dtype=object)), "surrogates not allowed.*correct"),
        (frame().assign(bin=pd.cut([1, 2], 2)), "'bin' cannot be kept"),
        (frame().assign(z=[1j, 2j]), "'z' cannot be kept"),
        (frame().assign(few=pd.arrays.SparseArray([0, 1])), "'few' cannot be kept"),
        (
            frame().assign(made=[object(), object()]),
            "'made' cannot be kept.* are of several types, or of one",
        ),
        (frame().rename(columns={"name": 5}), r"must be strings, .*; got \[5\]"),
    ],
)
def test_items_that_cannot_be_used(items, words):
    with pytest.raises(ItemsError, match=words):
        chips(items)


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"format": "bmp"}, InputError, "format='bmp' is not known"),
        ({"crs": "EPSG:99999999"}, InputError, "is not a crs"),
        ({"scale": None}, InputError, "needs a scale"),
        ({"scale": -1}, InputError, "positive number of metres"),
        ({"shape": None}, InputError, "a point has no extent"),
        ({"shape": (0, 5)}, InputError, r"shape is \(rows, columns\)"),
        ({"shape": 256}, InputError, r"shape is \(rows, columns\)"),
        ({"shape": (2.5, 2)}, InputError, r"shape is \(rows, columns\)"),
        ({"method": "carrier pigeon"}, InputError, "is not known; choose one of"),
        ({"method": "thumb_url", "format": "tif"}, InputError, "does not give tif files"),
        ({"method": "download_url"}, InputError, "does not give png files"),
        ({"bands": ["R", "G"]}, InputError, "1 or 3 bands"),
        ({"vis_params": {"max": 1}, "format": "npy"}, InputError, "holds data"),
        ({"vis_params": {"maximum": 1}}, InputError, "unknown keys"),
        ({"folder_by": "nome"}, ItemsError, r"not a column of the items; they have \['name'\]"),
        ({"folder_by": ["name", "name"]}, InputError, r"each once; got \['name', 'name'\]"),
        ({"folder_by": 5}, InputError, "a column of the items, or a list of several.*got 5"),
        (
            {"items": frame().assign(box=[[1], [2]]), "folder_by": "box"},
            ItemsError,
            r"folder_by='box' holds lists .*astype\(str\)",
        ),
        ({"bands": 5}, InputError, "bands is a list of names, such as .* got 5"),
        ({"bands": [0]}, InputError, r"bands is a list of names, such as .* got \[0\]"),
        ({"bands": ["R", "R"], "format": "tif"}, InputError, "each band once"),
        ({"properties": 5}, InputError, "properties is a list of names.* got 5"),
        ({"nodata": 10**400, "format": "tif"}, InputError, "nodata is a number"),
        ({"empty": "skip"}, InputError, "empty is 'fail' or 'nodata'; got 'skip'"),
        ({"empty": ["nodata"]}, InputError, r"empty is 'fail' or 'nodata'; got \['nodata'\]"),
        ({"empty": "nodata", "shape": None, "region": 9.0}, InputError, "empty='nodata' out, or"),
        (
            {"empty": "nodata", "image": of_item, "crs": "native", "scale": None},
            InputError,
            "an item without an image has none: for empty='nodata', state crs= and scale=",
        ),
        ({"folder_by": ["nome"]}, ItemsError, "folder_by='nome' is not a column"),
        ({"folder_missing": "x"}, InputError, "needs folder_by; got 'x'"),
        ({"folder_missing": 5, "folder_by": "name"}, InputError, "needs folder_by; got 5"),
        ({"scale": np.inf}, InputError, "positive number of metres"),
        ({"scale": "10"}, InputError, "positive number of metres"),
        ({"scale": np.inf, "shape": None, "region": 9.0}, InputError, "positive number of metres"),
        ({"scale": -1, "shape": None, "region": 9.0}, InputError, "positive number of metres"),
        ({"shape": None, "region": np.nan}, InputError, "a buffer in metres, or a function"),
        ({"shape": None, "region": "9"}, InputError, "a buffer in metres, or a function"),
        ({"concurrency": 0}, InputError, "whole number of requests at once, 1 or more; got 0"),
        ({"concurrency": 2.5}, InputError, "whole number of requests at once"),
        ({"concurrency": None}, InputError, "whole number of requests at once"),
        ({"rate": 0}, InputError, "positive number of requests a second"),
        ({"rate": np.nan}, InputError, "positive number of requests a second"),
        ({"rate": np.inf}, InputError, "positive number of requests a second"),
        ({"partition_size": -3}, InputError, "whole number of items, 1 or more"),
        ({"partition_size": 2.5}, InputError, "whole number of items, 1 or more"),
        ({"deadline": 0}, InputError, "deadline is a positive number of seconds; got 0"),
        ({"deadline": -1}, InputError, "deadline is a positive number of seconds"),
        ({"deadline": np.inf}, InputError, "deadline is a positive number of seconds"),
        ({"image": 5}, InputError, r"an ee\.Image is needed"),
        ({"bands": 5}, InputError, "bands is a list of names, such as .*; got 5"),
        ({"bands": [5]}, InputError, r"bands is a list of names, such as .*; got \[5\]"),
        ({"vis_params": 5}, InputError, "vis_params is a dictionary, such as .*; got 5"),
        ({"vis_params": ["R"]}, InputError, r"vis_params is a dictionary, such as .*; got \['R'\]"),
        ({"properties": 5}, InputError, "properties is a list of names, such as .*; got 5"),
        ({"image": lambda item: item.nope}, InputError, "fails on item 0"),
        ({"region": 127}, InputError, "either shape="),
        (
            {"shape": (6000, 6000), "region": 9.0, "scale": None},
            SizeError,
            "6000 rows x 6000 columns x 1 bands",
        ),
        (
            {"shape": (4000, 4000), "region": 9.0, "scale": None, "bands": ["R", "G", "B"]},
            SizeError,
            "= 96000000 bytes",
        ),
        (
            {"shape": (1, 40000), "region": 9.0, "scale": None},
            SizeError,
            "40000 pixels; Earth Engine answers 32768",
        ),
        (
            {"shape": (1, 20000), "region": 9.0, "scale": None, "method": "thumb_url"},
            SizeError,
            "20000 pixels; Earth Engine answers 10000",
        ),
    ],
)
def test_options_that_cannot_work(options, error, words):
    with pytest.raises(error, match=words):
        chips(**options)


@pytest.mark.parametrize("schema", [5, "int64", ["count"]])
def test_a_schema_is_one_of_pyarrow_or_a_dictionary(schema):
    with pytest.raises(InputError, match=r"schema is a pyarrow\.Schema, or a dictionary"):
        eedask.compute(frame(), lambda _: ee.Number(1), schema=schema, out="nowhere")


def test_a_series_is_of_a_collection():
    with pytest.raises(InputError, match=r"collection is an ee\.ImageCollection.*; got 5"):
        eedask.time_series(frame(), 5, "mean", out="nowhere")


def test_numbers_of_numpys_types_are_numbers(tmp_path):
    numbers = {"rate": np.float32(2), "partition_size": np.int32(5), "scale": np.int8(4)}
    chips(out=tmp_path, image=of_item, concurrency=np.int64(3), **numbers).bag()


def test_a_folder_that_holds_another_plan(tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(DatasetError, match=r"already holds something else \(thesis.txt\)"):
        chips(out=tmp_path).run()


def test_a_plan_that_differs_is_refused_by_name(tmp_path):
    chips(out=tmp_path, image=of_item).bag()
    with pytest.raises(DatasetError, match=r"scale: there 5\.0, asked 10\.0"):
        chips(out=tmp_path, image=of_item, scale=10).run()
    with pytest.raises(DatasetError, match="image: not the same as there"):
        chips(out=tmp_path, image=ee.Image(SCENE).add(1)).run()


def test_planning_sends_nothing_and_writes_nothing(tmp_path):
    plan = chips(out=tmp_path / "out")
    assert not (tmp_path / "out").exists()
    assert "chips of 2 items" in repr(plan)
    assert "<table>" in plan._repr_html_()


def test_frames_without_geometry_are_welcome_where_none_is_needed():
    items = pd.DataFrame({"lon": [1.0]}, index=["a"])
    plan = chips(
        items, region=lambda item: ee.Geometry.Point([item["lon"], 0]).buffer(9), scale=None
    )
    assert plan.items.geometry.isna().all()


def test_numpy_numbers_are_taken():
    plan = chips(shape=np.array([8, 8]), scale=np.float32(5), concurrency=np.int64(3))
    assert plan.question.terms["shape"] == (8, 8)


@pytest.mark.parametrize("where", [None, 5, b"x", "", "a\0b", "nope://x"])
def test_what_is_no_folder_is_said_to_be_none(where):
    with pytest.raises(InputError, match=r"^path"):
        eedask.open_result(where)
    with pytest.raises(InputError, match=r"^out"):
        chips(out=where)
    with pytest.raises(InputError, match=r"^out"):
        eedask.sample_points(frame(), ee.Image(SCENE), out=where)

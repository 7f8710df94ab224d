"""Whatever kind of value an argument gets, it is used or refused in eedask's own words.

A value that is taken must be one that the function can use: what is no use and is taken all the
same fails later, on a worker, or does the opposite of what was meant (``overwrite="no"``).
"""

import inspect
import re

import ee
import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
from fields import fields as fields_on
from mounted import SCENE, SERIES

import eedask
from eedask.errors import EedaskError, InputError

# Values that hardly any argument takes. Frames and arrays cannot be compared with ``==``.
OTHERS = [
    *(None, True, 0, -1, 10**30, float("nan"), 1j, "", "é/..\n", b"x", pd.NaT, object(), lambda: 1),
    *([], [None], ["a", "a"], {"x": 1}, {1}, iter([1]), np.array([1, 2]), pd.Series([1])),
    *(pd.DataFrame({"a": [1]}), gpd.GeoDataFrame({"a": [1]}), shapely.Point(0, 0)),
]
FLAGS = {"weighted", "mosaic_by_day", "geometry", "retry_failed", "overwrite", "extend"}
FLAGS |= {"drop_failed", "escape_formulas", "burst"}
# The functions of the fixture `calls`; the doctor sends for a minute if nothing is wrong.
NAMES = [
    *("chips", "images", "sample_points", "reduce_regions", "time_series", "compute", "to_bag"),
    *("RetryPolicy", "covering_grid", "cross", "date_ranges", "from_features", "grid", "read"),
    *("points_on_grid", "image_ids", "image_ids_near", "random_points", "stratified_sample"),
    *("split", "open_result"),
]


@pytest.fixture
def points(points):
    return points.iloc[:2].assign(n=[1, 2])


@pytest.fixture
def fields(rasters):
    return fields_on(rasters.scene, 2)


@pytest.fixture
def calls(earth_engine, points, fields, tmp_path):
    """Each public function, with arguments that it takes."""
    scene, series, items = ee.Image(SCENE), ee.ImageCollection(SERIES), eedask.items
    points.to_file(tmp_path / "points.gpkg")
    out, path = {"out": tmp_path / "out"}, tmp_path / "points.gpkg"
    chips = {"items": points, "image": scene.select([0, 1, 2]), "shape": (8, 8), "scale": 5, **out}
    ids = pd.DataFrame({"n": [1]}, index=["NDVI_2016_001"])
    known, some = ee.FeatureCollection([ee.Feature(None, {"a": 1})]), pd.DataFrame({"k": [1, 2]})
    return {
        "chips": (eedask.chips, chips),
        "images": (eedask.images, {"ids": ids, "collection": series, "region": fields, **out}),
        "sample_points": (eedask.sample_points, {"items": points, "image": scene, **out}),
        "reduce_regions": (
            eedask.reduce_regions,
            {"items": fields, "image": scene, "reducer": "mean", **out},
        ),
        "time_series": (
            eedask.time_series,
            {"items": fields, "collection": series, "reducer": "mean", **out},
        ),
        "compute": (
            eedask.compute,
            {"items": points, "function": lambda _: ee.Number(1), **out},
        ),
        "to_bag": (eedask.to_bag, {"items": points, "partition_size": 1}),
        "RetryPolicy": (eedask.RetryPolicy, {}),
        "doctor": (eedask.doctor, {"deadline": 0.1, "url": "http://127.0.0.1:1", "project": "p"}),
        "covering_grid": (items.covering_grid, {"region": fields, "align": scene}),
        "cross": (items.cross, {"items": points, "other": some}),
        "date_ranges": (
            items.date_ranges,
            {"start": "2020-01-01", "end": "2020-03-01", "freq": "MS"},
        ),
        "from_features": (items.from_features, {"features": known}),
        "grid": (items.grid, {"region": fields, "cell_size": 90, "crs": "utm"}),
        "points_on_grid": (items.points_on_grid, {"region": fields, "spacing": 90, "crs": "utm"}),
        "image_ids": (items.image_ids, {"collection": series}),
        "image_ids_near": (
            items.image_ids,
            {"collection": series, "near": points, "dates": ("2016-01-01", "2017-01-01")},
        ),
        "random_points": (items.random_points, {"regions": fields, "n": 3}),
        "read": (items.read, {"path": path}),
        "stratified_sample": (
            items.stratified_sample,
            {"image": scene.gt(9), "class_band": "R", "region": fields, "scale": 5, "n": 2},
        ),
        "split": (items.split, {"items": points, "cell_size": 1000}),
        "open_result": (eedask.open_result, {"path": tmp_path / "nothing"}),
    }


def refusals(function, given):
    """Call a function with each of the values for each argument; return those that are refused.

    An error that is not eedask's own fails the test, with the argument and the value.
    """
    refused = []
    for name in inspect.signature(function).parameters:
        for value in OTHERS:
            try:
                function(**{**given, name: value})
            except EedaskError as error:
                refused.append((name, str(error)))
            except Exception as error:
                raise AssertionError(f"{name}={value!r}: {type(error).__name__}") from error
    return refused


@pytest.mark.parametrize("name", NAMES)
def test_a_value_of_another_kind_is_used_or_refused(calls, name):
    function, given = calls[name]
    refused = refusals(function, given)
    for argument in inspect.signature(function).parameters:
        messages = [message for name, message in refused if name == argument]
        assert all(messages)
        # No argument of these functions takes more than a handful of such values.
        assert len(messages) > 0.6 * len(OTHERS), f"{argument} takes nearly everything"


def test_what_results_are_asked_with_is_used_or_refused(calls, threads, tmp_path, monkeypatch):
    # Some values are names of folders to write to.
    monkeypatch.chdir(tmp_path)
    chips, given = calls["chips"]
    result = chips(**given | {"format": "npy", "out": tmp_path / "chips"}).run(progress=False)
    series, given = calls["time_series"]
    table = series(**given | {"out": tmp_path / "table"}).run(progress=False)
    asked = [
        (result.open, {"item_id": "p00"}),
        (result.to_xarray, {}),
        (result.contact_sheet, {"n": 1}),
        (result.plot, {}),
        (table.plot, {}),
        (table.table, {}),
        (table.to_csv_per_item, {"folder": tmp_path / "csv"}),
    ]
    for function, given in asked:
        assert refusals(function, given)


def test_flags_are_true_or_false(calls, threads, tmp_path):
    told = dict.fromkeys(FLAGS, 0)
    chips, given = calls["chips"]
    plan = chips(**given)
    plan.run(progress=False)
    result = eedask.open_result(given["out"])
    asked = [*calls.values(), (plan.run, {}), (result.to_xarray, {})]
    asked += [(result.to_csv_per_item, {"folder": tmp_path / "csv"})]
    for function, given in asked:
        for name in FLAGS & {*inspect.signature(function).parameters}:
            with pytest.raises(InputError, match=f"{name} is True or False; got 'no'"):
                function(**{**given, name: "no"})
            told[name] += 1
    assert all(told.values())
    # Nothing was removed or fetched again.
    assert (result.manifest["attempts"] == 1).all()


@pytest.mark.parametrize("tag", ["Tag", "-a", "a_", "a" * 64, "ä", ""])
def test_workload_tags_are_those_that_the_client_takes(calls, tag):
    chips, given = calls["chips"]
    with pytest.raises(InputError, match=f"workload_tag .*; got {re.escape(repr(tag))}"):
        chips(**given, workload_tag=tag)
    if tag:
        with pytest.raises(ValueError, match="Tags must be"):
            ee.data.setWorkloadTag(tag)


def test_names_may_come_from_a_frame(calls, threads):
    chips, given = calls["chips"]
    names = pd.Index(["R", "G"])
    asked = {"bands": names, "properties": names, "format": "npy"}
    assert list(chips(**given, **asked).run(progress=False).bands) == ["R", "G"]


def test_a_run_ends_at_a_time_of_pandas(calls, threads):
    chips, given = calls["chips"]
    until = pd.Timestamp.now() + pd.Timedelta("1h")
    assert chips(**given).run(progress=False, until=until, max_items=np.int64(2)).failed.empty

"""Regions: one row for every item, equal to independent tools, whatever goes wrong on the way."""

import json
import re
import time
from pathlib import Path

import ee
import geopandas as gpd
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.dataset as pds
import pyarrow.parquet as pq
import pytest
import rasterio
import shapely
from fields import fields, frame_of
from mounted import FIELD, SCENE
from zonal_oracle import Raster, unweighted, weighted

import eedask
from eedask.emulator import Emulator
from eedask.errors import DatasetError, InputError

# rasterstats multiplies transforms as newer releases of affine deprecate.
pytestmark = [
    pytest.mark.usefixtures("threads"),
    pytest.mark.filterwarnings("ignore::PendingDeprecationWarning"),
]
PATIENT = eedask.RetryPolicy(tries=30, delay=0.02, max_delay=0.1, jitter=(0.0, 0.02))


def table(items, image, reducer, out, **more):
    return eedask.reduce_regions(items, image, reducer, out=out, **more).run(progress=False)


def test_regions_equal_exactextract_and_rasterstats(earth_engine, rasters, tmp_path):
    items = fields(rasters.field)
    names = ["mean", "sum", "count", "min", "max"]
    got = table(items, ee.Image(FIELD), names, tmp_path / "out").table()
    assert got.index.equals(items.index)
    assert list(got.columns) == ["k", "geometry", *(f"b{b}_{n}" for b in (1, 2) for n in names)]
    with rasterio.open(rasters.field) as file:
        shapes = list(items.to_crs(file.crs).geometry)
    for band in (1, 2):
        raster = Raster.of(rasters.field, band)
        exact, plain = weighted(raster, shapes), unweighted(raster, shapes, ("count", "min", "max"))
        for k, (_, row) in enumerate(got.iterrows()):
            assert row[f"b{band}_count"] == plain[k]["count"]
            if plain[k]["count"]:
                assert row[f"b{band}_min"] == plain[k]["min"]
                assert row[f"b{band}_max"] == plain[k]["max"]
            if exact[k] is not None and np.isfinite(exact[k].mean_bound):
                bound = exact[k].mean_bound + 1e-5 * abs(exact[k].mean)
                assert abs(row[f"b{band}_mean"] - exact[k].mean) <= bound


def test_unweighted_sums_equal_rasterstats(earth_engine, rasters, tmp_path):
    items = fields(rasters.scene, seed=2)
    image = ee.Image(SCENE).select("R")
    result = table(items, image, ["sum", "mean", "max"], tmp_path / "out", weighted=False)
    got = result.table()
    with rasterio.open(rasters.scene) as file:
        shapes = list(items.to_crs(file.crs).geometry)
    plain = pd.DataFrame(unweighted(Raster.of(rasters.scene), shapes), index=items.index)
    some = plain["count"] > 0
    np.testing.assert_allclose(got["R_sum"][some], plain["sum"][some])
    np.testing.assert_allclose(got["R_mean"][some], plain["mean"][some])
    assert got["R_max"].dtype == pd.Int64Dtype()
    assert (got["R_max"][some] == plain["max"][some]).all()


@pytest.mark.slow
@pytest.mark.parametrize("suffix", ["parquet", "geojson"])
def test_regions_by_id_move_no_geometry(rasters, tmp_path, sent, suffix):
    items = fields(rasters.field, 12)
    file = tmp_path / f"fields.{suffix}"
    named = items.reset_index(names="name")
    named.to_parquet(file) if suffix == "parquet" else named.to_file(file, driver="GeoJSON")
    mounts = {FIELD: rasters.field, "projects/p/assets/fields": file}
    with Emulator(mounts=mounts, processes=1) as running, running.initialized():
        asset = ee.FeatureCollection("projects/p/assets/fields")
        ids = pd.DataFrame({"name": items.index, "when": pd.Timestamp("2020")}, index=items.index)

        def region(item):
            return asset.filter(ee.Filter.eq("name", item["name"]))

        by_id = table(ids, ee.Image(FIELD), "mean", tmp_path / "ids", region=region).table()
        assert sent
        assert not any("coordinates" in body or "2020" in body for body in sent)
        inline = table(items, ee.Image(FIELD), "mean", tmp_path / "inline").table()
        for band in ("b1", "b2"):
            np.testing.assert_allclose(by_id[band], inline[band], rtol=1e-6)


def test_columns_that_earth_engine_cannot_take_never_reach_it(
    earth_engine, rasters, tmp_path, sent
):
    items = fields(rasters.field, 5)
    # Not in seconds, which older releases of pandas make of it and Parquet has not.
    items["when"] = pd.Timestamp("2020-01-01", tz="UTC").as_unit("us")
    items["gap"] = np.nan
    items["many"], items["secret"] = [[1, 2]] * 5, "not for others"
    items.geometry = shapely.force_3d(items.geometry.values, z=7777.5)
    got = table(items, ee.Image(FIELD), "mean", tmp_path / "out").table()
    assert not any(text in body for body in sent for text in ("secret", "not for", "gap", "7777"))
    assert got["when"].equals(items["when"])
    assert got["b1"].notna().any()


@pytest.mark.parametrize("ids", [list("dacb"), [7, 3, 11, 5]])
def test_parts_are_typed_alike_and_read_as_they_are(earth_engine, rasters, tmp_path, ids):
    """A part whose values are all null has the types of the others."""
    inside = fields(rasters.scene, 2).geometry
    shapes = [*inside, *shapely.box([10, 11], 10, [10.001, 11.001], 10.001)]
    items = gpd.GeoDataFrame(geometry=shapes, index=ids, crs="EPSG:4326")
    out = tmp_path / "out"
    result = table(items, ee.Image(SCENE), ["max", "mean"], out, partition_size=2)
    assert (result.manifest["status"] == "ok").all()
    got = result.table()
    assert got.index.tolist() == ids
    assert got["R_max"].isna().tolist() == [False, False, True, True]
    parts = sorted((out / "table").glob("part-*.parquet"))
    assert len(parts) == 2
    schemas = [pq.read_schema(part) for part in parts]
    assert schemas[0] == schemas[1]
    assert schemas[0].field("R_max").type == pa.int64()
    assert schemas[0].field("id").type == (pa.int64() if ids[0] == 7 else pa.string())
    assert pds.dataset(parts).to_table().num_rows == 4


def test_a_dask_dataframe_keeps_whole_numbers(earth_engine, rasters, tmp_path):
    inside = fields(rasters.scene, 2).geometry
    shapes = [*inside, *shapely.box([10, 11], 10, [10.001, 11.001], 10.001)]
    items = gpd.GeoDataFrame(geometry=shapes, crs="EPSG:4326")
    result = table(items, ee.Image(SCENE), "max", tmp_path / "out", partition_size=2)
    lazy = result.dataframe()
    assert lazy["R"].dtype == pd.Int64Dtype()
    computed = lazy.compute().sort_index()
    assert computed["R"].dtype == pd.Int64Dtype()
    assert computed["R"].equals(result.table()["R"].rename_axis("id"))


def test_a_run_that_is_done_asks_nothing_of_its_items_again(earth_engine, rasters, tmp_path, sent):
    items, out = fields(rasters.field, 20), tmp_path / "out"
    whole = table(items, ee.Image(FIELD), "mean", out, partition_size=5).table()
    (out / "manifest" / "part-00002.parquet").unlink()
    sent.clear()
    again = table(items, ee.Image(FIELD), "mean", out, partition_size=5).table()
    pd.testing.assert_frame_equal(again, whole)
    # One of what the image is, and one of the part's five items.
    assert len(sent) == 2


def test_another_image_is_refused(earth_engine, rasters, tmp_path):
    items = fields(rasters.field, 3)
    table(items, ee.Image(FIELD), "mean", tmp_path / "out")
    with pytest.raises(DatasetError, match="image: not the same as there"):
        table(items, ee.Image(FIELD).add(1), "mean", tmp_path / "out")
    other = eedask.reduce_regions(items, ee.Image(FIELD).add(1), "mean", out=tmp_path / "out")
    assert other.run(progress=False, overwrite=True).failed.empty


def test_a_report_shortens_what_only_tells_plans_apart(earth_engine, rasters, tmp_path):
    result = table(fields(rasters.field, 3), ee.Image(FIELD), "mean", tmp_path / "out")
    digest = json.loads((tmp_path / "out" / "plan.json").read_text())["asked"]["reducer_expression"]
    page = Path(result.report()).read_text()
    assert f"SHA-256 {digest[:12]}…" in page
    assert digest not in page


def test_one_items_own_error_is_its_alone(earth_engine, rasters, tmp_path, sent):
    items = fields(rasters.field, 64)
    items["asset"] = FIELD
    items.loc["f040", "asset"] = "projects/eedask-tests/assets/none"
    result = table(items, lambda item: ee.Image(item["asset"]), "mean", tmp_path / "out")
    assert list(result.failed.index) == ["f040"]
    assert "none" in result.failed["error"].iloc[0]
    # Halving to one of 64 takes 6 steps of two requests.
    assert len(sent) <= 2 + 1 + 2 * 6


def test_one_items_failing_function_is_its_alone(earth_engine, rasters, tmp_path):
    items = fields(rasters.field, 30)
    items["size"] = 100.0
    items.loc["f011", "size"] = np.nan

    def region(item):
        return ee.Geometry.Point([-99, 42.4]).buffer(float(item["size"]))

    result = table(items, ee.Image(FIELD), "mean", tmp_path / "out", region=region)
    assert list(result.failed.index) == ["f011"]
    assert "float()" in result.failed["error"].iloc[0]


@pytest.mark.slow
def test_faults_are_ridden_out(rasters, tmp_path):
    items = fields(rasters.field, 60)
    faults = "429=0.15,500=0.15,truncated=0.05,wrong_bytes=0.1"
    mounts = {FIELD: rasters.field}
    with Emulator(mounts=mounts, processes=1, seed=4) as running, running.initialized():
        calm = table(items, ee.Image(FIELD), "mean", tmp_path / "calm").table()
        running.set_faults(faults)
        options = {"partition_size": 10, "batch_size": 3, "retry": PATIENT}
        result = table(items, ee.Image(FIELD), "mean", tmp_path / "out", **options)
        assert sum(running.stats()["faults"].values()) > 3
    assert result.failed.empty
    pd.testing.assert_frame_equal(result.table(), calm)


# Bad input.


BOWTIE = shapely.Polygon([(0, 0), (1, 1), (1, 0), (0, 1)])


def near(path, shape):
    """Return a shape of unit size as one of 300 m in a raster, in degrees."""
    with rasterio.open(path) as file:
        x, y = file.transform @ (20, 20)
        frame = gpd.GeoSeries([shape], crs=file.crs)
    placed = shapely.transform(frame.array, lambda xy: xy * [300.0, 300.0] + [x, y - 300])
    return gpd.GeoSeries(placed, crs=frame.crs).to_crs("EPSG:4326").iloc[0]


def test_items_without_geometry_fail_alone(earth_engine, rasters, tmp_path):
    good = near(rasters.field, shapely.box(0, 0, 1, 1))
    result = table(frame_of(good, None, shapely.Polygon()), ee.Image(FIELD), "mean", tmp_path / "o")
    assert result.failed.index.tolist() == [1, 2]
    assert result.failed["error"].str.contains("no geometry").all()
    assert result.table()["b1"].notna().tolist() == [True, False, False]


def test_self_intersections_fail_or_are_repaired_as_asked(earth_engine, rasters, tmp_path):
    items = frame_of(near(rasters.field, BOWTIE), near(rasters.field, shapely.box(0, 0, 1, 1)))
    failed = table(items, ee.Image(FIELD), "count", tmp_path / "fail").failed
    assert failed.index.tolist() == [0]
    assert "invalid='repair'" in failed["error"].iloc[0]
    got = table(items, ee.Image(FIELD), "count", tmp_path / "repair", invalid="repair").table()
    # Two triangles of a quarter each.
    assert got["b1"][0] == pytest.approx(got["b1"][1] / 2, rel=0.15)


def test_a_region_smaller_than_a_pixel_counts_that_pixel(earth_engine, rasters, tmp_path):
    dot = near(rasters.field, shapely.box(0.51, 0.51, 0.53, 0.53))
    got = table(frame_of(dot), ee.Image(FIELD), "mean", tmp_path / "out").table()
    with rasterio.open(rasters.field) as file:
        at = gpd.GeoSeries([dot], crs="EPSG:4326").to_crs(file.crs).iloc[0].centroid
        ((value, _),) = file.sample([(at.x, at.y)])
    assert got["b1"][0] == pytest.approx(float(value), rel=1e-6)


def ragged(count):
    """Return a circle's outline of so many vertices, at random and a little off it."""
    rng = np.random.default_rng(7)
    angle = np.sort(rng.uniform(0, 2 * np.pi, count))
    reach = 0.4 + rng.uniform(0, 1e-6, count)
    return shapely.Polygon(
        np.column_stack([0.5 + reach * np.cos(angle), 0.5 + reach * np.sin(angle)])
    )


@pytest.mark.slow
@pytest.mark.parametrize("verb", ["reduce_regions", "time_series"])
def test_a_request_that_is_too_long_says_what_to_do(earth_engine, rasters, tmp_path, verb):
    vertices = 260_000
    square = near(rasters.field, shapely.box(0, 0, 1, 1))
    items = frame_of(near(rasters.field, ragged(vertices)), square)
    image = ee.Image(FIELD)
    what = ee.ImageCollection([image]) if verb == "time_series" else image
    before, started = earth_engine.stats()["requests"], time.monotonic()
    plan = getattr(eedask, verb)(items, what, "count", out=tmp_path / "long")
    result = plan.run(progress=False)
    assert time.monotonic() - started < 60
    assert result.failed.index.tolist() == [0]
    (words,) = result.failed["error"]
    size = re.match(r"the request has ([0-9.]+) MB; Earth Engine takes 10\.5 MB at most;", words)
    assert float(size[1]) == pytest.approx(42 * vertices / 1e6, rel=0.05)
    assert f" {vertices + 1:,} vertices" in words
    assert "simplify=" in words
    assert "region=" in words
    asked = earth_engine.stats()["requests"] - before
    assert asked == (3 if verb == "time_series" else 2), "of the image, and of the other item"
    assert result.table()["b1"][1] > 50
    simple = getattr(eedask, verb)(items, what, "count", out=tmp_path / "simple", simplify=1.0).run(
        progress=False
    )
    assert simple.failed.empty
    assert simple.table()["b1"][0] == pytest.approx(np.pi * 0.16 * 100, abs=6)


@pytest.mark.slow
def test_an_outline_of_a_million_vertices_that_crosses_itself_is_repaired(
    earth_engine, rasters, tmp_path
):
    xy = shapely.get_coordinates(ragged(1_000_000))
    # Every hundredth vertex is taken before the one that it follows.
    at = np.arange(50, len(xy) - 1, 100)
    xy[at], xy[at + 1] = xy[at + 1], xy[at].copy()
    items = frame_of(
        near(rasters.field, shapely.Polygon(xy)), near(rasters.field, shapely.box(0, 0, 1, 1))
    )
    more = {"simplify": 1.0, "invalid": "repair"}
    result = table(items, ee.Image(FIELD), "count", tmp_path / "out", **more)
    assert result.failed.empty
    assert result.table()["b1"][0] == pytest.approx(np.pi * 0.16 * 100, abs=6)


def test_a_region_across_the_antimeridian_is_one(earth_engine, tmp_path):
    image = ee.Image.pixelLonLat().select("longitude")
    beyond, split = (
        shapely.box(179, 10, 181, 11),
        shapely.MultiPolygon([shapely.box(179, 10, 180, 11), shapely.box(-180, 10, -179, 11)]),
    )
    items = frame_of(beyond, split)
    more = {"scale": 10_000, "crs": "EPSG:4326"}
    got = table(items, image, ["count", "min", "max"], tmp_path / "out", **more).table()
    assert got.iloc[0, 1:].tolist() == got.iloc[1, 1:].tolist()
    assert got["longitude_min"][0] < -179
    assert got["longitude_max"][0] > 179


def test_mixed_kinds_of_geometry_share_a_table(earth_engine, rasters, tmp_path):
    square = near(rasters.field, shapely.box(0, 0, 1, 1))
    both = shapely.GeometryCollection([square, shapely.Point(square.exterior.coords[0])])
    shapes = [square, square.centroid, square.exterior, shapely.MultiPolygon([square]), both]
    result = table(frame_of(*shapes), ee.Image(FIELD), "count", tmp_path / "out")
    assert result.failed.empty
    counts = result.table()["b1"]
    assert counts[1] == 1
    assert counts[0] == counts[3] > 50


def test_another_crs_is_reprojected_and_said(earth_engine, rasters, tmp_path):
    items = fields(rasters.field, 6)
    other = items.to_crs("EPSG:3857")
    plan = eedask.reduce_regions(other, ee.Image(FIELD), "mean", out=tmp_path / "other")
    assert "EPSG:3857" in " ".join(plan.notes)
    assert "note: the items are in EPSG:3857" in repr(plan)
    got = plan.run(progress=False).table()
    wanted = table(items, ee.Image(FIELD), "mean", tmp_path / "own").table()
    np.testing.assert_allclose(got["b1"], wanted["b1"], rtol=1e-6)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"scale": 0}, "positive number of metres"),
        ({"scale": float("inf")}, "positive number of metres"),
        ({"crs": "utm"}, "needs a scale"),
        ({"tile_scale": 32}, "tile_scale is a number from 1 to 16; got 32"),
        ({"tile_scale": "four"}, "tile_scale is a number from 1 to 16; got 'four'"),
        ({"simplify": -1}, "simplify is a positive number of metres; got -1"),
        ({"simplify": "10"}, "simplify is a positive number of metres; got '10'"),
        ({"invalid": "ignore"}, "choose one of fail, repair"),
        ({"batch_size": 0}, "batch_size"),
        ({"crs": "utm", "scale": 10, "region": lambda item: item.geometry}, "state a crs"),
    ],
)
def test_what_cannot_work_is_refused_before_anything_is_sent(
    earth_engine, rasters, tmp_path, sent, options, words
):
    with pytest.raises(InputError, match=words):
        table(fields(rasters.field, 2), ee.Image(FIELD), "mean", tmp_path / "out", **options)
    assert not sent


@pytest.mark.parametrize("bands", [["R"], ["R", "G"]])
def test_own_reducers_give_columns_of_their_kind(earth_engine, rasters, tmp_path, bands):
    items = fields(rasters.scene, 6)
    image = ee.Image(SCENE).select(bands)
    got = table(items, image, ee.Reducer.toList(), tmp_path / "list").table()
    counts = table(items, image, "count", tmp_path / "count").table()
    assert list(got.columns[2:]) == bands
    for band in bands:
        lengths = [0 if values is None else len(values) for values in got[band]]
        assert lengths == counts[band].tolist()
    by_value = table(items, image, ee.Reducer.frequencyHistogram(), tmp_path / "h", weighted=False)
    assert list(by_value.table().columns[2:]) == bands
    total = [sum(n for _, n in pairs or ()) for pairs in by_value.table()[bands[0]]]
    plain = table(items, image, "sum", tmp_path / "n", weighted=False).table()
    weighed = [sum(float(v) * n for v, n in p or ()) for p in by_value.table()[bands[0]]]
    np.testing.assert_allclose(weighed, plain[bands[0]].fillna(0).astype(float))
    assert sum(total) > 0


@pytest.mark.parametrize("crs", ["EPSG:32614", "utm"])
def test_weights_of_pixels_add_up_to_the_area(earth_engine, rasters, tmp_path, crs):
    items = fields(rasters.field, 5)
    ones = ee.Image.constant(1)
    got = table(items, ones, "sum", tmp_path / "out", scale=30, crs=crs).table()
    areas = items.to_crs("EPSG:32614").area / 900
    np.testing.assert_allclose(got["constant"], areas, rtol=0.05)

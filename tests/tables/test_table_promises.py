"""What tables promise beyond their numbers: rows, kinds, names and requests in odd cases."""

import datetime
import logging
from pathlib import Path

import ee
import geopandas as gpd
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import rasterio
import shapely
from fields import fields
from mounted import FIELD, SCENE, SERIES
from places import points_in

import eedask
from eedask.dataset.folder import Folder
from eedask.errors import DatasetError, ItemsError
from eedask.tables import series_query, series_task
from eedask.tables.batch_sizes import BatchSizes

pytestmark = pytest.mark.usefixtures("threads")

YEARS = pd.to_datetime(["2016-01-01", "2016-01-01", "2017-01-01"], utc=True)


def timed(*times):
    """Return the mounted series with these times, in the order of its names; None for none."""
    stamps = [None if t is None else t.timestamp() * 1000 for t in times]

    def image(k):
        found = ee.Image(f"{SERIES}/NDVI_2016_{(1, 17, 33)[k]:03d}")
        return found.set("system:time_start", stamps[k])

    return ee.ImageCollection([image(k) for k in range(3)])


def square(path, side=400):
    """Return a square in the middle of a raster."""
    with rasterio.open(path) as file:
        left, bottom, right, top = file.bounds
        crs = file.crs
    x, y = (left + right) / 2, (bottom + top) / 2
    return gpd.GeoDataFrame(geometry=[shapely.box(x, y, x + side, y + side)], crs=crs)


# Time series.


@pytest.mark.parametrize("times", [YEARS, (YEARS[0], None, YEARS[2]), (None, YEARS[0], YEARS[2])])
def test_spans_of_time_hold_every_image_once(
    earth_engine, rasters, tmp_path, monkeypatch, sent, times
):
    """Also images of one time, which no span parts, and such as have none."""
    item = square(next(rasters.series.iterdir()))
    plan = {"items": item, "collection": timed(*times), "reducer": "mean"}
    whole = eedask.time_series(**plan, out=tmp_path / "one").run(progress=False).table()
    assert len(whole) == 3
    sent.clear()
    for module in (series_query, series_task):
        monkeypatch.setattr(module, "MOST_FEATURES", 1)
    parts = eedask.time_series(**plan, out=tmp_path / "many").run(progress=False)
    assert sum("dateRangeContains" in body for body in sent) == 2
    pd.testing.assert_frame_equal(parts.table(), whole)
    assert whole["time"].isna().sum() == sum(time is None for time in times)
    assert whole["image"].nunique() == 3


def test_all_dates_are_there_where_everything_is_masked(earth_engine, rasters, tmp_path):
    item = square(next(rasters.series.iterdir()))
    masked = timed(*YEARS).map(lambda image: image.updateMask(0))
    for reducer, values in (("mean", [None] * 3), ("count", [0, 0, 0])):
        plan = eedask.time_series(item, masked, reducer, out=tmp_path / reducer)
        table = plan.run(progress=False).table()
        assert table["time"].tolist() == list(YEARS)
        # Earth Engine counts nothing as 0, or leaves it out.
        found = table["b1"].astype(object).where(table["b1"].notna(), None).tolist()
        assert found in (values, [None] * 3)


@pytest.mark.parametrize(
    ("freq", "composite", "days"),
    [("8D", "median", [0, 8, 16]), ("12D", "sum", [0, 12]), ("YS", "count", [0])],
)
def test_composites_of_any_span(earth_engine, rasters, tmp_path, freq, composite, days):
    start = pd.Timestamp("2016-01-01", tz="UTC")
    laid = [start, start + pd.Timedelta(days=10), start + pd.Timedelta(days=20)]
    paths = sorted(rasters.series.glob("*.tif"))
    item = square(paths[0], 100)
    plan = eedask.time_series(
        item,
        timed(*laid),
        "mean",
        out=tmp_path / "out",
        crs="EPSG:32614",
        scale=250,
        freq=freq,
        start=start,
        end=start + pd.Timedelta(days=24),
        composite=composite,
    )
    table = plan.run(progress=False).table()
    begins = [start + pd.Timedelta(days=day) for day in days]
    assert table["time"].tolist() == begins
    x, y = item.geometry.iloc[0].centroid.coords[0]
    each = []
    for path in paths:
        with rasterio.open(path) as file:
            each.append(float(next(file.sample([(x, y)]))[0]))
    ends = [*begins[1:], start + pd.Timedelta(days=366)]
    pick = {"median": np.median, "sum": np.sum, "count": len}[composite]
    for found, begin, end in zip(table["b1"], begins, ends, strict=True):
        held = [v for v, time in zip(each, laid, strict=True) if begin <= time < end]
        # The count of none may be 0 or null.
        assert found == pytest.approx(pick(held)) if held else (pd.isna(found) or found == 0)


def test_an_empty_series_is_a_file_of_its_head_alone(earth_engine, rasters, tmp_path):
    path = next(rasters.series.iterdir())
    items = pd.concat([square(path), square(path)], ignore_index=True).assign(year=[2016, 1999])

    def of_year(item):
        first = ee.Date.fromYMD(item["year"], 1, 1)
        return timed(*YEARS).filterDate(first, first.advance(1, "year"))

    result = eedask.time_series(items, of_year, "mean", out=tmp_path / "o").run(progress=False)
    assert result.failed.empty
    files = result.to_csv_per_item(tmp_path / "csv")
    assert [Path(file).name for file in files] == ["0.csv", "1.csv"]
    lines = [(tmp_path / "csv" / f"{k}.csv").read_text().splitlines() for k in (0, 1)]
    assert [len(found) for found in lines] == [3, 1]
    assert lines[0][0] == lines[1][0] == "image,time,b1"


def test_a_series_of_points_is_what_rasterio_reads(earth_engine, rasters, tmp_path):
    paths = sorted(rasters.series.glob("*.tif"))
    with rasterio.open(paths[0]) as file:
        xy = [file.transform @ at for at in ((3.5, 4.5), (70.2, 50.9), (900, 900))]
        crs = file.crs
    items = gpd.GeoDataFrame(geometry=shapely.points(xy), index=list("cab"), crs=crs)
    plan = eedask.time_series(items, timed(*YEARS), "mean", out=tmp_path / "out")
    found = plan.run(progress=False).table()
    wanted = []
    for path in paths:
        with rasterio.open(path) as file:
            wanted.append([float(value[0]) for value in file.sample(xy[:2])])
    assert found.index.tolist() == [*"cccaaabbb"]
    values = found["b1"].to_numpy().reshape(3, 3)
    np.testing.assert_array_equal(values[:2], np.transpose(wanted))
    assert np.isnan(values[2]).all()


# Points.


def test_dense_points_share_requests_by_hundreds(earth_engine, rasters, tmp_path):
    items = gpd.GeoDataFrame(geometry=points_in(rasters.scene, 3000, seed=4))
    before = earth_engine.stats()["requests"]
    result = eedask.sample_points(items, ee.Image(SCENE), out=tmp_path / "o").run(progress=False)
    assert 3000 / (earth_engine.stats()["requests"] - before - 1) >= 200
    assert result.table().index.equals(items.index)
    assert result.table()["R"].notna().mean() > 0.99


# Regions.


def test_how_often_files_are_read_does_not_depend_on_the_number_of_items(
    earth_engine, rasters, tmp_path, monkeypatch
):
    read, plain = [], Folder.read
    monkeypatch.setattr(
        Folder, "read", lambda folder, name: read.append(name) or plain(folder, name)
    )

    def reads(count):
        read.clear()
        items = gpd.GeoDataFrame(geometry=points_in(rasters.scene, count, seed=8))
        plan = eedask.sample_points(
            items.to_crs("EPSG:4326"),
            ee.Image(SCENE),
            out=tmp_path / str(count),
            by="points",
            scale=5,
            partition_size=300,
        )
        plan.run(progress=False)
        return len(read)

    assert reads(300) <= reads(20) + 5


def test_regions_of_every_kind_and_of_nothing(earth_engine, rasters, tmp_path):
    items = fields(rasters.field, 6)
    plain = eedask.reduce_regions(items, ee.Image(FIELD), "mean", out=tmp_path / "plain")
    wanted = plain.run(progress=False).table()
    kinds = {
        "geometry": lambda item: item.geometry,
        "feature": lambda item: ee.Feature(item.geometry, {"b1": 7}),
        "table": lambda item: ee.FeatureCollection([ee.Feature(item.geometry)]),
    }
    for name, region in kinds.items():
        plan = eedask.reduce_regions(
            items, ee.Image(FIELD), "mean", out=tmp_path / name, region=region
        )
        got = plan.run(progress=False).table()
        np.testing.assert_allclose(got["b1"], wanted["b1"], rtol=1e-6)
    none = ee.FeatureCollection([ee.Feature(ee.Geometry.Point([0, 0]), {"k": "x"})])
    plan = eedask.reduce_regions(
        items.drop(columns="geometry"),
        ee.Image(FIELD),
        "mean",
        out=tmp_path / "none",
        region=lambda item: none.filter(ee.Filter.eq("k", item["k"])),
    )
    result = plan.run(progress=False)
    assert len(result.table()) == 6
    assert result.table()["b1"].isna().all()


@pytest.mark.slow
def test_batches_that_are_too_long_are_halved_without_a_request(earth_engine, tmp_path):
    """By their bytes, which are known before anything is sent."""
    items = pd.DataFrame({"text": [chr(97 + k) * (2_400_000 + k) for k in range(16)]})
    before = earth_engine.stats()
    result = eedask.compute(
        items, lambda item: ee.String(item["text"]).length(), out=tmp_path / "out"
    ).run(progress=False)
    after = earth_engine.stats()
    assert result.failed.empty
    assert result.table()["value"].tolist() == [2_400_000 + k for k in range(16)]
    assert after["by_status"].get("400", 0) == before["by_status"].get("400", 0)
    # Six to see what comes; four fit into a request.
    assert after["requests"] - before["requests"] <= 6 + 8


def test_what_finding_the_size_costs_is_logged(caplog):
    sizes, job = BatchSizes(250), object()
    with caplog.at_level(logging.INFO, logger="eedask"):
        sizes.too_large(job, sizes.admit(job, 250), "item 5 and 249 more")
    assert caplog.messages == [
        "item 5 and 249 more: too large; 1 requests so far went on finding the size"
    ]


# Kinds.


def test_parts_of_nothing_but_nulls_have_the_kinds_of_the_others(earth_engine, tmp_path):
    items = pd.DataFrame({"n": range(12)})

    def function(item):
        n = ee.Number(item["n"])
        full = ee.Dictionary(
            {
                "word": ee.String("w").cat(n.format("%d")),
                "when": ee.Date(0).advance(n, "day"),
                "list": ee.List([n]),
                "flag": ee.List([True]).get(0),
            }
        )
        return ee.Dictionary(ee.Algorithms.If(n.lt(6), full, ee.Dictionary({})))

    schema = {"word": str, "when": datetime.datetime, "list": pa.list_(pa.int64())}
    for name, stated in (("inferred", None), ("stated", {**schema, "flag": bool})):
        plan = eedask.compute(items, function, out=tmp_path / name, schema=stated, partition_size=6)
        result = plan.run(progress=False)
        assert result.failed.empty
        parts = sorted((tmp_path / name / "table").glob("part-*.parquet"))
        kinds = [pq.read_schema(part) for part in parts]
        assert len(kinds) == 2
        assert kinds[0] == kinds[1]
        assert kinds[0].field("word").type == pa.string()
        assert kinds[0].field("when").type == pa.timestamp("ms", tz="UTC")
        table = result.table()
        assert table["word"].notna().tolist() == [True] * 6 + [False] * 6
        assert table["when"].iloc[3] == pd.Timestamp("1970-01-04", tz="UTC")


def test_columns_of_all_kinds_are_joined_back(earth_engine, rasters, tmp_path):
    items = fields(rasters.field, 4).assign(
        when=pd.date_range("2020", periods=4, tz="America/La_Paz"),
        gap=[1.5, np.nan, None, -np.inf],
        many=[[1, 2], [], None, [3]],
        kind=pd.Categorical(list("abca")),
        whole=pd.array([1, None, 3, 4], "Int64"),
        flag=pd.array([True, None, False, True], "boolean"),
        raw=[b"\x00", b"", None, b"x"],
        nested=[{"a": 1}, {"a": 2}, None, {"a": 3}],
        span=pd.to_timedelta([1, 2, None, 4], "h"),
        small=np.arange(4, dtype=np.uint8),
    )
    items.geometry = shapely.force_3d(items.geometry.values, z=[1.0, 2.0, 3.0, 4.0])
    plan = eedask.reduce_regions(items, ee.Image(FIELD), "mean", out=tmp_path / "out")
    table = plan.run(progress=False).table()
    opened = eedask.open_result(tmp_path / "out").table()
    pd.testing.assert_frame_equal(table, opened)
    for name in items.columns.drop(["geometry", "many", "nested"]):
        pd.testing.assert_series_equal(table[name], items[name], check_index_type=False)
    assert [None if v is None else list(v) for v in table["many"]] == items["many"].tolist()
    assert table["nested"].tolist() == items["nested"].tolist()
    assert shapely.get_z(shapely.get_point(table.geometry.exterior, 0)).tolist() == [1, 2, 3, 4]


def test_a_column_that_no_file_holds_is_named(earth_engine, rasters, tmp_path):
    def plan(**columns):
        items = fields(rasters.field, 3).assign(**columns)
        return eedask.reduce_regions(items, ee.Image(FIELD), "mean", out=tmp_path / "out")

    with pytest.raises(ItemsError, match=r"'mixed' cannot be kept .* are of several types"):
        plan(mixed=[1, "a", {2}])
    # Of one type, but one that only the writing of a file finds out about.
    with pytest.raises(ItemsError, match=r"'waves' cannot be kept in Parquet"):
        plan(waves=[1j, 2j, 3j])


@pytest.mark.parametrize("verb", ["reduce_regions", "time_series"])
def test_a_part_that_is_removed_as_told_is_fetched_anew(
    earth_engine, rasters, tmp_path, sent, verb
):
    items = fields(rasters.field, 60)
    what = {"reduce_regions": ee.Image(FIELD), "time_series": ee.ImageCollection(SERIES)}[verb]

    def run():
        """Return the result, and how many regions were sent for it."""
        sent.clear()
        options = {"out": tmp_path / "out", "partition_size": 20}
        result = getattr(eedask, verb)(items, what, "max", **options).run(progress=False)
        return result, sum(body.count("GeometryConstructors.Polygon") for body in sent)

    first, asked = run()
    assert asked == 60
    whole = first.table()
    parts = sorted(tmp_path.glob("out/table/part-*"))
    assert len(parts) == 3
    parts[1].write_bytes(b"rubbish")
    with pytest.raises(DatasetError, match=r"part-00001\.parquet is damaged.*run the same plan"):
        eedask.open_result(tmp_path / "out").table()
    parts[1].unlink()
    manifest = eedask.open_result(tmp_path / "out").manifest
    assert manifest["status"].isna().sum() == 20
    again, asked = run()
    assert asked == 20
    assert (again.manifest["status"] == "ok").all()
    assert again.table().equals(whole)

"""Time series: every image has its row for every item, and the numbers are those of rasterio."""

import csv
from pathlib import Path

import ee
import exactextract
import geopandas as gpd
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import rasterio
import shapely
from mounted import SERIES

import eedask
from eedask.errors import InputError

pytestmark = pytest.mark.usefixtures("threads")

DATES = pd.to_datetime(["2016-01-01", "2016-01-17", "2016-02-02"], utc=True)

MONTHS = {
    "crs": "EPSG:32614",
    "scale": 250,
    "freq": "MS",
    "start": "2016-01-01",
    "end": "2016-04-01",
    "composite": "max",
}


@pytest.fixture
def fields(rasters):
    """Three rectangles on the series' grid, one between its pixels, one outside of it."""
    with rasterio.open(next(rasters.series.iterdir())) as file:
        a, crs = file.transform, file.crs
    x, y = a.c, a.f
    shapes = [
        shapely.box(x + 1000, y - 3000, x + 3000, y - 1000),
        shapely.box(x + 5100, y - 6140, x + 7730, y - 4020),
        shapely.box(x - 9000, y + 1000, x - 8000, y + 2000),
    ]
    return gpd.GeoDataFrame({"owner": ["a", "b", "c"]}, geometry=shapes, crs=crs, index=[7, 3, 5])


def dated():
    """Return the mounted series with a time for each image, told by its name."""

    def with_time(image):
        days = ee.Number.parse(ee.String(image.get("system:index")).slice(-3))
        date = ee.Date("2016-01-01").advance(days.subtract(1), "day")
        return image.set("system:time_start", date.millis())

    return ee.ImageCollection(SERIES).map(with_time)


def expected(rasters, shapes, stat):
    """Return exactextract's values, shape (shapes, dates)."""
    files = sorted(rasters.series.glob("*.tif"))
    rows = [exactextract.exact_extract(str(f), shapes, stat, output="pandas") for f in files]
    return np.stack([row[stat].to_numpy(dtype=float) for row in rows], axis=1)


def test_each_region_has_every_date_and_the_numbers_of_exactextract(
    earth_engine, rasters, fields, tmp_path
):
    plan = eedask.time_series(fields, dated(), "mean", out=tmp_path / "out")
    result = plan.run(progress=False)
    assert (result.manifest["status"] == "ok").all()
    assert (result.manifest["attempts"] == 1).all()
    table = result.table()
    assert list(table.columns) == ["owner", "geometry", "image", "time", "b1"]
    assert table.index.tolist() == [7, 7, 7, 3, 3, 3, 5, 5, 5]
    assert list(table["time"]) == [*DATES] * 3
    assert list(table.loc[3, "image"]) == ["NDVI_2016_001", "NDVI_2016_017", "NDVI_2016_033"]
    values = table["b1"].to_numpy().reshape(3, 3)
    assert np.isnan(values[2]).all()
    # Fractions of pixels count in 8 bits; values range over 12,000.
    np.testing.assert_allclose(
        values[:2], expected(rasters, fields.iloc[:2], "mean"), atol=12_000 / 256 / 4
    )
    kinds = {
        f.name: str(f.type) for f in pq.read_schema(next((tmp_path / "out/table").glob("*.p*")))
    }
    assert kinds == {
        "id": "int64",
        "image": "string",
        "time": "timestamp[ms, tz=UTC]",
        "b1": "double",
    }


def test_one_csv_an_item(earth_engine, fields, tmp_path):
    plan = eedask.time_series(fields, dated(), ["min", "count"], out=tmp_path / "out")
    paths = plan.run(progress=False).to_csv_per_item(tmp_path / "csv")
    assert paths == [str(tmp_path / "csv" / name) for name in ("7.csv", "3.csv", "5.csv")]
    assert {str(path) for path in Path(tmp_path, "csv").iterdir()} == set(paths)
    with Path(paths[0]).open() as file:
        rows = list(csv.DictReader(file))
    assert [row["image"] for row in rows] == ["NDVI_2016_001", "NDVI_2016_017", "NDVI_2016_033"]
    assert all(row["b1_count"] == "64" for row in rows)


def test_images_without_a_time_have_their_rows_too(earth_engine, fields, tmp_path):
    bare = ee.ImageCollection(SERIES).map(lambda image: image.set("system:time_start", None))
    plan = eedask.time_series(fields.iloc[:1], bare, "max", out=tmp_path / "out")
    table = plan.run(progress=False).table()
    assert len(table) == 3
    assert table["time"].isna().all()


def test_composites_keep_spans_without_images(earth_engine, rasters, fields, tmp_path):
    plan = eedask.time_series(
        fields,
        dated(),
        "max",
        out=tmp_path / "out",
        **MONTHS,
    )
    table = plan.run(progress=False).table()
    assert list(table.loc[7, "image"]) == ["2016-01-01", "2016-02-01", "2016-03-01"]
    each = expected(rasters, fields.iloc[:1], "max")[0]
    assert table.loc[7, "b1"].tolist()[:2] == [max(each[:2]), each[2]]
    assert table.loc[7, "b1"].isna().tolist() == [False, False, True]


def test_an_item_without_any_image_has_its_spans_too(earth_engine, fields, tmp_path):
    # Of two bands: of no image, nobody knows how many there are.
    both = dated().map(lambda image: image.addBands(image.add(1).rename("more")))

    def of_item(item):
        none = ee.String(item["owner"]).equals("a")
        begins = ee.Date(ee.Algorithms.If(none, "1980-01-01", "2016-01-01"))
        return both.filterDate(begins, begins.advance(1, "year"))

    plan = eedask.time_series(fields, of_item, ["max", "count"], out=tmp_path / "out", **MONTHS)
    result = plan.run(progress=False)
    assert (result.manifest["status"] == "ok").all(), result.summary()
    table = result.table()
    assert list(table.loc[7, "image"]) == ["2016-01-01", "2016-02-01", "2016-03-01"]
    values = ["b1_max", "b1_count", "more_max", "more_count"]
    assert table.loc[7, values].isna().all(axis=None)
    assert table.loc[3, "b1_max"].isna().tolist() == [False, False, True]
    assert (table.loc[3, "more_max"] - table.loc[3, "b1_max"]).tolist()[:2] == [1, 1]
    assert table.loc[3, "more_count"].tolist()[2] == 0


def test_scenes_of_a_day_are_kept_or_mosaicked_as_asked(earth_engine, fields, tmp_path):
    def one_day(image):
        first = ee.String(image.get("system:index")).match("_0[01]1$|_017$").size().gt(0)
        day = ee.Date(ee.Algorithms.If(first, "2016-01-01T10:00", "2016-01-02T10:00"))
        return image.set("system:time_start", day.millis())

    scenes = ee.ImageCollection(SERIES).map(one_day)
    kept = eedask.time_series(fields.iloc[:1], scenes, "mean", out=tmp_path / "kept")
    table = kept.run(progress=False).table()
    assert table["time"].nunique() == 2
    assert table["image"].nunique() == len(table) == 3
    mosaics = eedask.time_series(
        fields.iloc[:1],
        scenes,
        "mean",
        out=tmp_path / "days",
        scale=250,
        crs="EPSG:32614",
        mosaic_by_day=True,
    )
    daily = mosaics.run(progress=False).table()
    assert daily["image"].tolist() == ["2016-01-01", "2016-01-02"]
    # The last scene of a day lies on top.
    assert daily["b1"].tolist() == table["b1"].tolist()[1:]


def test_a_collection_of_each_items_own(earth_engine, fields, tmp_path):
    items = fields.assign(after=["2016-01-01", "2016-01-10", "2017-01-01"])

    def recent(item):
        return dated().filterDate(ee.Date(item["after"]), "2018-01-01")

    plan = eedask.time_series(items, recent, "mean", out=tmp_path / "out")
    result = plan.run(progress=False)
    assert (result.manifest["status"] == "ok").all(), result.failed["error"].tolist()
    table = result.table()
    assert table.groupby(level=0, sort=False).size().tolist() == [3, 2, 1]
    assert pd.isna(table.loc[5, "image"])


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"freq": "8D"}, "needs start= and end="),
        ({"freq": "8 days!", "start": "2016", "end": "2017"}, "8 days!"),
        ({"freq": "MS", "start": "2016-01-02", "end": "2016-01-03"}, "no span"),
        ({"freq": "8D", "start": "2016", "end": "2015"}, "end is after start"),
        ({"freq": "8D", "start": "2016", "end": "soon"}, "end is a date such as .* got 'soon'"),
        ({"freq": "MS", "start": "2016", "end": "2017", "composite": "best"}, "best"),
        ({"freq": "MS", "mosaic_by_day": True}, "choose one"),
        ({"start": "2016"}, "filterDate"),
        ({"invalid": "mend"}, "mend"),
    ],
)
def test_what_cannot_be_is_said_before_anything_is_sent(
    earth_engine, fields, tmp_path, wrong, words
):
    with pytest.raises(InputError, match=words):
        eedask.time_series(fields, dated(), "mean", out=tmp_path / "out", **wrong)


@pytest.mark.parametrize("more", [{}, MONTHS], ids=["images", "composites"])
def test_a_collection_without_images_is_refused_as_such(earth_engine, fields, tmp_path, more):
    nothing = dated().filterDate("1980", "1981")
    with pytest.raises(InputError, match="the collection has no images: look at its dates"):
        eedask.time_series(fields, nothing, "mean", out=tmp_path / "a", **more).run(progress=False)

    def of_item(item):
        return nothing.filterMetadata("owner", "equals", item["owner"])

    with pytest.raises(InputError, match=r"of any of the \d items .* has no images"):
        eedask.time_series(fields, of_item, "mean", out=tmp_path / "b", **more).run(progress=False)

"""Histograms and grouped reducers: a value for each class, as maps, columns or rows."""

import re

import ee
import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import rasterio
import shapely
from exactextract import exact_extract
from mounted import write
from rasterio.features import geometry_mask
from zonal_oracle import HALF_STEP, LEAST

import eedask
from eedask.emulator import Emulator
from eedask.errors import InputError
from eedask.tables.classes import grouped_columns
from eedask.tables.columns import fitted

pytestmark = pytest.mark.usefixtures("threads", "cover")

COVER = "projects/p/assets/cover"
CLASSES = [10, 20, 30, 80]
LEFT, TOP, PIXEL = 500_000, 4_700_000, 10


@pytest.fixture(scope="module")
def raster(tmp_path_factory):
    """Classes in patches, and heights; the classes have nodata in a corner."""
    rng = np.random.default_rng(3)
    classes = np.kron(rng.choice([10, 20, 30], (20, 20)), np.ones((5, 5))).astype(np.int16)
    classes[:10, :10], classes[60:, 60:] = 80, 0
    heights = rng.integers(1, 1000, (100, 100)).astype(np.int16)
    path = tmp_path_factory.mktemp("cover") / "cover.tif"
    transform = rasterio.Affine(PIXEL, 0, LEFT, 0, -PIXEL, TOP)
    bands = np.stack([classes, heights])
    write(path, bands, "EPSG:32614", transform, nodata=0, names=("Map", "height"))
    return path


@pytest.fixture(scope="module")
def cover(raster):
    with Emulator({COVER: raster}, processes=1) as running, running.initialized():
        yield


@pytest.fixture(scope="module")
def cells():
    """Four cells askew to the pixels: with class 80, without, half nodata, and nothing but it."""
    centres = np.array([[120, -120], [420, -430], [560, -600], [800, -800]]) + np.array([LEFT, TOP])
    shapes = [shapely.box(*(c - 97), *(c + 93)) for c in centres]
    return gpd.GeoDataFrame(geometry=shapes, crs="EPSG:32614").set_axis([*"abcd"], axis=0)


def inside(raster, cells):
    """Return the bands' values in the pixels whose centre is in each cell, and not nodata."""
    with rasterio.open(raster) as file:
        bands = file.read()
        masks = [
            geometry_mask([s], bands.shape[1:], file.transform, invert=True) for s in cells.geometry
        ]
    return [bands[:, mask & (bands[0] != 0)] for mask in masks]


def counts(raster, cells):
    """Return the pixels of each class in each cell, an array (cells, classes)."""
    found = inside(raster, cells)
    return np.array([[(values[0] == one).sum() for one in CLASSES] for values in found])


def run(cells, image, reducer, out, **more):
    result = eedask.reduce_regions(cells, image, reducer, out=out, **more).run(progress=False)
    assert result.failed.empty, result.failed["error"].tolist()
    return result


NAMES = [f"Map_{one}" for one in CLASSES]


@pytest.mark.parametrize("stated", [True, False])
def test_histograms_are_a_column_a_class(raster, cells, tmp_path, stated):
    image = ee.Image(COVER).select("Map")
    more = {"classes": CLASSES} if stated else {}
    result = run(cells, image, "frequencyHistogram", tmp_path, weighted=False, **more)
    table = result.table() if stated else result.table("wide")
    assert [*table.columns] == ["geometry", *NAMES]
    assert {kind.name for kind in table[NAMES].dtypes} == {"float64"}
    np.testing.assert_array_equal(table[NAMES].fillna(0), counts(raster, cells))
    # A class that a cell lacks is 0.
    assert table.loc["b", "Map_80"] == 0
    if stated:
        assert [*result.dataframe().columns] == NAMES


def test_pixels_at_the_edge_count_by_weight(raster, cells, tmp_path):
    image = ee.Image(COVER).select("Map")
    table = run(cells, image, ["frequencyHistogram", "count"], tmp_path, classes=CLASSES).table()
    assert [*table.columns[1:]] == [*(f"Map_histogram_{one}" for one in CLASSES), "Map_count"]
    answers = exact_extract(str(raster), cells, ["values", "coverage"], output="pandas")
    for id_, values, weights in zip(
        cells.index, answers["band_1_values"], answers["band_1_coverage"], strict=True
    ):
        for one in CLASSES:
            mine = weights[np.asarray(values) == one]
            bound = np.where(mine > 1 - 1e-5, 1e-5, np.where(mine < LEAST, LEAST, HALF_STEP)).sum()
            found = table.fillna(0.0).loc[id_, f"Map_histogram_{one}"]
            assert found == pytest.approx(mine.sum(), abs=bound + 1e-6)


def test_long_tables_have_a_row_an_item_and_class(raster, cells, tmp_path):
    items = cells.assign(name=["p", "q", "r", "s"])
    image = ee.Image(COVER).select("Map")
    long = run(items, image, "frequencyHistogram", tmp_path, weighted=False).table("long")
    assert [*long.columns] == ["geometry", "name", "class", "Map"]
    assert long["class"].dtype == "Int64"
    wanted = [
        (id_, one, float(n))
        for id_, of_cell in zip(cells.index, counts(raster, cells), strict=True)
        for one, n in zip(CLASSES, of_cell, strict=True)
        if n
    ]
    known = long.dropna(subset="class")
    assert [*zip(known.index, known["class"], known["Map"], strict=True)] == wanted
    # An item without any class keeps a row.
    assert [*long.index.unique()] == [*cells.index]
    assert long.loc["d", ["class", "Map"]].isna().all()


@pytest.mark.parametrize("stated", [True, False])
def test_grouped_reducers_are_a_column_a_group(raster, cells, tmp_path, stated):
    image = ee.Image(COVER).select(["height", "Map"])
    of_group = ee.Reducer.mean().combine(ee.Reducer.max(), sharedInputs=True)
    more = {"classes": CLASSES} if stated else {}
    result = run(cells, image, of_group.group(1, "Map"), tmp_path, weighted=False, **more)
    table = result.table() if stated else result.table("wide")
    for id_, (classes, heights) in zip(cells.index, inside(raster, cells), strict=True):
        for one in CLASSES:
            chosen = heights[classes == one]
            mean, most = table.loc[id_, [f"mean_{one}", f"max_{one}"]]
            if len(chosen):
                assert (mean, most) == (pytest.approx(chosen.mean()), chosen.max())
            else:
                assert pd.isna(mean)
                assert pd.isna(most)


def test_series_of_histograms_have_a_row_an_image_and_class(raster, cells, tmp_path):
    image = ee.Image(COVER).select("Map")
    times = [image.set("system:time_start", 86_400_000 * day) for day in (2, 1)]
    plan = eedask.time_series(
        cells.iloc[:2],
        ee.ImageCollection(times),
        "frequencyHistogram",
        out=tmp_path,
        weighted=False,
    )
    result = plan.run(progress=False)
    wide, long = result.table("wide"), result.table("long")
    assert [*wide["time"].dt.day] == [2, 3, 2, 3]
    wanted = np.repeat(counts(raster, cells)[:2], 2, axis=0)
    np.testing.assert_array_equal(wide[NAMES], wanted)
    np.testing.assert_array_equal(long["Map"], wanted[wanted > 0])


@pytest.mark.parametrize("value", [5, [[1, 2]], [{"other": 1}], [{"Map": 10, "mean": "x"}]])
def test_an_odd_answer_is_told_with_its_value(value):
    (column,) = grouped_columns(["mean"], "Map")
    with pytest.raises(InputError, match=rf"{re.escape(repr(value))} does not fit"):
        fitted([column], {"groups": value})


def test_a_class_that_is_not_stated_fails_its_items_alone(cells, tmp_path):
    image = ee.Image(COVER).select("Map")
    plan = eedask.reduce_regions(
        cells, image, "frequencyHistogram", out=tmp_path, classes=[10, 20, 30]
    )
    result = plan.run(progress=False)
    assert [*result.failed.index] == ["a"]
    assert (
        "'Map' has ['80'], for which there is no column: add it" in result.failed["error"].iloc[0]
    )


@pytest.mark.parametrize("classes", [[], 10, "10", [10, 10.0], {10: "tree"}])
def test_classes_are_a_list(cells, tmp_path, classes):
    with pytest.raises(InputError, match="classes is a list of the values"):
        eedask.reduce_regions(
            cells, ee.Image(COVER), "frequencyHistogram", out=tmp_path, classes=classes
        )


def test_tables_without_classes_have_one_layout(cells, tmp_path):
    image = ee.Image(COVER).select("height")
    with pytest.raises(InputError, match="classes= is for reducers that give a value for each"):
        run(cells, image, "mean", tmp_path / "a", classes=[1])
    result = run(cells, image, "mean", tmp_path / "b")
    with pytest.raises(InputError, match="layout='wide' is for tables with a value for each class"):
        result.table("wide")
    with pytest.raises(InputError, match="layout='broad' is not known"):
        result.table("broad")

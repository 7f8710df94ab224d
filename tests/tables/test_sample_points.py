"""Points: one row for every item in its order, equal to what rasterio reads."""

import ee
import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import rasterio
from mounted import FIELD, SCENE
from rasterio.transform import rowcol

import eedask
from eedask.errors import ItemsError

pytestmark = pytest.mark.usefixtures("threads")


def scattered(path, count=300):
    """Return points in and around a raster, in its crs, with columns that no request can hold."""
    with rasterio.open(path) as file:
        left, bottom, right, top = file.bounds
        crs = file.crs
    rng = np.random.default_rng(3)
    x, y = rng.uniform(left - 100, right + 100, count), rng.uniform(bottom - 100, top + 100, count)
    index = pd.Index([f"p{k}" for k in rng.permutation(count)], name="name")
    values = {"when": pd.Timestamp("2020-01-01"), "weight": np.nan, "many": [[1, 2]] * count}
    return gpd.GeoDataFrame(values, index=index, geometry=gpd.points_from_xy(x, y), crs=crs)


def read(path, points):
    """Return rasterio's values at points, shape (bands, points); NaN outside and where masked."""
    with rasterio.open(path) as file:
        # Some releases of rasterio give floats.
        at = np.asarray(rowcol(file.transform, points.geometry.x, points.geometry.y))
        rows, columns = at.astype(int)
        inside = (rows >= 0) & (rows < file.height) & (columns >= 0) & (columns < file.width)
        bands = file.read(masked=True).astype(float).filled(np.nan)
    found = np.full((len(bands), len(points)), np.nan)
    found[:, inside] = bands[:, rows[inside], columns[inside]]
    return found


@pytest.mark.parametrize(("asset", "name"), [(SCENE, "scene"), (FIELD, "field")])
def test_points_equal_rasterios_own_read(earth_engine, rasters, tmp_path, asset, name):
    path = getattr(rasters, name)
    points = scattered(path)
    before = earth_engine.stats()["requests"]
    result = eedask.sample_points(points, ee.Image(asset), out=tmp_path / "out").run(progress=False)
    assert (result.manifest["status"] == "ok").all()
    # The image's bands and grid, and at most a few for so few points.
    assert earth_engine.stats()["requests"] - before <= 1 + 5
    table = result.table()
    assert table.index.equals(points.index)
    assert list(table.columns[:4]) == ["when", "weight", "many", "geometry"]
    expected = read(path, points)
    values = table.iloc[:, 4:].to_numpy(dtype=float, na_value=np.nan).T
    np.testing.assert_array_equal(values, expected.astype(np.float32).astype(float))
    assert np.isnan(expected).any()
    assert not np.isnan(expected).all()


def test_points_at_one_place_have_a_row_each_and_masked_ones_nulls(earth_engine, rasters, tmp_path):
    with rasterio.open(rasters.field) as file:
        # The third lies where the raster has no data.
        x, y = np.transpose(
            [file.transform @ at for at in ((10.5, 7.5), (10.5, 7.5), (60.5, 50.5))]
        )
        crs, value = file.crs, file.read(1)[7, 10]
    points = gpd.GeoDataFrame(geometry=gpd.points_from_xy(x, y), index=[3, 1, 2], crs=crs)
    plan = eedask.sample_points(points, ee.Image(FIELD), out=tmp_path / "out")
    table = plan.run(progress=False).table()
    assert table.index.tolist() == [3, 1, 2]
    assert table["b1"].tolist()[:2] == [pytest.approx(float(value))] * 2
    assert pd.isna(table["b1"][2])


def test_only_points_are_taken(earth_engine, rasters, tmp_path):
    areas = scattered(rasters.field, 3).buffer(10)
    items = gpd.GeoDataFrame(geometry=areas)
    with pytest.raises(ItemsError, match=r"takes points; the items are Polygon.*reduce_regions"):
        eedask.sample_points(items, ee.Image(FIELD), out=tmp_path / "out")
    assert not (tmp_path / "out").exists()

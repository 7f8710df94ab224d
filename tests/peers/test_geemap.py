"""geemap: zonal statistics, values at points, arrays, exports.

What it needs: ``ee.Initialize(..., url=...)`` before it is used; its own ``ee_initialize`` leaves
a client that has credentials alone. Two of its functions take Google's high-volume endpoint by
themselves: ``ee_to_xarray`` unless told ``ee_initialize=False``, and the parallel download of
tiles unless told ``ee_init=False``.

Of its release 0.37.2: tables are written with the properties that the first feature has, so a
first feature on masked pixels loses the columns of all; ``ee_to_df`` without geometries fails
with pandas 3; and ``ee_to_xarray`` passes a ``scale`` that Xee takes no more, so it is not tested.
"""

import warnings

import ee
import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import rasterio
import rasterio.features
from exactextract import exact_extract
from grid import BANDS, CRS, SCENE, SERIES, SITES, TRANSFORM, ZONES, place

with warnings.catch_warnings():
    # The libraries of its maps' widgets warn of one another.
    warnings.simplefilter("ignore", DeprecationWarning)
    import geemap

ROW, COLUMN, HEIGHT, WIDTH = 52, 84, 30, 41


@pytest.fixture
def scene(earth_engine):
    return ee.Image(SCENE)


@pytest.fixture(scope="module")
def expected(files):
    with rasterio.open(files.scene) as source:
        return source.read(masked=True)


@pytest.fixture(scope="module")
def sites(files):
    return gpd.read_parquet(files.sites)


def window():
    left, top = place(ROW, COLUMN)
    right, bottom = place(ROW + HEIGHT, COLUMN + WIDTH)
    return ee.Geometry.Rectangle([left, bottom, right, top], CRS, geodesic=False)


def test_its_own_way_to_initialise_leaves_the_client_alone(earth_engine):
    geemap.ee_initialize(project=earth_engine.project)
    assert ee.Image(SCENE).bandNames().getInfo() == list(BANDS)


def test_an_image_to_numpy(scene, expected):
    array = geemap.ee_to_numpy(scene.unmask(-1), region=window())
    wanted = expected[:, ROW : ROW + HEIGHT, COLUMN : COLUMN + WIDTH].filled(-1)
    np.testing.assert_array_equal(np.moveaxis(array, -1, 0), wanted)


@pytest.mark.parametrize(
    ("kind", "operation", "tolerance"),
    [("MEAN", "mean", 0.004), ("SUM", "sum", 0.004), ("STD", "stdev", 0.004)],
)
def test_zonal_statistics(scene, files, tmp_path, kind, operation, tolerance):
    path = tmp_path / "zones.csv"
    zones = ee.FeatureCollection(ZONES)
    geemap.zonal_stats(scene.select("nir"), zones, path, stat_type=kind, scale=30, verbose=False)
    got = pd.read_csv(path).set_index("name")
    with rasterio.open(files.scene) as source:
        shapes = gpd.read_parquet(files.zones).to_crs(source.crs)
        options = {"include_cols": ["name"], "output": "pandas"}
        wanted = exact_extract(source, shapes, [operation], **options).set_index("name")
    column = {"stdev": "stdDev"}.get(operation, operation)
    wanted = wanted[f"band_2_{operation}"]
    assert set(got.index) == set(wanted.index)
    # Earth Engine's weights have 8 bits.
    np.testing.assert_allclose(got.loc[wanted.index, column], wanted, rtol=tolerance)


def test_zonal_counts_as_a_collection(scene, files):
    result = geemap.zonal_stats(
        scene.select("red"),
        ee.FeatureCollection(ZONES),
        stat_type="COUNT",
        scale=30,
        return_fc=True,
        verbose=False,
    )
    got = geemap.ee_to_df(result, remove_geom=False).set_index("name")["count"]
    with rasterio.open(files.scene) as source:
        shapes = gpd.read_parquet(files.zones).to_crs(source.crs).set_index("name").geometry
        for name, shape in shapes.items():
            inside = rasterio.features.geometry_mask(
                [shape], source.shape, source.transform, invert=True
            )
            assert got[name] == (inside & ~source.read(1, masked=True).mask).sum()


def test_values_at_points(scene, sites, expected, tmp_path):
    path = tmp_path / "sites.csv"
    geemap.extract_values_to_points(ee.FeatureCollection(SITES), scene, str(path), scale=30)
    got = pd.read_csv(path).set_index("site").loc[sites["site"]]
    for number, band in enumerate(BANDS):
        wanted = expected[number, sites["row"], sites["column"]].astype(float).filled(np.nan)
        np.testing.assert_array_equal(got[band], wanted)
    assert got["red"].isna().any()


def test_values_at_points_as_a_geodataframe(scene, sites, expected):
    result = geemap.extract_values_to_points(ee.FeatureCollection(SITES), scene, scale=30)
    got = geemap.ee_to_gdf(result).set_index("site").loc[sites["site"]]
    wanted = expected[0, sites["row"], sites["column"]].astype(float).filled(np.nan)
    np.testing.assert_array_equal(got["red"], wanted)
    assert got.crs == sites.crs
    np.testing.assert_allclose(got.geometry.x, sites.geometry.x, atol=1e-9)
    np.testing.assert_allclose(got.geometry.y, sites.geometry.y, atol=1e-9)


def test_an_image_to_a_zipped_geotiff(scene, expected, tmp_path):
    path = tmp_path / "out.tif"
    image = scene.unmask(-1).toInt16()
    geemap.ee_export_image(image, path, scale=30, crs=CRS, region=window(), verbose=False)
    with rasterio.open(path) as file:
        got = file.read()
        offset = ~file.transform @ place(ROW, COLUMN)
    row, column = round(offset[1]), round(offset[0])
    wanted = expected[:, ROW : ROW + HEIGHT, COLUMN : COLUMN + WIDTH].filled(-1)
    np.testing.assert_array_equal(got[:, row : row + HEIGHT, column : column + WIDTH], wanted)


@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore:Couldn't find STAC entry")
def test_an_image_by_way_of_geedim(scene, expected, tmp_path):
    path = tmp_path / "whole.tif"
    geemap.download_ee_image(scene, str(path), scale=30)
    with rasterio.open(path) as file:
        assert file.transform == TRANSFORM
        got = file.read([1, 2], masked=True)
    np.testing.assert_array_equal(got.mask, expected.mask)
    np.testing.assert_array_equal(got.compressed(), expected.compressed())


def test_a_series_at_a_point(earth_engine, files, sites):
    site = sites.iloc[5]
    frame = geemap.extract_timeseries_to_point(
        site.geometry.y, site.geometry.x, ee.ImageCollection(SERIES), scale=30
    )
    paths = sorted(files.series.iterdir())
    assert len(frame) == len(paths)
    for path, (_, row) in zip(paths, frame.iterrows(), strict=True):
        with rasterio.open(path) as source:
            values = source.read()[:, site["row"], site["column"]]
        np.testing.assert_array_equal(row[["day", "night"]].astype("float32"), values)


def test_statistics_of_an_image(scene, expected):
    stats = geemap.image_stats(scene.select("red"), window(), 30).getInfo()
    part = expected[0, ROW : ROW + HEIGHT, COLUMN : COLUMN + WIDTH]
    assert stats["min"]["red"] == part.min()
    assert stats["max"]["red"] == part.max()
    assert stats["mean"]["red"] == pytest.approx(part.mean(), rel=0.01)

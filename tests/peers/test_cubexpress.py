"""cubexpress: chips and whole images to GeoTIFF, split where Earth Engine finds them too large.

What it needs: ``ee.Initialize(..., url=...)`` before it is used. It calls no other host.
"""

import cubexpress
import ee
import geopandas as gpd
import numpy as np
import pytest
import rasterio
import rasterio.features
from cubexpress import RasterTransform, RequestRow, RequestTable
from grid import BANDS, CRS, SCENE, SHAPE, TRANSFORM, place
from oracle import nearest
from shapely.geometry import Point

SIDE = 2400


@pytest.fixture(scope="module")
def expected(files):
    with rasterio.open(files.scene) as source:
        return source.read(masked=True)


def grid(row, column, height, width, scale=30.0):
    x, y = place(row, column)
    return RasterTransform(
        crs=CRS,
        translate_x=x,
        translate_y=y,
        scale_x=scale,
        scale_y=-scale,
        width=width,
        height=height,
    )


def test_an_asset_on_its_own_grid(earth_engine, expected, tmp_path):
    transform = cubexpress.asset_to_rt(SCENE)
    assert (transform.height, transform.width) == SHAPE
    path = cubexpress.express_one(RequestRow("whole", transform, SCENE, BANDS), tmp_path)
    with rasterio.open(path) as file:
        assert file.transform == TRANSFORM
        assert file.descriptions == BANDS
        # Earth Engine's getPixels has zeros where there are no data.
        np.testing.assert_array_equal(file.read(), expected.filled(0))


def test_windows_of_assets_and_of_computed_images(earth_engine, expected, tmp_path):
    computed = ee.Image(SCENE).select("nir").add(1000).toInt16()
    rows = [
        RequestRow("asset", grid(50, 80, 40, 30), SCENE, ("nir",)),
        RequestRow("computed", grid(50, 80, 40, 30), computed, ("nir",)),
    ]
    result = cubexpress.express(RequestTable(rows=rows), tmp_path, verbose=False)
    assert not result.failed
    wanted = expected[1, 50:90, 80:110]
    with rasterio.open(result.paths["asset"]) as file:
        np.testing.assert_array_equal(file.read(1), wanted.filled(0))
    with rasterio.open(result.paths["computed"]) as file:
        got = file.read(1, masked=True)
    np.testing.assert_array_equal(got.mask, wanted.mask)
    np.testing.assert_array_equal(got.compressed(), wanted.compressed() + 1000)


def test_chips_around_points(earth_engine, files, tmp_path):
    points = gpd.read_parquet(files.sites).geometry.iloc[1:4]
    table = cubexpress.build_from_points(
        [(p.x, p.y) for p in points], SCENE, list(BANDS), width=16, height=12, scale=20
    )
    result = cubexpress.express(table, tmp_path, verbose=False)
    assert len(result.paths) == len(points)
    for path in result.paths.values():
        with rasterio.open(path) as file:
            wanted = nearest(files.scene, file.crs, file.transform, (12, 16))
            np.testing.assert_array_equal(file.read(), wanted)


def test_what_is_too_large_is_split_and_joined(earth_engine, files, tmp_path):
    # 52 MB with Earth Engine's count of a byte for each mask, and so refused in one piece.
    image = ee.Image(SCENE).select("red").toDouble()
    before = earth_engine.stats()["by_status"].get("400", 0)
    row = RequestRow("large", grid(10, 20, SIDE, SIDE, scale=1.25), image, ("red",))
    path = cubexpress.express_one(row, tmp_path)
    assert earth_engine.stats()["by_status"]["400"] == before + 1
    with rasterio.open(path) as file:
        assert file.shape == (SIDE, SIDE)
        got = file.read(1, masked=True)
    with rasterio.open(files.scene) as source:
        coarse = source.read(1, masked=True)[10:110, 20:120]
    wanted = np.ma.repeat(np.ma.repeat(coarse, 24, axis=0), 24, axis=1)
    np.testing.assert_array_equal(got.mask, wanted.mask)
    np.testing.assert_array_equal(got.compressed(), wanted.compressed())


def test_an_image_cut_to_a_polygon(earth_engine, expected, tmp_path):
    disc = Point(place(40, 50)).buffer(600)
    transform = grid(15, 25, 50, 50)
    table = RequestTable(rows=[RequestRow("disc", transform, SCENE, ("red",))])
    result = cubexpress.express_clip(table, disc, tmp_path, verbose=False)
    with rasterio.open(result.paths["disc"]) as file:
        got = file.read(1)
        inside = rasterio.features.geometry_mask(
            [disc], file.shape, file.transform, all_touched=True, invert=True
        )
    np.testing.assert_array_equal(got, np.where(inside, expected[0, 15:65, 25:75], 0))

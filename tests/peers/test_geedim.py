"""geedim: an image to GeoTIFF, to NumPy and to xarray.

What it needs: ``ee.Initialize(..., url=...)`` before it is used; its own ``geedim.Initialize``
takes an ``opt_url``, as ``ee.Initialize`` does. Where it writes a GeoTIFF or an xarray, it looks
the image's id up on Google's STAC server, whose address stands in its source (``geedim/stac.py``)
and is no option. It does not where the id has one part only, or where there is none, as of
computed images; so the image is mounted under an id of one part.
"""

import ee
import geedim
import numpy as np
import pytest
import rasterio
from grid import BANDS, CRS, SCENE, SHAPE, TRANSFORM, place
from rasterio.windows import Window

pytestmark = pytest.mark.filterwarnings("ignore:Couldn't find STAC entry:RuntimeWarning")
ROW, COLUMN, HEIGHT, WIDTH = 55, 80, 40, 60


@pytest.fixture
def scene(earth_engine):
    return ee.Image(SCENE)


@pytest.fixture(scope="module")
def expected(files):
    with rasterio.open(files.scene) as source:
        return source.read(masked=True)


def window():
    left, top = place(ROW, COLUMN)
    right, bottom = place(ROW + HEIGHT, COLUMN + WIDTH)
    return ee.Geometry.Rectangle([left, bottom, right, top], CRS, geodesic=False)


def assert_equal(got, expected):
    np.testing.assert_array_equal(np.ma.getmaskarray(got), np.ma.getmaskarray(expected))
    np.testing.assert_array_equal(got.compressed(), expected.compressed())


# The second is downloaded in tiles and joined.
@pytest.mark.parametrize("options", [{}, {"max_tile_size": 0.02}])
def test_an_image_to_geotiff(scene, expected, tmp_path, options):
    path = tmp_path / "scene.tif"
    scene.gd.prepareForExport().gd.toGeoTIFF(path, **options)
    with rasterio.open(path) as file:
        assert file.crs.to_epsg() == 32613
        assert file.transform == TRANSFORM
        assert file.shape == SHAPE
        assert file.descriptions == BANDS
        assert_equal(file.read(masked=True), expected)


def test_a_window_of_a_band_as_floats(scene, files, tmp_path):
    path = tmp_path / "window.tif"
    image = scene.gd.prepareForExport(region=window(), bands=["nir"], dtype="float32")
    image.gd.toGeoTIFF(path)
    with rasterio.open(files.scene) as source:
        expected = source.read([2], masked=True, window=Window(COLUMN, ROW, WIDTH, HEIGHT))
    with rasterio.open(path) as file:
        assert file.dtypes == ("float32",)
        assert file.transform @ (0, 0) == pytest.approx(place(ROW, COLUMN))
        assert_equal(file.read(masked=True), expected)


def test_an_image_to_numpy(scene, expected):
    array = scene.gd.toNumPy(masked=True)
    assert array.dtype == np.int16
    assert_equal(np.moveaxis(array, -1, 0), expected)


def test_an_image_to_xarray(scene, expected):
    array = scene.gd.toXarray(masked=True)
    assert array.attrs["crs"] == CRS
    assert array.coords["band"].values.tolist() == list(BANDS)
    assert (array.coords["x"][0], array.coords["y"][0]) == place(0.5, 0.5)
    got = array.transpose("band", "y", "x").values
    np.testing.assert_array_equal(got, expected.astype(float).filled(np.nan))


def test_coverage_of_a_region(scene, expected):
    covered = scene.mask().gd.regionCoverage(region=window(), scale=30).getInfo()
    part = expected[:, ROW : ROW + HEIGHT, COLUMN : COLUMN + WIDTH]
    share = 100 * (~part.mask).mean(axis=(1, 2))
    assert covered == pytest.approx(dict(zip(BANDS, share, strict=True)), rel=0.01)


def test_metadata(scene):
    assert scene.gd.dtype == "int16"
    assert scene.gd.shape == SHAPE
    assert scene.gd.crs == CRS
    assert rasterio.Affine(*scene.gd.transform) == TRANSFORM


def test_its_own_way_to_initialise(earth_engine):
    options = {"credentials": earth_engine.credentials, "project": earth_engine.project}
    geedim.Initialize(opt_url=earth_engine.url, **options)
    assert ee.Image(SCENE).gd.bandNames == list(BANDS)

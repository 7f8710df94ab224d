"""Mounted files, held against rasterio's and geopandas' own reading of them."""

import datetime as dt
import json
import pickle
import threading
from concurrent.futures import ThreadPoolExecutor

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import rasterio
import shapely
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from pyproj import Transformer
from rasterio.enums import ColorInterp

from eedask.emulator.catalog import Catalog
from eedask.emulator.catalog.dates import date_in_name, millis
from eedask.emulator.catalog.mounts.pyramids import reduced
from eedask.emulator.catalog.mounts.raster_file import RasterFile, read_header
from eedask.emulator.errors import EarthEngineError
from eedask.emulator.geometry.geometry import touches
from eedask.emulator.pixels.native_sources import Window
from eedask.emulator.pixels.native_tiles import native_pixels
from eedask.emulator.pixels.raster import Pixels
from eedask.emulator.values.value_types import Query

SINUSOIDAL = "+proj=sinu +lon_0=0 +x_0=0 +y_0=0 +R=6371007.181 +units=m +no_defs"


def write(path, bands, crs="EPSG:26914", transform=None, **profile):
    """Write bands of shape (n, height, width) as a GeoTIFF."""
    bands = np.asarray(bands)
    profile = {
        "driver": "GTiff",
        "count": bands.shape[0],
        "height": bands.shape[1],
        "width": bands.shape[2],
        "dtype": bands.dtype,
        "crs": crs,
        "transform": transform or Affine(5, 0, 487400, 0, -5, 5207997),
    } | profile
    descriptions = profile.pop("descriptions", ())
    interpretation = profile.pop("colorinterp", None)
    with rasterio.open(path, "w", **profile) as file:
        file.write(bands)
        for number, description in enumerate(descriptions, 1):
            file.set_band_description(number, description)
        if interpretation is not None:
            file.colorinterp = interpretation
    return path


def open_source(path, policy="MEAN"):
    return RasterFile(path, read_header(path), policy)


def random_bands(seed, count=2, height=37, width=53, dtype="uint8"):
    rng = np.random.default_rng(seed)
    return rng.integers(0, 200, (count, height, width)).astype(dtype)


@pytest.mark.parametrize("crs", ["EPSG:32660", "EPSG:32701"])
def test_a_raster_across_the_antimeridian_lies_on_both_sides_of_it(tmp_path, crs):
    x, y = Transformer.from_crs("EPSG:4326", crs, always_xy=True).transform(180, -16.5)
    transform = Affine(100, 0, x - 5000, 0, -100, y + 5000)
    path = write(tmp_path / "a.tif", random_bands(1, 1, 100, 300), crs, transform)
    image = Catalog({"a": path}).load_image("a")
    # It reaches from 5 km west of 180 degrees to 25 km east of it; a degree has 106.7 km there.
    places = {179.94: False, 179.96: True, -179.96: True, -179.8: True, -179.7: False, 0: False}
    for longitude, there in places.items():
        point = shapely.Point(longitude, -16.5)
        assert image.footprint.lonlat.covers(point) == there, longitude
        assert touches(image.footprint, point.bounds) == there, longitude
    assert image.properties["system:footprint"].shape.is_ring


@pytest.mark.parametrize("crs", ["EPSG:3031", "EPSG:3995"])
def test_the_outline_of_a_raster_around_a_pole_does_not_go_beyond_180_degrees(tmp_path, crs):
    transform = Affine(1e5, 0, -2e6, 0, -1e5, 2e6)
    path = write(tmp_path / "a.tif", random_bands(1, 1, 40, 40), crs, transform)
    west, _, east, _ = Catalog({"a": path}).load_image("a").footprint.shape.bounds
    assert -180 <= west < east <= 180


@pytest.mark.parametrize("dtype", ["uint8", "int16", "uint16", "int32", "float32", "float64"])
def test_native_pixels_are_rasterios_to_the_last_bit(tmp_path, dtype):
    bands = random_bands(1, dtype=dtype)
    path = write(tmp_path / "a.tif", bands, nodata=7)
    source = open_source(path)
    with rasterio.open(path) as file:
        for band in range(2):
            pixels = native_pixels(source, band, 0, Window(3, 5, 20, 11))
            wanted = file.read(band + 1)[5:16, 3:23]
            assert pixels.values.dtype == np.dtype(dtype)
            np.testing.assert_array_equal(pixels.values, wanted)
            np.testing.assert_array_equal(pixels.mask, (wanted != 7).astype(np.float32))


def test_nan_is_masked(tmp_path):
    bands = random_bands(2, count=1, dtype="float32")
    bands[0, 4, 6] = np.nan
    pixels = native_pixels(
        open_source(write(tmp_path / "a.tif", bands)), 0, 0, Window(0, 0, 53, 37)
    )
    assert pixels.mask[4, 6] == 0
    assert pixels.mask.sum() == bands[0].size - 1


def test_a_fourth_band_is_data_whatever_gdal_calls_it(tmp_path):
    bands = random_bands(3, count=4)
    for name, nodata in (("a", None), ("b", 0)):
        path = write(tmp_path / f"{name}.tif", bands, nodata=nodata)
        with rasterio.open(path) as file:
            assert file.colorinterp[3] is ColorInterp.alpha  # GDAL's default for four bytes
        assert read_header(path).ids == ("b1", "b2", "b3", "b4")
        for band in (0, 3):
            pixels = native_pixels(open_source(path), band, 0, Window(0, 0, 53, 37))
            np.testing.assert_array_equal(pixels.values, bands[band])
            valid = np.ones((37, 53)) if nodata is None else bands[band] != nodata
            np.testing.assert_array_equal(pixels.mask, valid)


def test_alpha_of_a_png_is_the_mask_and_not_a_band(tmp_path):
    bands = random_bands(3, count=4)
    path = tmp_path / "a.png"
    write(path, bands, driver="PNG", worldfile="YES")
    assert read_header(path).ids == ("b1", "b2", "b3")
    pixels = native_pixels(open_source(path), 1, 0, Window(0, 0, 53, 37))
    np.testing.assert_allclose(pixels.mask, bands[3] / 255, rtol=1e-6)


def test_a_mask_inside_the_file(tmp_path):
    path = tmp_path / "a.tif"
    bands, mask = random_bands(3, count=4), random_bands(4, count=1)[0] > 100
    write(path, bands)
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True), rasterio.open(path, "r+") as file:
        file.write_mask(mask)
    pixels = native_pixels(open_source(path), 3, 0, Window(0, 0, 53, 37))
    np.testing.assert_array_equal(pixels.values, bands[3])
    np.testing.assert_array_equal(pixels.mask, mask)


def mean_pyramid(values, mask):
    """Return the next level by plain loops: the mean by masks, and the mean of the masks."""
    height, width = -(-values.shape[0] // 2), -(-values.shape[1] // 2)
    result, share = np.zeros((height, width)), np.zeros((height, width))
    for row in range(height):
        for col in range(width):
            block = np.s_[2 * row : 2 * row + 2, 2 * col : 2 * col + 2]
            if mask[block].any():
                result[row, col] = (values[block] * mask[block]).sum() / mask[block].sum()
                share[row, col] = mask[block].sum() / 4
    return result, share


@settings(max_examples=12, deadline=None)
@given(st.integers(1, 3), st.integers(0, 10**6), st.data())
def test_pyramid_levels_are_means_by_masks(tmp_path_factory, level, seed, data):
    bands = random_bands(seed, count=1, height=21, width=34, dtype="float64")
    path = write(tmp_path_factory.mktemp("p") / "a.tif", bands, nodata=100)
    values, mask = bands[0], (bands[0] != 100).astype(float)
    for _ in range(level):
        values, mask = mean_pyramid(values, mask)
    height, width = values.shape
    row, col = data.draw(st.integers(0, height - 1)), data.draw(st.integers(0, width - 1))
    rows, cols = data.draw(st.integers(1, height - row)), data.draw(st.integers(1, width - col))
    found = native_pixels(open_source(path), 0, level, Window(col, row, cols, rows))
    part = np.s_[row : row + rows, col : col + cols]
    np.testing.assert_allclose(found.mask, mask[part], rtol=1e-6)
    there = mask[part] > 0
    np.testing.assert_allclose(found.values[there], values[part][there], rtol=1e-12)


def test_levels_of_whole_blocks_are_those_that_gdal_averages(tmp_path):
    bands = random_bands(9, count=1, height=64, width=96, dtype="float64")
    path = write(tmp_path / "a.tif", bands)
    with rasterio.open(path) as file:
        for level in (1, 2, 3, 4):
            shape = (64 >> level, 96 >> level)
            wanted = file.read(1, out_shape=shape, resampling=rasterio.enums.Resampling.average)
            found = native_pixels(open_source(path), 0, level, Window(0, 0, shape[1], shape[0]))
            np.testing.assert_allclose(found.values, wanted, rtol=1e-6)
            assert (found.mask == 1).all()


@pytest.mark.parametrize(
    ("policy", "wanted"),
    [("MEAN", 4), ("SAMPLE", 1), ("MIN", 1), ("MAX", 7), ("MODE", 7), ("MEDIAN", 4)],
)
def test_pyramiding_policies(tmp_path, policy, wanted):
    path = write(tmp_path / "a.tif", np.array([[[1, 7], [2, 7]]], "uint8"))
    pixels = native_pixels(open_source(path, policy), 0, 1, Window(0, 0, 1, 1))
    # The mean, 17/4, and the median, 9/2, are rounded to integers.
    assert pixels.values.tolist() == [[wanted]]
    assert pixels.mask.tolist() == [[1]]


@pytest.mark.parametrize(
    ("policy", "wanted", "mask"),
    [
        ("MEAN", (1 * 51 + 7 * 255 + 9 * 102) / 408, 408 / 1020),
        ("SAMPLE", 5, 0),
        ("MIN", 1, 408 / 1020),
        ("MAX", 9, 408 / 1020),
        ("MODE", 7, 408 / 1020),
        ("MEDIAN", 7, 408 / 1020),
    ],
)
def test_masks_are_weights(policy, wanted, mask):
    values = np.array([[5, 1], [7, 9]], np.float64)
    masks = np.array([[0, 51], [255, 102]], np.float32) / 255
    pixels = reduced(Pixels(values, masks), policy)
    assert pixels.mask.item() == pytest.approx(mask)
    assert mask == 0 or pixels.values.item() == pytest.approx(wanted)


def test_the_median_of_two_is_their_mean():
    pair = Pixels(np.array([[1, 2]], np.float32), np.ones((1, 2), np.float32))
    assert reduced(pair, "MEDIAN").values.item() == 1.5
    assert reduced(pair, "MEDIAN").mask.item() == 0.5  # what is outside is masked


def test_bands_grid_and_type_are_the_files(tmp_path):
    transform = Affine(926.6254, 0, -4310661.5, 0, -926.6254, -532809.6)
    bands = random_bands(4, dtype="uint16")
    path = write(
        tmp_path / "lst.tif", bands, SINUSOIDAL, transform, descriptions=("LST_Day_1km", "QC_Day")
    )
    catalog = Catalog({"projects/p/assets/lst": path})
    image = catalog.load_image("projects/p/assets/lst")
    assert image.band_names == ["LST_Day_1km", "QC_Day"]
    assert image.bands[0].projection.crs == "SR-ORG:6974"
    assert image.bands[0].projection.transform == transform
    assert image.bands[0].dimensions == (53, 37)
    assert image.bands[0].type.dtype == np.uint16
    # 70 km at 39 W: the footprint is where the corners are.
    west, south, east, north = image.footprint.shape.bounds
    assert south < north == pytest.approx(np.degrees(-532809.6 / 6371007.181), abs=1e-6)
    assert -39.1 < west < east < -38.2


def test_crs_names(tmp_path):
    for crs, wanted in [("EPSG:26914", "EPSG:26914"), ("EPSG:32723", "EPSG:32723")]:
        assert read_header(write(tmp_path / "a.tif", random_bands(5), crs)).projection.crs == wanted
    own = "+proj=laea +lat_0=12.5 +lon_0=7 +datum=WGS84 +units=m"
    wkt = read_header(write(tmp_path / "b.tif", random_bands(5), own)).projection.crs
    assert rasterio.crs.CRS.from_wkt(wkt) == rasterio.crs.CRS.from_string(own)
    sphere = "+proj=sinu +lon_0=10 +R=6371007.181 +units=m"  # not the meridian of MODIS
    name = read_header(write(tmp_path / "c.tif", random_bands(5), sphere)).projection.crs
    assert name != "SR-ORG:6974"


@pytest.mark.parametrize(
    ("name", "date"),
    [
        ("m_4709963_se_14_1_20090818", (2009, 8, 18)),
        ("MOD13A1_NDVI_2016_353", (2016, 12, 18)),
        ("MOD11A1.A2019305.h14v09.006", (2019, 11, 1)),
        ("2020-02-29_scene", (2020, 2, 29)),
        ("s2_2021_03_05", (2021, 3, 5)),
        ("chip_20211350", None),  # month 13
        ("m_4709963_se", None),
        ("2021_366", None),  # no leap year
    ],
)
def test_dates_in_names(name, date):
    found = date_in_name(name)
    assert found == (None if date is None else dt.datetime(*date, tzinfo=dt.UTC))


def test_a_folder_is_a_collection_in_order_of_names(tmp_path):
    for day in ("2016_017", "2016_001", "2016_033"):
        write(tmp_path / f"NDVI_{day}.tif", random_bands(6, count=1, dtype="int16"))
    (tmp_path / "readme.txt").write_text("not a raster")
    catalog = Catalog({"projects/p/assets/ndvi/": tmp_path})
    images = list(catalog.load_collection("projects/p/assets/ndvi").elements())
    assert [i.properties["system:index"] for i in images] == [
        "NDVI_2016_001",
        "NDVI_2016_017",
        "NDVI_2016_033",
    ]
    starts = [i.properties["system:time_start"] for i in images]
    assert starts[1] - starts[0] == 16 * 86_400_000
    one = catalog.load_image("projects/p/assets/ndvi/NDVI_2016_017")
    assert one.id == "projects/p/assets/ndvi/NDVI_2016_017"
    later = Query(start=starts[1], end=starts[2])
    found = catalog.load_collection("projects/p/assets/ndvi").elements(later)
    assert [i.properties["system:index"] for i in found] == ["NDVI_2016_017"]
    listed = [a["id"] for a in catalog.list_assets("projects/p/assets/ndvi")]
    assert listed == [i.id for i in images]


@pytest.mark.parametrize("form", ["csv", "parquet", "json"])
def test_a_sidecar_gives_properties(tmp_path, form):
    write(tmp_path / "one.tif", random_bands(7))
    write(tmp_path / "two.tif", random_bands(8))
    rows = [
        {"file": "one.tif", "CLOUD": 12.5, "system:time_start": "2020-05-06"},
        {"file": "two", "CLOUD": None, "system:time_start": "2020-05-07"},
    ]
    if form == "json":
        (tmp_path / "properties.json").write_text(json.dumps(rows))
    elif form == "csv":
        pd.DataFrame(rows).to_csv(tmp_path / "properties.csv", index=False)
    else:
        pd.DataFrame(rows).to_parquet(tmp_path / "properties.parquet")
    one, two = Catalog({"x": tmp_path}).load_collection("x").elements()
    assert one.properties["CLOUD"] == 12.5
    assert "CLOUD" not in two.properties
    assert one.properties["system:time_start"] == millis(dt.date(2020, 5, 6))
    assert two.properties["system:time_start"] == millis(dt.date(2020, 5, 7))


@pytest.mark.parametrize("form", ["parquet", "geojson", "gpkg", "shp"])
def test_a_vector_file_is_a_table(tmp_path, form):
    squares = [shapely.box(i, 0, i + 1, 1) for i in range(3)]
    frame = gpd.GeoDataFrame(
        {
            "name": ["a", "b", None],
            "count": [1, 2, 3],
            "day": pd.to_datetime(["2020-01-01", "2020-01-02", None]),
        },
        geometry=squares,
        crs="EPSG:4326",
    )
    path = tmp_path / f"table.{form}"
    if form == "shp":  # has no times
        frame = frame.drop(columns="day")
    frame.to_parquet(path) if form == "parquet" else frame.to_file(path)
    table = Catalog({"projects/p/assets/t": path}).load_table("projects/p/assets/t")
    features = list(table.elements())
    assert [f.geometry.shape.equals(s) for f, s in zip(features, squares, strict=True)] == [
        True
    ] * 3
    assert not features[0].geometry.geodesic
    assert [f.properties["count"] for f in features] == [1, 2, 3]
    assert features[0].properties["name"] == "a"
    if form != "shp":
        assert features[1].properties["day"] == millis(dt.date(2020, 1, 2))
    assert "name" not in features[2].properties
    assert "day" not in features[2].properties
    assert len({f.id for f in features}) == 3
    near = table.elements(Query(bounds=(2.5, 0.2, 2.6, 0.3)))
    assert [f.properties["count"] for f in near] == [3]
    assert [f.id for f in table.elements(Query(equals={"name": "b"}))] == [features[1].id]


def test_tables_come_to_degrees_and_may_lack_geometry(tmp_path):
    points = gpd.GeoSeries([shapely.Point(-105, 40), None], crs="EPSG:4326").to_crs("EPSG:32613")
    gpd.GeoDataFrame({"n": [1, 2]}, geometry=points).to_parquet(tmp_path / "t.parquet")
    features = list(Catalog({"t": tmp_path / "t.parquet"}).load_table("t").elements())
    assert features[0].geometry.shape.distance(shapely.Point(-105, 40)) < 1e-9
    assert features[1].geometry is None
    assert features[1].properties["n"] == 2


def test_what_cannot_be_mounted_is_said_at_once(tmp_path):
    text = tmp_path / "x.tif"
    text.write_text("not a raster")
    with pytest.raises(ValueError, match=r"x\.tif cannot be read as a raster"):
        Catalog({"a": text})
    with pytest.raises(ValueError, match="does not exist"):
        Catalog({"a": tmp_path / "missing.tif"})
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="no raster in it"):
        Catalog({"a": tmp_path / "empty"})
    broken = tmp_path / "x.geojson"
    broken.write_text("{")
    with pytest.raises(ValueError, match="cannot be read as a table"):
        Catalog({"a": broken})
    with pytest.raises(ValueError, match="no coordinate reference system"):
        Catalog({"a": write(tmp_path / "nowhere.tif", random_bands(9), crs=None)})


def test_a_mount_shadows_a_built_in_asset_and_pickles(tmp_path):
    write(tmp_path / "one.tif", random_bands(10))
    catalog = pickle.loads(pickle.dumps(Catalog({"USDA/NAIP/DOQQ": tmp_path})))
    images = list(catalog.load_collection("USDA/NAIP/DOQQ").elements())
    assert [image.id for image in images] == ["USDA/NAIP/DOQQ/one"]
    with pytest.raises(EarthEngineError, match="is not an Image"):
        catalog.load_image("USDA/NAIP/DOQQ")


def test_threads_may_read_one_file_at_once(tmp_path):
    bands = random_bands(11, count=3, height=200, width=200, dtype="int32")
    source = open_source(write(tmp_path / "a.tif", bands, tiled=True, blockxsize=16, blockysize=16))
    start = threading.Barrier(8)

    def read(worker):
        start.wait()
        rng = np.random.default_rng(worker)
        same = []
        for _ in range(20):
            band, row, col = rng.integers(3), *rng.integers(0, 150, 2).tolist()
            found = native_pixels(source, int(band), 0, Window(col, row, 50, 50)).values
            same.append(np.array_equal(found, bands[band, row : row + 50, col : col + 50]))
        return all(same)

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(read, range(8)))

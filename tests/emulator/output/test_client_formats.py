"""What the real client downloads, in each format, as readers of that format see it.

Pixels are compared with the mounted raster's, tables with the features that they were made of.
"""

import csv
import io
import json
import zipfile

import ee
import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import requests
import shapely
from affine import Affine
from example_raster import NODATA_CORNER, RASTER_ID, SHAPE, TRANSFORM, raster_values
from PIL import Image as Pillow
from rasterio.crs import CRS
from rasterio.io import MemoryFile

pytestmark = pytest.mark.usefixtures("client")

BANDS = ("red", "green", "blue")
# The whole raster, its nodata corner included.
WHOLE = {
    "dimensions": {"width": SHAPE[1], "height": SHAPE[0]},
    "affineTransform": {
        "scaleX": TRANSFORM.a,
        "shearX": 0,
        "translateX": TRANSFORM.c,
        "shearY": 0,
        "scaleY": TRANSFORM.e,
        "translateY": TRANSFORM.f,
    },
    "crsCode": "EPSG:32613",
}
PLACE = {
    "crs": "EPSG:32613",
    "crs_transform": list(TRANSFORM)[:6],
    "dimensions": f"{SHAPE[1]}x{SHAPE[0]}",
}


def fetch(url):
    response = requests.get(url, timeout=60)
    assert response.status_code == 200, response.text
    return response


def computed(image, file_format, grid=WHOLE, **more):
    return ee.data.computePixels(
        {"expression": image, "fileFormat": file_format, "grid": grid, **more}
    )


def opened(picture):
    pillow = Pillow.open(io.BytesIO(picture))
    return pillow.format, pillow.mode, np.asarray(pillow)


def valid():
    """Tell where the raster has data."""
    mask = np.ones(SHAPE, bool)
    mask[:NODATA_CORNER, :NODATA_CORNER] = False
    return mask


def bytes_of(values):
    """Return values as a picture has them: between 0 and 255."""
    return np.clip(values, 0, 255).astype(np.uint8)


# Pictures.


def test_png_is_rgba_where_something_is_masked(raster):
    file_format, mode, pixels = opened(computed(raster, "PNG"))
    assert (file_format, mode) == ("PNG", "RGBA")
    np.testing.assert_array_equal(pixels[..., 3], np.where(valid(), 255, 0))
    np.testing.assert_array_equal(pixels[..., :3], bytes_of(raster_values()).transpose(1, 2, 0))


def test_png_has_no_alpha_where_nothing_is_masked(raster):
    file_format, mode, pixels = opened(computed(raster.unmask(7), "PNG"))
    assert (file_format, mode) == ("PNG", "RGB")
    expected = np.where(valid(), bytes_of(raster_values()), 7)
    np.testing.assert_array_equal(pixels, expected.transpose(1, 2, 0))


def test_png_of_one_band_is_grey_with_its_mask_for_alpha(raster):
    red = raster.select("red")
    half = red.updateMask(ee.Image(0.5))
    _, mode, pixels = opened(computed(red, "PNG"))
    assert mode == "LA"
    np.testing.assert_array_equal(pixels[..., 0], bytes_of(raster_values()[0]))
    _, mode, pixels = opened(computed(half, "PNG"))
    assert mode == "LA"
    np.testing.assert_array_equal(pixels[..., 1], np.where(valid(), 128, 0))
    np.testing.assert_array_equal(pixels[..., 0], bytes_of(raster_values()[0]))
    assert opened(computed(red.unmask(0), "PNG"))[1] == "L"


def test_alpha_is_the_least_of_the_bands_masks(raster):
    odd = raster.select("green").mod(2)
    bands = raster.select("red").addBands(raster.select("green").updateMask(odd))
    pixels = opened(computed(bands.addBands(raster.select("blue")), "PNG"))[2]
    shown = valid() & (raster_values()[1] % 2 == 1)
    np.testing.assert_array_equal(pixels[..., 3] > 0, shown)


PALETTE = np.array([[0, 0, 255], [255, 255, 0], [255, 0, 0]], float)
COLOURS = ["0000FF", "FFFF00", "FF0000"]


def coloured(low, high):
    """Return the raster's red band in the palette, interpolated by numpy."""
    share = np.clip((raster_values()[0].astype(float) - low) / (high - low), 0, 1) * 2
    channels = [np.interp(share, [0, 1, 2], PALETTE[:, channel]) for channel in range(3)]
    return np.stack(channels, axis=-1)


@pytest.mark.parametrize("way", ["options", "visualize", "thumbnail"])
def test_palettes_are_interpolated_between_their_colours(raster, way):
    if way == "options":
        options = {"ranges": [{"min": 6, "max": 50}], "paletteColors": COLOURS}
        data = computed(raster, "PNG", bandIds=["red"], visualizationOptions=options)
    elif way == "visualize":
        data = computed(raster.visualize(["red"], min=6, max=50, palette=COLOURS), "PNG")
    else:
        shown = {"bands": "red", "min": 6, "max": 50, "palette": COLOURS, "format": "png"}
        data = fetch(raster.getThumbURL({**shown, **PLACE})).content
    _, mode, pixels = opened(data)
    assert mode == "RGBA"
    np.testing.assert_array_equal(pixels[..., 3], np.where(valid(), 255, 0))
    difference = pixels[..., :3] - coloured(6, 50)
    assert abs(difference[valid()]).max() <= 1  # a half may be rounded either way


def test_ranges_and_opacity_of_three_bands(raster):
    ranges = [{"min": 1, "max": 60}, {"min": 1, "max": 80}, {"min": 1, "max": 257}]
    options = {"ranges": ranges, "opacity": 0.25}
    pixels = opened(computed(raster, "PNG", visualizationOptions=options))[2]
    np.testing.assert_array_equal(pixels[..., 3], np.where(valid(), 64, 0))
    tops = np.array([60, 80, 257])[:, None, None]
    expected = (raster_values().astype(float) - 1) / (tops - 1) * 255
    difference = pixels[..., :3].transpose(2, 0, 1) - expected
    assert abs(difference[:, valid()]).max() <= 1


def test_jpeg_has_no_alpha_and_is_near(raster):
    for image, mode in ((raster.divide(2), "RGB"), (raster.select("green"), "L")):
        file_format, found, pixels = opened(computed(image, "JPEG"))
        assert (file_format, found) == ("JPEG", mode)
        values = raster_values() // 2 if mode == "RGB" else raster_values()[1:2]
        expected = bytes_of(values).transpose(1, 2, 0).astype(int)
        difference = abs(pixels.reshape(expected.shape) - expected)
        assert difference[8:, 8:].mean() < 3


def test_auto_is_what_the_pixels_allow(raster):
    assert opened(computed(raster, "AUTO_JPEG_PNG"))[0] == "PNG"
    assert opened(computed(raster.unmask(0), "AUTO_JPEG_PNG"))[0] == "JPEG"


# Numbers.

CASTS = [
    ("toUint8", "u1"),
    ("toInt8", "i1"),
    ("toUint16", "u2"),
    ("toInt16", "i2"),
    ("toUint32", "u4"),
    ("toInt32", "i4"),
    ("toInt64", "i8"),
    ("toFloat", "f4"),
    ("toDouble", "f8"),
]


def test_npy_has_the_type_of_each_band(raster):
    """A field a band, of its own type; what is masked reads 0."""
    red = raster.select("red").subtract(30)
    image = ee.Image.cat([getattr(red, cast)().rename(dtype) for cast, dtype in CASTS])
    array = np.load(io.BytesIO(computed(image, "NPY")), allow_pickle=False)
    assert array.dtype == np.dtype([(dtype, "<" + dtype) for _, dtype in CASTS])
    values = raster_values()[0].astype(int) - 30
    for _, dtype in CASTS:
        low = 0 if dtype.startswith("u") else values.min()
        expected = np.where(valid(), np.clip(values, low, None), 0)
        np.testing.assert_array_equal(array[dtype], expected)


def test_npy_downloads_are_those_of_compute_pixels(raster):
    url = raster.getDownloadURL({"format": "NPY", "bands": ["blue", "red"], **PLACE})
    array = np.load(io.BytesIO(fetch(url).content), allow_pickle=False)
    assert array.dtype == np.dtype([("blue", "<u2"), ("red", "<u2")])
    np.testing.assert_array_equal(array["blue"], raster_values()[2])


@pytest.fixture(params=["computePixels", "getPixels", "GEO_TIFF", "ZIPPED_GEO_TIFF"])
def geotiff(request, raster):
    """The whole raster as a GeoTIFF, by each of the ways there are."""
    if request.param == "computePixels":
        return computed(raster, "GEO_TIFF"), 0
    if request.param == "getPixels":
        wanted = {"assetId": RASTER_ID, "fileFormat": "GEO_TIFF", "grid": WHOLE}
        return ee.data.getPixels(wanted), None
    url = raster.getDownloadURL({"format": request.param, "name": "one", **PLACE})
    content = fetch(url).content
    if request.param == "GEO_TIFF":
        return content, 0
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == ["one.tif"]
        return archive.read("one.tif"), 0


def test_geotiff_opens_where_it_lies_with_its_names_and_its_nodata(geotiff):
    data, nodata = geotiff
    with MemoryFile(data) as memory, memory.open() as dataset:
        assert dataset.driver == "GTiff"
        assert dataset.crs.to_epsg() == 32613
        assert dataset.transform == TRANSFORM
        assert dataset.shape == SHAPE
        assert dataset.descriptions == BANDS
        assert dataset.dtypes == ("uint16",) * 3
        assert dataset.nodatavals == (nodata,) * 3
        np.testing.assert_array_equal(dataset.read(), raster_values())
        if nodata is not None:
            np.testing.assert_array_equal(dataset.read(1, masked=True).mask, ~valid())


@pytest.mark.parametrize(
    ("cast", "dtype", "nodata"),
    [
        ("toUint8", "uint8", 0),
        ("toInt8", "int8", -128),
        ("toInt16", "int16", -(2**15)),
        ("toInt32", "int32", -(2**31)),
        ("toUint32", "uint32", 0),
        ("toFloat", "float32", -np.inf),
        ("toDouble", "float64", -np.inf),
    ],
)
def test_geotiff_is_of_the_bands_type_and_masked_by_its_nodata(raster, cast, dtype, nodata):
    image = getattr(raster.select("red"), cast)()
    with MemoryFile(computed(image, "GEO_TIFF")) as memory, memory.open() as dataset:
        assert (dataset.dtypes, dataset.nodata) == ((dtype,), nodata)
        found = dataset.read(1, masked=True)
    np.testing.assert_array_equal(np.ma.getmaskarray(found), ~valid())
    np.testing.assert_array_equal(found.data[valid()], raster_values()[0][valid()])


def test_large_geotiffs_are_tiled_and_whole(raster):
    """A metre a pixel: each of the raster's pixels ten by ten times, one more column and row."""
    fine = Affine(1, 0, TRANSFORM.c, 0, -1, TRANSFORM.f)
    grid = {**WHOLE, "dimensions": {"width": 801, "height": 601}}
    grid["affineTransform"] = {**WHOLE["affineTransform"], "scaleX": 1, "scaleY": -1}
    with MemoryFile(computed(raster, "GEO_TIFF", grid)) as memory, memory.open() as dataset:
        assert dataset.profile["tiled"]
        assert dataset.block_shapes == [(256, 256)] * 3
        assert dataset.transform == fine
        found = dataset.read(masked=True)
    expected = np.pad(raster_values().repeat(10, 1).repeat(10, 2), ((0, 0), (0, 1), (0, 1)))
    np.testing.assert_array_equal(found.data, expected)
    np.testing.assert_array_equal(np.ma.getmaskarray(found), expected == 0)


@pytest.mark.parametrize("explicit", [True, False])
def test_zipped_bands_are_geotiffs_of_one_band_each_of_its_own_type(raster, explicit):
    image = raster.select("red").toInt16().addBands(raster.select("blue").toFloat())
    form = {"format": "ZIPPED_GEO_TIFF_PER_BAND"} if explicit else {"filePerBand": True}
    content = fetch(image.getDownloadURL({"name": "two", **form, **PLACE})).content
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert archive.testzip() is None
        parts = {name: archive.read(name) for name in archive.namelist()}
    assert set(parts) == {"two.red.tif", "two.blue.tif"}
    for name, index, dtype in (("red", 0, "int16"), ("blue", 2, "float32")):
        with MemoryFile(parts[f"two.{name}.tif"]) as memory, memory.open() as dataset:
            assert (dataset.count, dataset.dtypes) == (1, (dtype,))
            assert (dataset.crs.to_epsg(), dataset.transform) == (32613, TRANSFORM)
            assert dataset.descriptions == (name,)
            found = dataset.read(1, masked=True)
        np.testing.assert_array_equal(np.ma.getmaskarray(found), ~valid())
        np.testing.assert_array_equal(found.data[valid()], raster_values()[index][valid()])


def test_bands_in_files_of_their_own_may_have_grids_of_their_own(raster):
    """As the client documents: what is said of a band counts more than what is said of all."""
    left, top = TRANSFORM @ (20, 10)
    region = ee.Geometry.Rectangle([left, top - 100, left + 200, top], "EPSG:32613", False)
    bands = [{"id": "red"}, {"id": "blue", "scale": 20}, {"id": "green", "crs": "EPSG:4326"}]
    asked = {"bands": bands, "region": region, "crs": "EPSG:32613", "scale": 10, "name": "own"}
    found = {}
    with zipfile.ZipFile(io.BytesIO(fetch(raster.getDownloadURL(asked)).content)) as archive:
        for name in archive.namelist():
            with MemoryFile(archive.read(name)) as memory, memory.open() as dataset:
                found[name] = dataset.crs.to_epsg(), dataset.transform, dataset.read(1)
    assert list(found) == ["own.red.tif", "own.blue.tif", "own.green.tif"]
    crs, transform, red = found["own.red.tif"]
    assert (crs, transform) == (32613, Affine(10, 0, left, 0, -10, top))
    np.testing.assert_array_equal(red, raster_values()[0, 10:20, 20:40])
    crs, transform, blue = found["own.blue.tif"]
    assert (crs, transform) == (32613, Affine(20, 0, left, 0, -20, top))
    # Twice the size is the pyramid's second level: the mean of four, rounded.
    means = raster_values()[2, 10:20, 20:40].reshape(5, 2, 10, 2).mean(axis=(1, 3))
    assert abs(blue - means).max() <= 0.5
    crs, transform, green = found["own.green.tif"]
    assert crs == 4326
    assert 1e-5 < transform.a < 2e-4
    inside = raster_values()[1, 10:20, 20:40]
    assert set(inside.ravel()) - {inside.max()} <= set(green.ravel())


def test_bands_of_one_file_share_the_first_ones_grid():
    """Sentinel-2 has bands of 10, 20 and 60 m: apart each has its own, together the first's."""
    scene = ee.ImageCollection("COPERNICUS/S2_SR_HARMONIZED").filterBounds(
        ee.Geometry.Point([-93.5, 42.1])
    )
    image = ee.Image(scene.first()).select(["B2", "B5", "B1"])
    region = ee.Geometry.Rectangle([458_400, 4_660_740, 459_000, 4_661_100], "EPSG:32615", False)
    apart = fetch(image.getDownloadURL({"region": region, "name": "s"})).content
    with zipfile.ZipFile(io.BytesIO(apart)) as archive:
        sizes = {}
        for name in archive.namelist():
            with MemoryFile(archive.read(name)) as memory, memory.open() as dataset:
                sizes[name] = dataset.transform.a, dataset.shape
    assert sizes == {
        "s.B2.tif": (10, (36, 60)),
        "s.B5.tif": (20, (18, 30)),
        "s.B1.tif": (60, (6, 10)),
    }
    together = fetch(image.getDownloadURL({"region": region, "format": "GEO_TIFF"})).content
    with MemoryFile(together) as memory, memory.open() as dataset:
        assert (dataset.count, dataset.transform.a, dataset.shape) == (3, 10, (36, 60))


def test_geotiffs_lie_in_other_systems_and_on_sheared_grids(raster):
    """A grid as it is asked for is the grid that rasterio finds, in each way to name a crs."""
    red = raster.select("red")
    sheared = {"scaleX": 10, "shearX": 2, "shearY": 1, "scaleY": -10}
    sheared |= {"translateX": 500_200, "translateY": 4_399_800}
    grid = {**WHOLE, "affineTransform": sheared, "dimensions": {"width": 9, "height": 7}}
    transform = Affine(10, 2, 500_200, 1, -10, 4_399_800)
    rows, cols = np.mgrid[:7, :9] + 0.5
    x, y = transform.a * cols + transform.b * rows, transform.d * cols + transform.e * rows
    picked = np.floor((200 - y) / 10).astype(int), np.floor((200 + x) / 10).astype(int)
    with MemoryFile(computed(red, "GEO_TIFF", grid)) as memory, memory.open() as dataset:
        assert dataset.transform == transform
        np.testing.assert_array_equal(dataset.read(1), raster_values()[0][picked])
    wkt = CRS.from_epsg(32613).to_wkt()
    named = {key: value for key, value in WHOLE.items() if key != "crsCode"} | {"crsWkt": wkt}
    with MemoryFile(computed(red, "GEO_TIFF", named)) as memory, memory.open() as dataset:
        assert dataset.crs == CRS.from_epsg(32613)
        np.testing.assert_array_equal(dataset.read(1), raster_values()[0])
    image = ee.Image("MODIS/061/MOD11A2/2019_01_01").select("LST_Day_1km")
    size = 926.625433055833
    sinusoidal = {"scaleX": size, "scaleY": -size, "translateX": -size * 8400}
    sinusoidal |= {"translateY": size * 4800}
    grid = {"affineTransform": sinusoidal, "crsCode": "SR-ORG:6974"}
    grid["dimensions"] = {"width": 20, "height": 10}
    with MemoryFile(computed(image, "GEO_TIFF", grid)) as memory, memory.open() as dataset:
        told = dataset.crs.to_dict()
        assert (told["proj"], told["R"]) == ("sinu", pytest.approx(6371007.181))
        assert tuple(dataset.transform)[:6] == (size, 0, -size * 8400, 0, -size, size * 4800)
        values = dataset.read(1)
    np.testing.assert_array_equal(
        values, np.load(io.BytesIO(computed(image, "NPY", grid)))["LST_Day_1km"]
    )


# Tables.

ODD_TEXT = 'say "a, b",\nthen é; \U0001f30d'
SQUARE = [[[0, 0], [2, 0], [2, 2], [0, 2], [0, 0]], [[0.5, 0.5], [0.5, 1], [1, 1], [0.5, 0.5]]]


@pytest.fixture
def odd_table():
    """Features with all that is hard on a format; the second lacks what the first has."""
    first = ee.Feature(
        ee.Geometry.Point([-105.25, 40]),
        {"text": ODD_TEXT, "n": 3, "x": 0.1, "list": [1, [2, "b"]], "dict": {"a": {"b": 1}}},
    )
    second = ee.Feature(ee.Geometry.Polygon(SQUARE, None, False), {"n": -1, "text": ""})
    third = ee.Feature(None, {"text": "  spaces ", "x": 1e-300, "n": 2**40})
    return ee.FeatureCollection([first, second, third])


COLUMNS = ["system:index", "dict", "list", "n", "text", "x", ".geo"]


def test_csv_as_pythons_reader_has_it(odd_table):
    response = fetch(odd_table.getDownloadURL("csv", filename="odd"))
    assert response.headers["Content-Type"].startswith("text/csv")
    assert 'filename="odd.csv"' in response.headers["Content-Disposition"]
    rows = list(csv.DictReader(io.StringIO(response.content.decode("utf-8"), newline="")))
    assert list(rows[0]) == COLUMNS
    assert [row["system:index"] for row in rows] == ["0", "1", "2"]
    assert [row["text"] for row in rows] == [ODD_TEXT, "", "  spaces "]
    assert [row["n"] for row in rows] == ["3", "-1", str(2**40)]
    assert [row["x"] for row in rows] == ["0.1", "", "1e-300"]
    assert json.loads(rows[0]["list"]) == [1, [2, "b"]]
    assert json.loads(rows[0]["dict"]) == {"a": {"b": 1}}
    assert rows[1]["list"] == rows[1]["dict"] == rows[2][".geo"] == ""
    assert shapely.from_geojson(rows[0][".geo"]).equals(shapely.Point(-105.25, 40))
    assert shapely.from_geojson(rows[1][".geo"]).equals(shapely.Polygon(SQUARE[0], SQUARE[1:]))


def test_csv_as_pandas_has_it(odd_table):
    text = fetch(odd_table.getDownloadURL("csv", ["x", "n", "missing", ".geo"])).text
    frame = pd.read_csv(io.StringIO(text))
    assert list(frame) == ["x", "n", "missing", ".geo"]
    assert frame["n"].tolist() == [3, -1, 2**40]
    assert frame["x"].isna().tolist() == [False, True, False]
    assert frame["x"][2] == 1e-300
    assert frame["missing"].isna().all()
    assert frame[".geo"].isna().tolist() == [False, False, True]


@pytest.mark.parametrize("name", ["geojson", "json"])
def test_geojson_as_geopandas_has_it(odd_table, name):
    content = fetch(odd_table.getDownloadURL(name)).content
    frame = gpd.read_file(io.BytesIO(content))
    assert frame.crs.to_epsg() == 4326
    assert frame["text"].tolist() == [ODD_TEXT, "", "  spaces "]
    assert frame["n"].tolist() == [3, -1, 2**40]
    assert frame["x"].isna().tolist() == [False, True, False]
    assert frame.geometry[0].equals(shapely.Point(-105.25, 40))
    assert frame.geometry[1].equals(shapely.Polygon(SQUARE[0], SQUARE[1:]))
    assert frame.geometry[2] is None
    properties = json.loads(content)["features"][0]["properties"]
    assert (properties["list"], properties["dict"]) == ([1, [2, "b"]], {"a": {"b": 1}})


def test_geojson_of_chosen_properties(odd_table):
    content = fetch(odd_table.getDownloadURL("geojson", ["n"])).json()
    assert [f["properties"] for f in content["features"]] == [{"n": 3}, {"n": -1}, {"n": 2**40}]


def test_empty_tables_are_tables():
    nothing = ee.FeatureCollection([])
    assert list(pd.read_csv(io.StringIO(fetch(nothing.getDownloadURL("csv")).text))) == [
        "system:index",
        ".geo",
    ]
    assert fetch(nothing.getDownloadURL("geojson")).json()["features"] == []


def test_table_downloads_have_no_limit_of_elements():
    """5,000 is what getInfo answers; a file has them all."""
    numbers = ee.List.sequence(1, 5001)
    table = ee.FeatureCollection(numbers.map(lambda n: ee.Feature(None, {"n": n})))
    frame = pd.read_csv(io.StringIO(fetch(table.getDownloadURL("csv", ["n"])).text))
    assert frame["n"].tolist() == list(range(1, 5002))

"""Pixels as PNG, JPEG, NumPy files and GeoTIFFs: readers of others find what was encoded."""

import io
import zipfile

import numpy as np
import pytest
import rasterio
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image as Pillow
from rasterio.io import MemoryFile

from eedask.emulator.errors import EarthEngineError
from eedask.emulator.output.encode import (
    Layer,
    encode_geotiff,
    encode_npy,
    encode_picture,
    encode_zip,
)
from eedask.emulator.output.formats import IMAGE_FORMATS
from eedask.emulator.pixels.raster import Grid, Pixels, uniform

SHAPE = (5, 7)
GRID = Grid("EPSG:32613", Affine(30, 0, 500000, 0, -30, 4400000), 7, 5)


def layer(name, values, mask=None, dtype=None):
    values = np.asarray(values)
    mask = np.ones(values.shape, np.float32) if mask is None else np.asarray(mask, np.float32)
    return Layer(name, np.dtype(dtype or values.dtype), Pixels(values, mask))


def ramp(dtype=np.uint8, start=0):
    return (np.arange(35).reshape(SHAPE) + start).astype(dtype)


def holes():
    mask = np.ones(SHAPE, np.float32)
    mask[1, 2] = mask[4, 6] = 0
    return mask


def drawn(layers, name):
    return encode_picture(layers, name, IMAGE_FORMATS[name].draw)


def open_picture(data):
    picture = Pillow.open(io.BytesIO(data))
    return picture.mode, np.asarray(picture)


def read_tiff(data):
    with MemoryFile(data) as memory, memory.open() as dataset:
        return dataset.read(), dataset.profile, dataset.descriptions, dataset.crs


def test_npy_has_a_field_a_band_with_its_own_type_and_zero_where_masked():
    red, far = ramp(np.uint16, 1000), ramp(np.float64, 0.5)
    array = np.load(io.BytesIO(encode_npy([layer("B4", red), layer("far", far, holes())])))
    assert array.dtype == np.dtype([("B4", "<u2"), ("far", "<f8")])
    assert array.shape == SHAPE
    np.testing.assert_array_equal(array["B4"], red)
    np.testing.assert_array_equal(array["far"], np.where(holes() > 0, far, 0))


def saved(layers):
    """Return what NumPy itself writes of layers without holes."""
    array = np.zeros(layers[0].pixels.values.shape, [(one.name, one.dtype) for one in layers])
    for one in layers:
        array[one.name] = one.pixels.values
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (7, 1), (12, 300)])
@pytest.mark.parametrize("names", [["b"], ["B1", "long name, 'quoted'", "ärm"]])
def test_npy_is_what_numpy_writes(shape, names):
    kinds = [np.uint8, np.int16, np.float64]
    layers = [
        layer(name, np.arange(np.prod(shape)).reshape(shape) % 100, dtype=kind)
        for name, kind in zip(names, kinds, strict=False)
    ]
    # The second time the header is known.
    assert [encode_npy(layers), encode_npy(layers)] == [saved(layers)] * 2


@pytest.mark.parametrize("names", [["面積"], [f"{i:0>60}" for i in range(1000)]])
def test_npy_of_names_that_need_a_later_version(names):
    layers = [layer(name, ramp()) for name in names]
    with pytest.warns(UserWarning, match="Stored array in format"):
        assert encode_npy(layers) == saved(layers)


@pytest.mark.parametrize("value", [1, 0.0, -0.0, np.nan, True, 2**63 - 1])
@pytest.mark.parametrize("shape", [(3, 4), (1, 1), (0, 5)])
@pytest.mark.parametrize("dtype", [np.float32, np.int64, np.float64])
def test_uniform_is_a_number_broadcast(value, shape, dtype):
    if dtype is np.int64 and value != value:
        value = 7
    array = uniform(value, shape, dtype)
    expected = np.broadcast_to(np.asarray(value, dtype), shape)
    assert (array.shape, array.strides) == (expected.shape, expected.strides)
    assert (array.dtype, array.flags.writeable) == (expected.dtype, False)
    assert array.tobytes() == expected.tobytes()


def test_uniform_of_arrays_and_of_objects():
    assert uniform([1, 2], (3, 2)).tolist() == [[1, 2]] * 3
    assert uniform(None, (2, 1), object).tolist() == [[None], [None]]


def test_a_faint_pixel_is_not_masked():
    mask = np.full(SHAPE, 0.01, np.float32)
    array = np.load(io.BytesIO(encode_npy([layer("b", ramp(start=1), mask)])))
    np.testing.assert_array_equal(array["b"], ramp(start=1))


@given(
    arrays.arrays(np.float64, SHAPE, elements=st.floats(-1e30, 1e30)),
    st.sampled_from(["uint8", "int8", "int16", "uint32", "int32", "int64"]),
)
def test_integers_are_cut_to_their_range_and_to_whole_numbers(values, dtype):
    array = np.load(io.BytesIO(encode_npy([layer("b", values, dtype=dtype)])))
    info = np.iinfo(dtype)
    expected = [min(max(int(v), info.min), info.max) for v in values.ravel()]
    # The largest 64-bit integers are not floats: there the neighbour below will do.
    np.testing.assert_allclose(array["b"].ravel().astype(float), np.array(expected, float))
    if dtype != "int64":
        assert array["b"].ravel().tolist() == expected


def test_geotiff_lies_where_its_grid_does():
    bands, profile, names, crs = read_tiff(
        encode_geotiff([layer("R", ramp()), layer("G", ramp(start=100), holes())], GRID)
    )
    np.testing.assert_array_equal(bands[0], ramp())
    np.testing.assert_array_equal(bands[1], np.where(holes() > 0, ramp(start=100), 0))
    assert names == ("R", "G")
    assert profile["transform"] == GRID.transform
    assert profile["dtype"] == "uint8"
    assert profile["nodata"] == 0
    assert crs.to_epsg() == 32613


@pytest.mark.parametrize(
    ("types", "common"),
    [
        (["uint8", "int8"], "int16"),
        (["uint16", "float32"], "float32"),
        (["uint32", "int32"], "float64"),
        (["int64"], "float64"),
        (["int8"], "int8"),
    ],
)
def test_geotiff_takes_the_narrowest_common_type(types, common):
    layers = [layer(f"b{i}", ramp(dtype)) for i, dtype in enumerate(types)]
    bands, profile, _, _ = read_tiff(encode_geotiff(layers, GRID))
    assert profile["dtype"] == common
    for band in bands:
        np.testing.assert_array_equal(band, ramp())


@pytest.mark.parametrize(
    ("types", "nodata"),
    [
        (["uint8"], 0),
        (["int8"], -128),
        (["int16"], -32768),
        (["uint16"], 0),
        (["int32"], -(2**31)),
        (["uint32"], 0),
        (["float32"], -np.inf),
        (["float64"], -np.inf),
        (["uint8", "int16"], -32768),
    ],
)
def test_masked_pixels_of_geotiffs_are_nodata(types, nodata):
    layers = [layer(f"b{i}", ramp(dtype, start=1), holes()) for i, dtype in enumerate(types)]
    bands, profile, _, _ = read_tiff(encode_geotiff(layers, GRID))
    assert profile["nodata"] == nodata
    for band in bands:
        np.testing.assert_array_equal(band, np.where(holes() > 0, ramp(np.float64, 1), nodata))


def test_geotiffs_without_nodata_have_zeros():
    layers = [layer("b", ramp("int16", start=1), holes())]
    bands, profile, _, _ = read_tiff(encode_geotiff(layers, GRID, has_nodata=False))
    assert profile["nodata"] is None
    np.testing.assert_array_equal(bands[0], np.where(holes() > 0, ramp(start=1), 0))


def test_wide_integers_advertise_nodata_that_is_not_there():
    bands, profile, _, _ = read_tiff(encode_geotiff([layer("b", ramp("int64"), holes())], GRID))
    assert profile["nodata"] == -np.inf
    assert bands[0][1, 2] == 0


def test_geotiff_in_the_sinusoidal_projection_and_in_wkt():
    sinusoidal = Grid("SR-ORG:6974", Affine(926.6, 0, -1e7, 0, -926.6, 4e6), 7, 5)
    _, _, _, crs = read_tiff(encode_geotiff([layer("b", ramp())], sinusoidal))
    assert crs.to_dict()["proj"] == "sinu"
    assert crs.to_dict()["R"] == pytest.approx(6371007.181)
    wkt = rasterio.crs.CRS.from_epsg(3035).to_wkt()
    named = Grid(wkt, GRID.transform, 7, 5)
    _, _, _, crs = read_tiff(encode_geotiff([layer("b", ramp())], named))
    assert crs == rasterio.crs.CRS.from_epsg(3035)


def test_large_geotiffs_are_tiled():
    values = np.arange(600 * 20, dtype=np.uint16).reshape(20, 600)
    grid = Grid("EPSG:4326", Affine(0.1, 0, 0, 0, -0.1, 0), 600, 20)
    bands, profile, _, _ = read_tiff(encode_geotiff([layer("b", values)], grid))
    assert profile["tiled"]
    assert (profile["blockxsize"], profile["blockysize"]) == (256, 256)
    np.testing.assert_array_equal(bands[0], values)


@pytest.mark.parametrize(("count", "mode"), [(1, "L"), (3, "RGB")])
def test_png_of_opaque_pixels_is_exact_and_has_no_alpha(count, mode):
    layers = [layer(f"b{i}", ramp(start=i)) for i in range(count)]
    data, content_type = drawn(layers, "PNG")
    assert content_type == "image/png"
    found, pixels = open_picture(data)
    assert found == mode
    np.testing.assert_array_equal(
        pixels.reshape(*SHAPE, count), np.dstack([ramp(start=i) for i in range(count)])
    )


@pytest.mark.parametrize(("count", "mode"), [(1, "LA"), (3, "RGBA")])
def test_png_alpha_is_the_least_mask(count, mode):
    masks = [holes() for _ in range(count)]
    masks[-1][0, 0] = 0.5
    layers = [layer(f"b{i}", ramp(start=9), mask) for i, mask in enumerate(masks)]
    found, pixels = open_picture(drawn(layers, "PNG")[0])
    assert found == mode
    alpha = np.full(SHAPE, 255)
    alpha[1, 2] = alpha[4, 6] = 0
    alpha[0, 0] = 128
    np.testing.assert_array_equal(pixels[..., -1], alpha)
    assert pixels[1, 2].tolist() == [0] * (count + 1)
    assert pixels[0, 0].tolist() == [9] * count + [128]


def test_pictures_clip_to_a_byte():
    values = np.array([[-5.0, 0.9, 254.99, 255.0, 1e9, np.nan, np.inf]])
    _, pixels = open_picture(drawn([layer("b", values)], "PNG")[0])
    assert pixels.tolist() == [[0, 0, 254, 255, 255, 0, 255]]


def test_jpeg_is_near_and_zero_where_masked():
    values = np.full((64, 64), 200, np.uint8)
    mask = np.ones((64, 64), np.float32)
    mask[:32] = 0
    data, content_type = drawn([layer(n, values, mask) for n in "rgb"], "JPEG")
    assert content_type == "image/jpeg"
    mode, pixels = open_picture(data)
    assert mode == "RGB"
    assert pixels[:24].max() < 8
    assert abs(pixels[40:].astype(int) - 200).max() < 8


def test_auto_is_jpeg_only_where_all_is_opaque():
    assert drawn([layer("b", ramp())], "AUTO_JPEG_PNG")[1] == "image/jpeg"
    assert drawn([layer("b", ramp(), holes())], "AUTO_JPEG_PNG")[1] == "image/png"
    opaque = Layer("b", np.dtype("u1"), Pixels(ramp(), uniform(1, SHAPE)))
    clear = Layer("b", np.dtype("u1"), Pixels(ramp(), uniform(0, SHAPE)))
    assert drawn([opaque], "AUTO_JPEG_PNG")[1] == "image/jpeg"
    assert drawn([clear], "AUTO_JPEG_PNG")[1] == "image/png"


@pytest.mark.parametrize("count", [2, 4])
@pytest.mark.parametrize("file_format", ["PNG", "JPEG", "AUTO_JPEG_PNG"])
def test_pictures_of_other_than_one_or_three_bands_are_refused(count, file_format):
    with pytest.raises(EarthEngineError, match="1 or 3 bands"):
        drawn([layer(f"b{i}", ramp()) for i in range(count)], file_format)


def test_zip_holds_its_files_and_is_the_same_each_time():
    files = [("a.tif", b"one"), ("b.tif", b"two")]
    data = encode_zip(files)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert [(name, archive.read(name)) for name in archive.namelist()] == files
    assert encode_zip(files) == data

"""Masked is never a value: what files of data hold where an image is masked."""

import json

import ee
import geopandas as gpd
import numpy as np
import pytest
import rasterio
import shapely
from limits import limited
from mounted import write

import eedask
from eedask.emulator import Emulator
from eedask.errors import InputError

pytestmark = pytest.mark.usefixtures("threads")

FOLDER = "projects/eedask-tests/assets"
PLACE = rasterio.Affine(10, 0, 500000, 0, -10, 4700000)
SIDE = 40
# The type of a raster, and the nodata value that its file states. Zeros are real in all.
TYPES = {"uint8": 7, "uint16": 7, "int16": -9999, "int32": -9999, "float32": -9999}
# Of NPY, as which chips of a known grid come, and of GeoTIFF, as which others come.
NPY_READINGS = (None, "npy_masked=any")
TIF_READINGS = ("geotiff_nodata=never,geotiff_types=refused", "geotiff_nodata=where_masked")
ANY = pytest.mark.parametrize("readings", ["npy_masked=any"], indirect=True)


def values_of(dtype):
    """Two bands, with zeros and masked pixels in different places of each."""
    rng = np.random.default_rng(4)
    values = rng.integers(0, 200, (2, SIDE, SIDE)).astype(dtype)
    values[:, :6] = 0
    values[values == 7] = 8
    masked = rng.random((2, SIDE, SIDE)) < 0.3
    values[masked] = TYPES[dtype]
    return values


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    folder = tmp_path_factory.mktemp("masked")
    for dtype, nodata in TYPES.items():
        write(folder / f"{dtype}.tif", values_of(dtype), "EPSG:32614", PLACE, nodata)
    mounts = {f"{FOLDER}/{dtype}": folder / f"{dtype}.tif" for dtype in TYPES}
    with Emulator(mounts=mounts, processes=1) as running, running.initialized():
        yield running, folder


@pytest.fixture(params=NPY_READINGS, ids=str)
def readings(request, world):
    world[0].set_readings(request.param)
    yield
    world[0].set_readings(None)


def chip(image, out, fmt, side=None, **more):
    """Run a chip of the whole raster and five pixels beyond it; return its row and result."""
    box = shapely.box(500000, 4700000 - 10 * SIDE, 500000 + 10 * (SIDE + 5), 4700000)
    items = gpd.GeoDataFrame(geometry=[box], index=["a"], crs="EPSG:32614")
    options = {"crs": "EPSG:32614", "scale": 10, "format": fmt, **more}
    plan = eedask.chips(items, image, out=out, **options)
    if side is not None:
        plan = limited(plan, side=side)
    result = plan.run(progress=False)
    return result.manifest.loc["a"], result


def opened(result):
    """Return a chip's values and where it masks them, shape (bands, rows, columns)."""
    found = result.open("a")
    if isinstance(found, np.ndarray):
        bands = [found[name] for name in found.dtype.names]
        return np.stack([b.data for b in bands]), np.stack([np.ma.getmaskarray(b) for b in bands])
    with found:
        values = found.read(masked=True)
    return values.data, np.ma.getmaskarray(values)


def oracle(folder, dtype):
    """Return rasterio's values and masks of the chip."""
    with rasterio.open(folder / f"{dtype}.tif") as source:
        window = rasterio.windows.Window(0, 0, SIDE + 5, SIDE)
        found = source.read(window=window, boundless=True, masked=True)
    return found.data, np.ma.getmaskarray(found)


@ANY
@pytest.mark.parametrize(
    ("fmt", "dtype", "side"),
    [("npy", dtype, 17) for dtype in TYPES]
    + [("tif", dtype, 17) for dtype in ("int16", "int32", "float32")]
    + [("npy", "uint8", None), ("tif", "int16", None)],
)
@pytest.mark.cross(4)
def test_each_band_is_masked_where_it_is(world, readings, tmp_path, fmt, dtype, side):
    row, result = chip(ee.Image(f"{FOLDER}/{dtype}"), tmp_path, fmt, side)
    assert row["status"] == "ok", row["error"]
    values, masked = opened(result)
    expected, nowhere = oracle(world[1], dtype)
    assert values.dtype == dtype
    np.testing.assert_array_equal(masked, nowhere)
    np.testing.assert_array_equal(values[~masked], expected[~nowhere])
    assert (values[~masked] == 0).any()


@ANY
@pytest.mark.parametrize(
    ("dtype", "bands", "side"),
    [("uint8", ["b1"], None), ("uint8", None, 17), ("uint16", None, None), ("uint16", ["b1"], 17)],
)
def test_an_unsigned_geotiff_has_one_mask_in_it(world, readings, tmp_path, dtype, side, bands):
    """It masks what is masked in any band; the values of the others stay in the file."""
    image = ee.Image(f"{FOLDER}/{dtype}")
    row, result = chip(image, tmp_path, "tif", side, bands=bands)
    assert row["status"] == "ok", row["error"]
    values, masked = opened(result)
    expected, nowhere = (of[: len(bands or (1, 2))] for of in oracle(world[1], dtype))
    assert len(values) == len(expected)
    np.testing.assert_array_equal(masked, np.broadcast_to(nowhere.any(axis=0), masked.shape))
    np.testing.assert_array_equal(values, np.where(nowhere, 0, expected))
    with rasterio.open(tmp_path / row["path"]) as file:
        assert file.nodata is None
        assert file.mask_flag_enums == ([rasterio.enums.MaskFlags.per_dataset],) * file.count
    assert len(list((tmp_path / row["path"]).parent.iterdir())) == 1


@pytest.mark.parametrize(("fmt", "dtype"), [("tif", "uint8"), ("npy", "uint8"), ("npy", "float32")])
@pytest.mark.cross(4)
def test_nodata_is_what_was_stated(world, readings, tmp_path, fmt, dtype):
    image = ee.Image(f"{FOLDER}/{dtype}")
    row, result = chip(image, tmp_path, fmt, bands=["b2", "b1"], nodata=255)
    assert row["status"] == "ok", row["error"]
    values, masked = opened(result)
    expected, nowhere = (of[::-1] for of in oracle(world[1], dtype))
    np.testing.assert_array_equal(masked, nowhere)
    np.testing.assert_array_equal(values, np.where(nowhere, 255, expected))
    values, masked = opened(eedask.open_result(tmp_path))
    np.testing.assert_array_equal(masked, nowhere)
    assert json.loads((tmp_path / "plan.json").read_text())["asked"]["nodata"] == "255"
    if fmt == "tif":
        with rasterio.open(tmp_path / row["path"]) as file:
            assert file.nodatavals == (255, 255)


@pytest.mark.parametrize("fmt", ["npy", "tif"])
def test_a_mask_as_a_band(world, readings, tmp_path, fmt):
    row, result = chip(ee.Image(f"{FOLDER}/uint8"), tmp_path, fmt, mask="band")
    assert row["status"] == "ok", row["error"]
    values, masked = opened(result)
    expected, nowhere = oracle(world[1], "uint8")
    assert values.dtype == np.uint8
    np.testing.assert_array_equal(masked[:2], np.stack([nowhere.any(axis=0)] * 2))
    np.testing.assert_array_equal(values[:2], np.where(nowhere, 0, expected))
    np.testing.assert_array_equal(values[2], ~nowhere.any(axis=0))


@pytest.mark.parametrize("readings", [None, *TIF_READINGS], indirect=True, ids=str)
@pytest.mark.parametrize(
    ("fmt", "dtype", "bands"),
    [("tif", "uint8", None), ("tif", "float32", ["b2", "b1"]), ("npy", "int16", None)],
)
@pytest.mark.cross(3)
def test_where_earth_engine_works_out_the_grid(world, readings, tmp_path, fmt, dtype, bands):
    row, result = by_region(ee.Image(f"{FOLDER}/{dtype}"), tmp_path, fmt, bands=bands)
    assert row["status"] == "ok", row["error"]
    values, masked = opened(result)
    order = slice(None, None, -1 if bands else 1)
    expected, nowhere = (of[order, :, :SIDE] for of in oracle(world[1], dtype))
    np.testing.assert_array_equal(np.where(masked, 0, values), np.where(masked, 0, expected))
    if (fmt, dtype) == ("tif", "uint8"):
        nowhere = np.broadcast_to(nowhere.any(axis=0), masked.shape)
    np.testing.assert_array_equal(masked, nowhere)
    assert values.dtype == dtype
    if fmt == "tif":
        with rasterio.open(tmp_path / row["path"]) as file:
            assert file.descriptions == (("b2", "b1") if bands else ("b1", "b2"))
            assert (file.crs, file.transform) == ("EPSG:32614", PLACE)


def by_region(image, out, fmt, **more):
    """Run a chip of the whole raster, whose grid Earth Engine works out; return row and result."""
    place = ee.Geometry.Rectangle(
        [500000, 4700000 - 10 * SIDE, 500000 + 10 * SIDE, 4700000], "EPSG:32614", False
    )
    items = gpd.GeoDataFrame(geometry=[shapely.Point(0, 0)], index=["a"], crs="EPSG:4326")
    options = {"region": lambda item: place, "shape": (SIDE, SIDE), "format": fmt, **more}
    result = eedask.chips(items, image, out=out, **options).run(progress=False)
    return result.manifest.loc["a"], result


@pytest.mark.parametrize("readings", ["geotiff_types=refused"], indirect=True)
def test_a_geotiff_of_bands_of_several_types(world, readings, tmp_path):
    """It has the least type that holds them all; Earth Engine is not asked for such a file."""
    image = ee.Image.cat(*(ee.Image(f"{FOLDER}/{d}").select(0) for d in ("uint8", "int16")))
    row, result = chip(image.rename(["bytes", "über 7"]), tmp_path, "tif")
    assert row["status"] == "ok", row["error"]
    assert list(result.bands) == ["bytes", "über 7"]
    values, masked = opened(result)
    assert values.dtype == np.int16
    for band, dtype in enumerate(("uint8", "int16")):
        expected, nowhere = (of[0] for of in oracle(world[1], dtype))
        np.testing.assert_array_equal(masked[band], nowhere)
        np.testing.assert_array_equal(values[band][~nowhere], expected[~nowhere])


@pytest.mark.parametrize("run", [chip, by_region], ids=["grid", "region"])
@pytest.mark.parametrize("fmt", ["npy", "tif"])
def test_pixels_that_are_partly_masked_are_valid(world, tmp_path, fmt, run):
    image = ee.Image(f"{FOLDER}/int16").unmask(100, False).updateMask(0.01)
    row, result = run(image, tmp_path, fmt)
    assert row["status"] == "ok", row["error"]
    values, masked = opened(result)
    assert not masked.any()
    expected, nowhere = (of[..., : values.shape[-1]] for of in oracle(world[1], "int16"))
    np.testing.assert_array_equal(values, np.where(nowhere, 100, expected))


@pytest.mark.parametrize("run", [chip, by_region], ids=["grid", "region"])
def test_a_nan_of_the_image_itself_is_one(world, tmp_path, run):
    image = ee.Image(f"{FOLDER}/float32").unmask(-1, False).sqrt()
    row, result = run(image, tmp_path, "tif", nodata=-5)
    assert row["status"] == "ok", row["error"]
    values, masked = opened(result)
    nowhere = oracle(world[1], "float32")[1][..., : values.shape[-1]]
    assert not masked.any()
    np.testing.assert_array_equal(np.isnan(values), nowhere)


@pytest.mark.parametrize("side", [None, 17], ids=["one request", "joined"])
@pytest.mark.parametrize("readings", [None, "png_alpha=always"], indirect=True, ids=str)
def test_a_png_is_clear_where_any_band_is_masked(world, readings, tmp_path, side):
    row, result = chip(ee.Image(f"{FOLDER}/uint8"), tmp_path, "png", side, bands=["b1", "b2", "b1"])
    assert row["status"] == "ok", row["error"]
    picture = np.moveaxis(np.asarray(result.open("a")), -1, 0)
    expected, nowhere = oracle(world[1], "uint8")
    nowhere = nowhere.any(axis=0)
    np.testing.assert_array_equal(picture[3], np.where(nowhere, 0, 255))
    np.testing.assert_array_equal(picture[:3, ~nowhere], expected[[0, 1, 0]][:, ~nowhere])


def test_a_jpeg_is_black_where_the_image_is_masked(world, tmp_path):
    """But for what its compression leaves about the edge, within blocks of 16 pixels."""
    easting = ee.Image.pixelCoordinates("EPSG:32614").select("x")
    image = ee.Image.constant([200, 200, 200]).toByte().updateMask(easting.lt(500_200))
    row, result = chip(image, tmp_path, "jpg")
    assert row["status"] == "ok", row["error"]
    picture = np.asarray(result.open("a")).astype(int)
    assert abs(picture[:, :16] - 200).max() < 8
    assert picture[:, 32:].max() < 8


@pytest.mark.parametrize(
    ("image", "fmt", "more", "words"),
    [
        ("uint8", "tif", {"nodata": -1}, "nodata=-1 is no value of uint8"),
        ("uint8", "npy", {"nodata": 0.5}, "nodata=0.5 is no value of uint8"),
        ("int16", "npy", {"nodata": 1e9}, "no value of int16"),
        ("float32", "npy", {"nodata": 0.1}, "nodata=0.1 is no value of float32"),
    ],
)
def test_nodata_that_the_type_cannot_hold(world, tmp_path, image, fmt, more, words):
    """Known before any chip is asked for if all items share an image of whole numbers."""
    image = ee.Image(f"{FOLDER}/{image}")
    row, _ = chip(lambda item: image.set("of", item.id), tmp_path / "own", fmt, **more)
    assert row["status"] == "failed"
    assert words in row["error"]
    if words.endswith("float32"):
        return
    before = world[0].stats()["requests"]
    with pytest.raises(InputError, match=words):
        chip(image, tmp_path / "shared", fmt, **more)
    assert world[0].stats()["requests"] == before + 1


@pytest.mark.parametrize("more", [{"mask": "band"}, {}], ids=["band", "field"])
def test_a_band_with_the_name_of_the_mask_is_refused(world, tmp_path, more):
    image = ee.Image(f"{FOLDER}/uint8").rename(["mask", "other"])
    row, _ = chip(image, tmp_path, "npy", **more)
    assert row["status"] == "failed"
    assert "rename the band" in row["error"]


def test_bands_may_have_the_names_that_masks_are_asked_for_by(world, tmp_path):
    names = ["mask_bits0", "mask_bits_0"]
    image = ee.Image(f"{FOLDER}/int16").rename(names)
    _, result = chip(image, tmp_path, "npy", bands=names)
    values, masked = opened(result)
    expected, nowhere = oracle(world[1], "int16")
    np.testing.assert_array_equal(masked, nowhere)
    np.testing.assert_array_equal(values[~masked], expected[~nowhere])


@ANY
@pytest.mark.parametrize("fmt", ["npy", "tif"])
def test_masks_of_more_bands_than_a_byte_has_bits(world, readings, tmp_path, fmt):
    one = ee.Image(f"{FOLDER}/int16")
    names = [f"B{n}" for n in range(11)]
    image = ee.Image.cat([one.select(n % 2) for n in range(11)]).rename(names)
    row, result = chip(image, tmp_path, fmt, bands=names)
    assert row["status"] == "ok", row["error"]
    values, masked = opened(result)
    expected, nowhere = oracle(world[1], "int16")
    assert len(values) == 11
    for n in range(11):
        np.testing.assert_array_equal(masked[n], nowhere[n % 2])
        np.testing.assert_array_equal(values[n][~masked[n]], expected[n % 2][~nowhere[n % 2]])


def test_a_picture_of_data_is_dark_where_nodata_is_stated(world, tmp_path):
    image = ee.Image(f"{FOLDER}/float32").select("b1")
    _, result = chip(image, tmp_path, "npy", nodata=1e9)
    sheet = np.asarray(result.contact_sheet(1, side=SIDE + 5).convert("L"))
    # One pixel of 1e9 would make all others black.
    assert len(np.unique(sheet)) > 50


@pytest.mark.parametrize("fmt", ["npy", "tif"])
def test_a_real_value_is_never_taken_for_masked(world, tmp_path, fmt):
    row, _ = chip(ee.Image.constant(-32768).toInt16(), tmp_path, fmt)
    assert row["status"] == "failed"
    assert "has pixels of -32768" in row["error"]


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"mask": "yes"}, "mask is 'band' or None; got 'yes'"),
        ({"nodata": "0"}, "nodata is a number; got '0'"),
        ({"nodata": True}, "nodata is a number; got True"),
        ({"nodata": 0, "mask": "band"}, "not both"),
        ({"nodata": 0, "format": "png"}, "are for formats of data"),
    ],
)
def test_arguments_that_do_not_fit(world, tmp_path, more, words):
    with pytest.raises(InputError, match=words):
        chip(ee.Image(1), tmp_path, more.pop("format", "npy"), **more)

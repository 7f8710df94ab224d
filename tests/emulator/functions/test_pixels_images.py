"""Images: bands, arithmetic, masks, clipping, composites and pictures."""

from types import SimpleNamespace

import numpy as np
import pytest
import shapely
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from pixel_images import TRANSFORM, UTM, cell, image, native, planar, run, values

from eedask.emulator.errors import EarthEngineError
from eedask.emulator.geometry.geometry import Geometry
from eedask.emulator.output.own_grid import output_grid
from eedask.emulator.pixels.projection import transformer
from eedask.emulator.pixels.raster import (
    DEFAULT_PROJECTION,
    Grid,
    Image,
    PixelType,
    Projection,
    apply,
)
from eedask.emulator.values.value_types import Collection, Date, Feature, Query, collection_of

POINT = Grid(UTM, TRANSFORM, 1, 1)


def one(name, *arguments):
    """The value of a function of numbers, by way of constant images."""
    images = [run("Image.constant", a) for a in arguments]
    return values(run(name, *images), POINT)[0, 0]


def images_of(*images):
    return collection_of("ImageCollection", list(images))


def fails(words, name, *arguments):
    with pytest.raises(EarthEngineError, match=words) as caught:
        run(name, *arguments)
    assert caught.value.code == 400


# Bands


@pytest.fixture
def scene():
    array = np.arange(4 * 20 * 30, dtype=np.uint16).reshape(4, 20, 30)
    return image(
        array, names=["R", "G", "B", "NIR"], **{"system:index": "s", "system:time_start": 5}
    )


def test_select(scene):
    assert run("Image.select", scene, ["NIR", "R"]).band_names == ["NIR", "R"]
    assert run("Image.select", scene, [-1, 0]).band_names == ["NIR", "R"]
    assert run("Image.select", scene, ["[RG]", "N.*"]).band_names == ["R", "G", "NIR"]
    assert run("Image.select", scene, ["R", "R"]).band_names == ["R", "R_1"]
    assert run("Image.select", scene, ["R"], ["x"]).band_names == ["x"]
    assert run("Image.select", scene, ["R"]).properties == scene.properties
    words = (
        r"Image.select: Band pattern 'x' did not match any bands. Available bands: \[R, G, B, NIR\]"
    )
    fails(words, "Image.select", scene, ["x"])
    none = run("Image.select", scene, [])
    fails("pattern 'x' was applied to an Image with no bands", "Image.select", none, ["x"])
    fails("out of bounds", "Image.select", scene, [4])


def test_names(scene):
    assert run("Image.rename", scene, list("abcd")).band_names == list("abcd")
    fails("number of names", "Image.rename", scene, ["a"])
    fails("Duplicate", "Image.rename", scene, ["a", "a", "b", "c"])
    assert run("Image.regexpRename", scene, "(.)$", "$1_x").band_names == [
        "R_x",
        "G_x",
        "B_x",
        "NIR_x",
    ]
    assert run("Image.bandNames", scene) == ["R", "G", "B", "NIR"]


def test_add_bands(scene):
    two = run("Image.select", scene, ["R", "G"])
    other = run("Image.constant", {"G": 7, "Z": 8})
    assert run("Image.addBands", two, other).band_names == ["R", "G", "G_1", "Z"]
    replaced = run("Image.addBands", two, other, None, True)
    assert replaced.band_names == ["R", "G", "Z"]
    assert (values(replaced, native(scene), 1) == 7).all()
    assert run("Image.addBands", two, other, ["Z"]).band_names == ["R", "G", "Z"]
    assert replaced.properties == scene.properties


def test_properties(scene):
    assert run("Image.date", scene) == Date(5.0)
    fails("system:time_start", "Image.date", image(np.zeros((2, 2), np.uint8)))
    bare = run("Image.constant", 1)
    assert "system:time_start" not in run("Image.copyProperties", bare, scene).properties
    copied = run("Image.copyProperties", bare, scene, ["system:time_start"])
    assert copied.properties == {"system:time_start": 5}


def test_loading_asks_the_catalog(scene):
    from eedask.emulator.functions.registry import IMPLEMENTATIONS

    catalog = SimpleNamespace(load_image=lambda i: (i, scene), load_collection=lambda i: (i, 3))
    context = SimpleNamespace(catalog=catalog)
    for name, expected in (("Image.load", scene), ("ImageCollection.load", 3)):
        implementation = IMPLEMENTATIONS[name]
        assert implementation.needs_context
        assert implementation.function(context, "A/B", None) == ("A/B", expected)


# Arithmetic


@pytest.mark.parametrize(
    ("name", "arguments", "expected"),
    [
        ("add", (2, 3), 5),
        ("subtract", (2, 3), -1),
        ("multiply", (200, 3), 600),
        ("divide", (7, 2), 3.5),
        ("divide", (7, 0), 0),
        ("mod", (-12, 5), -2),
        ("mod", (5.5, 2), 1.5),
        ("mod", (5, 0), 0),
        ("pow", (5, -2), 0.04),
        ("hypot", (3, 4), 5),
        ("atan2", (1, 1), np.pi / 4),
        ("max", (2, 3.5), 3.5),
        ("min", (2, 3.5), 2),
        ("first", (2, 3), 2),
        ("firstNonZero", (0, 3), 3),
        ("and", (2, 0), 0),
        ("and", (2, -1), 1),
        ("or", (0, 0.5), 1),
        ("lt", (1, 2), 1),
        ("lte", (2, 2), 1),
        ("gt", (1, 2), 0),
        ("gte", (-1, 0), 0),
        ("eq", (1, 1.0), 1),
        ("neq", (1, 1), 0),
        ("bitwiseAnd", (65535, 255), 255),
        ("bitwiseAnd", (-1, 255), 255),
        ("bitwiseOr", (6, 9), 15),
        ("bitwiseXor", (5, 1), 4),
        ("leftShift", (20, 2), 80),
        ("rightShift", (20, 2), 5),
        ("rightShift", (255, 4), 15),
        ("leftShift", (3, -1), 1),
    ],
)
def test_binary(name, arguments, expected):
    assert one(f"Image.{name}", *arguments) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("abs", -3, 3),
        ("not", 0, 1),
        ("not", 0.1, 0),
        ("round", 10.5, 11),
        ("round", 10.4, 10),
        ("floor", -1.5, -2),
        ("ceil", 1.2, 2),
        ("sqrt", 16, 4),
        ("exp", 1, np.e),
        ("log", np.e, 1),
        ("log10", 1000, 3),
        ("signum", -8, -1),
        ("bitwiseNot", 5, -6),
        ("bitCount", 255, 8),
        ("toByte", 256, 255),
        ("toByte", -1, 0),
        ("toByte", 3.9, 3),
        ("toInt", -2.9, -2),
        ("toInt16", 40000, 32767),
        ("toUint16", 1e9, 65535),
        ("toInt64", 1e30, 2.0**63),
        ("toFloat", 3, 3),
        ("double", 3, 3),
        ("int8", -200, -128),
    ],
)
def test_unary(name, value, expected):
    assert one(f"Image.{name}", value) == pytest.approx(expected, rel=1e-6)


@given(
    name=st.sampled_from(
        ["add", "subtract", "multiply", "max", "min", "bitwiseAnd", "bitwiseOr", "bitwiseXor"]
    ),
    left=st.sampled_from(["uint8", "int8", "uint16", "int16", "uint32", "int32"]),
    right=st.sampled_from(["uint8", "int8", "uint16", "int16", "uint32", "int32"]),
    seed=st.integers(0, 1000),
)
@settings(max_examples=120, deadline=None)
def test_integer_arithmetic_does_not_overflow(name, left, right, seed):
    rng = np.random.default_rng(seed)

    def draw(dtype):
        info = np.iinfo(dtype)
        ends = [info.min, info.max, 0, 1]
        return np.r_[ends, rng.integers(info.min, info.max, 60, dtype=dtype, endpoint=True)]

    a, b = draw(left), draw(right)
    rng.shuffle(b)
    plain = {
        "add": "__add__",
        "subtract": "__sub__",
        "multiply": "__mul__",
        "bitwiseAnd": "__and__",
        "bitwiseOr": "__or__",
        "bitwiseXor": "__xor__",
    }
    pick = {"max": max, "min": min}.get(name) or (lambda x, y: getattr(int, plain[name])(x, y))
    wanted = [pick(int(x), int(y)) for x, y in zip(a, b, strict=True)]
    shape = (1, 8, 8)
    result = run(
        f"Image.{name}", image(a.astype(left).reshape(shape)), image(b.astype(right).reshape(shape))
    )
    band = result.bands[0]
    got = band.read(native(result)).values
    assert got.dtype == band.type.dtype
    if band.type.precision == "int":
        assert got.ravel().tolist() == wanted
        # The limits are doubles, which cannot tell the largest numbers of 64 bits apart.
        assert band.type.min <= float(min(wanted))
        assert float(max(wanted)) <= band.type.max
    else:
        assert np.allclose(got.ravel(), np.array(wanted, float), rtol=1e-15)


def test_types():
    byte, short = image(np.zeros((2, 2), np.uint8)), image(np.zeros((2, 2), np.uint16))
    real = image(np.zeros((2, 2), np.float32))

    def kind(name, a, b):
        return run(f"Image.{name}", a, b).bands[0].type

    assert kind("subtract", short, short) == PixelType("int", -65535, 65535)
    assert kind("add", byte, byte) == PixelType("int", 0, 510)
    assert kind("divide", byte, byte) == PixelType("float")
    assert kind("multiply", short, run("Image.constant", 0.02)) == PixelType("double")
    assert kind("add", real, byte) == PixelType("float")
    assert kind("eq", real, byte) == PixelType("int", 0, 1)
    assert run("Image.constant", 5).bands[0].type == PixelType("int", 5, 5)
    assert run("Image.bandTypes", byte) == {"b0": PixelType("int", 0, 255)}


def test_bands_are_paired():
    three = image(
        np.stack([np.full((2, 2), i, np.int32) for i in (1, 2, 3)]), names=["a", "b", "c"]
    )
    ten = run("Image.constant", 10)
    assert run("Image.add", three, ten).band_names == ["a", "b", "c"]
    assert run("Image.add", ten, three).band_names == ["a", "b", "c"]
    swapped = run("Image.select", three, ["c", "a", "b"])
    added = run("Image.add", three, swapped)  # by name
    assert [values(added, band=i)[0, 0] for i in range(3)] == [2, 4, 6]
    other = run("Image.rename", swapped, ["x", "y", "z"])
    added = run("Image.add", three, other)  # by place
    assert [values(added, band=i)[0, 0] for i in range(3)] == [4, 3, 5]
    assert added.band_names == ["a", "b", "c"]
    two = run("Image.select", three, ["b", "c"])
    assert run("Image.subtract", three, two).band_names == ["b", "c"]
    fails("If one image has no bands", "Image.add", three, Image(()))
    assert run("Image.add", Image(()), Image(())).bands == ()


def test_results_are_masked_where_an_operand_is():
    mask = np.array([[1, 0], [0.5, 1]], np.float32)
    a = image(np.full((2, 2), 3, np.uint8), mask=mask)
    b = image(np.full((2, 2), 4, np.uint8), mask=np.array([[1, 1], [0.75, 0]], np.float32))
    pixels = run("Image.add", a, b).bands[0].read(native(a))
    assert pixels.mask.tolist() == [[1, 0], [0.5, 0]]


def test_quality_bits_of_modis():
    # Bits 0-1: mandatory flag. Bits 6-7: error flag.
    qc = image(np.array([[0b00000000, 0b01000001], [0b11000000, 0b00000010]], np.uint8))
    flag = run("Image.bitwiseAnd", qc, run("Image.constant", 3))
    error = run("Image.rightShift", qc, run("Image.constant", 6))
    good = run(
        "Image.and",
        run("Image.lte", flag, run("Image.constant", 1)),
        run("Image.lte", error, run("Image.constant", 1)),
    )
    assert values(good).tolist() == [[1, 1], [0, 0]]


# Masks


def test_masks():
    array = np.array([[1, 2], [3, 4]], np.int16)
    img = image(array, mask=np.array([[1, 0], [1, 1]], np.float32))
    by = image(np.array([[0, 1], [1, 5]], np.int8))
    updated = run("Image.updateMask", img, by)
    assert np.array_equal(values(updated), [[np.nan, np.nan], [3, 4]], equal_nan=True)
    assert values(run("Image.mask", img, by)).tolist()[0][1] == 2
    assert values(run("Image.mask", img, None)).tolist() == [[1, 0], [1, 1]]
    zeros = run("Image.subtract", img, run("Image.constant", 3))
    assert np.isnan(values(run("Image.selfMask", zeros))).tolist() == [[True, True], [True, False]]
    # Negative values do not make a mask.
    assert np.isnan(values(run("Image.updateMask", img, run("Image.constant", -1)))).all()


def test_unmask_stays_within_the_footprint():
    img = image(np.array([[1, 2], [3, 4]], np.int16), mask=np.array([[1, 0], [1, 1]], np.float32))
    around = native(img, 4, 4, -1, -1)
    inner = values(run("Image.unmask", img, run("Image.constant", 9)), around)
    assert inner[1:3, 1:3].tolist() == [[1, 9], [3, 4]]
    assert np.isnan(inner[[0, 0, 3, 3], [0, 3, 0, 3]]).all()
    everywhere = values(run("Image.unmask", img, None, False), around)
    assert everywhere[0].tolist() == [0, 0, 0, 0]
    assert everywhere[2].tolist() == [0, 3, 4, 0]


def test_where_and_remap():
    img = image(np.array([[1, 2], [3, 4]], np.uint8))
    test = run("Image.gt", img, run("Image.constant", 2))
    assert values(run("Image.where", img, test, run("Image.constant", 300))).tolist() == [
        [1, 2],
        [300, 300],
    ]
    remapped = run("Image.remap", img, [4, 1], [40, 10], None, None)
    assert remapped.band_names == ["remapped"]
    assert np.array_equal(values(remapped), [[10, np.nan], [np.nan, 40]], equal_nan=True)
    assert values(run("Image.remap", img, [4], [40], 7, "b0")).tolist() == [[7, 7], [7, 40]]


def test_normalized_difference_and_scaling():
    img = image(np.array([[[3, -1]], [[1, 5]]], np.int16), names=["N", "R"])
    result = run("Image.normalizedDifference", img, ["N", "R"])
    assert result.band_names == ["nd"]
    assert np.array_equal(values(result), [[0.5, np.nan]], equal_nan=True)
    clamped = run("Image.clamp", img, 0.0, 2.0)
    assert values(clamped, band=1).tolist() == [[1, 2]]
    assert values(run("Image.unitScale", img, 1.0, 5.0), band=1).tolist() == [[0, 1]]


# Expressions


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1 + 2 * 3 ** 2", 19),
        ("-2 ** 2", -4),
        ("(1 + 2) * 3", 9),
        ("7 % 4 - 1", 2),
        ("2 ^ 3", 8),
        ("a > 2 ? 10 : 20", 10),
        ("a > 5 ? 1 : a > 2 ? 2 : 3", 2),
        ("!(a == 3) || 1 && 0", 0),
        ("max(a, 5) + min(1, 2) + abs(-4)", 10),
        ("b('x') * 2", 8),
        ("b(0) + b('y')", 9),
        ("img.y / 2", 2.5),
        ("sqrt(16)", 4),
        ("a & 2 | 4", 6),
        ("1e2 + .5", 100.5),
        ("a << 2", 12),
        ("img['y']", 5),
    ],
)
def test_expressions(text, expected):
    img = run("Image.constant", {"x": 4, "y": 5})
    function = run("Image.parseExpression", text, "img", ["img", "a"], False)
    assert values(function(img=img, a=3), POINT)[0, 0] == expected
    assert values(function(img, 3), POINT)[0, 0] == expected


@pytest.mark.parametrize(
    "text", ["1 +", "(1", "a $ b", "b(", "unknown", "nofunction(1)", "1 2", ""]
)
def test_expressions_that_are_none(text):
    with pytest.raises(EarthEngineError, match="parseExpression"):
        run("Image.parseExpression", text, "img", ["img"], False)(run("Image.constant", 1))


# Sources


def test_positions():
    lonlat = run("Image.pixelLonLat")
    grid = Grid(UTM, TRANSFORM, 5, 4)
    x, y = np.meshgrid(500005 + 10 * np.arange(5), 4399995 - 10 * np.arange(4))
    lon, lat = transformer(UTM, "EPSG:4326").transform(x, y)
    assert np.allclose(values(lonlat, grid, 0), lon, atol=1e-12)
    assert np.allclose(values(lonlat, grid, 1), lat, atol=1e-12)
    degrees = Grid("EPSG:4326", Affine(0.5, 0, 10, 0, -0.5, 50), 3, 2)
    assert values(lonlat, degrees, 0).tolist() == [[10.25, 10.75, 11.25]] * 2


def test_pixel_area_of_the_whole_sphere():
    grid = Grid("EPSG:4326", Affine(2, 0, -180, 0, -2, 90), 180, 90)
    total = values(run("Image.pixelArea"), grid).sum()
    assert total == pytest.approx(4 * np.pi * 6371007.181**2, rel=1e-6)


def test_random_is_a_function_of_seed_and_place():
    img = run("Image.random", 3, "uniform")
    grid = Grid(UTM, TRANSFORM, 200, 200)
    whole = values(img, grid)
    part = values(img, Grid(UTM, Affine(10, 0, 500500, 0, -10, 4399600), 50, 40))
    assert np.array_equal(part, whole[40:80, 50:100])
    assert abs(whole.mean() - 0.5) < 0.01
    assert len(np.unique(whole)) == whole.size
    assert not np.array_equal(values(run("Image.random", 4, "uniform"), grid), whole)
    assert abs(values(run("Image.random", 3, "normal"), grid).std() - 1) < 0.02


# Geometry


def test_clip_masks_by_covered_fraction():
    img = image(np.full((10, 10), 7, np.uint8))
    clipped = run("Image.clip", img, planar(cell(2, 3, 2.25, 1.5)))
    mask = clipped.bands[0].read(native(img)).mask
    assert mask[3, 2:5].tolist() == pytest.approx([1, 1, 64 / 255])
    assert mask[4, 2] == pytest.approx(128 / 255)
    assert (mask > 0).sum() == 6
    assert clipped.bands[0].dimensions == (3, 2)
    assert clipped.bands[0].origin == (2, 3)
    assert clipped.footprint.lonlat.within(img.footprint.lonlat.buffer(1e-9))


def box_of(image_, col, row, width, height):
    return planar(cell(col, row, width, height))


def test_a_clip_to_size_divides_the_bounds(scene):
    sized = run(
        "Image.clipToBoundsAndScale", scene, box_of(scene, 5, 4, 20, 10), 40, 10, None, None
    )
    grid = output_grid(sized, default_size=512)
    assert (grid.width, grid.height) == (40, 10)
    assert grid.transform.almost_equals(Affine(5, 0, 500050, 0, -10, 4399960))
    wanted = np.repeat(scene.bands[1].read(native(scene)).values[4:14, 5:25], 2, axis=1)
    assert np.array_equal(values(sized, grid, 1), wanted)


def test_a_clip_to_scale_keeps_the_origin(scene):
    sized = run(
        "Image.clipToBoundsAndScale", scene, box_of(scene, 5.3, 4.2, 9, 3), None, None, None, 10.0
    )
    grid = output_grid(sized)
    assert grid.bounds == (500050, 4399920, 500150, 4399960)
    by_side = run(
        "Image.clipToBoundsAndScale", scene, box_of(scene, 0, 0, 20, 10), None, None, 8, None
    )
    assert output_grid(by_side).shape == (4, 8)
    fails("Only one of", "Image.clipToBoundsAndScale", scene, None, None, None, 8, 2.0)
    fails("go together", "Image.clipToBoundsAndScale", scene, None, 8, None, None, None)


def test_composites_come_out_north_up():
    composite = run("ImageCollection.mosaic", images_of(image(np.ones((4, 4), np.uint8))))
    region = Geometry(shapely.box(-105.0, 39.0, -104.9, 39.05), geodesic=False)
    sized = run("Image.clipToBoundsAndScale", composite, region, 256, 128, None, None)
    grid = output_grid(sized)
    assert (grid.crs, grid.width, grid.height) == ("EPSG:4326", 256, 128)
    assert grid.bounds == pytest.approx((-105.0, 39.0, -104.9, 39.05))
    assert grid.transform.e < 0
    thumb = output_grid(run("Image.clip", composite, region), default_size=512)
    assert (thumb.width, thumb.height) == (512, 256)
    assert thumb.bounds == pytest.approx((-105.0, 39.0, -104.9, 39.05))
    scaled = run(
        "Image.clipToBoundsAndScale", composite, region, None, None, None, 111.31949079327358
    )
    assert output_grid(scaled).shape == (50, 100)
    with pytest.raises(EarthEngineError, match="unbounded"):
        output_grid(composite)
    fails("unbounded", "Image.clipToBoundsAndScale", composite, None, None, None, 512, None)


def test_downloads_default_to_the_native_grid(scene):
    grid = output_grid(scene)
    assert grid == Grid(UTM, TRANSFORM, 30, 20)
    clipped = run("Image.clip", scene, box_of(scene, 3, 4, 5, 6))
    assert output_grid(clipped) == native(scene, 5, 6, 3, 4)


def test_exact_rectangle_of_crs_and_transform(scene):
    # What getThumbURL makes of crs, crs_transform and dimensions.
    projection = Projection(UTM, Affine(5, 0, 500010, 0, -5, 4399990))
    moved = run("Image.reproject", scene, projection, None, None)
    left, top = 500010, 4399990
    rectangle = planar(shapely.box(left, top - 5 * 8, left + 5 * 12, top))
    sized = run("Image.clipToBoundsAndScale", moved, rectangle, None, None, None, None)
    grid = output_grid(sized, default_size=512)
    assert (grid.width, grid.height, grid.transform) == (12, 8, projection.transform)
    wanted = np.kron(scene.bands[0].read(native(scene)).values[1:5, 1:7], np.ones((2, 2)))
    assert np.array_equal(values(sized, grid), wanted)


def test_reproject_fixes_the_pixels():
    rng = np.random.default_rng(0)
    img = image(rng.integers(0, 255, (40, 40), dtype=np.uint8))
    coarse = Projection(UTM, Affine(40, 0, 500000, 0, -40, 4400000))
    fixed = run("Image.reproject", img, coarse, None, None)
    got = values(fixed, native(img))
    assert np.array_equal(got, np.kron(got[::4, ::4], np.ones((4, 4))))
    assert run("Image.projection", fixed) == coarse


def test_default_projections():
    assert run("Image.projection", run("Image.constant", 1)) == DEFAULT_PROJECTION
    set_ = run("Image.setDefaultProjection", run("Image.constant", 1), Projection(UTM), None, 30.0)
    assert run("Image.projection", set_).transform.a == 30
    mixed = run("Image.addBands", image(np.zeros((2, 2), np.uint8)), run("Image.constant", 1))
    fails("different projections", "Image.projection", mixed)


def test_resample_reaches_the_source():
    img = image(np.array([[0, 100], [0, 100]], np.float32))
    smooth = run("Image.multiply", run("Image.resample", img, "bilinear"), run("Image.constant", 2))
    grid = Grid(UTM, Affine(10, 0, 500005, 0, -10, 4400000), 1, 1)
    assert values(smooth, grid)[0, 0] == 100
    fails("Unknown resampling mode", "Image.resample", img, "cubic")


# Composites


def test_mosaic_takes_the_last_unmasked_pixel():
    layers, masks = [], []
    rng = np.random.default_rng(3)
    for i in range(4):
        masks.append((rng.random((6, 6)) > 0.6).astype(np.float32))
        layers.append(image(np.full((6, 6), i + 1, np.uint8), mask=masks[-1]))
    got = values(run("ImageCollection.mosaic", images_of(*layers)), native(layers[0]))
    wanted = np.full((6, 6), np.nan)
    for i, mask in enumerate(masks):
        wanted[mask > 0] = i + 1
    assert np.array_equal(got, wanted, equal_nan=True)


def test_mosaics_read_only_what_touches_the_grid():
    asked, read = [], []

    def scene_at(i):
        img = image(
            np.full((10, 10), i % 200, np.uint8), Affine(10, 0, 500000 + 100 * i, 0, -10, 4400000)
        )
        band = img.bands[0]

        def reader(grid, band=band, i=i):
            read.append(i)
            return band.read(grid)

        from dataclasses import replace

        return img.with_bands((replace(band, read=reader),))

    scenes = [scene_at(i) for i in range(100)]

    def source(query):
        asked.append(query.bounds)
        return iter(scenes)

    composite = run("ImageCollection.mosaic", Collection("ImageCollection", source))
    grid = Grid(UTM, Affine(10, 0, 502000, 0, -10, 4400000), 15, 10)
    got = values(composite, grid)
    assert np.array_equal(got[0], [20.0] * 10 + [21.0] * 5)
    assert set(read) <= {19, 20, 21, 22}
    assert asked[-1] is not None
    west, south, east, north = asked[-1]
    assert -107 < west < east < -103
    assert 39 < south < north < 41


def test_a_full_pixel_stops_the_mosaic():
    def broken(grid):
        raise AssertionError("covered images are not read")

    from dataclasses import replace

    top = image(np.ones((3, 3), np.uint8))
    below = top.with_bands((replace(top.bands[0], read=broken),))
    assert (values(run("ImageCollection.mosaic", images_of(below, top)), native(top)) == 1).all()


def test_to_bands_and_quality_mosaic():
    a = image(np.array([[[1, 2]], [[5, 1]]], np.uint8), names=["v", "q"], **{"system:index": "A"})
    b = image(np.array([[[3, 4]], [[2, 9]]], np.uint8), names=["v", "q"], **{"system:index": "B"})
    joined = run("ImageCollection.toBands", images_of(a, b))
    assert joined.band_names == ["A_v", "A_q", "B_v", "B_q"]
    best = run("ImageCollection.qualityMosaic", images_of(a, b), "q")
    assert values(best, native(a)).tolist() == [[1, 4]]


def test_collections_are_reduced_by_pixel():
    rng = np.random.default_rng(4)
    stack = rng.integers(0, 100, (7, 5, 6)).astype(np.uint8)
    masks = (rng.random(stack.shape) > 0.3).astype(np.float32)
    masks[:, 0, 0] = 0
    scenes = [image(v, mask=m) for v, m in zip(stack, masks, strict=True)]
    data = np.ma.masked_array(stack.astype(float), masks == 0)
    wanted = {
        "min": data.min(0),
        "max": data.max(0),
        "mean": data.mean(0),
        "median": np.ma.median(data, 0),
        "sum": data.sum(0),
        "stdDev": data.std(0),
        "variance": data.var(0),
    }
    for name, expected in wanted.items():
        reduced = run("ImageCollection.reduce", images_of(*scenes), run(f"Reducer.{name}"), 1.0)
        assert reduced.band_names == [f"b0_{name}"]
        got = values(reduced, native(scenes[0]))
        assert np.allclose(got, expected.filled(np.nan), equal_nan=True), name
    for name in ("min", "max", "mean", "median", "sum"):
        short = run(f"reduce.{name}", images_of(*scenes))
        assert short.band_names == ["b0"]
        assert np.allclose(
            values(short, native(scenes[0])), wanted[name].filled(np.nan), equal_nan=True
        )
    counted = values(run("reduce.count", images_of(*scenes)), native(scenes[0]))
    assert np.array_equal(counted, data.count(0))
    firsts = run("ImageCollection.reduce", images_of(*scenes), run("Reducer.first"), 1.0)
    order = (masks > 0).argmax(axis=0)
    assert values(firsts, native(scenes[0]))[2, 3] == stack[order[2, 3], 2, 3]


def test_bands_are_reduced_by_pixel():
    img = image(np.array([[[1, 2]], [[5, 1]], [[9, 30]]], np.int16))
    reduced = run("Image.reduce", img, run("Reducer.minMax"))
    assert reduced.band_names == ["min", "max"]
    assert values(reduced, band=1).tolist() == [[9, 30]]
    assert values(run("Image.reduce", img, run("Reducer.median"))).tolist() == [[5, 2]]


# Pictures


def test_visualize():
    img = image(
        np.array([[[0, 50, 100, 200]], [[1, 2, 3, 4]], [[9, 9, 9, 9]]], np.uint8),
        names=["r", "g", "b"],
    )
    gray = run("Image.visualize", img, ["r"], None, None, 0, 100)
    assert gray.band_names == ["vis-gray"]
    assert values(gray).tolist() == [[0, 128, 255, 255]]
    assert gray.bands[0].type == PixelType("int", 0, 255)
    rgb = run("Image.visualize", img, None, None, None, [0, 0, 0], [255, 4, 9])
    assert rgb.band_names == ["vis-red", "vis-green", "vis-blue"]
    assert values(rgb, band=0).tolist() == [[0, 50, 100, 200]]
    assert values(rgb, band=1).tolist() == [[64, 128, 191, 255]]
    colored = run(
        "Image.visualize",
        img,
        ["r"],
        None,
        None,
        0,
        200,
        None,
        None,
        ["black", "00FF00", "#ff0000"],
    )
    assert [values(colored, band=i).tolist()[0] for i in range(3)] == [
        [0, 0, 0, 255],
        [0, 128, 255, 0],
        [0, 0, 0, 0],
    ]
    gained = run("Image.visualize", img, ["r"], 2.0, 10.0)
    assert values(gained).tolist() == [[10, 110, 210, 255]]
    curved = run("Image.visualize", img, ["r"], None, None, 0, 200, 2.0)
    assert values(curved)[0, 1] == round(255 * 0.5)
    faint = run("Image.visualize", img, ["r"], None, None, 0, 100, None, 0.5)
    assert faint.bands[0].read(native(img)).mask.tolist() == [[0.5] * 4]
    fails("palette", "Image.visualize", img, None, None, None, None, None, None, None, ["red"])
    fails("Invalid color", "Image.visualize", img, ["r"], None, None, 0, 1, None, None, ["nocolor"])
    fails("Cannot specify both", "Image.visualize", img, ["r"], 1.0, None, 0, 1)


def test_default_ranges_are_those_of_the_type():
    def shown(array):
        return values(run("Image.visualize", image(np.asarray(array)[None]))).tolist()

    assert shown(np.array([[0, 255]], np.uint8)) == [[0, 255]]
    assert shown(np.array([[0, 65535]], np.uint16)) == [[0, 255]]
    assert shown(np.array([[0, 0.5, 2]], np.float32)) == [[0, 128, 255]]


def test_combine_and_cast_collections():
    def scene(name, value, **more):
        return image(np.full((2, 2), value, np.int16), names=[name], **more)

    first = images_of(
        scene("a", 1, **{"system:index": "x"}), scene("a", 2, **{"system:index": "y"})
    )
    second = images_of(
        scene("a", 7, **{"system:index": "y"}), scene("b", 8, **{"system:index": "z"})
    )
    (one,) = run("ImageCollection.combine", first, second, False).elements()
    assert one.band_names == ["a", "a_1"]
    assert (values(one, None, 1) == 7).all()
    (other,) = run("ImageCollection.combine", first, second, True).elements()
    assert (values(other) == 7).all()
    types = {"a": "float", "b": PixelType("int", 0, 255)}
    found = list(run("ImageCollection.cast", second, types, ["b", "a"]).elements())
    assert [img.band_names for img in found] == [["b", "a"]] * 2
    assert np.isnan(values(found[0], native(other))).all()
    assert values(found[0], native(other), 1).tolist() == [[7, 7], [7, 7]]
    assert [b.type.dtype for b in found[1].bands] == [np.uint8, np.float32]
    fails("must match the keys", "ImageCollection.cast", second, types, ["b"])
    lacking = run("ImageCollection.cast", second, {"a": "float"}, ["a"])
    with pytest.raises(EarthEngineError, match="No type is given for band 'b'"):
        list(lacking.elements())


def test_an_image_without_bands_has_no_statistics():
    empty = run("Image.select", image(np.zeros((2, 2), np.uint8)), [])
    arguments = (run("Reducer.mean"), None, None, None, None, False, 1e7, 1.0)
    assert run("Image.reduceRegion", empty, *arguments) == {}


# Neighbourhoods


def test_focal_filters():
    rng = np.random.default_rng(5)
    array = rng.random((12, 14)).astype(np.float32)
    img = image(array)
    inner = native(img, 12, 10, 1, 1)
    windows = np.lib.stride_tricks.sliding_window_view(array, (3, 3)).reshape(10, 12, 9)
    for name, function in (
        ("mean", np.mean),
        ("min", np.min),
        ("max", np.max),
        ("median", np.median),
    ):
        got = values(run(f"Image.focal_{name}", img, 1.0, "square", "pixels", 1, None), inner)
        assert np.allclose(got, function(windows, axis=2), rtol=1e-6), name
    metres = values(run("Image.focal_mean", img, 10.0, "square", "meters", 1, None), inner)
    assert np.allclose(metres, windows.mean(axis=2), rtol=1e-6)


def test_terrain_of_a_plane():
    # Falls to the south-east by 3 in 10 metres east and 4 in 10 metres south.
    row, col = np.indices((8, 8))
    dem = image((1000 - 3 * col - 4 * row).astype(np.float32), names=["elevation"])
    inner = native(dem, 6, 6, 1, 1)
    assert np.allclose(values(run("Terrain.slope", dem), inner), np.degrees(np.arctan(0.5)))
    assert np.allclose(
        values(run("Terrain.aspect", dem), inner), 180 - np.degrees(np.arctan2(3, 4))
    )
    assert np.isnan(values(run("Terrain.slope", dem), native(dem))[0]).all()
    flat = image(np.full((4, 4), 5.0, np.float32))
    shade = values(run("Terrain.hillshade", flat, 270.0, 45.0), native(flat, 2, 2, 1, 1))
    assert (shade == round(255 * np.sin(np.pi / 4))).all()
    assert run("Terrain.products", dem).band_names == ["elevation", "slope", "aspect", "hillshade"]


@pytest.mark.parametrize(("crs", "latitude"), [(UTM, None), ("EPSG:4326", 60.0)])
def test_terrain_equals_numpy(crs, latitude):
    rng = np.random.default_rng(9)
    z = rng.normal(500, 20, (12, 14))
    size = 10.0 if latitude is None else 0.001
    top = 4400000.0 if latitude is None else latitude + 0.006
    transform = Affine(size, 0, 500000 if latitude is None else 10, 0, -size, top)
    dem = image(z, transform, crs)
    degree = 111319.49079327358
    rows = top - size * (np.arange(12) + 0.5)
    high = np.full(12, size) if latitude is None else np.full(12, size * degree)
    wide = high if latitude is None else high * np.cos(np.radians(rows))
    down, right = np.gradient(z)
    east, north = right / wide[:, None], -down / high[:, None]
    inside = (slice(1, -1), slice(1, -1))
    slope = np.degrees(np.arctan(np.hypot(east, north)))
    assert np.allclose(values(run("Terrain.slope", dem))[inside], slope[inside], rtol=1e-5)
    # Downhill, clockwise from north.
    aspect = np.degrees(np.arctan2(-east, -north)) % 360
    assert np.allclose(values(run("Terrain.aspect", dem))[inside], aspect[inside], rtol=1e-5)
    # The cosine of the angle between the sun and the normal of the ground.
    azimuth, elevation = np.radians([225.0, 30.0])
    sun = [np.sin(azimuth) * np.cos(elevation), np.cos(azimuth) * np.cos(elevation)]
    light = -east * sun[0] - north * sun[1] + np.sin(elevation)
    light = light / np.sqrt(east**2 + north**2 + 1)
    shade = values(run("Terrain.hillshade", dem, 225.0, 30.0))
    assert (np.abs(shade - 255 * light.clip(0, 1))[inside] <= 0.5001).all()
    flat = image(np.full((4, 4), 5.0), transform, crs)
    assert (values(run("Terrain.aspect", flat))[inside] == 0).all()


def test_reduce_resolution_weights_by_area():
    rng = np.random.default_rng(6)
    array = rng.random((12, 12)).astype(np.float32)
    img = run("Image.reduceResolution", image(array), run("Reducer.mean"), False, 64)
    whole = Grid(UTM, Affine(30, 0, 500000, 0, -30, 4400000), 4, 4)
    assert np.allclose(values(img, whole), array.reshape(4, 3, 4, 3).mean(axis=(1, 3)), rtol=1e-6)
    halves = Grid(UTM, Affine(15, 0, 500000, 0, -15, 4400000), 8, 8)
    first = (array[0, 0] + array[0, 1] / 2 + array[1, 0] / 2 + array[1, 1] / 4) / 2.25
    assert values(img, halves)[0, 0] == pytest.approx(first, rel=1e-6)
    with pytest.raises(EarthEngineError, match="Too many input pixels"):
        values(img, Grid(UTM, Affine(120, 0, 500000, 0, -120, 4400000), 1, 1))


@pytest.mark.parametrize(
    "grid",
    [
        Grid("EPSG:4326", Affine(4e-4, 0, -104.9995, 0, -3e-4, 39.7495), 4, 5),
        Grid("SR-ORG:6974", Affine(37, 0, -8976060, 0, -41, 4419690), 4, 4),
        Grid(UTM, Affine(30, 12, 500030, 8, -35, 4399900), 4, 3),
    ],
    ids=["degrees", "sinusoidal", "turned"],
)
def test_reduce_resolution_by_shared_area(grid):
    """Against polygons of the output pixels on those of the input."""
    rng = np.random.default_rng(7)
    array = rng.random((40, 44))
    mask = (rng.random(array.shape) > 0.1).astype(np.float32)
    img = image(array, names=["v"], mask=mask)
    got = {}
    for name in ("mean", "sum", "count", "max"):
        red = run(f"Reducer.{name}", 1) if name == "max" else run(f"Reducer.{name}")
        got[name] = values(run("Image.reduceResolution", img, red, False, 1000), grid)
    to_utm = transformer(grid.crs, UTM)
    for row in range(grid.height):
        for col in range(grid.width):
            corners = [(col, row), (col + 1, row), (col + 1, row + 1), (col, row + 1)]
            x, y = zip(*(apply(grid.transform, *c) for c in corners), strict=True)
            shape = shapely.Polygon(np.column_stack(to_utm.transform(x, y)))
            shares = np.zeros(array.shape)
            left, bottom, right, top = shape.bounds
            for r in range(max(0, int((4400000 - top) // 10)), int((4400000 - bottom) // 10) + 1):
                for c in range(max(0, int((left - 500000) // 10)), int((right - 500000) // 10) + 1):
                    if r < 40 and c < 44:
                        shares[r, c] = cell(c, r).intersection(shape).area / shape.area
            weights = shares * (mask > 0)
            if not weights.any():
                assert np.isnan(got["mean"][row, col])
                continue
            assert got["mean"][row, col] == pytest.approx(
                np.average(array, weights=weights), rel=1e-4
            )
            assert got["sum"][row, col] == pytest.approx((array * weights).sum(), rel=1e-4)
            there = weights > 1e-6
            assert got["count"][row, col] == there.sum()
            assert got["max"][row, col] == array[there].max()


def test_reduce_resolution_of_several_outputs_and_with_effort():
    rng = np.random.default_rng(8)
    array = rng.random((2, 32, 32))
    img = image(array, names=["a", "b"])
    grid = Grid(UTM, Affine(40, 0, 500000, 0, -40, 4400000), 8, 8)
    blocks = array.reshape(2, 8, 4, 8, 4)
    both = run("Reducer.combine", run("Reducer.mean"), run("Reducer.stdDev"), "", True)
    got = run("Image.reduceResolution", img, both, False, 64)
    assert got.band_names == ["a_mean", "a_stdDev", "b_mean", "b_stdDev"]
    assert np.allclose(values(got, grid, 3), blocks[1].std(axis=(1, 3)))
    fit = run("Image.reduceResolution", img, run("Reducer.linearFit"), False, 64)
    assert fit.band_names == ["scale", "offset"]
    x, y = blocks[0, 2, :, 5].ravel(), blocks[1, 2, :, 5].ravel()
    assert values(fit, grid)[2, 5] == pytest.approx(np.polyfit(x, y, 1)[0])
    effort = run("Image.reduceResolution", img, run("Reducer.mean"), True, 4)
    level = img.bands[0].read(Grid(UTM, Affine(20, 0, 500000, 0, -20, 4400000), 16, 16)).values
    wanted = level.reshape(8, 2, 8, 2).mean(axis=(1, 3))
    assert np.allclose(values(effort, grid), wanted)
    assert np.array_equal(values(effort, native(img)), array[0])


# Features as images


def feature(shape, **properties):
    return Feature(planar(shape), properties)


def test_reduce_to_image_paints_by_centres():
    features = [
        feature(cell(0, 0, 2.6, 2), v=1),
        feature(cell(1, 1, 3, 3), v=5),
        feature(shapely.Point(500095, 4399905), v=9),
        feature(cell(8, 8)),
    ]
    collection = collection_of("FeatureCollection", features)
    grid = Grid(UTM, TRANSFORM, 10, 10)
    first = run("Collection.reduceToImage", collection, ["v"], run("Reducer.first"))
    assert first.band_names == ["first"]
    got = values(first, grid)
    wanted = np.full((10, 10), np.nan)
    wanted[9, 9] = 9
    wanted[1:4, 1:4] = 5
    wanted[0:2, 0:3] = 1
    assert np.array_equal(got, wanted, equal_nan=True)
    counts = values(run("Collection.reduceToImage", collection, ["v"], run("Reducer.sum")), grid)
    assert counts[1, 1] == 6
    assert run("Image.projection", first) == DEFAULT_PROJECTION


def test_reduce_to_image_asks_for_what_is_near():
    asked = []

    def source(query: Query):
        asked.append(query)
        return iter([feature(cell(0, 0), v=1)])

    img = run(
        "Collection.reduceToImage",
        Collection("FeatureCollection", source),
        ["v"],
        run("Reducer.max"),
    )
    values(img, Grid(UTM, TRANSFORM, 3, 3))
    assert asked[0].bounds is not None


def test_paint():
    img = run("Image.toByte", run("Image.constant", 1))
    collection = collection_of("FeatureCollection", [feature(cell(1, 1, 4, 4), v=6)])
    grid = Grid(UTM, TRANSFORM, 7, 7)
    filled = values(run("Image.paint", img, collection, 3, None), grid)
    assert (filled == 3).sum() == 16
    assert (values(run("Image.paint", img, collection, "v", None), grid) == 6).sum() == 16
    outline = values(run("Image.paint", img, collection, 3, 1), grid)
    assert outline[3, 3] == 1
    assert outline[1, 2] == 3


def test_bands_are_not_named_by_features():
    with pytest.raises(EarthEngineError, match="not by Feature"):
        run("Image.visualize", run("Image.constant", 1), Feature(None, {}))

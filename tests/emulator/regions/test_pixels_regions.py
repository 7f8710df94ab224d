"""Reducers, and statistics and samples of regions, against exactextract, rasterstats and NumPy."""

import numpy as np
import pytest
import shapely
from affine import Affine
from exactextract import exact_extract
from exactextract.raster import NumPyRasterSource
from hypothesis import given, settings
from hypothesis import strategies as st
from pixel_images import TRANSFORM, UTM, cell, image, planar, run
from rasterstats import zonal_stats

from eedask.emulator.errors import EarthEngineError
from eedask.emulator.geometry.geometry import Geometry
from eedask.emulator.pixels.projection import transformer
from eedask.emulator.pixels.raster import Projection
from eedask.emulator.reducers.reduce import reduce_columns
from eedask.emulator.regions import zones
from eedask.emulator.values.value_types import Feature, collection_of

MAX = 1e7


def reducer(name, *arguments):
    return run(f"Reducer.{name}", *arguments)


def stats(img, red, shape, scale=None, **options):
    geometry = shape if isinstance(shape, Geometry) or shape is None else planar(shape)
    return run(
        "Image.reduceRegion",
        img,
        red,
        geometry,
        scale,
        options.get("crs"),
        options.get("transform"),
        options.get("best_effort", False),
        options.get("max_pixels", MAX),
        1.0,
    )


def features(*shapes, **properties):
    made = [Feature(planar(s), {"n": i, **properties}) for i, s in enumerate(shapes)]
    return collection_of("FeatureCollection", made)


@pytest.fixture
def field():
    rng = np.random.default_rng(0)
    return image(rng.integers(0, 200, (2, 60, 80), dtype=np.uint8), names=["a", "b"])


@pytest.fixture
def blob():
    angle = np.linspace(0, 2 * np.pi, 40, endpoint=False)
    radius = 180 + 60 * np.sin(3 * angle)
    return shapely.Polygon(
        np.column_stack([500390 + radius * np.cos(angle), 4399700 + radius * np.sin(angle)])
    )


# Regions


def test_weighted_statistics_equal_those_of_exactextract(field, blob):
    array = field.bands[0].read(zones.window_grid(field.bands[0].projection, 0, 0, 80, 60)).values
    raster = NumPyRasterSource(array.astype(float), 500000, 4399400, 500800, 4400000)
    feature = {"type": "Feature", "geometry": shapely.geometry.mapping(blob), "properties": {}}
    (answer,) = exact_extract(raster, [feature], ["mean", "sum", "stdev", "variance"])
    wanted = answer["properties"]
    for name, key in (
        ("mean", "mean"),
        ("sum", "sum"),
        ("stdDev", "stdev"),
        ("variance", "variance"),
    ):
        got = stats(field, reducer(name), blob)["a"]
        assert got == pytest.approx(wanted[key], rel=1e-3), name  # weights are 8 bits


# rasterstats multiplies transforms as newer releases of affine deprecate.
@pytest.mark.filterwarnings("ignore::PendingDeprecationWarning")
def test_unweighted_statistics_equal_those_of_rasterstats(field, blob):
    array = field.bands[1].read(zones.window_grid(field.bands[1].projection, 0, 0, 80, 60)).values
    (wanted,) = zonal_stats(
        blob,
        array.astype(int),
        affine=TRANSFORM,
        nodata=-1,
        stats=["count", "min", "max", "mean", "sum", "median", "std"],
    )
    names = {
        "count": "count",
        "min": "min",
        "max": "max",
        "mean": "mean",
        "sum": "sum",
        "median": "median",
        "stdDev": "std",
    }
    for name, key in names.items():
        red = run("Reducer.unweighted", reducer(name))
        assert stats(field, red, blob)["b"] == pytest.approx(wanted[key], rel=1e-12), name


def test_tiles_change_nothing(field, blob, monkeypatch):
    reds = [
        reducer(n)
        for n in (
            "mean",
            "count",
            "stdDev",
            "median",
            "mode",
            "skew",
            "kurtosis",
            "minMax",
        )
    ]
    whole = [stats(field, red, blob) for red in reds]
    monkeypatch.setattr(zones, "READ_TILE", 16)
    for red, wanted in zip(reds, whole, strict=True):
        got = stats(field, red, blob)
        assert got.keys() == wanted.keys()
        for key, value in wanted.items():
            assert got[key] == pytest.approx(value, rel=1e-9)


def test_weights_are_quantised_and_slivers_left_out():
    img = image(np.array([[10, 20]], np.uint8))

    def mean(share):
        return stats(img, reducer("mean"), cell(0, 0, 1 + share, 1))["b0"]

    assert mean(0.25) == pytest.approx((10 + 20 * 64 / 255) / (1 + 64 / 255))
    assert mean(0.004) == 10  # under half a percent
    assert mean(0.006) == pytest.approx((10 + 20 * 2 / 255) / (1 + 2 / 255))
    masked = image(np.array([[10, 20]], np.uint8), mask=np.array([[0.5, 1]], np.float32))
    got = stats(masked, reducer("mean"), cell(0, 0, 2, 1))["b0"]
    assert got == pytest.approx((10 * 128 / 255 + 20) / (1 + 128 / 255))


def test_points_take_their_pixel(field):
    array = field.bands[0].read(zones.window_grid(field.bands[0].projection, 0, 0, 80, 60)).values
    for name in ("first", "mean", "count", "max"):
        got = stats(field, reducer(name), shapely.Point(500234.9, 4399877.1))["a"]
        assert got == (1 if name == "count" else array[12, 23])
    lon, lat = transformer(UTM, "EPSG:4326").transform(500234.9, 4399877.1)
    assert stats(field, reducer("first"), Geometry(shapely.Point(lon, lat)))["a"] == array[12, 23]
    assert stats(field, reducer("first"), shapely.Point(0, 0)) == {"a": None, "b": None}


def test_names_of_outputs(field, blob):
    both = run("Reducer.combine", reducer("mean"), reducer("stdDev"), "", True)
    assert list(stats(field, reducer("mean"), blob)) == ["a", "b"]
    assert list(stats(field, both, blob)) == ["a_mean", "a_stdDev", "b_mean", "b_stdDev"]
    assert list(stats(field, reducer("percentile", [5, 50.5]), blob)) == [
        "a_p5",
        "a_p50.5",
        "b_p5",
        "b_p50.5",
    ]
    prefixed = run("Reducer.combine", reducer("mean"), reducer("mean"), "x_", True)
    assert list(stats(field, prefixed, blob)) == ["a_mean", "a_x_mean", "b_mean", "b_x_mean"]
    with pytest.raises(EarthEngineError, match="unique"):
        run("Reducer.combine", reducer("mean"), reducer("mean"), "", True)
    named = run("Reducer.setOutputs", reducer("max"), ["top"])
    one = run("Image.select", field, ["a"])

    def keys(img, red):
        found = run("Image.reduceRegions", img, features(blob), red, None, None, None, 1.0, None)
        return [k for k in next(found.elements()).properties if k != "n"]

    assert keys(one, reducer("mean")) == ["mean"]
    assert keys(one, named) == ["top"]
    assert keys(field, reducer("mean")) == ["a", "b"]
    assert keys(one, both) == ["mean", "stdDev"]
    assert keys(field, both) == ["a_mean", "a_stdDev", "b_mean", "b_stdDev"]


def test_nothing_is_null(field):
    red = run("Reducer.combine", reducer("mean"), reducer("count"), "", True)
    empty = stats(field, red, shapely.box(0, 0, 100, 100))
    assert empty == {"a_mean": None, "a_count": 0, "b_mean": None, "b_count": 0}


def test_the_default_projection_needs_a_scale(field, blob):
    composite = run("ImageCollection.mosaic", collection_of("ImageCollection", [field]))
    words = (
        "Image.reduceRegion: The default WGS84 projection is invalid for aggregations. "
        "Specify a scale or crs & crs_transform."
    )
    with pytest.raises(EarthEngineError) as caught:
        stats(composite, reducer("mean"), blob)
    assert caught.value.message == words
    assert stats(composite, reducer("mean"), blob, crs=Projection(UTM, TRANSFORM)) == pytest.approx(
        stats(field, reducer("mean"), blob)
    )
    with pytest.raises(EarthEngineError, match="unbounded"):
        stats(composite, reducer("mean"), None, 10.0)


def test_too_many_pixels(field, blob):
    with pytest.raises(EarthEngineError) as caught:
        stats(field, reducer("mean"), blob, max_pixels=100)
    found = int(blob.area / 100)
    first, advice = caught.value.message.split("\n")
    assert "'bestEffort'" in advice
    assert first == (
        f"Image.reduceRegion: Too many pixels in the region. Found {found}, "
        "but maxPixels allows only 100."
    )
    assert stats(field, reducer("count"), blob, max_pixels=100, best_effort=True)["a"] <= 100
    world = planar(shapely.box(-20037508.342789, -20037508.342789, 20037508.342789, 0), "EPSG:3857")
    with pytest.raises(EarthEngineError, match="Found 80300348117, "):
        stats(field, reducer("mean"), world, 100.0, crs=Projection("EPSG:3857"))


def test_scale_and_transform(field, blob):
    coarse = stats(field, run("Reducer.unweighted", reducer("count")), blob, 20.0)["a"]
    assert coarse == pytest.approx(blob.area / 400, rel=0.1)
    fine = stats(field, reducer("count"), blob, transform=[5, 0, 500000, 0, -5, 4400000])["a"]
    assert fine == pytest.approx(blob.area / 25, rel=0.02)
    with pytest.raises(EarthEngineError, match="Only one of"):
        stats(field, reducer("count"), blob, 20.0, transform=[5, 0, 500000, 0, -5, 4400000])


def test_groups(field, blob):
    classes = run(
        "Image.rename",
        run(
            "Image.toInt",
            run("Image.divide", run("Image.select", field, ["b"]), run("Image.constant", 100)),
        ),
        ["c"],
    )
    pair = run("Image.addBands", run("Image.select", field, ["a"]), classes)
    grouped = run("Reducer.group", run("Reducer.unweighted", reducer("mean")), 1, "class")
    got = stats(pair, grouped, blob)["groups"]
    grid = zones.window_grid(field.bands[0].projection, 0, 0, 80, 60)
    a, c = pair.bands[0].read(grid).values, pair.bands[1].read(grid).values
    inside = zones.Cover(blob, field.bands[0].projection).centres(0, 0, 80, 60)
    wanted = [{"class": k, "mean": pytest.approx(a[inside & (c == k)].mean())} for k in (0, 1)]
    assert got == wanted
    with pytest.raises(EarthEngineError, match="Need 2 bands"):
        stats(run("Image.select", field, ["a"]), grouped, blob)


def test_several_inputs(field, blob):
    repeated = run("Reducer.repeat", reducer("count"), 2)
    assert stats(field, repeated, blob) == {
        "count": [stats(field, reducer("count"), blob)["a"]] * 2
    }
    each = run("Reducer.forEachBand", reducer("max"), field)
    assert stats(field, each, blob) == stats(field, reducer("max"), blob)
    fit = stats(
        run(
            "Image.addBands",
            run("Image.select", field, ["a"]),
            run(
                "Image.add",
                run("Image.multiply", run("Image.select", field, ["a"]), run("Image.constant", 3)),
                run("Image.constant", 7),
            ),
        ),
        reducer("linearFit"),
        blob,
    )
    assert fit == {"scale": pytest.approx(3), "offset": pytest.approx(7)}


def test_great_regions_take_little_memory():
    import tracemalloc

    tiny = run(
        "Image.setDefaultProjection",
        run("Image.constant", 3),
        Projection(UTM, Affine(1, 0, 0, 0, -1, 0)),
        None,
        None,
    )
    region = shapely.box(500000, 4390000, 503000, 4393000)  # 9 million pixels
    tracemalloc.start()
    got = stats(tiny, reducer("mean"), region, max_pixels=1e8)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert got == {"constant": 3}
    assert peak < 250e6


@pytest.mark.parametrize("dx", [0, 1e-9, -1e-9, 1e-6, -1e-6, -1e-4, 1e-4])
@pytest.mark.parametrize("dy", [0, 1e-9, -1e-9, 1e-6, -1e-6, -1e-4, 1e-4])
def test_points_on_edges_take_one_pixel(dx, dy):
    array = np.arange(1, 401, dtype=np.uint16).reshape(20, 20)
    point = shapely.Point(500100 + dx, 4399900 + dy)
    for options in ({}, {"scale": 10.0, "crs": Projection(UTM)}):
        got = stats(image(array), reducer("toList"), point, **options)["b0"]
        assert len(got) == 1
        assert got[0] in array[9:11, 9:11]
        (mean,) = stats(image(array), reducer("mean"), point, **options).values()
        assert mean == got[0]


# Samples


def sampled(collection):
    return list(collection.elements())


def test_sample(field, blob):
    found = sampled(
        run("Image.sample", field, planar(blob), None, None, None, None, 0, True, 1.0, True)
    )
    count = stats(field, reducer("count"), blob)["a"]
    assert len(found) == count
    assert [f.properties["system:index"] for f in found[:3]] == ["0", "1", "2"]
    x, y = transformer("EPSG:4326", UTM).transform(
        *zip(*(f.geometry.shape.coords[0] for f in found), strict=True)
    )
    cols, rows = (np.array(x) - 500000) / 10, (4400000 - np.array(y)) / 10
    assert np.allclose(cols % 1, 0.5, atol=1e-4)
    grid = zones.window_grid(field.bands[0].projection, 0, 0, 80, 60)
    wanted = field.bands[1].read(grid).values[rows.astype(int), cols.astype(int)]
    assert [f.properties["b"] for f in found] == wanted.tolist()
    some = sampled(
        run("Image.sample", field, planar(blob), None, None, None, 25, 7, True, 1.0, False)
    )
    assert len(some) == 25
    assert some[0].geometry is None
    again = sampled(
        run("Image.sample", field, planar(blob), None, None, None, 25, 7, True, 1.0, False)
    )
    assert again == some
    part = sampled(
        run("Image.sample", field, planar(blob), None, None, 0.5, None, 7, True, 1.0, False)
    )
    assert count * 0.4 < len(part) < count * 0.6


def test_masked_pixels_are_dropped_or_left_out_of_the_properties():
    img = image(np.array([[1, 2], [3, 4]], np.uint8), mask=np.array([[1, 0], [1, 1]], np.float32))
    arguments = (planar(cell(0, 0, 2, 2)), None, None, None, None, 0)
    dropped = sampled(run("Image.sample", img, *arguments, True, 1.0, False))
    assert [f.properties["b0"] for f in dropped] == [1, 3, 4]
    kept = sampled(run("Image.sample", img, *arguments, False, 1.0, False))
    assert [f.properties.get("b0") for f in kept] == [1, None, 3, 4]


def test_sample_regions(field):
    collection = features(cell(3, 4, 2, 1), shapely.Point(500105, 4399895), name="x")
    found = sampled(run("Image.sampleRegions", field, collection, None, None, None, 1.0, False))
    assert [f.properties["n"] for f in found] == [0, 0, 1]
    assert found[0].properties["name"] == "x"
    assert set(found[0].properties) == {"a", "b", "n", "name", "system:index"}
    only = sampled(run("Image.sampleRegions", field, collection, ["n"], None, None, 1.0, True))
    assert set(only[2].properties) == {"a", "b", "n", "system:index"}
    assert only[0].geometry.shape.geom_type == "Point"


def test_stratified_sample():
    classes = np.zeros((20, 20), np.int16)
    classes[:2, :2] = 7
    classes[10:] = 3
    img = image(
        np.stack([np.arange(400).reshape(20, 20), classes]).astype(np.int16), names=["v", "c"]
    )
    region = planar(cell(0, 0, 20, 20))

    def sample(*options, **_):
        return sampled(run("Image.stratifiedSample", img, 5, "c", region, None, None, *options))

    found = sample(1, None, None, True, 1.0, True)
    assert [f.properties["c"] for f in found] == [0] * 5 + [3] * 5 + [7] * 4
    assert len({f.properties["v"] for f in found}) == 14
    for f in found:
        assert classes[divmod(f.properties["v"], 20)] == f.properties["c"]
    assert sample(1, None, None, True, 1.0, True) == found
    assert sample(2, None, None, True, 1.0, True) != found
    chosen = sample(1, [3, 0], [8, 0], True, 1.0, False)
    assert [f.properties["c"] for f in chosen] == [3] * 8 + [7] * 4
    with pytest.raises(EarthEngineError, match="equal length"):
        sample(1, [3], [8, 0], True, 1.0, False)


def test_sample_rectangle():
    array = np.arange(30, dtype=np.uint8).reshape(5, 6)
    mask = np.ones((5, 6), np.float32)
    mask[2, 2] = 0
    img = image(array, mask=mask, name="scene")
    got = run("Image.sampleRectangle", img, planar(cell(0, 0, 2, 3)), None, None, None)
    assert got.properties["b0"].tolist() == array[:3, :2].tolist()
    assert got.properties["name"] == "scene"
    with pytest.raises(EarthEngineError, match="no default value"):
        run("Image.sampleRectangle", img, planar(cell(1, 1, 3, 3)), None, None, None)
    filled = run("Image.sampleRectangle", img, planar(cell(1, 1, 3, 3)), [], 99.0, None)
    assert filled.properties["b0"][1, 1] == 99


def test_get_region():
    def scene(i):
        return image(
            np.full((2, 2), i, np.uint8), **{"system:index": f"s{i}", "system:time_start": i * 10}
        )

    collection = collection_of("ImageCollection", [scene(1), scene(2)])
    point = planar(shapely.Point(500005, 4399995))
    rows = run("ImageCollection.getRegion", collection, point, 10.0, Projection(UTM), None)
    assert rows[0] == ["id", "longitude", "latitude", "time", "b0"]
    assert [(r[0], r[3], r[4]) for r in rows[1:]] == [("s1", 10, 1), ("s2", 20, 2)]
    assert rows[1][1:3] == pytest.approx(transformer(UTM, "EPSG:4326").transform(500005, 4399995))


# Reducers of lists


@pytest.mark.parametrize(
    ("name", "arguments", "values", "expected"),
    [
        ("mean", (), [1, 2, 6], 3),
        ("sum", (), [1, 2, 6], 9),
        ("product", (), [2, 3.5], 7),
        ("median", (), [5, 1, 3], 3),
        ("median", (), [1, 2, 3, 4], 2.5),
        ("mode", (), [1, 2, 2, 3], 2),
        ("min", (1,), [3, -1, 2], -1),
        ("max", (1,), [3, -1, 2], 3),
        ("count", (), [1, None, 2], 2),
        ("countEvery", (), [1, None, 2], 3),
        ("first", (), [7, 8], 7),
        ("last", (), [7, 8], 8),
        ("firstNonNull", (), [None, 8], 8),
        ("lastNonNull", (), [7, None], 7),
        ("first", (), [None, 8], None),
        ("stdDev", (), [2, 4, 4, 4, 5, 5, 7, 9], 2),
        ("variance", (), [2, 4, 4, 4, 5, 5, 7, 9], 4),
        ("sampleVariance", (), [1, 2, 3, 4], 5 / 3),
        ("sampleStdDev", (), [1, 2, 3, 4], (5 / 3) ** 0.5),
        ("allNonZero", (), [1, 2], 1),
        ("allNonZero", (), [1, 0], 0),
        ("anyNonZero", (), [0, 3], 1),
        ("bitwiseAnd", (), [7, 13], 5),
        ("bitwiseOr", (), [1, 4], 5),
        ("countDistinct", (), [1, 1, 2], 2),
        ("countDistinct", (), ["a", "b", "a"], 2),
        ("countRuns", (), [1, 1, 2, 1], 3),
        ("toList", (), [3, 1], [3, 1]),
        ("toList", (), ["x", "y"], ["x", "y"]),
        ("toList", (), [1, None], [1]),
        ("frequencyHistogram", (), [1, 1, 2.5], {"1": 2, "2.5": 1}),
        ("frequencyHistogram", (), ["b", "a", "b"], {"a": 1, "b": 2}),
        ("first", (), ["x", "y"], "x"),
        ("mean", (), [], None),
        ("count", (), [], 0),
        ("toList", (), [], []),
        ("first", (), [], None),
        ("median", (), [], None),
        ("mode", (), [], None),
    ],
)
def test_reducers(name, arguments, values, expected):
    (got,) = reduce_columns(reducer(name, *arguments), [values]).values()
    assert got == (pytest.approx(expected) if isinstance(expected, float) else expected)


def test_reducers_with_several_outputs_or_inputs():
    assert reduce_columns(reducer("minMax"), [[3, 1, 2]]) == {"min": 1, "max": 3}
    assert reduce_columns(reducer("max", 2), [[3, 9, 2], [10, 20, 30]]) == {"max": 9, "max1": 20}
    assert reduce_columns(reducer("toList", 2), [[1, 2], ["a", "b"]]) == {
        "list": [[1, "a"], [2, "b"]]
    }
    got = reduce_columns(reducer("percentile", [0, 50, 100], ["lo", "mid", "hi"]), [[1, 9, 3]])
    assert got == {"lo": 1, "mid": 3, "hi": 9}
    fixed = reduce_columns(reducer("fixedHistogram", 0.0, 4.0, 2, False), [[0, 1, 2, 9, -1]])[
        "histogram"
    ]
    assert fixed.tolist() == [[0, 2], [2, 1]]
    histogram = reduce_columns(reducer("histogram"), [[1, 1, 2, 5]])["histogram"]
    assert histogram == {
        "bucketMeans": [1, 2, 3.5, 4.5, 5],
        "bucketMin": 1,
        "bucketWidth": 1,
        "histogram": [2, 1, 0, 0, 1],
    }
    with pytest.raises(EarthEngineError, match="needs 2 inputs"):
        reduce_columns(reducer("linearFit"), [[1, 2]])


@given(
    values=st.lists(st.integers(-50, 50), min_size=1, max_size=40),
    seed=st.integers(0, 100),
)
@settings(max_examples=60, deadline=None)
def test_weights_count_like_repetitions(values, seed):
    counts = np.random.default_rng(seed).integers(1, 4, len(values))
    long = np.repeat(values, counts).tolist()
    for name in ("mean", "sum", "variance", "stdDev", "skew", "mode", "frequencyHistogram"):
        red = reducer(name)
        (weighted,) = reduce_columns(red, [values], {0: counts.tolist()}).values()
        (repeated,) = reduce_columns(red, [long]).values()
        if isinstance(repeated, float):
            assert weighted == pytest.approx(repeated, rel=1e-9, abs=1e-9), name
        else:
            assert weighted == repeated, name


def test_moments_equal_those_of_scipy():
    from scipy import stats as scipy_stats

    x = np.random.default_rng(1).gamma(2.0, size=500).tolist()
    assert reduce_columns(reducer("skew"), [x])["skew"] == pytest.approx(scipy_stats.skew(x))
    assert reduce_columns(reducer("kurtosis"), [x])["kurtosis"] == pytest.approx(
        scipy_stats.kurtosis(x)
    )
    assert reduce_columns(reducer("percentile", [10.0]), [x])["p10"] == pytest.approx(
        np.percentile(x, 10, method="hazen")
    )

"""All reducers, over lists, columns, images and regions, against NumPy and SciPy."""

import numpy as np
import pytest
import scipy
import shapely
from graphs import call, info_of, value_of
from hypothesis import given, settings
from hypothesis import strategies as st
from pixel_images import cell, image, native, planar, run, values
from scipy import optimize

from eedask.emulator.errors import EarthEngineError
from eedask.emulator.functions.registry import IMPLEMENTATIONS
from eedask.emulator.reducers.reduce import reduce_columns
from eedask.emulator.values.value_types import Feature, collection_of


def reducer(name, *arguments):
    return run(f"Reducer.{name}", *arguments)


def of(name, *columns, weights=None, arguments=()):
    """The outputs of a reducer of lists."""
    return reduce_columns(reducer(name, *arguments), columns, weights)


def features(**columns):
    rows = zip(*columns.values(), strict=True)
    made = [
        Feature(None, {k: v for k, v in zip(columns, row, strict=True) if v is not None})
        for row in rows
    ]
    return collection_of("FeatureCollection", made)


def columns(red, selectors, weights=None, **data):
    return run("Collection.reduceColumns", features(**data), red, selectors, weights)


# Names


@pytest.mark.parametrize(
    ("name", "outputs"),
    [
        ("count", ["count"]),
        ("countEvery", ["count"]),
        ("sum", ["sum"]),
        ("mean", ["mean"]),
        ("product", ["product"]),
        ("bitwiseOr", ["bitwiseOr"]),
        ("bitwiseAnd", ["bitwiseAnd"]),
        ("allNonZero", ["all"]),
        ("anyNonZero", ["any"]),
        ("and", ["all"]),
        ("or", ["any"]),
        ("first", ["first"]),
        ("firstNonNull", ["first"]),
        ("last", ["last"]),
        ("lastNonNull", ["last"]),
        ("minMax", ["min", "max"]),
        ("circularMean", ["circularMean"]),
        ("circularVariance", ["circularVariance"]),
        ("circularStddev", ["circularStdDev"]),
        ("countDistinct", ["count"]),
        ("countDistinctNonNull", ["count"]),
        ("countRuns", ["count"]),
        ("frequencyHistogram", ["histogram"]),
        ("linearFit", ["scale", "offset"]),
    ],
)
def test_output_names(name, outputs):
    assert info_of(call("Reducer.getOutputs", reducer=call(f"Reducer.{name}"))) == outputs


def test_names_with_arguments():
    def names(reducer):
        return info_of(call("Reducer.getOutputs", reducer=reducer))

    assert names(call("Reducer.percentile", percentiles=[5, 50, 99.5])) == ["p5", "p50", "p99.5"]
    named = call("Reducer.percentile", percentiles=[5, 95], outputNames=["low", "high"])
    assert names(named) == ["low", "high"]
    mean, both = call("Reducer.mean"), call("Reducer.minMax")
    second = call("Reducer.combine", reducer1=mean, reducer2=both, outputPrefix="x_")
    assert names(second) == ["mean", "x_min", "x_max"]
    each = call("Reducer.forEach", reducer=mean, outputNames=["a", "b"])
    assert names(each) == ["a", "b"]
    several = call("Reducer.forEach", reducer=both, outputNames=["a", "b"])
    assert names(several) == ["a_min", "a_max", "b_min", "b_max"]
    assert names(call("Reducer.group", reducer=mean)) == ["groups"]
    assert names(call("Reducer.repeat", reducer=both, count=3)) == ["min", "max"]
    assert names(call("Reducer.setOutputs", reducer=both, outputs=["", "top"])) == ["top"]
    with pytest.raises(EarthEngineError, match="unique"):
        names(call("Reducer.combine", reducer1=mean, reducer2=mean))
    with pytest.raises(EarthEngineError, match="Need 2 output names"):
        names(call("Reducer.setOutputs", reducer=both, outputs=["top"]))


# Lists and columns


@given(
    angles=st.lists(st.floats(-7, 7), min_size=1, max_size=30),
    seed=st.integers(0, 100),
)
@settings(max_examples=50, deadline=None)
def test_circular(angles, seed):
    counts = np.random.default_rng(seed).integers(1, 4, len(angles))
    long = np.repeat(angles, counts)
    weights = {0: counts.tolist()}
    resultant = np.hypot(np.cos(long).mean(), np.sin(long).mean())
    if resultant > 1e-6:
        mean = of("circularMean", angles, weights=weights)["circularMean"]
        wanted = scipy.stats.circmean(long, high=np.pi, low=-np.pi)
        assert np.cos(mean - wanted) == pytest.approx(1)
        assert -np.pi <= mean <= np.pi
    variance = of("circularVariance", angles, weights=weights)["circularVariance"]
    assert variance == pytest.approx(scipy.stats.circvar(long), abs=1e-9)
    deviation = of("circularStddev", angles, weights=weights)["circularStdDev"]
    assert deviation**2 == pytest.approx(-2 * np.log(1 - variance), rel=1e-6, abs=1e-9)


def test_reducers_of_nothing():
    for name in ("circularMean", "mean", "median", "first", "max", "variance"):
        assert list(of(name, []).values()) == [None]
    for name in ("count", "countEvery", "countDistinct", "countRuns"):
        assert of(name, []) == {"count": 0}
    assert of("toCollection", [], arguments=(["a"],))["features"] is not None


def test_nulls():
    values = [None, 3, None, 3, 5]
    assert of("countEvery", values) == {"count": 5}
    assert of("count", values) == {"count": 3}
    assert of("countDistinct", values) == {"count": 3}
    assert of("countDistinctNonNull", values) == {"count": 2}
    assert of("countRuns", values) == {"count": 2}
    assert of("first", values) == {"first": None}
    assert of("firstNonNull", values) == {"first": 3}
    pairs = ([1, None, 3], [None, 5, 6])
    assert of("toList", *pairs, arguments=(2,)) == {"list": [[3, 6]]}
    assert of("toList", *pairs, arguments=(2, 1)) == {"list": [[1, None], [3, 6]]}
    assert of("toList", *pairs, arguments=(2, 2)) == {"list": [[1, None], [None, 5], [3, 6]]}


def test_nan_has_no_place_in_an_order():
    values = [float("nan"), 3.0, 1.0, 1.0, float("nan"), 2.0]
    assert of("median", values) == {"median": 1.5}
    assert of("mode", values) == {"mode": 1}
    assert of("percentile", values, arguments=([100.0],)) == {"p100": 3}
    assert of("median", values[:1]) == {"median": None}
    assert of("mode", values[:1]) == {"mode": None}


def test_strings_have_an_order():
    assert of("min", ["b", "c", "a"], arguments=(1,)) == {"min": "a"}
    assert of("max", ["b", None, "a"], arguments=(1,)) == {"max": "b"}
    assert of("minMax", ["b", "c", "a"]) == {"min": "a", "max": "c"}
    with pytest.raises(EarthEngineError, match="cannot take such values"):
        of("max", ["b", 3], arguments=(1,))
    with pytest.raises(EarthEngineError, match="cannot take such values"):
        of("product", ["b", "c"])


def test_to_collection():
    got = of("toCollection", [1, None, 3], ["x", "y", None], arguments=(["n", "s"], 1))["features"]
    found = list(got.elements())
    assert [f.properties for f in found] == [
        {"n": 1, "s": "x", "system:index": "0"},
        {"n": 3, "system:index": "1"},
    ]
    assert all(f.geometry is None for f in found)


def test_fixed_2d_histogram():
    rng = np.random.default_rng(0)
    x, y = rng.normal(5, 3, 200), rng.normal(0, 1, 200)
    got = of("fixed2DHistogram", x.tolist(), y.tolist(), arguments=(0.0, 10.0, 5, -1.0, 1.0, 4))
    counts, xs, ys = np.histogram2d(x, y, bins=(5, 4), range=((0, 10), (-1, 1)))
    assert (got["histogram"] == counts).all()
    assert np.allclose(got["xAxis"], xs[:-1])
    assert np.allclose(got["yAxis"], ys[:-1])


def test_geometric_median():
    rng = np.random.default_rng(1)
    points = rng.gamma(2, 3, (3, 40))
    got = of("geometricMedian", *points.tolist(), arguments=(3,))
    assert list(got) == ["median", "median1", "median2"]
    best = optimize.minimize(
        lambda p: np.linalg.norm(points - p[:, None], axis=0).sum(), points.mean(axis=1), tol=1e-10
    )
    assert np.allclose(list(got.values()), best.x, atol=1e-4)


def test_split_weights():
    x, w = [1.0, 2.0, 6.0, None], [3.0, 0.0, 1.0, 5.0]
    assert of("mean", [1, 1, 1, 6]) == {"mean": 9 / 4}
    split = run("Reducer.splitWeights", reducer("mean"))
    assert (split.inputs, split.outputs) == (2, ("mean",))
    assert reduce_columns(split, [x, w]) == {"mean": 9 / 4}
    both = run("Reducer.combine", reducer("mean"), reducer("count"), "", False)
    mixed = run("Reducer.splitWeights", both)
    assert mixed.inputs == 3  # the count takes no weights
    assert reduce_columns(mixed, [x, w, [1, 2, 3, None]]) == {"mean": 9 / 4, "count": 3}
    fit = run("Reducer.splitWeights", reducer("linearFit"))
    assert fit.inputs == 4
    data = [[0.0, 1.0, 2.0], [1.0, 1.0, 0.0], [5.0, 8.0, 99.0], [1.0, 1.0, 1.0]]
    assert reduce_columns(fit, data) == {"scale": pytest.approx(3), "offset": pytest.approx(5)}


def test_disaggregate():
    total = run("Reducer.disaggregate", reducer("sum"), None)
    assert reduce_columns(total, [[[1, 2], [3], 4]]) == {"sum": 10}
    assert reduce_columns(total, [[{"a": 1, "b": 2}, {"c": 5}]]) == {"sum": 8}
    assert reduce_columns(total, [[np.ones((2, 3)), np.ones(2)]]) == {"sum": 8}
    assert reduce_columns(total, [[1, 2, 3]]) == {"sum": 6}
    strings = run("Reducer.disaggregate", reducer("frequencyHistogram"), None)
    assert reduce_columns(strings, [[["x", "y"], ["x"]]]) == {"histogram": {"x": 2, "y": 1}}
    rows = run("Reducer.disaggregate", run("Reducer.forEachElement", reducer("max")), 0)
    got = reduce_columns(rows, [[np.array([[1, 9], [5, 2]])]])
    assert got["max"].tolist() == [[5, 9]]


def test_for_each_element():
    rng = np.random.default_rng(2)
    arrays = list(rng.random((5, 2, 3)))
    each = run("Reducer.forEachElement", reducer("stdDev"))
    got = reduce_columns(each, [arrays])["stdDev"]
    assert np.allclose(got, np.std(arrays, axis=0))
    with pytest.raises(EarthEngineError, match="equal shape"):
        reduce_columns(each, [[np.ones(2), np.ones(3)]])


def test_reduce_columns():
    data = {"a": [1, 2, 3, None], "b": [10, 20, 30, 40], "k": ["x", "y", "x", "x"]}
    twice = run("Reducer.repeat", reducer("sum"), 2)
    # A null is left out of its own copy only.
    assert columns(twice, ["a", "b"], **data) == {"sum": [6, 100]}
    groups = run("Reducer.group", twice, 2, "state-code")
    assert columns(groups, ["a", "b", "k"], **data) == {
        "groups": [{"state-code": "x", "sum": [4, 40]}, {"state-code": "y", "sum": [2, 20]}]
    }
    first = run("Reducer.group", reducer("mean"), 0, "group")
    assert columns(first, ["k", "b"], **data)["groups"][1] == {"group": "y", "mean": 20}
    weighted = {"foo": [1, 2, 3], "weight": [1, 2, 3]}
    assert columns(reducer("mean"), ["foo"], ["weight"], **weighted) == {
        "mean": pytest.approx(7 / 3)
    }
    assert columns(reducer("count"), ["foo"], None, **weighted) == {"count": 3}
    apart = run("Reducer.combine", reducer("mean"), reducer("sum"), "", False)
    got = columns(apart, ["foo", "foo"], ["weight", "foo"], **weighted)
    assert got == {"mean": pytest.approx(7 / 3), "sum": 14}
    with pytest.raises(EarthEngineError, match=r"2 weighted inputs\. Got 1"):
        columns(apart, ["foo", "foo"], ["weight"], **weighted)
    with pytest.raises(EarthEngineError, match="cannot take such values"):
        columns(reducer("mean"), ["k"], **data)


def test_list_reduce():
    def reduced(values, red):
        return value_of(call("List.reduce", list=values, reducer=red))

    assert reduced([1, 2, 6], call("Reducer.mean")) == 3
    assert reduced([1, 2, 6], "max") == 6
    assert reduced([1, 2, 6], call("Reducer.minMax")) == {"min": 1, "max": 6}
    fit = reduced([[0, 1], [1, 3], [2, 5]], call("Reducer.linearFit"))
    assert fit == {"scale": pytest.approx(2), "offset": pytest.approx(1)}


@given(
    values=st.lists(st.floats(-1e3, 1e3, allow_subnormal=False), min_size=1, max_size=60),
    most=st.sampled_from([None, 3, 16, 100]),
)
@settings(max_examples=60, deadline=None)
def test_histograms_hold_all_values(values, most):
    got = of("histogram", values, arguments=(most,))["histogram"]
    assert sum(got["histogram"]) == pytest.approx(len(values))
    width = got["bucketWidth"]
    assert np.log2(width) == int(np.log2(width))
    assert len(got["histogram"]) <= {None: 256, 3: 4, 16: 16, 100: 128}[most]
    assert got["bucketMin"] <= min(values)
    assert max(values) < got["bucketMin"] + width * len(got["histogram"])
    counts = np.array(got["histogram"])
    assert counts @ got["bucketMeans"] == pytest.approx(sum(values), rel=1e-9, abs=1e-6)
    table = of("autoHistogram", values, arguments=(most,))["histogram"]
    assert table[:, 1].tolist() == got["histogram"]


@given(
    values=st.lists(st.integers(-20, 20), min_size=1, max_size=12),
    wanted=st.sampled_from([0, 10, 25, 50, 75, 99, 100]),
)
@settings(max_examples=60, deadline=None)
def test_percentiles_of_equal_and_of_unequal_weights(values, wanted):
    got = of("percentile", values, arguments=([float(wanted)],))
    assert list(got.values()) == [pytest.approx(np.percentile(values, wanted, method="hazen"))]
    # Weights that differ by next to nothing are taken another way.
    nearly = {0: [1.0] * (len(values) - 1) + [1 + 1e-12]}
    (other,) = of("percentile", values, weights=nearly, arguments=([float(wanted)],)).values()
    assert other == pytest.approx(*got.values(), abs=1e-6)


# Images


@pytest.fixture
def stack():
    """Seven images, pixels of which are masked, and their values with NaN there."""
    rng = np.random.default_rng(6)
    arrays = rng.integers(0, 5, (7, 8, 9)).astype(np.int16)
    masks = (rng.random(arrays.shape) > 0.25).astype(np.float32)
    masks[:, 0, 0] = 0
    images = [image(a, names=["v"], mask=m) for a, m in zip(arrays, masks, strict=True)]
    return collection_of("ImageCollection", images), np.where(masks > 0, arrays, np.nan)


def per_pixel(function):
    def apply(array):
        out = np.full(array.shape[1:], np.nan)
        for row, col in np.ndindex(out.shape):
            kept = array[np.isfinite(array[:, row, col]), row, col]
            if kept.size:
                out[row, col] = function(kept)
        return out

    return apply


@pytest.mark.parametrize(
    ("name", "arguments", "oracle", "empty"),
    [
        ("mean", (), np.mean, None),
        ("sum", (), np.sum, None),
        ("product", (), np.prod, None),
        ("median", (), np.median, None),
        ("mode", (), lambda v: scipy.stats.mode(v).mode, None),
        ("min", (1,), np.min, None),
        ("max", (1,), np.max, None),
        ("stdDev", (), np.std, None),
        ("variance", (), np.var, None),
        ("count", (), len, 0),
        ("countEvery", (), len, 0),
        ("countDistinct", (), lambda v: len(set(v)), 0),
        ("countRuns", (), lambda v: 1 + np.count_nonzero(np.diff(v)), 0),
        ("first", (), lambda v: v[0], None),
        ("last", (), lambda v: v[-1], None),
        ("firstNonNull", (), lambda v: v[0], None),
        ("allNonZero", (), np.all, None),
        ("anyNonZero", (), np.any, None),
        ("bitwiseAnd", (), lambda v: np.bitwise_and.reduce(v.astype(int)), None),
        ("bitwiseOr", (), lambda v: np.bitwise_or.reduce(v.astype(int)), None),
        ("percentile", ([25.0],), lambda v: np.percentile(v, 25, method="hazen"), None),
        ("circularVariance", (), lambda v: scipy.stats.circvar(v), None),
    ],
)
def test_collections_of_images(stack, name, arguments, oracle, empty):
    collection, array = stack
    red = reducer(name, *arguments)
    got = run("ImageCollection.reduce", collection, red)
    assert got.band_names == [f"v_{red.outputs[0]}"]
    wanted = per_pixel(oracle)(array)
    if empty is not None:
        wanted[np.isnan(wanted)] = empty
    grid = native(next(collection.elements()))
    assert np.allclose(values(got, grid), wanted, equal_nan=True)


def test_histograms_of_pixels(stack):
    collection, array = stack
    pairs = collection.mapped(
        lambda img: run("Image.addBands", img, run("Image.rename", img, ["w"]))
    )
    red = reducer("fixed2DHistogram", 0.0, 5.0, 5, 0.0, 4.0, 2)
    got = run("ImageCollection.reduce", pairs, red)
    assert got.band_names == ["histogram", "xAxis", "yAxis"]
    grid = native(next(collection.elements()))
    kept = array[np.isfinite(array[:, 3, 4]), 3, 4]
    counts = np.histogram2d(kept, kept, bins=(5, 2), range=((0, 5), (0, 4)))[0]
    counts[4, 1] -= (kept == 4).sum()  # NumPy's last bucket holds its upper edge
    assert (got.bands[0].read(grid).values[3, 4] == counts).all()
    assert got.bands[2].read(grid).values[3, 4].tolist() == [0, 2]


def test_bands_of_an_image():
    rng = np.random.default_rng(8)
    array = rng.random((4, 5, 6))
    img = image(array)
    both = run("Reducer.combine", reducer("mean"), reducer("max"), "", True)
    got = run("Image.reduce", img, both)
    assert got.band_names == ["mean", "max"]
    assert np.allclose(values(got, native(img)), array.mean(axis=0))
    assert np.allclose(values(got, native(img), 1), array.max(axis=0))
    split = run("Image.reduce", img, run("Reducer.splitWeights", reducer("mean")))
    wanted = (array[::2] * array[1::2]).sum(axis=0) / array[1::2].sum(axis=0)
    assert np.allclose(values(split, native(img)), wanted)


# Regions


@pytest.fixture
def region():
    """Two bands of classes and values, and a region that cuts pixels."""
    rng = np.random.default_rng(4)
    array = np.stack([rng.random((20, 20)) * 100, rng.integers(0, 3, (20, 20))])
    box = shapely.affinity.translate(cell(3, 4, 9, 7), 3.13, -4.27)
    cover = np.zeros((20, 20))
    for row, col in np.ndindex(20, 20):
        cover[row, col] = cell(col, row).intersection(box).area / 100
    return image(array, names=["v", "c"]), array, box, np.rint(cover * 255) / 255


def stats(img, red, shape):
    return run("Image.reduceRegion", img, red, planar(shape), None, None, None, False, 1e7, 1.0)


def test_groups_keep_what_is_weighted_apart(region):
    img, array, box, cover = region
    both = run("Reducer.combine", reducer("mean"), reducer("count"), "", True)
    got = stats(img, run("Reducer.group", both, 1, "class"), box)["groups"]
    value, group = array
    centre = np.zeros((20, 20), bool)
    for row, col in np.ndindex(20, 20):
        centre[row, col] = box.covers(cell(col, row).centroid)
    assert [g["class"] for g in got] == [0, 1, 2]
    for g in got:
        here = group == g["class"]
        assert g["count"] == (centre & here).sum()
        assert g["mean"] == pytest.approx(np.average(value[here], weights=cover[here]))
    plain = stats(img, run("Reducer.unweighted", run("Reducer.group", both, 1, "class")), box)
    for g in plain["groups"]:
        assert g["mean"] == pytest.approx(value[centre & (group == g["class"])].mean())


def test_split_weights_in_a_region(region):
    img, array, box, _ = region
    got = stats(img, run("Reducer.splitWeights", reducer("mean")), box)
    assert list(got) == ["mean"]
    # The weight is an input, so pixels are in the region by their centres.
    rows, cols = np.indices((20, 20))
    centre = np.array(
        [box.covers(cell(c, r).centroid) for r, c in zip(rows.flat, cols.flat, strict=True)]
    ).reshape(20, 20)
    value, weight = array[0][centre], array[1][centre]
    assert got["mean"] == pytest.approx((value * weight).sum() / weight.sum())


def test_regions_and_their_names(region):
    img, array, box, cover = region
    both = run("Reducer.combine", reducer("mean"), reducer("count"), "n_", True)
    assert list(stats(img, both, box)) == ["v_mean", "v_n_count", "c_mean", "c_n_count"]
    collection = collection_of("FeatureCollection", [Feature(planar(box), {"id": 7})])

    def properties(img, red):
        got = run("Image.reduceRegions", img, collection, red, None, None, None, 1.0, None)
        return next(got.elements()).properties

    assert set(properties(img, reducer("mean"))) == {"id", "v", "c"}
    one = run("Image.select", img, ["v"])
    assert set(properties(one, reducer("mean"))) == {"id", "mean"}
    assert properties(one, run("Reducer.setOutputs", reducer("mean"), ["m"]))["m"] == (
        pytest.approx(np.average(array[0], weights=cover))
    )
    assert set(properties(one, both)) == {"id", "mean", "n_count"}
    assert set(properties(img, both)) == {"id", "v_mean", "v_n_count", "c_mean", "c_n_count"}
    few = run("Reducer.setOutputs", both, ["", "n"])
    assert set(properties(one, few)) == {"id", "n"}


def test_every_reducer_is_there_or_named():
    from eedask.emulator.expression.signatures import signature, signatures

    missing = [n for n in signatures() if n.startswith("Reducer.") and n not in IMPLEMENTATIONS]
    for name in missing:
        with pytest.raises(EarthEngineError, match=name.replace(".", r"\.")):
            _ = signature(name).implementation
    assert not [n for n in missing if n not in _OTHERS]


_OTHERS = {
    "Reducer.histogramCombiner",
    "Reducer.centeredCovariance",
    "Reducer.covariance",
    "Reducer.kendallsCorrelation",
    "Reducer.linearRegression",
    "Reducer.pearsonsCorrelation",
    "Reducer.ridgeRegression",
    "Reducer.robustLinearRegression",
    "Reducer.sensSlope",
    "Reducer.spearmansCorrelation",
}


def test_nulls_of_repeated_reducers_are_left_out_of_their_own_copy():
    means = run("Reducer.repeat", reducer("mean"), 2)
    table = [[1, None, 3, None], [None, 10.0, None, 30]]
    assert reduce_columns(means, table) == {"mean": [2, 20]}
    assert reduce_columns(means, [[1, 2], [None, None]]) == {"mean": [1.5, None]}
    first = run("Reducer.repeat", reducer("first"), 2)
    assert reduce_columns(first, table) == {"first": [1, None]}

"""Regressions, covariances and correlations, against NumPy and SciPy."""

import numpy as np
import pytest
import scipy
from graphs import call, info_of
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from pixel_images import cell, image, native, planar, run, values

from eedask.emulator.errors import EarthEngineError
from eedask.emulator.reducers.reduce import reduce_columns
from eedask.emulator.values.info import to_info
from eedask.emulator.values.value_types import collection_of

GENERATOR = np.random.default_rng(11)
ROWS = GENERATOR.normal(size=(40, 2))
X = np.column_stack([np.ones(40), ROWS])
Y = np.column_stack([X @ [1, 2, -3], X @ [0, 0.5, 4]]) + GENERATOR.normal(0, 0.3, (40, 2))


def reduced(name, columns, *arguments, **more):
    return reduce_columns(run(f"Reducer.{name}", *arguments), [list(c) for c in columns], **more)


def test_linear_regression():
    found = reduced("linearRegression", np.hstack([X, Y]).T, 3, 2)
    wanted = np.linalg.lstsq(X, Y, rcond=None)[0]
    assert found["coefficients"] == pytest.approx(wanted)
    left = Y - X @ wanted
    assert found["residuals"] == pytest.approx(np.sqrt((left**2).mean(axis=0)))


def test_weights_of_regressions():
    weights = np.linspace(0, 1, 40)
    given_ = {i: weights.tolist() for i in range(4)}
    found = reduced("linearRegression", np.hstack([X, Y[:, :1]]).T, 3, 1, weights=given_)
    root = np.sqrt(weights)[:, None]
    wanted = np.linalg.lstsq(root * X, root * Y[:, :1], rcond=None)[0]
    assert found["coefficients"] == pytest.approx(wanted)
    left = (Y[:, :1] - X @ wanted)[:, 0]
    assert found["residuals"] == pytest.approx([np.sqrt(np.average(left**2, weights=weights))])


def test_too_few_rows_and_dependent_columns_give_null():
    assert reduced("linearRegression", [[1, 2], [3, 4], [5, 6]], 2, 1)["coefficients"] is None
    three = [[1, 1, 1], [1, 2, 3], [1, 2, 4]]
    assert reduced("linearRegression", three, 2, 1)["coefficients"] is not None
    dependent = [[1, 2, 3, 4], [2, 4, 6, 8], [1, 2, 4, 3]]
    assert reduced("linearRegression", dependent, 2, 1) == {"coefficients": None, "residuals": None}
    nothing = reduced("linearRegression", [[], []], 1, 1)
    assert nothing == {"coefficients": None, "residuals": None}
    assert reduced("ridgeRegression", [[1], [2]], 1, 1)["coefficients"] is None


def test_outliers_do_not_move_a_robust_regression():
    spoiled = Y[:, :1].copy()
    spoiled[:4] += 100
    for beta in (None, 30.0):
        found = reduced("robustLinearRegression", np.hstack([X, spoiled]).T, 3, 1, beta)
        kept = np.linalg.lstsq(X[4:], spoiled[4:], rcond=None)[0]
        assert found["coefficients"] == pytest.approx(kept, abs=0.1)
        assert found["residuals"][0] < 0.5
    assert reduced("linearRegression", np.hstack([X, spoiled]).T, 3, 1)["residuals"][0] > 10
    exact = reduced("robustLinearRegression", [X[:, 1], 2 * X[:, 1]], 1, 1)
    assert exact["coefficients"] == pytest.approx(np.array([[2.0]]))


def test_ridge_regression():
    found = reduced("ridgeRegression", np.hstack([ROWS, Y]).T, 2, 2, 5.0)
    dx, dy = ROWS - ROWS.mean(axis=0), Y - Y.mean(axis=0)
    # The same as ordinary least squares with rows that pull towards 0.
    stacked = np.vstack([dx, np.sqrt(5.0) * np.eye(2)])
    slopes = np.linalg.lstsq(stacked, np.vstack([dy, np.zeros((2, 2))]), rcond=None)[0]
    intercept = Y.mean(axis=0) - ROWS.mean(axis=0) @ slopes
    assert found["coefficients"] == pytest.approx(np.vstack([slopes, intercept]))
    assert (found["pValue"] < 1e-6).all()
    plain = reduced("ridgeRegression", [ROWS[:, 0], Y[:, 0]], 1, 1, 0.0)
    line = scipy.stats.linregress(ROWS[:, 0], Y[:, 0])
    assert plain["coefficients"].ravel() == pytest.approx([line.slope, line.intercept])
    assert plain["pValue"] == pytest.approx([line.pvalue])


def test_regression_of_lists_as_scripts_write_it():
    rows = np.hstack([X, Y[:, :1]]).tolist()
    item = call("List.reduce", list=rows, reducer=call("Reducer.linearRegression", numX=3))
    found = info_of(item)
    wanted = np.linalg.lstsq(X, Y[:, :1], rcond=None)[0]
    assert np.array(found["coefficients"]) == pytest.approx(wanted)


@settings(deadline=None)
@given(
    hnp.arrays(np.float64, (2, 30), elements=st.floats(-9, 9).map(lambda v: round(v, 1))),
)
def test_correlations(data):
    x, y = data
    assume(len(set(x)) > 2 and len(set(y)) > 2)
    assume(abs(np.corrcoef(x, y)[0, 1]) < 0.999999)
    for name, oracle in (("pearsons", scipy.stats.pearsonr), ("spearmans", scipy.stats.spearmanr)):
        found = reduced(f"{name}Correlation", data)
        wanted = oracle(x, y)
        assert found["correlation"] == pytest.approx(wanted.statistic, abs=1e-9)
        assert found["p-value"] == pytest.approx(wanted.pvalue, abs=1e-6)
    tau = reduced("kendallsCorrelation", data, 2)["tau"]
    assert tau == pytest.approx(scipy.stats.kendalltau(x, y).statistic, abs=1e-9)
    alone = reduced("kendallsCorrelation", [y], 1)["tau"]
    assert alone == pytest.approx(scipy.stats.kendalltau(range(30), y).statistic, abs=1e-9)
    slope = reduced("sensSlope", data)["slope"]
    assert slope == pytest.approx(scipy.stats.theilslopes(y, x).slope, abs=1e-9)


def test_kendalls_p_value_is_that_of_the_normal_distribution():
    x, y = GENERATOR.normal(size=(2, 60))
    found = reduced("kendallsCorrelation", [x, y], 2)
    assert found["p-value"] == pytest.approx(
        scipy.stats.kendalltau(x, y, method="asymptotic").pvalue, abs=1e-9
    )
    many = reduced("kendallsCorrelation", np.tile([x, y], 50), 2)
    assert many["tau"] == pytest.approx(scipy.stats.kendalltau(*np.tile([x, y], 50)).statistic)


def test_what_does_not_vary_has_no_correlation():
    assert reduced("pearsonsCorrelation", [[1, 1, 1], [1, 2, 3]])["correlation"] is None
    assert reduced("kendallsCorrelation", [[1, 1], [1, 2]], 2)["tau"] is None
    assert reduced("sensSlope", [[1, 1], [1, 2]])["slope"] is None
    assert reduced("pearsonsCorrelation", [[], []])["correlation"] is None
    assert reduced("spearmansCorrelation", [[None], [3]])["correlation"] is None
    with pytest.raises(EarthEngineError, match="Cannot have 3 inputs"):
        run("Reducer.kendallsCorrelation", 3)


HEIGHT, WIDTH, TIMES = 3, 4, 12
SERIES = GENERATOR.normal(size=(TIMES, 2, HEIGHT, WIDTH))
CLEAR = (GENERATOR.random((TIMES, HEIGHT, WIDTH)) > 0.3).astype(np.float32)
CLEAR[:, 0, 0] = 0


def collection(names=("x", "y")):
    images = (image(v, mask=m, names=names) for v, m in zip(SERIES, CLEAR, strict=True))
    return collection_of("ImageCollection", list(images))


def by_pixel(function):
    """A function of each pixel's clear series, NaN where nothing is clear."""
    out = np.full((HEIGHT, WIDTH), np.nan)
    for row, col in np.ndindex(HEIGHT, WIDTH):
        there = CLEAR[:, row, col] > 0
        if there.any():
            out[row, col] = function(*SERIES[there][:, :, row, col].T)
    return out


@pytest.mark.parametrize(
    ("name", "arguments", "band", "function"),
    [
        ("pearsonsCorrelation", (), "correlation", lambda x, y: scipy.stats.pearsonr(x, y)[0]),
        ("pearsonsCorrelation", (), "p-value", lambda x, y: scipy.stats.pearsonr(x, y)[1]),
        ("spearmansCorrelation", (), "correlation", lambda x, y: scipy.stats.spearmanr(x, y)[0]),
        ("kendallsCorrelation", (2,), "tau", lambda x, y: scipy.stats.kendalltau(x, y)[0]),
        ("sensSlope", (), "slope", lambda x, y: scipy.stats.theilslopes(y, x)[0]),
        (
            "sensSlope",
            (),
            "offset",
            lambda x, y: np.median(y - scipy.stats.theilslopes(y, x)[0] * x),
        ),
    ],
)
def test_trends_at_each_pixel(name, arguments, band, function):
    made = run("ImageCollection.reduce", collection(), run(f"Reducer.{name}", *arguments))
    grid = native(image(SERIES[0]))
    got = values(made, grid, made.band_names.index(band))
    np.testing.assert_allclose(got, by_pixel(function), rtol=1e-9, atol=1e-12)


def test_kendalls_trend_of_each_band():
    made = run("ImageCollection.reduce", collection(), run("Reducer.kendallsCorrelation", 1))
    assert made.band_names == ["x_tau", "x_p-value", "y_tau", "y_p-value"]
    got = values(made, native(image(SERIES[0])), 2)
    wanted = by_pixel(lambda x, y: scipy.stats.kendalltau(range(len(y)), y)[0])
    np.testing.assert_allclose(got, wanted)


def test_regression_at_each_pixel_becomes_bands_again():
    """The guide's way to a harmonic trend: reduce, project, flatten."""
    made = run("ImageCollection.reduce", collection(), run("Reducer.linearRegression", 1, 1))
    assert made.band_names == ["coefficients", "residuals"]
    assert [band.type.dimensions for band in made.bands] == [2, 1]
    chosen = run("Image.select", made, ["coefficients"])
    flat = run("Image.arrayFlatten", run("Image.arrayProject", chosen, [0]), [["slope"]], "_")
    got = values(flat, native(image(SERIES[0])))
    wanted = by_pixel(lambda x, y: (x @ y) / (x @ x) if len(x) > 1 else np.nan)
    np.testing.assert_allclose(got, wanted)


@pytest.mark.parametrize("centered", [False, True])
def test_covariance_of_bands_over_a_region(centered):
    """Principal components, as the guide has them: arrays, covariance, eigenvectors, product."""
    cube = GENERATOR.normal(size=(3, 8, 9))
    if centered:
        cube -= cube.mean(axis=(1, 2), keepdims=True)
    arrays = run("Image.toArray", image(cube), 0)
    region = planar(cell(0, 0, 9, 8))
    reducer = run("Reducer.centeredCovariance" if centered else "Reducer.covariance")
    found = run("Image.reduceRegion", arrays, reducer, region)
    wanted = np.cov(cube.reshape(3, -1), bias=True)
    assert found["array"] == pytest.approx(wanted, abs=1e-6)
    rows = run("Array.eigen", found["array"])
    components = run(
        "Image.matrixMultiply",
        run("Image.constant", rows[:, 1:]),
        run("Image.toArray", arrays, 1),
    )
    flat = run("Image.arrayFlatten", run("Image.arrayProject", components, [0]), [list("abc")], "_")
    spread = [np.var(values(flat, band=i)) for i in range(3)]
    assert spread == pytest.approx(np.sort(np.linalg.eigvalsh(wanted))[::-1], rel=1e-6)


def test_covariance_needs_arrays():
    numbers = image(np.ones((2, 2)))
    with pytest.raises(EarthEngineError, match="covariance"):
        run("Image.reduceRegion", numbers, run("Reducer.covariance"), planar(cell(0, 0, 2, 2)))


def test_covariance_at_each_pixel():
    stack = [run("Image.toArray", image(v, mask=m), 0) for v, m in zip(SERIES, CLEAR, strict=True)]
    made = run(
        "ImageCollection.reduce",
        collection_of("ImageCollection", stack),
        run("Reducer.covariance"),
    )
    assert made.bands[0].type.dimensions == 2
    flat = run("Image.arrayFlatten", made, [list("xy"), list("xy")], "_")
    got = values(flat, native(image(SERIES[0])), 1)
    np.testing.assert_allclose(
        got, by_pixel(lambda x, y: np.cov(x, y, bias=True)[0, 1]), atol=1e-12
    )


@pytest.mark.parametrize(
    ("reducer", "dimensions", "function"),
    [
        (("toList",), 1, lambda v: v),
        (("fixedHistogram", -2, 2, 4), 2, None),
        (("autoHistogram", 8), 2, None),
    ],
)
def test_lists_and_histograms_at_each_pixel(reducer, dimensions, function):
    name, *arguments = reducer
    made = run("ImageCollection.reduce", collection(), run(f"Reducer.{name}", *arguments))
    band = made.bands[0]
    assert band.type.dimensions == dimensions
    pixels = band.read(native(image(SERIES[0])))
    for row, col in np.ndindex(HEIGHT, WIDTH):
        series = SERIES[CLEAR[:, row, col] > 0][:, 0, row, col]
        got = np.asarray(pixels.values[row, col])
        if function is not None:
            assert got == pytest.approx(function(series))
        elif len(series):
            inside = series[(series >= -2) & (series < 2)] if name == "fixedHistogram" else series
            assert got[:, 1].sum() == len(inside)
        else:
            assert pixels.mask[row, col] == 0


def test_arrays_are_reduced_position_by_position():
    stack = [run("Image.toArray", image(v, mask=m), 0) for v, m in zip(SERIES, CLEAR, strict=True)]
    reducer = run("Reducer.forEachElement", run("Reducer.mean"))
    made = run("ImageCollection.reduce", collection_of("ImageCollection", stack), reducer)
    assert made.bands[0].type.dimensions == 1
    element = run("Image.arrayGet", made, run("Image.constant", [1]))
    got = values(element, native(image(SERIES[0])))
    np.testing.assert_allclose(got, by_pixel(lambda x, y: y.mean()))


def test_repeated_reducers_give_arrays_at_each_pixel():
    reducer = run("Reducer.repeat", run("Reducer.mean"), 2)
    made = run("ImageCollection.reduce", collection(), reducer)
    assert [(b.id, b.type.dimensions) for b in made.bands] == [("mean", 1)]
    flat = run("Image.arrayFlatten", made, [["x", "y"]], "_")
    for band, function in enumerate((lambda x, y: x.mean(), lambda x, y: y.mean())):
        got = values(flat, native(image(SERIES[0])), band)
        np.testing.assert_allclose(got, by_pixel(function))


def test_dropping_outputs_keeps_what_they_are():
    reducer = run("Reducer.setOutputs", run("Reducer.linearRegression", 1, 1), ["", "left"])
    made = run("ImageCollection.reduce", collection(), reducer)
    assert [(b.id, b.type.dimensions) for b in made.bands] == [("left", 1)]
    assert to_info(made)["bands"][0]["data_type"]["dimensions"] == 1


@settings(max_examples=12, deadline=None)
@given(hnp.arrays(np.float64, st.tuples(st.integers(0, 6), st.just(3)), elements=st.floats()))
def test_any_numbers_give_numbers_or_null(rows):
    for name, arguments in (
        ("linearRegression", (2, 1)),
        ("robustLinearRegression", (2, 1)),
        ("ridgeRegression", (2, 1)),
    ):
        found = reduced(name, rows.T, *arguments)
        assert set(found) >= {"coefficients", "residuals"}
        for value in found.values():
            assert value is None or np.isfinite(value).all()

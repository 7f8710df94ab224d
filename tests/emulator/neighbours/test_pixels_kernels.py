"""Kernels as the reference prints them, and neighbourhoods against NumPy and SciPy."""

import numpy as np
import pytest
from affine import Affine
from graphs import call, info_of, value_of
from hypothesis import given, settings
from hypothesis import strategies as st
from pixel_images import UTM, image, native, run, values
from scipy import ndimage

from eedask.emulator.errors import EarthEngineError
from eedask.emulator.neighbours import kernels, neighbourhoods
from eedask.emulator.pixels.raster import Grid, Pixels

GRID = Grid(UTM, Affine(10, 0, 500000, 0, -10, 4400000), 4, 4)


def weights(name, **arguments):
    """The weights of a kernel, by way of an expression."""
    return value_of(call(f"Kernel.{name}", **arguments)).on(GRID).weights


# Kernels: the weights that the reference prints


@pytest.mark.parametrize(
    ("name", "rows"),
    [
        ("circle", ["0001000", "0111110", "0111110", "1111111", "0111110", "0111110", "0001000"]),
        ("square", ["1111111"] * 7),
        ("cross", ["1000001", "0100010", "0010100", "0001000", "0010100", "0100010", "1000001"]),
        ("plus", ["0001000", "0001000", "0001000", "1111111", "0001000", "0001000", "0001000"]),
        ("diamond", ["0001000", "0011100", "0111110", "1111111", "0111110", "0011100", "0001000"]),
        ("octagon", ["0011100", "0111110", "1111111", "1111111", "1111111", "0111110", "0011100"]),
    ],
)
def test_shapes(name, rows):
    wanted = np.array([[int(c) for c in row] for row in rows], float)
    assert np.allclose(weights(name, radius=3), wanted / wanted.sum())
    assert (weights(name, radius=3, normalize=False, magnitude=100) == 100 * wanted).all()
    assert np.allclose(weights(name, radius=3, magnitude=-2).sum(), -2)
    assert (weights(name, radius=31, units="meters", normalize=False) == wanted).all()


@pytest.mark.parametrize(
    ("name", "first", "second"),
    [
        ("euclidean", [18**0.5, 13**0.5, 10**0.5, 3], [13**0.5, 8**0.5, 5**0.5, 2]),
        ("manhattan", [6, 5, 4, 3], [5, 4, 3, 2]),
        ("chebyshev", [3, 3, 3, 3], [3, 2, 2, 2]),
    ],
)
def test_distances(name, first, second):
    got = weights(name, radius=3)
    assert got.shape == (7, 7)
    assert got[3, 3] == 0
    assert np.allclose(got[0, :4], first)
    assert np.allclose(got[1, :4], second)
    assert (got == got.T).all()
    assert (got == got[::-1, ::-1]).all()
    metres = weights(name, radius=30, units="meters")
    assert np.allclose(metres, 10 * got)


def test_edge_detectors():
    assert weights("laplacian4").tolist() == [[0, 1, 0], [1, -4, 1], [0, 1, 0]]
    assert weights("laplacian8").tolist() == [[1, 1, 1], [1, -8, 1], [1, 1, 1]]
    assert weights("sobel", magnitude=2).tolist() == [[-2, 0, 2], [-4, 0, 4], [-2, 0, 2]]
    assert weights("prewitt").tolist() == [[1, 0, -1]] * 3
    assert weights("compass").tolist() == [[1, 1, -1], [1, -2, -1], [1, 1, -1]]
    assert weights("kirsch").tolist() == [[5, -3, -3], [5, 0, -3], [5, -3, -3]]
    roberts = value_of(call("Kernel.roberts")).on(GRID)
    assert roberts.weights.tolist() == [[1, 0], [0, -1]]
    assert (roberts.x, roberts.y) == (1, 1)
    # With weights of both signs normalizing makes them sum to 0.
    normal = weights("kirsch", normalize=True)
    assert normal.sum() == pytest.approx(0)
    assert normal.max() == pytest.approx(1 / 3)


def test_gaussian():
    got = weights("gaussian", radius=3)
    x = np.arange(-2, 3)
    wanted = np.exp(-(x[:, None] ** 2 + x**2) / 2)
    assert np.allclose(got, wanted / wanted.sum())
    assert got[2].round(3).tolist() == [0.022, 0.098, 0.162, 0.098, 0.022]
    x = np.arange(-3, 4)
    wanted = np.exp(-(x[:, None] ** 2 + x**2) / (2 * 9))
    assert np.allclose(
        weights("gaussian", radius=30, sigma=30, units="meters", magnitude=-1),
        -wanted / wanted.sum(),
    )
    assert np.allclose(weights("gaussian", radius=3, sigma=3, normalize=False), wanted)


def test_rectangle_and_fixed():
    assert np.allclose(weights("rectangle", xRadius=2, yRadius=1), np.full((3, 5), 1 / 15))
    metres = weights("rectangle", xRadius=5, yRadius=19, units="meters", normalize=False)
    assert metres.tolist() == [[1], [1], [1]]
    rows = [[4, 3, 2, 1, 2, 3, 4]] * 3
    assert weights("fixed", weights=rows).tolist() == rows
    off = value_of(call("Kernel.fixed", width=2, height=1, weights=[[1, 3]], x=0, y=0)).on(GRID)
    assert (off.x, off.y) == (0, 0)
    assert off.offsets == [(0, 0), (1, 0)]
    centred = value_of(call("Kernel.fixed", width=7, height=3, weights=rows, x=-4, y=-2)).on(GRID)
    assert (centred.x, centred.y) == (3, 1)
    assert weights("fixed", weights=[[1, 3]], normalize=True).tolist() == [[0.25, 0.75]]


@pytest.mark.parametrize(
    ("name", "arguments", "words"),
    [
        ("circle", {"radius": 1, "units": "feet"}, "units 'feet'"),
        ("circle", {"radius": -1}, "negative"),
        ("gaussian", {"radius": 1, "sigma": 0}, "sigma"),
        ("fixed", {"weights": [[1, 2], [3]]}, "rows of numbers"),
        ("fixed", {"weights": [["a"]]}, "rows of numbers"),
        ("fixed", {"width": 3, "height": 1, "weights": [[1, 2]]}, "width of the weights is 2"),
        ("fixed", {"weights": [[1, 2]], "x": 2, "y": 0}, "focus"),
    ],
)
def test_kernels_that_are_none(name, arguments, words):
    with pytest.raises(EarthEngineError, match=words) as caught:
        value_of(call(f"Kernel.{name}", **arguments))
    assert caught.value.code == 400


def test_vast_kernels_are_refused_before_they_are_made():
    with pytest.raises(EarthEngineError, match="over the limit"):
        weights("square", radius=1e9)
    with pytest.raises(EarthEngineError, match="over the limit"):
        weights("circle", radius=1e6, units="meters")


def test_kernels_of_kernels():
    sobel = call("Kernel.sobel")
    assert weights("rotate", kernel=sobel, rotations=1).tolist() == [
        [-1, -2, -1],
        [0, 0, 0],
        [1, 2, 1],
    ]
    assert weights("rotate", kernel=sobel, rotations=-2).tolist() == [
        [1, 0, -1],
        [2, 0, -2],
        [1, 0, -1],
    ]
    assert weights("inverse", kernel=sobel).tolist() == [[-1, 0, 1], [-0.5, 0, 0.5], [-1, 0, 1]]
    square = call("Kernel.square", radius=1, normalize=False, magnitude=100)
    total = weights("add", kernel1=call("Kernel.chebyshev", radius=3), kernel2=square)
    assert total.tolist() == [
        [3, 3, 3, 3, 3, 3, 3],
        [3, 2, 2, 2, 2, 2, 3],
        [3, 2, 101, 101, 101, 2, 3],
        [3, 2, 101, 100, 101, 2, 3],
        [3, 2, 101, 101, 101, 2, 3],
        [3, 2, 2, 2, 2, 2, 3],
        [3, 3, 3, 3, 3, 3, 3],
    ]
    # A ring, as landscapes are compared with their surroundings.
    outer = call("Kernel.circle", radius=3, normalize=False)
    inside = call("Kernel.circle", radius=1, normalize=False, magnitude=-1)
    ring = weights("add", kernel1=outer, kernel2=inside, normalize=True)
    assert ring.sum() == pytest.approx(1)
    assert ring[3, 3] == 0
    turned = value_of(call("Kernel.rotate", kernel=call("Kernel.roberts"), rotations=1)).on(GRID)
    assert turned.weights.tolist() == [[0, 1], [-1, 0]]
    assert (turned.x, turned.y) == (0, 1)


def test_kernels_as_json():
    info = info_of(call("Kernel.fixed", weights=[[1, 2, 3]]))
    assert info["type"] == "Kernel.fixed"
    assert info["center"] == [1, 0]
    assert info["weights"] == "\n  [1.0, 2.0, 3.0]"
    assert info_of(call("Kernel.circle", radius=30, units="meters"))["radius"] == 30


# Neighbourhoods


@pytest.fixture
def field():
    """Two bands in which some pixels are masked, and their values with NaN there."""
    rng = np.random.default_rng(2)
    array = rng.integers(0, 50, (2, 20, 24)).astype(np.int16)
    mask = (rng.random((20, 24)) > 0.2).astype(np.float32)
    return image(array, names=["a", "b"], mask=mask), np.where(mask > 0, array, np.nan)


def windows(array, shape=(3, 3)):
    """The values around each pixel, shape (height, width, places); NaN outside."""
    pad = [(n // 2, n // 2) for n in shape]
    padded = np.pad(array, pad, constant_values=np.nan)
    return np.lib.stride_tricks.sliding_window_view(padded, shape).reshape(*array.shape, -1)


def kernel(name, *arguments):
    return run(f"Kernel.{name}", *arguments)


SQUARE = ("square", 1.0, "pixels", True, 1.0)


@pytest.mark.parametrize(
    ("name", "oracle"),
    [
        ("mean", np.nanmean),
        ("median", np.nanmedian),
        ("min", np.nanmin),
        ("max", np.nanmax),
        ("stdDev", np.nanstd),
        ("variance", np.nanvar),
        ("product", np.nanprod),
        ("count", lambda w, axis: np.isfinite(w).sum(axis)),
        ("countDistinct", lambda w, axis: np.apply_along_axis(_distinct, axis, w)),
    ],
)
def test_reduce_neighborhood(field, name, oracle):
    img, array = field
    reducer = run(f"Reducer.{name}")
    got = run("Image.reduceNeighborhood", img, reducer, kernel(*SQUARE))
    assert got.band_names == [f"a_{reducer.outputs[0]}", f"b_{reducer.outputs[0]}"]
    for band in (0, 1):
        wanted = np.where(np.isnan(array[band]), np.nan, oracle(windows(array[band]), axis=2))
        assert np.allclose(values(got, native(img), band), wanted, rtol=1e-9, equal_nan=True)


def _distinct(window):
    return len(np.unique(window[np.isfinite(window)]))


@pytest.mark.parametrize("name", ["mean", "sum", "stdDev", "variance", "count", "min", "max"])
@pytest.mark.parametrize("rule", ["kernel", "mask", "min"])
def test_fast_ways_equal_the_slow_one(field, name, rule, monkeypatch):
    rng = np.random.default_rng(3)
    stencil = kernels.fixed(rng.integers(0, 4, (4, 3)) / 2.0, x=2, y=0).on(GRID)
    masks = [rng.random((20, 24)), (rng.random((20, 24)) > 0.3) * 1.0]
    for mask in masks:
        pixels = [Pixels(rng.normal(1e3, 1, (20, 24)), mask.astype(np.float32))]
        reducer = run(f"Reducer.{name}")
        (fast,) = neighbourhoods.reduce_around(reducer, pixels, stencil, rule)
        with monkeypatch.context() as patch:
            patch.setattr(neighbourhoods, "_FILTERS", {})
            patch.setattr(neighbourhoods, "_BLOCK", 1000)
            (slow,) = neighbourhoods.reduce_around(reducer, pixels, stencil, rule)
        assert (fast.valid == slow.valid).all()
        assert np.allclose(fast.values[fast.valid], slow.values[slow.valid], rtol=1e-9)


def test_kernel_weights_are_weights(field):
    img, array = field
    gauss = kernel("gaussian", 2.0, 1.0, "pixels", True, 1.0)
    w = gauss.on(GRID).weights.ravel()
    around = windows(array[0], (5, 5))
    there = np.isfinite(around)
    wanted = np.where(there, around, 0) @ w / (there @ w)
    got = run("Image.reduceNeighborhood", img, run("Reducer.mean"), gauss, "kernel", False)
    assert np.allclose(values(got, native(img)), wanted)
    plain = run("Image.reduceNeighborhood", img, run("Reducer.mean"), gauss, "mask", False)
    assert np.allclose(values(plain, native(img)), np.nanmean(around, axis=2))
    median = run("Image.reduceNeighborhood", img, run("Reducer.median"), gauss, "mask", False)
    assert np.allclose(values(median, native(img)), np.nanmedian(around, axis=2))
    with pytest.raises(EarthEngineError, match="Unknown input weight 'x'"):
        values(run("Image.reduceNeighborhood", img, run("Reducer.mean"), gauss, "x"), native(img))


def test_reducers_of_several_outputs_and_inputs(field):
    img, array = field
    both = run("Reducer.combine", run("Reducer.mean"), run("Reducer.median"), "", True)
    got = run("Image.reduceNeighborhood", img, both, kernel(*SQUARE))
    assert got.band_names == ["a_mean", "a_median", "b_mean", "b_median"]
    wanted = np.where(np.isnan(array[1]), np.nan, np.nanmedian(windows(array[1]), axis=2))
    assert np.allclose(values(got, native(img), 3), wanted, equal_nan=True)
    fit = run("Image.reduceNeighborhood", img, run("Reducer.linearFit"), kernel(*SQUARE))
    assert fit.band_names == ["scale", "offset"]
    x, y = windows(array[0])[9, 9], windows(array[1])[9, 9]
    some = np.isfinite(x)
    slope, offset = np.polyfit(x[some], y[some], 1)
    if np.isfinite(array[0, 9, 9]):
        assert values(fit, native(img))[9, 9] == pytest.approx(slope)
        assert values(fit, native(img), 1)[9, 9] == pytest.approx(offset)
    lists = run("Image.reduceNeighborhood", img, run("Reducer.toList"), kernel(*SQUARE))
    pixels = lists.bands[0].read(native(img))
    for row, col in np.argwhere(pixels.mask > 0)[::20]:
        around = windows(array[0])[row, col]
        assert pixels.values[row, col].tolist() == around[np.isfinite(around)].tolist()
    objects = run("Image.reduceNeighborhood", img, run("Reducer.histogram"), kernel(*SQUARE))
    with pytest.raises(EarthEngineError, match="must be numbers"):
        values(objects, native(img))


def test_negative_weights(field):
    img, _ = field
    sobel = kernel("sobel", 1.0, False)
    with pytest.raises(EarthEngineError, match="negative kernel weights"):
        values(run("Image.reduceNeighborhood", img, run("Reducer.mean"), sobel), native(img))
    most = run("Image.reduceNeighborhood", img, run("Reducer.max"), sobel, "kernel", False)
    _, array = field
    wanted = np.nanmax(windows(array[0])[..., [0, 2, 3, 5, 6, 8]], axis=2)
    assert np.allclose(values(most, native(img)), wanted)


@given(seed=st.integers(0, 1000), width=st.integers(1, 6), height=st.integers(1, 6))
@settings(max_examples=40, deadline=None)
def test_convolve_equals_scipy(seed, width, height):
    rng = np.random.default_rng(seed)
    array = rng.random((18, 16)).astype(np.float32)
    rows = rng.normal(size=(height, width)).round(2)
    img = image(array)
    x, y = int(rng.integers(width)), int(rng.integers(height))
    got = run("Image.convolve", img, kernels.fixed(rows.tolist(), x=x, y=y))
    origin = (y - height // 2, x - width // 2)
    wanted = ndimage.correlate(array.astype(float), rows, mode="constant", origin=origin)
    inner = native(img, 6, 8, 5, 5)
    assert np.allclose(values(got, inner), wanted[5:13, 5:11], atol=1e-6)
    # The image's edge is masked: nothing is there to be weighted.
    there = (
        ndimage.minimum_filter(
            np.ones(array.shape), footprint=rows != 0, mode="constant", cval=0, origin=origin
        )
        if rows.any()
        else np.ones(array.shape)
    )
    assert (np.isfinite(values(got)) == (there > 0)).all()


def test_large_kernels_go_by_fourier(monkeypatch):
    rng = np.random.default_rng(1)
    array, rows = rng.normal(100, 9, (90, 95)), rng.random((33, 40))
    fast = neighbourhoods.correlated(array, rows)
    monkeypatch.setattr(neighbourhoods, "_DIRECT", 1e9)
    assert np.allclose(fast, neighbourhoods.correlated(array, rows), rtol=1e-10)


def test_kernels_in_metres_follow_the_scale():
    rng = np.random.default_rng(4)
    img = image(rng.random((64, 64)).astype(np.float32))
    mean = run("Image.focal_mean", img, 40.0, "square", "meters", 1, None)
    coarse = Grid(UTM, Affine(20, 0, 500000, 0, -20, 4400000), 32, 32)
    pixels = img.bands[0].read(coarse).values.astype(float)
    wanted = ndimage.uniform_filter(pixels, 5)[2:-2, 2:-2]
    assert np.allclose(values(mean, coarse)[2:-2, 2:-2], wanted, rtol=1e-5)


def test_focal_filters_fill_gaps_and_take_kernels(field):
    img, array = field
    filled = run("Image.focal_mean", img, 1.0, "square", "pixels", 1, None)
    wanted = np.nanmean(windows(array[0]), axis=2)
    assert np.allclose(values(filled, native(img)), wanted)
    circle = kernel("circle", 2.0, "pixels", True, 1.0)
    twice = run("Image.focalMax", img, 9.0, "plus", "pixels", 2, circle)
    footprint = circle.on(GRID).weights > 0
    once = np.where(np.isnan(array[0]), -1, array[0])
    for _ in range(2):
        once = ndimage.maximum_filter(once, footprint=footprint, mode="constant", cval=-1)
    assert (values(twice, native(img)) == once).all()
    with pytest.raises(EarthEngineError, match="Unknown kernel type 'gaussian'"):
        run("Image.focal_min", img, 1.0, "gaussian", "pixels", 1, None)


def test_neighborhood_to_bands(field):
    img, array = field
    got = run("Image.neighborhoodToBands", img, kernel("plus", 1.0, "pixels", True, 1.0))
    assert got.band_names == [
        f"{band}_{x}_{y}" for band in "ab" for x, y in ((0, -1), (-1, 0), (0, 0), (1, 0), (0, 1))
    ]
    around = windows(array[1])
    for i, place in enumerate((1, 3, 4, 5, 7)):
        assert np.array_equal(values(got, native(img), 5 + i), around[..., place], equal_nan=True)


def test_entropy(field):
    img, array = field
    small = run("Image.mod", img, run("Image.constant", 3))
    got = run("Image.entropy", small, kernel("circle", 2.0, "pixels", True, 1.0))
    disc = kernel("circle", 2.0, "pixels", True, 1.0).on(GRID).weights.ravel() > 0
    around = windows(array[0] % 3, (5, 5))[..., disc]
    wanted = np.zeros(array[0].shape)
    for value in range(3):
        share = (around == value).sum(axis=2) / np.isfinite(around).sum(axis=2)
        wanted -= share * np.log2(np.where(share > 0, share, 1))
    wanted = np.where(np.isnan(array[0]), np.nan, wanted)
    assert np.allclose(values(got, native(img)), wanted, atol=1e-6, equal_nan=True)
    with pytest.raises(EarthEngineError, match="integer"):
        run("Image.entropy", run("Image.toFloat", img), kernel(*SQUARE))


@pytest.mark.slow
def test_what_would_need_too_much_is_refused():
    img = image(np.zeros((4, 4), np.uint8))
    far = run("Image.focal_max", img, 500.0, "square", "pixels", 500, None)
    with pytest.raises(EarthEngineError, match="again and again"):
        values(far)
    wide = kernel("square", 500.0, "pixels", True, 1.0)
    with pytest.raises(EarthEngineError, match="over more than"):
        values(run("Image.connectedComponents", img, wide, 1000))
    with pytest.raises(EarthEngineError, match="Too many bands"):
        run("Image.neighborhoodToBands", img, wide)


def test_large_neighbourhoods_are_computed_bit_by_bit(monkeypatch):
    rng = np.random.default_rng(5)
    pixels = [Pixels(rng.random((40, 44)), np.ones((40, 44), np.float32))]
    stencil = kernels.fixed((rng.random((9, 11)) > 0.3).astype(float).tolist()).on(GRID)
    (whole,) = neighbourhoods.reduce_around(run("Reducer.median"), pixels, stencil)
    monkeypatch.setattr(neighbourhoods, "_BLOCK", 100)  # less than two windows
    (bits,) = neighbourhoods.reduce_around(run("Reducer.median"), pixels, stencil)
    assert (whole.values == bits.values).all()


@pytest.mark.parametrize(
    "operation",
    [
        lambda img: run(
            "Image.convolve", img, run("Kernel.rotate", kernel("sobel", 1.0, False), 1)
        ),
        lambda img: run("Image.derivative", img),
        lambda img: run("Image.gradient", img),
        lambda img: run("Image.zeroCrossing", img),
        lambda img: run(
            "Image.neighborhoodToBands", img, run("Kernel.fixed", 1, 2, [[1], [1]], 0, 0, False)
        ),
        lambda img: run("Image.neighborhoodToArray", img, kernel(*SQUARE), 0.0),
        lambda img: run("Terrain.aspect", img),
    ],
)
def test_grids_whose_rows_go_north_give_the_same(operation):
    """As those of a crs and a scale do."""
    img = image(np.random.default_rng(12).normal(size=(12, 12)))
    made = operation(img)
    down = native(img, 6, 6, 3, 3)
    up = Grid(UTM, Affine(10, 0, 500030, 0, 10, 4399910), 6, 6)
    for band in made.bands:
        a, b = band.read(down), band.read(up)
        assert np.allclose(a.values, b.values[::-1])
        assert (a.mask == b.mask[::-1]).all()

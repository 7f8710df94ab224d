"""Edges, moved pixels, colours and fractions, against NumPy, SciPy and colorsys."""

import colorsys

import numpy as np
import pytest
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from pixel_images import TRANSFORM, UTM, image, native, run, values
from scipy import optimize

from eedask.emulator.errors import EarthEngineError
from eedask.emulator.pixels.projection import locate, transformer
from eedask.emulator.pixels.raster import Grid, Projection


@pytest.fixture
def field():
    rng = np.random.default_rng(11)
    array = rng.normal(0, 100, (16, 20)).astype(np.float32)
    return image(array, names=["v"]), array.astype(float)


# Change from pixel to pixel


def test_gradient_and_derivative(field):
    img, array = field
    north, east = np.gradient(array, 10)
    got = run("Image.gradient", img)
    assert got.band_names == ["x", "y"]
    inside = (slice(1, -1), slice(1, -1))
    assert np.allclose(values(got)[inside], east[inside], rtol=1e-5)
    assert np.allclose(values(got, None, 1)[inside], -north[inside], rtol=1e-5)
    assert np.isnan(values(got)[0]).all()
    down, right = np.gradient(array)
    steps = run("Image.derivative", img)
    assert steps.band_names == ["v_x", "v_y"]
    assert np.allclose(values(steps)[:, 1:-1], right[:, 1:-1], rtol=1e-5)
    assert np.allclose(values(steps, None, 1)[1:-1], down[1:-1], rtol=1e-5)
    assert np.isnan(values(steps)[:, 0]).all()


def test_zero_crossing(field):
    img, array = field
    got = values(run("Image.zeroCrossing", img))
    padded = np.pad(array, ((0, 1), (0, 1)))
    wanted = np.zeros(array.shape, bool)
    for row in range(16):
        for col in range(20):
            others = [padded[row, col + 1], padded[row + 1, col], padded[row + 1, col + 1]]
            wanted[row, col] = any(array[row, col] * other < 0 for other in others)
    assert (got == wanted).all()


def test_canny_finds_a_step():
    array = np.zeros((30, 30), np.float32)
    array[:, 15:] = 100
    got = values(run("CannyEdgeDetector", image(array), 10.0, 1.0))
    rows = got[8:-8]
    assert ((rows > 0).sum(axis=1) == 1).all()  # one pixel wide
    assert set(np.argwhere(rows > 0)[:, 1]) <= {14, 15}
    # Half the difference across a pixel of a step under a Gaussian of sigma 1.
    weights = np.exp(-(np.arange(-3, 4) ** 2) / 2)
    weights /= weights.sum()
    assert np.allclose(rows[rows > 0], 100 * (weights[3] + weights[4]) / 2)
    assert not (values(run("CannyEdgeDetector", image(array), 40.0, 1.0))[8:-8] > 0).any()
    sharp = values(run("CannyEdgeDetector", image(array), 10.0, 0.0))
    assert (sharp[4:-4][:, 14] == 50).all()


# Moved pixels


def test_translate(field):
    img, array = field
    moved = run("Image.translate", img, 30.0, -20.0, "meters", None)
    assert np.array_equal(values(moved), array)  # its own grid went along
    there = values(moved, native(img))
    assert np.array_equal(there[2:, 3:], array[:-2, :-3])
    assert np.isnan(there[:2]).all()
    pixels = run("Image.translate", img, 3.0, 2.0, "pixels", None)
    assert np.array_equal(values(pixels, native(img)), there, equal_nan=True)
    assert moved.footprint.bounds[0] > img.footprint.bounds[0]
    with pytest.raises(EarthEngineError, match="units 'feet'"):
        run("Image.translate", img, 3.0, 2.0, "feet", None)


def test_translate_seen_from_another_crs(field):
    img, array = field
    moved = run("Image.translate", img, 30.0, -20.0, "meters", None)
    x, y = transformer(UTM, "EPSG:4326").transform(500100, 4399900)
    grid = Grid("EPSG:4326", Affine(1e-4, 0, x - 3e-4, 0, -1e-4, y + 3e-4), 6, 6)
    at = locate(grid, Projection(UTM, TRANSFORM))
    wanted = array[np.floor(at.rows - 2).astype(int), np.floor(at.cols - 3).astype(int)]
    # Within a pixel: it is moved on pixels of the size that is asked for.
    near = [
        array[np.floor(at.rows - 2 + r).astype(int), np.floor(at.cols - 3 + c).astype(int)]
        for r in (-0.5, 0, 0.5)
        for c in (-0.5, 0, 0.5)
    ]
    got = values(moved, grid)
    assert np.logical_or.reduce([got == other for other in near]).all()
    assert (got == wanted).mean() > 0.5


def test_change_proj(field):
    img, array = field
    source = Projection(UTM, TRANSFORM)
    twice = Projection("EPSG:32614", Affine(20, 0, 400000, 0, -20, 5000000))
    moved = run("Image.changeProj", img, source, twice)
    assert moved.bands[0].projection == twice
    assert np.array_equal(values(moved), array)


@pytest.mark.parametrize("mode", ["nearest_neighbor", "bilinear", "bicubic"])
def test_displace_by_whole_pixels(field, mode):
    img, array = field
    shift = run("Image.setDefaultProjection", run("Image.constant", [20.0, -10.0]), *_utm())
    got = values(run("Image.displace", img, shift, mode, None))
    assert np.allclose(got[:-1, :-2], array[1:, 2:], rtol=1e-6)
    assert np.isnan(got[-1]).all()


def _utm():
    return Projection(UTM, TRANSFORM), None, None


def test_displace_between_pixels(field):
    img, array = field
    half = run("Image.setDefaultProjection", run("Image.constant", [5.0, 0.0]), *_utm())
    got = values(run("Image.displace", img, half, "bilinear", None))
    assert np.allclose(got[:, :-1], (array[:, :-1] + array[:, 1:]) / 2, rtol=1e-5)
    with pytest.raises(EarthEngineError, match="mode 'x'"):
        run("Image.displace", img, half, "x", None)


# Values


@pytest.mark.parametrize("behaviour", ["extrapolate", "clamp", "mask", "input"])
def test_interpolate(field, behaviour):
    img, array = field
    xs, ys = [-50.0, 0.0, 10.0], [1.0, 3.0, 0.0]
    got = values(run("Image.interpolate", img, xs, ys, behaviour))
    outside = (array < -50) | (array > 10)
    wanted = np.interp(array, xs, ys)
    ends = np.where(array < 0, 1 + (array + 50) * 2 / 50, -(array - 10) * 0.3)
    rest = {"extrapolate": ends, "clamp": wanted, "mask": np.nan, "input": array}[behaviour]
    assert np.allclose(got, np.where(outside, rest, wanted), equal_nan=True)


def test_interpolate_needs_a_function(field):
    with pytest.raises(EarthEngineError, match="strictly increasing"):
        run("Image.interpolate", field[0], [0.0, 0.0], [1.0, 2.0], "clamp")
    with pytest.raises(EarthEngineError, match="same length"):
        run("Image.interpolate", field[0], [0.0, 1.0], [1.0], "clamp")


def test_polynomial(field):
    img, array = field
    got = values(run("Image.polynomial", img, [3.0, -2.0, 0.5]))
    assert np.allclose(got, 3 - 2 * array + 0.5 * array**2, rtol=1e-5)


def test_hsv():
    rng = np.random.default_rng(0)
    rgb = rng.random((3, 9, 9))
    rgb[:, 0, :3] = [[0, 1, 0.5]] * 3
    rgb[:, 0, 3:6] = np.eye(3)
    hsv = run("Image.rgbToHsv", image(rgb))
    assert hsv.band_names == ["hue", "saturation", "value"]
    got = np.stack([values(hsv, None, i) for i in range(3)])
    wanted = np.apply_along_axis(lambda p: colorsys.rgb_to_hsv(*p), 0, rgb)
    assert np.allclose(got, wanted, atol=1e-6)
    back = run("Image.hsvToRgb", hsv)
    assert back.band_names == ["red", "green", "blue"]
    assert np.allclose(np.stack([values(back, None, i) for i in range(3)]), rgb, atol=1e-6)
    with pytest.raises(EarthEngineError, match="3-band"):
        run("Image.rgbToHsv", image(rgb[:2]))


@given(seed=st.integers(0, 200), members=st.integers(1, 4), ones=st.booleans())
@settings(max_examples=25, deadline=None)
def test_unmix_equals_scipy(seed, members, ones):
    rng = np.random.default_rng(seed)
    spectra = rng.random((members, 5))
    fractions = rng.normal(0.3, 0.5, (members, 16))
    pixels = (spectra.T @ fractions + rng.normal(0, 0.05, (5, 16))).reshape(5, 4, 4)
    img = image(pixels)
    free = run("Image.unmix", img, spectra.tolist(), ones, False)
    assert free.band_names == [f"band_{i}" for i in range(members)]
    got = np.stack([values(free, None, i).ravel() for i in range(members)])
    if ones:
        assert np.allclose(got.sum(axis=0), 1)
    else:
        wanted = np.linalg.lstsq(spectra.T, pixels.reshape(5, 16), rcond=None)[0]
        assert np.allclose(got, wanted)
    bound = run("Image.unmix", img, spectra.tolist(), ones, True)
    got = np.stack([values(bound, None, i).ravel() for i in range(members)])
    assert (got >= 0).all()
    # A heavy row of ones makes the sum 1, as nearly as can be.
    heavy = np.vstack([spectra.T, np.full(members, 1e5)]) if ones else spectra.T
    for i, pixel in enumerate(pixels.reshape(5, 16).T):
        goal = np.append(pixel, 1e5) if ones else pixel
        assert np.allclose(got[:, i], optimize.nnls(heavy, goal)[0], atol=1e-5)


@pytest.mark.parametrize("metric", ["sam", "sid", "sed", "emd"])
def test_spectral_distance(metric):
    rng = np.random.default_rng(5)
    a, b = rng.random((2, 4, 3, 3)) + 0.1
    got = run("Image.spectralDistance", image(a), image(b), metric)
    assert got.band_names == ["distance"]
    for row in range(3):
        for col in range(3):
            x, y = a[:, row, col], b[:, row, col]
            p, q = x / x.sum(), y / y.sum()
            wanted = {
                "sam": np.arccos(x @ y / np.linalg.norm(x) / np.linalg.norm(y)),
                "sid": np.sum(p * np.log(p / q)) + np.sum(q * np.log(q / p)),
                "sed": np.sum((x - y) ** 2),
                "emd": np.abs(np.cumsum(x) - np.cumsum(y)).sum(),
            }[metric]
            assert values(got)[row, col] == pytest.approx(wanted)


def test_random_visualizer():
    classes = image(np.array([[1, 2], [2, 1]], np.uint8), names=["c"])
    got = run("Image.randomVisualizer", classes)
    assert got.band_names == ["viz-red", "viz-green", "viz-blue", "c"]
    colours = np.stack([values(got, None, i) for i in range(3)])
    assert (colours[:, 0, 0] == colours[:, 1, 1]).all()
    assert (colours[:, 0, 0] != colours[:, 0, 1]).any()
    assert (colours >= 0).all()
    assert (colours <= 255).all()

"""Objects and distances, against SciPy's labels and against all pairs of pixels."""

import heapq

import numpy as np
import pytest
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from pixel_images import UTM, image, native, run, values
from scipy import ndimage

from eedask.emulator.errors import EarthEngineError
from eedask.emulator.pixels.raster import Grid

EIGHT = np.ones((3, 3), int)
FOUR = ndimage.generate_binary_structure(2, 1)
PIXELS = ("pixels", True, 1.0)


def patches(seed, classes=3, shape=(22, 26)):
    """Blobs of some classes, some pixels masked, and the values with NaN there."""
    rng = np.random.default_rng(seed)
    array = ndimage.zoom(rng.integers(0, classes, (8, 9)), 3, order=0)[: shape[0], : shape[1]]
    flip = rng.random(shape) < 0.15
    array = np.where(flip, rng.integers(0, classes, shape), array).astype(np.uint8)
    mask = (rng.random(shape) > 0.1).astype(np.float32)
    return image(array, names=["c"], mask=mask), np.where(mask > 0, array, np.nan)


def labelled(array, structure):
    """Labels from 1 of connected pixels of the same value, 0 where NaN."""
    result, n = np.zeros(array.shape, int), 0
    for value in np.unique(array[np.isfinite(array)]):
        found, count = ndimage.label(array == value, structure)
        result += np.where(found > 0, found + n, 0)
        n += count
    return result


@given(seed=st.integers(0, 500), eight=st.booleans(), most=st.sampled_from([1, 4, 30, 100]))
@settings(max_examples=25, deadline=None)
def test_connected_pixel_count(seed, eight, most):
    img, array = patches(seed)
    labels = labelled(array, EIGHT if eight else FOUR)
    counts = np.minimum(np.bincount(labels.ravel())[labels], most)
    wanted = np.where(labels > 0, counts, np.nan)
    got = run("Image.connectedPixelCount", img, most, eight)
    assert got.band_names == ["c"]
    assert np.array_equal(values(got), wanted, equal_nan=True)
    # A part of the image sees the objects whole.
    part = native(img, 7, 5, 9, 8)
    assert np.array_equal(values(got, part), wanted[8:13, 9:16], equal_nan=True)


def test_connected_components():
    img, array = patches(1)
    plus = run("Kernel.plus", 1.0, *PIXELS)
    got = run("Image.connectedComponents", img, plus, 20)
    assert got.band_names == ["c", "labels"]
    labels = labelled(array, FOUR)
    small = np.bincount(labels.ravel()) <= 20
    wanted = np.where(small[labels], labels, 0)
    ids = values(got, None, 1)
    assert (np.isfinite(ids) == (wanted > 0)).all()
    assert np.array_equal(values(got), np.where(wanted > 0, array, np.nan), equal_nan=True)
    pairs = set(zip(wanted[wanted > 0], ids[wanted > 0], strict=True))
    assert len(pairs) == len({p[0] for p in pairs}) == len({p[1] for p in pairs})
    part = native(img, 7, 5, 9, 8)
    assert np.array_equal(values(got, part, 1), ids[8:13, 9:16], equal_nan=True)
    eight = run("Image.connectedComponents", img, run("Kernel.square", 1.0, *PIXELS), 1024)
    found = values(eight, None, 1)
    labels = labelled(array, EIGHT)
    assert len(np.unique(found[np.isfinite(found)])) == labels.max()
    with pytest.raises(EarthEngineError, match="from 1 to 1024"):
        run("Image.connectedComponents", img, plus, 5000)


def test_reduce_connected_components():
    img, array = patches(2)
    rng = np.random.default_rng(7)
    value = rng.random((2, *array.shape))
    data = run("Image.addBands", image(value, names=["a", "b"]), img)
    got = run("Image.reduceConnectedComponents", data, run("Reducer.mean"), "c", 256)
    assert got.band_names == ["a", "b"]
    labels = labelled(array, EIGHT)
    for band in (0, 1):
        means = ndimage.mean(value[band], labels, np.arange(labels.max() + 1))
        wanted = np.where(labels > 0, means[labels], np.nan)
        assert np.allclose(values(got, native(img), band), wanted, equal_nan=True)
    both = run("Reducer.combine", run("Reducer.min"), run("Reducer.count"), "", True)
    two = run("Image.reduceConnectedComponents", data, both, "c", 6)
    assert two.band_names == ["a_min", "a_count", "b_min", "b_count"]
    boxes = ndimage.find_objects(labels)
    fits = np.array([True] + [max(s.stop - s.start for s in box) <= 6 for box in boxes])
    counts = np.where((labels > 0) & fits[labels], np.bincount(labels.ravel())[labels], np.nan)
    assert np.array_equal(values(two, native(img), 1), counts, equal_nan=True)
    assert np.isnan(counts).any()
    with pytest.raises(EarthEngineError, match="no band 'x'"):
        run("Image.reduceConnectedComponents", data, both, "x", 6)


def all_pairs(targets, metric):
    """The distance of each pixel to the nearest target, by looking at all."""
    rows, cols = np.nonzero(targets)
    r, c = np.indices(targets.shape)
    dr, dc = np.abs(r[..., None] - rows), np.abs(c[..., None] - cols)
    ways = {
        "euclidean": np.hypot(dr, dc),
        "manhattan": dr + dc,
        "chebyshev": np.maximum(dr, dc),
    }
    return ways[metric].min(axis=2) if rows.size else np.full(targets.shape, np.inf)


@pytest.fixture
def targets():
    rng = np.random.default_rng(3)
    array = (rng.random((24, 30)) < 0.02).astype(np.uint8)
    mask = (rng.random(array.shape) > 0.1).astype(np.float32)
    return image(array, mask=mask), array * (mask > 0), mask > 0


@pytest.mark.parametrize("metric", ["euclidean", "manhattan", "chebyshev"])
def test_distance(targets, metric):
    img, array, there = targets
    far = all_pairs(array, metric)
    kernel = run(f"Kernel.{metric}", 5.0, "pixels", False, 1.0)
    got = values(run("Image.distance", img, kernel, False))
    assert np.allclose(got, np.where(far <= 5, far, np.nan), equal_nan=True)
    skipped = values(run("Image.distance", img, kernel, True))
    assert np.allclose(skipped, np.where((far <= 5) & there, far, np.nan), equal_nan=True)
    metres = run(f"Kernel.{metric}", 62.5, "meters", False, 1.0)
    coarse = Grid(UTM, Affine(20, 0, 500000, 0, -20, 4400000), 15, 12)
    far = 20 * all_pairs(array[::2, ::2], metric)
    got = values(run("Image.distance", img, metres, False), coarse)
    assert np.allclose(got, np.where(far <= 62.5, far, np.nan), equal_nan=True)


def test_distance_needs_a_distance_kernel(targets):
    with pytest.raises(EarthEngineError, match="one of chebyshev"):
        run("Image.distance", targets[0], run("Kernel.circle", 1.0, *PIXELS), True)
    near = values(run("Image.distance", targets[0], None, False))
    assert np.allclose(near, all_pairs(targets[1], "euclidean"))


@pytest.mark.parametrize("metric", ["squared_euclidean", "manhattan", "chebyshev"])
def test_fast_distance_transform(targets, metric):
    img, array, _ = targets
    far = all_pairs(array, metric.removeprefix("squared_"))
    got = run("Image.fastDistanceTransform", img, 6, "pixels", metric)
    assert got.band_names == ["distance"]
    wanted = np.where(far <= 6, far**2 if metric.startswith("squared") else far, np.nan)
    assert np.allclose(values(got), wanted, equal_nan=True)
    with pytest.raises(EarthEngineError, match="metric 'x'"):
        run("Image.fastDistanceTransform", img, 6, "pixels", "x")
    with pytest.raises(EarthEngineError, match="Only 'pixels'"):
        run("Image.fastDistanceTransform", img, 6, "meters", metric)


def test_no_target_at_all():
    img = image(np.zeros((6, 6), np.uint8))
    assert np.isnan(values(run("Image.distance", img, None, True))).all()
    assert np.isnan(values(run("Image.fastDistanceTransform", img, 9, "pixels", "manhattan"))).all()


def cheapest(cost, targets, size):
    """Dijkstra's ways over eight neighbours, pixel by pixel, and how many steps they have."""
    starts = map(tuple, np.argwhere(targets & np.isfinite(cost)).tolist())
    best = dict.fromkeys(starts, (0.0, 0))
    heap = [(0.0, 0, at) for at in best]
    heapq.heapify(heap)
    while heap:
        total, steps, (row, col) = heapq.heappop(heap)
        if (total, steps) > best[row, col]:
            continue
        for dr in (-1, 0, 1):
            for dc in (-1, 0, 1):
                r, c = row + dr, col + dc
                if (dr or dc) and 0 <= r < cost.shape[0] and 0 <= c < cost.shape[1]:
                    step = np.hypot(dr, dc) * size * (cost[row, col] + cost[r, c]) / 2
                    new = (total + step, steps + 1)
                    if np.isfinite(step) and new < best.get((r, c), (np.inf, 0)):
                        best[r, c] = new
                        heapq.heappush(heap, (*new, (r, c)))
    return best


def test_cumulative_cost():
    rng = np.random.default_rng(8)
    cost = rng.random((18, 22)) * 5
    mask = (rng.random(cost.shape) > 0.2).astype(np.float32)
    targets = (rng.random(cost.shape) < 0.02).astype(np.uint8)
    targets[4, 4], mask[4, 4] = 1, 1
    ways = cheapest(np.where(mask > 0, cost, np.nan), targets > 0, 10)
    img, sources = image(cost, mask=mask), image(targets)
    got = run("Image.cumulativeCost", img, sources, 500.0, False)
    assert got.band_names == ["cumulative_cost"]
    wanted = np.full(cost.shape, np.nan)
    for at, (total, _) in ways.items():
        wanted[at] = total
    assert np.allclose(values(got), wanted, equal_nan=True, atol=1e-9)
    short = values(run("Image.cumulativeCost", img, sources, 40.0, False))
    reached = {at for at, (_, steps) in ways.items() if steps <= 4}
    assert {tuple(at) for at in np.argwhere(np.isfinite(short)).tolist()} <= reached
    curved = values(run("Image.cumulativeCost", img, sources, 500.0, True))
    assert np.allclose(curved, wanted, rtol=5e-3, equal_nan=True)
    with pytest.raises(EarthEngineError, match="more than one band"):
        run("Image.cumulativeCost", run("Image.addBands", img, img), sources, 9.0, True)

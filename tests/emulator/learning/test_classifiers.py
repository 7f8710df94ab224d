"""Classifiers, against brute force and against what cannot be otherwise, and through the client."""

import ee
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist

from eedask.emulator.learning.classifiers import Classifier, Training
from eedask.emulator.learning.decision_trees import Growth, grow, grow_forest
from eedask.emulator.learning.learners import centres, forest, neighbours, tree
from eedask.emulator.limits.budget import Budget, MemoryLimit
from eedask.emulator.limits.metering import metered

RNG = np.random.default_rng(7)


def blobs(classes=(1, 2, 5), rows=60, spread=0.6):
    labels = np.repeat(classes, rows)
    inputs = RNG.normal(0, spread, (len(labels), 4))
    inputs[:, 0] += labels
    inputs[:, 2] -= 2 * labels
    return inputs, labels.astype(float)


def learned(learn, inputs, labels, **options):
    names = tuple(f"v{i}" for i in range(inputs.shape[1]))
    return Classifier("x", learn, training=Training(names, inputs, labels), **options)


def impurity(targets):
    return float(((targets - targets.mean(axis=0)) ** 2).sum()) if len(targets) else 0.0


small = st.integers(2, 12).flatmap(
    lambda n: st.tuples(
        st.lists(st.tuples(*[st.integers(-3, 3)] * 2), min_size=n, max_size=n),
        st.lists(st.integers(0, 2), min_size=n, max_size=n),
    )
)


@given(small, st.integers(1, 3), st.booleans())
@settings(deadline=None)
def test_a_stump_splits_where_least_impurity_is_left(table, least, is_number):
    inputs, labels = np.array(table[0], float), np.array(table[1], float)
    targets = labels[:, None] if is_number else (labels[:, None] == np.unique(labels)).astype(float)
    stump = grow(inputs, targets, Growth(most_leaves=2, least_in_leaf=least), RNG)
    possible = []
    for variable in range(2):
        for threshold in np.unique(inputs[:, variable])[:-1]:
            below = inputs[:, variable] <= threshold
            if min(below.sum(), (~below).sum()) >= least:
                possible.append(impurity(targets[below]) + impurity(targets[~below]))
    left = impurity(targets)
    if stump.feature[0] >= 0:
        below = inputs[:, stump.feature[0]] <= stump.threshold[0]
        left = impurity(targets[below]) + impurity(targets[~below])
        assert stump.importance.sum() == pytest.approx(impurity(targets) - left)
    assert left == pytest.approx(min([impurity(targets), *possible]))
    np.testing.assert_allclose(stump.predict(inputs).mean(axis=0), targets.mean(axis=0))


@given(small)
@settings(deadline=None)
def test_a_full_tree_knows_its_rows_as_far_as_they_can_be_told_apart(table):
    inputs, labels = np.array(table[0], float), np.array(table[1], float)
    found = grow(inputs, labels[:, None], Growth(), RNG).predict(inputs)[:, 0]
    # A row's value is its own, or lies among those of rows that no split parts from it.
    for row in np.unique(inputs, axis=0):
        same = (inputs == row).all(axis=1)
        assert len(set(found[same])) == 1
        if (
            len(set(labels[same])) == 1
            and impurity(labels)
            and len(set(found)) == len(np.unique(inputs, axis=0))
        ):
            assert found[same][0] == pytest.approx(labels[same][0])


def test_leaves_are_as_many_and_as_large_as_told():
    inputs, labels = blobs(spread=3)
    for growth in (Growth(most_leaves=4), Growth(least_in_leaf=20), Growth(8, 5)):
        made = grow(inputs, labels[:, None], growth, RNG)
        leaves = made.feature < 0
        assert leaves.sum() <= (growth.most_leaves or len(labels))
        values = made.predict(inputs)[:, 0]
        assert np.unique(values, return_counts=True)[1].min() >= growth.least_in_leaf
    assert grow(inputs, labels[:, None], Growth(most_leaves=4), RNG).feature.size == 7


def test_a_forest_depends_on_its_seed_alone():
    inputs, labels = blobs(spread=3)
    one, again, other = (
        grow_forest(inputs, labels[:, None], Growth(tried=2), 5, 0.5, seed) for seed in (1, 1, 2)
    )
    assert (one.predict(inputs) == again.predict(inputs)).all()
    assert (one.predict(inputs) != other.predict(inputs)).any()
    mean = np.mean([t.predict(inputs) for t in one.trees], axis=0)
    np.testing.assert_allclose(one.predict(inputs), mean)
    # Half of the rows are left out of each tree.
    assert np.isfinite(one.out_of_bag).mean() > 0.9


def test_classes_that_lie_apart_are_told_apart():
    inputs, labels = blobs()
    fresh, truth = blobs()
    learners = (tree(Growth()), forest(Growth(), 30, 0.5, 0), neighbours(3), centres("euclidean"))
    for learn in learners:
        found = learned(learn, inputs, labels).outputs(fresh)
        assert set(found) <= {1, 2, 5}
        assert (found == truth).mean() > 0.9


@pytest.mark.parametrize("k", [1, 4, 500])
def test_neighbours_are_the_nearest(k):
    inputs, labels = blobs(spread=3)
    fresh, _ = blobs(rows=10, spread=3)
    model = learned(neighbours(k), inputs, labels, mode="MULTIPROBABILITY")
    near = np.argsort(cdist(fresh, inputs), axis=1)[:, : min(k, len(labels))]
    wanted = np.stack([(labels[near] == c).mean(axis=1) for c in (1, 2, 5)], axis=1)
    np.testing.assert_allclose(model.outputs(fresh), wanted)


@pytest.mark.parametrize("metric", ["euclidean", "cosine", "manhattan"])
def test_centres_are_the_nearest_means(metric):
    inputs, labels = blobs(spread=3)
    fresh, _ = blobs(rows=10, spread=3)
    means = np.stack([inputs[labels == c].mean(axis=0) for c in (1, 2, 5)])
    if metric == "cosine":
        away = 1 - (fresh @ means.T) / np.outer(
            np.linalg.norm(fresh, axis=1), np.linalg.norm(means, axis=1)
        )
    else:
        order = 1 if metric == "manhattan" else 2
        away = np.linalg.norm(fresh[:, None] - means, ord=order, axis=2)
    found = learned(centres(metric), inputs, labels).outputs(fresh)
    np.testing.assert_array_equal(found, np.array([1, 2, 5])[away.argmin(axis=1)])


def test_modes():
    inputs, labels = blobs(classes=(0, 1), spread=1)
    kind = forest(Growth(least_in_leaf=5), 20, 0.5, 0)
    shares = learned(kind, inputs, labels, mode="MULTIPROBABILITY").outputs(inputs)
    np.testing.assert_allclose(shares.sum(axis=1), 1)
    assert (learned(kind, inputs, labels, mode="PROBABILITY").outputs(inputs) == shares[:, 1]).all()
    classes = learned(kind, inputs, labels).outputs(inputs)
    assert (classes == shares.argmax(axis=1)).all()
    numbers = learned(kind, inputs, labels + 10, mode="REGRESSION").outputs(inputs)
    assert np.corrcoef(numbers, labels)[0, 1] > 0.8
    assert (numbers >= 10).all()
    assert (numbers <= 11).all()


def test_learning_is_bounded():
    inputs = RNG.normal(size=(20_000, 4))
    labels = RNG.integers(0, 50, 20_000).astype(float)
    with metered(Budget(memory=2**25)), pytest.raises(MemoryLimit):
        learned(tree(Growth()), inputs, labels).outputs(inputs)


def test_what_was_learned_is_kept_at_the_same_cost():
    inputs, labels = blobs(spread=2)
    asked = []

    def learn(rows, targets):
        asked.append(1)
        return forest(Growth(), 5, 0.5, 0)(rows, targets)

    costs = []
    for seed in (0, 0, 1):
        with metered(Budget()) as meter:
            learned(learn, inputs, labels, options=(seed,)).outputs(inputs[:5])
        costs.append(meter.operations)
    assert costs[0] == costs[1] > 1000
    assert len(asked) == 2
    with metered(Budget()):
        learned(learn, inputs, labels + 1, options=(0,), mode="REGRESSION").outputs(inputs[:5])
    assert len(asked) == 3


# Through the client.


@pytest.fixture
def training():
    """Points of two classes, told apart by longitude."""
    image = ee.Image.pixelLonLat().addBands(ee.Image.constant(7).rename("same"))
    where = ee.FeatureCollection(
        [
            ee.Feature(ee.Geometry.Point(10 + 0.01 * i, 50 + 0.003 * (i % 7)), {"cover": i // 20})
            for i in range(40)
        ]
    )
    return image, image.sampleRegions(where, ["cover"], 100)


@pytest.mark.usefixtures("client")
def test_a_script_that_classifies(training):
    image, points = training
    trained = ee.Classifier.smileRandomForest(10).train(points, "cover", image.bandNames())
    assert trained.schema().getInfo() == ["longitude", "latitude", "same"]
    assert trained.mode().getInfo() == "CLASSIFICATION"
    assert trained.confusionMatrix().accuracy().getInfo() > 0.95
    told = trained.explain().getInfo()
    assert told["classes"] == [0, 1]
    assert told["importance"]["longitude"] > told["importance"]["latitude"]
    assert told["importance"]["same"] == 0
    assert told["numberOfTrees"] == 10
    assert told["outOfBagErrorEstimate"] < 0.2
    grid = {
        "dimensions": {"width": 40, "height": 2},
        "affineTransform": {
            "scaleX": 0.01,
            "translateX": 9.995,
            "scaleY": -0.01,
            "translateY": 50.01,
        },
        "crsCode": "EPSG:4326",
    }
    classified = image.updateMask(image.select("longitude").gt(10.03)).classify(trained)
    array = ee.data.computePixels(
        {"expression": classified.unmask(9), "fileFormat": "NUMPY_NDARRAY", "grid": grid}
    )["classification"]
    assert (array[:, :4] == 9).all()
    assert (array[:, 5:18] == 0).all()
    assert (array[:, 22:] == 1).all()
    assert array.dtype == np.uint8
    shares = image.classify(trained.setOutputMode("MULTIPROBABILITY"), "p").arrayGet(1)
    place = ee.Geometry.Point(10.35, 50)
    assert shares.reduceRegion("first", place, 100).getInfo()["p"] > 0.9


@pytest.mark.usefixtures("client")
@pytest.mark.parametrize(
    "make",
    [
        lambda: ee.Classifier.smileCart(),
        lambda: ee.Classifier.smileCart(maxNodes=4, minLeafPopulation=2),
        lambda: ee.Classifier.smileKNN(3),
        lambda: ee.Classifier.minimumDistance(),
    ],
)
def test_validation_by_an_error_matrix(training, make):
    _, points = training
    trained = make().train(points, "cover", ["longitude", "same"])
    checked = points.classify(trained)
    assert checked.errorMatrix("cover", "classification").array().getInfo() == [[20, 0], [0, 20]]
    assert checked.first().getInfo()["properties"]["classification"] == 0


@pytest.mark.usefixtures("client")
def test_what_cannot_be_learned_is_said(training):
    image, points = training
    cart = ee.Classifier.smileCart()
    assert cart.schema().getInfo() is None
    for words, ask in {
        "has not been trained": image.classify(cart),
        "No valid training data": cart.train(ee.FeatureCollection([]), "cover").explain(),
        "Property 'gone' of feature '.*' is missing": cart.train(points, "gone").explain(),
        "Band pattern 'longitude' did not match": ee.Image(1).classify(
            cart.train(points, "cover", ["longitude"])
        ),
        "does not support the output mode 'RAW'": cart.setOutputMode("RAW").mode(),
        "bag fraction": ee.Classifier.smileRandomForest(5, bagFraction=2).mode(),
    }.items():
        with pytest.raises(ee.EEException, match=words):
            ask.getInfo()

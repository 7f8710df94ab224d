"""K-means, against what its results must be, and through the client."""

import ee
import numpy as np
import pytest
from scipy.spatial.distance import cdist

from eedask.emulator.learning.k_means import FARTHEST, PLUS_PLUS, RANDOM, k_means

RNG = np.random.default_rng(3)
PLACES = np.array([[0, 0], [100, 1], [50, 3]])


def blobs():
    return np.concatenate([RNG.normal(p, [2, 0.05], (50, 2)) for p in PLACES])


@pytest.mark.parametrize("metric", ["Euclidean", "Manhattan"])
@pytest.mark.parametrize("start", [RANDOM, PLUS_PLUS, FARTHEST])
def test_rows_are_with_the_nearest_centre_and_centres_in_the_middle(metric, start):
    inputs = blobs()
    made = k_means(inputs, 3, metric, start, 500, 10)
    own = made.nearest(inputs)
    scaled = (inputs - inputs.min(axis=0)) / np.ptp(inputs, axis=0)
    away = cdist(scaled, made.centres, "euclidean" if metric == "Euclidean" else "cityblock")
    np.testing.assert_array_equal(own, away.argmin(axis=1))
    middle = np.mean if metric == "Euclidean" else np.median
    for k, centre in enumerate(made.centres):
        np.testing.assert_allclose(centre, middle(scaled[own == k], axis=0))
    if start != RANDOM:
        assert len({tuple(np.unique(own[i : i + 50])) for i in (0, 50, 100)}) == 3


def test_there_are_no_more_clusters_than_different_rows():
    inputs = np.array([[1.0, 5.0], [2.0, 5.0], [1.0, 5.0]])
    for start in (RANDOM, PLUS_PLUS, FARTHEST):
        made = k_means(inputs, 7, "Euclidean", start, 500, 0)
        assert made.centres.shape == (2, 2)
        own = made.nearest(inputs)
        assert own[0] == own[2] != own[1]


@pytest.mark.usefixtures("client")
def test_a_script_that_clusters():
    image = ee.Image.pixelLonLat()
    region = ee.Geometry.Rectangle([10, 50, 10.2, 50.001], None, False)
    points = image.sample(region, 100)
    untrained = ee.Clusterer.wekaKMeans(2, 3)
    assert untrained.schema().getInfo() is None
    trained = untrained.train(points, ["longitude"])
    assert trained.schema().getInfo() == ["longitude"]
    found = points.cluster(trained).aggregate_histogram("cluster").getInfo()
    assert set(found) == {"0", "1"}
    assert max(found.values()) < 1.2 * min(found.values())
    clustered = image.cluster(trained)
    assert clustered.bandNames().getInfo() == ["cluster"]
    west, east = (
        clustered.reduceRegion("first", ee.Geometry.Point(x, 50.0005), 100).get("cluster").getInfo()
        for x in (10.01, 10.19)
    )
    assert {west, east} == {0, 1}


@pytest.mark.usefixtures("client")
def test_what_cannot_be_clustered_is_said():
    image = ee.Image.pixelLonLat()
    for words, ask in {
        "has not been trained": image.cluster(ee.Clusterer.wekaKMeans(2)),
        "No valid training data": image.cluster(
            ee.Clusterer.wekaKMeans(2).train(ee.FeatureCollection([]))
        ),
        "does not support the initialization 2": ee.Clusterer.wekaKMeans(2, 2).schema(),
        "Euclidean or Manhattan": ee.Clusterer.wekaKMeans(2, distanceFunction="Chebyshev").schema(),
    }.items():
        with pytest.raises(ee.EEException, match=words):
            ask.getInfo()

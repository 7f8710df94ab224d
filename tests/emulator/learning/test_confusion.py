"""Confusion matrices and what is made of them; the matrix is that of the reference's samples."""

import numpy as np
import pytest
from graphs import call, info_of, value_of
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from eedask.emulator.errors import EarthEngineError
from eedask.emulator.learning.confusion import ConfusionMatrix

SAMPLE = [
    [32, 0, 0, 0, 1, 0],
    [0, 5, 0, 0, 1, 0],
    [0, 0, 1, 3, 0, 0],
    [0, 1, 4, 26, 8, 0],
    [0, 0, 0, 7, 15, 0],
    [0, 0, 0, 1, 0, 5],
]


def matrix(rows, order=None):
    return call("ConfusionMatrix", array=call("Array", values=rows), order=order)


def of(name, rows=SAMPLE, **arguments):
    return info_of(call(f"ConfusionMatrix.{name}", confusionMatrix=matrix(rows), **arguments))


def test_measures_of_the_sample():
    counts = np.array(SAMPLE)
    right = np.diag(counts)
    assert info_of(matrix(SAMPLE)) == SAMPLE
    assert of("array") == SAMPLE
    assert of("order") == [0, 1, 2, 3, 4, 5]
    assert of("accuracy") == pytest.approx(84 / 110)
    assert np.allclose(of("producersAccuracy"), (right / counts.sum(axis=1))[:, None])
    assert np.allclose(of("consumersAccuracy"), (right / counts.sum(axis=0))[None, :])
    chance = counts.sum(axis=0) @ counts.sum(axis=1) / 110**2
    assert of("kappa") == pytest.approx((84 / 110 - chance) / (1 - chance))
    recall, precision = right / counts.sum(axis=1), right / counts.sum(axis=0)
    assert np.allclose(of("fscore"), 2 / (1 / recall + 1 / precision))
    assert np.allclose(of("fscore", beta=2), 5 / (4 / recall + 1 / precision))


@given(arrays.arrays(np.int64, (3, 3), elements=st.integers(0, 50)))
def test_measures_stay_in_bounds(counts):
    found = ConfusionMatrix(counts, (0, 1, 2))
    for measure in (found.producers, found.consumers, found.fscore(1.5)):
        assert ((measure >= 0) & (measure <= 1)).all()
    if counts.sum():
        assert 0 <= found.accuracy <= 1
        assert not found.kappa > 1
    else:
        assert np.isnan(found.accuracy)


def features(pairs):
    names = ("actual", "predicted")
    return [
        call("Feature", geometry=None, metadata={k: v for k, v in zip(names, p, strict=True) if v})
        if None in p
        else call("Feature", geometry=None, metadata=dict(zip(names, p, strict=True)))
        for p in pairs
    ]


def error_matrix(pairs, order=None):
    collection = call("Collection", features=features(pairs))
    return call(
        "Collection.errorMatrix",
        collection=collection,
        actual="actual",
        predicted="predicted",
        order=order,
    )


def test_error_matrix():
    pairs = [(0, 0), (0, 1), (1, 1), (2, 1), (2, 2), (2, 2), (1, None)]
    assert info_of(error_matrix(pairs)) == [[1, 1, 0], [0, 1, 0], [0, 1, 2]]
    some = error_matrix(pairs, [2, 0])
    assert info_of(some) == [[2, 0], [0, 1]]
    assert info_of(call("ConfusionMatrix.order", confusionMatrix=some)) == [2, 0]
    with pytest.raises(EarthEngineError, match="small integers"):
        value_of(error_matrix([(0.5, 1)]))
    with pytest.raises(EarthEngineError, match="square"):
        value_of(matrix([[1, 2, 3]]))
    with pytest.raises(EarthEngineError, match="2 different values"):
        value_of(matrix([[1, 2], [3, 4]], [1, 1]))

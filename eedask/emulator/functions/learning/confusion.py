"""Confusion matrices, and making one of two columns."""

from __future__ import annotations

from typing import Any

import numpy as np

from eedask.emulator.errors import EarthEngineError
from eedask.emulator.functions.registry import algorithm
from eedask.emulator.learning.confusion import ConfusionMatrix, of_pairs
from eedask.emulator.values.elements import property_of
from eedask.emulator.values.values import Collection


@algorithm("ConfusionMatrix")
def confusion_matrix(array: Any, order: list[int] | None = None) -> ConfusionMatrix:
    """Return a confusion matrix of an array of counts."""
    if isinstance(array, ConfusionMatrix):
        return array
    if not isinstance(array, np.ndarray):
        raise EarthEngineError("ConfusionMatrix: The argument must be an Array.")
    labels = range(array.shape[0] if array.ndim else 0) if order is None else order
    return ConfusionMatrix(array, tuple(labels))


@algorithm("Collection.errorMatrix")
def error_matrix(
    items: Collection, actual: str, predicted: str, order: list[int] | None = None
) -> ConfusionMatrix:
    """Return how often values of two properties occur together, where both are there.

    https://developers.google.com/earth-engine/apidocs/ee-featurecollection-errormatrix
    """
    pairs = []
    for element in items.elements():
        pair = property_of(element, actual), property_of(element, predicted)
        if None in pair:
            continue
        if not all(isinstance(v, bool | int | float) for v in pair):
            raise EarthEngineError("Collection.errorMatrix: The values must be numbers.")
        pairs.append(pair)
    return of_pairs(pairs, order)


@algorithm("ConfusionMatrix.accuracy")
def accuracy(matrix: ConfusionMatrix) -> float:
    """Return the share of all that is right."""
    return matrix.accuracy


@algorithm("ConfusionMatrix.kappa")
def kappa(matrix: ConfusionMatrix) -> float:
    """Return Cohen's kappa."""
    return matrix.kappa


@algorithm("ConfusionMatrix.array")
def array_of(matrix: ConfusionMatrix) -> Any:
    """Return the counts."""
    return matrix.counts


@algorithm("ConfusionMatrix.order")
def order_of(matrix: ConfusionMatrix) -> list[int]:
    """Return the values that rows and columns stand for."""
    return list(matrix.order)


@algorithm("ConfusionMatrix.producersAccuracy")
def producers_accuracy(matrix: ConfusionMatrix) -> Any:
    """Return the accuracy of each actual value, one column."""
    return matrix.producers[:, None]


@algorithm("ConfusionMatrix.consumersAccuracy")
def consumers_accuracy(matrix: ConfusionMatrix) -> Any:
    """Return the accuracy of each predicted value, one row."""
    return matrix.consumers[None, :]


@algorithm("ConfusionMatrix.fscore")
def fscore(matrix: ConfusionMatrix, beta: float = 1.0) -> Any:
    """Return the score of each value, one axis (a guess)."""
    return matrix.fscore(beta)

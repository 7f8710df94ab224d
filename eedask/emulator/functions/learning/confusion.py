"""ConfusionMatrix.*, and the confusion matrix of two properties of a collection."""

from __future__ import annotations

from typing import Any

import numpy as np

from eedask.emulator.errors import EarthEngineError
from eedask.emulator.functions.registry import algorithm
from eedask.emulator.learning.confusion import ConfusionMatrix, of_pairs
from eedask.emulator.values.elements import property_of
from eedask.emulator.values.value_types import Collection


@algorithm("ConfusionMatrix")
def confusion_matrix(array: Any, order: list[int] | None = None) -> ConfusionMatrix:
    """Return the confusion matrix of a square array of counts: rows actual, columns predicted."""
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
    """Return the confusion matrix of two properties; features that lack one are left out.

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
    """Return the overall accuracy: the share of samples on the diagonal."""
    return matrix.accuracy


@algorithm("ConfusionMatrix.kappa")
def kappa(matrix: ConfusionMatrix) -> float:
    """Return Cohen's kappa."""
    return matrix.kappa


@algorithm("ConfusionMatrix.array")
def array_of(matrix: ConfusionMatrix) -> Any:
    """Return the counts as an array, rows actual and columns predicted values."""
    return matrix.counts


@algorithm("ConfusionMatrix.order")
def order_of(matrix: ConfusionMatrix) -> list[int]:
    """Return the class values of the rows and columns, in order."""
    return list(matrix.order)


@algorithm("ConfusionMatrix.producersAccuracy")
def producers_accuracy(matrix: ConfusionMatrix) -> Any:
    """Return the accuracy of each actual class (row), as an array of shape (n, 1)."""
    return matrix.producers[:, None]


@algorithm("ConfusionMatrix.consumersAccuracy")
def consumers_accuracy(matrix: ConfusionMatrix) -> Any:
    """Return the accuracy of each predicted class (column), as an array of shape (1, n)."""
    return matrix.consumers[None, :]


@algorithm("ConfusionMatrix.fscore")
def fscore(matrix: ConfusionMatrix, beta: float = 1.0) -> Any:
    """Return the F-score of each class, as an array of shape (n,) (the shape is a guess)."""
    return matrix.fscore(beta)

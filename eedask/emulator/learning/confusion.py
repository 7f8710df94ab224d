"""Confusion matrices (``ee.ConfusionMatrix``): how often predicted values equal actual ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eedask.emulator.errors import EarthEngineError

Array = NDArray[Any]


@dataclass(frozen=True)
class ConfusionMatrix:
    """A confusion matrix: the counts of pairs of actual and predicted values.

    Attributes
    ----------
    counts : ndarray, shape (n, n)
        Rows are actual values, columns predicted ones.
    order : tuple of int
        The n different values that rows and columns stand for.
    """

    counts: Array
    order: tuple[int, ...]

    def __post_init__(self) -> None:
        shape = self.counts.shape
        if len(shape) != 2 or shape[0] != shape[1] or self.counts.dtype.kind not in "biuf":
            raise EarthEngineError("ConfusionMatrix: The array must be square and of numbers.")
        if len(self.order) != shape[0] or len(set(self.order)) < len(self.order):
            raise EarthEngineError(
                f"ConfusionMatrix: The order must have {shape[0]} different values."
            )

    def to_info(self) -> list[Any]:
        """Return the counts, row by row."""
        return list(self.counts.tolist())

    @property
    def right(self) -> Array:
        """The number of correct predictions of each value, shape (n,)."""
        return np.diagonal(self.counts)

    @property
    def accuracy(self) -> float:
        """The overall accuracy: the share of correct predictions; NaN if the matrix is empty."""
        total = self.counts.sum()
        return float(self.right.sum() / total) if total else float("nan")

    @property
    def kappa(self) -> float:
        """Cohen's kappa: how much better than chance the predictions are, 1 if all are correct."""
        total = self.counts.sum()
        if not total:
            return float("nan")
        chance = float(self.counts.sum(axis=0) @ self.counts.sum(axis=1) / total**2)
        return (self.accuracy - chance) / (1 - chance) if chance != 1 else float("nan")

    @property
    def producers(self) -> Array:
        """The producer's accuracy (recall) of each value: correct predictions per occurrence.

        0 for a value that does not occur.
        """
        return _shares(self.right, self.counts.sum(axis=1))

    @property
    def consumers(self) -> Array:
        """The consumer's accuracy (precision) of each value: the correct share of its predictions.

        0 for a value that is never predicted.
        """
        return _shares(self.right, self.counts.sum(axis=0))

    def fscore(self, beta: float) -> Array:
        """Return each value's F-score: the weighted harmonic mean of recall and precision.

        Recall weighs ``beta`` times as much as precision.
        """
        recall, precision = self.producers, self.consumers
        return _shares((1 + beta**2) * precision * recall, beta**2 * precision + recall)


def _shares(parts: Array, wholes: Array) -> Array:
    return parts / np.where(wholes != 0, wholes, 1)


def of_pairs(pairs: list[tuple[Any, Any]], order: list[int] | None) -> ConfusionMatrix:
    """Return the confusion matrix of pairs of actual and predicted values.

    Parameters
    ----------
    pairs : list of (actual, predicted)
    order : list of int, optional
        The values of rows and columns; pairs with another value are ignored. By default all
        integers from 0 to the greatest value.

    Raises
    ------
    EarthEngineError
        Without an order: a value is not an integer from 0 to 32,767.
    """
    if order is None:
        most = max((int(v) for pair in pairs for v in pair), default=-1)
        if any(not float(v).is_integer() or not 0 <= v < 2**15 for p in pairs for v in p):
            raise EarthEngineError(
                "Collection.errorMatrix: Values must be small integers from 0. Specify an order."
            )
        order = list(range(most + 1))
    place = {value: i for i, value in enumerate(order)}
    counts = np.zeros((len(order), len(order)), np.int64)
    for actual, predicted in pairs:
        if actual in place and predicted in place:
            counts[place[actual], place[predicted]] += 1
    return ConfusionMatrix(counts, tuple(order))

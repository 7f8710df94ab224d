"""Confusion matrices: how often what was predicted is what was."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eedask.emulator.errors import EarthEngineError

Array = NDArray[Any]


@dataclass(frozen=True)
class ConfusionMatrix:
    """Counts of pairs.

    Attributes
    ----------
    counts : ndarray, shape (n, n)
        Rows are actual values, columns predicted ones.
    order : tuple of int
        The values that rows and columns stand for.
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
        """The counts of what was predicted rightly, for each value."""
        return np.diagonal(self.counts)

    @property
    def accuracy(self) -> float:
        """The share of all that is right; NaN of nothing."""
        total = self.counts.sum()
        return float(self.right.sum() / total) if total else float("nan")

    @property
    def kappa(self) -> float:
        """Cohen's kappa: how much better than by chance."""
        total = self.counts.sum()
        if not total:
            return float("nan")
        chance = float(self.counts.sum(axis=0) @ self.counts.sum(axis=1) / total**2)
        return (self.accuracy - chance) / (1 - chance) if chance != 1 else float("nan")

    @property
    def producers(self) -> Array:
        """For each value the share of its occurrences that was predicted so, 0 of none."""
        return _shares(self.right, self.counts.sum(axis=1))

    @property
    def consumers(self) -> Array:
        """For each value the share of its predictions that was right, 0 of none."""
        return _shares(self.right, self.counts.sum(axis=0))

    def fscore(self, beta: float) -> Array:
        """For each value the weighted harmonic mean of both accuracies."""
        recall, precision = self.producers, self.consumers
        return _shares((1 + beta**2) * precision * recall, beta**2 * precision + recall)


def _shares(parts: Array, wholes: Array) -> Array:
    return parts / np.where(wholes != 0, wholes, 1)


def of_pairs(pairs: list[tuple[Any, Any]], order: list[int] | None) -> ConfusionMatrix:
    """Count pairs of actual and predicted values; with an order only those that are in it."""
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

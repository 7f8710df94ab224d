"""Classifiers: what they learn from, how, and what they answer.

https://developers.google.com/earth-engine/guides/classification
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from eedask.emulator.errors import EarthEngineError, NotSupported

Floats = NDArray[np.float64]
MODES = ("CLASSIFICATION", "REGRESSION", "PROBABILITY", "MULTIPROBABILITY")


class Model(Protocol):
    """What has learned."""

    def predict(self, inputs: Floats) -> Floats:
        """Return the shares of the classes, or the one number, for rows of variables."""

    def explain(self) -> dict[str, Any]:
        """Describe it; names of variables are not known here: their importance is an array."""


@dataclass(frozen=True)
class Training:
    """What is learned from.

    Attributes
    ----------
    names : tuple of str
        Of the variables.
    inputs : ndarray, shape (rows, variables)
    classes : ndarray, shape (rows,)
    """

    names: tuple[str, ...]
    inputs: Floats
    classes: Floats

    @cached_property
    def labels(self) -> Floats:
        """The different classes, ascending."""
        found: Floats = np.unique(self.classes)
        return found

    @cached_property
    def shares(self) -> Floats:
        """1 for each row's class and 0 for others, shape (rows, classes)."""
        return (self.classes[:, None] == self.labels).astype(np.float64)


Learner = Callable[[Floats, Floats], Model]


@dataclass(frozen=True, eq=False)
class Classifier:
    """A classifier, trained or not.

    Attributes
    ----------
    kind : str
        As in ``Classifier.smileCart``.
    learn : callable
        ``learn(inputs, targets) -> Model``; targets are shares of classes, or one number.
    modes : tuple of str
        Of output that it can have.
    mode : str
    training : Training, optional
    """

    kind: str
    learn: Learner
    modes: tuple[str, ...] = MODES
    mode: str = "CLASSIFICATION"
    training: Training | None = None

    def with_mode(self, mode: str) -> Classifier:
        """Return it with another output."""
        if mode not in self.modes:
            raise NotSupported(f"the output mode '{mode}' of {self.kind}")
        return replace(self, mode=mode)

    @property
    def trained(self) -> Training:
        """What it was trained with; 400 if it was not."""
        if self.training is None:
            raise EarthEngineError("Classifier has not been trained.")
        return self.training

    @cached_property
    def model(self) -> Model:
        """What it has learned."""
        training = self.trained
        numbers = self.mode == "REGRESSION"
        targets = training.classes[:, None] if numbers else training.shares
        return self.learn(training.inputs, targets)

    def outputs(self, inputs: Floats) -> Floats:
        """Return a number a row, or (``MULTIPROBABILITY``) one a class, for rows of variables."""
        found = self.model.predict(inputs)
        labels = self.trained.labels
        if self.mode == "REGRESSION":
            return found[:, 0]
        if self.mode == "MULTIPROBABILITY":
            return found
        best = found.argmax(axis=1)
        if self.mode == "CLASSIFICATION":
            return labels[best]
        return found[:, 1] if len(labels) == 2 else found.max(axis=1)

    def to_info(self) -> dict[str, Any]:
        """Return what getInfo shows."""
        return {"type": self.kind, "mode": self.mode, "trained": self.training is not None}

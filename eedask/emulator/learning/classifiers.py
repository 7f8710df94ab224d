"""Classifiers: what they learn from, how, and what they answer.

https://developers.google.com/earth-engine/guides/classification
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from threading import Lock
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from eedask.emulator.errors import EarthEngineError, NotSupported
from eedask.emulator.limits.metering import charge, current

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


class _Models:
    """The models that were learned last: each tile of a map asks for the same.

    One that is kept costs a request as much as one that is learned, so that costs do not
    depend on what was asked before.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._kept: OrderedDict[bytes, tuple[Model, float]] = OrderedDict()
        self._lock = Lock()

    def get(self, key: bytes, learn: Callable[[], Model]) -> Model:
        with self._lock:
            known = self._kept.get(key)
        if known is not None:
            charge(known[1])
            return known[0]
        meter = current()
        before = meter.operations if meter else 0.0
        model = learn()
        if meter is not None:
            with self._lock:
                self._kept[key] = (model, meter.operations - before)
                while len(self._kept) > self._most:
                    self._kept.popitem(last=False)
        return model


_MODELS = _Models(8)
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
    options : tuple
        All that ``learn`` depends on but for its arguments.
    modes : tuple of str
        Of output that it can have.
    mode : str
    training : Training, optional
    """

    kind: str
    learn: Learner
    options: tuple[Any, ...] = ()
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
        key = hashlib.sha256(repr((self.kind, self.options, training.inputs.shape)).encode())
        key.update(np.ascontiguousarray(training.inputs).tobytes())
        key.update(np.ascontiguousarray(targets).tobytes())
        return _MODELS.get(key.digest(), lambda: self.learn(training.inputs, targets))

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

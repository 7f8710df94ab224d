"""Classifiers (``ee.Classifier``): their training data, their models and their output modes.

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
    """A trained model."""

    def predict(self, inputs: Floats) -> Floats:
        """Return predictions, shape (rows, outputs), for inputs of shape (rows, variables).

        The outputs are the probability of each class or, in regression, the one number.
        """

    def explain(self) -> dict[str, Any]:
        """Return what ``Classifier.explain`` shows of the model.

        ``importance``, if given, is an array with one value for each variable, since a model does
        not know the variables' names.
        """


@dataclass(frozen=True)
class Training:
    """The rows that a classifier is trained with.

    Attributes
    ----------
    names : tuple of str
        The names of the variables.
    inputs : ndarray of float64, shape (rows, variables)
    classes : ndarray of float64, shape (rows,)
        The class, or in regression the number, of each row.
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
        """1 in the column of each row's class and 0 in the others, shape (rows, classes)."""
        return (self.classes[:, None] == self.labels).astype(np.float64)


class _Models:
    """A cache of the models trained last, since each tile of a map needs the same model.

    A model from the cache is metered like one that is trained anew, so that what a request costs
    does not depend on earlier requests.
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
    """An ``ee.Classifier``, trained or not.

    Attributes
    ----------
    kind : str
        The name of the algorithm that made it, such as ``Classifier.smileCart``.
    learn : callable
        ``learn(inputs, targets) -> Model``. The targets, shape (rows, outputs), are
        :attr:`Training.shares` or, in regression, one column of numbers.
    options : tuple
        All that ``learn`` depends on besides its arguments; part of the key of cached models.
    modes : tuple of str
        The output modes that it can have, of :data:`MODES`.
    mode : str
        Its output mode.
    training : Training, optional
        None until it is trained.
    """

    kind: str
    learn: Learner
    options: tuple[Any, ...] = ()
    modes: tuple[str, ...] = MODES
    mode: str = "CLASSIFICATION"
    training: Training | None = None

    def with_mode(self, mode: str) -> Classifier:
        """Return the classifier with another output mode."""
        if mode not in self.modes:
            raise NotSupported(f"the output mode '{mode}' of {self.kind}")
        return replace(self, mode=mode)

    @property
    def trained(self) -> Training:
        """The training data; raises EarthEngineError if the classifier has not been trained."""
        if self.training is None:
            raise EarthEngineError("Classifier has not been trained.")
        return self.training

    @cached_property
    def model(self) -> Model:
        """The trained model, from the cache if it was trained before."""
        training = self.trained
        numbers = self.mode == "REGRESSION"
        targets = training.classes[:, None] if numbers else training.shares
        key = hashlib.sha256(repr((self.kind, self.options, training.inputs.shape)).encode())
        key.update(np.ascontiguousarray(training.inputs).tobytes())
        key.update(np.ascontiguousarray(targets).tobytes())
        return _MODELS.get(key.digest(), lambda: self.learn(training.inputs, targets))

    def outputs(self, inputs: Floats) -> Floats:
        """Return the classifier's outputs for inputs of shape (rows, variables).

        Their shape is (rows,), or (rows, classes) in the mode ``MULTIPROBABILITY``. In the mode
        ``PROBABILITY`` it is the probability of the second of two classes, or of the most
        probable of several.
        """
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
        """Return the description that getInfo gives."""
        return {"type": self.kind, "mode": self.mode, "trained": self.training is not None}

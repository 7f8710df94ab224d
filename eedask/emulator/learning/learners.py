"""The learners of classifiers: trees, forests, nearest neighbours, nearest class means."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy  # its subpackages are imported when they are first used
from numpy.typing import NDArray

from eedask.emulator.learning.classifiers import Learner, Model
from eedask.emulator.learning.decision_trees import Forest, Growth, Tree, grow, grow_forest
from eedask.emulator.limits import metering

Floats = NDArray[np.float64]
METRICS: Mapping[str, str] = {
    "euclidean": "euclidean",
    "cosine": "cosine",
    "manhattan": "cityblock",
}
_AT_ONCE = 4096


@dataclass(frozen=True)
class _OneTree:
    tree: Tree

    def predict(self, inputs: Floats) -> Floats:
        return self.tree.predict(inputs)

    def explain(self) -> dict[str, Any]:
        return {"importance": self.tree.importance}


@dataclass(frozen=True)
class _ManyTrees:
    forest: Forest
    targets: Floats

    def predict(self, inputs: Floats) -> Floats:
        return self.forest.predict(inputs)

    def explain(self) -> dict[str, Any]:
        seen = np.isfinite(self.forest.out_of_bag).all(axis=1)
        found, wanted = self.forest.out_of_bag[seen], self.targets[seen]
        if wanted.shape[1] == 1:
            error = float(np.sqrt(np.mean((found - wanted) ** 2))) if seen.any() else math.nan
        else:
            wrong = found.argmax(axis=1) != wanted.argmax(axis=1)
            error = float(wrong.mean()) if seen.any() else math.nan
        return {
            "importance": self.forest.importance,
            "numberOfTrees": len(self.forest.trees),
            "outOfBagErrorEstimate": error,
        }


@dataclass(frozen=True)
class _Neighbours:
    index: scipy.spatial.cKDTree
    targets: Floats
    k: int

    def predict(self, inputs: Floats) -> Floats:
        metering.charge(len(inputs) * self.k * math.log2(len(self.targets) + 1))
        _, near = self.index.query(inputs, k=range(1, self.k + 1))
        found: Floats = self.targets[near].mean(axis=1)
        return found

    def explain(self) -> dict[str, Any]:
        return {}


@dataclass(frozen=True)
class _Centres:
    centres: Floats
    metric: str

    def predict(self, inputs: Floats) -> Floats:
        metering.charge(self.centres.size * len(inputs))
        nearest = np.zeros((len(inputs), len(self.centres)))
        for start in range(0, len(inputs), _AT_ONCE):
            part = slice(start, start + _AT_ONCE)
            # The cosine distance of a row of zeros is NaN: it gets the first class.
            away = np.nan_to_num(
                scipy.spatial.distance.cdist(inputs[part], self.centres, self.metric), nan=np.inf
            )
            nearest[part][np.arange(len(away)), away.argmin(axis=1)] = 1
        return nearest

    def explain(self) -> dict[str, Any]:
        return {"centroids": self.centres}


def tree(growth: Growth) -> Learner:
    """Return the learner of a single decision tree."""

    def learn(inputs: Floats, targets: Floats) -> Model:
        return _OneTree(grow(inputs, targets, growth, np.random.default_rng(0)))

    return learn


def forest(growth: Growth, trees: int, bag: float, seed: int) -> Learner:
    """Return the learner of a random forest, see :func:`grow_forest`.

    By default the number of variables tried at a split is the square root of their number.
    """

    def learn(inputs: Floats, targets: Floats) -> Model:
        tried = growth.tried or max(1, math.isqrt(inputs.shape[1]))
        own = Growth(growth.most_leaves, growth.least_in_leaf, tried)
        return _ManyTrees(grow_forest(inputs, targets, own, trees, bag, seed), targets)

    return learn


def neighbours(k: int) -> Learner:
    """Return the learner of a model that averages the targets of the nearest k training rows."""

    def learn(inputs: Floats, targets: Floats) -> Model:
        return _Neighbours(scipy.spatial.cKDTree(inputs), targets, min(k, len(inputs)))

    return learn


def centres(metric: str) -> Learner:
    """Return the learner of a model that finds the class whose mean is nearest.

    ``metric`` is a key of :data:`METRICS`.
    """

    def learn(inputs: Floats, targets: Floats) -> Model:
        means = targets.T @ inputs / targets.sum(axis=0)[:, None]
        return _Centres(means, METRICS[metric])

    return learn

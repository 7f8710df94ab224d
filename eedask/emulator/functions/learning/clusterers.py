"""Clusterer.*, and clustering images and features.

https://developers.google.com/earth-engine/guides/clustering
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eedask.emulator.errors import EarthEngineError, NotSupported
from eedask.emulator.functions.registry import Keeps, algorithm
from eedask.emulator.learning.k_means import FARTHEST, METRICS, PLUS_PLUS, RANDOM, Clusters, k_means
from eedask.emulator.learning.training_data import Floats, answered_image, number_of, training_table
from eedask.emulator.pixels.raster import Image, PixelType
from eedask.emulator.values.value_types import Collection, Feature

_MOST_ITERATIONS = 500


@dataclass(frozen=True, eq=False)
class Clusterer:
    """A clusterer, trained or not.

    Attributes
    ----------
    learn : callable
        ``learn(inputs)`` returns the clusters.
    names : tuple of str, optional
        The variables; None before training.
    inputs : ndarray of float64, shape (samples, variables), optional
        The training data; None before training.
    """

    learn: Callable[[Floats], Clusters]
    names: tuple[str, ...] | None = None
    inputs: Floats | None = None

    @cached_property
    def clusters(self) -> Clusters:
        """The clusters that it has learned; raises Earth Engine's 400 if it was not trained."""
        if self.inputs is None:
            raise EarthEngineError("Clusterer has not been trained.")
        return self.learn(self.inputs)

    @property
    def variables(self) -> tuple[str, ...]:
        """The names of its variables; raises Earth Engine's 400 if it was not trained."""
        if self.names is None:
            raise EarthEngineError("Clusterer has not been trained.")
        return self.names

    def to_info(self) -> dict[str, Any]:
        """Return what getInfo shows."""
        return {"type": "Clusterer.wekaKMeans", "trained": self.inputs is not None}


@algorithm("Clusterer.wekaKMeans")
def weka_k_means(clusters: int, start: int, *rest: Any) -> Clusterer:
    """Return an untrained k-means clusterer.

    ``rest`` are canopies, maxCandidates, periodicPruning, minDensity, t1, t2, distanceFunction,
    maxIterations, preserveOrder, fast and seed. Those that only make Weka's faster are ignored.
    """
    metric, most, seed = rest[6], rest[7], rest[10]
    if clusters < 1 or metric not in METRICS or (most is not None and most < 1):
        raise EarthEngineError(
            "Clusterer.wekaKMeans: There must be clusters and iterations, and the distance "
            "must be Euclidean or Manhattan."
        )
    if start not in (RANDOM, PLUS_PLUS, FARTHEST):
        raise NotSupported(f"the initialization {start} of Clusterer.wekaKMeans")
    iterations = _MOST_ITERATIONS if most is None else most
    return Clusterer(lambda inputs: k_means(inputs, clusters, metric, start, iterations, seed))


@algorithm("Clusterer.train")
def train(
    clusterer: Clusterer, features: Collection, names: list[str] | None, share: float, seed: int
) -> Clusterer:
    """Return a clusterer with its training data; it learns when its first result is needed."""
    known, table = training_table(features, names, None, (share, seed))
    return replace(clusterer, names=tuple(known), inputs=table)


@algorithm("Clusterer.schema")
def schema(clusterer: Clusterer) -> list[str] | None:
    """Return the names of the variables, None before training."""
    return None if clusterer.names is None else list(clusterer.names)


@algorithm("FeatureCollection.cluster")
def cluster_features(features: Collection, clusterer: Clusterer, name: str) -> Collection:
    """Return features with the number of their cluster, from 0, as the property ``name``."""

    def one(element: Feature) -> Feature:
        row = np.array([[number_of(element, n) for n in clusterer.variables]])
        return element.with_properties(**{name: int(clusterer.clusters.nearest(row)[0])})

    return features.mapped(one)


@algorithm("Image.cluster", keeps=Keeps.FIRST)
def cluster_image(image: Image, clusterer: Clusterer, name: str) -> Image:
    """Return a band ``name`` of the numbers of the pixels' clusters, from 0."""

    def answer(rows: Floats) -> NDArray[np.intp]:
        return clusterer.clusters.nearest(rows)

    kind = PixelType("int", 0, 2**31 - 1)
    return answered_image(image, clusterer.variables, answer, kind, name)

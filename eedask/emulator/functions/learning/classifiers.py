"""Classifier.*, and classifying images and features."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from eedask.emulator.errors import EarthEngineError
from eedask.emulator.functions.registry import Keeps, algorithm
from eedask.emulator.learning import learners
from eedask.emulator.learning.classifiers import Classifier, Training
from eedask.emulator.learning.confusion import ConfusionMatrix, of_pairs
from eedask.emulator.learning.decision_trees import Growth
from eedask.emulator.learning.training_data import answered_image, number_of, training_table
from eedask.emulator.pixels.raster import Image, PixelType
from eedask.emulator.values.value_types import Collection, Feature

_CLASSES_ONLY = ("CLASSIFICATION",)


def _growth(most: int | None, least: int, tried: int | None = None) -> Growth:
    if (most is not None and most < 2) or least < 1 or (tried is not None and tried < 1):
        raise EarthEngineError("Classifier: Sizes of trees, leaves and splits must be positive.")
    return Growth(most, least, tried)


@algorithm("Classifier.smileCart")
def cart(most: int | None, least: int) -> Classifier:
    """Return an untrained decision tree (CART)."""
    growth = _growth(most, least)
    return Classifier("Classifier.smileCart", learners.tree(growth), (growth,))


@algorithm("Classifier.smileRandomForest")
def random_forest(
    trees: int, tried: int | None, least: int, bag: float, most: int | None, seed: int
) -> Classifier:
    """Return an untrained random forest; each tree learns from the share ``bag`` of the samples.

    ``tried`` is the number of variables that each split tries, ``least`` the fewest samples of a
    leaf, ``most`` the most leaves of a tree.
    """
    if trees < 1 or not 0 < bag <= 1:
        raise EarthEngineError(
            "Classifier.smileRandomForest: There must be trees, and a bag fraction in (0, 1]."
        )
    options = (_growth(most, least, tried), trees, bag, seed)
    return Classifier("Classifier.smileRandomForest", learners.forest(*options), options)


@algorithm("Classifier.smileKNN")
def nearest_neighbours(k: int, _method: str, metric: str) -> Classifier:
    """Return an untrained classifier by vote of the ``k`` nearest samples (Euclidean distance)."""
    if k < 1 or metric.upper() != "EUCLIDEAN":
        raise EarthEngineError("Classifier.smileKNN: Needs k from 1 on and the metric EUCLIDEAN.")
    return Classifier("Classifier.smileKNN", learners.neighbours(k), (k,))


@algorithm("Classifier.minimumDistance")
def minimum_distance(metric: str, nearest: int) -> Classifier:
    """Return an untrained classifier that picks the class whose mean is nearest."""
    if metric not in learners.METRICS or nearest != 1:
        raise EarthEngineError(
            "Classifier.minimumDistance: The emulator has the metrics "
            f"{', '.join(learners.METRICS)}, and one nearest class."
        )
    learn = learners.centres(metric)
    return Classifier("Classifier.minimumDistance", learn, (metric,), _CLASSES_ONLY)


@algorithm("Classifier.train")
def train(
    classifier: Classifier,
    features: Collection,
    class_property: str,
    names: list[str] | None,
    share: float,
    seed: int,
) -> Classifier:
    """Return a classifier with its training data; it learns when its first result is needed.

    The variables are the properties ``names``, or else the numeric ones of the first feature.
    """
    names, table = training_table(features, names, class_property, (share, seed))
    return replace(classifier, training=Training(tuple(names), table[:, :-1], table[:, -1]))


@algorithm("Classifier.setOutputMode")
def set_output_mode(classifier: Classifier, mode: str) -> Classifier:
    """Return a classifier with another output mode, such as ``PROBABILITY``."""
    return classifier.with_mode(mode)


@algorithm("Classifier.mode")
def output_mode(classifier: Classifier) -> str:
    """Return the output mode, such as ``CLASSIFICATION``."""
    return classifier.mode


@algorithm("Classifier.schema")
def schema(classifier: Classifier) -> list[str] | None:
    """Return the names of the variables, None before training."""
    return None if classifier.training is None else list(classifier.training.names)


@algorithm("Classifier.explain")
def explain(classifier: Classifier) -> dict[str, Any]:
    """Return classes, importance of variables and errors of a trained classifier, not its trees."""
    training = classifier.trained
    found = classifier.model.explain()
    if "importance" in found:
        found["importance"] = dict(zip(training.names, found["importance"].tolist(), strict=True))
    return {"classes": training.labels.tolist(), **found}


@algorithm("Classifier.confusionMatrix")
def resubstitution(classifier: Classifier) -> ConfusionMatrix:
    """Return the confusion matrix of the classifier on its own training data."""
    training = classifier.trained
    if classifier.mode != "CLASSIFICATION":
        raise EarthEngineError("Classifier.confusionMatrix: The mode must be CLASSIFICATION.")
    predicted = classifier.outputs(training.inputs)
    return of_pairs(list(zip(training.classes.tolist(), predicted.tolist(), strict=True)), None)


@algorithm("FeatureCollection.classify")
def classify_features(features: Collection, classifier: Classifier, name: str) -> Collection:
    """Return features with a classifier's result as the property ``name``."""
    names = classifier.trained.names

    def one(element: Feature) -> Feature:
        row = np.array([[number_of(element, n) for n in names]])
        return element.with_properties(**{name: classifier.outputs(row)[0].tolist()})

    return features.mapped(one)


@algorithm("Image.classify", keeps=Keeps.FIRST)
def classify_image(image: Image, classifier: Classifier, name: str) -> Image:
    """Return a band ``name`` of a classifier's results, masked where a band that it needs is.

    https://developers.google.com/earth-engine/apidocs/ee-image-classify
    """
    names = classifier.trained.names
    return answered_image(image, names, classifier.outputs, _output_type(classifier), name)


def _output_type(classifier: Classifier) -> PixelType:
    labels = classifier.trained.labels
    if classifier.mode == "CLASSIFICATION" and (labels == np.rint(labels)).all():
        return PixelType("int", min(0.0, float(labels[0])), float(labels[-1]))
    deep = classifier.mode == "MULTIPROBABILITY"
    return PixelType("double", dimensions=1) if deep else PixelType("double")

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
from eedask.emulator.learning.learning import answered_image, number_of, training_table
from eedask.emulator.pixels.raster import Image, PixelType
from eedask.emulator.values.values import Collection, Feature

_CLASSES_ONLY = ("CLASSIFICATION",)


def _growth(most: int | None, least: int, tried: int | None = None) -> Growth:
    if (most is not None and most < 2) or least < 1 or (tried is not None and tried < 1):
        raise EarthEngineError("Classifier: Sizes of trees, leaves and splits must be positive.")
    return Growth(most, least, tried)


@algorithm("Classifier.smileCart")
def cart(most: int | None, least: int) -> Classifier:
    """Return a single tree."""
    growth = _growth(most, least)
    return Classifier("Classifier.smileCart", learners.tree(growth), (growth,))


@algorithm("Classifier.smileRandomForest")
def random_forest(
    trees: int, tried: int | None, least: int, bag: float, most: int | None, seed: int
) -> Classifier:
    """Return a forest of trees, each of a share of the training data."""
    if trees < 1 or not 0 < bag <= 1:
        raise EarthEngineError(
            "Classifier.smileRandomForest: There must be trees, and a bag fraction in (0, 1]."
        )
    options = (_growth(most, least, tried), trees, bag, seed)
    return Classifier("Classifier.smileRandomForest", learners.forest(*options), options)


@algorithm("Classifier.smileKNN")
def nearest_neighbours(k: int, _method: str, metric: str) -> Classifier:
    """Return the vote of the nearest training data, by Euclidean distance."""
    if k < 1 or metric.upper() != "EUCLIDEAN":
        raise EarthEngineError("Classifier.smileKNN: Needs k from 1 on and the metric EUCLIDEAN.")
    return Classifier("Classifier.smileKNN", learners.neighbours(k), (k,))


@algorithm("Classifier.minimumDistance")
def minimum_distance(metric: str, nearest: int) -> Classifier:
    """Return the class whose mean is nearest."""
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
    """Return a classifier that knows its training data; it learns when it is asked.

    Without names the numeric properties of the first feature are the variables.
    """
    names, table = training_table(features, names, class_property, (share, seed))
    return replace(classifier, training=Training(tuple(names), table[:, :-1], table[:, -1]))


@algorithm("Classifier.setOutputMode")
def set_output_mode(classifier: Classifier, mode: str) -> Classifier:
    """Return a classifier with another output."""
    return classifier.with_mode(mode)


@algorithm("Classifier.mode")
def output_mode(classifier: Classifier) -> str:
    """Return the output's kind."""
    return classifier.mode


@algorithm("Classifier.schema")
def schema(classifier: Classifier) -> list[str] | None:
    """Return the names of the variables, null before training."""
    return None if classifier.training is None else list(classifier.training.names)


@algorithm("Classifier.explain")
def explain(classifier: Classifier) -> dict[str, Any]:
    """Return what was learned: classes, importance of variables, errors; not the trees."""
    training = classifier.trained
    found = classifier.model.explain()
    if "importance" in found:
        found["importance"] = dict(zip(training.names, found["importance"].tolist(), strict=True))
    return {"classes": training.labels.tolist(), **found}


@algorithm("Classifier.confusionMatrix")
def resubstitution(classifier: Classifier) -> ConfusionMatrix:
    """Return how often training data are put into which class."""
    training = classifier.trained
    if classifier.mode != "CLASSIFICATION":
        raise EarthEngineError("Classifier.confusionMatrix: The mode must be CLASSIFICATION.")
    predicted = classifier.outputs(training.inputs)
    return of_pairs(list(zip(training.classes.tolist(), predicted.tolist(), strict=True)), None)


@algorithm("FeatureCollection.classify")
def classify_features(features: Collection, classifier: Classifier, name: str) -> Collection:
    """Return features with what a classifier makes of their properties."""
    names = classifier.trained.names

    def one(element: Feature) -> Feature:
        row = np.array([[number_of(element, n) for n in names]])
        return element.with_properties(**{name: classifier.outputs(row)[0].tolist()})

    return features.mapped(one)


@algorithm("Image.classify", keeps=Keeps.FIRST)
def classify_image(image: Image, classifier: Classifier, name: str) -> Image:
    """Return an image's classes, masked where any band that the classifier needs is.

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

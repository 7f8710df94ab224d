"""K-means clustering of variables scaled to the range of the training data, as Weka does it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy  # its subpackages are imported when they are first used
from numpy.typing import NDArray

from eedask.emulator.limits import metering

Floats = NDArray[np.float64]
_AT_ONCE = 4096
METRICS = {"Euclidean": "sqeuclidean", "Manhattan": "cityblock"}
RANDOM, PLUS_PLUS, FARTHEST = 0, 1, 3


@dataclass(frozen=True)
class Clusters:
    """The result of k-means: the clusters' centres, and how inputs are scaled before.

    Attributes
    ----------
    centres : ndarray, shape (clusters, variables)
        In scaled variables, where the training data lie from 0 to 1.
    lowest, span : ndarray, shape (variables,)
        The least value of the training data and the extent of their range.
    metric : str
        A key of ``METRICS``.
    """

    centres: Floats
    lowest: Floats
    span: Floats
    metric: str

    def nearest(self, inputs: Floats) -> NDArray[np.intp]:
        """Return the number of the nearest cluster for each row of variables."""
        return _nearest((inputs - self.lowest) / self.span, self.centres, self.metric)


def _nearest(scaled: Floats, centres: Floats, metric: str) -> NDArray[np.intp]:
    metering.charge(scaled.size * len(centres))
    parts = [
        scipy.spatial.distance.cdist(
            scaled[start : start + _AT_ONCE], centres, METRICS[metric]
        ).argmin(axis=1)
        for start in range(0, len(scaled), _AT_ONCE)
    ]
    return np.concatenate(parts) if parts else np.zeros(0, np.intp)


def k_means(
    inputs: Floats, clusters: int, metric: str, start: int, iterations: int, seed: int
) -> Clusters:
    """Return clusters, moved until no row changes its cluster or for a number of iterations.

    Parameters
    ----------
    inputs : ndarray, shape (rows, variables)
    clusters : int
        The number of clusters; there are fewer if there are fewer different rows, or if a cluster
        loses all its rows.
    metric : str
        A key of ``METRICS``. A centre is the mean of its rows or, for ``Manhattan``, the median
        of each variable.
    start : int
        How the first centres are chosen: ``RANDOM``, ``PLUS_PLUS`` (k-means++) or ``FARTHEST``.
    iterations : int
        The largest number of iterations.
    seed : int
    """
    lowest = inputs.min(axis=0)
    span = np.ptp(inputs, axis=0)
    span[span == 0] = 1
    scaled = (inputs - lowest) / span
    rng = np.random.default_rng(seed % 2**64)
    centres = _first_centres(np.unique(scaled, axis=0), clusters, metric, start, rng)
    middle = np.median if metric == "Manhattan" else np.mean
    before: NDArray[np.intp] | None = None
    for _ in range(iterations):
        own = _nearest(scaled, centres, metric)
        if before is not None and (own == before).all():
            break
        before = own
        kept = np.unique(own)
        centres = np.stack([middle(scaled[own == k], axis=0) for k in kept])
    return Clusters(centres, lowest, span, metric)


def _first_centres(
    rows: Floats, clusters: int, metric: str, start: int, rng: np.random.Generator
) -> Floats:
    """Return the rows that are the first centres.

    They are drawn at random, or each is chosen far from those chosen before.
    """
    count = min(clusters, len(rows))
    if start == RANDOM:
        return rows[rng.choice(len(rows), count, replace=False)]
    chosen = [int(rng.integers(len(rows)))]
    away = np.full(len(rows), np.inf)
    while len(chosen) < count:
        metering.charge(rows.size)
        last = scipy.spatial.distance.cdist(rows, rows[chosen[-1:]], METRICS[metric])[:, 0]
        away = np.minimum(away, last)
        if start == FARTHEST:
            chosen.append(int(away.argmax()))
        else:
            chosen.append(int(rng.choice(len(rows), p=away / away.sum())))
    return rows[chosen]

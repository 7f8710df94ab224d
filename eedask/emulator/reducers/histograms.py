"""Histograms, as statistics; see :mod:`eedask.emulator.reducers.statistics`."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from eedask.emulator.reducers.accumulators import Array, Output, Weights, as_objects
from eedask.emulator.reducers.statistics import Outputs, per_statistic


def fixed_histogram(low: float, high: float, steps: int, cumulative: bool) -> Outputs:
    """Return the statistic of a histogram with buckets of equal width between two values.

    Its output is an array of shape (steps, 2): the start of each bucket and the total weight in it,
    or with ``cumulative`` in it and all before. Values outside the range are left out.
    https://developers.google.com/earth-engine/apidocs/ee-reducer-fixedhistogram
    """

    def one(columns: list[Array], weights: Weights) -> Any:
        if not len(weights):
            return None
        width = (high - low) / steps
        bucket = np.floor((columns[0].astype(np.float64) - low) / width)
        inside = (bucket >= 0) & (bucket < steps)
        sums = np.bincount(bucket[inside].astype(np.int64), weights[inside], steps)
        if cumulative:
            sums = np.cumsum(sums)
        return np.column_stack([low + width * np.arange(steps), sums])

    return per_statistic(one)


def fixed_2d_histogram(x: tuple[float, float, int], y: tuple[float, float, int]) -> Outputs:
    """Return the statistic of a histogram of pairs of values, from two inputs.

    Parameters
    ----------
    x, y : (low, high, steps)
        The range of the first and of the second input, and the number of buckets in it.

    Returns
    -------
    callable
        Its outputs are the counts, shape (x steps, y steps), and the starts of the buckets of
        both inputs, shapes (x steps,) and (y steps,).
    """
    starts = [low + (high - low) / n * np.arange(n) for low, high, n in (x, y)]

    def outputs(columns: list[Array], weights: Weights) -> list[Output]:
        made = []
        for i in range(weights.shape[1]):
            there = weights[:, i] > 0
            places = []
            for column, (low, high, n) in zip(columns, (x, y), strict=True):
                values = column[there, i].astype(np.float64)
                places.append(np.floor((values - low) / ((high - low) / n)))
            a, b = places
            inside = (a >= 0) & (a < x[2]) & (b >= 0) & (b < y[2])
            flat = (a[inside] * y[2] + b[inside]).astype(np.int64)
            made.append(np.bincount(flat, minlength=x[2] * y[2]).reshape(x[2], y[2]))
        edges = [as_objects([start] * len(made)) for start in starts]
        return [as_objects(made), *edges]

    return outputs


def _power_of_two(most: int | None) -> int:
    """Return a maximum number of buckets, rounded up to a power of 2; by default 256."""
    return 256 if not most or most < 1 else 2 ** math.ceil(math.log2(most))


def _bucket_width(x: Array, most: int, least: float | None) -> float:
    """Return the least power of two that makes at most ``most`` buckets, but at least ``least``."""
    low, high = float(x.min()), float(x.max())
    width = 2.0 ** math.ceil(math.log2(max((high - low) / most, 2.0**-40)))
    if np.array_equal(x, np.rint(x)):
        width = max(width, 1.0)
    while math.floor(high / width) - math.floor(low / width) + 1 > most:
        width *= 2
    return max(width, least or 0.0)


def histogram(most: int | None, least: float | None) -> Outputs:
    """Return the statistic of a histogram, a dictionary, with buckets a power of two wide.

    The keys are Earth Engine's; how it chooses the width is a guess.

    Parameters
    ----------
    most : int, optional
        The largest number of buckets (``maxBuckets``).
    least : float, optional
        The least width of a bucket (``minBucketWidth``).

    Notes
    -----
    https://developers.google.com/earth-engine/apidocs/ee-reducer-histogram
    """

    def one(columns: list[Array], weights: Weights) -> Any:
        x, weights = _finite(columns[0], weights)
        if not len(weights):
            return None
        width, start, sums = _buckets(x, weights, _power_of_two(most), least)
        number = np.floor(x / width).astype(np.int64)
        number -= number.min()
        totals = np.bincount(number, weights * x, len(sums))
        middles = start + width * (np.arange(len(sums)) + 0.5)
        means = np.where(sums > 0, totals / np.where(sums > 0, sums, 1), middles)
        return {
            "bucketMeans": means.tolist(),
            "bucketMin": start,
            "bucketWidth": width,
            "histogram": sums.tolist(),
        }

    return per_statistic(one)


def auto_histogram(most: int | None, least: float | None, cumulative: bool) -> Outputs:
    """Return the statistic of :func:`histogram`'s buckets as an array, shape (n, 2).

    It holds the start of each bucket and the total weight in it, or with ``cumulative`` in it and
    all before.
    """

    def one(columns: list[Array], weights: Weights) -> Any:
        x, weights = _finite(columns[0], weights)
        if not len(weights):
            return None
        width, start, sums = _buckets(x, weights, _power_of_two(most), least)
        sums = np.cumsum(sums) if cumulative else sums
        return np.column_stack([start + width * np.arange(len(sums)), sums])

    return per_statistic(one)


def _finite(values: Array, weights: Weights) -> tuple[Array, Weights]:
    """Return the finite values and their weights: infinity and NaN are in no bucket (a guess)."""
    x = values.astype(np.float64)
    keep = np.isfinite(x)
    return x[keep], weights[keep]


def _buckets(x: Array, weights: Weights, most: int, least: float | None) -> Any:
    width = _bucket_width(x, most, least)
    number = np.floor(x / width).astype(np.int64)
    first = int(number.min())
    return width, first * width, np.bincount(number - first, weights)

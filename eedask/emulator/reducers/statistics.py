"""Statistics that need all values at once: percentiles, modes, histograms, lists.

A statistic is a function that takes columns and weights of shape (n, m) and returns outputs of m
values (see :mod:`eedask.emulator.reducers.accumulators`). All are exact, where Earth Engine
approximates large inputs by buckets (``maxBuckets``…).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eedask.emulator.pixels.pixel_types import cast
from eedask.emulator.reducers.accumulators import Array, Output, Weights, as_objects
from eedask.emulator.reducers.run_lengths import run_counts
from eedask.emulator.values.elements import with_index
from eedask.emulator.values.value_types import Collection, Feature, collection_of

_MOST_STEPS = 1000
_NEARLY = 1e-12

Outputs = Callable[[list[Array], Weights], list[Output]]


def percentiles(wanted: Sequence[float]) -> Outputs:
    """Return the statistic of weighted percentiles, given in percent.

    Sorted values are laid side by side, each as wide as its share of the total weight; a value
    stands at the middle of its share, and between the middles values are interpolated linearly.
    So the median of an even number of values is the mean of the middle two. (Earth Engine does
    not document its interpolation.)
    """

    def outputs(columns: list[Array], weights: Weights) -> list[Output]:
        if not len(weights):
            n = weights.shape[1]
            return [Output(np.zeros(n), np.zeros(n, bool)) for _ in wanted]
        there = weights > 0
        x = np.where(there, columns[0], np.inf).astype(np.float64)
        if (weights == there * weights.max()).all():
            known = ~np.isnan(x)  # NaN does not count as a value
            return _even_percentiles(np.where(known, x, np.inf), there & known, wanted)
        order = np.argsort(x, axis=0, kind="stable")
        x = np.take_along_axis(x, order, 0)
        w = np.take_along_axis(weights, order, 0)
        total = w.sum(axis=0)
        some = np.asarray(total > 0, dtype=bool)
        position = (np.cumsum(w, axis=0) - w / 2) / np.where(some, total, 1)
        return [Output(_interpolated(position, x, w, p / 100), some) for p in wanted]

    return outputs


def _even_percentiles(x: Array, there: NDArray[np.bool_], wanted: Sequence[float]) -> list[Output]:
    """Return percentiles of values of equal weight; ``x`` is infinite where not ``there``."""
    count = np.count_nonzero(there, axis=0)
    some, last = np.asarray(count > 0), np.maximum(count - 1, 0)
    ordered = np.sort(np.ascontiguousarray(x.T), axis=1)
    index = np.arange(len(ordered))
    found = []
    for p in wanted:
        place = np.clip(p / 100 * count - 0.5, 0, last)
        lower = np.floor(place + _NEARLY).astype(np.intp)
        upper = np.minimum(lower + 1, last)
        t = np.clip(place - lower, 0, 1)
        low, high = ordered[index, lower], ordered[index, upper]
        with np.errstate(invalid="ignore"):
            between = np.where(t == 0, low, low + t * (high - low))
        found.append(Output(np.where(some, between, 0), some))
    return found


def _interpolated(position: Array, x: Array, w: Array, share: float) -> Array:
    """Interpolate sorted values ``x`` at a share (0 to 1) of the total weight.

    ``position`` holds the middle of each value's share.
    """
    last = np.maximum(np.count_nonzero(w > 0, axis=0) - 1, 0)
    upper = np.minimum((position < share).sum(axis=0), last)
    lower = np.maximum(upper - 1, 0)
    index = np.arange(x.shape[1])
    a, b = position[lower, index], position[upper, index]
    inside = (share > a) & (share < b)
    t = np.where(inside, (share - a) / np.where(b > a, b - a, 1), 1.0)
    low, high = x[lower, index], x[upper, index]
    with np.errstate(invalid="ignore"):
        return np.where(upper == 0, x[0], np.where(t == 1, high, low + t * (high - low)))


def mode(columns: list[Array], weights: Weights) -> list[Output]:
    """Return the value whose total weight is the greatest, the least one among equals (a guess)."""
    x, n = columns[0], weights.shape[1]
    if not len(weights):
        return [Output(np.zeros(n), np.zeros(n, bool))]
    there = weights > 0
    if x.dtype != object and (weights == there * weights.max()).all():
        ordered, counts = run_counts(x, there & (x == x))  # NaN is no value
        some = np.asarray(counts.any(axis=0))
        found = np.where(some, ordered[counts.argmax(axis=0), np.arange(n)], 0)
        return [Output(cast(found, x.dtype), some)]
    infinite = np.where(there, x, np.inf)
    order = np.argsort(infinite, axis=0, kind="stable")
    value = np.take_along_axis(infinite, order, 0)
    weight = np.take_along_axis(weights, order, 0)
    running = np.cumsum(weight, axis=0)
    ends = np.ones(value.shape, bool)
    ends[:-1] = value[1:] != value[:-1]
    # A run's weight: the running sum at its end less that at the end of the run before.
    before = np.maximum.accumulate(np.where(ends, running, 0), axis=0)
    before = np.vstack([np.zeros((1, n)), before[:-1]])
    best = np.where(ends, running - before, -1).argmax(axis=0)
    some = np.atleast_1d((weights > 0).any(axis=0))
    result = np.where(some, value[best, np.arange(n)], 0)
    return [Output(result if x.dtype == object else cast(result, x.dtype), some)]


def _per_statistic(one: Callable[[list[Array], Weights], Any]) -> Outputs:
    """Return the statistic that ``one`` computes, as an object, for each of the m columns alone.

    ``one(columns, weights)`` takes the values of a weight over 0, shape (n,); None is null.
    """

    def outputs(columns: list[Array], weights: Weights) -> list[Output]:
        made = []
        for i in range(weights.shape[1]):
            there = weights[:, i] > 0
            made.append(one([c[there, i] for c in columns], weights[there, i]))
        return [as_objects(made, [value is not None for value in made])]

    return outputs


def _number_per_statistic(one: Callable[[list[Array], Weights], float | None]) -> Outputs:
    """Return the same as :func:`_per_statistic` for numbers, in a numeric array: as pixels are."""
    each = _per_statistic(one)

    def outputs(columns: list[Array], weights: Weights) -> list[Output]:
        (made,) = each(columns, weights)
        return [Output(np.array([0 if v is None else v for v in made.values]), made.valid)]

    return outputs


def to_list(tuple_size: int | None) -> Outputs:
    """Return the statistic of the list of values or, with a tuple size, of rows of all inputs."""

    def one(columns: list[Array], weights: Weights) -> list[Any]:
        lists = [column.tolist() for column in columns]
        if not tuple_size:
            return lists[0]
        return [list(row) for row in zip(*lists, strict=True)]

    return _per_statistic(one)


def to_features(names: Sequence[str]) -> Outputs:
    """Return the statistic of a collection with one feature, without geometry, for each row.

    The inputs are its properties, under the given names.
    """

    def one(columns: list[Array], weights: Weights) -> Collection:
        lists = [column.tolist() for column in columns]
        features = []
        for i, row in enumerate(zip(*lists, strict=True)):
            values = {k: v for k, v in zip(names, row, strict=True) if v is not None}
            features.append(with_index(Feature(None, values), str(i)))
        return collection_of("FeatureCollection", features)

    return _per_statistic(one)


def key(value: Any) -> str:
    """Return a value as the key of a histogram's dictionary; whole numbers have no ``.0``."""
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return str(int(value))
    return str(value)


def _frequencies(columns: list[Array], weights: Weights) -> dict[str, float]:
    if columns[0].dtype == object:
        counts: dict[str, float] = {}
        for value, weight in zip(columns[0].tolist(), weights.tolist(), strict=True):
            counts[key(value)] = counts.get(key(value), 0.0) + weight
        return dict(sorted(counts.items()))
    values, index = np.unique(columns[0], return_inverse=True)
    sums = np.bincount(index.ravel(), weights, len(values))
    return {key(v): s for v, s in zip(values.tolist(), sums.tolist(), strict=True)}


frequency_histogram = _per_statistic(_frequencies)


def count_distinct(columns: list[Array], weights: Weights) -> list[Output]:
    """Return the number of different values; all nulls together count as one."""
    x, there = columns[0], weights > 0
    if x.dtype == object:
        return _counted([len({repr(v) for v in x[there[:, i], i]}) for i in range(x.shape[1])])
    if x.shape[1] == 1:
        return _counted([len(np.unique(x[there]))])
    if not len(x):
        return _counted([0] * x.shape[1])
    ordered = np.sort(np.where(there, x.astype(np.float64), np.inf), axis=0)
    n = np.count_nonzero(there, axis=0)
    starts = np.ones(ordered.shape, bool)
    starts[1:] = ordered[1:] != ordered[:-1]
    starts &= np.arange(len(x))[:, None] < n
    return _counted(np.count_nonzero(starts, axis=0))


def count_runs(columns: list[Array], weights: Weights) -> list[Output]:
    """Return the number of runs of equal values that follow each other."""
    x, there = columns[0], weights > 0
    if x.shape[1] == 1:
        kept = x[there]
        return _counted([1 + np.count_nonzero(kept[1:] != kept[:-1]) if len(kept) else 0])
    runs = np.zeros(x.shape[1], np.int64)
    last, seen = np.zeros(x.shape[1], x.dtype), np.zeros(x.shape[1], bool)
    for row, here in zip(x, there, strict=True):
        runs += here & (~seen | (row != last))
        last, seen = np.where(here, row, last), seen | here
    return _counted(runs)


def _counted(numbers: Any) -> list[Output]:
    values = np.asarray(numbers, dtype=np.int64)
    return [Output(values, np.ones(values.shape, bool))]


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

    return _per_statistic(one)


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

    return _per_statistic(one)


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

    return _per_statistic(one)


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


def interval_mean(low: float, high: float) -> Outputs:
    """Return the statistic of the weighted mean of the values between two percentiles."""

    def one(columns: list[Array], weights: Weights) -> float | None:
        if not len(weights):
            return None
        x = columns[0].astype(np.float64)
        ends = percentiles((low, high))([x[:, None]], weights[:, None])
        inside = (x >= ends[0].values[0]) & (x <= ends[1].values[0])
        if not inside.any():
            return None
        return float(np.average(x[inside], weights=weights[inside]))

    return _number_per_statistic(one)


def linear_fit(columns: list[Array], weights: Weights) -> list[Output]:
    """Return slope and offset of the least-squares line of the second input over the first."""
    x, y = (np.where(weights > 0, c, 0).astype(np.float64) for c in columns)
    total = weights.sum(axis=0)
    some = np.asarray(total > 0)
    safe = np.where(some, total, 1)
    mx, my = (weights * x).sum(axis=0) / safe, (weights * y).sum(axis=0) / safe
    sxx = (weights * (x - mx) ** 2).sum(axis=0)
    sxy = (weights * (x - mx) * (y - my)).sum(axis=0)
    slope = sxy / np.where(sxx > 0, sxx, 1)
    some = np.asarray(some & (sxx > 0))
    return [Output(slope, some), Output(my - slope * mx, some)]


def geometric_median(eta: float) -> Outputs:
    """Return the statistic of the point with the least sum of distances to all points.

    The inputs are the points' coordinates. Weiszfeld's iteration stops when the point moves by less
    than a thousandth of ``eta``, in the units of the inputs.
    """

    def outputs(columns: list[Array], weights: Weights) -> list[Output]:
        some = np.atleast_1d((weights > 0).any(axis=0))
        x = np.stack([np.where(weights > 0, c, 0).astype(np.float64) for c in columns])
        total = weights.sum(axis=0)
        middle = (weights * x).sum(axis=1) / np.where(some, total, 1)
        for _ in range(_MOST_STEPS):
            far = np.sqrt(((x - middle[:, None]) ** 2).sum(axis=0))
            share = weights / np.maximum(far, _NEARLY)
            moved = (share * x).sum(axis=1) / np.where(some, share.sum(axis=0), 1)
            step = float(np.abs(moved - middle).max(initial=0))
            middle = moved
            if step < eta / 1000:
                break
        return [Output(coordinate, some) for coordinate in middle]

    return outputs

"""Statistics that need all values at once: percentiles, modes, counts, lists.

A statistic is a function that takes columns and weights of shape (n, m) and returns outputs of m
values (see :mod:`eedask.emulator.reducers.accumulators`). All are exact, where Earth Engine
approximates large inputs by buckets (``maxBuckets``…).
"""

from __future__ import annotations

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


def per_statistic(one: Callable[[list[Array], Weights], Any]) -> Outputs:
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
    """Return the same as :func:`per_statistic` for numbers, in a numeric array: as pixels are."""
    each = per_statistic(one)

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

    return per_statistic(one)


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

    return per_statistic(one)


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


frequency_histogram = per_statistic(_frequencies)


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

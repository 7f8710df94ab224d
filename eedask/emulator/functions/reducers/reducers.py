"""Reducer.*: the algorithms that make the basic reducers.

Some reducers (count, min, max, first, toList …) take no weights: a pixel counts in full if its
centre is in the region, else not at all
(https://developers.google.com/earth-engine/guides/reducers_reduce_region).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from eedask.emulator.errors import EarthEngineError
from eedask.emulator.functions.registry import algorithm
from eedask.emulator.readings import reading
from eedask.emulator.reducers import histograms, statistics
from eedask.emulator.reducers.accumulators import (
    Accumulator,
    Circular,
    Count,
    Fold,
    Gather,
    Moments,
    Pick,
    Several,
    Sum,
)
from eedask.emulator.reducers.reduce import LISTS_OF_INPUT, Reducer, Statistic

_MOST_INPUTS = 1024
_MOST_CELLS = 2**22


def _register(
    name: str,
    make: Callable[[], Accumulator],
    weighted: bool,
    outputs: Sequence[str] = (),
    inputs: int = 1,
    nulls: bool = False,
) -> None:
    names = tuple(outputs) or (name,)
    part = Statistic(make, tuple(range(inputs)), len(names), weighted, nulls, name)
    value = Reducer(inputs, names, (part,))

    def function() -> Reducer:
        return value

    algorithm(f"Reducer.{name}")(function)


def _greatest(dtype: np.dtype[Any]) -> Any:
    return np.inf if dtype.kind == "f" else np.iinfo(dtype).max


def _least(dtype: np.dtype[Any]) -> Any:
    return -np.inf if dtype.kind == "f" else np.iinfo(dtype).min


def _least_value() -> Accumulator:
    return Fold(np.minimum, _greatest)


def _greatest_value() -> Accumulator:
    return Fold(np.maximum, _least)


def _variance(weight: Any, mean: Any, m2: Any, *_: Any) -> list[Any]:
    return [m2 / weight]


def _sample_variance(weight: Any, mean: Any, m2: Any, m3: Any, m4: Any, count: Any) -> list[Any]:
    # Weights are frequencies scaled to the number of values.
    return [m2 / weight * count / np.where(count > 1, count - 1, np.nan)]


def _root(outputs: Callable[..., list[Any]]) -> Callable[..., list[Any]]:
    return lambda *state: [np.sqrt(np.maximum(v, 0)) for v in outputs(*state)]


def _skew(weight: Any, mean: Any, m2: Any, m3: Any, *_: Any) -> list[Any]:
    return [(m3 / weight) / (m2 / weight) ** 1.5]


def _kurtosis(weight: Any, mean: Any, m2: Any, m3: Any, m4: Any, *_: Any) -> list[Any]:
    return [(m4 / weight) / (m2 / weight) ** 2 - 3]


def _circular_deviation(x: Any, y: Any, length: Any) -> Any:
    return np.sqrt(-2 * np.log(np.maximum(length, np.finfo(float).tiny)))


def _ones(dtype: np.dtype[Any]) -> Any:
    return -1 if dtype.kind == "i" else np.iinfo(dtype).max


def _nonzero(values: Any) -> Any:
    return values != 0


def _doubles(values: Any) -> Any:
    return values.astype(np.float64)


def _whole(values: Any) -> Any:
    return values.astype(np.int64)


_register("count", Count, False)
_register("countEvery", Count, False, outputs=("count",), nulls=True)
_register("sum", Sum, True)
_register("mean", lambda: Moments(lambda w, mean, *_: [mean], 2), True)
_register("variance", lambda: Moments(_variance), True)
_register("stdDev", lambda: Moments(_root(_variance)), True)
_register("sampleVariance", lambda: Moments(_sample_variance), True, outputs=("variance",))
_register("sampleStdDev", lambda: Moments(_root(_sample_variance)), True, outputs=("stdDev",))
_register("skew", lambda: Moments(_skew, 3), True)
_register("kurtosis", lambda: Moments(_kurtosis, 4), True)
_register("product", lambda: Fold(np.multiply, lambda _: 1, _doubles), False)
_register("bitwiseAnd", lambda: Fold(np.bitwise_and, _ones, _whole), False)
_register("bitwiseOr", lambda: Fold(np.bitwise_or, lambda _: 0, _whole), False)
for _name in ("allNonZero", "and"):
    _register(_name, lambda: Fold(np.minimum, lambda _: 1, _nonzero), False, ("all",))
for _name in ("anyNonZero", "or"):
    _register(_name, lambda: Fold(np.maximum, lambda _: 0, _nonzero), False, ("any",))
_register(
    "minMax", lambda: Several([_least_value(), _greatest_value()]), False, outputs=("min", "max")
)
_register("first", lambda: Pick("first"), False, nulls=True)
_register("firstNonNull", lambda: Pick("first"), False, outputs=("first",))
_register("last", lambda: Pick("last"), False, nulls=True)
_register("lastNonNull", lambda: Pick("last"), False, outputs=("last",))
_register(
    "frequencyHistogram",
    lambda: Gather(statistics.frequency_histogram),
    True,
    outputs=("histogram",),
)
_register("countDistinct", lambda: Gather(statistics.count_distinct), False, ("count",), nulls=True)
_register("countDistinctNonNull", lambda: Gather(statistics.count_distinct), False, ("count",))
_register("countRuns", lambda: Gather(statistics.count_runs), False, ("count",))
_register("circularMean", lambda: Circular(lambda x, y, r: np.arctan2(y, x)), True)
_register("circularVariance", lambda: Circular(lambda x, y, r: 1 - r), True)
_register("circularStddev", lambda: Circular(_circular_deviation), True, ("circularStdDev",))
_register("linearFit", lambda: Gather(statistics.linear_fit, 2), True, ("scale", "offset"), 2)


def _gathered(
    outputs: statistics.Outputs,
    names: Sequence[str],
    weighted: bool = True,
    inputs: int = 1,
    ranks: tuple[int, ...] = (),
) -> Reducer:
    columns = tuple(range(inputs))
    part = Statistic(lambda: Gather(outputs, inputs), columns, len(names), weighted, ranks=ranks)
    return Reducer(inputs, tuple(names), (part,))


def _extreme(rule: str, inputs: int) -> Reducer:
    if not 1 <= inputs <= _MOST_INPUTS:
        raise EarthEngineError(f"Reducer.{rule}: numInputs must be from 1 to {_MOST_INPUTS}.")
    if inputs == 1:
        make = _least_value if rule == "min" else _greatest_value
        return Reducer(1, (rule,), (Statistic(make, weighted=False, kind=rule),))
    names = (rule, *(f"{rule}{i}" for i in range(1, inputs)))
    part = Statistic(lambda: Pick(rule, inputs), tuple(range(inputs)), inputs, weighted=False)
    return Reducer(inputs, names, (part,))


@algorithm("Reducer.min")
def least(inputs: int = 1) -> Reducer:
    """Return the reducer of the least first input, with the other inputs that came with it."""
    return _extreme("min", inputs)


@algorithm("Reducer.max")
def greatest(inputs: int = 1) -> Reducer:
    """Return the reducer of the greatest first input, with the other inputs that came with it."""
    return _extreme("max", inputs)


@algorithm("Reducer.median")
def median(
    max_buckets: int | None = None, min_width: float | None = None, max_raw: int | None = None
) -> Reducer:
    """Return the weighted median. It is exact, so the arguments about buckets are ignored."""
    del max_buckets, min_width, max_raw
    weighted = reading("percentiles") == "weighted"
    return _gathered(statistics.percentiles((50.0,)), ("median",), weighted)


@algorithm("Reducer.mode")
def mode(
    max_buckets: int | None = None, min_width: float | None = None, max_raw: int | None = None
) -> Reducer:
    """Return the value of the greatest total weight. It is exact: buckets are ignored."""
    del max_buckets, min_width, max_raw
    return _gathered(statistics.mode, ("mode",))


@algorithm("Reducer.percentile")
def percentile(
    wanted: Sequence[float],
    names: Sequence[str] | None = None,
    max_buckets: int | None = None,
    min_width: float | None = None,
    max_raw: int | None = None,
) -> Reducer:
    """Return percentiles (0-100), called ``p5``, ``p50``… unless names are given.

    They are exact, so the arguments about buckets are ignored.
    """
    del max_buckets, min_width, max_raw
    outputs = names or [f"p{statistics.key(p)}" for p in wanted]
    if len(outputs) != len(wanted) or not wanted:
        raise EarthEngineError("Reducer.percentile: Need as many output names as percentiles.")
    if not all(0 <= p <= 100 for p in wanted):
        raise EarthEngineError("Reducer.percentile: Percentiles must be between 0 and 100.")
    weighted = reading("percentiles") == "weighted"
    return _gathered(statistics.percentiles([float(p) for p in wanted]), outputs, weighted)


@algorithm("Reducer.intervalMean")
def interval_mean(
    low: float,
    high: float,
    max_buckets: int | None = None,
    min_width: float | None = None,
    max_raw: int | None = None,
) -> Reducer:
    """Return the mean of the values between two percentiles (0-100)."""
    del max_buckets, min_width, max_raw
    return _gathered(statistics.interval_mean(low, high), ("mean",))


@algorithm("Reducer.toList")
def to_list(tuple_size: int | None = None, optional: int = 0) -> Reducer:
    """Return the values as a list; with ``tuple_size``, a list of lists of that many inputs.

    The last ``optional`` inputs may be null.
    """
    inputs = 1 if tuple_size is None else tuple_size
    rank = LISTS_OF_INPUT if tuple_size is None else 2
    return _collected(statistics.to_list(tuple_size), "list", inputs, optional, rank)


@algorithm("Reducer.toCollection")
def to_collection(names: Sequence[str], optional: int = 0) -> Reducer:
    """Return the values as features without geometry, with a property for each input.

    The last ``optional`` inputs may be null.
    """
    return _collected(statistics.to_features(names), "features", len(names), optional)


def _collected(
    outputs: statistics.Outputs, name: str, inputs: int, optional: int, rank: int = 0
) -> Reducer:
    if not 1 <= inputs <= _MOST_INPUTS or not 0 <= optional <= inputs:
        raise EarthEngineError(
            f"Reducer: Cannot collect {inputs} inputs of which {optional} are optional."
        )
    part = Statistic(
        lambda: Gather(outputs, inputs),
        tuple(range(inputs)),
        weighted=False,
        nulls=optional == inputs,
        optional=optional,
        ranks=(rank,),
    )
    return Reducer(inputs, (name,), (part,))


@algorithm("Reducer.histogram")
def histogram(
    max_buckets: int | None = None, min_width: float | None = None, max_raw: int | None = None
) -> Reducer:
    """Return a histogram as a dictionary: counts, means, lower end and width of its buckets."""
    del max_raw
    return _gathered(histograms.histogram(max_buckets, min_width), ("histogram",))


@algorithm("Reducer.autoHistogram")
def auto_histogram(
    max_buckets: int | None = None,
    min_width: float | None = None,
    max_raw: int | None = None,
    cumulative: bool = False,
) -> Reducer:
    """Return a histogram as an array of two columns: start of the bucket and count."""
    del max_raw
    outputs = histograms.auto_histogram(max_buckets, min_width, cumulative)
    return _gathered(outputs, ("histogram",), ranks=(2,))


@algorithm("Reducer.fixedHistogram")
def fixed_histogram(low: float, high: float, steps: int, cumulative: bool = False) -> Reducer:
    """Return a histogram of equal buckets as an array of two columns: start and count."""
    if not 1 <= steps <= _MOST_CELLS or not high > low:
        raise EarthEngineError("Reducer.fixedHistogram: Need at least one step and max > min.")
    outputs = histograms.fixed_histogram(low, high, steps, cumulative)
    return _gathered(outputs, ("histogram",), ranks=(2,))


@algorithm("Reducer.fixed2DHistogram")
def fixed_2d_histogram(
    x_low: float, x_high: float, x_steps: int, y_low: float, y_high: float, y_steps: int
) -> Reducer:
    """Return unweighted counts of pairs of values, and the starts of the buckets of both axes.

    The names of the outputs are a guess; so is that the rows of the counts are the buckets of x.
    """
    if min(x_steps, y_steps) < 1 or not (x_high > x_low and y_high > y_low):
        raise EarthEngineError("Reducer.fixed2DHistogram: Need at least one step and max > min.")
    if x_steps * y_steps > _MOST_CELLS:
        raise EarthEngineError("Reducer.fixed2DHistogram: Too many buckets.")
    outputs = histograms.fixed_2d_histogram((x_low, x_high, x_steps), (y_low, y_high, y_steps))
    return _gathered(outputs, ("histogram", "xAxis", "yAxis"), False, 2, (2, 1, 1))


@algorithm("Reducer.geometricMedian")
def geometric_median(inputs: int, eta: float = 0.001, step: float = 10.0) -> Reducer:
    """Return the geometric median of vectors of inputs, as ``median``, ``median1``… (a guess)."""
    del step  # concerns Earth Engine's own solver
    if not 1 <= inputs <= _MOST_INPUTS:
        raise EarthEngineError(f"Reducer.geometricMedian: Cannot have {inputs} inputs.")
    names = ("median", *(f"median{i}" for i in range(1, inputs)))
    return _gathered(statistics.geometric_median(eta), names, True, inputs)

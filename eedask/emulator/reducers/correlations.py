"""Correlations of two variables, and Sen's slope, a trend that outliers do not move.

The functions take columns and weights of shape (n, m) and return outputs of m values. Every value
with a weight over 0 counts the same.
https://developers.google.com/earth-engine/apidocs/ee-reducer-pearsonscorrelation
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import scipy  # its subpackages are imported when they are first used
from numpy.typing import NDArray

from eedask.emulator.limits.budget import MemoryLimit
from eedask.emulator.reducers.accumulators import Array, Output, Weights

Outputs = Callable[[list[Array], Weights], list[Output]]
Floats = NDArray[np.float64]

_AT_ONCE = 2**23  # slopes held at once
_MOST_PAIRS = 2**26
_MANY = 2000  # of more rows, Kendall's tau is computed by SciPy's sorting algorithm


def _pearson(x: Floats, y: Floats, there: NDArray[np.bool_]) -> tuple[Floats, Floats]:
    """Return m correlation coefficients (NaN where undefined) and the number of rows of each."""
    count = there.sum(axis=0)
    some = np.maximum(count, 1)
    dx = np.where(there, x - np.where(there, x, 0).sum(axis=0) / some, 0)
    dy = np.where(there, y - np.where(there, y, 0).sum(axis=0) / some, 0)
    with np.errstate(all="ignore"):
        r = (dx * dy).sum(axis=0) / np.sqrt((dx**2).sum(axis=0) * (dy**2).sum(axis=0))
    return np.where(count > 1, np.clip(r, -1, 1), np.nan), count.astype(np.float64)


def _with_p_value(r: Floats, count: Floats) -> list[Output]:
    """Return the coefficients and the p-values of Student's two-sided t-test that they are 0."""
    good = np.isfinite(r)
    freedom = np.maximum(count - 2, 0)
    p = scipy.special.betainc(np.maximum(freedom, 1) / 2, 0.5, 1 - np.where(good, r, 0) ** 2)
    return [Output(r, good), Output(np.where(freedom > 0, p, 1.0), good)]


def _numbers(columns: list[Array], weights: Weights) -> tuple[list[Floats], NDArray[np.bool_]]:
    there = np.asarray(weights > 0)
    return [np.where(there, c, 0).astype(np.float64) for c in columns], there


def pearson(columns: list[Array], weights: Weights) -> list[Output]:
    """Return Pearson's correlation coefficient and its p-value."""
    (x, y), there = _numbers(columns, weights)
    return _with_p_value(*_pearson(x, y, there))


def spearman(columns: list[Array], weights: Weights) -> list[Output]:
    """Return Spearman's correlation coefficient and its p-value; equal values share a mean rank."""
    numbers, there = _numbers(columns, weights)
    x, y = (_ranks(np.where(there, v, np.nan)) for v in numbers)
    return _with_p_value(*_pearson(x, y, there))


def _ranks(values: Floats) -> Floats:
    """Return the ranks of values in their columns; NaN has the rank 0."""
    if not len(values):
        return values
    ranks: Any = scipy.stats.rankdata(values, axis=0, nan_policy="omit")
    return np.nan_to_num(np.asarray(ranks, np.float64))


def kendall(columns: list[Array], weights: Weights) -> list[Output]:
    """Return Kendall's tau-b and its p-value.

    Of two inputs it is their correlation, of a single one its correlation with the order of the
    rows. The p-value is that of the normal approximation without a correction for ties (a guess).
    """
    numbers, there = _numbers(columns, weights)
    y = numbers[-1]
    order: Floats = np.arange(len(y), dtype=np.float64)[:, None]
    x = numbers[0] if len(numbers) == 2 else np.broadcast_to(order, y.shape)
    if len(y) > _MANY:
        found = [_tau_of_many(x[t, i], y[t, i]) for i, t in enumerate(there.T)]
        tau = np.array(found, dtype=np.float64)
    else:
        tau = _tau(x, y, there)
    n = there.sum(axis=0).astype(np.float64)
    good = np.isfinite(tau)
    z = 3 * np.where(good, tau, 0) * np.sqrt(np.maximum(n * (n - 1), 0) / (2 * (2 * n + 5)))
    return [Output(tau, good), Output(scipy.special.erfc(np.abs(z) / np.sqrt(2)), good)]


def _tau_of_many(x: Floats, y: Floats) -> float:
    if len(x) < 2 or (x == x[0]).all() or (y == y[0]).all():
        return np.nan
    return float(scipy.stats.kendalltau(x, y, method="asymptotic").statistic)


def _tau(x: Floats, y: Floats, there: NDArray[np.bool_]) -> Floats:
    """Return m values of Kendall's tau-b by comparing all pairs of rows; NaN where undefined."""
    shape = x.shape[1]
    score, pairs, x_ties, y_ties = (np.zeros(shape) for _ in range(4))
    for i in range(len(x) - 1):
        both = there[i + 1 :] & there[i]
        sx, sy = np.sign(x[i + 1 :] - x[i]), np.sign(y[i + 1 :] - y[i])
        score += (both * sx * sy).sum(axis=0)
        pairs += both.sum(axis=0)
        x_ties += (both & (sx == 0)).sum(axis=0)
        y_ties += (both & (sy == 0)).sum(axis=0)
    with np.errstate(all="ignore"):
        return np.asarray(score / np.sqrt((pairs - x_ties) * (pairs - y_ties)))


def sens_slope(columns: list[Array], weights: Weights) -> list[Output]:
    """Return Sen's slope, the median slope between all pairs of points, and an offset.

    That the offset is the median of ``y - slope * x`` is a guess.

    Raises
    ------
    MemoryLimit
        There are too many pairs.
    """
    (x, y), there = _numbers(columns, weights)
    n, m = x.shape
    if n * (n - 1) // 2 > _MOST_PAIRS:
        raise MemoryLimit
    first, second = np.triu_indices(n, 1)
    slope, good = np.zeros(m), np.zeros(m, bool)
    step = max(1, _AT_ONCE // max(len(first), 1))
    for at in range(0, m, step):
        part = slice(at, at + step)
        run = x[second, part] - x[first, part]
        known = there[second, part] & there[first, part] & (run != 0)
        rise = y[second, part] - y[first, part]
        slope[part], good[part] = _median(rise / np.where(known, run, 1), known)
    offset, _ = _median(y - slope * x, there)
    return [Output(slope, good), Output(offset, good)]


def _median(values: Floats, there: NDArray[np.bool_]) -> tuple[Floats, NDArray[np.bool_]]:
    """Return the medians along the first axis of the values that are ``there``.

    Returns
    -------
    medians : ndarray, shape (m,)
        0 where no value is there.
    valid : ndarray of bool, shape (m,)
        False where no value is there.
    """
    if not len(values):
        return np.zeros(values.shape[1]), np.zeros(values.shape[1], bool)
    ordered = np.sort(np.where(there, values, np.inf), axis=0)
    count = there.sum(axis=0)
    index = np.arange(values.shape[1])
    low = ordered[np.maximum(count - 1, 0) // 2, index]
    high = ordered[np.minimum(count // 2, len(values) - 1), index]
    some = np.asarray(count > 0)
    return np.where(some, (low + np.where(some, high, 0)) / 2, 0), some

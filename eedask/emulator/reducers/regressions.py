"""Regressions of several variables (ordinary, robust and ridge), and covariance.

As in :mod:`eedask.emulator.reducers.statistics`, statistics are functions of columns and weights of
shape (n, m) that return outputs of m values. Here each value is an array. Shapes: n rows, p
independent and q dependent variables, k of the m regressions at a time.
https://developers.google.com/earth-engine/guides/reducers_regression
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import scipy  # its subpackages are imported when they are first used
from numpy.typing import NDArray

from eedask.emulator.errors import EarthEngineError
from eedask.emulator.reducers.accumulators import Array, Output, Weights, as_objects

Outputs = Callable[[list[Array], Weights], list[Output]]
Floats = NDArray[np.float64]

_AT_ONCE = 2**22  # numbers in one batch of regressions
_MOST_ROUNDS = 50
_TALWAR = 2.795  # Talwar's cutoff, in standard deviations: 95 % efficiency for normal errors
_MAD = 0.6745  # median absolute deviation of a normal distribution


def _batched(solve: Callable[..., list[Floats]], x_count: int) -> Outputs:
    """Return a function that solves m regressions in batches of k.

    Parameters
    ----------
    solve : callable
        ``solve(x, y, weights)`` takes arrays of shapes (k, n, p), (k, n, q) and (k, n). It
        returns one array for each output, whose first axis is k; NaN where there is no result.
    x_count : int
        p: the number of columns that are independent variables, the first ones.
    """

    def outputs(columns: list[Array], weights: Weights) -> list[Output]:
        if not len(weights):
            weights = np.zeros((1, weights.shape[1]))
            columns = [np.zeros(weights.shape)] * len(columns)
        n, m = weights.shape
        step = max(1, _AT_ONCE // max(n * len(columns), 1))
        parts = []
        for first in range(0, m, step):
            w = weights[:, first : first + step].T.astype(np.float64)
            data = np.stack([c[:, first : first + step].T for c in columns], axis=2)
            data = np.where(w[..., None] > 0, data, 0).astype(np.float64)
            # LAPACK may not terminate on infinite values and NaN: such data have no solution.
            finite = np.isfinite(data).all(axis=(1, 2))
            data = np.where(finite[:, None, None], data, 0)
            w = np.where(finite[:, None], w, 0)
            with np.errstate(all="ignore"):
                parts.append(solve(data[..., :x_count], data[..., x_count:], w))
        return [_objects(np.concatenate(same)) for same in zip(*parts, strict=True)]

    return outputs


def _objects(results: Floats) -> Output:
    valid = np.isfinite(results.reshape(len(results), -1))
    return as_objects(list(results), [bool(row.all()) for row in valid])


def _least_squares(x: Floats, y: Floats, weights: Floats) -> Floats:
    """Return coefficients, shape (k, p, q); NaN where the columns of x are linearly dependent."""
    root = np.sqrt(weights)[..., None]
    rows, p = x.shape[1:]
    if rows < p:
        return np.full((len(x), p, y.shape[2]), np.nan)
    q, r = np.linalg.qr(root * x)
    diagonal = np.abs(np.diagonal(r, axis1=1, axis2=2))
    scale = np.sqrt(((root * x) ** 2).sum(axis=1)).max(axis=1, initial=0)
    good = (diagonal > 1e-12 * np.maximum(scale, 1e-300)[:, None]).all(axis=1)
    r = np.where(good[:, None, None], r, np.eye(p))
    coefficients = np.linalg.solve(r, np.swapaxes(q, 1, 2) @ (root * y))
    return np.where(good[:, None, None], coefficients, np.nan)


def _root_mean_square(residuals: Floats, weights: Floats) -> Floats:
    total = weights.sum(axis=1)
    squares = (weights[..., None] * residuals**2).sum(axis=1)
    return np.sqrt(squares / np.where(total > 0, total, np.nan)[:, None])


def _enough(coefficients: Floats, weights: Floats, least: int) -> Floats:
    """Return coefficients, replaced by NaN where fewer than ``least`` rows have a weight over 0."""
    count = np.count_nonzero(weights > 0, axis=1)
    return np.where((count >= least)[:, None, None], coefficients, np.nan)


def ordinary(x_count: int) -> Outputs:
    """Return the statistic of coefficients, shape (p, q), and root mean square residuals, (q,).

    Both are null if there are not more rows than independent variables, or if the latter are
    linearly dependent.
    https://developers.google.com/earth-engine/apidocs/ee-reducer-linearregression
    """

    def solve(x: Floats, y: Floats, weights: Floats) -> list[Floats]:
        found = _enough(_least_squares(x, y, weights), weights, x_count + 1)
        return [found, _root_mean_square(y - x @ found, weights)]

    return _batched(solve, x_count)


def robust(x_count: int, beta: float | None) -> Outputs:
    """Return the statistic of :func:`ordinary` repeated without outliers until these stay the same.

    By Talwar's weights, a row is an outlier if the root mean square of its residuals is over
    ``beta``. By default that is 2.795 standard deviations, estimated from the residuals' median
    (a guess: Earth Engine does not document its default).
    https://developers.google.com/earth-engine/apidocs/ee-reducer-robustlinearregression
    """

    def solve(x: Floats, y: Floats, weights: Floats) -> list[Floats]:
        kept = weights
        found = _enough(_least_squares(x, y, kept), kept, x_count)
        for _ in range(_MOST_ROUNDS):
            far = np.sqrt(((y - x @ found) ** 2).mean(axis=2))
            limit = np.full(len(x), beta) if beta is not None else _margin(far, weights)
            new = np.where(far <= limit[:, None], weights, 0)
            again = _enough(_least_squares(x, y, new), new, x_count)
            lost = np.asarray(~np.isfinite(again).all(axis=(1, 2)))
            new[lost] = kept[lost]
            same = (new == kept).all()
            kept, found = new, np.where(lost[:, None, None], found, again)
            if same:
                break
        return [found, _root_mean_square(y - x @ found, kept)]

    return _batched(solve, x_count)


def _margin(far: Floats, weights: Floats) -> Floats:
    """Return Talwar's cutoff, shape (k,), with the deviation estimated from the median residual."""
    there = (weights > 0) & np.isfinite(far)
    ordered = np.sort(np.where(there, far, np.inf), axis=1)
    count = there.sum(axis=1)
    rows = np.arange(len(far))
    low = ordered[rows, np.maximum(count - 1, 0) // 2]
    high = ordered[rows, np.minimum(count // 2, far.shape[1] - 1)]
    middle = np.where(count > 0, (low + high) / 2, np.inf)
    # Where all rows fit exactly, rounding errors must not count as outliers.
    return np.maximum(_TALWAR * middle / _MAD, 1e-12)


def ridge(x_count: int, shrinkage: float) -> Outputs:
    """Return the statistic of coefficients (p + 1, q), RMS residuals (q,) and p-values (q,).

    The last row of coefficients is the intercept, which is not shrunk. The p-values are those of
    the F-test of the whole regression (a guess: Earth Engine does not say which test it is).
    https://developers.google.com/earth-engine/apidocs/ee-reducer-ridgeregression
    """

    def solve(x: Floats, y: Floats, weights: Floats) -> list[Floats]:
        total = np.maximum(weights.sum(axis=1), 1e-300)[:, None]
        x_mean = (weights[..., None] * x).sum(axis=1) / total
        y_mean = (weights[..., None] * y).sum(axis=1) / total
        dx, dy = x - x_mean[:, None], y - y_mean[:, None]
        scaled = np.swapaxes(dx * weights[..., None], 1, 2)
        # The pseudo-inverse gives the shortest solution if the matrix is singular (no shrinkage).
        inverse = np.linalg.pinv(scaled @ dx + shrinkage * np.eye(x_count), hermitian=True)
        slopes = inverse @ (scaled @ dy)
        intercept = y_mean[:, None] - x_mean[:, None] @ slopes
        found = np.concatenate([slopes, intercept], axis=1)
        found = _enough(found, weights, x_count + 1)
        left = y - x @ found[:, :-1] - found[:, -1:]
        return [found, _root_mean_square(left, weights), _f_test(left, dy, weights, x_count)]

    return _batched(solve, x_count)


def _f_test(left: Floats, around: Floats, weights: Floats, x_count: int) -> Floats:
    """Return the p-values of F-tests, shape (k, q).

    ``left`` are the residuals of the regression, ``around`` those from the means.
    """
    count = np.count_nonzero(weights > 0, axis=1)[:, None].astype(np.float64)
    rest = (weights[..., None] * left**2).sum(axis=1)
    whole = (weights[..., None] * around**2).sum(axis=1)
    freedom = np.maximum(count - x_count - 1, 0)
    with np.errstate(all="ignore"):
        # The F distribution's tail, of F = (whole - rest) / p / (rest / freedom).
        share = np.clip(rest / np.where(whole > 0, whole, 1), 0, 1)
        values: Any = scipy.special.betainc(np.maximum(freedom, 1) / 2, x_count / 2, share)
    bare = (freedom == 0) | (whole == 0)
    return np.where(np.isfinite(rest), np.where(bare, 1.0, values), np.nan)


def covariance(centered: bool) -> Outputs:
    """Return the statistic of the matrix of weighted covariances between the elements of vectors.

    ``centered`` says that the means are 0 already. Sums are divided by the total weight, not by
    one less (a guess).
    https://developers.google.com/earth-engine/apidocs/ee-reducer-covariance
    """

    def one(vectors: Array, weights: Floats) -> Any:
        if not len(vectors):
            return None
        if any(np.ndim(v) != 1 or len(v) != len(vectors[0]) for v in vectors):
            raise EarthEngineError("Reducer.covariance: The inputs must be vectors of one length.")
        data = np.array([np.asarray(v, np.float64) for v in vectors])
        total = weights.sum()
        if not centered:
            data = data - (weights @ data) / total
        return (data * weights[:, None]).T @ data / total

    def outputs(columns: list[Array], weights: Weights) -> list[Output]:
        if columns[0].dtype != object and len(weights):
            raise EarthEngineError("Reducer.covariance: The inputs must be arrays.")
        made = []
        for i in range(weights.shape[1]):
            there = weights[:, i] > 0
            made.append(one(columns[0][there, i], weights[there, i]))
        return [as_objects(made, [value is not None for value in made])]

    return outputs

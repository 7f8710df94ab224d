"""Reducer.*: regressions, covariances and correlations."""

from __future__ import annotations

from collections.abc import Sequence

from eedask.emulator.errors import EarthEngineError
from eedask.emulator.functions.registry import algorithm
from eedask.emulator.reducers import correlations, regressions
from eedask.emulator.reducers.accumulators import Gather
from eedask.emulator.reducers.reduce import Reducer, Statistic
from eedask.emulator.reducers.statistics import Outputs

_MOST_INPUTS = 1024
_CORRELATION = ("correlation", "p-value")


def _reducer(
    outputs: Outputs,
    names: Sequence[str],
    inputs: int,
    ranks: Sequence[int] = (),
    weighted: bool = False,
) -> Reducer:
    part = Statistic(
        lambda: Gather(outputs, inputs),
        tuple(range(inputs)),
        len(names),
        weighted,
        ranks=tuple(ranks),
    )
    return Reducer(inputs, tuple(names), (part,))


def _inputs(x_count: int, y_count: int, name: str) -> int:
    if x_count < 1 or y_count < 1 or x_count + y_count > _MOST_INPUTS:
        raise EarthEngineError(f"Reducer.{name}: Invalid numX {x_count} or numY {y_count}.")
    return x_count + y_count


@algorithm("Reducer.linearRegression")
def linear_regression(x_count: int, y_count: int = 1) -> Reducer:
    """Return the coefficients and residuals of a least-squares fit."""
    inputs = _inputs(x_count, y_count, "linearRegression")
    names = ("coefficients", "residuals")
    return _reducer(regressions.ordinary(x_count), names, inputs, (2, 1), weighted=True)


@algorithm("Reducer.robustLinearRegression")
def robust_linear_regression(x_count: int, y_count: int = 1, beta: float | None = None) -> Reducer:
    """Return the coefficients and residuals of a least-squares fit repeated without outliers."""
    inputs = _inputs(x_count, y_count, "robustLinearRegression")
    names = ("coefficients", "residuals")
    return _reducer(regressions.robust(x_count, beta), names, inputs, (2, 1), weighted=True)


@algorithm("Reducer.ridgeRegression")
def ridge_regression(x_count: int, y_count: int = 1, shrinkage: float = 0.1) -> Reducer:
    """Return the coefficients (intercept last), residuals and p-values of a ridge regression."""
    inputs = _inputs(x_count, y_count, "ridgeRegression")
    if shrinkage < 0:
        raise EarthEngineError("Reducer.ridgeRegression: lambda must not be negative.")
    names = ("coefficients", "residuals", "pValue")
    return _reducer(regressions.ridge(x_count, shrinkage), names, inputs, (2, 1, 1), weighted=True)


@algorithm("Reducer.covariance")
def covariance() -> Reducer:
    """Return the covariance matrix of vectors."""
    return _reducer(regressions.covariance(False), ("covariance",), 1, (2,), weighted=True)


@algorithm("Reducer.centeredCovariance")
def centered_covariance() -> Reducer:
    """Return the covariance matrix of vectors whose means are already 0."""
    outputs = regressions.covariance(True)
    return _reducer(outputs, ("centeredCovariance",), 1, (2,), weighted=True)


@algorithm("Reducer.pearsonsCorrelation")
def pearsons_correlation() -> Reducer:
    """Return Pearson's correlation of two inputs."""
    return _reducer(correlations.pearson, _CORRELATION, 2)


@algorithm("Reducer.spearmansCorrelation")
def spearmans_correlation() -> Reducer:
    """Return Spearman's correlation of two inputs."""
    return _reducer(correlations.spearman, _CORRELATION, 2)


@algorithm("Reducer.kendallsCorrelation")
def kendalls_correlation(inputs: int = 1) -> Reducer:
    """Return Kendall's correlation of two inputs, or of one input with its order of arrival."""
    if inputs not in (1, 2):
        raise EarthEngineError(f"Reducer.kendallsCorrelation: Cannot have {inputs} inputs.")
    return _reducer(correlations.kendall, ("tau", "p-value"), inputs)


@algorithm("Reducer.sensSlope")
def sens_slope() -> Reducer:
    """Return Sen's slope of the second input on the first, and its offset."""
    return _reducer(correlations.sens_slope, ("slope", "offset"), 2)

"""Extrapolates from what a few requests took to what all requests will take."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

# Half the width of a range, as a part of the value: at least; and if there is only one measurement,
# which does not show how much measurements differ.
_LEAST, _UNKNOWN = 0.1, 0.5
# Requests count as equally heavy if their weights differ by less than this part.
_SAME = 0.01


@dataclass(frozen=True)
class Range:
    """An estimated number, with its uncertainty.

    Attributes
    ----------
    low, expected, high : float
        The real number lies between ``low`` and ``high`` with a probability of about 95 %, if the
        items of the pilot are like the others.
    """

    low: float
    expected: float
    high: float

    @classmethod
    def around(cls, value: float, error: float) -> Range:
        """Return the range from ``value * (1 - error)``, at least 0, to ``value * (1 + error)``."""
        return cls(value * max(0.0, 1 - error), value, value * (1 + error))

    def __mul__(self, factor: float) -> Range:
        return Range(self.low * factor, self.expected * factor, self.high * factor)

    def __add__(self, more: float) -> Range:
        return Range(self.low + more, self.expected + more, self.high + more)


@dataclass(frozen=True)
class Line:
    """A linear model of what requests take, in seconds, bytes or EECU-seconds.

    Some requests take ``a_request`` for each request, and ``a_weight`` for each unit of the weight
    of their items (see :class:`eedask.estimating.pilot.Weights`).

    Attributes
    ----------
    a_request, a_weight : float
    covariance : ndarray of float, shape (2, 2)
        Of the two.
    errors : float
        How many standard errors half the width of a range has.
    doubted : float
        What a weight may take more, at most, where that was not told apart from none.
    """

    a_request: float
    a_weight: float
    covariance: NDArray[np.float64]
    errors: float
    doubted: float = 0.0

    @classmethod
    def through(
        cls,
        requests: ArrayLike,
        weights: ArrayLike,
        taken: ArrayLike,
        *,
        noisy: bool = False,
        supposed: float = 0.0,
    ) -> Line:
        """Fit the model to several measurements, by least squares.

        If all requests have the same weight, or the fit says that a request takes less than
        nothing, everything is attributed to the weight. If the fit says that weight takes less
        than nothing, everything is attributed to the requests.

        Parameters
        ----------
        requests, weights, taken : array-like of float, shape (measurements,)
            The number of requests of each measurement, at least 1; the weight of their items, more
            than 0; and what they took together.
        noisy : bool
            Whether what requests take differs by more than their weight, as their time does. Where
            more weight may as well take nothing, the fit is then not relied on: the requests of a
            run weigh up to a hundred times those of a pilot, and a difference by chance would grow
            as much.
        supposed : float
            What a weight is then taken to take, as far as the measurements allow it.
        """
        r, w, y = (np.asarray(one, float) for one in (requests, weights, taken))
        if len(y) > 2 and np.ptp(w / r) > _SAME * np.mean(w / r):
            columns = np.column_stack([r, w])
            (one, other), *_ = np.linalg.lstsq(columns, y, rcond=None)
            free = len(y) - 2
            variance = np.sum((y - columns @ [one, other]) ** 2) / free
            covariance = variance * np.linalg.inv(columns.T @ columns)
            chance = _errors(free) * float(np.sqrt(covariance[1, 1])) if noisy else 0.0
            if one >= 0 and other >= chance:
                return cls(float(one), float(other), covariance, _errors(free))
            if other < chance:
                most, errors = max(0.0, float(other) + chance), _errors(len(y) - 1)
                grows = min(supposed, most, float(np.min(y / w)))
                share, variance = _ratio(r, y - grows * w)
                # The range is from where more weight takes nothing to where it takes the most.
                covariance = np.diag([variance, (grows / errors) ** 2])
                return cls(share, grows, covariance, errors, max(0.0, most - 2 * grows))
        share, variance = _ratio(w, y)
        return cls(0.0, share, np.diag([0.0, variance]), _errors(len(y) - 1))

    @property
    def may_be_flat(self) -> bool:
        """Whether more weight may as well take nothing more, by the measurements."""
        return self.a_weight <= self.errors * float(np.sqrt(self.covariance[1, 1]))

    def of(self, requests: float, weight: float) -> float:
        """Return what ``requests`` requests take whose items together have ``weight``."""
        return requests * self.a_request + weight * self.a_weight

    def range(self, requests: float, weight: float) -> Range:
        """Return the same as a range: what is expected, and between what bounds it may lie."""
        asked = np.array([requests, weight])
        value = self.of(requests, weight)
        half = self.errors * float(np.sqrt(asked @ self.covariance @ asked))
        found = Range.around(value, max(_LEAST, half / value) if value else _LEAST)
        return replace(found, high=found.high + self.doubted * weight)

    def __mul__(self, factor: float) -> Line:
        """Return the line of requests that take so many times as much."""
        one, other = self.a_request * factor, self.a_weight * factor
        return replace(self, a_request=one, a_weight=other)


def _ratio(of: NDArray[np.float64], taken: NDArray[np.float64]) -> tuple[float, float]:
    """Return what is taken per unit of ``of``, and the variance of this ratio."""
    share, count = float(taken.sum() / of.sum()), len(taken)
    if count < 2:
        return share, (share * _UNKNOWN / _errors(0)) ** 2
    spread = np.sum((taken - share * of) ** 2) * count / (count - 1)
    return share, float(spread / of.sum() ** 2)


def _errors(free: int) -> float:
    """Return how many standard errors cover about 95 %, given the degrees of freedom.

    It approximates the quantile of Student's t distribution, which is larger for few.
    """
    return 2.0 + 4.0 / max(1, free)

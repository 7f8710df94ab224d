"""From what a few requests took to what all of them will take."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

# Half the width of a range, as a part of the value: at least, and where one measurement tells
# nothing of how much they differ.
_LEAST, _UNKNOWN = 0.1, 0.5
# Weights of requests that differ by a smaller part are taken for the same.
_SAME = 0.01


@dataclass(frozen=True)
class Range:
    """A number that is estimated.

    Attributes
    ----------
    low, expected, high : float
        The real number lies between low and high some 19 times of 20, if the items of the pilot
        are like the others.
    """

    low: float
    expected: float
    high: float

    @classmethod
    def around(cls, value: float, error: float) -> Range:
        """Return a range with an error on either side, as a part of the value."""
        return cls(value * max(0.0, 1 - error), value, value * (1 + error))

    def __mul__(self, factor: float) -> Range:
        return Range(self.low * factor, self.expected * factor, self.high * factor)

    def __add__(self, more: float) -> Range:
        return Range(self.low + more, self.expected + more, self.high + more)


@dataclass(frozen=True)
class Line:
    """What requests take: so much each, and so much for the weight of their items.

    Attributes
    ----------
    a_request, a_weight : float
    covariance : ndarray of float, shape (2, 2)
        Of both.
    errors : float
        Standard errors in half the width of a range.
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
        cls, requests: ArrayLike, weights: ArrayLike, taken: ArrayLike, *, noisy: bool = False
    ) -> Line:
        """Return the line of several measurements, each of some requests.

        Where the weight of a request is always the same, or more requests would take less, all is
        put down to the weight; where more weight would take less, to the requests.

        Parameters
        ----------
        requests, weights, taken : array-like of float, shape (measurements,)
            A measurement has one request at least, and a positive weight.
        noisy : bool
            Whether what requests take differs by more than their weight, as their time does. All
            is then put down to the requests also where more weight may as well take nothing: the
            requests of a run weigh up to a hundred times those of a pilot, and a difference by
            chance would grow as much.
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
                share, variance = _ratio(r, y)
                covariance = np.diag([variance, 0.0])
                doubted = max(0.0, float(other) + chance)
                return cls(share, 0.0, covariance, _errors(len(y) - 1), doubted)
        share, variance = _ratio(w, y)
        return cls(0.0, share, np.diag([0.0, variance]), _errors(len(y) - 1))

    def of(self, requests: float, weight: float) -> float:
        """Return what so many requests take, whose items have this weight together."""
        return requests * self.a_request + weight * self.a_weight

    def range(self, requests: float, weight: float) -> Range:
        """Return between what it may lie."""
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
    """Return what is taken for one of something, and the variance of that."""
    share, count = float(taken.sum() / of.sum()), len(taken)
    if count < 2:
        return share, (share * _UNKNOWN / _errors(0)) ** 2
    spread = np.sum((taken - share * of) ** 2) * count / (count - 1)
    return share, float(spread / of.sum() ** 2)


def _errors(free: int) -> float:
    """Return how many standard errors hold 19 of 20, about: more where few have told them."""
    return 2.0 + 4.0 / max(1, free)

"""From what a few requests took to what all of them will take."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

# Half the width of a range, as a part of the value: at least, and where one measurement tells
# nothing of how much they differ.
_LEAST, _UNKNOWN = 0.05, 0.5
# Standard errors in half the width of a range.
_ERRORS = 2.0


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
    error : float
        Of what is told by it, as a part of that.
    """

    a_request: float
    a_weight: float
    error: float

    @classmethod
    def through(cls, requests: ArrayLike, weights: ArrayLike, taken: ArrayLike) -> Line:
        """Return the line of several measurements, each of some requests.

        Where the weight of a request is always the same, or more requests would take less, all is
        put down to the weight.

        Parameters
        ----------
        requests, weights, taken : array-like of float, shape (measurements,)
            Of each measurement; it has one request at least, and a positive weight.
        """
        r, w, y = (np.asarray(one, float) for one in (requests, weights, taken))
        each, share = 0.0, float(y.sum() / w.sum())
        if len(y) > 2 and np.ptp(w / r) > 0.01 * np.mean(w / r):
            (one, other), *_ = np.linalg.lstsq(np.column_stack([r, w]), y, rcond=None)
            if one >= 0 and other >= 0:
                each, share = float(one), float(other)
            elif other < 0:
                each, share = float(y.sum() / r.sum()), 0.0
        return cls(each, share, _error(y, each * r + share * w))

    def of(self, requests: float, weight: float) -> Range:
        """Return what so many requests take, whose items have this weight together."""
        return Range.around(self.a_request * requests + self.a_weight * weight, self.error)


def _error(taken: NDArray[np.float64], told: NDArray[np.float64]) -> float:
    if len(taken) < 2 or not told.all():
        return _UNKNOWN
    # Of the whole, to which each measurement adds as much as it is large.
    spread = float(np.sqrt(np.sum((taken - told) ** 2) * len(taken) / (len(taken) - 1)))
    return max(_LEAST, _ERRORS * spread / float(taken.sum())) if taken.sum() else _UNKNOWN

"""Statistics that take their inputs a block at a time.

A block of an input is a column of shape (n, m): n more values for each of m separate statistics.
The pixels of a region come as (pixels, 1), tile by tile, those of a collection as (1, pixels),
image by image. Both are so reduced in bounded memory, except by statistics that need all values at
once (:class:`Gather`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from eedask.emulator.limits.metering import hold

Array = NDArray[Any]
Weights = NDArray[np.float64]


class Output(NamedTuple):
    """One output of m separate statistics.

    Attributes
    ----------
    values : ndarray, shape (m,)
        Numbers, or objects (dtype object) such as lists and arrays.
    valid : ndarray of bool, shape (m,)
        False where the output is null in Earth Engine, as when there was nothing to reduce.
    """

    values: Array
    valid: NDArray[np.bool_]


class Accumulator(Protocol):
    """A statistic that is being computed: it takes blocks of values, then gives its outputs."""

    def add(self, columns: Sequence[Array], weights: Weights) -> None:
        """Take n more values of each input.

        Parameters
        ----------
        columns : sequence of ndarray, each of shape (n, m)
            One for each input.
        weights : ndarray of float64, shape (n, m)
            Values of weight 0 are masked: they are ignored, whatever they are.
        """

    def results(self) -> list[Output]:
        """Return the outputs, each of m values (of one if nothing was added)."""


def _all_valid(values: Array) -> Output:
    return Output(values, np.ones(values.shape, bool))


class Count:
    """The number of values of a weight over 0."""

    def __init__(self) -> None:
        self._n: Any = 0

    def add(self, columns: Sequence[Array], weights: Weights) -> None:
        """Take n more values of each input; see :meth:`Accumulator.add`."""
        self._n = self._n + np.count_nonzero(weights > 0, axis=0)

    def results(self) -> list[Output]:
        """Return the count, which is never null."""
        return [_all_valid(np.atleast_1d(self._n))]


class Moments:
    """Statistics made of weighted moments: mean, variance, skew, kurtosis.

    The moments of blocks are merged by the formulas of Chan et al., which lose no precision.

    Parameters
    ----------
    outputs : callable
        ``outputs(weight, mean, m2, m3, m4, count) -> list of arrays``, where ``mk`` is the
        weighted sum of the k-th powers of differences from the mean, and all shapes are (m,).
    order : int
        The highest power that ``outputs`` needs, from 2 to 4.
    """

    def __init__(self, outputs: Callable[..., list[Array]], order: int = 2) -> None:
        self._outputs, self._order = outputs, order
        self._state: list[Array] | None = None

    def add(self, columns: Sequence[Array], weights: Weights) -> None:
        """Take n more values of each input; see :meth:`Accumulator.add`."""
        x = np.where(weights > 0, columns[0], 0).astype(np.float64)
        weight = weights.sum(axis=0)
        safe = np.where(weight > 0, weight, 1)
        mean = (weights * x).sum(axis=0) / safe
        d = x - mean
        powers = [(weights * d**k).sum(axis=0) for k in range(2, self._order + 1)]
        count = np.count_nonzero(weights > 0, axis=0)
        new = [weight, mean, *powers, *[np.zeros_like(mean)] * (4 - self._order), count]
        self._state = new if self._state is None else self._merged(self._state, new)

    def _merged(self, a: list[Array], b: list[Array]) -> list[Array]:
        wa, ma, a2, a3, a4, na = a
        wb, mb, b2, b3, b4, nb = b
        w = wa + wb
        safe = np.where(w > 0, w, 1)
        d = mb - ma
        m2 = a2 + b2 + d**2 * wa * wb / safe
        m3 = a3 + b3 + d**3 * wa * wb * (wa - wb) / safe**2 + 3 * d * (wa * b2 - wb * a2) / safe
        m4 = (
            a4
            + b4
            + d**4 * wa * wb * (wa**2 - wa * wb + wb**2) / safe**3
            + 6 * d**2 * (wa**2 * b2 + wb**2 * a2) / safe**2
            + 4 * d * (wa * b3 - wb * a3) / safe
        )
        return [w, ma + d * wb / safe, m2, m3, m4, na + nb]

    def results(self) -> list[Output]:
        """Return the outputs; null where there were no values or the result is not finite."""
        state = self._state or [np.zeros(1)] * 6
        with np.errstate(all="ignore"):
            values = self._outputs(*state)
        some = state[0] > 0
        return [Output(v, some & np.isfinite(v)) for v in values]


class Circular:
    """The mean, variance or standard deviation of angles in radians.

    Parameters
    ----------
    outputs : callable
        ``outputs(cosine, sine, length) -> array``, given the x, the y and the length of the
        weighted mean of the angles' unit vectors.
    """

    def __init__(self, outputs: Callable[[Array, Array, Array], Array]) -> None:
        self._outputs = outputs
        self._state: Any = (np.zeros(1), np.zeros(1), np.zeros(1))

    def add(self, columns: Sequence[Array], weights: Weights) -> None:
        """Take n more values of each input; see :meth:`Accumulator.add`."""
        angle = np.where(weights > 0, columns[0], 0).astype(np.float64)
        new = ((weights * np.cos(angle)), (weights * np.sin(angle)), weights)
        self._state = tuple(a + b.sum(axis=0) for a, b in zip(self._state, new, strict=True))

    def results(self) -> list[Output]:
        """Return the one output; null where there were no values."""
        cosine, sine, weight = self._state
        some = weight > 0
        safe = np.where(some, weight, 1)
        x, y = cosine / safe, sine / safe
        values = self._outputs(x, y, np.minimum(np.hypot(x, y), 1))
        return [Output(np.where(some, values, 0), some)]


class Sum:
    """The weighted sum; null if there are no values (a guess)."""

    def __init__(self) -> None:
        self._sum: Any = np.zeros(1)
        self._some: Any = np.zeros(1, bool)

    def add(self, columns: Sequence[Array], weights: Weights) -> None:
        """Take n more values of each input; see :meth:`Accumulator.add`."""
        x = np.where(weights > 0, columns[0], 0).astype(np.float64)
        self._sum = self._sum + (weights * x).sum(axis=0)
        self._some = self._some | (weights > 0).any(axis=0)

    def results(self) -> list[Output]:
        """Return the sum."""
        return [Output(np.atleast_1d(self._sum), np.atleast_1d(self._some))]


class Fold:
    """All values combined two by two by one function: least, greatest, product, any, all.

    Weights say which values are there, but do not weigh them.

    Parameters
    ----------
    function : ufunc
        Combines two values into one.
    start : callable
        ``start(dtype)`` returns the neutral element, which changes no value it is combined with.
    before : callable, optional
        Applied to the values first.
    """

    def __init__(
        self,
        function: np.ufunc,
        start: Callable[[np.dtype[Any]], Any],
        before: Callable[[Array], Array] | None = None,
    ) -> None:
        self._function, self._start, self._before = function, start, before
        self._value: Array | None = None
        self._some: Any = False

    def add(self, columns: Sequence[Array], weights: Weights) -> None:
        """Take n more values of each input; see :meth:`Accumulator.add`."""
        x = columns[0] if self._before is None else self._before(columns[0])
        if x.dtype == object:
            self._add_objects(x[weights > 0])
            return
        if x.dtype.kind == "b":
            x = x.astype(np.uint8)
        x = np.where(weights > 0, x, np.asarray(self._start(x.dtype), x.dtype))
        with np.errstate(over="ignore", invalid="ignore"):  # a product may become infinite
            value = self._function.reduce(x, axis=0, initial=self._start(x.dtype))
            self._value = value if self._value is None else self._function(self._value, value)
        self._some = self._some | (weights > 0).any(axis=0)

    def _add_objects(self, values: Array) -> None:
        """Take values of one statistic (m = 1) that are strings or numbers in an object array."""
        if not values.size:
            return
        if not all(isinstance(v, str | int | float) for v in values):
            raise TypeError("neither numbers nor strings")
        value = as_objects([self._function.reduce(values)]).values
        self._value = value if self._value is None else self._function(self._value, value)
        self._some = np.ones(1, bool)

    def results(self) -> list[Output]:
        """Return the combined value; null where there were no values."""
        if self._value is None:
            return [Output(np.zeros(1), np.zeros(1, bool))]
        return [Output(np.atleast_1d(self._value), np.atleast_1d(self._some))]


class Pick:
    """All inputs at the place where the first input is the first, last, least or greatest.

    Parameters
    ----------
    rule : {"first", "last", "min", "max"}
        Which value of the first input to look for; among equals the first.
    inputs : int
        The number of inputs.
    """

    def __init__(self, rule: str, inputs: int = 1) -> None:
        self._rule, self._inputs = rule, inputs
        self._row: list[Array] | None = None
        self._some: Any = None

    def add(self, columns: Sequence[Array], weights: Weights) -> None:
        """Take n more values of each input; see :meth:`Accumulator.add`."""
        there = weights > 0
        some = there.any(axis=0)
        at = self._choose(columns[0], there)
        index = np.arange(there.shape[1])
        row = [column[at, index] for column in columns]
        if self._row is None:
            self._row, self._some = row, some
            return
        new = some & (~self._some | self._beats(row[0], self._row[0]))
        self._row = [np.where(new, b, a) for a, b in zip(self._row, row, strict=True)]
        self._some = self._some | some

    def _choose(self, x: Array, there: NDArray[np.bool_]) -> NDArray[np.intp]:
        if self._rule == "first":
            return there.argmax(axis=0)
        if self._rule == "last":
            return len(there) - 1 - there[::-1].argmax(axis=0)
        rest = np.inf if self._rule == "min" else -np.inf
        guarded = np.where(there, x, rest)
        return guarded.argmin(axis=0) if self._rule == "min" else guarded.argmax(axis=0)

    def _beats(self, new: Array, old: Array) -> Any:
        if self._rule in ("first", "last"):
            return self._rule == "last"
        return new < old if self._rule == "min" else new > old

    def results(self) -> list[Output]:
        """Return one output for each input; null where there were no values."""
        if self._row is None:
            return [Output(np.zeros(1), np.zeros(1, bool)) for _ in range(self._inputs)]
        return [Output(column, self._some) for column in self._row]


class Several:
    """Several accumulators of the same inputs; their outputs follow each other."""

    def __init__(self, accumulators: Sequence[Accumulator]) -> None:
        self._accumulators = accumulators

    def add(self, columns: Sequence[Array], weights: Weights) -> None:
        """Take n more values of each input; see :meth:`Accumulator.add`."""
        for accumulator in self._accumulators:
            accumulator.add(columns, weights)

    def results(self) -> list[Output]:
        """Return the outputs of all accumulators."""
        return [output for each in self._accumulators for output in each.results()]


class Gather:
    """Keeps all values, for statistics that need them all at once.

    Their bytes count as the request's memory.

    Parameters
    ----------
    outputs : callable
        ``outputs(columns, weights) -> list of Output``, given all values, shapes (n, m).
    inputs : int
        The number of inputs.
    """

    def __init__(
        self, outputs: Callable[[list[Array], Weights], list[Output]], inputs: int = 1
    ) -> None:
        self._outputs, self._inputs = outputs, inputs
        self._columns: list[tuple[Array, ...]] = []
        self._weights: list[Weights] = []

    def add(self, columns: Sequence[Array], weights: Weights) -> None:
        """Take n more values of each input; see :meth:`Accumulator.add`."""
        if weights.shape[1] == 1:
            # With m > 1 masked values keep the columns rectangular; with m = 1 they can be dropped.
            there = weights[:, 0] > 0
            columns, weights = [column[there] for column in columns], weights[there]
        hold(sum(column.nbytes for column in columns) + weights.nbytes)
        self._columns.append(tuple(columns))
        self._weights.append(weights)

    def results(self) -> list[Output]:
        """Return the outputs of all values."""
        if not self._weights:
            empty = np.zeros((0, 1))
            return self._outputs([empty] * self._inputs, empty)
        columns = [np.concatenate(parts) for parts in zip(*self._columns, strict=True)]
        return self._outputs(columns, np.concatenate(self._weights))


def as_objects(values: Sequence[Any], valid: Sequence[bool] | None = None) -> Output:
    """Return Python objects as an output of dtype object; all valid unless stated."""
    array = np.empty(len(values), object)
    for i, value in enumerate(values):
        array[i] = value
    return Output(array, np.ones(len(values), bool) if valid is None else np.asarray(valid))

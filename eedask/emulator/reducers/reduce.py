"""Reducers (``ee.Reducer``): their inputs and outputs, and running them on arrays or lists.

https://developers.google.com/earth-engine/guides/reducers_intro
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eedask.emulator.errors import EarthEngineError
from eedask.emulator.reducers.accumulators import Accumulator, Array, Output, Weights, as_objects

AS_INPUT = -1
"""The rank of an output whose values have as many axes as those of the input (0: numbers)."""
LISTS_OF_INPUT = -2
"""The rank of an output whose values have one more axis than those of the input."""


@dataclass(frozen=True)
class Statistic:
    """One statistic of a reducer.

    Attributes
    ----------
    make : callable
        ``make() -> Accumulator``, a new one for each run.
    columns : tuple of int
        The positions of the reducer's inputs that the statistic takes.
    outputs : int
        The number of its outputs.
    weighted : bool
        Whether it takes weights. If not, every value weighs 1, and the pixels of a region are
        those whose centre is inside.
    nulls : bool
        Whether nulls count as values.
    kind : str
        The name of the statistic (``mean``, ``sum``…) if callers know a faster method than
        ``make`` for it; empty otherwise.
    optional : int
        How many of the last inputs may be null.
    mixed : bool
        Whether it runs a reducer that has statistics with and without weights.
    ranks : tuple of int
        For each output the number of axes of its values: 0 for numbers, :data:`AS_INPUT` or
        :data:`LISTS_OF_INPUT`. Empty if all are numbers.
    """

    make: Callable[[], Accumulator]
    columns: tuple[int, ...] = (0,)
    outputs: int = 1
    weighted: bool = True
    nulls: bool = False
    kind: str = ""
    optional: int = 0
    mixed: bool = False
    ranks: tuple[int, ...] = ()


@dataclass(frozen=True)
class Reducer:
    """An ``ee.Reducer``: one or more statistics of some inputs.

    Attributes
    ----------
    inputs : int
        The number of inputs.
    outputs : tuple of str
        The names of the outputs of all statistics, in their order.
    statistics : tuple of Statistic
        The statistics.
    """

    inputs: int
    outputs: tuple[str, ...]
    statistics: tuple[Statistic, ...]

    def unweighted(self) -> Reducer:
        """Return the reducer with no statistic taking weights."""
        return replace(
            self, statistics=tuple(replace(part, weighted=False) for part in self.statistics)
        )

    @property
    def is_weighted(self) -> bool:
        """Whether any statistic takes weights."""
        return any(part.weighted for part in self.statistics)

    @property
    def ranks(self) -> list[int]:
        """The number of axes of each output's values (see :class:`Statistic`)."""
        return [rank for p in self.statistics for rank in p.ranks or (0,) * p.outputs]

    @property
    def is_counted(self) -> bool:
        """Whether any statistic, or one in a reducer that a statistic runs, takes no weights."""
        return any(part.mixed or not part.weighted for part in self.statistics)

    @property
    def weighted_inputs(self) -> list[int]:
        """The positions of the inputs that are weighted, ascending."""
        return sorted({i for part in self.statistics if part.weighted for i in part.columns})


class Nested:
    """The base of accumulators that run a reducer inside.

    Since that reducer may have statistics with and without weights, they are given both the
    weights and which values count without weights.
    """

    def add(self, columns: Sequence[Array], weights: Weights) -> None:
        """Take values; those with a weight over 0 also count for statistics without weights."""
        self.add_both(columns, weights, (weights > 0).astype(np.float64))

    def add_both(self, columns: Sequence[Array], weights: Weights, counted: Weights) -> None:
        """Take values; ``counted`` is 1 where they count for statistics without weights, else 0."""
        raise NotImplementedError

    def results(self) -> list[Output]:
        """Return the outputs, each of m values."""
        raise NotImplementedError


class Run:
    """One run of a reducer: it takes inputs a block at a time, then gives the outputs.

    Parameters
    ----------
    reducer : Reducer
    """

    def __init__(self, reducer: Reducer) -> None:
        self._reducer = reducer
        self._accumulators = [part.make() for part in reducer.statistics]
        self._objects = False  # whether it was given anything but numbers

    def add(
        self, columns: Sequence[Array], weights: Weights, counted: Weights | None = None
    ) -> None:
        """Take more values: n for each of m separate results.

        Parameters
        ----------
        columns : sequence of ndarray, each of shape (n, m)
            One for each input.
        weights : ndarray, shape (n, m)
            0 where a value is masked.
        counted : ndarray, shape (n, m), optional
            Over 0 where a value counts for statistics without weights; by default where its
            weight is over 0.

        Raises
        ------
        EarthEngineError
            A statistic of numbers was given arrays or other objects.
        """
        self._objects = self._objects or any(column.dtype == object for column in columns)
        present = (weights if counted is None else counted) > 0
        with self._explained():
            for part, accumulator in zip(self._reducer.statistics, self._accumulators, strict=True):
                used = [columns[i] for i in part.columns]
                given = weights if part.weighted else present.astype(np.float64)
                if isinstance(accumulator, Nested):
                    accumulator.add_both(used, given, present.astype(np.float64))
                else:
                    accumulator.add(used, given)

    def outputs(self) -> list[Output]:
        """Return the outputs in the order of the reducer's names, each of m values."""
        with self._explained():
            return [output for each in self._accumulators for output in each.results()]

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Turn a statistic's failure on objects in place of numbers into an EarthEngineError."""
        try:
            # Infinite values and NaN, and what is computed from them, are not errors.
            with np.errstate(all="ignore"):
                yield
        except (TypeError, ValueError) as error:
            if not self._objects:
                raise
            raise EarthEngineError(
                f"The reducer of {', '.join(self._reducer.outputs)} takes numbers, not arrays. "
                "See Image.arrayReduce."
            ) from error

    def values(self) -> dict[str, Any]:
        """Return the outputs of a run with m = 1 by name, as Python values; None where null."""
        return dict(zip(self._reducer.outputs, map(plain, self.outputs()), strict=True))


def plain(output: Output, number: int = 0) -> Any:
    """Return an output's value at a position (the first by default) as a Python value or None."""
    if not output.valid[number]:
        return None
    value = output.values[number]
    return value.item() if isinstance(value, np.generic) else value


def reduce_columns(
    reducer: Reducer,
    columns: Sequence[Sequence[Any]],
    weights: Mapping[int, Sequence[float]] | None = None,
) -> dict[str, Any]:
    """Return a reducer's outputs over lists of values.

    Parameters
    ----------
    reducer : Reducer
    columns : sequence of sequences
        One of each input, all of the same length: numbers, strings or other objects. Rows in
        which an input is None are left out, except for statistics that take nulls.
    weights : mapping of int to sequence of float, optional
        The weights of inputs by their position; 1 where not given. A statistic of several
        inputs uses the least of their weights.

    Returns
    -------
    dict
        Output name to value; None where there was nothing to reduce.

    Raises
    ------
    EarthEngineError
        The number of columns is not that of the inputs, or a statistic cannot take such values.
    """
    if len(columns) != reducer.inputs:
        raise EarthEngineError(f"The reducer needs {reducer.inputs} inputs. Got {len(columns)}.")
    results: list[Any] = []
    for part in reducer.statistics:
        used = [columns[i] for i in part.columns]
        rows = _rows(part, used)
        accumulator = part.make()
        if rows:
            taken = [as_column([column[k] for k in rows]) for column in used]
            try:
                with np.errstate(all="ignore"):
                    accumulator.add(taken, _row_weights(part, weights or {}, rows)[:, None])
                    outputs = accumulator.results()
            except (TypeError, ValueError) as error:
                if all(column.dtype != object for column in taken):
                    raise
                raise EarthEngineError(
                    f"The reducer of {', '.join(reducer.outputs)} cannot take such values."
                ) from error
        else:
            outputs = accumulator.results()
        results += map(plain, outputs)
    return dict(zip(reducer.outputs, results, strict=True))


def _rows(part: Statistic, columns: Sequence[Sequence[Any]]) -> list[int]:
    """Return the numbers of the rows that a statistic takes: by default those without nulls."""
    n = len(columns[0]) if columns else 0
    if part.nulls:
        return list(range(n))
    needed = columns[: len(columns) - part.optional]
    return [k for k in range(n) if all(column[k] is not None for column in needed)]


def _row_weights(
    part: Statistic, weights: Mapping[int, Sequence[float]], rows: Sequence[int]
) -> NDArray[np.float64]:
    given = [[weights[i][k] for k in rows] for i in part.columns if i in weights]
    if not given:
        return np.ones(len(rows))
    least = np.array(given, dtype=np.float64).min(axis=0)
    return least if part.weighted else (least > 0).astype(np.float64)


def as_column(values: Sequence[Any]) -> Array:
    """Return values as a column, shape (n, 1), of int64, float64 or object."""
    if all(isinstance(v, bool | int) for v in values):
        if all(-(2**63) <= v < 2**63 for v in values):
            return np.array(values, dtype=np.int64)[:, None]
    elif all(isinstance(v, bool | int | float) for v in values):
        return np.array(values, dtype=np.float64)[:, None]
    return as_objects(values).values[:, None]


def combined(first: Reducer, second: Reducer, prefix: str, shared: bool) -> Reducer:
    """Return a reducer that runs two reducers.

    Parameters
    ----------
    first, second : Reducer
    prefix : str
        Put before the second reducer's output names.
    shared : bool
        Whether both take the same inputs; otherwise the second's follow the first's.

    Raises
    ------
    EarthEngineError
        Two outputs have the same name, or shared inputs differ in number.

    Notes
    -----
    https://developers.google.com/earth-engine/apidocs/ee-reducer-combine
    """
    names = (*first.outputs, *(prefix + name for name in second.outputs))
    if len(set(names)) < len(names):
        raise EarthEngineError(f"Reducer.combine: Output names must be unique. Got {list(names)}.")
    if shared and first.inputs != second.inputs:
        raise EarthEngineError(
            "Reducer.combine: Reducers that share inputs must have the same number of inputs. "
            f"Got {first.inputs} and {second.inputs}."
        )
    shift = 0 if shared else first.inputs
    return Reducer(
        first.inputs + (0 if shared else second.inputs),
        names,
        (*first.statistics, *shifted(second, shift)),
    )


def shifted(reducer: Reducer, by: int) -> tuple[Statistic, ...]:
    """Return a reducer's statistics with the positions of their inputs increased by a number."""
    return tuple(
        replace(part, columns=tuple(c + by for c in part.columns)) for part in reducer.statistics
    )

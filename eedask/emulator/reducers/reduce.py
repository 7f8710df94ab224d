"""Reducers as values: what they take, what they give, and running them.

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
"""Of an output: its arrays have as many axes as those of the input; numbers of numbers."""
LISTS_OF_INPUT = -2
"""Of an output: its arrays have one more axis than the input has."""


@dataclass(frozen=True)
class Part:
    """One statistic of a reducer.

    Attributes
    ----------
    make : callable
        ``make() -> Accumulator``, fresh.
    columns : tuple of int
        Which of the reducer's inputs it takes.
    outputs : int
        How many outputs it gives.
    weighted : bool
        Whether it takes weights; if not, all that is there weighs 1, and of a region's pixels
        those are there whose centre is.
    nulls : bool
        Whether nulls count as values.
    kind : str
        Which statistic it is, where faster ways than ``make`` are known: ``mean``, ``sum``…
    optional : int
        How many of the last inputs may be null.
    mixed : bool
        Whether there are statistics without weights inside one that takes them.
    ranks : tuple of int
        How many axes the arrays of each output have: 0 for numbers, :data:`AS_INPUT`,
        :data:`LISTS_OF_INPUT`. Numbers if not stated.
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
    """A reducer.

    Attributes
    ----------
    inputs : int
    outputs : tuple of str
        Names, all parts' outputs in order.
    parts : tuple of Part
    """

    inputs: int
    outputs: tuple[str, ...]
    parts: tuple[Part, ...]

    def unweighted(self) -> Reducer:
        """Return the reducer without weights."""
        return replace(self, parts=tuple(replace(part, weighted=False) for part in self.parts))

    @property
    def is_weighted(self) -> bool:
        """Whether any part takes weights."""
        return any(part.weighted for part in self.parts)

    @property
    def ranks(self) -> list[int]:
        """How many axes the arrays of each output have (see :class:`Part`)."""
        return [rank for p in self.parts for rank in p.ranks or (0,) * p.outputs]

    @property
    def is_counted(self) -> bool:
        """Whether any part, or anything inside of one, takes no weights."""
        return any(part.mixed or not part.weighted for part in self.parts)

    @property
    def weighted_inputs(self) -> list[int]:
        """The inputs that are weighted, in order."""
        return sorted({i for part in self.parts if part.weighted for i in part.columns})


class Nested:
    """What accumulators that run a reducer are: they are told which values are there.

    Statistics inside may or may not take weights.
    """

    def add(self, columns: Sequence[Array], weights: Weights) -> None:
        """Take values that are there where they weigh something."""
        self.add_both(columns, weights, (weights > 0).astype(np.float64))

    def add_both(self, columns: Sequence[Array], weights: Weights, counted: Weights) -> None:
        """Take values, and those that are there for statistics without weights."""
        raise NotImplementedError

    def results(self) -> list[Output]:
        """Return the outputs."""
        raise NotImplementedError


class Run:
    """A reducer at work: takes inputs bit by bit, then gives the outputs.

    Parameters
    ----------
    reducer : Reducer
    """

    def __init__(self, reducer: Reducer) -> None:
        self._reducer = reducer
        self._accumulators = [part.make() for part in reducer.parts]
        self._objects = False  # whether it was given anything but numbers

    def add(
        self, columns: Sequence[Array], weights: Weights, counted: Weights | None = None
    ) -> None:
        """Take more values.

        Parameters
        ----------
        columns : sequence of ndarray, each (n, m)
            The inputs.
        weights : ndarray, shape (n, m)
            0 where a value is not there.
        counted : ndarray, shape (n, m), optional
            Where not 0, values are there for statistics without weights; as ``weights`` unless
            given.
        """
        self._objects = self._objects or any(column.dtype == object for column in columns)
        present = (weights if counted is None else counted) > 0
        with self._explained():
            for part, accumulator in zip(self._reducer.parts, self._accumulators, strict=True):
                used = [columns[i] for i in part.columns]
                given = weights if part.weighted else present.astype(np.float64)
                if isinstance(accumulator, Nested):
                    accumulator.add_both(used, given, present.astype(np.float64))
                else:
                    accumulator.add(used, given)

    def outputs(self) -> list[Output]:
        """Return the outputs, as many as the reducer has names."""
        with self._explained():
            return [output for each in self._accumulators for output in each.results()]

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Tell why a statistic of numbers fails where it is given arrays."""
        try:
            # Infinite values and NaN go through; so does what they make.
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
        """Return the outputs of a single statistic (m = 1) by name, None where null."""
        return dict(zip(self._reducer.outputs, map(plain, self.outputs()), strict=True))


def plain(output: Output, number: int = 0) -> Any:
    """Return a value of an output, the first, as a Python value, None where null."""
    if not output.valid[number]:
        return None
    value = output.values[number]
    return value.item() if isinstance(value, np.generic) else value


def reduce_columns(
    reducer: Reducer,
    columns: Sequence[Sequence[Any]],
    weights: Mapping[int, Sequence[float]] | None = None,
) -> dict[str, Any]:
    """Reduce lists of values, one for each input, of equal length.

    Rows in which an input is None are left out, but for statistics that take nulls. Values may
    be numbers, strings or other objects.

    Parameters
    ----------
    reducer : Reducer
    columns : sequence of sequences
    weights : mapping of int to sequence of float, optional
        Of the inputs by their position, 1 unless given. A statistic of several inputs takes
        the least of their weights.

    Returns
    -------
    dict
        Output name to value; None of nothing.
    """
    if len(columns) != reducer.inputs:
        raise EarthEngineError(f"The reducer needs {reducer.inputs} inputs. Got {len(columns)}.")
    results: list[Any] = []
    for part in reducer.parts:
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


def _rows(part: Part, columns: Sequence[Sequence[Any]]) -> list[int]:
    """Return which rows a statistic takes: those without nulls where there may be none."""
    n = len(columns[0]) if columns else 0
    if part.nulls:
        return list(range(n))
    needed = columns[: len(columns) - part.optional]
    return [k for k in range(n) if all(column[k] is not None for column in needed)]


def _row_weights(
    part: Part, weights: Mapping[int, Sequence[float]], rows: Sequence[int]
) -> NDArray[np.float64]:
    given = [[weights[i][k] for k in rows] for i in part.columns if i in weights]
    if not given:
        return np.ones(len(rows))
    least = np.array(given, dtype=np.float64).min(axis=0)
    return least if part.weighted else (least > 0).astype(np.float64)


def as_column(values: Sequence[Any]) -> Array:
    """Return values as a column, shape (n, 1): integers, floats, or objects."""
    if all(isinstance(v, bool | int) for v in values):
        if all(-(2**63) <= v < 2**63 for v in values):
            return np.array(values, dtype=np.int64)[:, None]
    elif all(isinstance(v, bool | int | float) for v in values):
        return np.array(values, dtype=np.float64)[:, None]
    return as_objects(values).values[:, None]


def combined(first: Reducer, second: Reducer, prefix: str, shared: bool) -> Reducer:
    """Return a reducer that runs two, on the same inputs or each on its own.

    The prefix goes before the second reducer's output names.
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
        (*first.parts, *shifted(second, shift)),
    )


def shifted(reducer: Reducer, by: int) -> tuple[Part, ...]:
    """Return a reducer's parts, taking inputs further on."""
    return tuple(
        replace(part, columns=tuple(c + by for c in part.columns)) for part in reducer.parts
    )

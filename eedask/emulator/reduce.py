"""Reducers as values: what they take, what they give, and running them.

https://developers.google.com/earth-engine/guides/reducers_intro
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from eedask.emulator.accumulators import Accumulator, Array, Output, Weights, as_objects
from eedask.emulator.errors import EarthEngineError


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
    """

    make: Callable[[], Accumulator]
    columns: tuple[int, ...] = (0,)
    outputs: int = 1
    weighted: bool = True
    nulls: bool = False
    kind: str = ""


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
                accumulator.add(used, weights if part.weighted else present.astype(np.float64))

    def outputs(self) -> list[Output]:
        """Return the outputs, as many as the reducer has names."""
        with self._explained():
            return [output for each in self._accumulators for output in each.results()]

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Tell why a statistic of numbers fails where it is given arrays."""
        try:
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


def plain(output: Output) -> Any:
    """Return the first value of an output as a Python value, None where null."""
    if not output.valid[0]:
        return None
    value = output.values[0]
    return value.item() if isinstance(value, np.generic) else value


def reduce_columns(
    reducer: Reducer,
    columns: Sequence[Sequence[Any]],
    weights: Sequence[float] | None = None,
) -> dict[str, Any]:
    """Reduce lists of values, one for each input, of equal length.

    Rows in which an input is None are left out, but for statistics that take nulls. Values may
    be numbers, strings or other objects.

    Parameters
    ----------
    reducer : Reducer
    columns : sequence of sequences
    weights : sequence of float, optional
        1 unless given.

    Returns
    -------
    dict
        Output name to value; None of nothing.
    """
    if len(columns) != reducer.inputs:
        raise EarthEngineError(f"The reducer needs {reducer.inputs} inputs. Got {len(columns)}.")
    n = len(columns[0]) if columns else 0
    weight = np.ones(n) if weights is None else np.asarray(weights, dtype=np.float64)
    results: list[Any] = []
    for part in reducer.parts:
        used = [columns[i] for i in part.columns]
        keep = np.array([part.nulls or all(c[i] is not None for c in used) for i in range(n)], bool)
        accumulator = part.make()
        if keep.any():
            arrays = [_column([v for v, k in zip(c, keep, strict=True) if k]) for c in used]
            w = weight[keep] if part.weighted else (weight[keep] > 0).astype(np.float64)
            accumulator.add(arrays, w[:, None])
        results += map(plain, accumulator.results())
    return dict(zip(reducer.outputs, results, strict=True))


def _column(values: list[Any]) -> Array:
    """Return values as a column: integers, floats, or objects."""
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


class _Repeated:
    """A reducer run on several sets of inputs; each output is a list of theirs."""

    def __init__(self, reducer: Reducer, count: int) -> None:
        self._reducer, self._runs = reducer, [Run(reducer) for _ in range(count)]

    def add(self, columns: Sequence[Array], weights: Weights) -> None:
        n = self._reducer.inputs
        for i, run in enumerate(self._runs):
            run.add(columns[i * n : (i + 1) * n], weights)

    def results(self) -> list[Output]:
        outputs = [run.outputs() for run in self._runs]
        return [
            as_objects([[plain(each[k]) for each in outputs]])
            for k in range(len(self._reducer.outputs))
        ]


def repeated(reducer: Reducer, count: int) -> Reducer:
    """Return a reducer of so many times the inputs, its outputs lists of so many values."""
    part = Part(
        lambda: _Repeated(reducer, count),
        tuple(range(reducer.inputs * count)),
        len(reducer.outputs),
        reducer.is_weighted,
    )
    return Reducer(reducer.inputs * count, reducer.outputs, (part,))


class _Grouped:
    """A reducer run apart for each value of one of its inputs."""

    def __init__(self, reducer: Reducer, field: int, name: str) -> None:
        self._reducer, self._field, self._name = reducer, field, name
        self._runs: dict[Any, Run] = {}

    def add(self, columns: Sequence[Array], weights: Weights) -> None:
        group = columns[self._field]
        rest = [c for i, c in enumerate(columns) if i != self._field]
        there = weights[:, 0] > 0
        keys = group[there, 0]
        if not keys.size:
            return
        for value in np.unique(keys).tolist():
            rows = there & (group[:, 0] == value)
            run = self._runs.setdefault(value, Run(self._reducer))
            run.add([c[rows] for c in rest], weights[rows])

    def results(self) -> list[Output]:
        groups = [{self._name: value, **self._runs[value].values()} for value in sorted(self._runs)]
        return [as_objects([groups])]


def grouped(reducer: Reducer, field: int, name: str) -> Reducer:
    """Return a reducer with one more input that tells groups apart.

    Its one output, ``groups``, is a list of dictionaries.
    https://developers.google.com/earth-engine/guides/reducers_grouping
    """
    if not 0 <= field <= reducer.inputs:
        raise EarthEngineError(f"Reducer.group: Group field {field} is out of range.")
    part = Part(
        lambda: _Grouped(reducer, field, name),
        tuple(range(reducer.inputs + 1)),
        1,
        reducer.is_weighted,
    )
    return Reducer(reducer.inputs + 1, ("groups",), (part,))


def for_each(reducer: Reducer, names: Sequence[str]) -> Reducer:
    """Return a reducer run once for each name, on that many times its inputs.

    Outputs are called by the names, with the reducer's own output after them if it has several.
    """
    single = len(reducer.outputs) == 1
    outputs = [n if single else f"{n}_{o}" for n in names for o in reducer.outputs]
    parts = [p for i in range(len(names)) for p in shifted(reducer, i * reducer.inputs)]
    return Reducer(reducer.inputs * len(names), tuple(outputs), tuple(parts))

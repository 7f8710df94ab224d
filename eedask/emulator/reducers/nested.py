"""Reducers made of other reducers, as by ``repeat``, ``group`` and ``splitWeights``."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eedask.emulator.errors import EarthEngineError
from eedask.emulator.reducers.accumulators import Accumulator, Array, Output, Weights, as_objects
from eedask.emulator.reducers.reduce import (
    AS_INPUT,
    Nested,
    Reducer,
    Run,
    Statistic,
    as_column,
    plain,
    shifted,
)
from eedask.emulator.values.comparison import sort_key

_MOST_COPIES = 10_000


def _part(reducer: Reducer, make: Callable[[], Nested], inputs: int, outputs: int) -> Statistic:
    return Statistic(
        make,
        tuple(range(inputs)),
        outputs,
        reducer.is_weighted,
        mixed=reducer.is_weighted and reducer.is_counted,
    )


class _Repeated(Nested):
    """A reducer run on several sets of inputs; each output is the list of the runs' outputs.

    A row with a null in one set is left out of that set only.
    """

    def __init__(self, reducer: Reducer, count: int) -> None:
        self._reducer, self._runs = reducer, [Run(reducer) for _ in range(count)]

    def add_both(self, columns: Sequence[Array], weights: Weights, counted: Weights) -> None:
        n = self._reducer.inputs
        for i, run in enumerate(self._runs):
            used = columns[i * n : (i + 1) * n]
            run.add(*self._without_nulls(used, weights, counted))

    def _without_nulls(
        self, columns: Sequence[Array], weights: Weights, counted: Weights
    ) -> tuple[Sequence[Array], Weights, Weights]:
        # Columns of array pixels (m > 1) have dtype object too, but never hold nulls.
        objects = [c for c in columns if c.dtype == object and c.shape[1] == 1]
        if not objects or all(part.nulls for part in self._reducer.statistics):
            return columns, weights, counted
        rows = range(len(weights))
        there = np.array([all(c[k, 0] is not None for c in objects) for k in rows], bool)
        kept = [as_column(c[there, 0].tolist()) if c.dtype == object else c[there] for c in columns]
        return kept, weights[there], counted[there]

    def results(self) -> list[Output]:
        outputs = [run.outputs() for run in self._runs]
        return [_lists([each[k] for each in outputs]) for k in range(len(self._reducer.outputs))]


def _lists(outputs: Sequence[Output]) -> Output:
    """Return an output whose values are lists, of one value from each of several outputs.

    In a list of a single statistic (m = 1) a null is None. Of pixels (m > 1), which become arrays,
    the whole list is null if one of its values is.
    """
    m = max(len(output.values) for output in outputs)
    if m == 1:
        return as_objects([[plain(output) for output in outputs]])
    values = [np.broadcast_to(output.values, m).tolist() for output in outputs]
    valid = np.logical_and.reduce([np.broadcast_to(output.valid, m) for output in outputs])
    return as_objects([list(row) for row in zip(*values, strict=True)], valid.tolist())


def repeated(reducer: Reducer, count: int) -> Reducer:
    """Return a reducer run ``count`` times, on ``count`` sets of inputs; its outputs are lists.

    https://developers.google.com/earth-engine/apidocs/ee-reducer-repeat
    """
    if not 1 <= count <= _MOST_COPIES:
        raise EarthEngineError(
            f"Reducer.repeat: The count must be from 1 to {_MOST_COPIES}, found {count}."
        )
    inputs, outputs = reducer.inputs * count, len(reducer.outputs)
    part = _part(reducer, lambda: _Repeated(reducer, count), inputs, outputs)
    part = replace(part, ranks=tuple(r + 1 if r >= 0 else r - 1 for r in reducer.ranks))
    return Reducer(inputs, reducer.outputs, (replace(part, nulls=True),))


class _Grouped(Nested):
    """A reducer run separately on the rows of each value of one input, the group."""

    def __init__(self, reducer: Reducer, field: int, name: str) -> None:
        self._reducer, self._field, self._name = reducer, field, name
        self._runs: dict[Any, Run] = {}

    def add_both(self, columns: Sequence[Array], weights: Weights, counted: Weights) -> None:
        group = columns[self._field]
        rest = [c for i, c in enumerate(columns) if i != self._field]
        there = (weights[:, 0] > 0) | (counted[:, 0] > 0)
        for value, rows in _places(group[:, 0], there):
            run = self._runs.setdefault(value, Run(self._reducer))
            run.add([c[rows] for c in rest], weights[rows], counted[rows])

    def results(self) -> list[Output]:
        keys = sorted(self._runs, key=sort_key)
        groups = [{self._name: value, **self._runs[value].values()} for value in keys]
        return [as_objects([groups])]


def _places(keys: Array, there: NDArray[np.bool_]) -> list[tuple[Any, NDArray[Any]]]:
    """Return each group's value and its rows, as a boolean mask or as row numbers."""
    if keys.dtype != object:
        return [(v, there & (keys == v)) for v in np.unique(keys[there]).tolist()]
    found: dict[Any, list[int]] = {}
    for row in np.flatnonzero(there).tolist():
        if not isinstance(keys[row], str | int | float):
            raise EarthEngineError("Reducer.group: Groups must be numbers or strings.")
        found.setdefault(keys[row], []).append(row)
    return [(value, np.array(rows)) for value, rows in found.items()]


def grouped(reducer: Reducer, field: int, name: str) -> Reducer:
    """Return a reducer run separately on each group of rows.

    It has one more input, at position ``field``, whose values are the groups. Its one output,
    ``groups``, is a list of dictionaries: the group, called ``name``, and the reducer's outputs.
    https://developers.google.com/earth-engine/guides/reducers_grouping
    """
    if not 0 <= field <= reducer.inputs:
        raise EarthEngineError(f"Reducer.group: Group field {field} is out of range.")
    inputs = reducer.inputs + 1
    part = _part(reducer, lambda: _Grouped(reducer, field, name), inputs, 1)
    return Reducer(inputs, ("groups",), (part,))


def for_each(reducer: Reducer, names: Sequence[str]) -> Reducer:
    """Return a reducer run once for each name, on a set of inputs of its own.

    An output is called by the name, followed by ``_`` and the output's own name if the reducer
    has several outputs.
    """
    single = len(reducer.outputs) == 1
    outputs = [n if single else f"{n}_{o}" for n in names for o in reducer.outputs]
    parts = [p for i in range(len(names)) for p in shifted(reducer, i * reducer.inputs)]
    return Reducer(reducer.inputs * len(names), tuple(outputs), tuple(parts))


class _Split:
    """A statistic that takes its weights from inputs: the columns after the first ``values``."""

    def __init__(self, make: Callable[[], Accumulator], values: int) -> None:
        self._inner, self._values = make(), values

    def add(self, columns: Sequence[Array], weights: Weights) -> None:
        given = [c.astype(np.float64) for c in columns[self._values :]]
        least = np.minimum.reduce(given).clip(min=0)
        self._inner.add(columns[: self._values], np.where(weights > 0, least, 0))

    def results(self) -> list[Output]:
        return self._inner.results()


def split_weights(reducer: Reducer) -> Reducer:
    """Return a reducer whose weighted inputs are each followed by an input of their weights.

    A statistic of several inputs uses the least of their weights (a guess).
    https://developers.google.com/earth-engine/guides/reducers_weighting
    """
    weighted = set(reducer.weighted_inputs)
    at, place = 0, {}
    for i in range(reducer.inputs):
        place[i] = at
        at += 2 if i in weighted else 1
    return Reducer(
        at, reducer.outputs, tuple(_with_weights(part, place) for part in reducer.statistics)
    )


def _with_weights(part: Statistic, place: Mapping[int, int]) -> Statistic:
    values = tuple(place[i] for i in part.columns)
    if not part.weighted:
        return Statistic(
            part.make, values, part.outputs, False, part.nulls, part.kind, part.optional
        )
    columns = (*values, *(i + 1 for i in values))
    return Statistic(lambda: _Split(part.make, len(values)), columns, part.outputs, weighted=False)


class _Apart(Nested):
    """A reducer of the items of its inputs, where these are lists, dictionaries or arrays."""

    def __init__(self, reducer: Reducer, items: Callable[[Any], list[Any]]) -> None:
        self._reducer, self._items = reducer, items
        self._run: Run | None = None
        self._runs: list[Run] = []

    def add_both(self, columns: Sequence[Array], weights: Weights, counted: Weights) -> None:
        if not any(column.dtype == object for column in columns):
            self._run = self._run or Run(self._reducer)
            self._run.add(columns, weights, counted)
            return
        self._runs = self._runs or [Run(self._reducer) for _ in range(weights.shape[1])]
        for m, run in enumerate(self._runs):
            self._add_one(run, [c[:, m] for c in columns], weights[:, m], counted[:, m])

    def _add_one(self, run: Run, columns: list[Array], weights: Array, counted: Array) -> None:
        for row in np.flatnonzero((weights > 0) | (counted > 0)):
            items = [self._items(column[row]) for column in columns]
            size = len(items[0])
            if any(len(each) != size for each in items):
                raise EarthEngineError("Reducer.disaggregate: The inputs differ in length.")
            if size:
                values = [as_values(each) for each in items]
                run.add(values, np.full((size, 1), weights[row]), np.full((size, 1), counted[row]))

    def results(self) -> list[Output]:
        if not self._runs:
            return (self._run or Run(self._reducer)).outputs()
        if self._run is not None:
            raise EarthEngineError("Reducer.disaggregate: Numbers and aggregates are mixed.")
        outputs = [run.outputs() for run in self._runs]
        return [
            Output(
                np.concatenate([o.values for o in same]), np.concatenate([o.valid for o in same])
            )
            for same in zip(*outputs, strict=True)
        ]


def as_values(items: list[Any]) -> Array:
    """Return items as a column, shape (n, 1), of dtype object unless all are numbers."""
    if all(isinstance(v, bool | int | float | np.number) for v in items):
        return np.array(items)[:, None]
    return as_objects(items).values[:, None]


def disaggregated(reducer: Reducer, axis: int | None) -> Reducer:
    """Return a reducer of the items of its inputs, where these are lists, dictionaries or arrays.

    An array's items are its numbers or, if an axis is given, the slices of length 1 along it.
    https://developers.google.com/earth-engine/apidocs/ee-reducer-disaggregate
    """

    def items(value: Any) -> list[Any]:
        if isinstance(value, np.ndarray):
            if axis is None:
                return list(value.ravel().tolist())
            if not 0 <= axis < value.ndim:
                raise EarthEngineError(f"Reducer.disaggregate: There is no axis {axis}.")
            return np.split(value, value.shape[axis], axis)
        if isinstance(value, Mapping):
            return [value[key] for key in sorted(value)]
        return list(value) if isinstance(value, list | tuple) else [value]

    part = _part(reducer, lambda: _Apart(reducer, items), reducer.inputs, len(reducer.outputs))
    return Reducer(reducer.inputs, reducer.outputs, (part,))


class _Elements(Nested):
    """A reducer run on each element of arrays of one shape."""

    def __init__(self, reducer: Reducer) -> None:
        self._reducer = reducer
        self._runs: dict[int, tuple[tuple[int, ...], Run]] = {}
        self._count = 1

    def add_both(self, columns: Sequence[Array], weights: Weights, counted: Weights) -> None:
        self._count = weights.shape[1]
        for m in range(self._count):
            for row in np.flatnonzero((weights[:, m] > 0) | (counted[:, m] > 0)):
                arrays = [np.asarray(column[row, m]) for column in columns]
                shape, run = self._runs.setdefault(m, (arrays[0].shape, Run(self._reducer)))
                if any(a.shape != shape or a.dtype.kind not in "biuf" for a in arrays):
                    raise EarthEngineError(
                        "Reducer.forEachElement: The inputs must be arrays of equal shape."
                    )
                one = np.ones((1, arrays[0].size))
                flat = [a.reshape(1, -1) for a in arrays]
                run.add(flat, one * weights[row, m], one * counted[row, m])

    def results(self) -> list[Output]:
        made: list[list[Any]] = [[None] * self._count for _ in self._reducer.outputs]
        for m, (shape, run) in self._runs.items():
            for k, output in enumerate(run.outputs()):
                if output.valid.all():
                    made[k][m] = np.asarray(output.values).reshape(shape)
        return [as_objects(each, [v is not None for v in each]) for each in made]


def for_each_element(reducer: Reducer) -> Reducer:
    """Return a reducer run on each element of arrays of equal shape; its outputs have that shape.

    https://developers.google.com/earth-engine/apidocs/ee-reducer-foreachelement
    """
    outputs = len(reducer.outputs)
    part = _part(reducer, lambda: _Elements(reducer), reducer.inputs, outputs)
    part = replace(part, ranks=(AS_INPUT,) * outputs)
    return Reducer(reducer.inputs, reducer.outputs, (part,))


class _Kept(Nested):
    """A statistic of which only some outputs are kept."""

    def __init__(self, part: Statistic, kept: Sequence[int]) -> None:
        self._inner, self._kept = part.make(), kept

    def add_both(self, columns: Sequence[Array], weights: Weights, counted: Weights) -> None:
        if isinstance(self._inner, Nested):
            self._inner.add_both(columns, weights, counted)
        else:
            self._inner.add(columns, weights)

    def results(self) -> list[Output]:
        found = self._inner.results()
        return [found[i] for i in self._kept]


def with_outputs(reducer: Reducer, names: Sequence[str]) -> Reducer:
    """Return a reducer with other output names; outputs with an empty name are dropped.

    https://developers.google.com/earth-engine/apidocs/ee-reducer-setoutputs
    """
    if len(names) != len(reducer.outputs):
        raise EarthEngineError(
            f"Reducer.setOutputs: Need {len(reducer.outputs)} output names. Got {len(names)}."
        )
    at, parts = 0, []
    for part in reducer.statistics:
        kept = [i for i in range(part.outputs) if names[at + i]]
        at += part.outputs
        if len(kept) == part.outputs:
            parts.append(part)
        elif kept:
            make, ranks = partial(_Kept, part, kept), part.ranks
            ranks = tuple(ranks[i] for i in kept) if ranks else ()
            parts.append(replace(part, make=make, outputs=len(kept), ranks=ranks))
    wanted = tuple(name for name in names if name)
    if not wanted or len(set(wanted)) < len(wanted):
        raise EarthEngineError(f"Reducer.setOutputs: Output names must be unique. Got {names}.")
    return Reducer(reducer.inputs, wanted, tuple(parts))

"""Reducer.*: the algorithms that make reducers from other reducers."""

from __future__ import annotations

from collections.abc import Sequence

from eedask.emulator.functions.registry import algorithm
from eedask.emulator.pixels.raster import Image
from eedask.emulator.reducers import nested
from eedask.emulator.reducers.reduce import Reducer, combined


@algorithm("Reducer.combine")
def combine(first: Reducer, second: Reducer, prefix: str = "", shared: bool = False) -> Reducer:
    """Return a reducer with the outputs of both; ``prefix`` goes before the names of the second.

    With ``shared`` both take the same inputs, else the second takes those after the first's.
    """
    return combined(first, second, prefix or "", shared)


@algorithm("Reducer.repeat")
def repeat(reducer: Reducer, count: int) -> Reducer:
    """Return a reducer of ``count`` sets of inputs, whose outputs are lists of that length."""
    return nested.repeated(reducer, count)


@algorithm("Reducer.group")
def group(reducer: Reducer, field: int = 0, name: str = "group") -> Reducer:
    """Return a reducer that runs for each value of input number ``field`` separately."""
    return nested.grouped(reducer, field, name)


@algorithm("Reducer.forEach")
def for_each_name(reducer: Reducer, names: Sequence[str]) -> Reducer:
    """Return a reducer that runs once for each name, which prefixes its outputs."""
    return nested.for_each(reducer, names)


@algorithm("Reducer.forEachBand", takes_arrays=True)
def for_each_band(reducer: Reducer, image: Image) -> Reducer:
    """Return a reducer that runs once for each band of an image, whose names prefix its outputs."""
    return nested.for_each(reducer, image.band_names)


@algorithm("Reducer.setOutputs")
def set_outputs(reducer: Reducer, names: Sequence[str]) -> Reducer:
    """Return the reducer with its outputs renamed; outputs given an empty name are dropped."""
    return nested.with_outputs(reducer, names)


@algorithm("Reducer.getOutputs")
def get_outputs(reducer: Reducer) -> list[str]:
    """Return the output names."""
    return list(reducer.outputs)


@algorithm("Reducer.unweighted")
def unweighted(reducer: Reducer) -> Reducer:
    """Return the reducer without weights."""
    return reducer.unweighted()


@algorithm("Reducer.splitWeights")
def split_weights(reducer: Reducer) -> Reducer:
    """Return the reducer with an input for the weight after each input that is weighted."""
    return nested.split_weights(reducer)


@algorithm("Reducer.disaggregate")
def disaggregate(reducer: Reducer, axis: int | None = None) -> Reducer:
    """Return a reducer of the single items of inputs that are lists, dictionaries or arrays."""
    return nested.disaggregated(reducer, axis)


@algorithm("Reducer.forEachElement")
def for_each_element(reducer: Reducer) -> Reducer:
    """Return a reducer of arrays of one shape, which runs at each position separately."""
    return nested.for_each_element(reducer)

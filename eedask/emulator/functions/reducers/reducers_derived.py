"""Reducers made of reducers."""

from __future__ import annotations

from collections.abc import Sequence

from eedask.emulator.functions.registry import algorithm
from eedask.emulator.pixels.raster import Image
from eedask.emulator.reducers import nested
from eedask.emulator.reducers.reduce import Reducer, combined


@algorithm("Reducer.combine")
def combine(first: Reducer, second: Reducer, prefix: str = "", shared: bool = False) -> Reducer:
    """Return both reducers as one."""
    return combined(first, second, prefix or "", shared)


@algorithm("Reducer.repeat")
def repeat(reducer: Reducer, count: int) -> Reducer:
    """Return the reducer for so many sets of inputs, with lists as outputs."""
    return nested.repeated(reducer, count)


@algorithm("Reducer.group")
def group(reducer: Reducer, field: int = 0, name: str = "group") -> Reducer:
    """Return the reducer run apart for each value of one input."""
    return nested.grouped(reducer, field, name)


@algorithm("Reducer.forEach")
def for_each_name(reducer: Reducer, names: Sequence[str]) -> Reducer:
    """Return the reducer run once for each of some names."""
    return nested.for_each(reducer, names)


@algorithm("Reducer.forEachBand", takes_arrays=True)
def for_each_band(reducer: Reducer, image: Image) -> Reducer:
    """Return the reducer run once for each band of an image."""
    return nested.for_each(reducer, image.band_names)


@algorithm("Reducer.setOutputs")
def set_outputs(reducer: Reducer, names: Sequence[str]) -> Reducer:
    """Return the reducer with other output names; those of empty names are dropped."""
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
    """Return the reducer over the items of lists, dictionaries and arrays."""
    return nested.disaggregated(reducer, axis)


@algorithm("Reducer.forEachElement")
def for_each_element(reducer: Reducer) -> Reducer:
    """Return the reducer over each position of arrays."""
    return nested.for_each_element(reducer)

"""Dictionary.* and the conditional If."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from eedask.emulator.errors import EarthEngineError
from eedask.emulator.functions.registry import Keeps, algorithm
from eedask.emulator.geometry.geometry import Geometry
from eedask.emulator.pixels.array_values import check_axes
from eedask.emulator.pixels.raster import Image
from eedask.emulator.values.patterns import Pattern
from eedask.emulator.values.truth import is_true
from eedask.emulator.values.typenames import type_name
from eedask.emulator.values.value_types import Feature

Dictionary = Mapping[str, Any]


@algorithm("If", keeps=Keeps.BRANCHES)
def choose(condition: Any, true_case: Any, false_case: Any) -> Any:
    """Return ``true_case`` or ``false_case``; the evaluator computes only the one needed."""
    return true_case if is_true(condition) else false_case


@algorithm("Dictionary")
def dictionary(value: Any) -> Dictionary:
    """Return a dictionary from a dictionary, a list of alternating keys and values, or None."""
    if value is None:
        return {}
    if isinstance(value, Mapping):
        return value
    if isinstance(value, list):
        if len(value) % 2 or not all(isinstance(k, str) for k in value[::2]):
            raise EarthEngineError("Dictionary: A list must alternate string keys and values.")
        return dict(zip(value[::2], value[1::2], strict=True))
    if isinstance(value, Feature | Image):
        return dict(value.properties)
    raise EarthEngineError(f"Dictionary: Cannot convert {type_name(value)} to a dictionary.")


@algorithm("Dictionary.combine")
def combine(first: Dictionary, second: Dictionary, overwrite: bool) -> Dictionary:
    """Return two dictionaries merged, without nulls.

    A key of both has the second's value, or without ``overwrite`` the first's.
    """
    merged = {**first, **second} if overwrite else {**second, **first}
    return {k: v for k, v in merged.items() if v is not None}


@algorithm("Dictionary.contains")
def contains(values: Dictionary, key: str) -> bool:
    """Return whether the dictionary has a key."""
    return key in values


@algorithm("Dictionary.fromLists")
def from_lists(keys: list[str], values: list[Any]) -> Dictionary:
    """Return the dictionary of a list of keys and a list of their values."""
    if len(keys) != len(values):
        raise EarthEngineError(
            f"Dictionary.fromLists: There are {len(keys)} keys, but {len(values)} values."
        )
    return dict(zip(keys, values, strict=True))


def lookup(values: Dictionary, key: str, where: str) -> Any:
    """Return the value of a key; raise Earth Engine's 400 if the dictionary does not have it."""
    if key not in values:
        raise EarthEngineError(f"{where}: Dictionary does not contain key: '{key}'.")
    return values[key]


@algorithm("Dictionary.get")
def get(values: Dictionary, key: str, default: Any) -> Any:
    """Return the value of a key, or ``default``; raise Earth Engine's 400 if there is neither."""
    if default is not None:
        return values.get(key, default)
    return lookup(values, key, "Dictionary.get")


def _typed(name: str, types: Any, what: str) -> None:
    def call(values: Dictionary, key: str) -> Any:
        value = lookup(values, key, name)
        wrong = not isinstance(value, types) or (isinstance(value, bool) and what == "Number")
        if value is not None and wrong:
            raise EarthEngineError(f"{name}: Expected a {what}, got: {type_name(value)}.")
        return value

    algorithm(name)(call)


_typed("Dictionary.getArray", np.ndarray, "Array")
_typed("Dictionary.getGeometry", Geometry, "Geometry")
_typed("Dictionary.getNumber", int | float, "Number")
_typed("Dictionary.getString", str, "String")


@algorithm("Dictionary.keys")
def keys(values: Dictionary) -> list[str]:
    """Return the keys in order."""
    return sorted(values)


@algorithm("Dictionary.map")
def map_values(values: Dictionary, function: Callable[[str, Any], Any]) -> Dictionary:
    """Return the dictionary of ``function(key, value)`` for each key, without null results."""
    results = {k: function(k, v) for k, v in values.items()}
    return {k: v for k, v in results.items() if v is not None}


def selected(values: Dictionary, selectors: list[str], ignore_missing: bool, where: str) -> Any:
    """Return the keys that names or regular expressions match, in the order of the selectors."""
    found: list[str] = []
    for selector in selectors:
        names = [selector] if selector in values else _matching(values, selector)
        if not names and not ignore_missing:
            raise EarthEngineError(f"{where}: Selector '{selector}' did not match any key.")
        found += [name for name in names if name not in found]
    return found


def _matching(values: Dictionary, selector: str) -> list[str]:
    pattern = Pattern(selector)
    return [key for key in sorted(values) if pattern.matches(key)]


@algorithm("Dictionary.remove")
def remove(values: Dictionary, selectors: list[str], ignore_missing: bool) -> Dictionary:
    """Return the dictionary without the selected keys."""
    gone = selected(values, selectors, ignore_missing, "Dictionary.remove")
    return {k: v for k, v in values.items() if k not in gone}


@algorithm("Dictionary.select")
def select(values: Dictionary, selectors: list[str], ignore_missing: bool) -> Dictionary:
    """Return the dictionary with the selected keys only."""
    kept = selected(values, selectors, ignore_missing, "Dictionary.select")
    return {k: values[k] for k in kept}


@algorithm("Dictionary.rename")
def rename(values: Dictionary, old: list[str], new: list[str], overwrite: bool) -> Dictionary:
    """Return the dictionary with each key of ``old`` renamed to its counterpart in ``new``."""
    if len(old) != len(new):
        raise EarthEngineError("Dictionary.rename: 'from' and 'to' must have the same length.")
    for key in old:
        lookup(values, key, "Dictionary.rename")
    kept = {k: v for k, v in values.items() if k not in old}
    clashes = sorted(set(new) & kept.keys())
    if clashes and not overwrite:
        raise EarthEngineError(f"Dictionary.rename: The key '{clashes[0]}' exists already.")
    return {**kept, **{n: values[o] for o, n in zip(old, new, strict=True)}}


@algorithm("Dictionary.set")
def set_value(values: Dictionary, key: str, value: Any) -> Dictionary:
    """Return the dictionary with a key set."""
    return {**values, key: value}


@algorithm("Dictionary.size")
def size(values: Dictionary) -> int:
    """Return the number of keys."""
    return len(values)


@algorithm("Dictionary.values")
def values_of(values: Dictionary, names: list[str] | None) -> list[Any]:
    """Return the values of some keys, or of all in order."""
    wanted = sorted(values) if names is None else names
    return [lookup(values, key, "Dictionary.values") for key in wanted]


@algorithm("Dictionary.toImage", needs_context=True)
def to_image(context: Any, values: Dictionary, names: list[str] | None) -> Any:
    """Return a constant image with a band for each of ``names``, or for each key in order."""
    order = sorted(values) if names is None else names
    constants = context.call("Image.constant", values_of(values, order))
    return context.call("Image.rename", constants, order)


@algorithm("Dictionary.toArray")
def to_array(values: Dictionary, names: list[str] | None, axis: int) -> Any:
    """Return the values of some keys, or of all in order, as an array along an axis."""
    check_axes("Dictionary.toArray", axis)
    columns = [np.asarray(v) for v in values_of(values, names)]
    if any(c.dtype.kind not in "bif" for c in columns):
        raise EarthEngineError("Dictionary.toArray: All values must be numbers or arrays.")
    shaped = [c.reshape(c.shape + (1,) * max(0, axis + 1 - c.ndim)) for c in columns]
    return np.concatenate(shaped, axis=axis) if shaped else np.empty(0)

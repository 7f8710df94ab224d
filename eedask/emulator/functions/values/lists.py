"""List.*: lists are Python lists and are never changed in place; indices may be negative."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from eedask.emulator.errors import EarthEngineError
from eedask.emulator.functions.registry import algorithm
from eedask.emulator.functions.values.strings import text_of
from eedask.emulator.geometry.geometry import Geometry
from eedask.emulator.values.comparison import equal, sort_key
from eedask.emulator.values.filtering import Filter
from eedask.emulator.values.typenames import type_name

List = list[Any]

_MOST = 10_000_000
_INFINITIES = (math.inf, -math.inf)


def position(items: List, index: int, where: str, extra: int = 0) -> int:
    """Return an index counted from the start; raise Earth Engine's 400 outside the list.

    ``extra`` more positions after the last element are allowed.
    """
    found = index + len(items) if index < 0 else index
    if not 0 <= found < len(items) + extra:
        raise EarthEngineError(
            f"{where}: List index must be between 0 and {len(items) - 1 + extra}, or "
            f"-1 and {-len(items)}. Found {index}."
        )
    return found


def find(items: List, element: Any) -> int:
    """Return where an element first is, or -1."""
    return next((i for i, item in enumerate(items) if equal(item, element)), -1)


@algorithm("List.add")
def add(items: List, element: Any) -> List:
    """Return the list with an element added at its end."""
    return [*items, element]


@algorithm("List.cat")
def cat(items: List, other: List) -> List:
    """Return two lists joined."""
    return items + other


@algorithm("List.contains")
def contains(items: List, element: Any) -> bool:
    """Return whether an element is in the list."""
    return find(items, element) >= 0


@algorithm("List.containsAll")
def contains_all(items: List, other: List) -> bool:
    """Return whether all elements of another list are in the list."""
    return all(find(items, element) >= 0 for element in other)


@algorithm("List.distinct")
def distinct(items: List) -> List:
    """Return the list without repetitions, in the order of first appearance."""
    kept: List = []
    seen: set[Any] = set()
    for item in items:
        if isinstance(item, str | int | float):
            key = (isinstance(item, bool), item)
            if key in seen:
                continue
            seen.add(key)
        elif find(kept, item) >= 0:
            continue
        kept.append(item)
    return kept


@algorithm("List.equals")
def equals(items: List, other: List) -> bool:
    """Return whether two lists have equal elements."""
    return equal(items, other)


@algorithm("List.filter")
def filter_list(items: List, condition: Filter) -> List:
    """Return the elements that pass a filter; to the filter an element is the property ``item``."""
    return [item for item in items if condition.passes(_Item({"item": item}))]


class _Item:
    """A list's element in the form that filters take: something with properties."""

    def __init__(self, properties: dict[str, Any]) -> None:
        self.properties = properties


@algorithm("List.flatten")
def flatten(items: List) -> List:
    """Return the list with nested lists, at any depth, replaced by their elements."""
    flat: List = []
    stack = [iter(items)]
    while stack:
        for item in stack[-1]:
            if isinstance(item, list):
                stack.append(iter(item))
                break
            flat.append(item)
        else:
            stack.pop()
    return flat


@algorithm("List.frequency")
def frequency(items: List, element: Any) -> int:
    """Return how often an element is in the list."""
    return sum(equal(item, element) for item in items)


@algorithm("List.get")
def get(items: List, index: int) -> Any:
    """Return the element at a position."""
    return items[position(items, index, "List.get")]


def _typed(name: str, types: Any, what: str) -> None:
    def call(items: List, index: int) -> Any:
        value = items[position(items, index, name)]
        if not isinstance(value, types) or (isinstance(value, bool) and what == "Number"):
            raise EarthEngineError(f"{name}: Expected a {what}, got: {type_name(value)}.")
        return value

    algorithm(name)(call)


_typed("List.getArray", np.ndarray, "Array")
_typed("List.getGeometry", Geometry, "Geometry")
_typed("List.getNumber", int | float, "Number")
_typed("List.getString", str, "String")


@algorithm("List.indexOf")
def index_of(items: List, element: Any) -> int:
    """Return where an element first is, or -1."""
    return find(items, element)


def _sublists(items: List, target: List) -> list[int]:
    starts = range(len(items) - len(target) + 1)
    return [i for i in starts if equal(items[i : i + len(target)], target)]


@algorithm("List.indexOfSublist")
def index_of_sublist(items: List, target: List) -> int:
    """Return the position at which another list first occurs within the list, or -1."""
    return min(_sublists(items, target), default=-1)


@algorithm("List.lastIndexOfSubList")
def last_index_of_sublist(items: List, target: List) -> int:
    """Return the position at which another list last occurs within the list, or -1."""
    return max(_sublists(items, target), default=-1)


@algorithm("List.insert")
def insert(items: List, index: int, element: Any) -> List:
    """Return the list with an element put in at a position."""
    at = position(items, index, "List.insert", extra=1)
    return [*items[:at], element, *items[at:]]


@algorithm("List.iterate")
def iterate(items: List, function: Callable[[Any, Any], Any], first: Any) -> Any:
    """Call ``function(element, previous result)`` on each element in turn; return the last."""
    result = first
    for item in items:
        result = function(item, result)
    return result


@algorithm("List.join")
def join(items: List, separator: str) -> str:
    """Return the elements as one string, with a separator between them."""
    return separator.join(text_of(item) for item in items)


@algorithm("List.length", "List.size")
def length(items: List) -> int:
    """Return the number of elements."""
    return len(items)


@algorithm("List.map")
def map_list(items: List, function: Callable[[Any], Any], drop_nulls: bool) -> List:
    """Return the results of a function of each element."""
    results = [function(item) for item in items]
    return [r for r in results if r is not None] if drop_nulls else results


@algorithm("List.remove")
def remove(items: List, element: Any) -> List:
    """Return the list without the first occurrence of an element."""
    at = find(items, element)
    return items if at < 0 else items[:at] + items[at + 1 :]


@algorithm("List.removeAll")
def remove_all(items: List, other: List) -> List:
    """Return the list without all elements that are in another list."""
    return [item for item in items if find(other, item) < 0]


@algorithm("List.repeat")
def repeat(value: Any, count: int) -> List:
    """Return a list that repeats a value ``count`` times."""
    if not 0 <= count <= _MOST:
        raise EarthEngineError(f"List.repeat: Invalid count {count}.")
    return [value] * count


@algorithm("List.replace")
def replace(items: List, old: Any, new: Any) -> List:
    """Return the list with the first occurrence of ``old`` replaced."""
    at = find(items, old)
    return items if at < 0 else [*items[:at], new, *items[at + 1 :]]


@algorithm("List.replaceAll")
def replace_all(items: List, old: Any, new: Any) -> List:
    """Return the list with all occurrences of ``old`` replaced."""
    return [new if equal(item, old) else item for item in items]


@algorithm("List.reverse")
def reverse(items: List) -> List:
    """Return the list in reverse order."""
    return items[::-1]


@algorithm("List.rotate")
def rotate(items: List, distance: int) -> List:
    """Return the list rotated: its last ``distance`` elements are moved to the start."""
    if not items:
        return items
    at = -distance % len(items)
    return items[at:] + items[:at]


@algorithm("List.sequence")
def sequence(start: Any, end: Any, step: Any, count: int | None) -> List:
    """Return numbers from start to end (included) by step, or ``count`` numbers evenly spaced."""
    if end is None and count is None:
        raise EarthEngineError("List.sequence: At least one of 'end' and 'count' is required.")
    if count is not None:
        if not 1 <= count <= _MOST:
            raise EarthEngineError(f"List.sequence: Invalid count {count}.")
        if end is not None:
            step = (end - start) / (count - 1) if count > 1 else 0
    elif step == 0:
        raise EarthEngineError("List.sequence: The step must not be 0.")
    else:
        # The tolerance lets 0 to 1 by 0.1 have eleven numbers, though 0.1 is not exact in binary.
        count = max(0, math.floor((end - start) / step + 1e-9) + 1)
        if count > _MOST:
            raise EarthEngineError("List.sequence: Too many elements.")
    return [_whole(start + i * step, start, step) for i in range(count)]


def _whole(value: Any, start: Any, step: Any) -> Any:
    """Return ``value`` as an integer if start and step are whole; the default step is a float."""
    integral = isinstance(start, int) and float(step).is_integer()
    return int(value) if integral else value


@algorithm("List.set")
def set_element(items: List, index: int, element: Any) -> List:
    """Return the list with the element at a position replaced."""
    at = position(items, index, "List.set")
    return [*items[:at], element, *items[at + 1 :]]


@algorithm("List.shuffle")
def shuffle(items: List, seed: Any) -> List:
    """Return the list in a random order that depends on the seed only; ``False`` is a random seed.

    Earth Engine does not publish its own order.
    """
    if not (seed is None or isinstance(seed, int | float)) or seed != seed or seed in _INFINITIES:
        raise EarthEngineError(f"List.shuffle: Invalid seed {seed!r}.")
    generator = np.random.default_rng(None if seed is False else abs(int(seed or 0)))
    return [items[i] for i in generator.permutation(len(items))]


@algorithm("List.slice")
def slice_list(items: List, start: int, end: int | None, step: int | None) -> List:
    """Return a slice of a list; negative positions count from its end."""
    if step is not None and step <= 0:
        raise EarthEngineError(f"List.slice: The step must be positive, found {step}.")
    return items[start:end:step]


@algorithm("List.sort")
def sort(items: List, keys: List | None) -> List:
    """Return the list sorted in ascending order, by its elements or by parallel ``keys``."""
    if keys is None:
        return sorted(items, key=sort_key)
    if len(keys) != len(items):
        raise EarthEngineError(
            f"List.sort: 'keys' has {len(keys)} elements, but 'list' has {len(items)}."
        )
    order = sorted(range(len(items)), key=lambda i: sort_key(keys[i]))
    return [items[i] for i in order]


@algorithm("List.splice")
def splice(items: List, start: int, count: int, other: List | None) -> List:
    """Return the list with ``count`` elements from ``start`` on replaced by those of another."""
    at = position(items, start, "List.splice", extra=1)
    return [*items[:at], *(other or []), *items[at + max(0, count) :]]


@algorithm("List.swap")
def swap(items: List, first: int, second: int) -> List:
    """Return the list with two elements exchanged."""
    a, b = (position(items, i, "List.swap") for i in (first, second))
    swapped = list(items)
    swapped[a], swapped[b] = items[b], items[a]
    return swapped


@algorithm("List.unzip")
def unzip(items: List) -> List:
    """Return the transpose of a list of lists: item i has element i of each of them."""
    if not all(isinstance(item, list) for item in items):
        raise EarthEngineError("List.unzip: The elements of the list must be lists.")
    return [list(row) for row in zip(*items, strict=False)]


@algorithm("List.zip")
def zip_lists(items: List, other: List) -> List:
    """Return the list of pairs of elements of two lists; it ends with the shorter one."""
    return [list(pair) for pair in zip(items, other, strict=False)]

"""From a user's function of an item to an encoded Earth Engine expression for each item.

The function is called once, with a symbolic item whose values are variables; the encoded graph
is kept as a :class:`Template`, and binding an item to it adds its values as nodes of their own,
which costs microseconds where building and encoding with the client costs milliseconds. A
function that cannot be traced, or that traces to something other than what it builds for real
items, is kept as it is and called for every item on the workers.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import ee
from ee import serializer

from eedask.earthengine.nodes import Encoded, value_node
from eedask.errors import FunctionError, InputError, TraceError
from eedask.expressions.digest import digest, hash_of
from eedask.expressions.symbols import BoundItem, TracedItem, slot_of
from eedask.items.item import WorkItem

Function = Callable[[Any], Any]


class Expression(Protocol):
    """What every item is asked of Earth Engine."""

    def encode(self, item: WorkItem) -> Encoded:
        """Return the item's expression, ``{"result": …, "values": …}``."""

    @property
    def depends_on_item(self) -> bool:
        """Whether items differ in their expressions."""

    @property
    def reason(self) -> str | None:
        """Why the user's function is called for every item, on the workers; None if it is not."""

    def likeness(self, item: WorkItem) -> Hashable:
        """Return a key: items with equal keys have equal expressions."""


def built_on_workers(expressions: Mapping[str, Expression]) -> tuple[str, ...]:
    """Return a note for each expression that needs the ``ee`` client on the workers.

    Parameters
    ----------
    expressions : mapping of str to Expression
        By what the user calls them, such as ``"image"``.
    """
    return tuple(
        f"the {what} is built for every item on the workers: {expression.reason}"
        for what, expression in expressions.items()
        if expression.reason is not None
    )


@dataclass(frozen=True)
class Template:
    """An encoded graph with open slots for an item's values.

    Attributes
    ----------
    result : str
        Key of the result in ``values``.
    values : mapping
        The nodes. Slots are referred to but not there.
    slots : mapping of str to str
        The field of an item (``"geometry"``, ``"id"``, ``"utm_crs"``, ``"column:NAME"``) that
        each missing node stands for.
    """

    result: str
    values: Mapping[str, Any]
    slots: Mapping[str, str]

    @property
    def depends_on_item(self) -> bool:
        """Whether there are slots."""
        return bool(self.slots)

    @property
    def reason(self) -> None:
        """None, as the function was called once and for all."""
        return None

    def likeness(self, item: WorkItem) -> str:
        """Return the item's values in the slots, as text."""
        return json.dumps(self._bound(item), sort_keys=True)

    def encode(self, item: WorkItem) -> Encoded:
        """Return the graph with the item's values in the slots."""
        return {"result": self.result, "values": {**self.values, **self._bound(item)}}

    def _bound(self, item: WorkItem) -> dict[str, Encoded]:
        """Return the node for each slot."""
        return {slot: value_node(item.value(field)) for slot, field in self.slots.items()}


@dataclass(frozen=True)
class Builder:
    """A function that is called and encoded for every item.

    Attributes
    ----------
    function : callable
    reason : str
        Why it could not be traced.
    """

    function: Function
    reason: str

    @property
    def depends_on_item(self) -> bool:
        """True, as nobody knows what a function does with an item."""
        return True

    def likeness(self, item: WorkItem) -> Hashable:
        """Return the item's id: no two are known to be alike."""
        key: Hashable = item.id
        return key

    def encode(self, item: WorkItem) -> Encoded:
        """Return what the function builds for the item, encoded.

        Raises
        ------
        InputError
            If the function fails on it.
        """
        return _build(self.function, item, None)


def compile_expression(
    what: Any, samples: Sequence[WorkItem], *, expect: type | None = None
) -> Expression:
    """Return the cheapest expression that builds what the user's function builds.

    Parameters
    ----------
    what : ee object or callable
        The same object for all items, or a function from an item to one.
    samples : sequence of WorkItem
        A few items. They are built for real, and the traced graph must equal what they give.
    expect : type, optional
        The class of ``ee`` object that is needed, such as ``ee.Image``.

    Raises
    ------
    InputError
        If the function fails on all of the items, or gives something else than ``expect``.
    """
    if not callable(what) or isinstance(what, ee.ComputedObject):
        _check_type(what, expect)
        return _template(what)
    built, failure = _built(what, samples, expect)
    if failure is not None:
        if not built:
            raise failure
        return Builder(what, f"{failure}; items that it fails on will be rows that failed")
    try:
        traced = _template(what(TracedItem(samples[0].fields())))
    except Exception as error:
        return Builder(what, f"it cannot be traced ({type(error).__name__}: {error})")
    for item, graph in zip(samples, built, strict=True):
        if digest(traced.encode(item)) != digest(graph):
            return Builder(what, f"it traces to another graph than it builds for item {item.id!r}")
    return traced


def digest_of(expression: Expression, samples: Sequence[WorkItem]) -> str:
    """Return a hash of what all samples are asked for, so that a function that changed is noticed.

    Raises
    ------
    InputError
        If the function fails on all of them.
    """
    digests: list[str | None] = []
    failure = InputError("there are no items")
    for item in samples:
        try:
            digests.append(digest(expression.encode(item)))
        except InputError as error:
            digests.append(None)
            failure = error
    if not any(digests):
        raise failure
    one, *others = set(digests)
    return hash_of("items", digests) if others or one is None else one


def _built(
    what: Function, samples: Sequence[WorkItem], expect: type | None
) -> tuple[list[Encoded], FunctionError | None]:
    """Return what a function builds, and the error of an item on which it fails, if any."""
    built: list[Encoded] = []
    failure: FunctionError | None = None
    for item in samples:
        try:
            built.append(_build(what, item, expect))
        except FunctionError as error:
            failure = failure or error
    return built, failure


def _build(what: Function, item: WorkItem, expect: type | None) -> Encoded:
    try:
        value = what(BoundItem(item))
        _check_type(value, expect)
        return _encode(value)
    except InputError:
        raise
    except Exception as error:
        raise FunctionError(
            f"the function {getattr(what, '__name__', what)!r} fails on item {item.id!r}:"
            f" {type(error).__name__}: {error}"
        ) from error


def _check_type(value: Any, expect: type | None) -> None:
    if expect is None or isinstance(value, expect):
        return
    # A plain ComputedObject is what algorithms of unknown return type give; it may be anything.
    if type(value) is ee.ComputedObject:
        return
    raise InputError(
        f"an ee.{expect.__name__} is needed here, or a function from an item to one;"
        f" got {type(value).__module__}.{type(value).__qualname__}"
    )


def _encode(value: Any) -> Encoded:
    encoded: Encoded = serializer.encode(value, for_cloud_api=True)
    return encoded


def _template(value: Any) -> Template:
    """Encode, and turn every reference to a symbolic value into one to an open slot."""
    encoded = _encode(value)
    slots: dict[str, str] = {}

    def rewrite(node: Any) -> Any:
        if isinstance(node, list):
            return [rewrite(child) for child in node]
        if not isinstance(node, dict):
            return node
        if len(node) == 1 and (field := slot_of(node.get("argumentReference"))):
            slot = slots.setdefault(field, str(len(encoded["values"]) + len(slots)))
            return {"valueReference": slot}
        return {k: v if k == "constantValue" else rewrite(v) for k, v in node.items()}

    values = {key: rewrite(node) for key, node in encoded["values"].items()}
    template = Template(encoded["result"], values, {slot: f for f, slot in slots.items()})
    if unbound := _free_names(values):
        raise TraceError(f"the graph refers to variables that nothing binds: {unbound}")
    return template


def _free_names(values: Mapping[str, Any]) -> list[str]:
    """Return argument references that no function in the graph declares."""
    declared: set[str] = set()
    used: set[str] = set()

    def visit(node: Any) -> None:
        if isinstance(node, list):
            for child in node:
                visit(child)
        elif isinstance(node, dict):
            if isinstance(name := node.get("argumentReference"), str):
                used.add(name)
            declared.update(node.get("functionDefinitionValue", {}).get("argumentNames", []))
            for key, child in node.items():
                if key != "constantValue":
                    visit(child)

    visit(list(values.values()))
    return sorted(used - declared)

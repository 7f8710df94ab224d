"""Turns a user's function of an item into an encoded Earth Engine expression for each item.

The function is *traced*: called once, with a symbolic item whose values are variables. The graph
that it builds is encoded and kept as a :class:`Template`. To *bind* an item to the template is to
add the item's values to the graph as nodes. That takes microseconds, while calling the function and
encoding its graph with the ``ee`` client takes milliseconds. A function that cannot be traced, or
whose traced graph differs from the graphs that it builds for real items, is kept as it is, and is
called for every item on the workers.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import ee
from ee import serializer

from eedask.earthengine.nodes import Encoded, value_node
from eedask.errors import EedaskError, FunctionError, InputError, TraceError
from eedask.expressions.digest import digest
from eedask.expressions.symbols import BoundItem, TracedItem, slot_of
from eedask.items.item import WorkItem

Function = Callable[[Any], Any]


class Expression(Protocol):
    """What Earth Engine is to compute for each item."""

    def encode(self, item: WorkItem) -> Encoded:
        """Return the item's expression, ``{"result": …, "values": …}``."""

    @property
    def depends_on_item(self) -> bool:
        """Whether the expression may differ from item to item."""

    @property
    def reason(self) -> str | None:
        """Why the user's function is called for every item, on the workers; None if it is not."""

    def likeness(self, item: WorkItem) -> Hashable:
        """Return a key. Items with equal keys have equal expressions and can share a request."""

    @property
    def fields(self) -> frozenset[str] | None:
        """Fields of an item (see :meth:`WorkItem.fields`) that it may depend on; None: all."""

    @property
    def template(self) -> str | None:
        """A hash of the graph that all items share; None if each item has its own."""

    def hash_for(self, item: WorkItem) -> str | None:
        """Return a hash of an item's expression; None if it cannot be built."""


def built_on_workers(expressions: Mapping[str, Expression]) -> tuple[str, ...]:
    """Return a note for each expression that needs the ``ee`` client on the workers.

    Parameters
    ----------
    expressions : mapping of str to Expression
        Expressions by the name of the argument that they come from, such as ``"image"``.
    """
    return tuple(
        f"the function for the {what} is called for every item, on the workers: {expression.reason}"
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
        The nodes of the graph, by key. Keys in ``slots`` are referred to but have no node.
    slots : mapping of str to str
        For the key of each missing node, the field of the item that it stands for: ``"geometry"``,
        ``"id"``, ``"utm_crs"`` or ``"column:NAME"``.
    """

    result: str
    values: Mapping[str, Any]
    slots: Mapping[str, str]

    @property
    def depends_on_item(self) -> bool:
        """Whether the graph has slots, so that it uses values of the item."""
        return bool(self.slots)

    @property
    def reason(self) -> None:
        """None, as the function is not called on the workers."""
        return None

    @property
    def fields(self) -> frozenset[str]:
        """The fields of the slots."""
        return frozenset(self.slots.values())

    @property
    def template(self) -> str:
        """A hash of the graph in which each slot is replaced by the name of its field."""
        open_ = {slot: {"argumentReference": field} for slot, field in self.slots.items()}
        return digest({"result": self.result, "values": {**self.values, **open_}})

    def hash_for(self, item: WorkItem) -> str | None:
        """Return a hash of an item's expression; None if it lacks a value for it."""
        return _hash_for(self, item)

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
        """True, as the function may use any value of the item."""
        return True

    @property
    def fields(self) -> None:
        """None, which means all fields: the function may use any value of the item."""
        return None

    @property
    def template(self) -> None:
        """None, as no two items are known to have the same graph."""
        return None

    def hash_for(self, item: WorkItem) -> str | None:
        """Return a hash of an item's expression; None if the function fails on it."""
        return _hash_for(self, item)

    def likeness(self, item: WorkItem) -> Hashable:
        """Return the item's id, as no two items are known to have equal expressions."""
        key: Hashable = item.id
        return key

    def encode(self, item: WorkItem) -> Encoded:
        """Return the encoded graph that the function builds for the item.

        Raises
        ------
        InputError
            If the function fails on it.
        """
        return _build(self.function, item, None)


def compile_expression(
    what: Any, samples: Sequence[WorkItem], *, expect: type | None = None
) -> Expression:
    """Return a template if the user's function can be traced, else a builder.

    Parameters
    ----------
    what : ee object or callable
        The same object for all items, or a function from an item to one.
    samples : sequence of WorkItem
        A few items. The function is called for each, and the traced graph, bound to the item, must
        equal the graph that it builds.
    expect : type, optional
        The class that the function's result must have, such as ``ee.Image``; None: any.

    Raises
    ------
    InputError
        If the function fails on all of the items, or gives something else than ``expect``.
    """
    if not callable(what) or isinstance(what, ee.ComputedObject):
        check_type(what, expect)
        return _template(what)
    built, failure = _built(what, samples, expect)
    if failure is not None:
        if not built:
            raise failure
        return Builder(what, f"{failure}; items that it fails on will be rows that failed")
    try:
        traced = _template(what(TracedItem(samples[0].fields())))
    except Exception as error:
        return Builder(what, _why_not(error))
    for item, graph in zip(samples, built, strict=True):
        if digest(traced.encode(item)) != digest(graph):
            return Builder(
                what,
                f"the expression that it makes for item {item.id!r} differs from the others in more"
                " than the item's values; if it loads images by their ids, use item.image(COLUMN),"
                " with which one expression serves all items",
            )
    return traced


def _why_not(error: Exception) -> str:
    """Return, in words for the user, why a function cannot be called once for all items."""
    if isinstance(error, TraceError):
        return str(error)
    return (
        f"it does not work on ee objects in place of the item's values ({type(error).__name__}:"
        f" {error}); with Earth Engine's own functions alone, it is called once for all items"
    )


def _hash_for(expression: Expression, item: WorkItem) -> str | None:
    try:
        return digest(expression.encode(item))
    except EedaskError:
        return None


def _built(
    what: Function, samples: Sequence[WorkItem], expect: type | None
) -> tuple[list[Encoded], FunctionError | None]:
    """Return the graphs that a function builds, and its first error if it fails on an item."""
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
        check_type(value, expect)
        return _encode(value)
    except InputError:
        raise
    except Exception as error:
        raise FunctionError(
            f"the function {getattr(what, '__name__', what)!r} fails on item {item.id!r}:"
            f" {type(error).__name__}: {error}"
        ) from error


def check_type(value: Any, expect: type | None) -> None:
    """Raise InputError unless a value is of a class of the ``ee`` client, or may be."""
    if expect is None or isinstance(value, expect):
        return
    # Algorithms of unknown return type give a plain ComputedObject, which may be of any class.
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
    """Return the encoded graph as a template: references to symbols become slots."""
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
        raise TraceError(
            f"it uses the argument of a mapped function outside of that function: {unbound}"
        )
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

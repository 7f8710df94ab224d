"""Links an expression graph: resolves references, and assigns every node to a scope.

JSON nodes become drafts, whose references are resolved, and drafts become :class:`Node` objects. A
node belongs to the scope of the innermost function (level 1, 2, …) whose arguments it uses, or if
it uses none to the global scope (level 0). A draft that is used in two functions becomes two nodes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from eedask.emulator.errors import EarthEngineError
from eedask.emulator.readings import reading

_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(eq=False)
class Scope:
    """The scope of one function definition with its arguments; the global scope has none."""

    level: int
    names: tuple[str, ...] = ()
    parent: Scope | None = None
    body: Node | None = None
    slots: int = 0

    def binder(self, name: str) -> Scope:
        """Return the innermost scope, from this one outwards, with an argument of this name."""
        scope: Scope | None = self
        while scope is not None:
            if name in scope.names:
                return scope
            scope = scope.parent
        raise EarthEngineError(f"Undefined argument reference: '{name}'.")

    def new_slot(self) -> int:
        """Return the number of a new place in the scope's frames."""
        self.slots += 1
        return self.slots - 1


@dataclass(eq=False, slots=True)
class Node:
    """One computation: its kind, its inputs, and the level and slot that hold its value."""

    kind: str  # constant, argument, list, dict, call, apply or define
    level: int
    slot: int
    name: str = ""
    keys: tuple[str, ...] = ()
    inputs: list[Node] = field(default_factory=list)
    scope: Scope | None = None


def link(expression: Mapping[str, Any]) -> tuple[Node, dict[int, Any]]:
    """Return the node of an expression's result and the values, by slot, of its constants.

    Raises
    ------
    EarthEngineError
        400 if it is no valid graph: dangling references, cycles, unknown nodes.
    """
    values = expression.get("values") if isinstance(expression, Mapping) else None
    if not isinstance(values, Mapping):
        raise EarthEngineError("Invalid expression: 'values' must be an object.")
    root = _Reader(values).read(expression.get("result"))
    return _Linker().link(root)


@dataclass(eq=False, slots=True)
class _Draft:
    """A node of the JSON graph with its references resolved.

    ``free`` are the arguments that it or its inputs use without defining them.
    """

    kind: str
    name: str = ""
    keys: tuple[str, ...] = ()
    parts: list[Any] = field(default_factory=list)  # JSON first, then drafts
    constant: Any = None
    free: frozenset[str] = frozenset()


class _Reader:
    """Makes drafts from JSON nodes."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self._values = values
        self._drafts: dict[int, _Draft] = {}

    def read(self, result: Any) -> _Draft:
        """Return the draft of the node that a key refers to, with those of all its inputs."""
        root = self._lookup(result)
        path: set[int] = set()
        stack = [(root, self._open(root), 0)]
        path.add(id(root))
        while stack:
            node, draft, position = stack.pop()
            if position == len(draft.parts):
                path.discard(id(node))
                self._close(draft)
                self._drafts[id(node)] = draft
                continue
            child = self._resolved(draft.parts[position])
            known = self._drafts.get(id(child))
            if known is None and _is_leaf(child):
                known = self._drafts[id(child)] = self._open(child)
            if known is None:
                if id(child) in path:
                    raise EarthEngineError("Invalid expression: the graph contains a cycle.")
                path.add(id(child))
                stack += [(node, draft, position), (child, self._open(child), 0)]
            else:
                draft.parts[position] = known
                stack.append((node, draft, position + 1))
        return self._drafts[id(root)]

    def _resolved(self, node: Any) -> dict[str, Any]:
        if isinstance(node, dict):
            return self._lookup(node["valueReference"]) if "valueReference" in node else node
        raise EarthEngineError(f"Invalid expression: not a value: {str(node)[:80]}.")

    def _lookup(self, key: Any) -> dict[str, Any]:
        """Return the node that a key refers to, through references to references."""
        for _ in range(len(self._values) + 1):
            if not isinstance(key, str) or key not in self._values:
                raise EarthEngineError(f"Invalid expression: reference to unknown value '{key}'.")
            node = self._values[key]
            if not isinstance(node, dict):
                break
            if "valueReference" not in node:
                return node
            key = node["valueReference"]
        else:
            raise EarthEngineError("Invalid expression: the graph contains a cycle.")
        raise EarthEngineError(f"Invalid expression: not a value: {str(node)[:80]}.")

    @staticmethod
    def _open(node: dict[str, Any]) -> _Draft:
        """Return the draft of a node, with its parts still JSON."""
        kinds = [key for key in node if key in _OPENERS]
        if len(kinds) != 1:
            raise EarthEngineError(f"Invalid expression: not a value: {str(node)[:80]}.")
        try:
            return _OPENERS[kinds[0]](node[kinds[0]])
        except (KeyError, AttributeError, TypeError, ValueError):
            raise EarthEngineError(f"Invalid expression: malformed {kinds[0]}.") from None

    @staticmethod
    def _close(draft: _Draft) -> None:
        """Set which arguments a draft uses, once its parts are drafts."""
        if draft.kind == "argument":
            draft.free = frozenset([draft.name])
            return
        for part in draft.parts:
            if part.free:
                draft.free |= part.free
        if draft.kind == "define" and draft.free:
            draft.free -= frozenset(draft.keys)


def _is_leaf(node: dict[str, Any]) -> bool:
    """Whether a node is a plain constant, as most are."""
    return len(node) == 1 and "constantValue" in node


def _call(value: dict[str, Any]) -> _Draft:
    arguments = value.get("arguments", {})
    keys, parts = tuple(arguments), list(arguments.values())
    if "functionName" in value:
        return _Draft("call", value["functionName"], keys, parts)
    reference = {"valueReference": value["functionReference"]}
    return _Draft("apply", "", ("", *keys), [reference, *parts])


def _definition(value: dict[str, Any]) -> _Draft:
    names = value.get("argumentNames", [])
    if not isinstance(names, list) or not all(isinstance(n, str) for n in names):
        raise TypeError
    for name in names:
        _check_argument(name)
    return _Draft("define", "", tuple(names), [{"valueReference": value["body"]}])


def _dictionary(value: dict[str, Any]) -> _Draft:
    entries = value.get("values", {})
    return _Draft("dict", "", tuple(entries), list(entries.values()))


def _argument(name: Any) -> _Draft:
    if not isinstance(name, str):
        raise TypeError
    _check_argument(name)
    return _Draft("argument", name)


def _check_argument(name: str) -> None:
    """Raise Earth Engine's 400 if a function's argument may not be called so."""
    if reading("argument_names") == "identifiers" and not _IDENTIFIER.fullmatch(name):
        raise EarthEngineError(f"Invalid expression: invalid argument name '{name}'.")


_OPENERS: dict[str, Callable[[Any], _Draft]] = {
    "constantValue": lambda value: _Draft("constant", constant=value),
    "bytesValue": lambda value: _Draft("constant", constant=value),
    "integerValue": lambda value: _Draft("constant", constant=int(value)),
    "arrayValue": lambda value: _Draft("list", parts=list(value.get("values", []))),
    "dictionaryValue": _dictionary,
    "argumentReference": _argument,
    "functionInvocationValue": _call,
    "functionDefinitionValue": _definition,
}


class _Linker:
    """Makes nodes from drafts, one for each scope in which a draft is used."""

    def __init__(self) -> None:
        self._global = Scope(0)
        self._made: dict[tuple[int, int], Node] = {}
        self._scopes: dict[tuple[int, int], Scope] = {}
        self._constants: dict[int, Any] = {}

    def link(self, root: _Draft) -> tuple[Node, dict[int, Any]]:
        """Return the node of a draft and the constants."""
        made = self._made
        stack = [(root, self._home(root, self._global))]
        while stack:
            draft, home = stack[-1]
            if (id(draft), id(home)) in made:
                stack.pop()
                continue
            inner = self._inner_scope(draft, home) if draft.kind == "define" else None
            inputs, waiting = [], []
            for part in draft.parts:
                scope = self._home(part, inner or home) if part.free else self._global
                key = (id(part), id(scope))
                if key not in made:
                    if part.parts or part.kind == "define":
                        waiting.append((part, scope))
                        continue
                    made[key] = self._node(part, scope, [], None)
                inputs.append(made[key])
            if waiting:
                stack.extend(waiting)
                continue
            made[id(draft), id(home)] = self._node(draft, home, inputs, inner)
            stack.pop()
        return made[id(root), id(self._home(root, self._global))], self._constants

    def _home(self, draft: _Draft, scope: Scope) -> Scope:
        """Return the innermost scope whose arguments a draft in ``scope`` uses."""
        if not draft.free:
            return self._global
        return max((scope.binder(name) for name in draft.free), key=lambda s: s.level)

    def _inner_scope(self, draft: _Draft, home: Scope) -> Scope:
        """Return the scope of a function definition; the same object at every call."""
        key = (id(draft), id(home))
        if key not in self._scopes:
            names = draft.keys
            self._scopes[key] = Scope(home.level + 1, names, home, slots=len(names))
        return self._scopes[key]

    def _node(self, draft: _Draft, home: Scope, inputs: list[Node], inner: Scope | None) -> Node:
        if draft.kind == "argument":
            return Node("argument", home.level, home.names.index(draft.name), draft.name)
        slot = home.new_slot()
        if inner is not None:
            inner.body = inputs[0]
            return Node("define", home.level, slot, scope=inner)
        if draft.kind == "constant":
            self._constants[slot] = draft.constant
        return Node(draft.kind, home.level, slot, draft.name, draft.keys, inputs)

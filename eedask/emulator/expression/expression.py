"""Evaluating an expression graph: the value of a request's ``expression``.

A graph is a dictionary of nodes that refer to each other
(https://developers.google.com/earth-engine/reference/rest/v1/Expression). It is first linked
(:mod:`eedask.emulator.expression.linking`), then evaluated on demand with a stack of its own, so
that deep nesting does not exhaust Python's. Each call of a function has a frame, which holds the
values of nodes. A node is computed at most once in the frame of the innermost function whose
arguments it depends on: one that does not depend on a mapped element is computed once for all.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import eedask.emulator.functions  # noqa: F401  (importing it registers the implementations)
from eedask.emulator.errors import EarthEngineError, NotSupported
from eedask.emulator.expression.lineage import kept
from eedask.emulator.expression.linking import Node, Scope, link
from eedask.emulator.expression.signatures import signature
from eedask.emulator.functions.registry import IMPLEMENTATIONS
from eedask.emulator.limits.metering import metered_call, metered_function
from eedask.emulator.values.info import too_deep
from eedask.emulator.values.truth import is_true
from eedask.emulator.values.value_types import Kept

if TYPE_CHECKING:
    from eedask.emulator.catalog import Catalog

Frame = dict[int, Any]


@dataclass(frozen=True)
class Context:
    """What an evaluation needs besides the expression.

    Attributes
    ----------
    catalog : Catalog
        Where images, collections and tables are loaded from.
    profiles : callable, optional
        ``profiles(id)`` returns the rows of the profile of an earlier request.
    """

    catalog: Catalog
    profiles: Callable[[str], list[Any]] | None = None

    def call(self, name: str, *arguments: Any) -> Any:
        """Compute an algorithm from arguments in order that already have the declared types."""
        implementation = IMPLEMENTATIONS.get(name)
        if implementation is None:
            raise NotSupported(f"the algorithm {name}")
        before = (self,) if implementation.needs_context else ()
        return implementation.function(*before, *arguments)

    def apply(self, name: str, *values: Any) -> Any:
        """Compute an algorithm from arguments in order, coerced to the declared types.

        Raises Earth Engine's 400 if that is impossible.
        """
        algorithm = signature(name)
        names = [argument.name for argument in algorithm.arguments]
        if len(values) > len(names):
            raise EarthEngineError(
                f"{name} takes {len(names)} arguments, but was called with {len(values)}."
            )
        return algorithm.call(dict(zip(names, values, strict=False)), self)


def evaluate(expression: Mapping[str, Any], context: Context) -> Any:
    """Return the value of an encoded expression ``{"result": key, "values": {key: node}}``.

    Raises
    ------
    EarthEngineError
        400 for a malformed graph, an unknown or unsupported algorithm, or wrong arguments; and
        whatever the algorithms raise.
    """
    root, constants = link(expression)
    try:
        return _force(root, (constants,), context)
    except RecursionError:
        raise too_deep() from None


class Function:
    """A function that an expression defines; called with positional or named arguments."""

    def __init__(self, scope: Scope, frames: tuple[Frame, ...], context: Context) -> None:
        self.names = scope.names
        self._scope, self._frames, self._context = scope, frames, context

    @property
    def kept(self) -> Kept:
        """What a result keeps of the function's argument: its place, and which properties."""
        assert self._scope.body is not None
        return kept(self._scope.body, self._scope.level, self._frames[0])

    def __call__(self, *values: Any, **named: Any) -> Any:
        """Evaluate the body; raise Earth Engine's 400 for a wrong number or names of arguments."""
        if len(values) + len(named) != len(self.names):
            raise EarthEngineError(
                f"A function of {len(self.names)} arguments was called with "
                f"{len(values) + len(named)}."
            )
        frame = dict(enumerate(values))
        for name, value in named.items():
            if name not in self.names[len(values) :]:
                raise EarthEngineError(f"A function was called with an unknown argument '{name}'.")
            frame[self.names.index(name)] = value
        assert self._scope.body is not None
        body, frames = self._scope.body, (*self._frames, frame)
        return metered_function(lambda: _force(body, frames, self._context))


def _force(root: Node, frames: tuple[Frame, ...], context: Context) -> Any:
    """Return a node's value in the frames, after computing those nodes it needs that lack one."""
    stack = [root]
    while stack:
        node = stack[-1]
        memo = frames[node.level]
        if node.slot in memo:
            stack.pop()
            continue
        waiting = [n for n in _needs(node, frames) if n.slot not in frames[n.level]]
        if waiting:
            stack.extend(reversed(waiting))
            continue
        memo[node.slot] = _compute(node, frames, context)
        stack.pop()
    return frames[root.level][root.slot]


def _needs(node: Node, frames: tuple[Frame, ...]) -> list[Node]:
    """Return the nodes whose values a node needs; of a conditional only the branch it takes."""
    if not (node.kind == "call" and node.name == "If"):
        return node.inputs
    inputs = dict(zip(node.keys, node.inputs, strict=True))
    condition = inputs.get("condition")
    if condition is None:
        return node.inputs
    if condition.slot not in frames[condition.level]:
        return [condition]
    branch = inputs.get(_branch(frames[condition.level][condition.slot]))
    return [condition] if branch is None else [condition, branch]


def _branch(condition: Any) -> str:
    return "trueCase" if is_true(condition) else "falseCase"


def _compute(node: Node, frames: tuple[Frame, ...], context: Context) -> Any:
    """Return a node's value, given that its inputs are known."""
    if node.kind == "define":
        assert node.scope is not None
        return Function(node.scope, frames[: node.level + 1], context)
    values = [frames[n.level].get(n.slot) for n in node.inputs]
    if node.kind == "list":
        return values
    named = dict(zip(node.keys, values, strict=True))
    if node.kind == "dict":
        return named
    if node.kind == "call":
        algorithm = signature(node.name)
        return metered_call(algorithm.name, lambda: algorithm.call(named, context))
    function = named.pop("")
    if not callable(function):
        raise EarthEngineError("A functionReference must refer to a function.")
    return function(**named)

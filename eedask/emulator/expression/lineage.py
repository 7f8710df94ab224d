"""Finds out, from the graph of a mapped function, what its result keeps of its argument.

A composite needs only those images of a collection whose footprints touch its grid. In a mapped
collection, these can be selected before the function is called, if the function does not move
images. Most functions do not: they calculate with bands, mask pixels and set properties. To find
out, the graph is followed from the function's result back to its argument. What each algorithm
keeps is stated where it is registered (:class:`~eedask.emulator.functions.registry.Keeps`). If an
algorithm on the way keeps nothing, nothing is known of the function's results.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from eedask.emulator.errors import EarthEngineError
from eedask.emulator.expression.linking import Node
from eedask.emulator.expression.signatures import signature
from eedask.emulator.functions.registry import IMPLEMENTATIONS, Keeps
from eedask.emulator.values.formulas import Formula, parse
from eedask.emulator.values.value_types import NOTHING_KEPT, Kept


@dataclass(frozen=True)
class Lineage:
    """What a value inside a function has from the function's argument.

    Attributes
    ----------
    bounded : bool
        Whether it is made from the argument and its footprint lies within the argument's. If
        not, it is a constant image, which has no footprint.
    changed : frozenset of str, optional
        As in :class:`~eedask.emulator.values.value_types.Kept`.
    """

    bounded: bool
    changed: frozenset[str] | None = frozenset()

    def with_changed(self, names: frozenset[str] | None) -> Lineage:
        """Return the lineage after these properties were changed; None: after any may have been."""
        if self.changed is None or names is None:
            return replace(self, changed=None)
        return replace(self, changed=self.changed | names)


_ARGUMENT = Lineage(bounded=True)
_CONSTANT = Lineage(bounded=False)
_Known = Callable[[Node], "Lineage | None"]
_Constants = Mapping[int, Any]


def kept(body: Node, level: int, constants: Mapping[int, Any]) -> Kept:
    """Return what the results of a function of one argument keep of that argument.

    Parameters
    ----------
    body : Node
        The function's result.
    level : int
        The level of the function's scope.
    constants : mapping
        Values of the constants of the expression, by slot.
    """
    found: dict[int, Lineage | None] = {}

    def known(node: Node) -> Lineage | None:
        return found[id(node)] if id(node) in found else _outside(node, level, constants)

    stack = [body]
    while stack:
        node = stack[-1]
        if id(node) in found:
            stack.pop()
            continue
        # Nodes of outer levels do not depend on the argument.
        inputs = node.inputs if node.kind in ("call", "apply", "list") else []
        waiting = [n for n in inputs if n.level == level and id(n) not in found]
        if waiting:
            stack += waiting
            continue
        found[id(node)] = (
            _lineage(node, known, constants)
            if node.level == level
            else _outside(node, level, constants)
        )
    result = found[id(body)]
    if result is None or not result.bounded:
        return NOTHING_KEPT
    return Kept(place=True, changed=result.changed)


def _outside(node: Node, level: int, constants: _Constants) -> Lineage | None:
    """Return the lineage of a value that does not depend on the argument."""
    if node.kind == "constant" and isinstance(constants.get(node.slot), bool | int | float):
        return _CONSTANT
    if node.kind == "call" and _keeps(node) is Keeps.CONSTANT and node.level < level:
        return _CONSTANT
    return None


def _lineage(node: Node, known: _Known, constants: _Constants) -> Lineage | None:
    """Return the lineage of a value, given those of its inputs."""
    if node.kind == "argument":
        return _ARGUMENT
    if node.kind not in ("call", "apply"):
        return None
    inputs = dict(zip(node.keys, node.inputs, strict=True))
    if node.kind == "apply":
        return _formula(inputs, known, constants)
    keeps = _keeps(node)
    if keeps is Keeps.CONSTANT:
        return _CONSTANT
    if keeps is Keeps.FIRST_IF_SAME_FOOTPRINT:
        keeps = Keeps.FIRST if _is_true(inputs.get("sameFootprint"), constants) else Keeps.NOTHING
    if keeps is Keeps.FIRST:
        first = inputs.get(signature(node.name).arguments[0].name)
        return None if first is None else known(first)
    rule = _RULES.get(keeps)
    return None if rule is None else rule(inputs, known, constants)


def _keeps(node: Node) -> Keeps:
    """Return what the result of a call keeps; nothing if the algorithm is unknown."""
    implementation = IMPLEMENTATIONS.get(node.name)
    return Keeps.NOTHING if implementation is None else implementation.keeps


def _is_true(node: Node | None, constants: _Constants) -> bool:
    """Whether an argument whose default is true is left out or is the constant true."""
    return node is None or (node.kind == "constant" and constants.get(node.slot) is True)


def _calculated(first: Lineage | None, second: Lineage | None) -> Lineage | None:
    """Return the lineage of arithmetic: the second image's where the first is a constant."""
    return second if first is not None and not first.bounded else first


_Rule = Callable[[Mapping[str, Node], _Known, _Constants], "Lineage | None"]


def _operator(inputs: Mapping[str, Node], known: _Known, _: _Constants) -> Lineage | None:
    if not {"image1", "image2"} <= inputs.keys():
        return None
    return _calculated(known(inputs["image1"]), known(inputs["image2"]))


def _joined(inputs: Mapping[str, Node], known: _Known, _: _Constants) -> Lineage | None:
    """Return the lineage of ``Image.cat``: its first image's."""
    images = inputs.get("images")
    return known(images.inputs[0]) if images and images.kind == "list" and images.inputs else None


def _chosen(inputs: Mapping[str, Node], known: _Known, constants: _Constants) -> Lineage | None:
    """Return the lineage of ``If`` if both branches have the same; a null branch does not count."""
    nodes = [inputs[name] for name in ("trueCase", "falseCase") if name in inputs]
    branches = [known(node) for node in nodes if not _is_null(node, constants)]
    if not branches or not all(branch is not None and branch.bounded for branch in branches):
        return None
    found = _ARGUMENT
    for branch in branches:
        assert branch is not None
        found = found.with_changed(branch.changed)
    return found


def _is_null(node: Node, constants: _Constants) -> bool:
    return node.kind == "constant" and constants.get(node.slot) is None


def _set_one(inputs: Mapping[str, Node], known: _Known, constants: _Constants) -> Lineage | None:
    element, key = inputs.get("object"), inputs.get("key")
    before = known(element) if element is not None else None
    if before is None:
        return None
    name = constants.get(key.slot) if key is not None and key.kind == "constant" else None
    return before.with_changed(frozenset([name]) if isinstance(name, str) else None)


def _set_many(inputs: Mapping[str, Node], known: _Known, _: _Constants) -> Lineage | None:
    element, properties = inputs.get("object"), inputs.get("properties")
    before = known(element) if element is not None else None
    if before is None:
        return None
    named = properties is not None and properties.kind == "dict"
    return before.with_changed(frozenset(properties.keys) if properties and named else None)


def _copied(inputs: Mapping[str, Node], known: _Known, _: _Constants) -> Lineage | None:
    """Return the lineage of ``copyProperties``, by whether its source is the argument itself."""
    destination, source = inputs.get("destination"), inputs.get("source")
    before = known(destination) if destination is not None else None
    if before is None or source is None:
        return before
    given = known(source)
    return before.with_changed(None if given is None else given.changed)


def _formula(inputs: Mapping[str, Node], known: _Known, constants: _Constants) -> Lineage | None:
    """Return the lineage of a formula's value (``Image.expression``)."""
    function = inputs[""]
    if function.kind != "call" or function.name != "Image.parseExpression":
        return None
    terms = dict(zip(function.keys, function.inputs, strict=True))
    text, argument = (_constant(terms.get(key), constants) for key in ("expression", "argName"))
    if not isinstance(text, str):
        return None
    images = {name: known(node) for name, node in inputs.items() if name}
    try:
        return _of_tree(parse(text), images, images.get(str(argument)))
    except EarthEngineError:
        return None


def _constant(node: Node | None, constants: _Constants) -> Any:
    return constants.get(node.slot) if node is not None and node.kind == "constant" else None


def _of_tree(
    tree: Formula, images: Mapping[str, Lineage | None], default: Lineage | None
) -> Lineage | None:
    parts = [_of_tree(part, images, default) for part in tree.parts]
    if tree.kind == "number":
        return _CONSTANT
    if tree.kind == "name":
        return images.get(tree.value, default)
    if tree.kind == "member":
        return parts[0]
    if tree.kind == "choice":
        return _calculated(parts[0], parts[1])
    if tree.kind == "call":
        return default if tree.value == "b" else _of_operation(parts)
    return None


def _of_operation(parts: Sequence[Lineage | None]) -> Lineage | None:
    found = parts[0] if parts else None
    for part in parts[1:]:
        found = _calculated(found, part)
    return found


_RULES: Mapping[Keeps, _Rule] = {
    Keeps.FIRST_OR_SECOND: _operator,
    Keeps.FIRST_OF_LIST: _joined,
    Keeps.BRANCHES: _chosen,
    Keeps.FIRST_BUT_ONE_PROPERTY: _set_one,
    Keeps.FIRST_BUT_PROPERTIES: _set_many,
    Keeps.FIRST_BUT_COPIED: _copied,
}

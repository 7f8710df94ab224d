"""An item's expression as a graph of parts, in which calls of algorithms can be looked for.

Whether a part depends on the item is found out by comparing the expressions of a few items: parts
that all of them contain do not. This works for functions that were traced and for functions that
are called for every item.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from eedask.earthengine.nodes import Encoded
from eedask.errors import EedaskError
from eedask.expressions.compile import Expression
from eedask.expressions.digest import Digests
from eedask.items.item import WorkItem

# Names of the argument that is the first image of a function of images.
_FIRST_IMAGE = (
    *("input", "image", "image1", "dstImg", "destination", "object", "value"),
    "DEFAULT_EXPRESSION_IMAGE",
)


@dataclass(frozen=True, eq=False)
class Part:
    """A part of an expression: a call, a constant, a list, a function that is mapped.

    Attributes
    ----------
    digest : str
        A hash that is equal for parts that compute the same.
    function : str
        The name of the function that is called; empty if the part is not a call.
    constant : object
        The value, if the part is a constant; None otherwise.
    parts : mapping of str to Part
        The parts that this one is made of: a call's arguments by their names, the elements of a
        list or a dictionary, or a function's body.
    of_item : bool
        Whether the part depends on the item: other items have another part in its place.
    arguments : frozenset of str
        Arguments of enclosing functions that the part uses. Its value depends on what these
        functions are called with.
    """

    digest: str
    function: str = ""
    constant: Any = None
    parts: Mapping[str, Part] = field(default_factory=dict)
    of_item: bool = False
    arguments: frozenset[str] = frozenset()

    @property
    def first_image(self) -> Part | None:
        """The image that gives the result of this function of images its bands and its grid."""
        return next((self.parts[name] for name in _FIRST_IMAGE if name in self.parts), None)

    def all(self) -> Iterator[Part]:
        """Yield this part and all below it, each once."""
        seen: set[int] = set()
        todo = [self]
        while todo:
            part = todo.pop()
            if id(part) not in seen:
                seen.add(id(part))
                yield part
                todo.extend(part.parts.values())

    def calls(self, *functions: str) -> Iterator[Part]:
        """Yield the calls of some functions, in this part and below it."""
        return (part for part in self.all() if part.function in functions)

    def has(self, *functions: str) -> bool:
        """Return whether one of some functions is called, in this part or below it."""
        return any(self.calls(*functions))


def graphs(expression: Expression, items: Sequence[WorkItem]) -> list[Part]:
    """Return the expressions of some items as graphs; one if it is the same for all items.

    Parameters
    ----------
    expression : Expression
    items : sequence of WorkItem
        A few. Those whose expression cannot be built are left out.
    """
    encoded = []
    distinct = [*{item.id: item for item in items}.values()]
    for item in distinct if expression.depends_on_item else distinct[:1]:
        try:
            encoded.append(expression.encode(item))
        except EedaskError:
            continue
    found = [_Reader(one).root for one in encoded]
    if len(found) < 2:
        return found
    everywhere = frozenset.intersection(*map(_digests, found))
    return [_Reader(one, everywhere).root for one in encoded]


def assets(root: Part) -> list[str]:
    """Return the ids of the images, collections and tables that an expression loads, sorted."""
    loads = root.calls("Image.load", "ImageCollection.load", "Collection.loadTable")
    ids = {part.constant for load in loads for part in load.parts.values()}
    return sorted(id_ for id_ in ids if isinstance(id_, str))


def _digests(root: Part) -> frozenset[str]:
    return frozenset(part.digest for part in root.all())


class _Reader:
    """Reads an encoded expression. Parts that are referred to more than once are made once."""

    def __init__(self, encoded: Encoded, everywhere: Any = None) -> None:
        self._values = encoded["values"]
        self._digests = Digests(self._values)
        self._everywhere = everywhere
        self._read: dict[str, Part] = {}
        self.root = self._part({"valueReference": encoded["result"]})

    def _part(self, node: Mapping[str, Any]) -> Part:
        ((kind, content),) = node.items()
        if kind == "valueReference":
            if content not in self._read:
                self._read[content] = self._part(self._values[content])
            return self._read[content]
        found: dict[str, Any] = {}
        children: Mapping[str, Any] = {}
        if kind == "constantValue":
            found["constant"] = content
        elif kind == "arrayValue":
            children = {str(k): child for k, child in enumerate(content["values"])}
        elif kind == "dictionaryValue":
            children = content["values"]
        elif kind == "functionDefinitionValue":
            children = {"body": {"valueReference": content["body"]}}
        elif kind == "functionInvocationValue":
            children = content.get("arguments", {})
            found["function"] = content.get("functionName", "")
        digest = self._digests.of(node)
        of_item = self._everywhere is not None and digest not in self._everywhere
        parts = {name: self._part(child) for name, child in children.items()}
        arguments = frozenset[str]().union(*(part.arguments for part in parts.values()))
        if kind == "argumentReference":
            arguments |= {content}
        elif kind == "functionDefinitionValue":
            arguments -= {*content["argumentNames"]}
        return Part(digest, parts=parts, of_item=of_item, arguments=arguments, **found)

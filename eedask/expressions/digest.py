"""Hashes of encoded expressions that are equal for equal computations.

Two encodings of one computation may differ in which nodes are shared; their hashes do not.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from eedask.earthengine.nodes import Encoded


def digest(expression: Encoded) -> str:
    """Return a hash that two encoded expressions share when they ask for the same thing.

    An encoder may share nodes, write them in place, or merge constants into one node: that makes no
    difference to the hash.
    """
    return Digests(expression["values"]).of({"valueReference": expression["result"]})


class Digests:
    """The hashes of the nodes of one expression.

    Parameters
    ----------
    values : mapping
        The expression's nodes, by key.
    """

    def __init__(self, values: Mapping[str, Any]) -> None:
        self._values = values
        self._memo: dict[str, str] = {}

    def of(self, node: Mapping[str, Any]) -> str:
        """Return the hash of what a node gives; see :func:`digest`."""
        ((kind, content),) = node.items()
        if kind == "valueReference":
            return self._of_key(content)
        if kind == "constantValue":
            return _hash_constant(content)
        if kind == "integerValue":
            return _hash_constant(int(content))
        if kind == "arrayValue":
            return hash_of("list", [self.of(child) for child in content["values"]])
        if kind == "dictionaryValue":
            return hash_of("dict", {k: self.of(v) for k, v in content["values"].items()})
        if kind == "functionDefinitionValue":
            return hash_of("def", [content["argumentNames"], self._of_key(content["body"])])
        if kind == "functionInvocationValue":
            function = content.get("functionName") or self._of_key(content["functionReference"])
            given = content.get("arguments", {}).items()
            # The client leaves out what is None, and to Earth Engine null means not given.
            arguments = {k: d for k, v in given if (d := self.of(v)) != _NULL}
            return hash_of("call", [function, arguments])
        return hash_of(kind, content)

    def _of_key(self, key: str) -> str:
        if key not in self._memo:
            self._memo[key] = self.of(self._values[key])
        return self._memo[key]


def hash_of(kind: str, content: Any) -> str:
    """Return the SHA-256, in hexadecimal, of ``content``, which JSON can write, and its kind."""
    text = json.dumps([kind, content], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _hash_constant(value: Any) -> str:
    if isinstance(value, list):
        return hash_of("list", [_hash_constant(v) for v in value])
    if isinstance(value, dict):
        return hash_of("dict", {k: _hash_constant(v) for k, v in value.items()})
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return hash_of("constant", value)


_NULL = _hash_constant(None)

"""Hashes of encoded expressions, equal for equal computations however nodes are shared."""

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
    values = expression["values"]
    memo: dict[str, str] = {}

    def of_reference(key: str) -> str:
        if key not in memo:
            memo[key] = of_node(values[key])
        return memo[key]

    def of_node(node: Mapping[str, Any]) -> str:
        ((kind, content),) = node.items()
        if kind == "valueReference":
            return of_reference(content)
        if kind == "constantValue":
            return _hash_constant(content)
        if kind == "integerValue":
            return _hash_constant(int(content))
        if kind == "arrayValue":
            return hash_of("list", [of_node(child) for child in content["values"]])
        if kind == "dictionaryValue":
            return hash_of("dict", {k: of_node(v) for k, v in content["values"].items()})
        if kind == "functionDefinitionValue":
            return hash_of("def", [content["argumentNames"], of_reference(content["body"])])
        if kind == "functionInvocationValue":
            function = content.get("functionName") or of_reference(content["functionReference"])
            given = content.get("arguments", {}).items()
            # The client leaves out what is None, and to Earth Engine null means not given.
            arguments = {k: d for k, v in given if (d := of_node(v)) != _NULL}
            return hash_of("call", [function, arguments])
        return hash_of(kind, content)

    return of_reference(expression["result"])


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

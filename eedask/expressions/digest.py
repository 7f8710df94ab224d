"""What tells two encoded expressions apart, however an encoder has shared their nodes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from eedask.earthengine.nodes import Encoded


def digest(expression: Encoded) -> str:
    """Return a hash that two encoded expressions share when they ask for the same thing.

    References are followed, and constants are equal however they are nested into nodes, so
    what is shared, inlined or collapsed by an encoder makes no difference.
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
    """Return the hash of a kind of thing with its content, which JSON can write."""
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

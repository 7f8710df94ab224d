"""Reads the messages and enums of the REST API v1 from the discovery document.

A discovery document does not say which fields of a message are required, which fields exclude each
other, or what an enum is called. This is in ``data/rules.json``, where an enum is identified by its
first value. The file also lists names that an enum accepts in addition to its own: the client sends
``JSON`` for ``getDownloadURL("json")``, which is documented to give GeoJSON, and ``TF_RECORD``.
Whether the service accepts these is a guess.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from eedask.emulator.protocol.discovery import read_data
from eedask.emulator.protocol.schema_types import Enum, FieldType, Message

# The kinds of single values, by type and format in the document.
_SCALARS = {
    ("string", None): "string",
    ("any", None): "value",
    ("object", None): "object",
    ("boolean", None): "boolean",
    ("string", "byte"): "bytes",
    ("number", "double"): "number",
    ("string", "google-datetime"): "timestamp",
    ("integer", "int32"): "int32",
    ("string", "int64"): "int64",
}
_DOCUMENT = read_data("discovery.json")
_RULES = read_data("rules.json")
_ENUM_NAMES = {rule["first"]: name for name, rule in _RULES["enums"].items()}


def field_type(described: Mapping[str, Any]) -> FieldType:
    """Return the type of a field or parameter from its description in the document."""
    if "$ref" in described:
        return FieldType(described["$ref"])
    if "enum" in described:
        return FieldType(_ENUM_NAMES[described["enum"][0]])
    kind, inside = described["type"], described.get("additionalProperties")
    if kind == "array":
        return FieldType(field_type(described["items"]).name, "list")
    if kind == "object" and inside != {"type": "any"}:
        assert inside is not None
        return FieldType(field_type(inside).name, "map")
    return FieldType(_SCALARS[kind, described.get("format")])


def _enums(node: Any) -> Iterator[Enum]:
    """Yield the enums in a part of the document, where each is written out at its fields."""
    if isinstance(node, dict):
        if "enum" in node:
            name = _ENUM_NAMES[node["enum"][0]]
            yield Enum(name, tuple(node["enum"]), _RULES["enums"][name].get("aliases", {}))
        for child in node.values():
            yield from _enums(child)


def _message(name: str, described: Mapping[str, Any]) -> Message:
    rules = _RULES["messages"].get(name, {})
    return Message(
        name,
        {key: field_type(value) for key, value in described["properties"].items()},
        {key: tuple(members) for key, members in rules.get("oneofs", {}).items()},
        tuple(rules.get("required", ())),
        tuple(rules.get("any_of", ())),
    )


ENUMS: Mapping[str, Enum] = {enum.name: enum for enum in _enums(_DOCUMENT)}
MESSAGES: Mapping[str, Message] = {
    name: _message(name, described)
    for name, described in _DOCUMENT["schemas"].items()
    # Of messages that only refused methods have, the document gives no more than the name.
    if "properties" in described
}

"""The messages and enums of the REST API v1, as the discovery document has them.

A discovery document does not say which fields of a message are required, which exclude each
other, and what an enum is called: that is in ``data/rules.json``. There as well are names that
enums take besides their own. The client sends ``JSON`` for ``getDownloadURL("json")``, which is
documented to give GeoJSON, and ``TF_RECORD``; whether the service takes them is a guess.
"""

from __future__ import annotations

from collections.abc import Mapping
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
_RULES = read_data("rules.json")
_NAMES = {rule["first"]: name for name, rule in _RULES["enums"].items()}
ENUMS: dict[str, Enum] = {}
"""Enums by name. They have none in the document: it is found by their first value."""


def field_type(described: Mapping[str, Any]) -> FieldType:
    """Return what a field or parameter holds, from its description in the document."""
    if "$ref" in described:
        return FieldType(described["$ref"])
    if "enum" in described:
        return FieldType(_enum(described["enum"]))
    kind, inside = described["type"], described.get("additionalProperties")
    if kind == "array":
        return FieldType(field_type(described["items"]).name, "list")
    if kind == "object" and inside != {"type": "any"}:
        assert inside is not None
        return FieldType(field_type(inside).name, "map")
    return FieldType(_SCALARS[kind, described.get("format")])


def _enum(values: list[str]) -> str:
    name = _NAMES[values[0]]
    if name not in ENUMS:
        ENUMS[name] = Enum(name, tuple(values), _RULES["enums"][name].get("aliases", {}))
    return name


def _message(name: str, described: Mapping[str, Any]) -> Message:
    rules = _RULES["messages"].get(name, {})
    return Message(
        name,
        {key: field_type(value) for key, value in described["properties"].items()},
        {key: tuple(members) for key, members in rules.get("oneofs", {}).items()},
        tuple(rules.get("required", ())),
        tuple(rules.get("any_of", ())),
    )


MESSAGES: Mapping[str, Message] = {
    name: _message(name, described)
    for name, described in read_data("discovery.json")["schemas"].items()
    # Of messages that only refused methods have, the document gives no more than the name.
    if "properties" in described
}

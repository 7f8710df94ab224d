"""The discovery document and the list of algorithms: what a client asks for to initialise.

https://developers.google.com/discovery/v1/reference/apis describes the document's form. The list
of algorithms is the one that comes with the installed ``earthengine-api``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib import resources
from typing import Any

from eedask.emulator.protocol.api import METHODS, STANDARD_QUERY, Method
from eedask.emulator.protocol.enums import ENUMS
from eedask.emulator.protocol.schema_types import FieldType, Message
from eedask.emulator.protocol.schemas import MESSAGES

_SCALARS: Mapping[str, dict[str, Any]] = {
    "string": {"type": "string"},
    "value": {"type": "any"},
    "object": {"type": "object", "additionalProperties": {"type": "any"}},
    "boolean": {"type": "boolean"},
    "bytes": {"type": "string", "format": "byte"},
    "number": {"type": "number", "format": "double"},
    "timestamp": {"type": "string", "format": "google-datetime"},
    "int32": {"type": "integer", "format": "int32"},
    "int64": {"type": "string", "format": "int64"},
}
_SCOPE = "https://www.googleapis.com/auth/earthengine"


def discovery_document(root_url: str) -> dict[str, Any]:
    """Return the service's description for a server at ``root_url``."""
    root = root_url.rstrip("/") + "/"
    return {
        "kind": "discovery#restDescription",
        "discoveryVersion": "v1",
        "id": "earthengine:v1",
        "name": "earthengine",
        "version": "v1",
        "revision": "0",
        "title": "Google Earth Engine API (eedask emulator)",
        "description": "An offline stand-in for Google Earth Engine.",
        "ownerDomain": "google.com",
        "ownerName": "Google",
        "documentationLink": "https://developers.google.com/earth-engine",
        "protocol": "rest",
        "rootUrl": root,
        "baseUrl": root,
        "servicePath": "",
        "basePath": "",
        "batchPath": "batch",
        "version_module": True,
        "fullyEncodeReservedExpansion": True,
        "auth": {"oauth2": {"scopes": {_SCOPE: {"description": "Earth Engine"}}}},
        "parameters": {
            name: {**_SCALARS[kind], "location": "query"} for name, kind in STANDARD_QUERY.items()
        },
        "schemas": _schemas(),
        "resources": _resources(),
    }


def algorithms_json() -> bytes:
    """Return the body that answers ``projects.algorithms.list``."""
    return resources.files("ee").joinpath("tests/algorithms.json").read_bytes()


def _resources() -> dict[str, Any]:
    tree: dict[str, Any] = {}
    for method in METHODS:
        *path, name = method.id.split(".")
        node: dict[str, Any] = {"resources": tree}
        for part in path:
            node = node.setdefault("resources", {}).setdefault(part, {})
        node.setdefault("methods", {})[name] = _method(method)
    return tree


def _method(method: Method) -> dict[str, Any]:
    parameters: dict[str, Any] = {
        name: {**_path_parameter(pattern), "location": "path", "required": True}
        for name, pattern in method.patterns.items()
    }
    for name, kind in method.query.items():
        parameters[name] = {**_property(FieldType.parse(kind)), "location": "query"}
    described: dict[str, Any] = {
        "id": f"earthengine.{method.id}",
        "httpMethod": method.verb,
        "path": method.path,
        "flatPath": re.sub(r"\{\+(\w+)\}", r"{\1}", method.path),
        "parameters": parameters,
        "parameterOrder": list(method.patterns),
        "response": {"$ref": method.response},
        "scopes": [_SCOPE],
    }
    if method.body:
        described["request"] = {"$ref": method.body}
    return described


def _path_parameter(pattern: str) -> dict[str, Any]:
    # Resource names are anchored; what is left (a tile's zoom, x and y) are whole numbers.
    if pattern.startswith("^"):
        return {"type": "string", "pattern": pattern}
    return dict(_SCALARS["int32"])


def _schemas() -> dict[str, Any]:
    """Describe all messages; of those that only refused methods know, no more than the name."""
    named = {name for method in METHODS for name in (method.body, method.response) if name}
    opaque = {name: {"id": name, **_SCALARS["object"]} for name in sorted(named - MESSAGES.keys())}
    return {name: _schema(message) for name, message in MESSAGES.items()} | opaque


def _schema(message: Message) -> dict[str, Any]:
    properties = {name: _property(kind) for name, kind in message.fields.items()}
    return {"id": message.name, "type": "object", "properties": properties}


def _property(kind: FieldType) -> dict[str, Any]:
    if kind.container == "list":
        return {"type": "array", "items": _property(FieldType(kind.name))}
    if kind.container == "map":
        return {"type": "object", "additionalProperties": _property(FieldType(kind.name))}
    if kind.name in ENUMS:
        return {"type": "string", "enum": list(ENUMS[kind.name].values)}
    if kind.name in MESSAGES:
        return {"$ref": kind.name}
    return dict(_SCALARS[kind.name])

"""Builds expressions of Earth Engine's REST API from nodes and from encoded expressions.

The ``ee`` client takes milliseconds to build and encode an expression, too long to do for every
request. Here an expression is put together from parts that the client has encoded once, in
microseconds. The format is that of ``Expression`` of the REST API
(https://developers.google.com/earth-engine/reference/rest/v1/Expression).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import shapely
from ee import serializer
from shapely.geometry.base import BaseGeometry

from eedask.errors import InputError

Node = dict[str, Any]


def constant(value: Any) -> Node:
    """Return the node of a JSON value."""
    return {"constantValue": value}


def listed(nodes: Sequence[Node]) -> Node:
    """Return the node of a list."""
    return {"arrayValue": {"values": list(nodes)}}


def mapped(nodes: Mapping[str, Node]) -> Node:
    """Return the node of a dictionary."""
    return {"dictionaryValue": {"values": dict(nodes)}}


def argument(name: str) -> Node:
    """Return the node that stands for an argument, within the body of a function."""
    return {"argumentReference": name}


def call(function: str, **arguments: Node | None) -> Node:
    """Return the node of a call of one of Earth Engine's functions, without None arguments."""
    given = {name: node for name, node in arguments.items() if node is not None}
    return {"functionInvocationValue": {"functionName": function, "arguments": given}}


class Graph:
    """An expression that is being put together: nodes by key, which other nodes refer to."""

    def __init__(self) -> None:
        self._values: dict[str, Node] = {}
        self._embedded = 0

    def shared(self, node: Node) -> Node:
        """Add a node, and return a reference to it that can be used in more than one place."""
        key = f"n{len(self._values)}"
        self._values[key] = node
        return {"valueReference": key}

    def function(self, names: Sequence[str], body: Node) -> Node:
        """Return the node of a function of the arguments ``names``."""
        key = self.shared(body)["valueReference"]
        return {"functionDefinitionValue": {"argumentNames": list(names), "body": key}}

    def embed(self, expression: Encoded) -> Node:
        """Add an encoded expression, and return a reference to its result.

        Its keys get a prefix, so that they differ from those that the graph has.
        """
        prefix = f"e{self._embedded}."
        self._embedded += 1
        for key, node in expression["values"].items():
            self._values[prefix + key] = _renamed(node, prefix)
        return {"valueReference": prefix + expression["result"]}

    def encode(self, result: Node) -> Encoded:
        """Return the graph as an expression with this result."""
        return {"result": "result", "values": {**self._values, "result": result}}


def _renamed(node: Node, prefix: str) -> Node:
    """Return a copy of a node, with a prefix before the keys that it refers to."""
    ((kind, content),) = node.items()
    if kind == "valueReference":
        return {kind: prefix + content}
    if kind == "arrayValue":
        return {kind: {"values": [_renamed(child, prefix) for child in content["values"]]}}
    if kind == "dictionaryValue":
        children = content["values"].items()
        return {kind: {"values": {name: _renamed(child, prefix) for name, child in children}}}
    if kind == "functionDefinitionValue":
        return {kind: {**content, "body": prefix + content["body"]}}
    if kind == "functionInvocationValue":
        renamed = dict(content)
        if "functionReference" in content:
            renamed["functionReference"] = prefix + content["functionReference"]
        children = content.get("arguments", {}).items()
        renamed["arguments"] = {name: _renamed(child, prefix) for name, child in children}
        return {kind: renamed}
    return node


Encoded = dict[str, Any]

# Types of geometries without edges, whose constructors have no argument ``geodesic``.
WITHOUT_EDGES = ("Point", "MultiPoint")


def value_node(value: Any) -> Encoded:
    """Return the node of a plain value, equal to what the ``ee`` client would encode.

    Raises
    ------
    InputError
        If an expression cannot hold the value.
    """
    if isinstance(value, BaseGeometry):
        return _geometry_node(value)
    if value is None or isinstance(value, bool | str):
        return {"constantValue": value}
    try:
        encoded = serializer.encode(value, is_compound=False, for_cloud_api=True)
        return dict(encoded)
    except Exception as error:  # the client's errors for what it does not know are of many kinds
        raise InputError(
            f"the value {value!r} cannot stand in an expression of Earth Engine ({error}): make it"
            " a number, a text, a list or a datetime"
        ) from error


def _geometry_node(shape: BaseGeometry) -> Encoded:
    if shape.geom_type == "GeometryCollection":
        parts = [_geometry_node(part) for part in shapely.get_parts(shape)]
        arguments: Encoded = {"geometries": {"arrayValue": {"values": parts}}}
        arguments["geodesic"] = {"constantValue": False}
        function = "GeometryConstructors.MultiGeometry"
        return {"functionInvocationValue": {"functionName": function, "arguments": arguments}}
    coordinates = _coordinates(shape)
    arguments = {"coordinates": {"constantValue": coordinates}}
    if shape.geom_type not in WITHOUT_EDGES:
        arguments["geodesic"] = {"constantValue": False}
    function = f"GeometryConstructors.{shape.geom_type}"
    return {"functionInvocationValue": {"functionName": function, "arguments": arguments}}


def _coordinates(shape: BaseGeometry) -> list[Any]:
    """Return a shape's x and y coordinates, nested as in GeoJSON.

    ``shapely.geometry.mapping`` gives the same but goes vertex by vertex, and takes ten times as
    long.
    """
    if shape.geom_type == "Polygon":
        rings = shapely.get_rings(shape)
        return [shapely.get_coordinates(ring).tolist() for ring in rings]
    if shape.geom_type in ("MultiPolygon", "MultiLineString"):
        return [_coordinates(part) for part in shapely.get_parts(shape)]
    found: list[Any] = shapely.get_coordinates(shape).tolist()
    return found[0] if shape.geom_type == "Point" else found

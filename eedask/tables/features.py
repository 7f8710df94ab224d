"""The features of a request, each with the number of its item, and reading them in its answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import shapely

from eedask.earthengine.methods import reading, value_of
from eedask.earthengine.nodes import (
    Graph,
    Node,
    argument,
    call,
    constant,
    listed,
    mapped,
    value_node,
)
from eedask.expressions.compile import Expression
from eedask.items.item import WorkItem

# The property that tells which item of a request a feature is.
KEY = "eedask:item"

# The beginning of those that hold properties of its image. Not by their own names: a feature's
# "system:index" comes back as its id.
PROPERTY_KEY = "eedask:property_"


def point_features(
    points: Sequence[tuple[WorkItem, int]], marks: Mapping[str, Node], graph: Graph
) -> Node:
    """Return the collection of items that are points, their coordinates as one constant.

    Parameters
    ----------
    points : sequence of (WorkItem, int)
        Each with its number among the items of the request.
    marks : mapping of str to Node
        Properties that all of them get besides.
    graph : Graph
    """
    places = shapely.get_coordinates([item.geometry for item, _ in points]).tolist()
    rows = [[x, y, k] for (x, y), (_, k) in zip(places, points, strict=True)]
    row = argument("_eedask_row")
    place = call(
        "GeometryConstructors.Point",
        coordinates=call("List.slice", list=row, start=constant(0), end=constant(2)),
    )
    key = call("List.get", list=row, index=constant(2))
    feature = call("Feature", geometry=place, metadata=mapped({KEY: key, **marks}))
    make = graph.function(["_eedask_row"], feature)
    made = call("List.map", list=constant(rows), baseAlgorithm=make)
    return graph.shared(call("Collection", features=made))


def region_features(
    regions: Sequence[tuple[WorkItem, int]],
    region: Expression | None,
    marks: Mapping[str, Node],
    graph: Graph,
) -> Node:
    """Return the collection of items' regions: their own geometries, or what Earth Engine has.

    Parameters
    ----------
    regions : sequence of (WorkItem, int)
        Each with its number among the items of the request.
    region : Expression, optional
        From an item to its region; None where items have geometries.
    marks : mapping of str to Node
        Properties that all of them get besides.
    graph : Graph
    """
    features = []
    for item, k in regions:
        place = value_node(item.geometry) if region is None else graph.embed(region.encode(item))
        about = mapped({KEY: constant(k), **marks}) if marks else constant({KEY: k})
        features.append(call("Feature", geometry=place, metadata=about))
    return graph.shared(call("Collection", features=listed(features)))


def property_marks(source: Node, names: Sequence[str], graph: Graph) -> dict[str, Node]:
    """Return the properties of a feature that hold those of its image.

    Parameters
    ----------
    source : Node
        The image.
    names : sequence of str
        Its properties.
    graph : Graph
        Takes their values, which all features of the image share.
    """
    return {
        f"{PROPERTY_KEY}{k}": graph.shared(
            call("Element.get", object=source, property=constant(name))
        )
        for k, name in enumerate(names)
    }


def marked_properties(found: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
    """Return the properties of an image that a feature holds; None for those that it lacks."""
    return {name: found.get(f"{PROPERTY_KEY}{k}") for k, name in enumerate(names)}


def joined(collections: Sequence[Node]) -> Node:
    """Return one collection of the features of several."""
    if len(collections) == 1:
        return collections[0]
    return call("Collection.flatten", collection=call("Collection", features=listed(collections)))


def slim(graph: Graph, collection: Node) -> Node:
    """Return the collection without geometries, so that they are not sent back."""
    feature = argument("_eedask_feature")
    bare = call("Feature.setGeometry", feature=feature, geometry=constant(None))
    make = graph.function(["_eedask_feature"], bare)
    return call("Collection.map", collection=collection, baseAlgorithm=make)


def features_by_item(body: bytes, count: int) -> list[list[Mapping[str, Any]]]:
    """Return the properties of an answer's features, for each item of the request.

    Raises
    ------
    TransientError
        If the answer is not a whole one.
    """
    with reading(body, "features of the items", count):
        return rows_by_item(value_of(body), count)


def rows_by_item(collection: Any, count: int) -> list[list[Mapping[str, Any]]]:
    """Return the properties of a collection's features, for each item of the request.

    It raises whatever reading JSON of another shape raises; see
    :func:`~eedask.earthengine.methods.reading`.
    """
    rows: list[list[Mapping[str, Any]]] = [[] for _ in range(count)]
    for feature in collection["features"]:
        properties = feature["properties"]
        if not isinstance(properties, dict):
            raise ValueError(f"{properties!r} are no properties")
        position = int(properties[KEY])
        if not 0 <= position < count or position != properties[KEY]:
            raise ValueError(f"there is no item {properties[KEY]!r} among {count}")
        rows[position].append(properties)
    return rows

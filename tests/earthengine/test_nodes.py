"""Graphs built node by node: what is embedded keeps its meaning."""

from random import Random

import ee
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from eedask.earthengine.geometries import to_ee_geometry
from eedask.earthengine.nodes import Graph, argument, call, constant, listed, mapped, value_node
from eedask.expressions.digest import digest
from eedask.items.item import WorkItem

# What looks like a reference is none within a constant.
CONSTANTS = (None, True, 3, -2.5, "x", [1, 2], {"valueReference": "0"})


def expression_of(seed):
    """A graph of nodes of all kinds, each referring to those before it."""
    random = Random(seed)
    values = {}

    def node(depth):
        kinds = [lambda: constant(random.choice(CONSTANTS)), lambda: argument("x")]
        if values:
            kinds += 2 * [lambda: {"valueReference": random.choice(list(values))}]
            kinds.append(defined)
        if depth:
            kinds += [lambda: listed([node(depth - 1) for _ in range(random.randrange(3))])]
            kinds += [lambda: mapped(named(depth)), lambda: call("Some.thing", **named(depth))]
            kinds += [lambda: computed(depth)] if values else []
        return random.choice(kinds)()

    def named(depth):
        return {name: node(depth - 1) for name in "ab"[: random.randrange(3)]}

    def defined():
        body = random.choice(list(values))
        return {"functionDefinitionValue": {"argumentNames": ["x"], "body": body}}

    def computed(depth):
        function = random.choice(list(values))
        invoked = {"functionReference": function, "arguments": named(depth)}
        return {"functionInvocationValue": invoked}

    for key in range(random.randrange(1, 8)):
        values[str(key)] = node(3)
    return {"result": random.choice(list(values)), "values": values}


EXPRESSIONS = st.integers(0, 10**6).map(expression_of)


@settings(deadline=None)
@given(EXPRESSIONS, EXPRESSIONS)
def test_an_embedded_expression_keeps_its_digest(first, second):
    graph = Graph()
    result = listed([graph.embed(first), graph.embed(second), graph.embed(first)])
    made = graph.encode(result)
    references = [node["valueReference"] for node in result["arrayValue"]["values"]]
    for expression, reference in zip((first, second, first), references, strict=True):
        assert digest({**made, "result": reference}) == digest(expression)


@settings(deadline=None)
@given(EXPRESSIONS)
def test_embedding_leaves_the_expression_as_it_is(expression):
    before = repr(expression)
    Graph().embed(expression)
    assert repr(expression) == before


def encoded(value):
    return ee.serializer.encode(value, for_cloud_api=True)


def test_a_graph_equals_what_the_client_encodes(earth_engine):
    image = ee.Image.constant(1).add(2)
    features = ee.FeatureCollection([ee.Feature(None, {"k": 1}), ee.Feature(None, {"k": 2})])
    wanted = features.map(lambda feature: feature.setGeometry(None)).size()

    graph = Graph()
    bare = call("Feature.setGeometry", feature=argument("f"), geometry=constant(None))
    made = [call("Feature", geometry=constant(None), metadata=constant({"k": k})) for k in (1, 2)]
    collection = graph.shared(call("Collection", features=listed(made)))
    mapping = call(
        "Collection.map", collection=collection, baseAlgorithm=graph.function(["f"], bare)
    )
    mine = graph.encode(call("Collection.size", collection=mapping))
    assert ask(mine) == wanted.getInfo() == 2

    graph = Graph()
    sum_ = call("Image.add", image1=graph.embed(encoded(image)), image2=graph.embed(encoded(image)))
    assert digest(graph.encode(sum_)) == digest(encoded(image.add(image)))


def ask(expression):
    value = ee.deserializer.decode(expression)
    return value.getInfo()


SHAPES = [
    "POINT (1 2)",
    "MULTIPOINT (1 2, 3 4)",
    "LINESTRING (0 0, 1 1)",
    "POLYGON ((0 0, 1 0, 1 1, 0 0))",
    "POLYGON Z ((0 0 5, 1 0 5, 1 1 5, 0 0 5))",
    "MULTIPOLYGON (((0 0, 1 0, 1 1, 0 0)), ((5 5, 6 5, 6 6, 5 5)))",
    "GEOMETRYCOLLECTION (POINT (1 2), POLYGON ((0 0, 1 0, 1 1, 0 0)))",
]


@pytest.mark.parametrize("text", SHAPES)
def test_geometries_are_encoded_as_the_client_does(earth_engine, text):
    item = WorkItem(0, shapely.from_wkt(text))
    node = value_node(item.value("geometry"))
    wanted = encoded(to_ee_geometry(item.geometry))
    assert digest({"result": "0", "values": {"0": node}}) == digest(wanted)
    assert to_ee_geometry(item.geometry).getInfo()["type"] == item.geometry.geom_type

"""Binding a traced graph asks for the same as building it, for every item."""

import datetime

import ee
import numpy as np
import pandas as pd
import pytest
import shapely
from ee import serializer
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from eedask.earthengine.geometries import to_ee_geometry
from eedask.earthengine.nodes import value_node
from eedask.errors import InputError
from eedask.expressions.compile import Builder, Template, compile_expression
from eedask.expressions.digest import digest
from eedask.expressions.symbols import BoundItem
from eedask.items.item import WorkItem

pytestmark = pytest.mark.usefixtures("earth_engine")

# The client's functions exist once it is initialised, and a fixture does that once per test.
per_test = settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=20
)


def naip(item):
    return (
        ee.ImageCollection("USDA/NAIP/DOQQ")
        .filterBounds(item.geometry)
        .filterDate("2019", "2020")
        .mosaic()
        .select(["R", "G", "B"])
    )


def arithmetic(item):
    image = ee.Image.constant(item["x"]).add(ee.Number(item["n"]).multiply(item["x"]))
    return image.set("name", item["name"]).clip(item.geometry.buffer(127).bounds())


def mapped(item):
    def add(image):
        nested = ee.List([1, 2]).map(lambda k: ee.Number(k).add(item["n"]))
        mean = image.reduceRegion(ee.Reducer.mean(), item.geometry, item["x"])
        return image.set({"nested": nested, "mean": mean, "name": item["name"]})

    return ee.ImageCollection("MODIS/061/MOD11A2").map(add).mosaic()


def by_id(item):
    return ee.Image(item["name"])


def constants(item):
    box = ee.Geometry.Rectangle([0, 0, 1, 1])
    return ee.Image.constant([item["x"], 1, item["n"]]).clip(box).set("list", [item["name"], "a"])


def condition(item):
    return ee.Image(1) if item["x"] > 1 else ee.Image(2)


def equality(item):
    return ee.Image(1) if item["n"] == 3 else ee.Image(2)


def formatted(item):
    return ee.Image(f"projects/p/assets/{item['name']}")


def by_python_type(item):
    """Take another branch for symbols than for values, without an error."""
    return ee.Image(1) if isinstance(item["name"], str) else ee.Image(2)


TRACEABLE = [naip, arithmetic, mapped, by_id, constants]
UNTRACEABLE = [condition, equality, formatted, by_python_type]

coordinates = st.tuples(st.floats(-180, 180), st.floats(-85, 85))
shapes = st.one_of(
    coordinates.map(shapely.Point),
    coordinates.map(lambda p: shapely.box(p[0], p[1], p[0] + 1, p[1] + 1)),
    coordinates.map(lambda p: shapely.Point(p).buffer(1) - shapely.Point(p).buffer(0.5)),
    st.lists(coordinates, min_size=2, max_size=4).map(shapely.LineString),
    st.lists(coordinates, min_size=1, max_size=4).map(shapely.MultiPoint),
)
items = st.builds(
    lambda shape, x, n, name: WorkItem("i", shape, {"x": x, "n": n, "name": name}),
    shapes,
    st.floats(allow_nan=False, allow_infinity=False),
    st.integers(-(2**60), 2**60),
    st.text(),
)


def example(k=0):
    when = datetime.datetime(2020, 1, 1 + k, tzinfo=datetime.UTC)
    values = {"x": 0.5 * k, "n": k, "name": f"a/{k}", "day": when, "none": None}
    return WorkItem(f"p{k}", shapely.Point(-105 + k, 39), values)


def built(function, item):
    return serializer.encode(function(BoundItem(item)), for_cloud_api=True)


@pytest.mark.parametrize("function", TRACEABLE)
@per_test
@given(first=items, other=items)
def test_binding_equals_building(function, first, other):
    template = compile_expression(function, [first], expect=ee.Image)
    assert isinstance(template, Template)
    assert digest(template.encode(other)) == digest(built(function, other))


@pytest.mark.parametrize("function", UNTRACEABLE)
def test_what_cannot_be_traced_is_built_for_every_item(function):
    samples = [example(k) for k in range(6)]
    expression = compile_expression(function, samples, expect=ee.Image)
    assert isinstance(expression, Builder)
    assert expression.reason is not None
    for item in samples:
        assert expression.encode(item) == built(function, item)


def test_the_reason_is_told():
    samples = [example(k) for k in range(6)]
    in_python = compile_expression(formatted, samples).reason
    assert in_python.startswith("it uses a value of the item in Python itself (a condition, an")
    other = compile_expression(by_python_type, samples).reason
    assert "differs from the others in more than the item's values" in other


def test_the_reason_is_told_in_words_of_the_user():
    def product(item):
        return ee.Image.constant(item["x"] * 2)

    reason = compile_expression(product, [example(k) for k in range(3)]).reason
    assert "(TypeError: unsupported operand type(s) for *: 'ee.Number' and 'int')" in reason


def test_equal_constants_do_not_collide():
    def function(item):
        return ee.Image.constant(7).add(item["n"]).add(ee.Image.constant([7, 7]))

    template = compile_expression(function, [WorkItem(1, None, {"n": 7})])
    assert isinstance(template, Template)
    eight = WorkItem(2, None, {"n": 8})
    assert digest(template.encode(eight)) == digest(built(function, eight))


def test_dates_ids_and_missing_values():
    def function(item):
        dated = ee.Image(0).set("day", ee.Date(item["day"]), "id", item.id, "zone", item.utm_crs)
        return dated.set("none", item["none"])

    template = compile_expression(function, [example(0), example(3)])
    assert isinstance(template, Template)
    assert digest(template.encode(example(5))) == digest(built(function, example(5)))
    # A date without a time of day is its midnight, as people and files have them.
    midnight = datetime.datetime(2020, 1, 6)
    for day in (midnight.date(), np.datetime64("2020-01-06"), pd.Timestamp(midnight)):
        dated = WorkItem("p5", shapely.Point(-100, 39), {**example(5).values, "day": day})
        assert digest(template.encode(dated)) == digest(template.encode(example(5)))


def test_an_image_for_all_items_has_no_slots():
    template = compile_expression(ee.Image("a").select("R"), [example()], expect=ee.Image)
    assert not template.depends_on_item
    assert template.encode(example(1)) == template.encode(example(2))


def test_graphs_that_differ_differ():
    graphs = [built(f, example(1)) for f in (naip, arithmetic, mapped, by_id, constants)]
    graphs += [built(naip, example(2)), built(constants, example(2))]
    assert len({digest(g) for g in graphs}) == len(graphs)


def test_functions_that_fail_say_on_which_item():
    def wrong(item):
        return item["no_such_column"]

    with pytest.raises(InputError, match=r"'wrong' fails on item 'p0': KeyError.*no_such_column"):
        compile_expression(wrong, [example()])


def test_other_things_than_images_are_refused():
    with pytest.raises(InputError, match=r"an ee\.Image is needed.*ImageCollection"):
        compile_expression(lambda _: ee.ImageCollection("a"), [example()], expect=ee.Image)
    with pytest.raises(InputError, match=r"an ee\.Image is needed.*str"):
        compile_expression("a", [example()], expect=ee.Image)


HOLED = shapely.Polygon(
    [(0, 0), (4, 0), (4, 4), (0, 4)],
    [[(1, 1), (2, 1), (2, 2)], [(3, 3), (3.5, 3), (3.5, 3.5)]],
)
LINE = shapely.LineString([(0, 0), (1, 0.1), (2, 5)])


@pytest.mark.parametrize(
    "shape",
    [
        shapely.Point(1.5, -2),
        shapely.MultiPoint([(1, 2), (3, 4.25)]),
        LINE,
        shapely.LinearRing([(0, 0), (1, 0), (1, 1)]),
        shapely.MultiLineString([LINE, [(7, 7), (8, 8)]]),
        HOLED,
        shapely.MultiPolygon([HOLED, shapely.box(5, 5, 6, 6)]),
        shapely.GeometryCollection([HOLED, shapely.Point(9, 9)]),
    ],
    ids=lambda shape: shape.geom_type,
)
@pytest.mark.parametrize("dimensions", [2, 3])
def test_geometries_are_encoded_as_the_client_does(shape, dimensions):
    given = shape if dimensions == 2 else shapely.force_3d(shape, z=7.5)
    node = {"result": "0", "values": {"0": value_node(given)}}
    wanted = serializer.encode(to_ee_geometry(shape), for_cloud_api=True)
    assert digest(node) == digest(wanted)


def test_what_a_plan_is_known_by_does_not_depend_on_its_items():
    items = [WorkItem(n, None, {"n": n, "other": "x"}) for n in (0, 1)]

    def made(function, some=items):
        return compile_expression(function, some)

    times = made(lambda item: ee.Image(item["n"]).multiply(2))
    assert times.fields == {"column:n"}
    assert times.template == made(lambda item: ee.Image(item["n"]).multiply(2), items[1:]).template
    assert times.template != made(lambda item: ee.Image(item["n"]).multiply(3)).template
    assert times.template != made(lambda item: ee.Image(item["other"]).multiply(2)).template
    assert times.hash_for(items[0]) == digest(times.encode(items[0])) != times.hash_for(items[1])


def test_a_function_that_is_called_for_each_item_is_known_by_samples():
    items = [WorkItem(n, None, {"n": n}) for n in (0, 1)]

    def of(values):
        found = compile_expression(lambda item: ee.Image(values[item["n"]]), items)
        assert found.fields is found.template is None
        return [found.hash_for(item) for item in items]

    assert of({0: 10, 1: 20}) == of({0: 10, 1: 20})
    assert of({0: 10, 1: 20}) != of({0: 10, 1: 99})
    # An item that it fails on has none.
    assert of({0: 10})[1] is None


def test_a_function_that_fails_on_some_items_is_called_for_each():
    def uneven(item):
        return ee.Image(1 // item["n"])

    items = [WorkItem(n, None, {"n": n}) for n in (0, 1)]
    expression = compile_expression(uneven, items, expect=ee.Image)
    assert expression.reason is not None
    assert "'uneven' fails on item 0: ZeroDivisionError" in expression.reason
    with pytest.raises(InputError, match="fails on item 0: ZeroDivisionError"):
        expression.encode(items[0])
    with pytest.raises(InputError, match="fails on item 0"):
        compile_expression(uneven, items[:1])


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (lambda item: item["N"], r"no column 'N'; they have \['n'\]"),
        (lambda item: item["id"], r"no column 'id'; they have \['n'\]; an item's id is item\.id"),
        (lambda item: item.n, r"columns as item\[NAME\], not \.n; the columns are \['n'\]"),
    ],
)
def test_what_an_item_has_not_is_answered_with_what_it_has(function, words):
    with pytest.raises(InputError, match=words):
        compile_expression(function, [WorkItem(1, None, {"n": 7})])

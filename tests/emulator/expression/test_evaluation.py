"""Expression graphs: every kind of node, evaluated once, and errors instead of crashes."""

import inspect
import json
import re

import pytest
from graphs import Tables, call, encode, function, info_of, value_of

from eedask.emulator.errors import EarthEngineError
from eedask.emulator.expression.expression import Context, evaluate
from eedask.emulator.expression.signatures import signature
from eedask.emulator.functions.registry import IMPLEMENTATIONS
from eedask.emulator.values.info import to_info
from eedask.emulator.values.value_types import Feature


def add(left, right):
    return call("Number.add", left=left, right=right)


def run(values, result="0", catalog=None):
    return to_info(evaluate({"result": result, "values": values}, Context(catalog)))


def fails(item, catalog=None):
    with pytest.raises(EarthEngineError) as caught:
        info_of(item, catalog)
    assert caught.value.code == 400
    return caught.value.message


def broken(expression):
    with pytest.raises(EarthEngineError) as caught:
        evaluate(expression, Context(None))
    assert caught.value.code == 400
    return caught.value.message


@pytest.mark.parametrize(
    ("node", "expected"),
    [
        ({"constantValue": [1, {"a": None}]}, [1, {"a": None}]),
        ({"constantValue": None}, None),
        ({"integerValue": "9007199254740993"}, 9007199254740993),
        ({"bytesValue": "AAA="}, "AAA="),
        ({"arrayValue": {"values": [{"constantValue": 1}, {"valueReference": "x"}]}}, [1, "X"]),
        ({"dictionaryValue": {"values": {"k": {"valueReference": "x"}}}}, {"k": "X"}),
        ({"arrayValue": {}}, []),
        ({"valueReference": "x"}, "X"),
    ],
)
def test_every_kind_of_value(node, expected):
    assert run({"0": node, "x": {"constantValue": "X"}}) == expected


def test_functions_are_called_by_reference_with_named_arguments():
    body = encode(call("Number.subtract", left=1, right=2))["values"]["result"]
    arguments = body["functionInvocationValue"]["arguments"]
    arguments["left"], arguments["right"] = {"argumentReference": "a"}, {"argumentReference": "b"}
    values = {
        "body": body,
        "f": {"functionDefinitionValue": {"argumentNames": ["a", "b"], "body": "body"}},
        "0": {
            "functionInvocationValue": {
                "functionReference": "f",
                "arguments": {"b": {"constantValue": 2}, "a": {"constantValue": 7}},
            }
        },
    }
    assert run(values) == 5
    values["f"] = {"constantValue": 3}
    with pytest.raises(EarthEngineError, match="must refer to a function"):
        run(values)


def test_inner_functions_see_outer_arguments_and_may_hide_them():
    def pairs(outer):
        return call(
            "List.map",
            list=[10, 20],
            baseAlgorithm=function(lambda inner: add(outer, inner), "_MAPPING_VAR_0_0"),
        )

    nested = call("List.map", list=[1, 2], baseAlgorithm=function(pairs, "_MAPPING_VAR_1_0"))
    assert info_of(nested) == [[11, 21], [12, 22]]
    hidden = call(
        "List.map",
        list=[1, 2],
        baseAlgorithm=function(
            lambda x: call("List.map", list=[5], baseAlgorithm=function(lambda x: add(x, 0), "x")),
            "x",
        ),
    )
    assert info_of(hidden) == [[5], [5]]


def test_a_body_that_two_functions_share_is_evaluated_for_each():
    body = encode(add(1, 1))["values"]["result"]
    body["functionInvocationValue"]["arguments"]["left"] = {"argumentReference": "x"}

    def mapped(numbers):
        definition = {"functionDefinitionValue": {"argumentNames": ["x"], "body": "body"}}
        arguments = {"list": {"constantValue": numbers}, "baseAlgorithm": definition}
        return {"functionInvocationValue": {"functionName": "List.map", "arguments": arguments}}

    values = {"body": body, "0": {"arrayValue": {"values": [mapped([1]), mapped([5, 6])]}}}
    assert run(values) == [[2], [6, 7]]


def test_shared_nodes_and_loop_invariants_are_evaluated_once():
    catalog = Tables({"T": [Feature(None, {"a": i}, id=str(i)) for i in range(7)]})
    table = call("Collection.loadTable", tableId="T")
    mapped = call(
        "Collection.map",
        collection=call("Collection.loadTable", tableId="T"),
        baseAlgorithm=function(
            lambda f: call(
                "Element.set", object=f, key="n", value=call("Collection.size", collection=table)
            ),
            "f",
        ),
    )
    column = call("AggregateFeatureCollection.array", collection=mapped, property="n")
    assert info_of(column, catalog) == [7] * 7
    # Once for the mapped table and once for the one inside the function, though seven call it.
    assert catalog.loads == 2
    assert len(catalog.queries) == 2


def test_only_the_branch_taken_is_evaluated():
    wrong = call("Dictionary.get", dictionary={}, key="nothing")
    assert info_of(call("If", condition=1, trueCase=2, falseCase=wrong)) == 2
    assert info_of(call("If", condition="", trueCase=wrong, falseCase=3)) == 3
    assert info_of(call("If", condition=0, trueCase=wrong)) is None
    assert info_of(call("If")) is None
    assert "nothing" in fails(call("If", condition=wrong, trueCase=1))
    factorial = call("If", condition=True, trueCase=1, falseCase=2, other=3)
    assert "Unrecognized argument 'other'" in fails(factorial)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"0": {"valueReference": "0"}}, "cycle"),
        ({"0": {"arrayValue": {"values": [{"valueReference": "0"}]}}}, "cycle"),
        ({"0": {"valueReference": "nowhere"}}, "unknown value 'nowhere'"),
        ({"1": {"constantValue": 1}}, "unknown value '0'"),
        ({"0": {"argumentReference": "x"}}, "'x'"),
        ({"0": {"strangeValue": 1}}, "not a value"),
        ({"0": {"constantValue": 1, "integerValue": "1"}}, "not a value"),
        ({"0": [1]}, "not a value"),
        ({"0": {"integerValue": "one"}}, "malformed integerValue"),
        ({"0": {"arrayValue": [1]}}, "malformed arrayValue"),
        ({"0": {"functionInvocationValue": {"arguments": {}}}}, "malformed"),
        ({"0": {"functionInvocationValue": {"functionName": ["a"]}}}, "Unknown algorithm"),
        ({"0": {"functionDefinitionValue": {"argumentNames": 3, "body": "0"}}}, "malformed"),
    ],
)
def test_malformed_graphs_are_refused(values, words):
    assert words in broken({"result": "0", "values": values})


@pytest.mark.parametrize("expression", [{}, {"values": 3}, [], {"result": "0"}])
def test_what_is_no_graph_is_refused(expression):
    assert "Invalid expression" in broken(expression)


def test_thousands_of_nested_nodes_are_no_matter():
    deep = {"0": {"constantValue": 0}}
    for i in range(1, 20_000):
        arguments = {"left": {"valueReference": str(i - 1)}, "right": {"constantValue": 1}}
        invocation = {"functionName": "Number.add", "arguments": arguments}
        deep[str(i)] = {"functionInvocationValue": invocation}
    assert run(deep, "19999") == 19_999


def test_what_is_too_deep_to_be_computed_is_an_error_and_no_crash():
    collection = encode(call("Collection", features=[call("Feature")]))
    values = {"0": collection["values"]["result"]}
    for i in range(1, 3000):
        arguments = {"collection": {"valueReference": str(i - 1)}, "limit": {"constantValue": 1}}
        invocation = {"functionName": "Collection.limit", "arguments": arguments}
        values[str(i)] = {"functionInvocationValue": invocation}
    values["size"] = {
        "functionInvocationValue": {
            "functionName": "Collection.size",
            "arguments": {"collection": {"valueReference": "2999"}},
        }
    }
    assert "too deeply nested" in broken({"result": "size", "values": values})
    with pytest.raises(EarthEngineError, match="too deeply nested"):
        run(values, "2999")


def test_errors_of_mapped_functions_say_where_and_what():
    features = [call("Feature", metadata={"a": 1}), call("Feature", metadata={"b": 1})]
    mapped = call(
        "Collection.map",
        collection=call("Collection", features=features),
        baseAlgorithm=function(
            lambda f: call(
                "Element.set",
                object=f,
                key="c",
                value=add(call("Element.get", object=f, property="a"), 1),
            ),
            "f",
        ),
    )
    message = fails(mapped)
    assert message.startswith("Error in map(ID=1):\n")
    assert message.endswith("Number.add: Parameter 'left' is required and may not be null.")


def test_calls_are_held_against_signatures():
    assert "Unknown algorithm: 'Number.plus'" in fails(call("Number.plus"))
    assert "Number.add: Unrecognized argument 'up'" in fails(
        call("Number.add", left=1, right=2, up=3)
    )
    assert "Number.add: Parameter 'right' is required" in fails(call("Number.add", left=1))
    wrong = fails(call("Number.add", left=1, right="2"))
    assert re.match(r"Number.add, argument 'right': Invalid type", wrong)
    assert "Expected type: Number" in wrong
    assert "Actual type: String" in wrong
    # A model on Google's servers can never run here.
    model = call("Model.fromVertexAi", endpoint="projects/p/locations/l/endpoints/e")
    assert "does not support the algorithm Model.fromVertexAi" in fails(model)


def test_every_implementation_takes_what_its_signature_declares():
    for name, implementation in IMPLEMENTATIONS.items():
        expected = len(signature(name).arguments) + implementation.needs_context
        parameters = inspect.signature(implementation.function).parameters.values()
        assert all(p.kind != p.KEYWORD_ONLY for p in parameters), name
        taken = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
        exact = len(taken) == expected or any(p.kind == p.VAR_POSITIONAL for p in parameters)
        assert exact, f"{name} takes {len(taken)} arguments, its signature has {expected}"


def test_faults_of_the_emulator_name_the_algorithm(monkeypatch):
    def faulty(*_):
        raise ZeroDivisionError("oh")

    fault = type(IMPLEMENTATIONS["Number.add"])(faulty, False)
    monkeypatch.setitem(signature("Number.add").__dict__, "implementation", fault)
    assert "Number.add: Internal error of the eedask emulator: ZeroDivisionError: oh" in fails(
        add(1, 2)
    )


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (5, 5),
        (5.0, 5),
        (-0.5, -0.5),
        (float("nan"), "NaN"),
        (float("inf"), "Infinity"),
        (-float("inf"), "-Infinity"),
        (1e300, 1e300),
        (True, True),
        ([1.0, {"a": 2.5}], [1, {"a": 2.5}]),
    ],
)
def test_numbers_in_answers(value, expected):
    answer = to_info(value)
    assert answer == expected
    assert type(answer) is type(expected)
    json.dumps(answer, allow_nan=False)


def test_collections_of_more_than_5000_elements_are_not_answered():
    def points(n):
        return call(
            "FeatureCollection.randomPoints",
            region=call("GeometryConstructors.BBox", west=0, south=0, east=1, north=1),
            points=n,
        )

    assert len(info_of(points(5000))["features"]) == 5000
    assert fails(points(5001)) == (
        "Collection query aborted after accumulating over 5000 elements."
    )
    assert info_of(call("Collection.size", collection=points(5001))) == 5001


def test_functions_themselves_have_no_json():
    assert "cannot be computed" in fails(function(lambda x: x, "x"))


def test_promotions_of_arguments():
    point = call("GeometryConstructors.Point", coordinates=[1, 2])
    feature = call("Feature", geometry=point, metadata={"system:time_start": 86_400_000})
    assert info_of(call("Geometry.coordinates", geometry=feature)) == [1, 2]
    assert info_of(call("Collection.size", collection=[feature, point])) == 2
    assert info_of(call("Collection.size", collection=point)) == 1
    assert info_of(call("Date.millis", date=feature)) == 86_400_000
    assert info_of(call("Date.millis", date="1970-01-02")) == 86_400_000
    assert info_of(call("Feature.id", element=point)) is None
    assert value_of(call("Geometry.buffer", geometry=point, distance=1, maxError=1)).geodesic
    assert info_of(call("List.get", list=[1, 2], index=1.0)) == 2
    assert "Expected type: Integer" in fails(call("List.get", list=[1, 2], index=1.5))
    assert info_of(call("Number.add", left=True, right=1)) == 2

"""Requests are checked against the discovery document, and wrong fields named as Google does."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eedask.emulator.errors import EarthEngineError
from eedask.emulator.protocol.api import METHODS, route
from eedask.emulator.protocol.fitting import Unfit, fitted
from eedask.emulator.protocol.schema_types import snake_case
from eedask.emulator.protocol.schemas import MESSAGES
from eedask.emulator.protocol.validation import (
    _Checker,
    check_workload_tag,
    parse_body,
    parse_query,
)

ONE = {"result": "0", "values": {"0": {"constantValue": 1}}}


def pixels(**fields):
    return parse_body(json.dumps({"expression": ONE, **fields}).encode(), "ComputePixelsRequest")


def refusal(body, message="ComputePixelsRequest"):
    text = body if isinstance(body, bytes) else json.dumps(body).encode()
    with pytest.raises(EarthEngineError) as caught:
        parse_body(text, message)
    assert caught.value.code == 400
    return caught.value


def test_names_may_be_camel_or_snake():
    grid = {"crs_code": "EPSG:4326", "affine_transform": {"scale_x": 2}}
    assert pixels(grid=grid, file_format="NPY") == {
        "expression": ONE,
        "grid": {"crsCode": "EPSG:4326", "affineTransform": {"scaleX": 2.0}},
        "fileFormat": "NPY",
    }


def test_null_is_not_said_but_a_null_constant_is_a_value():
    assert pixels(fileFormat=None, bandIds=None) == {"expression": ONE}
    graph = {"result": "0", "values": {"0": {"constantValue": None}}}
    body = json.dumps({"expression": graph}).encode()
    assert parse_body(body, "ComputeValueRequest") == {"expression": graph}


def test_unknown_fields_are_told_as_google_tells_them():
    # The body that OSGeo/gdal#805 shows.
    error = refusal({"expression": ONE, "grid": {"origin": 1, "pixel_size": 2}})
    words = [
        f"Invalid JSON payload received. Unknown name \"{name}\" at 'grid': Cannot find field."
        for name in ("origin", "pixel_size")
    ]
    assert error.message == "\n".join(words)
    body = error.body()["error"]
    assert (body["code"], body["status"]) == (400, "INVALID_ARGUMENT")
    assert body["details"] == [
        {
            "@type": "type.googleapis.com/google.rpc.BadRequest",
            "fieldViolations": [{"field": "grid", "description": text} for text in words],
        }
    ]


def test_unknown_field_at_the_top_has_no_place():
    assert refusal({"expression": ONE, "scale": 30}).message == (
        'Invalid JSON payload received. Unknown name "scale": Cannot find field.'
    )


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        (
            {"fileFormat": "NUMPY_NDARRAY"},
            "Invalid value at 'file_format' "
            '(type.googleapis.com/google.earthengine.v1.ImageFileFormat), "NUMPY_NDARRAY"',
        ),
        (
            {"grid": {"dimensions": {"width": "wide"}}},
            "Invalid value at 'grid.dimensions.width' (TYPE_INT32), \"wide\"",
        ),
        (
            {"grid": {"dimensions": {"width": 2**31}}},
            "Invalid value at 'grid.dimensions.width' (TYPE_INT32), 2147483648",
        ),
        ({"workloadTag": 5}, "Invalid value at 'workload_tag' (TYPE_STRING), 5"),
        ({"bandIds": ["a", 1]}, "Invalid value at 'band_ids[1]' (TYPE_STRING), 1"),
        (
            {"grid": 3},
            "Invalid value at 'grid' (type.googleapis.com/google.earthengine.v1.PixelGrid), 3",
        ),
        (
            {"grid": {"crsCode": "EPSG:4326", "crsWkt": "x"}},
            "Invalid value at 'grid' (oneof), oneof field 'crs' is already set. "
            "Cannot set 'crsWkt'",
        ),
        (
            {"grid": {"dimensions": [1, 2]}},
            "Invalid JSON payload received. Unknown name \"dimensions\" at 'grid': "
            "Proto field is not repeating, cannot start list.",
        ),
    ],
)
def test_wrong_values_are_told(fields, words):
    assert refusal({"expression": ONE, **fields}).message == words


def test_numbers_in_all_their_json_forms():
    dimensions = pixels(grid={"dimensions": {"width": "4", "height": 4.0}})["grid"]["dimensions"]
    assert dimensions == {"width": 4, "height": 4}
    assert type(dimensions["height"]) is int
    ranges = pixels(visualizationOptions={"ranges": [{"min": "-1.5e1", "max": "Infinity"}]})
    assert ranges["visualizationOptions"]["ranges"] == [{"min": -15.0, "max": float("inf")}]
    graph = {"result": "0", "values": {"0": {"integerValue": 9007199254740993}}}
    body = json.dumps({"expression": graph}).encode()
    node = parse_body(body, "ComputeValueRequest")["expression"]["values"]["0"]
    assert node == {"integerValue": "9007199254740993"}


def test_enums_by_number():
    assert pixels(fileFormat=4)["fileFormat"] == "NPY"


def test_bare_nan_shows_where_it_is():
    body = b'{"expression":{"result":"NaN","values":{"NaN":{"constantValue":NaN}}}}'
    message = refusal(body).message
    first, excerpt, caret = message.split("\n")
    assert first == "Invalid JSON payload received. Unexpected token."
    assert excerpt[caret.index("^") :].startswith("NaN}}")
    assert b"Infinity" not in body
    assert "Unexpected token" in refusal(b'{"a": -Infinity}').message


@pytest.mark.parametrize("body", [b"[]", b"{", b'"x"', b"\xff", b"[" * 5000])
def test_what_is_no_json_object(body):
    assert refusal(body).message.startswith("Invalid JSON payload received.")


def test_expression_is_required_and_whole():
    assert refusal(b"").message == "Missing required field: expression."
    assert "expression.result" in refusal({"expression": {"values": {}}}).message
    hollow = {"expression": {"result": "0", "values": {"0": {}}}}
    assert "expression.values[0].value.constantValue" in refusal(hollow).message
    both = {"constantValue": 1, "valueReference": "0"}
    two_kinds = {"expression": {"result": "0", "values": {"0": both}}}
    assert "oneof field 'kind' is already set" in refusal(two_kinds).message


@pytest.mark.parametrize("depth", [150, 5000])
def test_very_deep_expressions_are_refused_not_a_crash(depth):
    node = '{"arrayValue":{"values":[' * depth + '{"constantValue":1}' + "]}}" * depth
    body = '{"expression":{"result":"0","values":{"0":' + node + "}}}"
    assert "too deep" in refusal(body.encode(), "ComputeValueRequest").message


@pytest.mark.parametrize("tag", ["a", "my-tag_1", "A9", "x" * 63])
def test_good_tags(tag):
    check_workload_tag(tag)
    assert pixels(workloadTag=tag)["workloadTag"] == tag


@pytest.mark.parametrize("tag", ["-a", "a.b", "x" * 64, "a ", "é"])
def test_bad_tags(tag):
    assert "workload tag" in refusal({"expression": ONE, "workloadTag": tag}).message
    thumbnails, _ = route("POST", "/v1/projects/p/thumbnails")
    with pytest.raises(EarthEngineError, match="workload tag"):
        parse_query({"workloadTag": tag}, thumbnails)


def test_queries():
    listing, _ = route("GET", "/v1/projects/p/assets/x:listAssets")
    asked = {"pageSize": "5", "view": "BASIC", "alt": "json", "prettyPrint": "false"}
    assert parse_query(asked, listing) == {"pageSize": 5, "view": "BASIC"}
    with pytest.raises(EarthEngineError, match="Cannot bind query parameter"):
        parse_query({"num": "5"}, listing)
    with pytest.raises(EarthEngineError, match=r"page_size.*TYPE_INT32"):
        parse_query({"pageSize": "many"}, listing)


def test_every_method_has_its_own_paths():
    values = {"zoom": "3", "x": "2", "y": "1"}
    names = {
        "^projects/[^/]+$": "projects/p",
        "^projects/[^/]+/assets/.*$": "projects/p/assets/a/b c/d",
        "^projects/[^/]+/config$": "projects/p/config",
        "^projects/[^/]+/maps/[^/]+$": "projects/p/maps/k",
        "^projects/[^/]+/operations/.*$": "projects/p/operations/o",
    }
    for method in METHODS:
        expected = {
            name: values.get(name)
            or names.get(pattern)
            or pattern.strip("^$").replace("[^/]+", "p").replace("[^/:]+", "k")
            for name, pattern in method.patterns.items()
        }
        path = "/" + method.path
        for name, value in expected.items():
            path = path.replace(f"{{+{name}}}", value).replace(f"{{{name}}}", value)
        found, parameters = route(method.verb, path)
        assert (found.id, parameters) == (method.id, expected)


def test_unknown_paths_are_404():
    for verb, path in [
        ("GET", "/"),
        ("GET", "/v2/projects/p/config"),
        ("PUT", "/v1/projects/p/config"),
    ]:
        with pytest.raises(EarthEngineError) as caught:
            route(verb, path)
        assert caught.value.code == 404


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [*MESSAGES["ComputePixelsRequest"].fields, "values", "result", "0", "x"]
            )
            | st.text(max_size=4),
            inner,
            max_size=4,
        )
    ),
    max_leaves=20,
)


@given(json_values)
def test_whatever_comes_is_taken_or_refused(value):
    try:
        fields = parse_body(json.dumps(value).encode(), "ComputePixelsRequest")
    except EarthEngineError as error:
        refused = json.loads(json.dumps(error.body()))
        assert refused["error"]["code"] == 400
    else:
        assert set(fields) <= set(MESSAGES["ComputePixelsRequest"].fields)
        assert "expression" in fields


def test_snake_case():
    assert snake_case("affineTransform") == "affine_transform"
    assert snake_case("scaleX") == "scale_x"


_NAMES = ("Expression", "ValueNode", "FunctionInvocation", "ComputePixelsRequest", "PixelGrid")
_CAMEL = sorted({name for message in _NAMES for name in MESSAGES[message].fields})
_KEYS = st.sampled_from([*_CAMEL, *map(snake_case, _CAMEL), "0", "nothing"])
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 2**70) | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(_KEYS, inner, max_size=3),
    max_leaves=12,
)


@given(st.dictionaries(_KEYS, _JSON, max_size=4))
def test_what_fits_is_read_as_it_is_when_faults_are_looked_for(body):
    """The reader without paths agrees with the one that has them, on what is sound and what not."""
    checker = _Checker()
    slow = checker.message(MESSAGES["ComputePixelsRequest"], body, "", 0)
    try:
        quick = fitted(body, "ComputePixelsRequest")
    except Unfit:
        assert checker.violations
    else:
        assert not checker.violations
        assert repr(quick) == repr(slow)

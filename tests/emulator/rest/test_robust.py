"""Whatever is thrown at the core: an answer, or Earth Engine's error; never a failure of ours."""

import json
import logging

import pytest
from example_raster import PROJECT, RASTER_ID
from graphs import call, encode
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from eedask.emulator.catalog import Catalog
from eedask.emulator.expression.signatures import signatures
from eedask.emulator.functions.registry import IMPLEMENTATIONS
from eedask.emulator.limits.budget import Budget
from eedask.emulator.protocol.api import METHODS
from eedask.emulator.rest.rest import Core
from eedask.emulator.rest.store import Store

# An alarm within hypothesis's callback of garbage collection is lost, and rings again.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
ROOT = f"/v1/projects/{PROJECT}"
NAMES = sorted(IMPLEMENTATIONS.keys() & signatures().keys())
many = settings(
    max_examples=80,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)


@pytest.fixture(scope="module")
def tight(mounts, tmp_path_factory):
    budget = Budget(memory=2**25, timeout=0.5)
    store = Store(tmp_path_factory.mktemp("robust"))
    return Core(Catalog(mounts), store, project=PROJECT, budget=budget)


def check(answer):
    """Return the message of an answer that must be well formed; None if it is no error."""
    if answer.status == 200:
        return None
    assert 400 <= answer.status < 500, answer.body[:500]
    assert answer.headers["Content-Type"].startswith("application/json")
    error = json.loads(answer.body)["error"]
    assert set(error) <= {"code", "message", "status", "details"}
    assert error["code"] == answer.status
    assert error["status"].isupper()
    assert isinstance(error["message"], str)
    assert error["message"]
    assert "Traceback" not in error["message"]
    assert "Internal error" not in error["message"]
    return error["message"]


numbers = st.one_of(
    st.sampled_from(
        [0, 1, -1, 2**31, -(2**63), 2**64, 10**300, 1e-308, 1e308, 0.5, "NaN", "Infinity"]
    ),
    st.integers(-100, 100),
    st.floats(allow_nan=False, allow_infinity=False),
)
constants = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        numbers,
        st.text(max_size=5),
        st.sampled_from(
            ["(a+)+$", "EPSG:4326", "EPSG:3857", "EPSG:0", "%s", "red", RASTER_ID, ".*"]
        ),
        st.sampled_from(
            [
                {"type": "Point", "coordinates": [0, 0]},
                {"type": "Polygon", "coordinates": [[[0, 0], [1, 0], [1, 1], [0, 0]]]},
                {"type": "LineString", "coordinates": []},
                {"type": "Feature", "geometry": None, "properties": {"a": 1}},
            ]
        ),
    ),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner, max_size=2)
    ),
    max_leaves=4,
)


@st.composite
def graphs(draw):
    """Graphs that are nearly right: known algorithms, known argument names, any values."""
    count = draw(st.integers(1, 7))
    keys = [str(i) for i in range(count)]
    values = {}
    for key in keys:
        kinds = ["call"] * 6 + [
            "constant",
            "array",
            "dictionary",
            "function",
            "argument",
            "nonsense",
        ]
        kind = draw(st.sampled_from(kinds))
        values[key] = draw(node(kind, keys))
    return {"result": keys[0], "values": values}


@st.composite
def node(draw, kind, keys):
    part = st.one_of(
        constants.map(lambda value: {"constantValue": value}),
        # Mostly to later keys, so that most graphs have no cycle.
        st.sampled_from(keys).map(lambda key: {"valueReference": key}),
        st.just(encode(call("Image.load", id=RASTER_ID))["values"]["result"]),
    )
    if kind == "constant":
        return {"constantValue": draw(constants)}
    if kind == "array":
        return {"arrayValue": {"values": draw(st.lists(part, max_size=3))}}
    if kind == "dictionary":
        return {
            "dictionaryValue": {
                "values": draw(st.dictionaries(st.text(max_size=2), part, max_size=3))
            }
        }
    if kind == "function":
        body = {"argumentNames": ["x"], "body": draw(st.sampled_from(keys))}
        return {"functionDefinitionValue": body}
    if kind == "argument":
        return {"argumentReference": draw(st.sampled_from(["x", "y"]))}
    if kind == "nonsense":
        return draw(
            constants | st.dictionaries(st.sampled_from(["valueReference", "x"]), constants)
        )
    name = draw(st.sampled_from(NAMES))
    arguments = {
        argument.name: draw(part)
        for argument in signatures()[name].arguments
        if not argument.optional or draw(st.booleans())
    }
    return {"functionInvocationValue": {"functionName": name, "arguments": arguments}}


@many
@given(graphs())
def test_random_graphs(tight, graph):
    logging.disable(logging.CRITICAL)  # faults of single algorithms are logged, and are 400
    try:
        body = json.dumps({"expression": graph}).encode()
        check(tight.answer("POST", f"{ROOT}/value:compute", {}, body))
    finally:
        logging.disable(logging.NOTSET)


@many
@given(st.sampled_from(NAMES), st.data())
def test_random_arguments(tight, name, data):
    logging.disable(logging.CRITICAL)
    try:
        root = data.draw(node("call", ["0"]).filter(lambda n: n))
        root["functionInvocationValue"]["functionName"] = name
        names = [a.name for a in signatures()[name].arguments]
        arguments = data.draw(
            st.fixed_dictionaries({n: constants.map(lambda v: {"constantValue": v}) for n in names})
        )
        root["functionInvocationValue"]["arguments"] = arguments
        body = json.dumps({"expression": {"result": "0", "values": {"0": root}}}).encode()
        check(tight.answer("POST", f"{ROOT}/value:compute", {}, body))
    finally:
        logging.disable(logging.NOTSET)


json_values = st.recursive(
    st.none() | st.booleans() | numbers | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=8,
)
FIELDS = ["expression", "grid", "fileFormat", "bandIds", "pageSize", "pageToken", "region", "name"]
bodies = st.one_of(
    st.binary(max_size=40),
    json_values.map(lambda value: json.dumps(value).encode()),
    st.dictionaries(st.sampled_from(FIELDS), json_values).map(lambda v: json.dumps(v).encode()),
)
PARTS = f"v1 projects {PROJECT} assets .. raster maps tiles 0 -1 %00 thumbnails config".split()
PARTS += [":getPixels", ":listAssets", ":listFeatures", "operations"]
POSTS = [method for method in METHODS if method.body and method.verb == "POST"]


@many
@given(st.sampled_from(POSTS), bodies)
def test_random_bodies(tight, method, body):
    path = "/" + method.path
    for name, pattern in method.patterns.items():
        value = RASTER_ID if "assets" in pattern else f"projects/{PROJECT}"
        value += "/operations/one" if "operations" in pattern else ""
        path = path.replace(f"{{+{name}}}", value)
    message = check(tight.answer("POST", path, {}, body))
    assert message is None or "Method not found" not in message


@many
@given(
    st.sampled_from(["GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS", "", "get"]),
    st.one_of(
        st.text(max_size=30),
        st.lists(
            st.sampled_from(PARTS),
            max_size=7,
        ).map(lambda parts: "/" + "/".join(parts).replace("/:", ":")),
    ),
    st.dictionaries(
        st.sampled_from(
            ["filter", "pageSize", "pageToken", "view", "region", "alt", "fields", "x"]
        ),
        st.text(max_size=20)
        | st.sampled_from(
            ['intersects("POINT(0 0)")', "properties.a=1", "startTime > 1", "1", "a(b"]
        ),
        max_size=3,
    ),
    st.binary(max_size=20),
)
def test_random_requests(tight, verb, path, query, body):
    check(tight.answer(verb, path, query, body))


DEEP = 3000


@pytest.mark.parametrize(
    "kind", ["list", "call", "image", "function", "references", "cycle", "self"]
)
@pytest.mark.cross(2)
def test_deep_and_circular_graphs(core, kind):
    inner = {
        "list": lambda k: {"arrayValue": {"values": [k]}},
        "call": lambda k: {
            "functionInvocationValue": {"functionName": "Number.abs", "arguments": {"input": k}}
        },
        "image": lambda k: {
            "functionInvocationValue": {
                "functionName": "Image.add",
                "arguments": {"image1": k, "image2": {"constantValue": 1}},
            }
        },
        "function": lambda k: {
            "functionDefinitionValue": {"argumentNames": ["x"], "body": k["valueReference"]}
        },
        "references": lambda k: k,
    }
    values = {"0": {"constantValue": 1}}
    step = inner.get(kind, inner["call"])
    for i in range(DEEP):
        values[str(i + 1)] = step({"valueReference": str(i)})
    if kind == "cycle":
        values["0"] = step({"valueReference": str(DEEP)})
    if kind == "self":
        values = {str(DEEP): {"valueReference": str(DEEP)}}
    body = json.dumps({"expression": {"result": str(DEEP), "values": values}}).encode()
    message = check(core.answer("POST", f"{ROOT}/value:compute", {}, body))
    assert ("cycle" in (message or "")) == (kind in ("cycle", "self"))
    pixels = {
        "dimensions": {"width": 2, "height": 2},
        "affineTransform": {"scaleX": 1, "scaleY": 1},
    }
    body = body[:-1] + b', "grid": ' + json.dumps(pixels).encode() + b"}"
    check(core.answer("POST", f"{ROOT}/image:computePixels", {}, body))


@pytest.mark.parametrize(
    "text",
    [
        '{"expression": ' + "[" * 100_000,
        '{"expression": ' + '{"values":' * 5000 + "1" + "}" * 5001,
        '{"expression": 1' + "0" * 10_000 + "}",
        '{"expression": NaN}',
        '{"a":1' * 3,
        "\ufeff{}",
        '{"expression": {"result":"0","values":{"0":{"constantValue":1e999}}}}',
        '{"expression": {"result":"0","values":{"0":{"constantValue":' + "9" * 5000 + "}}}}",
        '{"expression": {"result":"0","values":{"0":{"integerValue":"' + "9" * 5000 + '"}}}}',
        '{"expression": {"result":"0","values":{"0":{"constantValue":"\\ud800"}}}}',
    ],
)
def test_bodies_that_are_hardly_json(tight, text):
    for path in ("/value:compute", "/image:computePixels", "/thumbnails", "/table:computeFeatures"):
        check(tight.answer("POST", ROOT + path, {}, text.encode()))

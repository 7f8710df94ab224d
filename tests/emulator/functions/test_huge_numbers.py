"""Numbers beyond what geometries and calendars can take: answers, or 400 that are no faults."""

import json

import pytest
import shapely
from example_raster import PROJECT


def constant(value):
    return {"constantValue": value}


def invoke(name, **arguments):
    return {"functionInvocationValue": {"functionName": name, "arguments": arguments}}


POINT = {"type": "Point", "coordinates": [10, 20]}
LINE = {"type": "LineString", "coordinates": [[0, 0], [1, 0], [1, 1]]}
POINTS = {"type": "MultiPoint", "coordinates": [[0, 0], [1, 0], [1, 1]]}
AREA = {"type": "Polygon", "coordinates": [[[0, 0], [1, 0], [1, 1], [0, 0]]]}
INFINITY = invoke("Number.divide", left=constant(1e300), right=constant(1e-300))
NAN = invoke("Number.subtract", left=INFINITY, right=INFINITY)


@pytest.fixture
def value(core):
    def compute(node):
        graph = {"result": "0", "values": {"0": node}}
        body = json.dumps({"expression": graph}).encode()
        answer = core.answer("POST", f"/v1/projects/{PROJECT}/value:compute", body=body)
        content = json.loads(answer.body)
        if answer.status == 200:
            return content["result"]
        assert answer.status == 400
        assert "Internal error" not in content["error"]["message"]
        return content["error"]["message"]

    return compute


def geometry(shape):
    return invoke("Feature", geometry=constant(shape), metadata=constant({}))


def buffered(shape, distance, **arguments):
    return invoke("Feature.buffer", feature=geometry(shape), distance=distance, **arguments)


@pytest.mark.parametrize("shape", [POINT, LINE, POINTS, AREA], ids=lambda shape: shape["type"])
@pytest.mark.parametrize("distance", [1e300, 1e9, 20_100_000])
def test_a_buffer_of_more_than_half_the_earth_is_all_of_it(value, shape, distance):
    made = shapely.from_geojson(json.dumps(value(buffered(shape, constant(distance)))["geometry"]))
    assert made.equals(shapely.box(-180, -90, 180, 90))
    less = value(buffered(shape, constant(-distance)))["geometry"]
    assert shapely.from_geojson(json.dumps(less)).is_empty


@pytest.mark.parametrize("shape", [POINT, AREA], ids=lambda shape: shape["type"])
@pytest.mark.parametrize("distance", [INFINITY, NAN])
@pytest.mark.parametrize("arguments", [{}, {"proj": constant("EPSG:3857")}], ids=["", "proj"])
def test_a_buffers_distance_is_finite(value, shape, distance, arguments):
    assert "must be finite" in value(buffered(shape, distance, **arguments))


@pytest.mark.parametrize("delta", [constant(1e300), constant(-1e300), INFINITY, NAN])
@pytest.mark.parametrize("unit", ["year", "month", "day", "second"])
def test_dates_stay_in_the_calendar(value, delta, unit):
    start = invoke("Date", value=constant(0))
    node = invoke("Date.advance", date=start, delta=delta, unit=constant(unit))
    assert "out of the calendar" in value(node)


@pytest.mark.parametrize("name", ["contains", "intersects", "isContained", "disjoint"])
@pytest.mark.parametrize("other", ["x", 3, {"a": 1}, [1, 2], {"type": "Point"}])
def test_spatial_filters_need_geometries(value, name, other):
    features = invoke("Collection", features={"arrayValue": {"values": [geometry(POINT)]}})
    condition = invoke(f"Filter.{name}", leftField=constant(".geo"), rightValue=constant(other))
    assert isinstance(
        value(invoke("Collection.filter", collection=features, filter=condition)), str
    )

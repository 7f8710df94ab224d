"""What a request may hold and compute: heavy ones end, in Earth Engine's words."""

import io
import json
import signal
import sys
import time

import numpy as np
import pytest
from example_raster import CRS, PROJECT, RASTER_ID, raster_values
from graphs import call, encode, function

from eedask.emulator.catalog import Catalog
from eedask.emulator.limits import metering
from eedask.emulator.limits.budget import Budget, MemoryLimit, TimeLimit
from eedask.emulator.limits.metering import Meter, metered
from eedask.emulator.rest.rest import Core
from eedask.emulator.rest.store import Store

MEMORY = "User memory limit exceeded."
TIME = "Computation timed out."
RASTER = call("Image.load", id=RASTER_ID)
POINT = call("GeometryConstructors.Point", coordinates=[0, 0])
WORLD = {"type": "Polygon", "geodesic": False}
WORLD["coordinates"] = [[[-100, -40], [100, -40], [100, 40], [-100, 40], [-100, -40]]]


@pytest.fixture
def ask(mounts, tmp_path):
    def send(value, path="/value:compute", budget=None, **fields):
        core = Core(Catalog(mounts), Store(tmp_path), project=PROJECT, budget=budget)
        body = json.dumps({"expression": encode(value), **fields}).encode()
        return core.answer("POST", f"/v1/projects/{PROJECT}{path}", {}, body)

    return send


def message(answer):
    assert answer.status == 400, answer.body[:200]
    return json.loads(answer.body)["error"]["message"]


def result(answer):
    assert answer.status == 200, answer.body[:200]
    return json.loads(answer.body)["result"]


# Budgets and meters.


@pytest.mark.parametrize("wrong", [{"memory": 0}, {"memory": -1}, {"timeout": 0}])
def test_budgets_are_positive(wrong):
    with pytest.raises(ValueError, match="positive"):
        Budget(**wrong)


def test_a_meter_counts_by_label_and_stops_at_the_budget():
    meter = Meter(Budget(timeout=1))
    allowed = meter.budget.operations - meter.operations
    meter.charge(allowed / 2, "one")
    meter.charge(allowed / 2, "two")
    assert meter.entries["one"].operations == meter.entries["two"].operations == allowed / 2
    with pytest.raises(TimeLimit):
        meter.charge(1)


def test_the_processors_time_is_a_last_resort(monkeypatch):
    meter = Meter(Budget(timeout=2))
    now = time.thread_time()
    monkeypatch.setattr(time, "thread_time", lambda: now + 4.9)
    meter.charge(2e6)
    monkeypatch.setattr(time, "thread_time", lambda: now + 5.1)
    with pytest.raises(TimeLimit):
        meter.charge(2e6)


def test_what_is_held_in_a_scope_is_given_back():
    with metered(Budget(memory=100)) as meter:
        with metering.scope():
            metering.hold(90)
            with pytest.raises(MemoryLimit):
                metering.hold(20)
        assert (meter.values, meter.peak) == (0, 110)
        metering.hold(90)


def test_without_a_meter_nothing_is_counted():
    assert metering.current() is None
    metering.charge(1e30)
    metering.hold(10**18)


# Pixels.


def region():
    left, top = 500000, 4400000
    ring = [[left, top], [left + 800, top], [left + 800, top - 600], [left, top - 600], [left, top]]
    return {
        "type": "Polygon",
        "crs": {"type": "name", "properties": {"name": CRS}},
        "geodesic": False,
        "coordinates": [ring],
    }


def summed(image, times):
    for _ in range(times):
        image = call("Image.add", image1=image, image2=RASTER)
    return image


def mean(tile_scale):
    reducer = call("Reducer.mean")
    image = call("Image.select", input=summed(RASTER, 3), bandSelectors=["green"])
    return call(
        "Image.reduceRegion",
        image=image,
        reducer=reducer,
        geometry=region(),
        scale=1,
        tileScale=tile_scale,
    )


@pytest.mark.slow
def test_a_larger_tile_scale_needs_less_memory(ask):
    # Tiles of 256 pixels hold some 6 to 12 bytes a pixel of each image on the way to the sum.
    tight = Budget(memory=600_000)
    assert message(ask(mean(1), budget=tight)) == MEMORY
    green = raster_values()[1]
    expected = (4.0 * green[green > 0]).mean()
    assert result(ask(mean(1)))["green"] == pytest.approx(expected)
    assert result(ask(mean(4), budget=tight))["green"] == pytest.approx(expected)
    assert message(ask(mean(4), budget=Budget(memory=40_000))) == MEMORY
    assert result(ask(mean(16), budget=Budget(memory=40_000)))["green"] == pytest.approx(expected)


SAMPLES = {"Image.sample": {"numPixels": 3}, "Image.stratifiedSample": {"numPoints": 1}}


@pytest.mark.parametrize("name", SAMPLES)
def test_samples_heed_the_tile_scale(ask, name):
    def values(tile_scale):
        image = summed(RASTER, 2)
        common = {"image": image, "region": region(), "scale": 2, "tileScale": tile_scale}
        sampled = call(name, **common, **SAMPLES[name])
        return call("AggregateFeatureCollection.array", collection=sampled, property="blue")

    whole = result(ask(values(1)))
    assert len(whole) >= 3
    tight = Budget(memory=500_000)
    assert message(ask(values(1), budget=tight)) == MEMORY
    assert result(ask(values(16), budget=tight)) == whole


def pixels(ask, budget=None, size=1500):
    transform = {"scaleX": 0.4, "translateX": 500000, "scaleY": -0.4, "translateY": 4400000}
    grid = {"dimensions": {"width": size, "height": size}, "affineTransform": transform}
    image = summed(RASTER, 1)
    return ask(image, "/image:computePixels", budget, fileFormat="NPY", bandIds=["red"], grid=grid)


def test_large_grids_are_read_in_tiles_that_fit_together(ask):
    array = np.load(io.BytesIO(pixels(ask).body))["red"]
    index = (np.arange(1500) + 0.5) * 0.4 // 10
    expected = 2 * raster_values()[0][np.ix_(index.astype(int), index.astype(int))]
    np.testing.assert_array_equal(array, expected)
    # A read of 1024 pixels a side would hold more than 12 MB.
    small = np.load(io.BytesIO(pixels(ask, Budget(memory=2_000_000)).body))["red"]
    np.testing.assert_array_equal(small, expected)
    assert message(pixels(ask, Budget(memory=300_000))) == MEMORY


def test_the_same_request_costs_the_same(mounts, tmp_path):
    from eedask.emulator.expression.expression import Context, evaluate

    costs = set()
    for _ in range(2):
        with metered(Budget()) as meter:
            evaluate(encode(mean(1)), Context(Catalog(mounts)))
        costs.add((meter.operations, meter.peak))
    assert len(costs) == 1
    assert meter.entries["Image.add"].count == 3
    assert meter.entries["Image.load"].operations > 800 * 600


def test_time_is_what_is_computed(ask):
    enough = Budget(timeout=0.2)
    tight = Budget(timeout=0.02)
    assert "green" in result(ask(mean(1), budget=enough))
    assert message(ask(mean(1), budget=tight)) == TIME


# What must end, and soon.


def loop(count, body):
    return call("List.map", list=call("List.sequence", start=1, end=count), baseAlgorithm=body)


def twice(step, first, times):
    graph = {"result": str(times), "values": {"0": {"constantValue": first}}}
    for i in range(times):
        before = {"valueReference": str(i)}
        graph["values"][str(i + 1)] = {
            "functionInvocationValue": {
                "functionName": step[0],
                "arguments": dict.fromkeys(step[1:], before),
            }
        }
    return graph


def area(**more):
    return call("Image.reduceRegion", image=call("Image.constant", value=1), geometry=WORLD, **more)


MEAN = call("Reducer.mean")
SUM = function(lambda a, b: call("Number.add", left=a, right=b), "a", "b")
HEAVY = {
    "a long sequence": call("List.sequence", start=0, end=1e12),
    "a long list": call("List.repeat", value="x", count=10**12),
    "lists of lists": call(
        "List.flatten",
        list=call("List.repeat", value=call("List.repeat", value=1, count=10**6), count=10**6),
    ),
    "a million bands": call("Image.constant", value=call("List.repeat", value=1, count=10**6)),
    "a long iteration": call(
        "List.iterate", list=call("List.sequence", start=0, end=1e9), function=SUM, first=0
    ),
    "a less long iteration": call(
        "List.iterate", list=call("List.sequence", start=0, end=5e6), function=SUM, first=0
    ),
    "loops in loops": loop(
        4000,
        function(
            lambda x: loop(4000, function(lambda y: call("Number.add", left=x, right=y), "y")), "x"
        ),
    ),
    "tiny pixels": area(reducer=MEAN, scale=0.0001, maxPixels=1e13),
    "tiny pixels, all allowed": area(reducer=MEAN, scale=0.001, maxPixels=1e30),
    "a list of pixels": area(reducer=call("Reducer.toList"), scale=1000, maxPixels=1e13),
    "a sample": call(
        "Collection.size",
        collection=call(
            "Image.sample", image=call("Image.constant", value=1), region=WORLD, scale=100
        ),
    ),
    "a large regular expression": call(
        "String.match", input="x" * 10**6, regex="(?:x{0,999}y?z?)*w"
    ),
    "a pattern that looks ahead": call(
        "String.match", input="x" * 10**6, regex="x.*y|x", flags="g"
    ),
    "a wide number": call("Number.format", number=1, pattern="%1000000000d"),
    "distinct lists": call(
        "List.size",
        list=call("List.distinct", list=loop(20000, function(lambda x: [x], "x"))),
    ),
    "many random points": call("FeatureCollection.randomPoints", region=WORLD, points=10**9),
    "many cells": call(
        "Geometry.coveringGrid",
        geometry=WORLD,
        proj=call("Projection", crs="EPSG:3857"),
        scale=0.001,
    ),
    "a doubled string": twice(("String.cat", "string1", "string2"), "ab", 60),
    "a doubled list": twice(("List.cat", "list", "other"), [1, 2], 60),
}


# The alarm may ring within hypothesis's callback of garbage collection, is lost and rings again.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("name", HEAVY)
@pytest.mark.cross(4)
def test_heavy_requests_end(mounts, tmp_path, name):
    budget = Budget(memory=64 * 2**20, timeout=1)
    core = Core(Catalog(mounts), Store(tmp_path), project=PROJECT, budget=budget)
    value = HEAVY[name]
    graph = value if isinstance(value, dict) and "values" in value else encode(value)
    body = json.dumps({"expression": graph}).encode()
    started = time.process_time()
    answer = core.answer("POST", f"/v1/projects/{PROJECT}/value:compute", {}, body)
    assert time.process_time() - started < 20
    assert message(answer)
    assert "Internal error" not in message(answer)
    assert len(answer.body) < 1000


HARMLESS = {
    "a buffer of nowhere": call("Geometry.buffer", geometry=POINT, distance=1e300),
    "a negative buffer": call("Geometry.buffer", geometry=POINT, distance=-1e300),
    "a precise buffer": call("Geometry.buffer", geometry=POINT, distance=1e6, maxError=1e-12),
    "a power": call("Number.pow", left=10, right=1e300),
    "a deep list": twice(("List.reverse", "list"), [1], 3000),
    "best effort": area(reducer=MEAN, scale=0.0001, bestEffort=True, maxPixels=10**4),
}


@pytest.mark.parametrize("name", HARMLESS)
def test_silly_but_light_requests_are_answered(ask, mounts, tmp_path, name):
    core = Core(Catalog(mounts), Store(tmp_path), project=PROJECT)
    value = HARMLESS[name]
    graph = value if isinstance(value, dict) and "values" in value else encode(value)
    body = json.dumps({"expression": graph}).encode()
    answer = core.answer("POST", f"/v1/projects/{PROJECT}/value:compute", {}, body)
    assert answer.status in (200, 400)
    assert b"Internal error" not in answer.body


@pytest.mark.skipif(sys.platform == "win32", reason="there are no such signals on Windows")
def test_the_alarm_is_put_away(ask):
    before = signal.getsignal(signal.SIGVTALRM)
    assert result(ask(call("Number.add", left=1, right=2))) == 3
    assert signal.getsignal(signal.SIGVTALRM) is before
    assert signal.getitimer(signal.ITIMER_VIRTUAL) == (0.0, 0.0)

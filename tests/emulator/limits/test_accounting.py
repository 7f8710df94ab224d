"""Compute time: its account, its limits, and profiles as the client asks for them."""

import io
import json
import os
import subprocess
import sys
import urllib.error
import urllib.request
import zlib
from datetime import UTC, datetime

import ee
import numpy as np
import pytest
from example_raster import CRS, PROJECT, RASTER_ID
from graphs import call, encode

from eedask.emulator.catalog import Catalog
from eedask.emulator.errors import EarthEngineError
from eedask.emulator.limits.accounting import OVER_DAILY_QUOTA, Compute, Usage
from eedask.emulator.limits.profiles import as_text, fitted, merged
from eedask.emulator.protocol.api import PROFILE_HEADER, PROFILING_HEADER
from eedask.emulator.rest.rest import Core
from eedask.emulator.rest.store import Store
from eedask.emulator.traffic.quotas import Traffic


class Calendar:
    def __init__(self):
        self.now = datetime(2026, 4, 29, 12, tzinfo=UTC)

    def __call__(self):
        return self.now


@pytest.fixture
def calendar():
    return Calendar()


def test_a_days_limit_refuses_until_the_next_day(calendar):
    compute = Compute(daily_eecu_seconds=10, calendar=calendar)
    compute.spend(Usage(9.5, 100))
    compute.check()
    compute.spend(Usage(1.0, 50))
    with pytest.raises(EarthEngineError) as refusal:
        compute.check()
    assert (refusal.value.code, refusal.value.message) == (429, OVER_DAILY_QUOTA)
    calendar.now = datetime(2026, 4, 30, tzinfo=UTC)
    compute.check()
    assert compute.stats()["eecu_seconds_today"] == 0
    assert compute.stats()["eecu_seconds_this_month"] == 10.5


def test_a_months_limit_restricts_until_the_next_month(calendar):
    compute = Compute(monthly_eecu_hours=1, calendar=calendar)
    compute.spend(Usage(3599, 1))
    assert not compute.is_restricted
    assert (compute.concurrency(40), compute.concurrency(None)) == (40, None)
    compute.spend(Usage(1, 1))
    assert compute.is_restricted
    assert (compute.concurrency(40), compute.concurrency(5), compute.concurrency(None)) == (4, 1, 4)
    compute.check()
    calendar.now = datetime(2026, 5, 1, tzinfo=UTC)
    assert not compute.is_restricted


def test_totals_by_tag_start_anew_but_periods_go_on(calendar):
    compute = Compute(calendar=calendar)
    for usage in (Usage(1, 10, "a"), Usage(2, 30, "b"), Usage(4, 20, "a"), Usage(8, 5)):
        compute.spend(usage)
    stats = compute.stats()
    assert stats["eecu_seconds_by_tag"] == {"a": 5, "b": 2, "": 8}
    assert (stats["eecu_seconds"], stats["peak_memory"], stats["restricted"]) == (15, 30, False)
    compute.forget()
    assert compute.stats()["eecu_seconds"] == 0
    assert compute.stats()["eecu_seconds_today"] == 15


@pytest.mark.parametrize("limit", ["daily_eecu_seconds", "monthly_eecu_hours"])
def test_limits_that_cannot_be(limit):
    with pytest.raises(ValueError, match=limit):
        Compute(**{limit: -1})


def test_traffic_obeys_both_limits(calendar):
    compute = Compute(monthly_eecu_hours=0, calendar=calendar)
    traffic = Traffic(concurrency=20, clock=lambda: 0.0, compute=compute)
    traffic.enter(b"1")
    traffic.enter(b"2")
    with pytest.raises(EarthEngineError, match="concurrency"):
        traffic.enter(b"3")
    traffic.set_quotas({"monthly_eecu_hours": None})
    traffic.enter(b"3")
    traffic.set_quotas({"daily_eecu_seconds": 0})
    with pytest.raises(EarthEngineError, match="daily_eecu_usage_time"):
        traffic.enter(b"4")


def test_profiles_of_several_requests_add_up():
    one = {"description": "Algorithm Image.add", "eecuSeconds": 0.25, "peakMemoryBytes": 1500}
    other = {"description": "(overhead)", "eecuSeconds": 1.0, "peakMemoryBytes": 0, "count": 0}
    rows = merged([[{**one, "count": 2}, other], [{**one, "count": 1, "peakMemoryBytes": 900}]])
    assert [row["description"] for row in rows] == ["(overhead)", "Algorithm Image.add"]
    assert (rows[1]["eecuSeconds"], rows[1]["count"], rows[1]["peakMemoryBytes"]) == (0.5, 3, 1500)
    assert fitted(rows, 2) == rows
    (rest,) = fitted(rows, 1)
    assert (rest["description"], rest["eecuSeconds"], rest["count"]) == ("(...)", 1.5, 3)
    head, _, last = as_text(rows).splitlines()
    assert head.split() == ["EECU·s", "PeakMem", "Count", "Description"]
    assert last.split(maxsplit=3) == ["0.500", "2k", "3", "Algorithm Image.add"]


# In the core.


def reduction(scale):
    image = call("Image.load", id=RASTER_ID)
    ring = [[5e5, 4.4e6], [5.008e5, 4.4e6], [5.008e5, 4.3994e6], [5e5, 4.3994e6], [5e5, 4.4e6]]
    region = {"type": "Polygon", "coordinates": [ring], "geodesic": False}
    region["crs"] = {"type": "name", "properties": {"name": CRS}}
    return call(
        "Image.reduceRegion", image=image, reducer=call("Reducer.sum"), geometry=region, scale=scale
    )


def post(core, value, path="/value:compute", query=None, profiling=False, **fields):
    body = json.dumps({"expression": encode(value), **fields}).encode()
    path = f"/v1/projects/{PROJECT}{path}"
    return core.answer("POST", path, query or {}, body, profiling=profiling)


def test_cost_follows_the_pixels(core):
    ten, five = (post(core, reduction(scale)).usage for scale in (10, 5))
    pixels = 3 * 80 * 60
    assert (five.eecu_seconds - ten.eecu_seconds) * 1e7 == pytest.approx(3 * pixels, rel=0.03)
    assert post(core, reduction(10)).usage == ten
    assert five.peak_memory > ten.peak_memory > 80 * 60


def test_tags_of_bodies_queries_and_what_is_fetched_later(core):
    assert post(core, reduction(10), workloadTag="one").usage.tag == "one"
    image = call("Image.load", id=RASTER_ID)
    made = post(core, image, "/thumbnails", {"workloadTag": "two"}, fileFormat="NPY")
    assert made.usage.tag == "two"
    assert "workloadTag" not in json.loads(made.body)
    fetched = core.answer("GET", f"/v1/{json.loads(made.body)['name']}:getPixels")
    assert fetched.status == 200
    assert fetched.usage.tag == "two"
    assert post(core, reduction(10)).usage.tag is None


def test_profiles_by_id(core):
    assert PROFILE_HEADER not in post(core, reduction(10)).headers
    first = post(core, reduction(10), profiling=True)
    failed = post(core, call("Image.load", id="nothing"), profiling=True)
    assert failed.status == 400
    ids = [answer.headers[PROFILE_HEADER] for answer in (first, failed)]
    asked = post(core, call("Profile.getProfiles", ids=ids, format="json"))
    rows = {row["description"]: row for row in json.loads(asked.body)["result"]}
    assert rows["Algorithm Image.load"]["count"] == 2
    assert rows["Algorithm Image.load"]["eecuSeconds"] * 1e7 > 3 * 80 * 60
    text = json.loads(post(core, call("Profile.getProfiles", ids=ids[:1])).body)["result"]
    assert "Algorithm Image.reduceRegion" in text
    unknown = post(core, call("Profile.getProfiles", ids=["0" * 32 + "-" + "0" * 32]))
    assert unknown.status == 404
    assert post(core, call("Profile.getProfiles", ids=ids, format="xml")).status == 400


# Over HTTP.


@pytest.fixture
def client(emulator):
    ee.Initialize(emulator.credentials, url=emulator.url, project=emulator.project)
    emulator.reset_stats()
    yield emulator
    ee.Reset()
    emulator.set_quotas(daily_eecu_seconds=None, monthly_eecu_hours=None)


def test_the_client_prints_a_profile(client):
    out = io.StringIO()
    with ee.profilePrinting(destination=out):
        ee.Image(RASTER_ID).reduceRegion("mean", scale=10).getInfo()
    assert "Algorithm Image.reduceRegion" in out.getvalue()


def test_the_client_s_tags_are_told_apart(client):
    with ee.data.workloadTagContext("chips"):
        ee.Number(1).add(2).getInfo()
    ee.Number(1).add(3).getInfo()
    stats = client.stats()
    by_tag = stats["eecu_seconds_by_tag"]
    assert set(by_tag) == {"chips", ""}
    assert 0 < by_tag["chips"] == by_tag[""]
    assert stats["eecu_seconds"] == sum(by_tag.values())


def test_restricted_mode_is_told_and_a_used_up_day_refuses(client):
    client.set_quotas(monthly_eecu_hours=0)
    with pytest.warns(UserWarning, match="restricted mode"):
        assert ee.Number(1).add(2).getInfo() == 3
    assert client.stats()["restricted"]
    client.set_quotas(monthly_eecu_hours=None, daily_eecu_seconds=0)
    body = json.dumps({"expression": encode(1)}).encode()
    url = f"{client.url}/v1/projects/{client.project}/value:compute"
    request = urllib.request.Request(url, body, {PROFILING_HEADER: "1"})
    with pytest.raises(urllib.error.HTTPError) as refusal, urllib.request.urlopen(request):
        pass
    with refusal.value as error:
        assert error.code == 429
        assert json.load(error)["error"]["message"] == OVER_DAILY_QUOTA


def asked():
    """Requests that share what is kept: of points apart, near and on coasts, and chips."""
    wanted = {"bandSelectors": ["R", "N"]}
    naip = call("ImageCollection.load", id="USDA/NAIP/DOQQ")
    years = call("DateRange", start="2015-01-01", end="2020-01-01")
    recent = call("Filter.dateRangeContains", leftValue=years, rightField="system:time_start")
    found = call("Collection.filter", collection=naip, filter=recent)
    mosaic = call("ImageCollection.mosaic", collection=found)
    photographs = call("Image.select", input=mosaic, **wanted)
    relief = call("Image.load", id="USGS/SRTMGL1_003")
    random = np.random.default_rng(3)
    for image, west, south, side, scale in (
        (photographs, -103.0, 39.0, 0.04, 1),
        (photographs, -103.0, 39.0, 0.001, 1),
        (relief, -103.0, 39.0, 0.1, 30),
        (relief, -122.6, 37.6, 0.4, 30),
    ):
        places = random.uniform((west, south), (west + side, south + side), (5, 2)).round(6)
        points = [call("GeometryConstructors.Point", coordinates=xy) for xy in places.tolist()]
        features = [call("Feature", geometry=point, metadata={}) for point in points]
        table = call(
            "Image.reduceRegions",
            image=image,
            collection=call("Collection", features=features),
            reducer=call("Reducer.mean"),
            scale=scale,
        )
        yield "table:computeFeatures", {"expression": encode(table)}
    for left, top in ((500_000, 4_317_000), (500_100, 4_316_950)):
        affine = {"scaleX": 1, "scaleY": -1, "translateX": left, "translateY": top}
        grid = {"crsCode": "EPSG:26913", "dimensions": {"width": 64, "height": 64}}
        grid["affineTransform"] = affine
        yield (
            "image:computePixels",
            {"expression": encode(photographs), "fileFormat": "NPY", "grid": grid},
        )


def costs(requests, folder):
    """Return EECU-seconds, peak memory and a digest of the answer of each request."""
    core = Core(Catalog(), Store(folder))
    found = []
    for path, body in requests:
        answer = core.answer("POST", f"/v1/projects/p/{path}", {}, json.dumps(body).encode())
        assert answer.status == 200, answer.body[:300]
        usage = answer.usage
        found.append([usage.eecu_seconds, usage.peak_memory, zlib.crc32(answer.body)])
    return found


@pytest.mark.slow
def test_what_a_request_costs_depends_on_nothing_but_the_request(tmp_path):
    """Caches cold or warm, other requests before it, another process: the same, to the bit."""
    requests = list(asked())
    here = costs(requests, tmp_path)
    assert costs(requests[::-1], tmp_path) == here[::-1]
    code = (
        "import json, sys; from test_accounting import costs;"
        "print(json.dumps(costs(json.load(sys.stdin)[::-1], sys.argv[1])))"
    )
    there = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        input=json.dumps(requests),
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    assert json.loads(there.stdout) == here[::-1]
    # Far apart costs more than close together.
    assert here[0][0] != here[1][0]

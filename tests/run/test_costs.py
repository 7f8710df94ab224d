"""What the requests of runs cost: told by a sample of them, added up, and kept to a budget."""

import contextlib
import dataclasses
import json
import logging

import distributed
import ee
import geopandas as gpd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mounted import SCENE
from places import points_in
from watching import requests_since

import eedask
from eedask.earthengine.endpoint import Request
from eedask.errors import PermanentError, RunStopped, TransientError
from eedask.results.runs import runs_of
from eedask.run.run_limits import RunLimits
from eedask.watching.compute import Compute
from eedask.watching.compute_sample import ComputeSample

COUNT = 200
REQUEST = Request("GET", "projects/p/config")


@pytest.fixture(scope="module")
def places(rasters):
    frame = gpd.GeoDataFrame(geometry=points_in(rasters.scene, COUNT, seed=6))
    return frame.set_axis([f"p{k:03d}" for k in range(COUNT)], axis=0).to_crs("EPSG:4326")


@pytest.fixture
def readings(earth_engine):
    yield earth_engine.set_readings
    earth_engine.set_readings(None)


@contextlib.contextmanager
def on_a_cluster():
    where = {"processes": False, "dashboard_address": "127.0.0.1:0"}
    with distributed.LocalCluster(n_workers=1, **where) as cluster, distributed.Client(cluster):
        yield


def plan_of(items, out, **more):
    options = {"shape": (8, 8), "scale": 5, "format": "npy", "partition_size": 25}
    options |= {"concurrency": 4, **more}
    return eedask.chips(items, ee.Image(SCENE).select("R"), out=out, **options)


def cost_so_far(out):
    return json.loads((out / "plan.json").read_text()).get("eecu_s")


def used(emulator, before):
    return emulator.stats()["eecu_seconds"] - before["eecu_seconds"]


def test_a_runs_cost_is_told_by_few_requests_more_and_adds_up(
    earth_engine, places, tmp_path, threads
):
    before, seen = earth_engine.stats(), []
    with pytest.raises(RunStopped, match="max_items=100"):
        plan_of(places, tmp_path).run(progress=seen.append, max_items=100)
    first = used(earth_engine, before)
    assert cost_so_far(tmp_path) == pytest.approx(first, rel=0.2)
    assert seen[-1].eecu_s == pytest.approx(cost_so_far(tmp_path), abs=0.001)
    plan_of(places, tmp_path).run(progress=seen.append)
    assert cost_so_far(tmp_path) == pytest.approx(used(earth_engine, before), rel=0.2)
    # Some partitions end before any cost is told.
    figures = sum(run.eecu_s for run in runs_of(eedask.open_result(tmp_path).stats))
    assert figures == pytest.approx(cost_so_far(tmp_path), rel=0.4)
    # For each run one for the grid of the image, and those for costs.
    assert requests_since(earth_engine, before) <= COUNT * 1.03 + 2
    before = earth_engine.stats()
    plan_of(places.iloc[:100], tmp_path).run(progress=False, overwrite=True)
    assert cost_so_far(tmp_path) == pytest.approx(used(earth_engine, before), rel=0.2)


def test_a_short_run_is_not_worth_asking(earth_engine, places, tmp_path, threads):
    before = earth_engine.stats()
    plan_of(places.iloc[:20], tmp_path).run(progress=False)
    assert requests_since(earth_engine, before) == 21
    assert cost_so_far(tmp_path) is None


def test_a_days_compute_quota_that_is_used_up_stops_a_run_and_costs_no_item(
    earth_engine, places, tmp_path, threads
):
    today = earth_engine.stats()["eecu_seconds_today"]
    earth_engine.set_quotas(daily_eecu_seconds=today + 0.3)
    try:
        with pytest.raises(RunStopped, match=r"compute budget is used up.*Run the same plan again"):
            plan_of(places, tmp_path).run(progress=False)
    finally:
        earth_engine.set_quotas(daily_eecu_seconds=None)
    manifest = eedask.open_result(tmp_path).manifest
    done = manifest["status"].eq("ok").sum()
    assert 10 < done < COUNT
    assert manifest["status"].isna().sum() == COUNT - done
    before = earth_engine.stats()
    result = plan_of(places, tmp_path).run(progress=False)
    assert result.manifest["status"].eq("ok").all()
    assert result.manifest["attempts"].max() <= 2
    assert requests_since(earth_engine, before) <= COUNT - done + 6


@pytest.mark.parametrize("where", [contextlib.nullcontext, on_a_cluster])
@pytest.mark.cross(2)
def test_a_run_stops_at_its_budget_and_goes_on(earth_engine, places, tmp_path, where):
    plan = plan_of(places, tmp_path)
    before = earth_engine.stats()
    budget = 0.6 / 3600
    with (
        where(),
        pytest.raises(RunStopped, match=r"max_eecu_hours=0\.000166667 are used"),
    ):
        plan.run(progress=False, max_eecu_hours=budget)
    first = used(earth_engine, before)
    assert 0.5 < first < 1.3
    with pytest.raises(RunStopped, match="are used up"):
        plan.run(progress=False, max_eecu_hours=budget)
    assert 0.5 < used(earth_engine, before) - first < 1.3
    with where():
        result = plan.run(progress=False, max_eecu_hours=1)
    assert result.manifest.index.tolist() == places.index.tolist()
    assert result.manifest["status"].eq("ok").all()
    assert cost_so_far(tmp_path) == pytest.approx(used(earth_engine, before), rel=0.2)


@pytest.mark.parametrize("how", ["absent", "refused"])
def test_where_costs_are_not_told_a_budget_is_said_to_be_none(
    earth_engine, readings, places, tmp_path, threads, caplog, how
):
    readings({"profiles": how})
    before, seen = earth_engine.stats(), []
    places = places.iloc[:60]
    result = plan_of(places, tmp_path).run(progress=seen.append, max_eecu_hours=1e-6)
    assert result.manifest["status"].eq("ok").all()
    assert {now.eecu_s for now in seen} == {None}
    assert cost_so_far(tmp_path) is None
    said = [r for r in caplog.records if "max_eecu_hours cannot be kept" in r.getMessage()]
    assert [r.levelno for r in said] == [logging.WARNING]
    assert requests_since(earth_engine, before) <= len(places) + 1 + 3


def test_restricted_mode_is_told_once_with_what_it_means(earth_engine, places, tmp_path, caplog):
    earth_engine.set_quotas(monthly_eecu_hours=0)
    try:
        plan_of(places.iloc[:20], tmp_path).run(progress=False)
    finally:
        earth_engine.set_quotas(monthly_eecu_hours=None)
    said = [r.getMessage() for r in caplog.records if "parallelism_restricted" in r.getMessage()]
    assert len(said) == 1
    assert "compute quota is used up" in said[0]
    assert "until the month is over; going on with 2 at once" in said[0]


def test_restricted_mode_and_costs_are_told_where_the_scheduler_is_elsewhere(
    earth_engine, places, tmp_path, caplog
):
    """A client that knows the scheduler's address alone takes its log for another process's."""
    where = {"processes": False, "protocol": "tcp", "dashboard_address": "127.0.0.1:0"}
    seen = []
    earth_engine.set_quotas(monthly_eecu_hours=0)
    try:
        with (
            distributed.LocalCluster(n_workers=1, **where) as cluster,
            distributed.Client(cluster.scheduler_address),
        ):
            plan = plan_of(places.iloc[:30], tmp_path)
            plan.run(progress=seen.append, max_eecu_hours=1)
    finally:
        earth_engine.set_quotas(monthly_eecu_hours=None)
    said = [r.name for r in caplog.records if "parallelism_restricted" in r.getMessage()]
    assert sorted(said) == ["eedask.quota.owner", "eedask.run.progress"]
    assert seen[-1].eecu_s == pytest.approx(0.3, rel=0.3)


# The sample.


def sent(sample, count, partition=0, cost=None):
    """Send requests, of which each that asks is given its number, or its cost, for a profile."""
    for number in range(count):

        def send(request, number=number):
            if request.profile is not None:
                request.profile(str(number if cost is None else cost(number)))
            return b""

        sample.send(REQUEST, partition, send)


def told(sample, *, last=False):
    groups = sample.due(last=last)
    if groups:
        sample.told(groups, [sum(map(float, ids)) for ids in groups.values()])
    return groups


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(1, 40)), min_size=1, max_size=20))
def test_equal_requests_cost_as_many_times_one(batches):
    sample = ComputeSample(early=True)
    for partition, count in batches:
        sent(sample, count, partition, lambda _: 0.5)
        told(sample)
    told(sample, last=True)
    total = sum(count for _, count in batches)
    assert sample.sum.requests == total
    assert sample.sum.total == pytest.approx(total / 2)
    for number in range(4):
        own = sum(count for partition, count in batches if partition == number)
        assert sample.of_partition(number).total == pytest.approx(own / 2)


def test_what_changes_over_a_run_is_weighed_by_the_requests_it_stands_for():
    sample = ComputeSample()
    sent(sample, 1000, cost=lambda number: 1 + number / 100)
    told(sample, last=False)
    assert sample.sum.total == pytest.approx(sum(1 + k / 100 for k in range(1000)), rel=0.03)


def test_costs_are_asked_for_seldom_and_by_many_at_once():
    sample, asked = ComputeSample(), []
    for _ in range(10_000):
        sent(sample, 1, cost=lambda _: 1)
        if groups := told(sample):
            asked.append(sum(map(len, groups.values())))
    assert len(asked) <= 30
    assert max(asked) <= 100
    assert sample.sum.total == pytest.approx(10_000)


@pytest.mark.parametrize("early", [False, True])
def test_a_slow_run_is_asked_for_once_it_had_some_answers(monkeypatch, early):
    now = 100.0
    monkeypatch.setattr("eedask.watching.compute_sample.time.monotonic", lambda: now)
    sample = ComputeSample(early=early)
    sent(sample, 7)
    assert sample.due() is None
    now = 110.0
    assert (sample.due() is not None) == early
    sent(sample, 3)
    assert sample.due() is None if early else sample.due()


def test_a_service_that_does_not_tell_is_left_alone():
    sample = ComputeSample(early=True)
    for count in (30, 60, 120):
        sent(sample, count)
        assert sample.due()
        assert sample.due() is None  # one at a time
        sample.refused()
    seen = []
    sample.send(REQUEST, 0, lambda request: seen.append(request.profile) or b"")
    assert seen == [None]
    assert sample.sum.total is None


def test_requests_that_were_refused_for_good_have_their_price_and_those_that_come_again_not():
    sample = ComputeSample()

    def fail(error, request):
        raise error

    for error in (PermanentError("no"), TransientError("later")):
        with pytest.raises(type(error)):
            sample.send(REQUEST, 0, lambda request, error=error: fail(error, request))
    assert sample.sum == Compute(requests=1)


def test_costs_add_up_and_none_is_negative():
    both = Compute.sum([Compute(1, 10, 100), Compute(3, 10, 20)])
    assert both == Compute(4, 20, 120)
    assert both.total == 24
    assert Compute(requests=3).total is None
    for field in dataclasses.fields(Compute):
        with pytest.raises(eedask.errors.InputError):
            Compute(**{field.name: -1.0})


@pytest.mark.parametrize("wrong", [0, -1, "2", float("nan")])
def test_a_budget_is_a_positive_number_of_hours(wrong):
    with pytest.raises(eedask.errors.InputError, match="max_eecu_hours is a positive"):
        RunLimits(max_eecu_hours=wrong)

"""Runs that stop after so many items, or at a time, and go on when they are run again."""

import contextlib
from datetime import UTC, datetime, timedelta

import dask
import distributed
import ee
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mounted import SCENE
from watching import requests_since

import eedask
from eedask.errors import InputError, RunStopped
from eedask.run.run_limits import RunLimits


def plan_of(points, out, **more):
    options = {"shape": (8, 8), "scale": 5, "format": "npy", "partition_size": 5, **more}
    return eedask.chips(points, ee.Image(SCENE).select("R"), out=out, **options)


@contextlib.contextmanager
def on_threads():
    with dask.config.set(scheduler="threads"):
        yield


@contextlib.contextmanager
def on_a_cluster():
    where = {"processes": False, "dashboard_address": "127.0.0.1:0"}
    with distributed.LocalCluster(n_workers=1, **where) as cluster, distributed.Client(cluster):
        yield


@pytest.mark.parametrize("where", [on_threads, on_a_cluster, contextlib.nullcontext])
@pytest.mark.cross(3)
def test_a_run_stops_after_so_many_items_and_goes_on(earth_engine, points, tmp_path, where):
    plan = plan_of(points, tmp_path, concurrency=2)
    with where():
        for done in (7, 14):
            before = earth_engine.stats()
            with pytest.raises(RunStopped, match=r"max_items=7 are done in this run; what is done"):
                plan.run(progress=False, max_items=7)
            assert eedask.open_result(tmp_path).manifest["status"].eq("ok").sum() == done
            assert requests_since(earth_engine, before) == 7 + 1
        before = earth_engine.stats()
        result = plan.run(progress=False, max_items=1000)
    assert result.manifest["status"].eq("ok").all()
    assert requests_since(earth_engine, before) == 40 - 14 + 1


def test_so_many_of_those_that_failed_are_tried_again(earth_engine, points, tmp_path, threads):
    items = points.assign(image=[SCENE, "projects/p/assets/none"] * 20)
    plan = eedask.chips(
        items, lambda item: ee.Image(item["image"]), out=tmp_path, shape=(8, 8), scale=5,
        format="npy", bands=["R"], crs="EPSG:26914",
    )  # fmt: skip
    assert plan.run(progress=False).manifest["status"].eq("failed").sum() == 20
    before = earth_engine.stats()
    with pytest.raises(RunStopped, match="max_items=3 are done"):
        plan.run(progress=False, max_items=3, retry_failed=True)
    assert requests_since(earth_engine, before) == 3
    assert eedask.open_result(tmp_path).manifest["status"].value_counts()["failed"] == 20


def test_a_run_that_comes_to_its_end_at_a_limit_is_not_stopped(
    earth_engine, points, tmp_path, threads
):
    result = plan_of(points, tmp_path).run(progress=False, max_items=len(points))
    assert result.manifest["status"].eq("ok").all()


@pytest.mark.parametrize("zone", [None, UTC])
@pytest.mark.cross(2)
def test_a_run_stops_at_a_time_and_goes_on(earth_engine, points, tmp_path, threads, zone):
    slow = plan_of(points, tmp_path, rate=10, concurrency=2)
    with pytest.raises(RunStopped, match=r"until=.* has come; what is done is kept"):
        slow.run(progress=False, until=datetime.now(zone) + timedelta(seconds=1))
    assert eedask.open_result(tmp_path).manifest["status"].isna().any()
    late = datetime.now(UTC) + timedelta(hours=1)
    assert plan_of(points, tmp_path).run(progress=False, until=late).failed.empty


@given(st.integers(0, 23), st.integers(0, 59))
def test_a_time_of_the_clock_is_the_next(hour, minute):
    then = RunLimits(until=f"{hour}:{minute:02}")._end()
    left = (then - datetime.now(UTC)).total_seconds()
    assert -1 < left <= 25 * 3600  # the longest day of the year's clocks
    assert (then.hour, then.minute) == (hour, minute)


@pytest.mark.parametrize(
    "wrong",
    [
        *({"max_items": n} for n in (0, -1, 2.5, "10", True)),
        *({"until": t} for t in ("25:00", "noon", "18", 18, 18.5, "18:00:00", "")),
        {"until": datetime(2020, 1, 1)},
    ],
    ids=str,
)
def test_limits_that_are_none_are_told_before_anything_is_sent(
    earth_engine, points, tmp_path, wrong
):
    before = earth_engine.stats()
    with pytest.raises(InputError, match=f"^{next(iter(wrong))}"):
        plan_of(points, tmp_path / "out").run(progress=False, **wrong)
    assert requests_since(earth_engine, before) == 0
    assert not (tmp_path / "out").exists()

"""The statistics of partitions, held against what the server itself has counted."""

import contextlib
import shutil

import dask
import distributed
import ee
import numpy as np
import pandas as pd
import pytest
from mounted import SCENE

import eedask
from eedask.earthengine.retry import RetryPolicy
from eedask.errors import DatasetError

# So many tries that no item fails for faults that are dealt out at random.
QUICK = RetryPolicy(tries=25, delay=0.05, jitter=(0.0, 0.05))


@pytest.fixture
def mixed(points):
    """Items of which three ask for a band that is not there."""
    bands = ["R", "G", "B", "N"] * (len(points) // 4)
    bands[5] = bands[17] = bands[30] = "nope"
    return points.assign(band=bands)


def by_band(item):
    return ee.Image(SCENE).select([item["band"]])


def plan_of(items, out, **more):
    options = {"shape": (8, 8), "scale": 5, "format": "npy", "partition_size": 7, **more}
    return eedask.chips(items, by_band, out=out, retry=QUICK, **options)


@contextlib.contextmanager
def answers(emulator):
    """Yield a dictionary that gets what the server has answered meanwhile, by status."""
    before, found = emulator.stats()["by_status"], {}
    yield found
    now = emulator.stats()["by_status"]
    found |= {s: n - before.get(s, 0) for s, n in now.items() if n > before.get(s, 0)}


def errors_of(stats, column="errors"):
    """Return counts by kind, of all partitions."""
    kinds = pd.DataFrame([*stats[column]]).sum()
    return {kind: int(count) for kind, count in kinds.items()}


@contextlib.contextmanager
def place(where):
    """Have runs done by threads of this process, or by two workers, here or in processes."""
    if where == "threads":
        with dask.config.set(scheduler="threads"):
            yield
    else:
        options = {"n_workers": 2, "threads_per_worker": 2, "dashboard_address": None}
        with distributed.Client(processes=where == "processes", **options):
            yield


@pytest.mark.parametrize(
    "where", ["threads", "workers", pytest.param("processes", marks=pytest.mark.slow)]
)
def test_the_numbers_are_those_of_the_servers_log(where, earth_engine, mixed, tmp_path):
    """Some answers are 429, some 500, and some noise in place of the file."""
    # Not so many that costs are asked for, after 64 requests.
    earth_engine.set_faults({"429": 0.06, "500": 0.06, "wrong_bytes": 0.06})
    try:
        with place(where), answers(earth_engine) as log:
            result = plan_of(mixed, tmp_path).run(progress=False)
    finally:
        earth_engine.set_faults(None)
    stats = result.stats
    sums = stats[["items", "requests", "retries", "throttled"]].sum()
    # Noise comes with status 200, as the 37 files do, and with 400, as the three refusals do.
    broken = log.get("500", 0) + log["200"] - 37 + log["400"] - 3
    throttled = log.get("429", 0)
    errors = {"permanent": 3, "quota": throttled, "transient": broken}
    assert sums.to_dict() == {
        "items": 40,
        "requests": sum(log.values()),
        "retries": sum(log.values()) - 40,
        "throttled": throttled,
    }
    assert throttled + broken
    assert errors_of(stats) == {kind: count for kind, count in errors.items() if count}
    assert errors_of(stats, "failures") == {"permanent": 3}
    assert stats["requests"].sum() == result.manifest["attempts"].sum()
    assert stats["nbytes"].sum() >= result.manifest["nbytes"].sum()
    assert stats["partition"].to_list() == [0, 1, 2, 3, 4, 5]
    assert stats["run"].nunique() == 1
    named = {*stats["worker"].dropna()}
    assert named == set() if where == "threads" else named and named <= {"0", "1"}
    assert (stats["started"] < stats["ended"]).all()
    ordered = stats[["p50_s", "p95_s", "p99_s"]].to_numpy()
    assert (np.diff(ordered) >= 0).all()
    assert stats["mean_s"].between(0, stats["p99_s"]).all()
    assert stats["eecu_s"].isna().all()


def test_latencies_are_what_the_server_took(earth_engine, threads, mixed, tmp_path):
    earth_engine.set_quotas(latency=0.3)
    try:
        stats = plan_of(mixed.head(7), tmp_path, concurrency=2).run(progress=False).stats
    finally:
        earth_engine.set_quotas(latency=0.0)
    # Quantiles are known to a tenth.
    assert (stats[["mean_s", "p50_s", "p95_s", "p99_s"]] > 0.27).all(axis=None)
    assert stats["mean_s"].item() < 3.0
    assert stats[["concurrency", "rate"]].to_numpy().tolist() == [[2, 100.0]]


def test_later_runs_add_rows_and_leave_those_of_earlier_ones(
    earth_engine, threads, mixed, tmp_path
):
    first = plan_of(mixed.head(20), tmp_path).run(progress=False)
    assert (first.stats["partition"].to_list(), first.stats["items"].sum()) == ([0, 1, 2], 20)
    second = first.retry_failed(progress=False)
    third = plan_of(mixed, tmp_path).run(progress=False, extend=True)
    fourth = plan_of(mixed, tmp_path).run(progress=False)  # nothing is left
    pd.testing.assert_frame_equal(fourth.stats, third.stats)
    stats, runs = third.stats, third.stats["run"].unique()
    for earlier in (first.stats, second.stats):
        there = stats.merge(earlier[["run", "partition", "ended"]])
        assert len(there) == len(earlier)
    by_run = stats.groupby("run")[["items", "requests"]].sum().loc[runs]
    assert len(runs) == 3
    assert sorted(by_run["items"]) == sorted(by_run["requests"]) == [2, 20, 20]


def test_a_new_beginning_has_no_statistics_of_the_old_one(earth_engine, threads, mixed, tmp_path):
    plan_of(mixed, tmp_path).run(progress=False)
    result = plan_of(mixed.head(7), tmp_path).run(progress=False, overwrite=True)
    assert result.stats["items"].to_list() == [7]


@pytest.mark.parametrize("harm", ["cut", "foreign", "unwritable"])
def test_damaged_statistics_stop_no_run(earth_engine, threads, mixed, tmp_path, harm, caplog):
    items = mixed.head(10)
    plan_of(items, tmp_path).run(progress=False)
    part = tmp_path / "stats" / "part-00000.parquet"
    if harm == "cut":
        part.write_bytes(part.read_bytes()[:100])
        said, logged = "remove it; no result is lost", "earlier statistics are lost"
    elif harm == "foreign":
        part.rename(part.with_name("part-00077.parquet"))
        said, logged = "move it elsewhere", ""
    else:
        shutil.rmtree(part.parent)
        part.parent.touch()
        said, logged = "", "statistics cannot be written"
    result = eedask.open_result(tmp_path)
    if said:
        with pytest.raises(DatasetError, match=said):
            _ = result.stats
    assert "10 items: 9 ok, 1 failed" in result.summary()
    again = plan_of(items, tmp_path).run(progress=False, retry_failed=True)
    assert again.manifest["attempts"].sum() == 11
    assert logged in caplog.text


def test_they_are_kept_in_object_stores(earth_engine, threads, mixed):
    result = plan_of(mixed.head(14), "memory://stats_bucket/out").run(progress=False)
    stats = eedask.open_result("memory://stats_bucket/out").stats
    pd.testing.assert_frame_equal(stats, result.stats)
    assert stats["requests"].to_list() == [7, 7]


def test_seconds_of_an_item_are_its_share_of_its_requests(earth_engine, threads, points, tmp_path):
    earth_engine.set_quotas(latency=0.5)
    try:
        plan = eedask.sample_points(points, ee.Image(SCENE), out=tmp_path, scale=5)
        result = plan.run(progress=False)
    finally:
        earth_engine.set_quotas(latency=0.0)
    seconds, stats = result.manifest["elapsed_s"], result.stats
    busy = (stats["mean_s"] * stats["requests"]).sum()
    assert stats["requests"].sum() < len(points) / 2
    # Less the time of requests, more that of reading the answers.
    assert 0.9 * busy < seconds.sum() < busy + 5
    assert seconds.max() < 0.5

"""What is asked before there are items to work on counts against the quota like all else."""

import itertools
from concurrent.futures import ThreadPoolExecutor

import distributed
import ee
import pytest
from mounted import FIELD
from watching import wait_until

import eedask
from eedask.quota import leases

LATENCY_S = 0.2


@pytest.fixture
def narrow(earth_engine):
    """The emulator refuses a second request at once, and more than four a second."""
    earth_engine.set_quotas(concurrency=1, rate=4, latency=LATENCY_S)
    earth_engine.reset_stats()
    yield earth_engine
    earth_engine.set_quotas(concurrency=None, rate=None, latency=0)


@pytest.fixture
def client():
    with (
        distributed.LocalCluster(
            n_workers=1, threads_per_worker=2, processes=False, dashboard_address=None
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


def check_kept(emulator):
    stats = emulator.stats()
    assert "429" not in stats["by_status"]
    assert stats["peak_in_flight"] == 1


def ask_in_threads(points, folder):
    """Have three plans, and a builder of items, send what they ask first, all at once."""

    def plan(number):
        image = ee.Image(FIELD).select(0).add(number)
        eedask.sample_points(points, image, out=folder / str(number), concurrency=1, rate=4).bag()

    def build(_):
        table = ee.FeatureCollection([ee.Feature(None, {"n": n}) for n in range(3)])
        return eedask.items.from_features(table, ["n"])

    plan(0)
    jobs = [(plan, 1), (plan, 2), (plan, 3), (build, 4)]
    with ThreadPoolExecutor(len(jobs)) as threads:
        *_, built = threads.map(lambda job: job[0](job[1]), jobs)
    assert sorted(built["n"]) == [0, 1, 2]


def test_plans_and_builders_in_several_threads_keep_the_quota(narrow, points, tmp_path):
    ask_in_threads(points, tmp_path)
    check_kept(narrow)
    assert narrow.stats()["requests"] >= 5


def test_they_do_on_a_cluster_too(narrow, points, tmp_path, client):
    ask_in_threads(points, tmp_path)
    check_kept(narrow)
    key = leases.key_of(eedask.sample_points(points, ee.Image(FIELD), out="x").task.endpoint)
    # The scheduler is told a moment after an answer.
    wait_until(lambda: leases.snapshot(client, key)["done"] >= 5)


def test_planning_and_a_run_keep_one_quota(narrow, points, tmp_path):
    few = points.iloc[:5]
    image = ee.Image(FIELD).select(0)
    chips = eedask.chips(
        few, image, out=tmp_path / "c", shape=(4, 4), scale=30, format="npy", concurrency=1, rate=4
    )
    with ThreadPoolExecutor(2) as threads:
        run = threads.submit(chips.run, progress=False)
        for number in itertools.count():
            plan = eedask.sample_points(
                few, image.add(number), out=tmp_path / str(number), concurrency=1, rate=4
            )
            plan.bag()
            if run.done():
                break
    assert (run.result().manifest["status"] == "ok").all()
    check_kept(narrow)

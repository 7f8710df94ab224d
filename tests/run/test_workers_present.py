"""A cluster without workers is said to be one, and a run that lost all of them comes to an end."""

import logging
import threading
from types import SimpleNamespace

import distributed
import ee
import pytest
from fire import (
    flushed,
    initialized,
    inspect,
    make_items,
    plan_of,
    processes,
    running_bed,
    wait_until,
)
from mounted import SCENE
from watching import requests_since

import eedask
from eedask.errors import RunStopped
from eedask.run import workers_present as presence


class Clock:
    """Stands for the time, and for the scheduler that is asked for its workers."""

    def __init__(self, monkeypatch):
        self.now, self.workers = 100.0, 0
        clock = SimpleNamespace(monotonic=lambda: self.now)
        monkeypatch.setattr(presence, "time", clock)
        self.presence = presence.Presence(self.count)

    def count(self):
        if self.workers is None:
            raise OSError("no scheduler")
        return self.workers

    def look(self, workers, seconds):
        """Look every second."""
        self.workers = workers
        for _ in range(seconds):
            self.now += 1
            self.presence.look()


def test_a_cluster_that_starts_out_empty_is_waited_for(monkeypatch, caplog):
    clock = Clock(monkeypatch)
    clock.look(0, 3600)
    assert [record.message for record in caplog.records] == [
        "the cluster has no worker; the run waits until one comes"
    ]
    clock.look(1, 10)
    assert caplog.records[-1].message == "a worker is there; the run goes on"


def test_lost_workers_are_waited_for_a_while(monkeypatch, caplog):
    clock = Clock(monkeypatch)
    clock.look(2, 60)
    clock.look(0, 200)
    clock.look(1, 10)
    clock.look(0, 290)
    assert len(caplog.records) == 3
    with pytest.raises(RunStopped, match=r"none has come for 300 s.* run the same plan again"):
        clock.look(0, 20)


def test_a_silent_scheduler_tells_nothing(monkeypatch, caplog):
    clock = Clock(monkeypatch)
    clock.look(2, 60)
    clock.look(None, 3600)
    assert not caplog.records


@pytest.mark.slow
def test_a_partition_that_is_lost_with_the_last_worker_is_not_waited_for(tmp_path, monkeypatch):
    """The worker goes between the end of a partition and the moment its result is fetched."""
    for name, seconds in {"LOOK_S": 0.2, "WARN_S": 0.5, "PATIENCE_S": 2.0}.items():
        monkeypatch.setattr(presence, name, seconds)
    items, out = make_items(8, seed=52), tmp_path / "out"
    with (
        running_bed(tmp_path) as bed,
        initialized(bed.emulator.url, bed.emulator.project),
        processes(1) as client,
    ):
        fetch = distributed.Future.result

        def without_worker(future, timeout=None):
            client.cluster.scale(0)
            wait_until(lambda: not client.nthreads(), 60)
            return fetch(future, timeout)

        with monkeypatch.context() as patch:
            patch.setattr(distributed.Future, "result", without_worker)
            with pytest.raises(RunStopped, match="all workers are gone"):
                plan_of(items, out).run(progress=False)
        assert len(flushed(out)) == len(items)
        client.cluster.scale(1)
        plan_of(items, out).run(progress=False)
    inspect(out, items, bed.raster)


def test_a_partition_that_the_scheduler_forgets_before_its_result_is_fetched_is_run_again(
    earth_engine, points, tmp_path, monkeypatch
):
    fetch, forgotten = distributed.Future.result, []
    asked = {"shape": (8, 8), "scale": 5, "format": "npy", "partition_size": 20}
    plan = eedask.chips(points, ee.Image(SCENE), out=tmp_path, **asked)
    where = {"processes": False, "dashboard_address": "127.0.0.1:0"}
    with (
        distributed.LocalCluster(n_workers=1, **where) as cluster,
        distributed.Client(cluster) as client,
    ):

        def after_it_is_forgotten(future, timeout=None):
            if not forgotten:
                forgotten.append(future.key)
                client.loop.add_callback(client._handle_cancelled_keys, [future.key], "gone")
                wait_until(future.cancelled)
            return fetch(future, timeout)

        monkeypatch.setattr(distributed.Future, "result", after_it_is_forgotten)
        before = earth_engine.stats()
        result = plan.run(progress=False)
    assert len(forgotten) == 1
    assert result.manifest["status"].eq("ok").all()
    assert requests_since(earth_engine, before) == len(points) + 1


@pytest.mark.slow
def test_a_run_that_has_lost_all_workers_ends_and_is_resumed(tmp_path, monkeypatch, caplog):
    for name, seconds in {"LOOK_S": 0.2, "WARN_S": 0.5, "PATIENCE_S": 2.0}.items():
        monkeypatch.setattr(presence, name, seconds)
    items, out = make_items(400, seed=51), tmp_path / "out"
    with running_bed(tmp_path) as bed, initialized(bed.emulator.url, bed.emulator.project):
        # Most items are left when the workers are gone, which takes seconds on a busy machine.
        bed.emulator.set_quotas(latency=0.5)
        with processes(1) as client:

            def take_workers():
                wait_until(lambda: flushed(out), 60)
                client.cluster.scale(0)

            taking = threading.Thread(target=take_workers)
            taking.start()
            with (
                caplog.at_level(logging.WARNING, "eedask"),
                pytest.raises(RunStopped, match="all workers are gone"),
            ):
                plan_of(items, out).run(progress=False)
            taking.join()
            assert "the run waits until one comes" in caplog.text
            assert 0 < len(flushed(out)) < len(items)
            bed.emulator.set_quotas(latency=0.02)
            client.cluster.scale(1)
            plan_of(items, out).run(progress=False)
    inspect(out, items, bed.raster)

"""Runs on a real cluster, watched over HTTP as a browser or Prometheus would."""

import contextlib
import logging
import os
import re
import signal
import threading

import distributed
import pytest
import requests
from clusters import dashboard, local_cluster, plan_of
from dask.utils import key_split
from watching import Terminal, requests_since, wait_until

from eedask.run.own_cluster import own_cluster
from eedask.watching import announcing, page
from eedask.watching.map_sample import DONE, FAILED
from eedask.watching.run_state import FINISHED, WAITING
from eedask.watching.scheduler_plugin import PLUGIN

KEYS = {
    *("id", "verb", "out", "total", "done", "failed", "requests_per_s", "in_flight", "limit"),
    *("throttled", "retries", "bytes", "eecu_s", "eta_s", "failures"),
}


@pytest.fixture
def mixed(points):
    """Items of which three ask for a band that is not there."""
    bands = ["R", "G", "B", "N"] * (len(points) // 4)
    bands[5] = bands[17] = bands[30] = "nope"
    return points.assign(band=bands)


def get(cluster, path):
    answer = requests.get(f"{dashboard(cluster)}{path}", timeout=60)
    assert answer.status_code == 200
    return answer


def status(cluster, out):
    """Return what the dashboard says of the latest run into a folder."""
    runs = get(cluster, "/eedask/status.json").json()["runs"]
    return next(run for run in reversed(runs) if run["out"] == str(out))


def state(cluster, out):
    """Return the scheduler's state of the latest run into a folder."""
    runs = cluster.scheduler.plugins[PLUGIN].runs.values()
    return next(run for run in reversed(runs) if run.beginning.out == str(out))


def test_the_status_is_what_the_run_did(earth_engine, cluster, client, mixed, tmp_path):
    before = earth_engine.stats()
    result = plan_of(mixed, tmp_path).run(progress=False)
    now = status(cluster, tmp_path)
    assert set(now) == KEYS
    assert (now["verb"], now["total"], now["done"], now["failed"]) == ("chips", 40, 40, 3)
    assert now["failures"] == {"permanent": 3}
    assert now["bytes"] == result.manifest["nbytes"].sum()
    assert (now["in_flight"], now["throttled"], now["retries"], now["eta_s"]) == (0, 0, 0, 0)
    assert now["eecu_s"] is None
    assert now["limit"] == 40
    run = state(cluster, tmp_path)
    sent = sum(counts.requests for _, counts in run.members.values())
    assert sent == requests_since(earth_engine, before)
    assert sum(sum(counts.latencies) for _, counts in run.members.values()) == 37
    assert {where for where, _ in run.members.values()} <= set(cluster.scheduler.workers)
    states = [state for *_, state in run.points.values()]
    assert (states.count(DONE), states.count(FAILED)) == (37, 3)
    id_, words = run.examples["permanent"]
    assert id_ in result.failed.index
    assert "Band pattern 'nope' did not match any bands" in words


def test_a_resumed_run_counts_what_was_done_before(earth_engine, cluster, client, mixed, tmp_path):
    plan = plan_of(mixed, tmp_path)
    plan.run(progress=False)
    (tmp_path / "manifest" / "part-00002.parquet").unlink()
    plan.run(progress=False)
    now = status(cluster, tmp_path)
    assert (now["total"], now["done"], now["failed"]) == (40, 40, 3)
    assert now["failures"] == {"permanent": 3}
    run = state(cluster, tmp_path)
    assert run.beginning.done == 33
    assert sum(counts.requests for _, counts in run.members.values()) == 7


def test_failed_items_that_are_tried_again_count_anew(
    earth_engine, cluster, client, mixed, tmp_path
):
    plan_of(mixed, tmp_path).run(progress=False).retry_failed()
    now = status(cluster, tmp_path)
    assert (now["done"], now["failed"], now["failures"]) == (40, 3, {"permanent": 3})
    assert state(cluster, tmp_path).beginning.done == 37


def test_a_bag_waits_until_it_is_computed(earth_engine, cluster, mixed, tmp_path):
    with distributed.Client(cluster):
        bag = plan_of(mixed, tmp_path).bag()
        now, run = status(cluster, tmp_path), state(cluster, tmp_path)
        assert (now["total"], now["done"], run.state) == (40, 0, WAITING)
        rows = bag.filter(lambda row: row["status"] == "failed").compute()
        wait_until(lambda: run.state == FINISHED)
        assert len(rows) == status(cluster, tmp_path)["failed"] == 3
        assert 0 < run.took_s < 60
    wait_until(lambda: not cluster.scheduler.plugins[PLUGIN]._clients)
    assert (run.state, run.done) == (FINISHED, 40)


def test_throttling_and_retries_are_counted(
    emulator, earth_engine, cluster, client, points, tmp_path
):
    items = points.head(16).assign(band="R")
    earlier = emulator.stats()["by_status"]
    # Three requests of eight meet within this time on a busy machine, too.
    emulator.set_quotas(concurrency=2, latency=0.3)
    try:
        plan_of(items, tmp_path, concurrency=8).run(progress=False)
    finally:
        emulator.set_quotas(concurrency=None, latency=0.0)
    refused = emulator.stats()["by_status"].get("429", 0) - earlier.get("429", 0)
    now = status(cluster, tmp_path)
    assert refused > 0
    assert (now["throttled"], now["retries"]) == (refused, refused)
    assert (now["done"], now["failed"]) == (16, 0)


def test_prometheus_has_the_same(earth_engine, cluster, client, mixed, tmp_path):
    out = tmp_path / 'a "quoted" name'
    plan_of(mixed, out).run(progress=False, max_eecu_hours=1)
    now, text = status(cluster, out), get(cluster, "/metrics").text
    assert 0 < now["eecu_s"] < 60
    lines = [line for line in text.splitlines() if now["id"] in line]
    found = dict(re.match(r"(\w+)\{.*\} (\S+)$", line).groups() for line in lines)
    assert {name: float(value) for name, value in found.items()} == {
        "eedask_items": 40,
        "eedask_items_done": 40,
        "eedask_items_failed": 3,
        "eedask_requests_per_second": 0,
        "eedask_requests_in_flight": 0,
        "eedask_requests_limit": now["limit"],
        "eedask_eta_seconds": 0,
        "eedask_requests_throttled_total": 0,
        "eedask_requests_retried_total": 0,
        "eedask_received_bytes_total": now["bytes"],
        "eedask_failures_total": 3,
        "eedask_eecu_seconds": now["eecu_s"],
    }
    assert any('kind="permanent"' in line and r'a \"quoted\" name"' in line for line in lines)
    assert "dask_scheduler_workers" in text


def test_dasks_pages_group_by_verb_and_folder(earth_engine, cluster, client, mixed, tmp_path):
    seen = set()

    class Look(distributed.SchedulerPlugin):
        name = "look"

        def transition(self, key, start, finish, *args, **kwargs):
            task = cluster.scheduler.tasks.get(key)
            if task is not None:
                seen.add((task.group.name, task.annotations["span"]["name"]))

    cluster.scheduler.add_plugin(Look())
    out, report = tmp_path / "naip_chips", tmp_path / "report.html"
    with distributed.performance_report(report):
        plan_of(mixed, out).run(progress=False)
    cluster.scheduler.remove_plugin("look")
    ((group, span),) = seen
    assert group == f"chips-naip-chips-{status(cluster, out)['id']}"
    assert key_split(group) == "chips-naip-chips"
    assert span == ("chips-naip_chips",)
    name = ("execute", "chips-naip-chips", "earth-engine")
    metrics = cluster.scheduler.cumulative_worker_metrics
    wait_until(lambda: {(*name, unit) for unit in ("seconds", "requests", "bytes")} <= set(metrics))
    # The report has no fine metrics; its scheduler's log has a line about the run.
    line = (
        rf"Earth Engine run: chips into {out} finished after \d+ s, 40 of 40 items done, 3 of them"
    )
    line += r" failed, [4-9]\d requests \([\d.]+ a second\), 0 throttled, 0 retries, half of them"
    assert re.search(line, report.read_text())


def test_the_page_and_its_plots_are_in_dasks_dashboard(
    earth_engine, cluster, client, mixed, tmp_path
):
    plan_of(mixed, tmp_path).run(progress=False)
    for path in ("/eedask", "/earth%20engine", "/exceptions"):
        assert '<a href="earth engine">Earth Engine</a>' in get(cluster, path).text, path
    plots = get(cluster, "/individual-plots.json").json()
    assert plots["Individual Task Stream"] == "/individual-task-stream"
    ours = [url for url in plots.values() if "earth-engine" in url]
    assert len(ours) == len(page.PARTS) == 8
    assert "bokeh" in get(cluster, "/individual-earth-engine-map").text


def test_three_runs_at_once_are_three(earth_engine, cluster, client, points, tmp_path):
    items = points.head(15).assign(band="R")
    outs = [tmp_path / name for name in ("one", "two", "three")]
    plans = [plan_of(items, out) for out in outs]
    threads = [threading.Thread(target=plan.run, kwargs={"progress": False}) for plan in plans]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    now = [status(cluster, out) for out in outs]
    assert len({run["id"] for run in now}) == 3
    assert [(run["done"], run["failed"]) for run in now] == [(15, 0)] * 3


@pytest.mark.slow
def test_a_worker_that_is_killed_loses_no_item_and_counts_none_twice(
    earth_engine, points, tmp_path
):
    plan = plan_of(points.assign(band="R"), tmp_path, concurrency=4)
    killed = threading.Event()
    with local_cluster() as cluster, distributed.Client(cluster):

        def heard_of():
            """Return a worker that has told of its requests, while many items are left."""
            runs = [r for r in cluster.scheduler.plugins[PLUGIN].runs.values() if 5 < r.done < 30]
            told = {where for run in runs for where, _ in run.members.values()}
            workers = list(cluster.workers.values())
            return next((worker for worker in workers if worker.worker_address in told), None)

        def kill():
            wait_until(lambda: PLUGIN in cluster.scheduler.plugins)
            os.kill(wait_until(heard_of).process.pid, signal.SIGKILL)
            killed.set()

        killer = threading.Thread(target=kill)
        killer.start()
        earth_engine.set_quotas(latency=0.3)
        try:
            with contextlib.redirect_stderr(Terminal()) as terminal:
                plan.run()
        finally:
            earth_engine.set_quotas(latency=0.0)
            killer.join()
        assert killed.is_set()
        drawn = terminal.getvalue().split("\r")
        assert re.fullmatch(r"chips: 100%\|#+\| 40/40 \[\d\d:\d\d\]\n", drawn[-1])
        assert max(int(done) for done in re.findall(r"\| (\d+)/40 \[", "".join(drawn))) == 40
        # What the dead worker had under way is shown until the scheduler misses it.
        assert 0 < max(int(many) for many in re.findall(r"(\d+) under way", "".join(drawn))) <= 8
        now = status(cluster, tmp_path)
        assert (now["done"], now["failed"], now["in_flight"]) == (40, 0, 0)
        assert len({where for where, _ in state(cluster, tmp_path).members.values()}) > 1


def test_a_run_whose_program_is_gone_does_not_run_for_ever(cluster, client):
    plugin = cluster.scheduler.plugins[PLUGIN]
    with distributed.Client(cluster, set_as_default=False) as other:
        run = {"run_id": "gone", "verb": "chips", "out": "o", "quota": "q", "total": 1}
        announcing._ask(other, "eedask_watching_begin", whose=other.id, run={**run, "points": []})
        assert plugin.runs["gone"].goes_on
    wait_until(lambda: not plugin.runs["gone"].goes_on)
    assert "is gone" in plugin.runs["gone"].reason


def test_where_dask_has_changed_there_is_one_warning_and_no_page(
    earth_engine, points, tmp_path, monkeypatch, caplog
):
    def add(*_):
        raise AttributeError("module 'distributed' has no attribute 'dashboard'")

    monkeypatch.setattr(page, "add", add)
    monkeypatch.setattr(announcing, "_told", False)
    items = points.assign(band="R").head(4)
    with (
        local_cluster(processes=False) as cluster,
        distributed.Client(cluster),
        caplog.at_level(logging.WARNING, "eedask"),
    ):
        for name in ("one", "two"):
            result = plan_of(items, tmp_path / name).run(progress=False)
            assert (result.manifest["status"] == "ok").all()
        assert status(cluster, tmp_path / "two")["done"] == 4
        assert "Earth Engine" not in get(cluster, "/exceptions").text
    told = [
        record.getMessage() for record in caplog.records if "no Earth Engine page" in record.msg
    ]
    assert len(told) == 1
    assert "AttributeError: module 'distributed' has no attribute" in told[0]


def test_the_cluster_of_a_run_has_the_page_when_somebody_looks(earth_engine, points, tmp_path):
    told = []
    with own_cluster(2, told.append) as client, client.as_current():
        plan_of(points.assign(band="R").head(4), tmp_path).run(progress=False)
        address = re.search(r"http://127\.0\.0\.1:\d+", told[0]).group()
        answer = requests.get(f"{address}/eedask/status.json", timeout=60)
        assert [run["done"] for run in answer.json()["runs"]] == [4]
        assert "Earth Engine" in requests.get(f"{address}/eedask", timeout=60).text


def test_without_a_cluster_a_run_is_the_same(earth_engine, threads, points, tmp_path):
    result = plan_of(points.assign(band="R").head(4), tmp_path).run(progress=False)
    assert (result.manifest["status"] == "ok").all()


def test_ids_that_are_numbers_are_on_the_map(earth_engine, cluster, client, points, tmp_path):
    items = points.assign(band="R").head(4).set_axis([1, 2, -3, 2**40])
    plan_of(items, tmp_path).run(progress=False)
    assert [what for *_, what in state(cluster, tmp_path).points.values()] == [DONE] * 4

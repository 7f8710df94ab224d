"""What a run says of itself while it goes on: to a callable, in a terminal, and in a file."""

import contextlib
import logging
import re
from collections import Counter
from dataclasses import replace

import dask
import distributed
import ee
import pandas as pd
import pytest
from mounted import SCENE
from watching import Terminal

import eedask
from eedask.earthengine.retry import RetryPolicy
from eedask.run import progress_bar

# So many tries that no item fails for faults that are dealt out at random.
QUICK = RetryPolicy(tries=25, delay=0.01, max_delay=0.05, jitter=(0.0, 0.0))


def by_band(item):
    return ee.Image(SCENE).select([item["band"]])


def by_python(item):
    return ee.Image(SCENE).select(str(item["band"]))


def plan_of(items, out, image=by_band, **more):
    options = {"shape": (8, 8), "scale": 5, "format": "npy", "partition_size": 7, **more}
    return eedask.chips(items, image, out=out, **options)


@pytest.fixture
def mixed(points):
    bands = ["R", "G", "B", "N"] * (len(points) // 4)
    bands[5] = bands[17] = bands[30] = "nope"
    return points.assign(band=bands)


@contextlib.contextmanager
def on_threads():
    with dask.config.set(scheduler="threads"):
        yield


@contextlib.contextmanager
def on_a_cluster():
    where = {"processes": False, "dashboard_address": "127.0.0.1:0"}
    with distributed.LocalCluster(n_workers=2, **where) as cluster, distributed.Client(cluster):
        yield


@pytest.mark.parametrize("where", [on_threads, on_a_cluster])
def test_progress_counts_items_and_requests(earth_engine, mixed, tmp_path, where):
    seen, earlier = [], Counter(earth_engine.stats()["by_status"])
    earth_engine.set_faults("429=0.2,503=0.2")
    earth_engine.set_quotas(latency=0.15)
    try:
        with where():
            plan_of(mixed, tmp_path, concurrency=4, retry=QUICK).run(progress=seen.append)
    finally:
        earth_engine.set_faults(None)
        earth_engine.set_quotas(latency=0.0)
    now = Counter(earth_engine.stats()["by_status"]) - earlier
    assert seen[0] == eedask.Progress(40, 0, 0)
    told = {"throttled": now["429"], "retries": now["429"] + now["503"]}
    # What it cost is known where a busy machine took long enough.
    assert replace(seen[-1], eecu_s=None) == eedask.Progress(40, 40, 3, **told)
    assert all(told.values())
    middle = [now for now in seen if 0 < now.done < 40]
    assert any(now.requests_per_s > 1 for now in middle)
    assert {now.in_flight for now in seen} <= set(range(5))
    assert any(now.in_flight for now in middle)


def test_a_long_request_of_many_items_is_seen(earth_engine, points, tmp_path, threads):
    fields = points.to_crs("EPSG:26914")
    fields = fields.set_geometry(fields.buffer(20)).head(8)
    seen, image = [], ee.Image(SCENE).select("R")
    plan = eedask.reduce_regions(fields, image, "mean", out=tmp_path, scale=5, batch_size=8)
    earth_engine.set_quotas(latency=1.2)
    try:
        plan.run(progress=seen.append)
    finally:
        earth_engine.set_quotas(latency=0.0)
    assert [now.done for now in seen[-2:]] == [8, 8]
    assert any(now.done == 0 and now.in_flight > 0 for now in seen)


def test_a_bar_is_drawn_in_a_terminal(earth_engine, mixed, tmp_path, capsys):
    with contextlib.redirect_stderr(Terminal()) as terminal:
        plan_of(mixed, tmp_path, by_python).run()
    note = capsys.readouterr().out.splitlines()[0]
    assert note.startswith("note: the function for the image is called for every item, on the wor")
    drawn = terminal.getvalue().split("\r")
    assert "| 0/40 [" in drawn[1]
    assert re.fullmatch(r"chips: 100%\|#+\| 40/40 \[\d\d:\d\d, 3 failed\]\n", drawn[-1])


def test_a_bar_goes_on_where_a_run_does(earth_engine, mixed, tmp_path, threads):
    plan = plan_of(mixed, tmp_path)
    plan.run(progress=False)
    (tmp_path / "manifest" / "part-00002.parquet").unlink()
    with contextlib.redirect_stderr(Terminal()) as terminal:
        plan.run()
    assert "| 33/40 [" in terminal.getvalue().split("\r")[1]
    assert "| 40/40 [" in terminal.getvalue().split("\r")[-1]
    more = pd.concat([mixed, mixed.head(2).set_axis(["new", "newer"], axis=0)])
    with contextlib.redirect_stderr(Terminal()) as terminal:
        plan_of(more, tmp_path).run(extend=True)
    assert "| 40/42 [" in terminal.getvalue().split("\r")[1]
    assert "| 42/42 [" in terminal.getvalue().split("\r")[-1]


def test_a_file_has_a_line_a_minute(earth_engine, mixed, tmp_path, threads, capsys, monkeypatch):
    plan_of(mixed, tmp_path / "one").run()
    assert capsys.readouterr().err == "chips: 40 of 40 items done, 3 failed\n"
    monkeypatch.setattr(progress_bar, "LINE_S", 0)
    earth_engine.set_quotas(latency=0.1)
    try:
        plan_of(mixed, tmp_path / "two", concurrency=4).run()
    finally:
        earth_engine.set_quotas(latency=0.0)
    lines = capsys.readouterr().err.splitlines()
    assert re.fullmatch(r"chips: 0 of 40 items done", lines[0])
    assert any(re.search(r"items done, .*[\d.]+ requests/s, \d under way", line) for line in lines)


def test_a_cluster_of_its_own_says_where_its_dashboard_is(earth_engine, mixed, tmp_path, capsys):
    plan_of(mixed.head(4), tmp_path).run()
    assert "dashboard at http://127.0.0.1:" in capsys.readouterr().out


@pytest.mark.parametrize("where", [on_threads, on_a_cluster])
def test_a_listener_that_fails_later_does_not_stop_the_run(
    earth_engine, mixed, tmp_path, where, caplog
):
    def fails(now):
        if now.done:
            raise ValueError("no disk")

    with where(), caplog.at_level(logging.WARNING, "eedask"):
        result = plan_of(mixed, tmp_path).run(progress=fails)
    assert len(result.failed) == 3
    (told,) = (record for record in caplog.records if "progress=" in record.getMessage())
    assert "no disk" in str(told.exc_info[1])


def test_a_listener_that_cannot_be_called_so_is_told_at_once(earth_engine, mixed, tmp_path):
    before = earth_engine.stats()["requests"]
    with pytest.raises(TypeError):
        plan_of(mixed, tmp_path).run(progress=lambda: None)
    assert earth_engine.stats()["requests"] == before

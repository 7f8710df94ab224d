"""Runs: wherever they execute, every item has its row, and what is done is not done again."""

import asyncio
import subprocess
import sys
import textwrap
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import dask
import dask.bag
import distributed
import ee
import pandas as pd
import pytest
from mounted import SCENE
from watching import requests_since, wait_until

import eedask
from eedask.errors import DatasetError, InputError


def by_band(item):
    return ee.Image(SCENE).select([item["band"]])


def by_band_untraceable(item):
    return ee.Image(SCENE).select([f"{item['band']}"])


@pytest.fixture
def mixed(points):
    """Items of which three ask for a band that is not there."""
    bands = ["R", "G", "B", "N"] * (len(points) // 4)
    bands[5] = bands[17] = bands[30] = "nope"
    return points.assign(band=bands)


def plan_of(items, out, image=by_band, **more):
    options = {"shape": (8, 8), "scale": 5, "format": "npy", "partition_size": 7, **more}
    return eedask.chips(items, image, out=out, **options)


def check(result, items, out, tries=1):
    """See that every item has one row and every good one its file; the bad ones say why."""
    manifest = result.manifest
    assert list(manifest.index) == list(items.index)
    bad = items["band"] == "nope"
    assert (manifest["status"] == bad.map({True: "failed", False: "ok"})).all()
    for row in manifest[bad].itertuples():
        assert row.error_kind == "permanent"
        assert "Image.select: Band pattern 'nope' did not match any bands." in row.error
        assert row.attempts == tries
        assert pd.isna(row.path)
    for row in manifest[~bad].itertuples():
        assert (out / row.path).stat().st_size == row.nbytes
    assert list(result.failed.index) == list(items.index[bad])


def test_a_run_without_a_client_starts_and_ends_its_own_cluster(
    earth_engine, mixed, tmp_path, capsys
):
    out = tmp_path / "out"
    check(plan_of(mixed, out).run(progress=False), mixed, out)
    assert capsys.readouterr() == ("", "")
    with pytest.raises(ValueError, match="No clients"):
        distributed.default_client()


@pytest.mark.parametrize("scheduler", ["threads", "synchronous"])
def test_a_run_on_dasks_own_schedulers(earth_engine, mixed, tmp_path, scheduler):
    with dask.config.set(scheduler=scheduler):
        check(plan_of(mixed, tmp_path).run(progress=False), mixed, tmp_path)


@pytest.mark.parametrize("scheduler", ["processes", "distributed", "no such", dask.bag.Bag])
def test_a_scheduler_that_cannot_keep_the_quota_is_refused(
    earth_engine, mixed, tmp_path, scheduler
):
    before = earth_engine.stats()
    with (
        dask.config.set(scheduler=scheduler),
        pytest.raises(InputError, match=r"'threads' or 'synchronous'; or make a distributed"),
    ):
        plan_of(mixed, tmp_path).run(progress=False)
    assert requests_since(earth_engine, before) == 0
    assert not list(tmp_path.iterdir())


def test_an_asynchronous_client_serves_other_threads_alone(earth_engine, mixed, tmp_path):
    plan = plan_of(mixed, tmp_path)
    local = {"processes": False, "n_workers": 1, "dashboard_address": None}

    async def main():
        async with distributed.Client(asynchronous=True, **local):
            for waits in (plan.run, plan.estimate, plan.bag):
                with pytest.raises(InputError, match=r"asyncio\.to_thread\(plan\.run\)"):
                    waits()
            return await asyncio.to_thread(plan.run, progress=False)

    assert len(asyncio.run(main()).manifest) == len(mixed)


def test_the_users_own_threads_will_do(earth_engine, mixed, tmp_path):
    with ThreadPoolExecutor(3) as threads, dask.config.set(scheduler=threads):
        check(plan_of(mixed, tmp_path).run(progress=False), mixed, tmp_path)


@pytest.mark.parametrize(
    "image", [pytest.param(by_band, marks=pytest.mark.slow), by_band_untraceable]
)
def test_a_run_on_a_cluster_of_processes(earth_engine, cluster, mixed, tmp_path, image):
    seen = []
    plan = plan_of(mixed, tmp_path, image)
    result = plan.run(progress=seen.append)
    check(result, mixed, tmp_path)
    assert bool(plan.notes) == (image is by_band_untraceable)
    assert seen[0] == eedask.Progress(40, 0, 0)


@pytest.fixture(scope="module")
def processes():
    """A worker in a process of its own; several work for the tests of ``watching/``."""
    with distributed.LocalCluster(
        n_workers=1, threads_per_worker=4, dashboard_address="127.0.0.1:0"
    ) as running:
        yield running


@pytest.fixture
def cluster(processes):
    with distributed.Client(processes) as client:
        yield client


def test_progress_is_told_item_by_item(earth_engine, mixed, tmp_path):
    seen = []
    plan_of(mixed, tmp_path).run(progress=seen.append)
    assert seen[-1] == eedask.Progress(total=40, done=40, failed=3)
    done = [p.done for p in seen]
    assert done == sorted(done)


def test_what_is_done_is_not_done_again(earth_engine, threads, mixed, tmp_path):
    plan_of(mixed, tmp_path).run(progress=False)
    before = earth_engine.stats()
    again = plan_of(mixed, tmp_path).run(progress=False)
    assert requests_since(earth_engine, before) == 0
    check(again, mixed, tmp_path)


def test_a_run_goes_on_where_it_stopped(earth_engine, threads, mixed, tmp_path):
    plan = plan_of(mixed, tmp_path)
    plan.run(progress=False)
    (tmp_path / "manifest" / "part-00002.parquet").unlink()
    before = earth_engine.stats()
    check(plan.run(progress=False), mixed, tmp_path)
    assert requests_since(earth_engine, before) == 7


def test_failed_items_are_tried_again_when_asked(earth_engine, threads, mixed, tmp_path):
    result = plan_of(mixed, tmp_path).run(progress=False)
    before = earth_engine.stats()
    check(result.retry_failed(progress=False), mixed, tmp_path, tries=2)
    assert requests_since(earth_engine, before) == 3
    with pytest.raises(DatasetError, match=r"plan\.run\(retry_failed=True\)"):
        eedask.open_result(tmp_path).retry_failed()


def test_the_bag_is_lazy_and_gives_the_rows(earth_engine, mixed, tmp_path):
    before = earth_engine.stats()
    bag = plan_of(mixed, tmp_path).bag()
    assert requests_since(earth_engine, before) == 0
    assert bag.npartitions == 6
    rows = bag.filter(lambda row: row["status"] == "failed").compute(scheduler="threads")
    assert {row["id"] for row in rows} == set(mixed.index[mixed["band"] == "nope"])
    check(eedask.open_result(tmp_path), mixed, tmp_path)


def request_threads():
    return [t for t in threading.enumerate() if t.name.startswith("eedask-")]


def test_a_bag_is_computed_by_threads_which_end(earth_engine, mixed, tmp_path, monkeypatch):
    monkeypatch.setattr(eedask.plan, "_BAG_IDLE_S", 0.5)
    wait_until(lambda: not request_threads())  # of a bag before
    bag = plan_of(mixed, tmp_path).bag()
    # Without a word on how: Dask's own default for bags is processes.
    assert len(bag.map(lambda row: row["id"]).compute()) == len(mixed)
    wait_until(lambda: not request_threads())
    # What has to be done after that is done all the same.
    (tmp_path / "manifest" / "part-00002.parquet").unlink()
    before = earth_engine.stats()
    assert bag.count().compute(scheduler="threads") == len(mixed)
    assert requests_since(earth_engine, before) == 7
    wait_until(lambda: not request_threads())


@pytest.mark.slow
def test_a_bag_is_not_computed_by_processes_that_share_no_quota(earth_engine, mixed, tmp_path):
    bag = plan_of(mixed.iloc[:7], tmp_path).bag()
    before = earth_engine.stats()
    with pytest.raises(InputError, match="as the whole quota allows"):
        bag.compute(scheduler="processes", num_workers=1)
    assert requests_since(earth_engine, before) == 0


def test_a_bag_on_a_cluster_of_processes_leaves_nothing(
    earth_engine, cluster, mixed, tmp_path, monkeypatch
):
    monkeypatch.setattr(eedask.plan, "_BAG_IDLE_S", 0.5)
    assert len(plan_of(mixed, tmp_path).bag().compute()) == len(mixed)
    wait_until(lambda: not any(cluster.run(lambda: len(request_threads())).values()))


def test_a_function_that_fails_on_some_items_fails_those_alone(earth_engine, mixed, tmp_path):
    def image(item):
        if item["half"] == "odd" and item.id == "p21":
            raise LookupError("no image for p21")
        return ee.Image(SCENE)

    result = plan_of(mixed, tmp_path, image).run(progress=False)
    assert list(result.failed.index) == ["p21"]
    assert result.failed["error_kind"].item() == "input"
    assert (
        "'image' fails on item 'p21': LookupError: no image for p21"
        in result.failed["error"].item()
    )
    assert result.failed["attempts"].item() == 0


def test_a_result_is_opened_and_looked_at(earth_engine, threads, mixed, tmp_path):
    plan_of(mixed, tmp_path, folder_by="half").run(progress=False)
    result = eedask.open_result(str(tmp_path))
    check(result, mixed, tmp_path)
    assert result.open("p00").shape == (8, 8)
    with pytest.raises(InputError, match="no item 'q1'"):
        result.open("q1")
    with pytest.raises(InputError, match="has no file: HTTP 400"):
        result.open("p05")
    assert "40 items: 37 ok, 3 failed" in result.summary()
    page = result.report()
    text = Path(page).read_text()
    assert "Band pattern" in text
    assert "<script" not in text
    assert "visualization" not in text
    assert "data:image/png;base64," in text


@pytest.mark.slow
def test_a_plain_script_needs_no_main_guard(earth_engine, mixed, tmp_path):
    mixed.to_parquet(tmp_path / "items.parquet")
    script = tmp_path / "script.py"
    script.write_text(
        textwrap.dedent(
            f"""
            import ee, eedask, geopandas
            from google.auth.credentials import AnonymousCredentials
            ee.Initialize(AnonymousCredentials(), url={earth_engine.url!r},
                          project={earth_engine.project!r})
            items = geopandas.read_parquet({str(tmp_path / "items.parquet")!r})
            image = lambda item: ee.Image({SCENE!r}).select([item["band"]])
            plan = eedask.chips(items, image, out={str(tmp_path / "out")!r}, shape=(8, 8), scale=5,
                                format="npy")
            print(plan.run(progress=False).summary())
            """
        )
    )
    done = subprocess.run(
        [sys.executable, str(script)], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "40 items: 37 ok, 3 failed" in done.stdout
    check(eedask.open_result(tmp_path / "out"), mixed, tmp_path / "out")


def test_a_function_that_fails_on_an_item_that_was_tried_fails_that_alone(
    earth_engine, mixed, tmp_path
):
    """All of five items are tried when the plan is made."""
    items = mixed.iloc[:5]

    def image(item):
        if item.id == items.index[0]:
            raise LookupError("no image for the first")
        return ee.Image(SCENE)

    plan = plan_of(items, tmp_path, image)
    assert any("rows that failed" in note and "LookupError" in note for note in plan.notes)
    result = plan.run(progress=False)
    assert list(result.failed.index) == [items.index[0]]
    assert "LookupError: no image for the first" in result.failed["error"].item()
    assert len(plan_of(items, tmp_path, image).run(progress=False).failed) == 1  # the same plan


def test_what_cannot_be_pickled_is_refused_in_plain_words(earth_engine, mixed, tmp_path, caplog):
    lock = threading.Lock()

    def image(item):
        with lock:
            return ee.Image(SCENE).add(len(item["half"]))

    with (
        distributed.Client(processes=False, n_workers=1, dashboard_address=None),
        pytest.raises(InputError, match=r"cannot be sent to workers.*lock.*inside the function"),
    ):
        plan_of(mixed, tmp_path, image).run(progress=False)
    assert not [r for r in caplog.records if "serialize" in r.getMessage()]

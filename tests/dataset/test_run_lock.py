"""One run at a time in a folder, on a local disk and in a store."""

import getpass
import json
import os
import socket
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime, timedelta

import ee
import fsspec
import pytest
from watching import wait_until

import eedask
from eedask.dataset import run_lock
from eedask.dataset.folder import Folder
from eedask.dataset.run_lock import LOCKS, STALE_S, one_run
from eedask.errors import DatasetError

SCENE = "projects/eedask-tests/assets/scene"


@pytest.fixture(params=["{}", "file://{}", "memory://{}"])
def folder(request, tmp_path):
    return Folder(request.param.format(tmp_path / "[2019] run"))


def left_by(folder, age=0.0, **about):
    """Write the lock of another run, which gave its last sign of life so long ago."""
    owner = {
        "user": "ana",
        "host": "field-laptop",
        "pid": 77,
        "machine": "another",
        "verb": "chips",
        "since": "2020-01-01 10:00:00+00:00",
    }
    name = f"{LOCKS}/other.json"
    folder.write(name, json.dumps(owner | about).encode())
    if folder.is_local:
        os.utime(folder.path(name), (time.time() - age,) * 2)
    else:
        fs, path = fsspec.core.url_to_fs(folder.path(name))
        fs.store[path].modified = datetime.now(UTC) - timedelta(seconds=age)


def test_a_second_run_is_told_who_is_there_since_when_and_what_to_do(folder):
    with one_run(folder, "chips", pytest.fail):
        who = rf"{getpass.getuser()} on {socket.gethostname()} \(process {os.getpid()}\)"
        with (
            pytest.raises(DatasetError, match=rf"{who}, chips since 2\d\d\d-.*Wait until it ends"),
            one_run(folder, "images", pytest.fail),
        ):
            pass
    with one_run(folder, "images", pytest.fail):
        pass
    assert folder.list(LOCKS) == []
    assert folder.list() == []


def test_a_run_on_another_machine_is_respected_while_it_lives(folder):
    left_by(folder, age=STALE_S / 2)
    with (
        pytest.raises(DatasetError, match=r"ana on field-laptop \(process 77\), chips since 2020"),
        one_run(folder, "chips", pytest.fail),
    ):
        pass
    assert folder.list(LOCKS) == [f"{LOCKS}/other.json"]


@pytest.mark.parametrize("age", [STALE_S + 1, -5 * 3600], ids=["old", "the clock was set back"])
def test_a_lock_without_a_sign_of_life_is_taken_over(folder, monkeypatch, age):
    monkeypatch.setattr(run_lock, "BEAT_S", 0.1)
    left_by(folder, age=age)
    with one_run(folder, "chips", pytest.fail):
        assert len(folder.list(LOCKS)) == 1
    assert folder.list(LOCKS) == []


@pytest.mark.parametrize("hours", [-5, 5], ids=["set back", "set ahead"])
def test_a_run_is_respected_where_the_clock_was_set_since_its_last_sign(folder, hours):
    left_by(folder, age=hours * 3600)
    next_sign = threading.Timer(0.1, left_by, [folder])
    next_sign.start()
    with (
        pytest.raises(DatasetError, match="in use by another run"),
        one_run(folder, "chips", pytest.fail),
    ):
        pass
    next_sign.join()
    assert folder.list(LOCKS) == [f"{LOCKS}/other.json"]


def test_a_lock_of_a_process_that_is_gone_is_taken_over_at_once(folder):
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        # Ended, and not asked for by its parent, then asked for.
        wait_until(lambda: not run_lock._is_alive(process.pid))
        left_by(folder, pid=process.pid, machine=run_lock._machine())
        with one_run(folder, "chips", pytest.fail):
            pass
    left_by(folder, pid=process.pid, machine=run_lock._machine())
    with one_run(folder, "chips", pytest.fail):
        pass


def test_what_is_no_lock_is_removed(folder):
    folder.write(f"{LOCKS}/odd.json", b"{")
    folder.write(f"{LOCKS}/old.json", b'{"host": 3}')
    with one_run(folder, "chips", pytest.fail):
        pass
    assert folder.list(LOCKS) == []


def test_of_many_that_come_at_once_no_two_are_in(folder):
    inside, most, entered = [], [], []

    def run():
        try:
            with one_run(folder, "chips", pytest.fail):
                inside.append(1)
                most.append(len(inside))
                entered.append(1)
                time.sleep(0.05)
                inside.pop()
        except DatasetError:
            pass

    threads = [threading.Thread(target=run) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert max(most, default=1) == 1


def test_signs_of_life_are_given_and_a_run_that_was_taken_over_hears_of_it(folder, monkeypatch):
    monkeypatch.setattr(run_lock, "BEAT_S", 0.05)
    told = []
    with one_run(folder, "chips", told.append):
        (name,) = folder.list(LOCKS)
        before = folder.modified(name)
        wait_until(lambda: folder.exists(name) and folder.modified(name) > before)
        assert not told
        folder.remove(name)
        wait_until(lambda: told)
    assert "taken" in told[0]


@pytest.mark.parametrize(
    "place", ["{}", "memory://{}", pytest.param("file://{}", marks=pytest.mark.slow)]
)
@pytest.mark.cross(2)
def test_two_runs_of_a_plan_at_once_and_a_run_after_them(
    earth_engine, points, tmp_path, threads, monkeypatch, place
):
    out = place.format(tmp_path / "out")
    fs, root = fsspec.core.url_to_fs(out)
    monkeypatch.setattr(run_lock, "_AGAIN_S", 0.2)
    earth_engine.set_quotas(latency=0.3, concurrency=None, rate=None)
    grid = {"shape": (4, 4), "scale": 5, "crs": "EPSG:26914", "format": "npy", "concurrency": 2}
    plan = eedask.chips(points.iloc[:16], ee.Image(SCENE).select(["R"]), out=out, **grid)
    first = threading.Thread(target=plan.run, kwargs={"progress": False})
    first.start()
    try:
        wait_until(lambda: fs.exists(f"{root}/plan.json"))
        if first.is_alive():
            with pytest.raises(DatasetError, match="in use by another run"):
                plan.run(progress=False)
    finally:
        first.join()
        earth_engine.set_quotas(latency=0.0, concurrency=None, rate=None)
    before = earth_engine.stats()["requests"]
    result = plan.run(progress=False)
    assert result.manifest["status"].eq("ok").all()
    assert earth_engine.stats()["requests"] == before, "the first was not disturbed"
    assert not [path for path in fs.ls(root, detail=False) if "/." in path.removeprefix(root)]

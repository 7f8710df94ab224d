"""Under fire: workers, scheduler, script, network and quota fail; nothing is lost.

Real emulator, real processes, real files. After each situation, and a second run where the first
was stopped, every item has one row and one whole file, and only what was not flushed was fetched
again. What it cost is printed.
"""

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time

import dask
import distributed
import ee
import psutil
import pytest
import urllib3
from fire import (
    ASSET,
    FEW,
    HOW_TO_RESUME,
    PATIENT,
    SLOTS,
    Figures,
    Killer,
    Script,
    flushed,
    initialized,
    inspect,
    made_new,
    make_items,
    plan_of,
    processes,
    resume,
    run_to_the_end,
    running_bed,
    wait_until,
)
from loopback import reply, serving

import eedask
from eedask.errors import EedaskError, RunStopped
from eedask.quota import links
from eedask.quota.scheduler_plugin import PLUGIN

# Their quick neighbours: test_stats.py and test_progress.py for faults, test_stopping.py and
# ../earthengine/test_credentials.py for what can never succeed.
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    with running_bed(tmp_path_factory.mktemp("bed")) as bed:
        yield bed


@pytest.fixture
def bed(running):
    with made_new(running) as bed:
        yield bed


@pytest.fixture(scope="module")
def cluster():
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=4, dashboard_address="127.0.0.1:0"
    ) as running:
        yield running


@pytest.fixture
def client(cluster):
    with distributed.Client(cluster) as client:
        links.install(client)
        yield client
        # What the cluster has learned of the quota is not to slow down the next test.
        client.unregister_scheduler_plugin(PLUGIN)


# Faults of the network and the server.

FAULTS = {
    "30 % of 429": ("429=0.3", 100, {}),
    "30 % of 429 with Retry-After": ("429_retry_after=0.3,retry_after=0.1", 100, {}),
    "10 % of 500 and 503": ("500=0.05,503=0.05", 300, {}),
    "hangs": ("hang=0.03,hang_s=60", 200, {"deadline": 1}),
    "resets": ("reset=0.1", 200, {}),
    "truncated and wrong bodies": ("truncated=0.1,wrong_bytes=0.1", 200, {}),
    "slow drip": ("drip=0.05,drip_s=200", 100, {"deadline": 1}),
    "all of it": (
        "429=0.05,500=0.03,503=0.03,hang=0.01,reset=0.02,truncated=0.02,wrong_bytes=0.02",
        200,
        {"deadline": 1},
    ),
}


@pytest.mark.parametrize("name", FAULTS)
def test_faults_cost_requests_and_nothing_else(bed, client, tmp_path, tell, name):
    faults, count, options = FAULTS[name]
    items = make_items(count, seed=len(name))
    bed.emulator.set_faults(faults)
    figures = Figures(name, bed, count)
    result = plan_of(items, tmp_path / "out", **options).run(progress=False)
    figures.stop()
    tell(figures.line())
    inspect(tmp_path / "out", items, bed.raster)
    stats = bed.emulator.stats()
    assert stats["faults"]
    # Each request is on the account of an item, but those about the bands of the image.
    chips = stats["by_method"]["projects.image.computePixels"]
    assert result.manifest["attempts"].sum() == chips
    if "deadline" not in options:
        # The server counts a request that was given up at the deadline until it notices that.
        assert stats["peak_in_flight"] <= SLOTS
    # A body that drips is no answer within the deadline, however alive the connection is.
    assert figures.seconds < 100


@pytest.mark.parametrize("kind", ["reset", "503"])
def test_an_outage_is_waited_for(bed, client, tmp_path, tell, kind):
    items = make_items(400, seed=31)
    bed.emulator.set_faults(f"outage_after=1,outage=5,outage_as={kind}")
    figures = Figures(f"outage of 5 s ({kind})", bed, len(items))
    plan_of(items, tmp_path / "out").run(progress=False)
    figures.stop()
    tell(figures.line())
    inspect(tmp_path / "out", items, bed.raster)
    assert figures.seconds > 5


@contextlib.contextmanager
def server_at(port, raster):
    """Run an emulator on a port of the test's choice."""
    command = [sys.executable, "-m", "eedask.emulator", f"--port={port}", "--quiet"]
    command += ["--processes=1", "--latency=0.05", f"--mount={ASSET}={raster}"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            line = process.stdout.readline()
            assert "listening" in line
            yield line.rsplit(maxsplit=1)[-1]
        finally:
            process.terminate()
            process.wait()


def test_a_server_that_is_gone_for_20_seconds_is_waited_for(running, client, tmp_path, tell):
    items, out = make_items(800, seed=32), tmp_path / "out"
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    results = []
    with server_at(port, running.raster) as url, initialized(url, "any"):
        retry = eedask.RetryPolicy(tries=40, delay=0.2, max_delay=2, jitter=(0, 0.2))
        plan = plan_of(items, out, retry=retry)
        thread = threading.Thread(target=lambda: results.append(plan.run(progress=False)))
        started = time.monotonic()
        thread.start()
        wait_until(lambda: len(flushed(out)) > 200)
    time.sleep(20)
    with server_at(port, running.raster):
        thread.join(120)
    seconds = time.monotonic() - started
    attempts = int(results[0].manifest["attempts"].sum())
    tell(f"server killed, back after 20 s: 800 items, {attempts} attempts, {seconds:.1f} s")
    inspect(out, items, running.raster)


# Workers.


def test_killed_workers_lose_nothing(bed, tmp_path, tell):
    items, out = make_items(400, seed=41), tmp_path / "out"
    bed.emulator.set_quotas(latency=0.15)
    with processes(2) as client:
        figures = Figures("SIGKILL of workers", bed, len(items))
        plan = plan_of(items, out)
        with Killer(client.cluster, out, times=(0.3, 1.5), kills=2) as killer:
            plan.run(progress=False)
        figures.stop()
    tell(figures.line(f"{killer.kills} kills"))
    inspect(out, items, bed.raster)
    assert killer.kills
    killer.check_kept()
    # A worker has four partitions of 25 in hand, and the requests that were under way.
    assert figures.requests - len(items) <= killer.kills * (4 * 25 + SLOTS)


def test_a_restart_loop_loses_nothing(bed, tmp_path, tell):
    items, out = make_items(1000, seed=42), tmp_path / "out"
    bed.emulator.set_quotas(latency=0.15)
    with processes(2) as client:
        figures = Figures("restart loop", bed, len(items))
        with Killer(client.cluster, out, (2.5, 4.0), kills=3, everyone=True) as killer:
            runs = run_to_the_end(plan_of(items, out), runs=6)
        figures.stop()
    tell(figures.line(f"{killer.kills} times all workers killed, {runs} runs"))
    inspect(out, items, bed.raster)
    killer.check_kept()
    assert killer.kills >= 2


def test_late_workers_take_part(bed, tmp_path, tell):
    items, out = make_items(500, seed=43), tmp_path / "out"
    # While the second worker comes, most items are left, on a busy machine too.
    bed.emulator.set_quotas(latency=1.5)
    told = []
    with processes(0) as client:
        figures = Figures("late workers", bed, len(items))
        plan = plan_of(items, out)

        def grow():
            wait_until(lambda: told)
            client.cluster.scale(1)
            wait_until(lambda: bed.chips_asked, 90)
            client.cluster.scale(2)
            client.wait_for_workers(2, timeout=90)
            bed.emulator.set_quotas(latency=0.15)

        with distributed.get_task_stream(client) as tasks:
            grower = threading.Thread(target=grow)
            grower.start()
            plan.run(progress=told.append)
            grower.join()
        figures.stop()
    workers = {task["worker"] for task in tasks.data}
    tell(figures.line(f"{len(workers)} workers took part"))
    inspect(out, items, bed.raster)
    assert figures.requests == len(items)
    assert len(workers) == 2
    # However many workers come, the quota is one; and they are heard of, though none was there.
    assert bed.emulator.stats()["peak_in_flight"] <= SLOTS
    assert len(told) > 5


def test_a_restart_of_the_cluster_stops_the_run_and_the_same_cluster_goes_on(bed, tmp_path, tell):
    items, out = make_items(400, seed=46), tmp_path / "out"
    bed.emulator.set_quotas(latency=0.15)
    # Dask gives up workers that take longer than this to come back, on a busy machine too.
    patience = dask.config.set({"distributed.deploy.lost-worker-timeout": "120s"})
    with patience, processes(2) as client:
        figures = Figures("client.restart()", bed, len(items))
        plan, restarted = plan_of(items, out), []

        def restart():
            wait_until(lambda: len(flushed(out)) >= 150, 60)
            restarted.append(time.monotonic())
            client.restart(timeout=120)

        thread = threading.Thread(target=restart)
        thread.start()
        try:
            with pytest.raises(RunStopped, match=HOW_TO_RESUME) as caught:
                plan.run(progress=False)
            stopped_s = time.monotonic() - restarted[0]
        finally:
            thread.join()
        assert "restart" in str(caught.value)
        bed.emulator.set_quotas(latency=0.02)
        more = resume(bed, items, out)
    tell(figures.line(f"stopped {stopped_s:.1f} s after; {more}"))


def test_all_of_it_at_once_loses_nothing(bed, tmp_path, tell):
    items, out = make_items(800, seed=44), tmp_path / "out"
    bed.emulator.set_quotas(latency=0.1, concurrency=SLOTS)
    bed.emulator.set_faults(FAULTS["all of it"][0] + ",outage_after=8,outage=5")
    with processes(2) as client:
        figures = Figures("faults, an outage and kills", bed, len(items))
        plan = plan_of(items, out, deadline=2)
        with Killer(client.cluster, out, times=(2.0, 5.0), kills=3) as killer:
            runs = run_to_the_end(plan, runs=6)
        figures.stop()
    tell(figures.line(f"{killer.kills} kills, {runs} runs"))
    inspect(out, items, bed.raster)
    killer.check_kept()


# The scheduler.


@contextlib.contextmanager
def scheduler_and_worker(folder):
    """Run a scheduler and a worker as programs; yield the scheduler's process and address."""
    file = folder / "scheduler.json"
    common = ["--scheduler-file", str(file), "--host", "127.0.0.1", "--dashboard-address", ":0"]
    commands = (["scheduler", "--port", "0"], ["worker", "--nthreads", "4"])
    with contextlib.ExitStack() as stack:
        started = []
        for command in commands:
            process = subprocess.Popen(
                [sys.executable, "-m", "dask", *command, *common],
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
            stack.callback(process.wait)
            stack.callback(_kill_group, process.pid)
            started.append(process)
            wait_until(file.exists)
        yield started[0], json.loads(file.read_text())["address"]


def _kill_group(pid):
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)


def test_a_killed_scheduler_stops_the_run_and_another_goes_on(bed, tmp_path, tell):
    items, out = make_items(300, seed=51), tmp_path / "out"
    bed.emulator.set_quotas(latency=0.15)
    figures = Figures("scheduler killed", bed, len(items))
    with (
        dask.config.set({"distributed.comm.timeouts.connect": "3s"}),
        scheduler_and_worker(tmp_path) as (scheduler, address),
        distributed.Client(address) as client,
    ):
        client.wait_for_workers(1, timeout=30)
        killed = []

        def kill():
            while len(flushed(out)) < 75 and scheduler.poll() is None:
                time.sleep(0.02)
            killed.append(time.monotonic())
            scheduler.kill()

        thread = threading.Thread(target=kill)
        plan = plan_of(items, out)
        thread.start()
        try:
            with pytest.raises(RunStopped, match=HOW_TO_RESUME):
                plan.run(progress=False)
            stopped_s = time.monotonic() - killed[0]
        finally:
            scheduler.kill()
            thread.join()
    bed.emulator.set_quotas(latency=0.02)
    with processes(1):
        more = resume(bed, items, out)
    tell(figures.line(f"stopped {stopped_s:.1f} s after; {more}"))


# The script.


@pytest.mark.parametrize("where", ["own", "processes"])
def test_a_killed_script_is_resumed(bed, tmp_path, tell, where):
    items, out = make_items(300, seed=61), tmp_path / "out"
    bed.emulator.set_quotas(latency=0.2)
    figures = Figures(f"script killed ({where})", bed, len(items))
    with Script(bed, items, out, where) as script:
        script.wait_for(75)
        children = psutil.Process(script.process.pid).children(recursive=True)
        script.process.kill()
        script.process.wait()
        _, alive = psutil.wait_procs(children, timeout=10)
        assert not alive, "workers outlived their script"
    bed.emulator.set_quotas(latency=0.02)
    tell(figures.line(resume(bed, items, out)))


@pytest.mark.parametrize("where", ["own", "processes"])
def test_ctrl_c_ends_a_script_which_says_how_to_resume(bed, tmp_path, tell, where):
    items, out = make_items(300, seed=63), tmp_path / "out"
    # Some requests take longer than a user waits, and than a busy machine takes to end processes.
    slow = 25
    bed.emulator.set_quotas(latency=f"median=0.2,slow_share=0.02,slow={slow}")
    figures = Figures(f"Ctrl-C ({where})", bed, len(items))
    with Script(bed, items, out, where) as script:
        script.wait_for(50)
        script.signal_all(signal.SIGINT)
        pressed = time.monotonic()
        try:
            output, _ = script.process.communicate(timeout=60)
        except subprocess.TimeoutExpired:
            pytest.fail("the script goes on 60 s after Ctrl-C")
        seconds = time.monotonic() - pressed
    assert script.process.returncode != 0, "it was done before it was interrupted"
    bed.emulator.set_quotas(latency=0.02)
    # Requests that nobody waits for still hold their slots at the server.
    wait_until(lambda: bed.emulator.stats()["in_flight"] == 0, 2 * slow)
    tell(figures.line(f"ended {seconds:.1f} s after; {resume(bed, items, out)}"))
    assert seconds < slow - 5, "it waited for its slowest requests"
    assert re.search(HOW_TO_RESUME, output), output[-3000:]


# What can never succeed.


class Gate:
    """Stands before the emulator and, when told to, turns away who asks for pixels."""

    def __init__(self, bed, status, message):
        self.shut = threading.Event()
        self.refused = 0
        self.passed = 0
        self._url = bed.emulator.url
        self._pool = urllib3.PoolManager(maxsize=SLOTS, block=True)
        self._error = {"error": {"code": status, "message": message, "status": "NO"}}
        self._shut_after = None

    def shut_after(self, passed):
        self._shut_after = passed

    def __call__(self, handler):
        if ":computePixels" not in handler.path:
            return self._forward(handler)
        if self._shut_after is not None and self.passed >= self._shut_after:
            self.shut.set()
        if not self.shut.is_set():
            self.passed += 1
            return self._forward(handler)
        self.refused += 1
        return reply(handler, self._error["error"]["code"], json.dumps(self._error).encode())

    def _forward(self, handler):
        body = handler.rfile.read(int(handler.headers.get("Content-Length", 0)))
        headers = {"Content-Type": handler.headers.get("Content-Type", "")}
        answer = self._pool.request(
            handler.command, self._url + handler.path, body=body, headers=headers
        )
        # What was read is not there to be read again.
        del handler.headers["Content-Length"]
        reply(handler, answer.status, answer.data)

    def open(self):
        self._shut_after = None
        self.shut.clear()

    def close(self):
        self._pool.clear()


REFUSALS = {
    401: "Request had invalid authentication credentials. Expected OAuth 2 access token.",
    403: "Caller does not have required permission to use project eedask-emulator.",
}


@pytest.mark.parametrize("status", REFUSALS)
def test_authorization_lost_midway_stops_the_run_and_regained_goes_on(
    running, client, tmp_path, tell, status
):
    items, out = make_items(120, seed=81 + status), tmp_path / "out"
    with made_new(running) as bed:
        gate = Gate(bed, status, REFUSALS[status])
        figures = Figures(f"authorization lost ({status})", bed, len(items))
        with serving(gate) as url, initialized(url, bed.emulator.project):
            gate.shut_after(40)
            with pytest.raises(EedaskError, match=re.escape(REFUSALS[status][:30])) as caught:
                plan_of(items, out).run(progress=False)
            figures.stop()
            left = flushed(out)
            time.sleep(1)
            assert flushed(out) == left, "workers of a run that has ended go on writing"
            assert re.search(r"(?i)authenticate|credentials|permission", str(caught.value))
            assert re.search(HOW_TO_RESUME, str(caught.value))
            assert gate.refused <= 4 * SLOTS
            gate.open()
            more = resume(bed, items, out)
        gate.close()
    tell(figures.line(f"stopped after {gate.refused} refusals; {more}"))


def test_when_all_fail_alike_the_run_stops_early(bed, client, tmp_path, tell):
    items, out = make_items(300, seed=91).assign(band="nope"), tmp_path / "out"
    figures = Figures("all fail alike", bed, len(items))
    plan = eedask.chips(
        items,
        lambda item: ee.Image(ASSET).select([item["band"]]),
        out=out,
        shape=(8, 8),
        scale=5,
        format="npy",
        retry=PATIENT,
        concurrency=SLOTS,
    )
    with pytest.raises(RunStopped, match="Band pattern 'nope' did not match any bands"):
        plan.run(progress=False)
    figures.stop()
    tell(f"all fail alike: stopped after {figures.requests} requests, {figures.seconds:.1f} s")
    assert figures.requests <= FEW

"""The HTTP front, its processes, quotas and faults, as a client of the network sees them."""

import asyncio
import contextlib
import gzip
import http.client
import json
import logging
import os
import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from threading import Thread
from urllib.parse import urlsplit

import psutil
import pytest
import urllib3
from example_raster import PROJECT
from graphs import call, encode

from eedask.emulator import Emulator, EmulatorFailed
from eedask.emulator.__main__ import main
from eedask.emulator.server.messages import Request, Settings
from eedask.emulator.server.pool import ProcessPool
from eedask.emulator.server.starting import STARTING
from eedask.emulator.traffic.quotas import TOO_MANY_READS, TOO_MANY_REQUESTS, Traffic

VALUE = f"/v1/projects/{PROJECT}/value:compute"


def body_of(number):
    graph = {"result": "0", "values": {"0": {"constantValue": number}}}
    return json.dumps({"expression": graph}).encode()


@pytest.fixture(scope="module")
def pool():
    with urllib3.PoolManager(maxsize=64, retries=False) as manager:
        yield manager


@pytest.fixture
def compute(emulator, pool):
    def send(number=1, timeout=30, **kwargs):
        url = emulator.url + VALUE
        return pool.request("POST", url, body=body_of(number), timeout=timeout, **kwargs)

    return send


@pytest.fixture(autouse=True)
def no_quotas_nor_faults(emulator):
    yield
    emulator.set_faults(None)
    emulator.set_quotas(concurrency=None, rate=None, latency=None)
    while emulator.stats()["in_flight"]:
        time.sleep(0.02)
    emulator.reset_stats()


def connection_to(emulator):
    parts = urlsplit(emulator.url)
    return http.client.HTTPConnection(parts.hostname, parts.port, timeout=30)


# HTTP.


def test_connections_are_kept_alive(emulator):
    connection = connection_to(emulator)
    connection.request("GET", f"/v1/projects/{PROJECT}/config")
    connection.getresponse().read()
    own = connection.sock.getsockname()
    for number in range(3):
        connection.request("POST", VALUE, body_of(number))
        response = connection.getresponse()
        content = response.read()
        assert int(response.getheader("Content-Length")) == len(content)
        assert json.loads(content) == {"result": number}
        assert connection.sock.getsockname() == own
    connection.close()


@pytest.mark.slow
def test_what_unpacks_to_gigabytes_is_not_read_to_its_end(emulator, compute):
    """A gibibyte in a mebibyte: refused long before it is unpacked, and others are answered."""
    bomb = gzip.compress(bytes(2**28), 9) * 4
    head = f"POST {VALUE} HTTP/1.1\r\nHost: x\r\nContent-Encoding: gzip\r\n"
    head += f"Content-Length: {len(bomb)}\r\n\r\n"
    address = urlsplit(emulator.url)
    with socket.create_connection((address.hostname, address.port), timeout=30) as connection:
        # In pieces: what comes after the answer meets a closed connection.
        connection.sendall(head.encode() + bomb[: 2**18])
        answer = connection.recv(65536)
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"Request payload size exceeds the limit: 10485760 bytes." in answer
    assert compute().status == 200


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_unknown_paths_are_404_in_json(emulator, pool, method):
    response = pool.request(method, f"{emulator.url}/nothing/here")
    assert response.status == 404
    assert response.json()["error"]["status"] == "NOT_FOUND"


def test_head_has_no_body(emulator):
    connection = connection_to(emulator)
    for _ in range(2):
        connection.request("HEAD", "/nothing")
        response = connection.getresponse()
        assert response.status == 404
        assert int(response.getheader("Content-Length")) > 0
        assert response.read() == b""
    connection.close()


def test_compressed_both_ways(emulator, pool):
    headers = {"Content-Encoding": "gzip", "Accept-Encoding": "gzip"}
    body = gzip.compress(body_of("x" * 5000))
    response = pool.request(
        "POST", emulator.url + VALUE, body=body, headers=headers, decode_content=False
    )
    assert response.headers["Content-Encoding"] == "gzip"
    assert len(response.data) < 1000
    assert json.loads(gzip.decompress(response.data)) == {"result": "x" * 5000}
    plain = pool.request("POST", emulator.url + VALUE, body=body_of("x" * 5000))
    assert "Content-Encoding" not in plain.headers
    assert plain.json() == {"result": "x" * 5000}


def test_payloads_over_the_limit_are_refused_in_earth_engines_words(emulator, compute):
    response = compute("x" * 11_000_000)
    assert response.status == 400
    assert response.json()["error"]["message"] == (
        "Request payload size exceeds the limit: 10485760 bytes."
    )
    assert compute(1).status == 200


def test_what_is_no_http_does_not_stop_the_server(emulator, compute):
    parts = urlsplit(emulator.url)
    with socket.create_connection((parts.hostname, parts.port)) as raw:
        raw.sendall(b"\0\1\2 nonsense\r\n\r\n")
        assert raw.recv(1000).startswith((b"HTTP/1.1 400", b""))
    assert compute(1).status == 200


# Processes.


def descendants_of(pid):
    return [child.pid for child in psutil.Process(pid).children(recursive=True)]


def renderers_of(pid):
    """Return the render processes, which a helper of multiprocessing starts."""
    children = psutil.Process(pid).children(recursive=True)
    return [child.pid for child in children if child.ppid() != pid]


def is_running(pid):
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def wait_until(condition, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


@pytest.mark.slow
def test_a_render_process_that_dies_costs_one_request_and_closing_ends_all(mounts, pool, caplog):
    emulator = Emulator(mounts, processes=1, project=PROJECT)
    (renderer,) = renderers_of(emulator._command.process.pid)
    os.kill(renderer, signal.SIGKILL)
    url = emulator.url + VALUE
    statuses = [pool.request("POST", url, body=body_of(1)).status for _ in range(3)]
    assert statuses == [500, 200, 200]
    family = [emulator._command.process.pid, *descendants_of(emulator._command.process.pid)]
    assert len(family) > 2
    emulator.close()
    assert "render process of the eedask emulator died" in caplog.text
    wait_until(lambda: not any(is_running(member) for member in family))
    emulator.close()
    with pytest.raises(urllib3.exceptions.HTTPError):
        pool.request("GET", emulator.url)


@pytest.mark.slow
def test_a_render_process_that_hangs_costs_one_request(tmp_path):
    async def ask_a_stopped_one():
        pool = ProcessPool(Settings(tmp_path), 1, deadline_s=4.0)
        try:
            os.kill(pool._renderers[0].process.pid, signal.SIGSTOP)
            request = Request("POST", "/v1/projects/p/value:compute", {}, body_of(1), False)
            return [await pool.answer(request, lambda: True) for _ in range(2)]
        finally:
            pool.close()

    late, good = asyncio.run(ask_a_stopped_one())
    assert (late.status, json.loads(late.body)["error"]["message"]) == (
        400,
        "Computation timed out.",
    )
    assert json.loads(good.body) == {"result": 1}


@pytest.mark.slow
def test_threads_in_place_of_processes(mounts, pool):
    with Emulator(mounts, processes=0, project=PROJECT) as emulator:
        assert descendants_of(emulator._command.process.pid) == []
        response = pool.request("POST", emulator.url + VALUE, body=body_of([1, 2]))
        assert response.json() == {"result": [1, 2]}


def busy(url):
    """Ask for what takes minutes, in a thread, and return once it is being computed."""
    ring = [[-100, -40], [100, -40], [100, 40], [-100, 40], [-100, -40]]
    many_pixels = call(
        "Image.reduceRegion",
        image=call("Image.random"),
        reducer=call("Reducer.mean"),
        geometry={"type": "Polygon", "geodesic": False, "coordinates": [ring]},
        scale=100,
        maxPixels=1e13,
    )
    body = json.dumps({"expression": encode(many_pixels)}).encode()

    def ask():
        with contextlib.suppress(urllib3.exceptions.HTTPError):
            urllib3.request("POST", url + VALUE, body=body, retries=False, timeout=120)

    Thread(target=ask, daemon=True).start()


def wait_until_computing(family):
    """Wait until these processes have worked for some time from now on, on a busy machine too."""

    def spent():
        return sum(sum(psutil.Process(member).cpu_times()[:2]) for member in family)

    before = spent()
    wait_until(lambda: spent() - before > 0.5)


@pytest.mark.slow
def test_a_render_process_ends_with_its_server_though_it_computes(mounts):
    emulator = Emulator(mounts, processes=1, project=PROJECT)
    server = emulator._command.process.pid
    family = descendants_of(server)
    busy(emulator.url)
    wait_until_computing(family)
    os.kill(server, signal.SIGKILL)
    wait_until(lambda: not any(is_running(member) for member in family))
    emulator.close()


SCRIPT = """
import os, sys, time
from eedask.emulator import Emulator

with Emulator(processes=int(sys.argv[1]), project=sys.argv[2]) as e:
    # Another process that has the same pipes open, as those of a pool have.
    child = os.fork() if sys.argv[3] == "forks" else 0
    if child or sys.argv[3] != "forks":
        print(e._command.process.pid, e.url, child, flush=True)
    time.sleep(60)
"""


@contextlib.contextmanager
def parent_of_an_emulator(processes, forks=""):
    """A plain script without a __main__ guard; yields it, and the emulator's server and URL."""
    parent = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(processes), PROJECT, forks],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    child = "0"
    try:
        pid, url, child = parent.stdout.readline().split()
        yield parent, int(pid), url
    finally:
        parent.kill()
        parent.wait()
        parent.stdout.close()
        if int(child):
            os.kill(int(child), signal.SIGKILL)


@pytest.mark.slow
@pytest.mark.parametrize("processes", [1, 0])
def test_the_emulator_ends_with_its_parent_though_it_computes(processes):
    with parent_of_an_emulator(processes) as (parent, pid, url):
        family = [pid, *descendants_of(pid)]
        busy(url)
        wait_until_computing(family)
        parent.kill()
        wait_until(lambda: not any(is_running(member) for member in family), 20)


@pytest.mark.slow
def test_the_emulator_ends_with_its_parent_though_others_have_its_pipes():
    with parent_of_an_emulator(0, "forks") as (parent, pid, _):
        parent.kill()
        wait_until(lambda: not is_running(pid))


@pytest.mark.parametrize(
    "number", [signal.SIGKILL, pytest.param(signal.SIGINT, marks=pytest.mark.slow)]
)
def test_the_emulator_ends_however_its_parent_does(number):
    with parent_of_an_emulator(1) as (parent, pid, _):
        family = [pid, *descendants_of(pid)]
        assert len(family) > 1
        parent.send_signal(number)
        parent.wait(20)
        wait_until(lambda: not any(is_running(member) for member in family))


@pytest.mark.slow
def test_an_emulator_that_cannot_start_says_why(tmp_path):
    with pytest.raises(EmulatorFailed, match=r"status 1 at its start[\s\S]*nowhere"):
        Emulator({"projects/p/assets/x": tmp_path / "nowhere.tif"}, processes=1)
    with pytest.raises(ValueError, match="concurrency must be at least 1"):
        Emulator(concurrency=0)
    with pytest.raises(ValueError, match="Faults has no 'fire'"):
        Emulator(faults="fire=1")


def command(*arguments, **kwargs):
    return subprocess.Popen(
        [sys.executable, "-m", "eedask.emulator", "--port=0", "--processes=0", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **kwargs,
    )


def test_the_command():
    with command("--quiet") as process:
        line = process.stdout.readline()
        assert line.startswith("eedask-emulator listening on http://127.0.0.1:")
        process.send_signal(signal.SIGINT)
        output, complaints = process.stdout.read(), process.stderr.read()
    assert (output, complaints, process.returncode) == ("", "", 0)


def test_the_command_is_friendly_unless_quiet():
    with command() as process:
        url = process.stdout.readline().split()[-1]
        assert urllib3.request("GET", f"{url}/emulator/stats").status == 200
        process.terminate()
        output, complaints = process.stdout.read(), process.stderr.read()
    assert "ee.Initialize" in output
    # On a slow machine it is told what is waited for.
    assert all(line.startswith(STARTING) for line in complaints.splitlines())


@pytest.mark.parametrize("argument", ["--mount=x", "--processes=-1", "--port=no", "--what"])
def test_wrong_arguments(argument, capsys):
    with pytest.raises(SystemExit) as caught:
        main([argument])
    assert caught.value.code == 2
    assert argument.strip("-").partition("=")[0] in capsys.readouterr().err


# Quotas.


def test_concurrency_is_limited_and_counted(emulator, compute):
    latency = 1.5
    emulator.set_quotas(concurrency=4, latency=latency)
    emulator.reset_stats()
    with ThreadPoolExecutor(4) as threads:
        answers = [threads.submit(compute, number) for number in range(4)]
        wait_until(lambda: emulator.stats()["in_flight"] == 4)
        refused = [compute(number) for number in range(6)]
        assert {answer.result().status for answer in answers} == {200}
    assert {response.status for response in refused} == {429}
    error = refused[0].json()["error"]
    assert (error["message"], error["status"]) == (TOO_MANY_REQUESTS, "RESOURCE_EXHAUSTED")
    stats = emulator.stats()
    assert stats["by_status"] == {"200": 4, "429": 6}
    assert stats["by_method"] == {"projects.value.compute": 10}
    assert stats["peak_in_flight"] == 4
    # Those that were refused held none.
    assert 4 * latency <= stats["slot_seconds"] < 8 * latency


def test_the_rate_is_limited(emulator, compute):
    emulator.set_quotas(rate=0.01)
    first, *more = [compute(i) for i in range(3)]
    assert first.status == 200
    refused = [r.json()["error"]["message"] for r in more if r.status == 429]
    assert set(refused) == {TOO_MANY_READS}


def test_answers_take_their_latency(emulator, compute):
    emulator.set_quotas(latency=0.5)
    start = time.monotonic()
    with ThreadPoolExecutor(48) as threads:
        list(threads.map(compute, range(48)))
    # At the same time, though one process renders: waiting is not computing, or it took 24 s.
    assert 0.5 <= time.monotonic() - start < 8


def test_a_slot_is_held_after_its_client_went_away(emulator, compute):
    emulator.set_quotas(concurrency=1, latency=2.0)
    emulator.reset_stats()
    with pytest.raises(urllib3.exceptions.TimeoutError):
        compute(1, timeout=0.2)
    assert compute(2).status == 429
    wait_until(lambda: emulator.stats()["in_flight"] == 0)
    stats = emulator.stats()
    assert stats["abandoned"] == 1
    assert stats["slot_seconds"] >= 2.0
    assert compute(3).status == 200


def test_initialising_costs_no_quota(emulator, pool):
    emulator.set_quotas(rate=0.001)
    for _ in range(3):
        assert pool.request("GET", f"{emulator.url}/$discovery/rest?version=v1").status == 200
        algorithms = pool.request("GET", f"{emulator.url}/v1/projects/{PROJECT}/algorithms")
        assert algorithms.status == 200


# Faults.


@pytest.mark.parametrize(("share", "status"), [("429", 429), ("500", 500), ("503", 503)])
def test_refusals(emulator, compute, share, status):
    emulator.set_faults({share: 1})
    response = compute()
    assert response.status == status
    assert "Retry-After" not in response.headers
    assert response.json()["error"]["code"] == status


def test_retry_after(emulator, compute):
    emulator.set_faults({"429_retry_after": 1, "retry_after": 2})
    response = compute()
    assert (response.status, response.headers["Retry-After"]) == (429, "2")


def test_resets(emulator, compute):
    emulator.set_faults({"reset": 1})
    with pytest.raises(urllib3.exceptions.ProtocolError) as caught:
        compute()
    assert isinstance(caught.value.args[1], ConnectionResetError)
    assert emulator.stats()["by_status"] == {"reset": 1}


def test_hangs_free_their_slot_and_end(emulator, compute):
    emulator.set_quotas(concurrency=1)
    emulator.set_faults({"hang": 1, "hang_s": 0.6})
    with pytest.raises(urllib3.exceptions.TimeoutError):
        compute(timeout=0.2)
    wait_until(lambda: emulator.stats()["in_flight"] == 0)
    start = time.monotonic()
    with pytest.raises(urllib3.exceptions.ProtocolError):
        compute()
    assert 0.5 < time.monotonic() - start < 20


def test_truncated_bodies(emulator, compute):
    emulator.set_faults({"truncated": 1})
    with pytest.raises(urllib3.exceptions.ProtocolError) as caught:
        compute("x" * 100)
    assert isinstance(caught.value.args[1], http.client.IncompleteRead)


def test_wrong_bytes(emulator, compute):
    right = compute("x" * 100)
    emulator.set_faults({"wrong_bytes": 1})
    wrong = compute("x" * 100)
    assert wrong.status == 200
    assert len(wrong.data) == len(right.data)
    assert wrong.data != right.data


def test_slow_drips_are_whole(emulator, compute):
    emulator.set_faults({"drip": 1, "drip_s": 0.6})
    start = time.monotonic()
    response = compute("x" * 100)
    assert time.monotonic() - start > 0.4
    assert response.json() == {"result": "x" * 100}


def test_outages_end(emulator, compute):
    emulator.set_faults({"outage": 0.5, "outage_as": "503"})
    assert compute().status == 503
    wait_until(lambda: compute().status == 200, 5)


def test_the_restricted_mode_header(emulator, compute):
    assert "x-earth-engine-quota-status" not in compute().headers
    emulator.set_faults({"restricted": 1})
    assert compute().headers["x-earth-engine-quota-status"] == "parallelism_restricted=true"


def test_seeded_faults_are_those_of_the_model(pool):
    settings = {"faults": "429=0.4,500=0.2", "seed": 5}
    bodies = [body_of(number % 20) for number in range(40)]
    with Emulator(project=PROJECT, processes=0, **settings) as emulator:
        url = emulator.url + VALUE
        found = [pool.request("POST", url, body=body).status for body in bodies]
    traffic = Traffic(**settings, clock=time.monotonic)
    expected = [traffic.enter(b"POST", VALUE.encode(), b"[]", body).fault for body in bodies]
    assert found == [200 if fault is None else int(fault.value) for fault in expected]
    assert set(found) == {200, 429, 500}


def test_wrong_settings_are_refused(emulator, pool):
    with pytest.raises(ValueError, match="no such quotas"):
        emulator.set_quotas(speed=3)
    with pytest.raises(ValueError, match="at least 1"):
        emulator.set_quotas(concurrency=0)
    response = pool.request("POST", f"{emulator.url}/emulator/faults", body=b"{")
    assert response.status == 400
    assert pool.request("GET", f"{emulator.url}/emulator/nothing").status == 404


def test_what_the_server_says_is_logged_here(emulator, caplog):
    # Nothing was said so far that a reader of the log would have to see.
    with caplog.at_level(logging.WARNING, "eedask.emulator"):
        emulator.stats()
    assert caplog.text == ""

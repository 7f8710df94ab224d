"""What the tests of crash points share: processes to kill, and the log of what was asked.

Each process is forked from a server that has imported everything already, so that twenty of them
cost little more than two that start anew; they are processes like any other, and die by SIGKILL.
Requests pass through :class:`Ledger`, which outlives the emulator and writes down which items each
was for.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import math
import multiprocessing
import os
import socket
import time
from collections import Counter
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import dask
import distributed
import ee
import geopandas as gpd
import numpy as np
import pyarrow.parquet as pq
import rasterio
import urllib3
from fire import (
    ASSET,
    CHIP,
    CRS,
    LEFT,
    PATIENT,
    PIXEL,
    TOP,
    flushed,
    initialized,
    inspect,
    plan_of,
    wait_until,
)
from loopback import reply, serving

import eedask
from eedask.emulator import __main__ as emulator
from eedask.errors import RunStopped

# Partitions are flushed as they end: small ones leave something behind at each kill.
PARTITION = 5
LATENCY_S = 0.1
# The exit code of a script whose run has stopped.
STOPPED = 3
_FORKS = multiprocessing.get_context("forkserver")
# What takes long to import. (This module itself is not found by the server before Python 3.12.)
_PRELOADED = """distributed ee geopandas rasterio dask.bag pyarrow.parquet pytest
    eedask.emulator.__main__ eedask.emulator.server.render_process
    eedask.verbs.chips eedask.verbs.sample_points eedask.results.result"""
_FORKS.set_forkserver_preload(_PRELOADED.split())


# The plans.


def plan(verb: str, items: gpd.GeoDataFrame, out: Path) -> eedask.Plan:
    """Return the plan of chips, or of a table of the pixels in the chips' centres."""
    if verb == "chips":
        return plan_of(items, out, partition_size=PARTITION)
    options = {"retry": PATIENT, "rate": None, "deadline": 30, "partition_size": PARTITION}
    return eedask.sample_points(items, ee.Image(ASSET), out=out, scale=PIXEL, crs=CRS, **options)


def inspect_result(verb: str, out: Path, items: gpd.GeoDataFrame, raster: Path) -> None:
    """See that every item has one row, and what rasterio reads."""
    if verb == "chips":
        inspect(out, items, raster)
        return
    assert rows_in_table(out) == dict.fromkeys(items.index, 1)
    assert sorted(flushed(out)) == sorted(items.index)
    with rasterio.open(raster) as source:
        pixels = source.read(1)
    expected = pixels[items["row"] + CHIP // 2, items["column"] + CHIP // 2]
    table = eedask.open_result(out).table()
    assert list(table.index) == list(items.index)
    np.testing.assert_array_equal(table["b1"], expected)


def rows_in_table(out: Path) -> Counter[str]:
    """Return the ids in a table's parts, as often as they are there."""
    parts = (out / "table").glob("part-*.parquet")
    return Counter(id_ for part in parts for id_ in pq.read_table(part)["id"].to_pylist())


def note(verb: str, out: Path) -> set[str]:
    """Return the ids that have a row; see that what the rows promise is there, and whole."""
    # Read first: where the run goes on, files and values are there before their rows.
    there = set(flushed(out))
    if verb == "chips":
        for part in (out / "manifest").glob("part-*.parquet"):
            for row in pq.read_table(part, columns=["path", "nbytes"]).to_pylist():
                assert (out / row["path"]).stat().st_size == row["nbytes"]
    else:
        table = rows_in_table(out)
        assert there <= set(table)
        assert not table or max(table.values()) == 1
    return there


# The log.


class Ledger:
    """Hands requests on to the emulator, and writes down which items they were for.

    Where the emulator is not there, or dies, the connection is closed without an answer.

    Parameters
    ----------
    verb : str
    items : GeoDataFrame
    port : int
        Of the emulator.

    Attributes
    ----------
    asked, answered : list of (float, str)
        When each item was asked for, and when its answer had been handed over whole.
    most : float
        Requests wait while so many items were asked for, or more.
    """

    def __init__(self, verb: str, items: gpd.GeoDataFrame, port: int) -> None:
        self.asked: list[tuple[float, str]] = []
        self.answered: list[tuple[float, str]] = []
        self.most = math.inf
        self._url = f"http://127.0.0.1:{port}"
        self._http = urllib3.PoolManager(maxsize=32, retries=False)
        # Each item's chip, and its coordinates, as they stand in requests.
        self._chips = dict(
            zip(zip(items["column"], items["row"], strict=True), items.index, strict=True)
        )
        self._texts = {
            # A point's number in the request comes after its coordinates.
            name: json.dumps([point.x, point.y])[1:-1].encode()
            for name, point in items.geometry.items()
        }
        self._found_in = self._chip_in if verb == "chips" else self._points_in

    @contextlib.contextmanager
    def serving(self) -> Iterator[str]:
        """Yield the URL for those who ask."""
        with serving(self._answer) as url:
            yield url
        self._http.clear()

    def _answer(self, handler: BaseHTTPRequestHandler) -> None:
        body = handler.rfile.read(int(handler.headers.get("Content-Length", 0)))
        del handler.headers["Content-Length"]
        handler.headers["Content-Length"] = "0"  # what is read is read
        names = self._found_in(body)
        while names and len(self.asked) >= self.most:
            time.sleep(LATENCY_S / 10)
        self.asked += [(time.monotonic(), name) for name in names]
        url, kind = self._url + handler.path, {"Content-Type": "application/json"}
        try:
            got = self._http.request(handler.command, url, body=body or None, headers=kind)
        except urllib3.exceptions.HTTPError:
            handler.close_connection = True
            return
        reply(handler, got.status, got.data, {"Content-Type": got.headers["Content-Type"]})
        if got.status == 200:
            self.answered += [(time.monotonic(), name) for name in names]

    def _chip_in(self, body: bytes) -> list[str]:
        if b"affineTransform" not in body:
            return []
        grid = json.loads(body)["grid"]["affineTransform"]
        column = round((grid["translateX"] - LEFT) / PIXEL)
        return [self._chips[column, round((TOP - grid["translateY"]) / PIXEL)]]

    def _points_in(self, body: bytes) -> list[str]:
        if b"reduceRegions" not in body:
            return []
        return [name for name, text in self._texts.items() if text in body]


# The processes.


class Victim:
    """A process that runs a function of this module until it ends or is killed.

    Parameters
    ----------
    function : callable
    *arguments
        The last is the file that gets what the process prints.
    """

    def __init__(self, function: Callable[..., None], *arguments: object) -> None:
        self.process = _FORKS.Process(target=function, args=arguments, daemon=True)
        self.process.start()
        self._output = Path(str(arguments[-1]))

    @property
    def has_ended(self) -> bool:
        """Whether it has ended, by itself or not."""
        return not self.process.is_alive()

    def kill(self) -> None:
        """Kill it; return when it is gone."""
        self.process.kill()
        self.process.join()

    def end(self, seconds: float) -> int:
        """Wait until it ends by itself; return its exit code."""
        self.process.join(seconds)
        assert self.process.exitcode is not None, f"it goes on: {self.output}"
        return self.process.exitcode

    @property
    def output(self) -> str:
        """The end of what it printed."""
        return self._output.read_text()[-3000:]


def run_script(
    verb: str, url: str, items: gpd.GeoDataFrame, out: Path, address: str | None, output: Path
) -> None:
    """Run the plan, as a user's script does: on a cluster, or in its own process."""
    _print_to(output)
    dask.config.set({"distributed.comm.timeouts.connect": "1s"})
    try:
        where = distributed.Client(address) if address else contextlib.nullcontext()
    except OSError as error:  # the scheduler died before there was a run
        print(error, flush=True)
        os._exit(STOPPED)
    with initialized(url, "any"), where:
        try:
            plan(verb, items, out).run(progress=False)
        except RunStopped as error:
            print(error, flush=True)
            os._exit(STOPPED)  # a client takes long to see that its scheduler will not come back


def run_scheduler(port: int, output: Path) -> None:
    """Run a Dask scheduler."""
    _print_to(output)
    where = {"host": "127.0.0.1", "dashboard_address": "127.0.0.1:0"}
    asyncio.run(_serve(lambda: distributed.Scheduler(port=port, **where)))


def run_worker(address: str, output: Path) -> None:
    """Run a Dask worker, without a nanny."""
    _print_to(output)
    where = {"host": "127.0.0.1", "dashboard_address": "127.0.0.1:0"}
    asyncio.run(_serve(lambda: distributed.Worker(address, nthreads=2, **where)))


async def _serve(make: Callable[[], distributed.core.Server]) -> None:
    async with make() as server:
        await server.finished()


def run_emulator(raster: Path, port: int, output: Path) -> None:
    """Run the emulator's command."""
    _print_to(output)
    options = [f"--port={port}", "--processes=0", f"--latency={LATENCY_S}"]
    emulator.main([*options, f"--mount={ASSET}={raster}"])


def _print_to(output: Path) -> None:
    file = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for stream in (1, 2):
        os.dup2(file, stream)


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


def wait_for_port(port: int, victim: Victim) -> None:
    """Wait until somebody listens."""

    def is_there() -> bool:
        assert not victim.has_ended, victim.output
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return True
        return False

    wait_until(is_there, 60)

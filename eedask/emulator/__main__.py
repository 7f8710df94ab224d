"""The command ``python -m eedask.emulator``: an Earth Engine on this machine."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import os
import signal
import socket
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Thread

from tornado.netutil import bind_sockets

from eedask.emulator.errors import EarthEngineError
from eedask.emulator.limits.accounting import Compute
from eedask.emulator.limits.metering import Budget
from eedask.emulator.readings import Readings
from eedask.emulator.server.hosts import url_of, warn_of_host
from eedask.emulator.server.messages import Settings
from eedask.emulator.server.options import parse_options
from eedask.emulator.server.pool import Pool, ProcessPool, ThreadPool
from eedask.emulator.server.server import Front
from eedask.emulator.server.starting import READY, Steps
from eedask.emulator.traffic.auth import Tokens
from eedask.emulator.traffic.quotas import Traffic

# How long answers on their way may take once the server is told to end.
_FAREWELL_S = 0.2


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until told to end; return the exit status."""
    options = parse_options(arguments)
    logging.basicConfig(format="%(levelname)s %(name)s: %(message)s")
    try:
        warn_of_host(options.host)
        with TemporaryDirectory(prefix="eedask-emulator-") as store:
            asyncio.run(_serve(options, Path(store)))
    except (EarthEngineError, ValueError, OSError) as error:
        print(f"eedask-emulator: {error}", file=sys.stderr)
        return 1
    return 0


async def _serve(options: argparse.Namespace, store: Path) -> None:
    stopping = _stop_event(options.parent_watch)
    # The models first: they cost nothing, and a wrong option is told at once.
    clock = asyncio.get_running_loop().time
    traffic = Traffic(
        options.concurrency,
        options.rate,
        options.latency,
        options.faults,
        options.seed,
        clock=clock,
        compute=Compute(options.daily_eecu_seconds, options.monthly_eecu_hours),
    )
    tokens = Tokens(options.token_seconds, clock)
    readings = Readings.parse(",".join(options.reading))
    sockets = _listening(options.host, options.port)
    url = url_of(options.host, sockets[0].getsockname()[1])
    budget = Budget(round(options.memory * 2**20), options.timeout)
    settings = Settings(store, dict(options.mount), options.project, url, budget)
    pool = _pool(settings, options)
    try:
        server = Front(pool, traffic, tokens, readings).serve(sockets)
        _announce(url, options)
        await stopping.wait()
        server.stop()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(server.close_all_connections(), _FAREWELL_S)
    finally:
        pool.close()


def _pool(settings: Settings, options: argparse.Namespace) -> Pool:
    """Start what renders, and wait until it can be asked."""
    steps = Steps(to_program=options.parent_watch)
    total, mounts = options.processes, len(settings.mounts)

    def tell(ready: int) -> None:
        steps.begin(f"{ready} of {total} render processes are ready, each to open {mounts} mounts")

    try:
        if total:
            return ProcessPool(settings, total, on_ready=tell)
        steps.begin("importing algorithms and data sets")
        return ThreadPool(settings)
    finally:
        steps.end()


def _listening(host: str, port: int) -> list[socket.socket]:
    try:
        return bind_sockets(port, host)
    except OSError as error:
        raise EarthEngineError(
            f"cannot listen on {host} at port {port} ({error.strerror or error}): choose another"
            " with --port, or --port=0 for one that is free"
        ) from error


def _stop_event(parent_watch: bool) -> asyncio.Event:
    """Return an event that a signal sets, and if asked the end of standard input."""
    loop, event = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        try:
            loop.add_signal_handler(number, event.set)
        except NotImplementedError:  # Windows has no signal handlers in event loops
            signal.signal(number, lambda *_: loop.call_soon_threadsafe(event.set))
    if parent_watch:
        Thread(target=_watch_parent, args=(loop, event), daemon=True).start()
    return event


def _watch_parent(loop: asyncio.AbstractEventLoop, event: asyncio.Event) -> None:
    # Nothing is ever written to the pipe: reading it returns when the other end is gone.
    while os.read(0, 4096):
        pass
    with contextlib.suppress(RuntimeError):  # the loop has ended by itself
        loop.call_soon_threadsafe(event.set)


def _announce(url: str, options: argparse.Namespace) -> None:
    print(f"{READY}{url}", flush=True)
    if options.quiet:
        return
    project = options.project or "any-project"
    print(
        "An emulator of Google Earth Engine; imagery under public ids is synthetic.\n"
        f"  ee.Initialize(google.auth.credentials.AnonymousCredentials(), url={url!r}, "
        f"project={project!r})\n"
        f"  {url}/emulator/stats tells what it did. Ctrl-C ends it.",
        flush=True,
    )


if __name__ == "__main__":
    sys.exit(main())

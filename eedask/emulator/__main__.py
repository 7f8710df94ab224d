"""The command ``python -m eedask.emulator``: an Earth Engine on this machine."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import ipaddress
import logging
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Thread

from tornado.netutil import bind_sockets

from eedask.emulator.accounting import Compute
from eedask.emulator.auth import Tokens
from eedask.emulator.errors import EarthEngineError
from eedask.emulator.launcher import READY
from eedask.emulator.metering import Budget
from eedask.emulator.pool import Pool, ProcessPool, Settings, ThreadPool
from eedask.emulator.quotas import Traffic
from eedask.emulator.server import Front

# How long answers on their way may take once the server is told to end.
_FAREWELL_S = 0.2


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until told to end; return the exit status."""
    options = _parser().parse_args(arguments)
    logging.basicConfig(format="%(levelname)s %(name)s: %(message)s")
    try:
        _warn_of_host(options.host)
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
    sockets = bind_sockets(options.port, options.host)
    url = _url(options.host, sockets[0].getsockname()[1])
    budget = Budget(round(options.memory * 2**20), options.timeout)
    settings = Settings(store, dict(options.mount), options.project, url, budget)
    pool: Pool = (
        ProcessPool(settings, options.processes) if options.processes else ThreadPool(settings)
    )
    try:
        server = Front(pool, traffic, tokens).serve(sockets)
        _announce(url, options)
        await stopping.wait()
        server.stop()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(server.close_all_connections(), _FAREWELL_S)
    finally:
        pool.close()


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


def _url(host: str, port: int) -> str:
    shown = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"http://[{shown}]:{port}" if ":" in shown else f"http://{shown}:{port}"


def _warn_of_host(host: str) -> None:
    try:
        is_loopback = ipaddress.ip_address(host).is_loopback
    except ValueError:
        is_loopback = host == "localhost"
    if not is_loopback:
        print(
            f"Warning: listening on {host or 'all addresses'}: whoever reaches this machine can "
            "use the emulator and read what is mounted. It asks for no credentials.",
            file=sys.stderr,
        )


def _mount(text: str) -> tuple[str, str]:
    asset, equals, path = text.partition("=")
    if not (asset and equals and path):
        raise argparse.ArgumentTypeError(f"expected ID=PATH, not {text!r}")
    return asset, path


def _whole(text: str) -> int:
    number = int(text)
    if number < 0:
        raise argparse.ArgumentTypeError(f"expected 0 or more, not {text}")
    return number


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m eedask.emulator",
        description="Serve Earth Engine's REST API v1 on this machine, offline.",
    )
    add = parser.add_argument
    add("--host", default="127.0.0.1", help="address to listen on (default: this machine only)")
    add("--port", type=_whole, default=8778, help="0 takes a free one (default: 8778)")
    add("--project", help="the one project there is (default: every project is there)")
    add(
        "--mount",
        type=_mount,
        action="append",
        default=[],
        metavar="ID=PATH",
        help="show a raster, a folder of rasters or a vector file under an asset id",
    )
    add(
        "--processes",
        type=_whole,
        default=os.cpu_count() or 1,
        help="that render; 0 renders in threads of the server (default: one a CPU)",
    )
    add(
        "--memory",
        type=float,
        default=Budget().memory / 2**20,
        help='MiB that a request may hold at once; more is "User memory limit exceeded." '
        "(default: %(default)g)",
    )
    add(
        "--timeout",
        type=float,
        default=Budget().timeout,
        help='modelled seconds that a request may take; more is "Computation timed out." '
        "(default: %(default)g)",
    )
    add(
        "--daily-eecu-seconds",
        type=float,
        help="modelled EECU-seconds that a day's requests may take; then they are answered 429",
    )
    add(
        "--monthly-eecu-hours",
        type=float,
        help="modelled EECU-hours that a month's requests may take; then fewer are let in at a "
        "time, and answers say that the project is restricted",
    )
    add("--concurrency", type=int, help="requests in flight; more are answered 429")
    add("--rate", type=float, help="requests a second; more are answered 429")
    add(
        "--latency",
        default="",
        help='seconds an answer takes at least: "0.1", or '
        '"median=0.1,sigma=0.5,slow_share=0.01,slow=3"',
    )
    add(
        "--faults",
        default="",
        help='shares of requests, e.g. "429=0.3,429_retry_after=0.1,500=0.05,503=0.05,hang=0.01,'
        'reset=0.01,truncated=0.01,wrong_bytes=0.01,drip=0.01,outage_after=5,outage=20"',
    )
    add(
        "--token-seconds",
        type=float,
        help="demand bearer tokens, each valid for so long; POST /emulator/token issues them",
    )
    add("--seed", type=int, default=0, help="of latency and faults (default: 0)")
    add("--quiet", action="store_true", help="print the one line with the URL and no more")
    add(
        "--parent-watch",
        action="store_true",
        help="end when standard input does, as it does when the starting program dies",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())

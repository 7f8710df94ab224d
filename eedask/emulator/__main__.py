"""The command ``python -m eedask.emulator``, which runs the emulator until it is stopped."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import signal
import socket
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from tornado.netutil import bind_sockets

from eedask.emulator.errors import EarthEngineError
from eedask.emulator.server.hosts import Callers, url_of, warn_of_host
from eedask.emulator.server.messages import Settings
from eedask.emulator.server.options import models_of, parse_options
from eedask.emulator.server.orphans import end_with_program
from eedask.emulator.server.pool import Pool, ProcessPool, ThreadPool
from eedask.emulator.server.scratch import scratch_folder
from eedask.emulator.server.server import Front
from eedask.emulator.server.starting import READY, Steps

# Seconds that answers being sent may still take once the server is told to end.
_FAREWELL_S = 0.2


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until told to end; return the exit status."""
    options = parse_options(arguments)
    logging.basicConfig(format="%(levelname)s %(name)s: %(message)s")
    try:
        warn_of_host(options.host)
        with scratch_folder() as store:
            _run(options, store)
    except KeyboardInterrupt:  # told to end before it was up
        return 0
    except (EarthEngineError, ValueError, OSError) as error:
        print(f"eedask-emulator: {error}", file=sys.stderr)
        return 1
    return 0


def _run(options: argparse.Namespace, store: Path) -> None:
    # The models are made first: that is quick, and reports a wrong option at once.
    models = models_of(options)
    sockets = _listening(options.host, options.port)
    url = url_of(options.host, sockets[0].getsockname()[1])
    settings = Settings(store, dict(options.mount), options.project, url, models.budget)
    # Signals are handled outside of the event loop while the emulator starts: the loop would notice
    # them only after that, which may take minutes.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    if options.parent_watch:
        end_with_program()
    pool = _pool(settings, options)
    callers = Callers.of(options.host)
    front = Front(pool, models.traffic, callers, models.tokens, models.readings)
    asyncio.run(_serve(front, sockets, pool, lambda: _announce(url, options)))


async def _serve(
    front: Front, sockets: list[socket.socket], pool: Pool, announce: Callable[[], None]
) -> None:
    """Answer until told to end."""
    stopping = _stop_event()
    try:
        server = front.serve(sockets)
        announce()
        await stopping.wait()
        server.stop()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(server.close_all_connections(), _FAREWELL_S)
    finally:
        pool.close()


def _pool(settings: Settings, options: argparse.Namespace) -> Pool:
    """Start the threads or processes that compute answers, and wait until they are ready."""
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


def _stop_event() -> asyncio.Event:
    """Return an event that is set by the signals that end programs."""
    loop, event = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        try:
            loop.add_signal_handler(number, event.set)
        except NotImplementedError:  # Windows has no signal handlers in event loops
            signal.signal(number, lambda *_: loop.call_soon_threadsafe(event.set))
    return event


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

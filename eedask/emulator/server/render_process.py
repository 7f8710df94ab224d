"""The code of a render process: a Core that answers requests from a socket, one at a time.

Importing this module takes about a second, as it imports all algorithms and data sets. The server
itself does not import it, unless it computes in threads of its own.
"""

from __future__ import annotations

import contextlib
import gc
import logging
import signal
import socket
import sys
from dataclasses import replace

from isal import igzip

from eedask.emulator.answers import JSON, Answer
from eedask.emulator.catalog import Catalog
from eedask.emulator.limits.real_memory import allow
from eedask.emulator.readings import Readings
from eedask.emulator.rest.rest import Core
from eedask.emulator.rest.store import Store
from eedask.emulator.server.channel import Blocking
from eedask.emulator.server.messages import Request, Settings, parts_of
from eedask.emulator.server.orphans import end_with_server

_GZIP_FROM = 1024
_GZIP_LEVEL = 1
_RECURSION = 5000
_OBJECTS = 20_000


def core_of(settings: Settings) -> Core:
    """Return a Core of these settings; ValueError where a mount is missing or unreadable."""
    return Core(
        Catalog(settings.mounts),
        Store(settings.store),
        project=settings.project,
        root_url=settings.root_url,
        budget=settings.budget,
    )


def render(core: Core, request: Request) -> Answer:
    """Answer a request. Large JSON is compressed if the client accepts that."""
    answer = core.answer(
        request.method,
        request.path,
        request.query,
        request.body,
        profiling=request.profiling,
        readings=Readings(request.readings),
    )
    is_json = answer.headers.get("Content-Type") == JSON
    if not (request.takes_gzip and is_json and len(answer.body) >= _GZIP_FROM):
        return answer
    headers = {**answer.headers, "Content-Encoding": "gzip", "Vary": "Accept-Encoding"}
    body = igzip.compress(answer.body, _GZIP_LEVEL, mtime=0)
    return replace(answer, headers=headers, body=body)


def serve(end: socket.socket, settings: Settings) -> None:
    """Answer requests from a socket until the server closes it or ends.

    The first message to the server is None when the process is ready, or says why it cannot start.
    """
    # Ctrl-C reaches the whole process group; the server decides what ends when.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    end_with_server()
    # Images of many operations are read through as many calls; a main thread has the stack.
    sys.setrecursionlimit(_RECURSION)
    logging.basicConfig(format="%(levelname)s %(name)s: %(message)s")
    channel = Blocking(end)
    with contextlib.suppress(EOFError, OSError):  # the server has ended
        core = _made(channel, settings)
        settle()
        while core is not None:
            request = Request(*channel.receive())
            allow(settings.budget.memory)
            channel.send(parts_of(render(core, request)))
            gc.collect(0)  # while nobody waits


def settle() -> None:
    """Make garbage collection rare, and exempt from it every object that exists by now.

    An answer consists of thousands of objects with few reference cycles. Collecting them, and
    scanning all modules, every few hundred allocations took a tenth of the time.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_OBJECTS)


def _made(channel: Blocking, settings: Settings) -> Core | None:
    try:
        core = core_of(settings)
    except Exception as error:
        channel.send(f"{type(error).__name__}: {error}")
        return None
    channel.send(None)
    return core

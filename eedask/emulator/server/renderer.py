"""What renders: a Core, in this process or in one of its own.

A process that dies or hangs costs the request it had, and is started again.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import multiprocessing
import signal
import socket
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from isal import igzip

from eedask.emulator.answers import JSON, Answer, error_answer
from eedask.emulator.catalog import Catalog
from eedask.emulator.errors import EarthEngineError
from eedask.emulator.limits.accounting import Usage
from eedask.emulator.limits.metering import Budget
from eedask.emulator.rest.rest import Core
from eedask.emulator.rest.store import Store
from eedask.emulator.server.channel import Blocking, Channel

logger = logging.getLogger(__name__)

# A request that does not end by itself when its time is out is ended with its process.
_DEADLINE_AFTER_S = 10.0
_START_S = 120.0
_GZIP_FROM = 1024
_GZIP_LEVEL = 1
_RECURSION = 5000
_OBJECTS = 20_000


@dataclass(frozen=True)
class Settings:
    """What a Core is made of; travels to the processes."""

    store: Path
    mounts: Mapping[str, str] = field(default_factory=dict)
    project: str | None = None
    root_url: str = "http://127.0.0.1/"
    budget: Budget = field(default_factory=Budget)

    def core(self) -> Core:
        """Make the Core."""
        return Core(
            Catalog(self.mounts),
            Store(self.store),
            project=self.project,
            root_url=self.root_url,
            budget=self.budget,
        )


@dataclass(frozen=True)
class Request:
    """What a renderer is asked; the body is decompressed."""

    method: str
    path: str
    query: Mapping[str, str]
    body: bytes
    takes_gzip: bool
    profiling: bool = False


def render(core: Core, request: Request) -> Answer:
    """Answer a request, its JSON compressed if the client takes that and it is worth it."""
    answer = core.answer(
        request.method, request.path, request.query, request.body, profiling=request.profiling
    )
    is_json = answer.headers.get("Content-Type") == JSON
    if not (request.takes_gzip and is_json and len(answer.body) >= _GZIP_FROM):
        return answer
    headers = {**answer.headers, "Content-Encoding": "gzip", "Vary": "Accept-Encoding"}
    body = igzip.compress(answer.body, _GZIP_LEVEL, mtime=0)
    return replace(answer, headers=headers, body=body)


class Renderer:
    """A process that renders, asked one thing at a time from one event loop.

    Parameters
    ----------
    settings : Settings
    deadline_s : float, optional
        A request that takes longer is answered as timed out, and the process ended. None: a
        little more than its budget allows it.
    """

    def __init__(self, settings: Settings, deadline_s: float | None = None) -> None:
        if deadline_s is None:
            deadline_s = settings.budget.processor_seconds + _DEADLINE_AFTER_S
        self._settings = settings
        self._deadline_s = deadline_s
        self._stopped = False
        self._channel: Channel | None = None
        self._socket: socket.socket
        self._start()

    def wait_ready(self) -> None:
        """Wait until the process can be asked.

        Raises
        ------
        EarthEngineError
            It could not start: with its words.
        """
        self._socket.settimeout(_START_S)
        try:
            fault = Blocking(self._socket).receive()
        except TimeoutError as error:
            raise EarthEngineError(f"A render process did not start in {_START_S:g} s.") from error
        except (EOFError, OSError) as error:
            raise EarthEngineError("A render process ended as it started.") from error
        if fault is not None:
            raise EarthEngineError(fault)
        self._is_ready = True

    async def ask(self, request: Request) -> Answer:
        """Return the answer to a request; if cancelled, the process ends and another starts."""
        try:
            channel = self._channel or await self._connect()
            return _answer_of(await channel.ask(_parts_of_request(request), self._deadline_s))
        except TimeoutError:
            fault = EarthEngineError("Computation timed out.")
        except (EOFError, OSError, EarthEngineError):
            fault = EarthEngineError("A render process of the eedask emulator died.", 500)
        except asyncio.CancelledError:
            self._end()
            raise
        if not self._stopped:
            logger.error("%s (%s %s)", fault.message, request.method, request.path)
            await self._replace()
        return error_answer(fault)

    def stop(self) -> None:
        """End the process for good."""
        self._stopped = True
        self._end()
        self.process.join()

    def _start(self) -> None:
        self._is_ready = False
        context = _context()
        self._socket, theirs = socket.socketpair()
        # With their end only in the child, the stream ends when the child does.
        with theirs:
            self.process = context.Process(
                target=_serve, args=(theirs, self._settings), name="render", daemon=True
            )
            self.process.start()

    def _end(self) -> None:
        self._is_ready = False
        self.process.kill()
        if self._channel is None:
            self._socket.close()
        else:
            self._channel.close()
            self._channel = None

    async def _connect(self) -> Channel:
        if not self._is_ready:
            await asyncio.to_thread(self._restart)
        self._channel = await Channel.over(self._socket)
        return self._channel

    async def _replace(self) -> None:
        """Put a new process in the place of one that is of no use."""
        self._end()
        try:
            await asyncio.to_thread(self._restart)
        except EarthEngineError:
            # The next request tries it again.
            logger.exception("a render process could not be started again")

    def _restart(self) -> None:
        self.process.join()
        self._start()
        try:
            self.wait_ready()
        finally:
            if self._stopped or not self._is_ready:
                self._end()


def _context() -> Any:
    """Return how processes start: never as a fork of this one, with its loop and threads.

    They are forks of a helper that has imported all and does nothing else, where the system can
    do that: so the second one, and one in the place of a dead one, starts in no time.
    """
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    return context


def _serve(end: socket.socket, settings: Settings) -> None:
    """Answer requests from a socket until it ends, as it does when the server does."""
    # Ctrl-C reaches the whole process group; the server decides what ends when.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    # Images of many operations are read through as many calls; a main thread has the stack.
    sys.setrecursionlimit(_RECURSION)
    logging.basicConfig(format="%(levelname)s %(name)s: %(message)s")
    channel = Blocking(end)
    core = _made(channel, settings)
    settle()
    while core is not None:
        try:
            request = Request(*channel.receive())
            channel.send(_parts_of_answer(render(core, request)))
        except (EOFError, OSError):
            return
        gc.collect(0)  # while nobody waits


def settle() -> None:
    """Look for garbage less often, and never among what is there for good.

    An answer is made of thousands of objects, few of which refer to each other in circles: looking
    through them, and through all modules, every few hundred took a tenth of the time.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_OBJECTS)


def _made(channel: Blocking, settings: Settings) -> Core | None:
    try:
        core = settings.core()
    except Exception as error:
        channel.send(f"{type(error).__name__}: {error}")
        return None
    channel.send(None)
    return core


# Objects of classes take several times as long to pickle as what they are made of.


def _parts_of_request(request: Request) -> tuple[Any, ...]:
    return (
        request.method,
        request.path,
        request.query,
        request.body,
        request.takes_gzip,
        request.profiling,
    )


def _parts_of_answer(answer: Answer) -> tuple[Any, ...]:
    usage = answer.usage
    cost = None if usage is None else (usage.eecu_seconds, usage.peak_memory, usage.tag)
    return answer.status, answer.headers, answer.body, cost


def _answer_of(parts: tuple[Any, ...]) -> Answer:
    status, headers, body, cost = parts
    return Answer(status, headers, body, None if cost is None else Usage(*cost))

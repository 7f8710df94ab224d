"""Where answers are computed: processes with a Core each, or threads around one Core.

A renderer that dies or hangs costs the request it had, and is started again.
"""

from __future__ import annotations

import asyncio
import gzip
import logging
import multiprocessing
import signal
import sys
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Protocol

from eedask.emulator.answers import JSON, Answer, error_answer
from eedask.emulator.catalog import Catalog
from eedask.emulator.errors import EarthEngineError
from eedask.emulator.metering import Budget
from eedask.emulator.rest import Core
from eedask.emulator.store import Store

logger = logging.getLogger(__name__)

# A request that does not end by itself when its time is out is ended with its process.
_DEADLINE_AFTER_S = 10.0
_START_S = 120.0
_THREADS = 4
_GZIP_FROM = 1024
_GZIP_LEVEL = 1
_RECURSION = 5000


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
    body = gzip.compress(answer.body, _GZIP_LEVEL, mtime=0)
    return replace(answer, headers=headers, body=body)


class Pool(Protocol):
    """Computes answers away from the event loop."""

    async def answer(self, request: Request, wanted: Callable[[], bool]) -> Answer | None:
        """Return the answer, or None if it was no longer wanted when its turn came."""

    def close(self) -> None:
        """End what was started."""


class ThreadPool:
    """Threads of this process around one Core."""

    def __init__(self, settings: Settings, threads: int = _THREADS) -> None:
        self._core = settings.core()
        self._threads = ThreadPoolExecutor(threads, "render")

    async def answer(self, request: Request, wanted: Callable[[], bool]) -> Answer | None:
        """Return the answer, or None if it was no longer wanted when its turn came."""

        def work() -> Answer | None:
            return render(self._core, request) if wanted() else None

        return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    def close(self) -> None:
        """End the threads, after what they are at."""
        self._threads.shutdown(cancel_futures=True)


class ProcessPool:
    """Renderer processes, each asked by one thread at a time.

    Parameters
    ----------
    settings : Settings
    processes : int
        At least 1.
    deadline_s : float, optional
        A request that takes longer is answered as timed out, and its process ended. None: a
        little more than its budget allows it.

    Raises
    ------
    EarthEngineError
        A process could not start: with its words.
    """

    def __init__(self, settings: Settings, processes: int, deadline_s: float | None = None) -> None:
        if deadline_s is None:
            deadline_s = settings.budget.processor_seconds + _DEADLINE_AFTER_S
        self._renderers = [_Renderer(settings, deadline_s) for _ in range(processes)]
        self._idle: asyncio.Queue[_Renderer] = asyncio.Queue()
        self._threads = ThreadPoolExecutor(processes, "renderer")
        try:
            for renderer in self._renderers:
                renderer.wait_ready()
                self._idle.put_nowait(renderer)
        except BaseException:
            self.close()
            raise

    async def answer(self, request: Request, wanted: Callable[[], bool]) -> Answer | None:
        """Return the answer, or None if it was no longer wanted when its turn came."""
        renderer = await self._idle.get()
        try:
            if not wanted():
                return None
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self._threads, renderer.ask, request)
        finally:
            self._idle.put_nowait(renderer)

    def close(self) -> None:
        """End the processes at once."""
        for renderer in self._renderers:
            renderer.stop()
        self._threads.shutdown(cancel_futures=True)


class _Renderer:
    """One process, and this end of the pipe to it."""

    def __init__(self, settings: Settings, deadline_s: float) -> None:
        self._settings = settings
        self._deadline_s = deadline_s
        self._stopped = False
        self.start()

    def start(self) -> None:
        context = _context()
        self._connection, theirs = context.Pipe()
        self.process = context.Process(
            target=_serve, args=(theirs, self._settings), name="render", daemon=True
        )
        self.process.start()
        # With this end only in the child, the pipe ends when the child does.
        theirs.close()

    def wait_ready(self) -> None:
        """Wait until the process can be asked."""
        try:
            if not self._connection.poll(_START_S):
                raise EarthEngineError(f"A render process did not start in {_START_S:g} s.")
            fault = self._connection.recv()
        except (EOFError, OSError) as error:
            raise EarthEngineError("A render process ended as it started.") from error
        if fault is not None:
            raise EarthEngineError(fault)

    def ask(self, request: Request) -> Answer:
        try:
            self._connection.send(request)
            if self._connection.poll(self._deadline_s):
                return self._connection.recv()
            fault = EarthEngineError("Computation timed out.")
        except (EOFError, OSError):
            fault = EarthEngineError("A render process of the eedask emulator died.", 500)
        if not self._stopped:
            logger.error("%s (%s %s)", fault.message, request.method, request.path)
            self._restart()
        return error_answer(fault)

    def stop(self) -> None:
        self._stopped = True
        self.process.kill()
        self.process.join()
        self._connection.close()

    def _restart(self) -> None:
        self.process.kill()
        self.process.join()
        self._connection.close()
        self.start()
        try:
            self.wait_ready()
        except EarthEngineError:
            # The next request will find the pipe closed, and try again.
            logger.exception("a render process could not be started again")


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


def _serve(connection: Connection, settings: Settings) -> None:
    """Answer requests from a pipe until it ends, as it does when the server does."""
    # Ctrl-C reaches the whole process group; the server decides what ends when.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    # Images of many operations are read through as many calls; a main thread has the stack.
    sys.setrecursionlimit(_RECURSION)
    logging.basicConfig(format="%(levelname)s %(name)s: %(message)s")
    core = _made(connection, settings)
    while core is not None:
        try:
            request: Any = connection.recv()
            connection.send(render(core, request))
        except (EOFError, OSError):
            return


def _made(connection: Connection, settings: Settings) -> Core | None:
    try:
        core = settings.core()
    except Exception as error:
        connection.send(f"{type(error).__name__}: {error}")
        return None
    connection.send(None)
    return core

"""Computes answers outside of the event loop: in processes, or in threads of the server."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Protocol

from eedask.emulator.answers import Answer
from eedask.emulator.server.messages import Request, Settings
from eedask.emulator.server.renderer import Renderer

_THREADS = 4


class Pool(Protocol):
    """Computes answers away from the event loop."""

    async def answer(self, request: Request, wanted: Callable[[], bool]) -> Answer | None:
        """Return the answer, or None if it was no longer wanted when its turn came."""

    def close(self) -> None:
        """Stop the threads or processes."""


class ThreadPool:
    """Threads of this process that share one Core."""

    def __init__(self, settings: Settings, threads: int = _THREADS) -> None:
        # Not at the module's top: a server with processes has no use for what this imports.
        from eedask.emulator.server.render_process import core_of, render

        self._render = partial(render, core_of(settings))
        self._threads = ThreadPoolExecutor(threads, "render")

    async def answer(self, request: Request, wanted: Callable[[], bool]) -> Answer | None:
        """Return the answer, or None if it was no longer wanted when its turn came."""

        def work() -> Answer | None:
            return self._render(request) if wanted() else None

        return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    def close(self) -> None:
        """Accept no more work. The interpreter waits for what the threads are doing now."""
        self._threads.shutdown(wait=False, cancel_futures=True)


class ProcessPool:
    """Render processes, each of which computes one answer at a time.

    Parameters
    ----------
    settings : Settings
    processes : int
        At least 1.
    deadline_s : float, optional
        If a request takes longer, it is answered as timed out and its process is ended. None: a
        little more than the budget allows a request.
    on_ready : callable, optional
        Called with the number of processes that are ready, each time that it grows.

    Raises
    ------
    EarthEngineError
        A process could not start; with the process's own message.
    """

    def __init__(
        self,
        settings: Settings,
        processes: int,
        deadline_s: float | None = None,
        on_ready: Callable[[int], None] = lambda ready: None,
    ) -> None:
        self._renderers = [Renderer(settings, deadline_s) for _ in range(processes)]
        self._idle: asyncio.Queue[Renderer] = asyncio.Queue()
        try:
            for ready, renderer in enumerate(self._renderers):
                on_ready(ready)
                renderer.wait_ready()
                self._idle.put_nowait(renderer)
        except BaseException:
            self.close()
            raise

    async def answer(self, request: Request, wanted: Callable[[], bool]) -> Answer | None:
        """Return the answer, or None if it was no longer wanted when its turn came."""
        renderer = await self._idle.get()
        try:
            return await renderer.ask(request) if wanted() else None
        finally:
            self._idle.put_nowait(renderer)

    def close(self) -> None:
        """End the processes at once, within the event loop if they were asked from one."""
        for renderer in self._renderers:
            renderer.stop()

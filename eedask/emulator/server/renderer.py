"""The server's handle of a render process.

If the process dies or hangs, the request that it was computing fails, and it is started again.
"""

from __future__ import annotations

import asyncio
import logging
import multiprocessing
import socket
from typing import Any

from eedask.emulator.answers import Answer, error_answer
from eedask.emulator.errors import EarthEngineError
from eedask.emulator.limits.budget import TimeLimit
from eedask.emulator.limits.capacity import too_heavy
from eedask.emulator.readings import Readings, under
from eedask.emulator.server.channel import Blocking, Channel
from eedask.emulator.server.messages import Request, Settings, answer_of

logger = logging.getLogger(__name__)

# A request that does not end by itself when its time is out is ended with its process.
_DEADLINE_AFTER_S = 10.0
_START_S = 600.0
_PRELOADED = "eedask.emulator.server.render_process"


class Renderer:
    """A render process, which computes one answer at a time for the server's event loop.

    Parameters
    ----------
    settings : Settings
    deadline_s : float, optional
        If a request takes longer, it is answered as timed out and the process is ended. None: a
        little more than the budget allows a request.
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
        """Wait until the process is ready.

        Raises
        ------
        EarthEngineError
            It could not start; with the process's own message.
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
            return answer_of(await channel.ask(request.parts(), self._deadline_s))
        except TimeoutError:
            with under(Readings(request.readings)):
                fault = too_heavy(TimeLimit())
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
    """Return how processes start, as a context of :mod:`multiprocessing`.

    Where the system can fork, one helper process imports everything once, and render processes
    are forks of it: the second one, and one that replaces a dead one, start in milliseconds.
    (They cannot be forks of the server itself, which runs an event loop and threads.) Elsewhere
    each is a new interpreter.
    """
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([_PRELOADED])
    return context


def _serve(end: socket.socket, settings: Settings) -> None:
    # Imported in the render process only: the server does not need its dependencies.
    from eedask.emulator.server.render_process import serve

    serve(end, settings)

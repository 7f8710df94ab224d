"""Ends a process when the process that started it has ended, whatever it is computing then."""

from __future__ import annotations

import multiprocessing
import os
import select
import signal
import sys
import time
from threading import Thread

_LOOK_S = 1.0
# What is being computed in threads of the server can hold up its end.
_FAREWELL_S = 5.0


def end_with_program() -> None:
    """Let the server end when the program that started it ends.

    The program has to make the server's standard input a pipe.
    """
    Thread(target=_watch_program, args=(os.getppid(),), daemon=True).start()


def end_with_server() -> None:
    """Let a render process end when the server does, even in the middle of a request."""
    Thread(target=_watch_server, daemon=True).start()


def _watch_program(program: int) -> None:
    # Other children of the program may hold its end of the pipe, so that it stays open without it.
    while os.getppid() == program and not _has_input_ended():
        pass
    if sys.platform == "win32":
        signal.raise_signal(signal.SIGTERM)
    else:
        # Unlike the above, this also interrupts what the main thread waits for.
        os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(_FAREWELL_S)
    os._exit(1)


def _has_input_ended() -> bool:
    """Wait for a moment, and return whether standard input has no other end any more."""
    # Windows cannot wait for pipes. There, who has started a process stays its parent.
    if sys.platform != "win32" and not select.select([0], [], [], _LOOK_S)[0]:
        return False
    # Nothing is ever written to the pipe.
    return not os.read(0, 4096)


def _watch_server() -> None:
    server = multiprocessing.parent_process()
    assert server is not None
    server.join()
    os._exit(1)

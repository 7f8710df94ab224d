"""Turns Dask's profiler off on interpreters that it can hang."""

from __future__ import annotations

import contextlib
import sys
import threading

import dask
import distributed

# Before, ``sys._current_frames()``, which the profiler calls a hundred times a second, waits for
# ever if the garbage collector runs in it while a thread starts
# (https://github.com/python/cpython/issues/106883). A worker that starts many threads at the
# beginning of a run meets that sooner or later.
MENDED_IN = (3, 11, 9)
_WAIT_S = 1.0


def without_profiler() -> contextlib.AbstractContextManager[object]:
    """Return a context in which clusters start without the profiler, if it can hang."""
    if sys.version_info >= MENDED_IN:
        return contextlib.nullcontext()
    off: contextlib.AbstractContextManager[object] = dask.config.set(
        {"distributed.worker.profile.enabled": False}
    )
    return off


def stop_profiler() -> None:
    """Stop this Dask worker's profiler, if it can hang; the dashboard then shows no profile."""
    if sys.version_info >= MENDED_IN:
        return
    try:
        worker = distributed.get_worker()
    except ValueError:
        return
    # Not part of Dask's public interface: without it, there is nothing to stop.
    callback = getattr(worker, "periodic_callbacks", {}).get("profile")
    if callback is None or not callback.is_running():
        return
    stopped = threading.Event()

    def stop() -> None:
        callback.stop()
        stopped.set()

    worker.loop.add_callback(stop)
    stopped.wait(_WAIT_S)

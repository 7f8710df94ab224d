"""The beginning and the end of a process's part in a run.

The part begins with the first partition that the process works on: then its threads, connections
and membership in the quota are made. It ends with :func:`release`. Where nobody calls that (bags,
whose end only Dask knows), it ends some seconds after the last partition, and begins anew if
another one comes.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator

from eedask.earthengine.endpoint import ensure_client
from eedask.errors import RunStopped
from eedask.run.process import Process
from eedask.run.profiler import stop_profiler
from eedask.run.spec import RunSpec, check_place
from eedask.watching.compute import Spent

# Seconds that the end of a run waits for partitions to write what they have.
GRACE_S = 2.0
_OVER = "the run has ended"


class _Stay:
    """A process's part in a run, with the number of partitions that are being worked on."""

    def __init__(self, process: Process) -> None:
        self.process = process
        self.partitions = 0
        self.idle_since = time.monotonic()


_STAYS: dict[str, _Stay] = {}
# A task may start after its run has ended: a cluster hears late that it is cancelled.
_RELEASED: dict[str, str] = {}
# Guards all of the above; notified when a partition ends.
_CHANGED = threading.Condition()


@contextlib.contextmanager
def working(spec: RunSpec) -> Iterator[Process]:
    """Yield this process's part in a run, for the time that a partition is worked on.

    Raises
    ------
    RunStopped
        If the run has ended.
    InputError
        If this process cannot share the run's quota.
    """
    stay = _begin(spec)
    try:
        yield stay.process
    finally:
        _finish(stay)


def release(run_id: str, reason: str | None = None) -> dict[str, Spent]:
    """End this process's part in a run, if it has one, for good.

    It waits for the run's partitions to write their rows, for a few seconds at most.

    Parameters
    ----------
    run_id : str
    reason : str, optional
        The message of the RunStopped that partitions still being worked on get. None: all are
        done.

    Returns
    -------
    dict of str to Spent
        What the process has spent, by the process; empty if it had no part.
    """
    is_done = reason is None
    with _CHANGED:
        reason = _RELEASED.setdefault(run_id, reason or _OVER)
        stay = _STAYS.pop(run_id, None)
    if stay is None:
        return {}
    if is_done:
        stay.process.ask_costs(last=True)
    _end(stay, reason)
    reporter = stay.process.reporter
    return {reporter.member: reporter.spent()}


def _begin(spec: RunSpec) -> _Stay:
    check_place(spec)
    if spec.task.needs_client:
        ensure_client(spec.task.endpoint)
    with _CHANGED:
        if spec.run_id in _RELEASED:
            raise RunStopped(_RELEASED[spec.run_id])
        if spec.run_id not in _STAYS:
            # Before the threads start.
            stop_profiler()
            _STAYS[spec.run_id] = _Stay(Process(spec))
        stay = _STAYS[spec.run_id]
        stay.partitions += 1
        return stay


def _finish(stay: _Stay) -> None:
    idle_s = stay.process.spec.idle_s
    with _CHANGED:
        stay.partitions -= 1
        stay.idle_since = time.monotonic()
        _CHANGED.notify_all()
        if stay.partitions or idle_s is None:
            return
    # A little longer than idle_s, so that _retire does not find that it is too early.
    timer = threading.Timer(idle_s + 0.1, _retire, [stay, idle_s])
    timer.daemon = True
    timer.start()


def _retire(stay: _Stay, idle_s: float) -> None:
    """End a process's part in a run if no partition has used it for ``idle_s`` seconds."""
    run_id = stay.process.spec.run_id
    with _CHANGED:
        used = stay.partitions or time.monotonic() - stay.idle_since < idle_s
        if used or _STAYS.get(run_id) is not stay:
            return
        del _STAYS[run_id]
    _end(stay, _OVER)


def _end(stay: _Stay, reason: str) -> None:
    """Stop, wait GRACE_S seconds at most for the partitions to write their rows, and close."""
    stay.process.stop(reason)
    with _CHANGED:
        _CHANGED.wait_for(lambda: not stay.partitions, GRACE_S)
    stay.process.close()

"""The last resort against requests that never end: an alarm after some processor time.

Requests are bounded by the operations they are counted to do
(:mod:`eedask.emulator.limits.metering`), but a loop inside a library is not counted, nor is each
character that a regular expression looks at. Python handles signals in between, so a timer can
stop them.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from eedask.emulator.limits.budget import TimeLimit

_AGAIN_S = 0.5


@contextmanager
def processor_time(seconds: float) -> Iterator[None]:
    """Raise :class:`TimeLimit` inside the block once the process has used some processor time.

    Python runs signal handlers in the main thread only, and Windows lacks the timer: in other
    threads and there this does nothing, and only the pool's deadline stops a request. The timer
    counts processor time rather than real time, since test runners use the timer of the latter.

    Parameters
    ----------
    seconds : float
        Processor time of the whole process, from now.
    """
    if (
        not hasattr(signal, "setitimer")
        or threading.current_thread() is not threading.main_thread()
    ):
        yield
        return
    alarm = _Alarm()
    before = signal.signal(signal.SIGVTALRM, alarm.ring)
    # The timer repeats, because an exception raised within a destructor is lost.
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds, _AGAIN_S)
    try:
        yield
    finally:
        try:
            alarm.is_armed = False
        finally:
            signal.setitimer(signal.ITIMER_VIRTUAL, 0)
            signal.signal(signal.SIGVTALRM, before)


class _Alarm:
    def __init__(self) -> None:
        self.is_armed = True

    def ring(self, number: int, frame: FrameType | None) -> None:
        if self.is_armed:
            raise TimeLimit

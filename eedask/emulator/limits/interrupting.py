"""The last resort against what never ends: an alarm after so much of the processor's time.

Requests are bounded by what they are counted to do (:mod:`eedask.emulator.limits.metering`), but a
regular expression that backtracks without end, or a loop inside a library, counts nothing. Python
looks for signals in both, so a timer can break into them.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from eedask.emulator.limits.metering import TimeLimit

_AGAIN_S = 0.5


@contextmanager
def processor_time(seconds: float) -> Iterator[None]:
    """Raise :class:`TimeLimit` within, once the process has computed for so many seconds.

    Signals reach main threads only, and there are none of this kind on Windows: elsewhere this
    does nothing, and the pool's deadline is what is left. The timer is that of computing, not
    of the clock, which test runners use themselves.
    """
    if (
        not hasattr(signal, "setitimer")
        or threading.current_thread() is not threading.main_thread()
    ):
        yield
        return
    alarm = _Alarm()
    before = signal.signal(signal.SIGVTALRM, alarm.ring)
    # Again and again: what is raised within a destructor is lost.
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

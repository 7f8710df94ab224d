"""Counts the requests of one run in one process."""

from __future__ import annotations

import contextlib
import threading
import time
from dataclasses import dataclass, field, replace
from types import TracebackType

from eedask.errors import QuotaError
from eedask.watching import latency


@dataclass
class RequestCounts:
    """Requests of one run in one process, since that process began its part in the run.

    All but ``in_flight`` are totals: with a message that got lost nothing is lost, and a message
    that comes twice counts once.

    Attributes
    ----------
    requests : int
        Requests that were sent, each try by itself.
    in_flight : int
        Requests that were sent and are not answered yet.
    throttled : int
        Requests that were refused because the quota was used up.
    retries : int
        Requests that were sent because an earlier try had failed.
    nbytes : int
        Bytes of the answers, unpacked.
    latencies : list of int
        Requests that succeeded, by the time they took; see :mod:`eedask.watching.latency`.
    """

    requests: int = 0
    in_flight: int = 0
    throttled: int = 0
    retries: int = 0
    nbytes: int = 0
    latencies: list[int] = field(default_factory=latency.empty)


class Meter:
    """Counts requests; safe for threads."""

    def __init__(self) -> None:
        self._counts = RequestCounts()
        self._lock = threading.Lock()

    def exchange(
        self, slot: contextlib.AbstractContextManager[object], *, again: bool
    ) -> contextlib.AbstractContextManager[object]:
        """Return a slot of the quota whose one exchange is counted.

        Parameters
        ----------
        slot : context manager
            Waits for the quota when it is entered, and holds the slot.
        again : bool
            Whether an earlier try of the same request has failed.
        """
        return _Exchange(self, slot, again)

    def received(self, nbytes: int) -> None:
        """Count the bytes of an answer."""
        with self._lock:
            self._counts.nbytes += nbytes

    def counts(self) -> RequestCounts:
        """Return a copy of the counts so far."""
        with self._lock:
            return replace(self._counts, latencies=self._counts.latencies.copy())

    def _begin(self, again: bool) -> None:
        with self._lock:
            self._counts.requests += 1
            self._counts.in_flight += 1
            self._counts.retries += again

    def _end(self, seconds: float, error: BaseException | None) -> None:
        with self._lock:
            self._counts.in_flight -= 1
            if error is None:
                self._counts.latencies[latency.bucket(seconds)] += 1
            elif isinstance(error, QuotaError):
                self._counts.throttled += 1


class _Exchange:
    """A slot of the quota, counted from when it is taken to when it is given back."""

    __slots__ = ("_again", "_meter", "_slot", "_started")

    def __init__(
        self, meter: Meter, slot: contextlib.AbstractContextManager[object], again: bool
    ) -> None:
        self._meter, self._slot, self._again = meter, slot, again
        self._started = 0.0

    def __enter__(self) -> None:
        self._slot.__enter__()
        self._started = time.monotonic()
        self._meter._begin(self._again)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._meter._end(time.monotonic() - self._started, error)
        self._slot.__exit__(kind, error, traceback)

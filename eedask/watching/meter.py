"""Counts the requests of one partition, and adds up those of several."""

from __future__ import annotations

import contextlib
import threading
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from types import TracebackType

from eedask.errors import EedaskError, QuotaError
from eedask.watching import latency


@dataclass
class RequestCounts:
    """Requests that were sent for some of a run's items.

    All but ``in_flight`` are totals: if a message is lost, the next one makes up for it, and a
    message that comes twice counts once.

    Attributes
    ----------
    requests : int
        Requests that were sent, with each try counted.
    in_flight : int
        Requests that were sent and are not answered yet.
    retries : int
        Requests that were sent because an earlier try had failed.
    nbytes : int
        Bytes of the answers, unpacked.
    latencies : list of int
        A histogram of the latencies of requests that succeeded; see :mod:`eedask.watching.latency`.
    seconds : float
        The sum of these latencies.
    errors : dict of str to int
        Requests that failed, by the kind of their error; see :mod:`eedask.errors`. A request whose
        answer arrived but turned out to be broken counts here and among those that succeeded.
    cpu_s, most_cpu_s : float
        Seconds of processor time of this machine for making requests and reading answers: the sum,
        and the longest single piece of work.
    """

    requests: int = 0
    in_flight: int = 0
    retries: int = 0
    nbytes: int = 0
    latencies: list[int] = field(default_factory=latency.empty)
    seconds: float = 0.0
    errors: dict[str, int] = field(default_factory=dict)
    cpu_s: float = 0.0
    most_cpu_s: float = 0.0

    @property
    def throttled(self) -> int:
        """Requests that were refused because the quota was used up."""
        return self.errors.get(QuotaError.kind, 0)

    def add(self, other: RequestCounts) -> None:
        """Add the requests of other items."""
        self.requests += other.requests
        self.in_flight += other.in_flight
        self.retries += other.retries
        self.nbytes += other.nbytes
        self.latencies = [a + b for a, b in zip(self.latencies, other.latencies, strict=True)]
        self.seconds += other.seconds
        self.cpu_s += other.cpu_s
        self.most_cpu_s = max(self.most_cpu_s, other.most_cpu_s)
        self.errors = dict(Counter(self.errors) + Counter(other.errors))


def sum_of(several: Iterable[RequestCounts]) -> RequestCounts:
    """Return the requests of all items together."""
    total = RequestCounts()
    for one in several:
        total.add(one)
    return total


class Meter:
    """Counts requests; safe for threads."""

    def __init__(self) -> None:
        self._counts = RequestCounts()
        self._lock = threading.Lock()

    def exchange(
        self, slot: contextlib.AbstractContextManager[object], *, again: bool
    ) -> contextlib.AbstractContextManager[object]:
        """Return a context that holds a slot of the quota, and counts the exchange in it.

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

    def worked(self, cpu_s: float) -> None:
        """Count the processor time of one piece of work, in seconds."""
        with self._lock:
            self._counts.cpu_s += cpu_s
            self._counts.most_cpu_s = max(self._counts.most_cpu_s, cpu_s)

    def failed(self, error: BaseException) -> None:
        """Count the error of a request."""
        kind = error.kind if isinstance(error, EedaskError) else "unexpected"
        with self._lock:
            self._counts.errors[kind] = self._counts.errors.get(kind, 0) + 1

    def counts(self) -> RequestCounts:
        """Return a copy of the counts so far."""
        with self._lock:
            now = self._counts
            return replace(now, latencies=now.latencies.copy(), errors=now.errors.copy())

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
                self._counts.seconds += seconds
        if error is not None:
            self.failed(error)


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

"""The state of one run, which the scheduler keeps: the counts of all its processes, added up."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from eedask.watching import latency, map_sample
from eedask.watching.compute import Compute
from eedask.watching.messages import Beginning
from eedask.watching.meter import RequestCounts, sum_of
from eedask.watching.steady_clock import SteadyClock

# Seconds between two points of the series, and for how long a series reaches back.
SAMPLE_S, SERIES_S = 1.0, 600.0
# Seconds over which the rates of requests and the latencies are taken, and the rate of items.
RATE_S, ETA_S = 5.0, 60.0
# A run counts as throttled while more than this part of its requests is refused.
_THROTTLED = 0.02

RUNNING, THROTTLED, FINISHED, STOPPED = "running", "throttled", "finished", "stopped"
# The state of a bag that the user has not computed yet.
WAITING = "waiting"


@dataclass(frozen=True)
class Totals:
    """The sums of a run at one moment; ``at`` is its time in seconds on a monotonic clock."""

    at: float
    requests: int
    throttled: int
    retries: int
    nbytes: int
    done: int
    latencies: tuple[int, ...]


@dataclass(frozen=True)
class Point:
    """One point of a run's series: rates a second and latencies in seconds, over ``RATE_S``.

    ``at`` is milliseconds since 1970, as Bokeh's axes of time expect it.
    """

    at: float
    requests_per_s: float = 0.0
    throttled_per_s: float = 0.0
    retries_per_s: float = 0.0
    bytes_per_s: float = 0.0
    in_flight: int = 0
    limit: int | None = None
    ceiling: int | None = None
    median: float | None = None
    p95: float | None = None
    p99: float | None = None


@dataclass(frozen=True)
class _PartitionState:
    """What is known of a partition: items done, and those that failed by kind."""

    done: int
    failures: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Limits:
    """The present limit of a quota, and its ceiling: requests at once of all runs that share it."""

    limit: int | None = None
    ceiling: int | None = None


@dataclass
class RunState:
    """The state of one run.

    Attributes
    ----------
    beginning : Beginning
    number : int
        Counts the runs of the scheduler.
    state : str
        WAITING, RUNNING, THROTTLED, FINISHED or STOPPED.
    reason : str
        Why the run was stopped.
    members : dict
        The latest counts of each process that takes part, or took part, with its worker's address.
    computes : dict
        What the requests of each of these processes have cost.
    restricted : bool
        Whether an answer of Earth Engine said that the project's compute quota is used up.
    failures : Counter
        Failed items by kind.
    examples : dict
        For each kind of failure, an item's id and the error's words.
    points : dict
        Items on the map, by mark: longitude, latitude, state.
    series : deque of Point
    """

    beginning: Beginning
    number: int = 0
    reason: str = ""
    members: dict[str, tuple[str, RequestCounts]] = field(default_factory=dict)
    computes: dict[str, Compute] = field(default_factory=dict)
    restricted: bool = False
    failures: Counter[str] = field(default_factory=Counter)
    examples: dict[str, tuple[str, str]] = field(default_factory=dict)
    points: dict[int, tuple[float, float, str]] = field(default_factory=dict)
    series: deque[Point] = field(default_factory=lambda: deque(maxlen=int(SERIES_S / SAMPLE_S)))
    _ended: str | None = None

    def __post_init__(self) -> None:
        self.done, self.failed = self.beginning.done, self.beginning.failed
        self._parts: dict[int, _PartitionState] = {}
        self.points = {mark: (x, y, map_sample.WAITING) for mark, x, y in self.beginning.points}
        self._begin()

    def _begin(self) -> None:
        """Set the run's beginning to now, and begin its series anew."""
        self._clock = SteadyClock()
        self.began, self.took_s = self._clock.seconds(), 0.0
        self._recent: deque[Totals] = deque([self._totals()])
        self.series.clear()
        self.series.append(Point(1e3 * self.began))

    @property
    def state(self) -> str:
        """What the run is doing: WAITING, RUNNING, THROTTLED, FINISHED or STOPPED."""
        if self._ended is not None:
            return self._ended
        if self._waits:
            return WAITING
        last = self.series[-1]
        refused = last.throttled_per_s > _THROTTLED * last.requests_per_s
        return THROTTLED if refused else RUNNING

    @property
    def goes_on(self) -> bool:
        """Whether the run has not ended."""
        return self._ended is None

    @property
    def in_flight(self) -> int:
        """Requests that were sent and are not answered yet; 0 if the run has ended."""
        return sum(counts.in_flight for _, counts in self.members.values()) if self.goes_on else 0

    @property
    def eta_s(self) -> float | None:
        """Seconds until the run ends at the rate of the last ``ETA_S``; None if unknown."""
        left = self.beginning.total - self.done
        if not left:
            return 0.0
        first, last = self._recent[0], self._recent[-1]
        done = last.done - first.done
        if self._ended is not None or done <= 0:
            return None
        return left * (last.at - first.at) / done

    def hear(self, message: Mapping[str, Any]) -> None:
        """Take a message of :class:`eedask.watching.reporter.Reporter`."""
        if self._waits:
            self._begin()
        for part in message["partitions"]:
            self._hear_partition(part)
        if "member" in message:
            counts = RequestCounts(**message["requests"])
            self.members[message["member"]] = (message.get("worker", ""), counts)
            self.computes[message["member"]] = Compute(*message["compute"])
            self.restricted = self.restricted or message.get("restricted", False)
        if self.beginning.is_bag and self.done == self.beginning.total:
            self.end(None)

    @property
    def eecu_s(self) -> float | None:
        """EECU-seconds that the run's requests have cost, by a sample of them; None if unknown."""
        return Compute.sum(self.computes.values()).total

    def lose(self, worker: str) -> None:
        """Note that a worker is gone: its requests do not count as under way any more."""
        for where, counts in self.members.values():
            if where == worker:
                counts.in_flight = 0

    def end(
        self, reason: str | None, computes: Mapping[str, Compute] = MappingProxyType({})
    ) -> None:
        """Note that the run has ended. Only the first call has an effect.

        Parameters
        ----------
        reason : str, optional
            Why the run was stopped; None if all its items are done.
        computes : mapping of str to Compute
            What the requests of each process have cost.
        """
        if not self.goes_on:
            return
        self.computes.update(computes)
        self._ended = FINISHED if reason is None else STOPPED
        self.reason = reason or ""
        self.took_s = self._clock.seconds() - self.began
        for mark, (x, y, state) in self.points.items():
            if state == map_sample.UNDER_WAY:
                self.points[mark] = (x, y, map_sample.WAITING)

    @property
    def is_due(self) -> bool:
        """Whether the run has not ended, and it is time for the next point of its series."""
        return self.goes_on and time.monotonic() - self._recent[-1].at >= SAMPLE_S

    def sample_if_due(self, limits: Limits) -> None:
        """Add a point to the series, if the run goes on and it is time."""
        if self.is_due:
            self.sample(limits)

    def sample(self, limits: Limits) -> None:
        """Add a point to the series."""
        now = self._totals()
        self._recent.append(now)
        while len(self._recent) > 2 and now.at - self._recent[0].at > ETA_S:
            self._recent.popleft()
        self.series.append(self._point(now, limits))

    def status(self, limits: Limits) -> dict[str, Any]:
        """Return the run as ``/eedask/status.json`` has it."""
        sums, began = self._totals(), self.beginning
        rate = self.series[-1].requests_per_s if self.goes_on else 0.0
        return {
            "id": began.run_id,
            "verb": began.verb,
            "out": began.out,
            "total": began.total,
            "done": self.done,
            "failed": self.failed,
            "requests_per_s": round(rate, 3),
            "in_flight": self.in_flight,
            "limit": limits.limit,
            "throttled": sums.throttled,
            "retries": sums.retries,
            "bytes": sums.nbytes,
            "eecu_s": None if self.eecu_s is None else round(self.eecu_s, 3),
            "eta_s": None if self.eta_s is None else round(self.eta_s, 1),
            "failures": dict(+self.failures),
        }

    @property
    def _waits(self) -> bool:
        return self.beginning.is_bag and not self._parts

    def _hear_partition(self, message: Mapping[str, Any]) -> None:
        number, now = message["number"], _PartitionState(message["done"], message["failures"])
        known = self._parts.get(number)
        if known is None:
            # Items that were done before are counted already, by the run's beginning.
            done, failed = message["before"]
            known = _PartitionState(done)
            self.failed -= failed
        self.done += now.done - known.done
        self.failed += sum(now.failures.values()) - sum(known.failures.values())
        self.failures.update(now.failures)
        self.failures.subtract(known.failures)
        self._parts[number] = now
        for kind, (id_, words) in message["examples"].items():
            self.examples.setdefault(kind, (id_, words))
        for mark, state in message["states"]:
            if mark in self.points:
                self.points[mark] = (*self.points[mark][:2], state)

    def _totals(self) -> Totals:
        sums = sum_of(counts for _, counts in self.members.values())
        return Totals(
            time.monotonic(),
            sums.requests,
            sums.throttled,
            sums.retries,
            sums.nbytes,
            self.done,
            tuple(sums.latencies),
        )

    def _point(self, now: Totals, limits: Limits) -> Point:
        then = next(one for one in self._recent if now.at - one.at <= RATE_S or one is now)
        if then is now:
            then = self._recent[-2]
        span = now.at - then.at
        spread = [new - old for new, old in zip(now.latencies, then.latencies, strict=True)]
        return Point(
            1e3 * self._clock.seconds(),
            (now.requests - then.requests) / span,
            (now.throttled - then.throttled) / span,
            (now.retries - then.retries) / span,
            (now.nbytes - then.nbytes) / span,
            self.in_flight,
            limits.limit,
            limits.ceiling,
            latency.quantile(spread, 0.5),
            latency.quantile(spread, 0.95),
            latency.quantile(spread, 0.99),
        )

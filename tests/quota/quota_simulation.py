"""A run against a server with quotas, event by event: the real owner and shares, no real time."""

from __future__ import annotations

import heapq
import itertools
import math
import random
from collections.abc import Callable
from dataclasses import dataclass, field

from eedask.quota.messages import Ceiling
from eedask.quota.owner import Owner
from eedask.quota.share import Share

# Seconds: one way to the server, one way to the scheduler, from an alarm to its message.
HALF_WAY, TO_OWNER, ALARM = 0.005, 0.002, 0.05


@dataclass
class Server:
    """Takes ``quota(now)`` requests at once and ``rate`` a second; refuses some at random."""

    quota: Callable[[float], int]
    latency: Callable[[random.Random], float]
    rate: float | None = None
    faulty: float = 0.0
    retry_after: float | None = None
    in_flight: int = 0
    peak: int = 0
    tokens: float = 0.0
    tokens_at: float = 0.0

    def take(self, now: float, chance: random.Random) -> bool:
        if self.rate is not None:
            earned = (now - self.tokens_at) * self.rate
            self.tokens = min(self.rate, self.tokens + earned)
            self.tokens_at = now
            if self.tokens < 1:
                return False
            self.tokens -= 1
        if self.in_flight >= self.quota(now) or chance.random() < self.faulty:
            return False
        self.in_flight += 1
        self.peak = max(self.peak, self.in_flight)
        return True


@dataclass
class Worker:
    """A process: its share, how many threads are free, and how many of them back off."""

    name: str
    share: Share
    free: int
    alive: bool = True
    backing_off: int = 0
    renewed: float = float("-inf")
    renewal: int = 0
    watch: float = math.inf


@dataclass
class Run:
    """What is simulated.

    Parameters
    ----------
    server : Server
    items : int
    ceiling : Ceiling
    joins : list of float
        Seconds at which each worker comes.
    threads : int
        Of a worker.
    seed : int
    """

    server: Server
    items: int
    ceiling: Ceiling
    joins: list[float]
    threads: int = 48
    seed: int = 0
    now: float = 0.0
    left: int = 0
    done: int = 0
    refused: int = 0
    finished_at: float = 0.0
    held_s: float = 0.0
    workers: list[Worker] = field(default_factory=list)
    # Per second: requests refused, and done.
    refusals: dict[int, int] = field(default_factory=dict)
    answers: dict[int, int] = field(default_factory=dict)
    limits: dict[int, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.chance = random.Random(self.seed)
        self.owner = Owner(self.ceiling, lambda: self.now)
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()
        self.left = self.items
        self.server.tokens = self.server.rate or 0.0
        for number, join in enumerate(self.joins):
            self.at(join, lambda n=number: self._join(f"w{n}"))

    def at(self, time: float, event: Callable[[], None]) -> None:
        heapq.heappush(self._events, (time, next(self._order), event))

    def play(self, until: float = 1e5) -> Run:
        """Go on until all items are done."""
        while self.done < self.items and self._events:
            self.now, _, event = heapq.heappop(self._events)
            assert self.now < until, f"{self.done} of {self.items} done after {until} s"
            event()
        self.finished_at = self.now
        return self

    @property
    def ideal(self) -> float:
        """Seconds with the quota, as it was at the end, full from the first moment to the last."""
        return self.held_s / self.server.quota(self.now)

    @property
    def waste(self) -> float:
        """The share of requests that were refused."""
        return self.refused / (self.refused + self.done)

    def wasted_after(self, second: int) -> float:
        refused = sum(n for s, n in self.refusals.items() if s >= second)
        done = sum(n for s, n in self.answers.items() if s >= second)
        return refused / max(1, refused + done)

    def kill(self, worker: Worker) -> None:
        """End a process; the server goes on with its requests, their items come back."""
        worker.alive = False
        self.left += worker.share.in_flight + worker.backing_off
        self.at(self.now + 0.1, lambda: self.owner.remove(worker.name))

    def _join(self, name: str) -> None:
        worker = Worker(name, Share(self.now), self.threads)
        self.workers.append(worker)
        self._renew(worker)

    def _renew(self, worker: Worker, number: int | None = None) -> None:
        if not worker.alive or (number is not None and number != worker.renewal):
            return
        worker.renewal += 1
        worker.renewed = asked = self.now
        waiting = min(worker.free, self.left)
        usage = worker.share.next_usage(self.now, waiting)

        def arrive() -> None:
            lease = self.owner.renew(worker.name, usage)
            self.limits[int(self.now)] = self.owner.limit
            self.at(self.now + TO_OWNER, lambda: apply(lease))

        def apply(lease) -> None:
            worker.share.apply(lease, self.now, asked)
            mine = worker.renewal
            self.at(asked + lease.renew, lambda: self._renew(worker, mine))
            self._start(worker)

        self.at(self.now + TO_OWNER, arrive)

    def _start(self, worker: Worker) -> None:
        while worker.alive and worker.free and self.left:
            delay = worker.share.delay(self.now)
            if delay is None:
                return
            if delay > 0:
                if self.now + delay < worker.watch or worker.watch <= self.now:
                    worker.watch = self.now + delay
                    self.at(worker.watch, lambda: self._start(worker))
                return
            worker.share.start(self.now)
            worker.free -= 1
            self.left -= 1
            self._send(worker, self.now)

    def _send(self, worker: Worker, started: float) -> None:
        self.at(started + HALF_WAY, lambda: self._meet(worker, started))

    def _meet(self, worker: Worker, started: float) -> None:
        if not self.server.take(self.now, self.chance):
            self.at(self.now + HALF_WAY, lambda: self._refused(worker))
            return
        latency = self.server.latency(self.chance)
        self.held_s += latency + 2 * HALF_WAY

        def leave() -> None:
            self.server.in_flight -= 1
            self.at(self.now + HALF_WAY, lambda: self._answered(worker, started))

        self.at(self.now + latency, leave)

    def _answered(self, worker: Worker, started: float) -> None:
        if not worker.alive:
            return
        worker.share.succeeded(self.now - started)
        worker.free += 1
        self.done += 1
        self.answers[int(self.now)] = self.answers.get(int(self.now), 0) + 1
        self._start(worker)

    def _refused(self, worker: Worker) -> None:
        if not worker.alive:
            return
        worker.share.throttled(self.now, self.server.retry_after)
        self.refused += 1
        self.refusals[int(self.now)] = self.refusals.get(int(self.now), 0) + 1
        worker.backing_off += 1
        back = 1.0 + self.chance.random()
        self.at(self.now + back, lambda: self._back(worker))
        mine = worker.renewal
        soon = max(self.now, worker.renewed) + ALARM
        self.at(soon, lambda: self._renew(worker, mine))
        self._start(worker)

    def _back(self, worker: Worker) -> None:
        if worker.alive:
            worker.backing_off -= 1
            worker.free += 1
            self.left += 1
            self._start(worker)

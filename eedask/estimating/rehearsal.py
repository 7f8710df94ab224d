"""A simulation of a run of batches: how many requests it sends, and how many seconds it takes.

A process that fills a table sends small batches first, and larger ones once those have worked. How
many requests there are, and how many are under way at once, therefore depends on the partitions,
on the quota and on how long a request lasts. The simulation takes a run's jobs through the same
decisions on a clock of its own, and sends nothing.
"""

from __future__ import annotations

import heapq
import itertools
import math
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from eedask.run.task import Job
from eedask.tables.batches import Batch, cut
from eedask.tables.size_search import SizeSearch

# At most about two times so many partitions are simulated. Where a run has more, the rest is taken
# to cost, a partition, what the second half of the simulated ones did.
_HALF = 50

Jobs = Sequence[Job]


@dataclass(frozen=True)
class Share:
    """One process's share of a run: its partitions, and what it may use for them.

    Attributes
    ----------
    partitions : int
        How many partitions it works on, from the first to the last.
    abreast : int
        How many of them it works on at the same time.
    concurrency : int
        Requests under way at once, at most.
    rate : float, optional
        Requests a second, at most; None where there is no such limit.
    threads : int
        Jobs that threads have taken up at once, at most. That includes jobs that wait to learn
        from other jobs' requests which size works.
    """

    partitions: int
    abreast: int
    concurrency: int
    rate: float | None
    threads: int


@dataclass(frozen=True)
class Course:
    """What is expected of a run.

    Attributes
    ----------
    requests : float
        How many it sends.
    seconds : float
        How long it takes.
    at_once : int
        Requests that are under way at the same time, at most.
    """

    requests: float
    seconds: float
    at_once: int


def rehearsed(
    jobs: Sequence[Jobs], share: Share, search: SizeSearch, lasts: Callable[[float], float]
) -> Course:
    """Simulate one process's share of a run, as if no request were too large.

    Parameters
    ----------
    jobs : sequence of sequence of Job
        The jobs of a sample of the partitions, which stand for those of all.
    share : Share
        The process's partitions and limits.
    search : SizeSearch
        What decides, in a run, how large each request may be: an unused one.
    lasts : callable
        Returns the seconds that a request of a given weight lasts.

    Returns
    -------
    Course
        The requests and seconds of this process.
    """
    # A multiple of the partitions that are worked on together: they may all end at the same time.
    half = share.abreast * max(1, _HALF // share.abreast)
    count = min(share.partitions, 2 * half)
    chosen = (jobs[number * len(jobs) // count] for number in range(count))
    stage = _Stage(chosen, share, search, lasts)
    first = stage.play(min(half, count))
    whole = stage.play(count)
    more = (share.partitions - count) / half
    return Course(
        requests=whole.requests + more * (whole.requests - first.requests),
        seconds=whole.seconds + more * (whole.seconds - first.seconds),
        at_once=whole.at_once,
    )


class _Stage:
    """The state of the simulation: a clock, and the jobs that are waiting or under way on it."""

    def __init__(
        self,
        partitions: Iterator[Jobs],
        share: Share,
        search: SizeSearch,
        lasts: Callable[[float], float],
    ) -> None:
        self._partitions, self._share = partitions, share
        self._search, self._lasts = search, lasts
        self._now = self._free_at = 0.0
        # Jobs of the partitions that are worked on, and how many of each have not ended.
        self._queues: dict[int, deque[Job]] = {}
        self._open: dict[int, int] = {}
        self._numbers = itertools.count()
        # Jobs that wait for what becomes of others, those that wait for a slot, and those under
        # way, by their end.
        self._waiting: list[tuple[int, Job]] = []
        self._ready: deque[tuple[int, Job]] = deque()
        self._ending: list[tuple[float, int, int, Job]] = []
        self._sequence = itertools.count()
        self._ended = self._most = self._over = 0

    def play(self, partitions: int) -> Course:
        """Go on until so many partitions have ended; return the requests and seconds so far."""
        while self._over < partitions:
            self._open_partitions()
            while self._starts_one():
                pass
            if self._over < partitions:
                self._pass_time()
        return Course(self._ended, self._now, self._most)

    def _open_partitions(self) -> None:
        while len(self._open) < self._share.abreast:
            jobs = next(self._partitions, None)
            if jobs is None:
                return
            # The same jobs may stand for several partitions; sizes tell jobs apart as objects.
            queue = deque(replace(job) for job in jobs if not isinstance(job.laid_out, Exception))
            number = next(self._numbers)
            self._queues[number], self._open[number] = queue, len(queue)
            self._close_if_done(number)

    def _close_if_done(self, number: int) -> None:
        if not self._open[number]:
            del self._queues[number], self._open[number]
            self._over += 1

    def _starts_one(self) -> bool:
        """Take one job a step on, as a thread does in a run; return whether there was one to take.

        A step lets a job be sent, cuts it into smaller ones, or finds that it has to wait. Jobs
        that waited come first.
        """
        for place, (number, job) in enumerate(self._waiting):
            if self._admits(number, job):
                del self._waiting[place]
                return True
        if len(self._ending) >= self._share.concurrency or self._free_at > self._now:
            return False
        if self._ready:
            self._send(*self._ready.popleft())
            return True
        if len(self._waiting) + len(self._ending) >= self._share.threads:
            return False
        for number, queue in self._queues.items():
            if queue:
                job = queue.popleft()
                if not self._admits(number, job):
                    self._waiting.append((number, job))
                return True
        return False

    def _admits(self, number: int, job: Job) -> bool:
        """Make a job ready to be sent, or cut it into smaller ones; return False if it must wait.

        A job waits while requests under way have yet to show whether its size works.
        """
        allowed: float | None = (weight := job.laid_out.weight)
        if len(job.items) > 1 and isinstance(job.laid_out, Batch):
            allowed = self._search.admit(job, weight, self._now)
        if allowed is None:
            return False
        if allowed < weight:
            parts = cut(job, allowed)
            self._queues[number].extendleft(reversed(parts))
            self._open[number] += len(parts) - 1
        else:
            self._ready.append((number, job))
        return True

    def _send(self, number: int, job: Job) -> None:
        end = self._now + self._lasts(job.laid_out.weight)
        heapq.heappush(self._ending, (end, next(self._sequence), number, job))
        self._most = max(self._most, len(self._ending))
        if self._share.rate is not None:
            self._free_at = self._now + 1 / self._share.rate

    def _pass_time(self) -> None:
        """Move the clock on to when a request ends, the rate allows one, or a wait is over."""
        ends = self._ending[0][0] if self._ending else math.inf
        freed = self._free_at if self._free_at > self._now else math.inf
        delay = self._search.delay(self._now) if self._waiting else 0.0
        self._now = min(ends, freed, self._now + delay if delay else math.inf)
        if ends == self._now:
            _, _, number, job = heapq.heappop(self._ending)
            if isinstance(job.laid_out, Batch):
                self._search.worked(job, job.laid_out.weight)
            self._ended += 1
            self._open[number] -= 1
            self._close_if_done(number)

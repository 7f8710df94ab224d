"""Chooses the requests of a process whose costs are asked for, and adds up these costs."""

from __future__ import annotations

import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from eedask.earthengine.endpoint import Request
from eedask.errors import PermanentError, TooLargeError
from eedask.watching.compute import Compute

# The sample holds so many of the first requests, and then one of every so many.
_FIRST, _ONE_OF = 16, 10
# How many of the first requests it holds if the run has a limit on its cost.
_FIRST_EARLY = 64
# Costs are asked for the first time after so many requests; or after so many seconds, once at least
# _LEAST requests are answered. In shorter runs a request for costs is not worth it. The second
# values hold if the cost matters to the run: it has a limit on its cost, or is a pilot.
_WORTH, _WORTH_S = 64, 10.0
_WORTH_EARLY, _WORTH_EARLY_S = 8, 2.0
_LEAST = 10
# Costs are asked for again when this part of all requests came after the last time, or when the
# costs of so many requests are still unknown.
_NEW, _MOST = 1 / 2, 100
# At the end of a run, costs are not asked for if known ones stand for this part of all requests.
_ENOUGH = 0.9
# After so many failed requests for costs in a row, or so many answers without the id of a profile,
# the service is taken not to tell costs, and is asked no more.
_REFUSALS, _NO_PROFILES = 3, 16


def is_worth_asking(requests: float, seconds: float, *, early: bool = False) -> bool:
    """Whether costs are asked for after so many requests, or seconds, of a run."""
    if early:
        return requests >= _WORTH_EARLY or (requests >= 1 and seconds >= _WORTH_EARLY_S)
    return requests >= _WORTH or (requests >= _LEAST and seconds >= _WORTH_S)


@dataclass(frozen=True)
class Group:
    """Requests of the sample that belong to one partition and stand for equally many requests.

    Attributes
    ----------
    partition : int
    weight : int
        How many requests each one stands for, itself included.
    """

    partition: int
    weight: int


Groups = Mapping[Group, Sequence[str]]


class ComputeSample:
    """A sample of the requests that a process sends for a run; safe for threads.

    Parameters
    ----------
    early : bool
        Whether the run has a limit on its cost (``max_eecu_hours``), or is a pilot: more of the
        first requests are in the sample then, and their costs are asked for sooner.
    """

    def __init__(self, *, early: bool = False) -> None:
        self._early = early
        self._first = _FIRST_EARLY if early else _FIRST
        self._sent = 0
        # Requests that were answered, by partition, and those of the sample among them.
        self._answered: Counter[int] = Counter()
        self._chosen = self._profiles = self._refusals = 0
        self._pending: defaultdict[Group, list[str]] = defaultdict(list)
        self._told: defaultdict[int, Compute] = defaultdict(Compute)
        self._asked: int | None = None
        self._is_asking = False
        self._began = time.monotonic()
        self._lock = threading.Lock()

    def send(self, request: Request, partition: int, send: Callable[[Request], bytes]) -> bytes:
        """Return what ``send`` returns for a request, whose cost may be asked for later."""
        if weight := self._next():
            request = replace(request, profile=partial(self._note, Group(partition, weight)))
        try:
            body = send(request)
        except (PermanentError, TooLargeError):
            # Earth Engine worked on it, so it counts among the requests that cost something.
            self._count(partition, weight)
            raise
        self._count(partition, weight)
        return body

    def due(self, *, last: bool = False) -> Groups | None:
        """Return the ids of the profiles whose costs are to be asked for now; None if none are.

        After the request for them, call :meth:`told` with the costs, or :meth:`refused`.

        Parameters
        ----------
        last : bool
            Whether this is the end of the run: then the remaining costs are asked for, if enough
            are unknown.
        """
        with self._lock:
            if self._is_asking or self._is_silent or not self._pending or not self._is_due(last):
                return None
            self._is_asking, self._asked = True, self._answered.total()
            groups, self._pending = dict(self._pending), defaultdict(list)
            return groups

    def told(self, groups: Groups, costs: Sequence[float]) -> None:
        """Take note of the EECU-seconds of groups of requests, one number for each group."""
        with self._lock:
            self._is_asking, self._refusals = False, 0
            for (group, ids), cost in zip(groups.items(), costs, strict=True):
                more = Compute(group.weight * cost, group.weight * len(ids))
                self._told[group.partition] += more

    def refused(self) -> None:
        """Take note that a request for costs failed. These costs are not asked for again."""
        with self._lock:
            self._is_asking = False
            self._refusals += 1

    @property
    def is_told(self) -> bool:
        """Whether the cost of any request is known."""
        return bool(self._told)

    @property
    def sum(self) -> Compute:
        """The cost of all requests of the process."""
        with self._lock:
            return replace(Compute.sum(self._told.values()), requests=self._answered.total())

    @property
    def partitions(self) -> dict[int, Compute]:
        """The cost of the requests of each partition, as far as Earth Engine told it."""
        with self._lock:
            return {
                number: replace(self._told.get(number, Compute()), requests=count)
                for number, count in self._answered.items()
            }

    def of_partition(self, number: int) -> Compute:
        """Return the cost of a partition's requests, estimated from other partitions if unknown."""
        with self._lock:
            known = self._told.get(number) or Compute.sum(self._told.values())
            return replace(known, requests=self._answered[number])

    @property
    def _is_silent(self) -> bool:
        """Whether the service is taken not to tell costs."""
        no_profiles = self._chosen >= _NO_PROFILES and not self._profiles
        return no_profiles or self._refusals >= _REFUSALS

    def _is_due(self, last: bool) -> bool:
        answered = self._answered.total()
        if last:
            known = sum(one.told for one in self._told.values())
            return (self._early or self._asked is not None) and known < _ENOUGH * answered
        if self._asked is None:
            return is_worth_asking(answered, time.monotonic() - self._began, early=self._early)
        waiting = sum(map(len, self._pending.values()))
        fresh = max(_WORTH_EARLY if self._early else _WORTH, _NEW * answered)
        return answered - self._asked >= fresh or waiting >= _MOST

    def _next(self) -> int:
        """Return how many requests the next one stands for; 0 if it is not in the sample."""
        with self._lock:
            if self._is_silent:
                return 0
            number, self._sent = self._sent, self._sent + 1
            return 1 if number < self._first else _ONE_OF * (number % _ONE_OF == 0)

    def _note(self, group: Group, profile: str) -> None:
        with self._lock:
            self._pending[group].append(profile)
            self._profiles += 1

    def _count(self, partition: int, weight: int) -> None:
        with self._lock:
            self._answered[partition] += 1
            self._chosen += weight > 0

"""The same few items asked for in several ways, to find out which is cheaper."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from eedask.earthengine.endpoint import Request
from eedask.earthengine.profiles import cost_request, costs_of
from eedask.earthengine.retry import RetryPolicy
from eedask.errors import EedaskError
from eedask.items.item import WorkItem
from eedask.quota.asking import Asking
from eedask.quota.messages import Ceiling
from eedask.run.request_pool import Split
from eedask.run.task import Check, Job, Task

# Costs that differ by less are taken for equal: a few items tell no more.
_ALIKE = 1.15


@dataclass(frozen=True)
class Way:
    """What a few items took when they were asked for in one way.

    Attributes
    ----------
    name : str
        The argument of the verb by which it is chosen.
    items, requests : int
    seconds : float
        That the requests lasted, added up.
    eecu_seconds : float, optional
        None if Earth Engine did not tell.
    error : str
        Why it cannot be done in this way; empty if it can.
    """

    name: str
    items: int
    requests: int
    seconds: float
    eecu_seconds: float | None
    error: str = ""


class _Sender:
    """Sends the requests of jobs one after the other, and keeps what they took."""

    def __init__(self, task: Task, asking: Asking) -> None:
        self._asking = asking
        self.sizes: Any = task.sizes()
        self.profiles: list[str] = []
        self.requests, self.seconds = 0, 0.0

    def send(self, request: Request, check: Check | None = None) -> bytes:
        """Return the body of the answer."""
        began = time.monotonic()
        body = self._asking.send(replace(request, profile=self.profiles.append), check)
        self.seconds += time.monotonic() - began
        self.requests += 1
        return body

    ask = send

    def rest(self) -> None:
        """Give nothing back: there is no slot between two requests."""

    def recruit(self, work: Callable[[], None], hands: int) -> None:
        """Let nobody help: requests are to be timed one by one."""


def measured(
    name: str, task: Task, items: Sequence[WorkItem], policy: RetryPolicy, ceiling: Ceiling
) -> Way:
    """Return what some items take by a task; what is found is not kept.

    Parameters
    ----------
    name : str
        Of the way.
    task : Task
        Prepared.
    items : sequence of WorkItem
    policy : RetryPolicy
    ceiling : Ceiling
    """
    error, cost = "", None
    with Asking(task.endpoint, f"estimate, {name}", policy, ceiling) as asking:
        sender = _Sender(task, asking)
        try:
            for job in task.jobs(items):
                _do(task, job, sender)
        except EedaskError as refusal:
            error = str(refusal)
        if sender.profiles:
            cost = _cost(task, asking, sender.profiles)
    return Way(name, len(items), sender.requests, sender.seconds, cost, error)


def compared(
    ways: Mapping[str, Task], items: Sequence[WorkItem], policy: RetryPolicy, ceiling: Ceiling
) -> tuple[Way, ...]:
    """Return what the same items take in each of several ways; nothing if there is one only."""
    if len(ways) < 2 or not items:
        return ()
    return tuple(measured(name, task, items, policy, ceiling) for name, task in ways.items())


def verdict(ways: Sequence[Way]) -> str:
    """Return in words which way is cheaper."""
    able = [way for way in ways if not way.error]
    if len(able) < 2:
        return ""
    what = f"for the same {able[0].items} items, asked for once in each way"
    if any(way.eecu_seconds is None for way in able):
        took = ", ".join(f"{way.name} {way.seconds:.3g} s" for way in able)
        return f"which way is cheaper is not known; requests lasted {took}, {what}"
    first, *others = sorted(able, key=lambda way: way.eecu_seconds or 0.0)
    costs = ", ".join(f"{way.name} {way.eecu_seconds:.3g}" for way in others)
    costs = f"{first.eecu_seconds:.3g} EECU-seconds ({costs}), {what}"
    if (first.eecu_seconds or 0.0) * _ALIKE > min(way.eecu_seconds or 0.0 for way in others):
        return f"no way is much cheaper: {first.name} {costs}"
    return f"{first.name}: {costs}"


def _do(task: Task, job: Job, sender: _Sender) -> None:
    if isinstance(job.laid_out, Exception):
        return
    try:
        outcome = task.do(job, sender)
    except EedaskError as error:
        smaller = task.split(job, error)
        if not smaller:
            raise
        outcome = Split(smaller)
    if isinstance(outcome, Split):
        for one in outcome.jobs:
            _do(task, one, sender)


def _cost(task: Task, asking: Asking, profiles: Sequence[str]) -> float | None:
    try:
        return costs_of(asking.send(cost_request(task.endpoint, [profiles])), 1)[0]
    except EedaskError:
        return None

"""Fetches the same few items in several ways, to find out which way is cheaper.

A way is a choice that a plan leaves open: the endpoint, or the ``tile_scale``.
"""

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

# Costs that differ by a smaller factor count as equal, as a few items do not show more.
_ALIKE = 1.15


@dataclass(frozen=True)
class Way:
    """What a few items took when they were fetched in one way.

    Attributes
    ----------
    name : str
        The argument of the verb that chooses it, such as ``endpoint='standard'``, or "as planned".
    items, requests : int
        Number of items, and of requests.
    seconds : float
        Seconds of all requests, added up.
    eecu_seconds : float, optional
        Cost of all requests; None if Earth Engine did not tell it.
    error : str
        Why the items cannot be fetched in this way; empty if they can.
    """

    name: str
    items: int
    requests: int
    seconds: float
    eecu_seconds: float | None
    error: str = ""


class _Sender:
    """Sends the requests of jobs one after the other, and records how long they take."""

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
        """Do nothing: between two requests this sender holds no slot that it could give back."""

    def recruit(self, work: Callable[[], None], hands: int) -> None:
        """Do nothing, so that no other thread helps: requests are timed one by one."""


def measured(
    name: str, task: Task, items: Sequence[WorkItem], policy: RetryPolicy, ceiling: Ceiling
) -> Way:
    """Fetch some items by a task and return what that took; the results are not kept.

    Parameters
    ----------
    name : str
        Name of the way.
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
    """Return what the same items take in each way; empty if there are not two ways to compare."""
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

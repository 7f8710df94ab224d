"""Runs a pilot for an estimate, and compares the choices that the plan leaves open."""

from __future__ import annotations

import math
import time
import uuid
from collections.abc import Callable, Collection
from dataclasses import replace

import pandas as pd

from eedask.earthengine.endpoint import URLS
from eedask.errors import InputError
from eedask.estimating.course import Place
from eedask.estimating.estimate import Estimate, Pilot, estimated
from eedask.estimating.pilot import (
    few_undone,
    measured,
    passes_of,
    seconds_of_work,
    weights_of_all,
)
from eedask.estimating.ways import Way, compared
from eedask.quota import leases
from eedask.quota.messages import Ceiling
from eedask.run.execute import PARTITIONS_IN_FLIGHT
from eedask.run.options import RunOptions
from eedask.run.spec import RunSpec
from eedask.run.task import Task
from eedask.tables.batch_sizes import BatchSizes
from eedask.watching.compute import Spent
from eedask.watching.meter import RequestCounts, sum_of

# Number of items that are fetched with each choice.
_FEW = 5
# Seconds of processor time that an item of a table takes: it is put into a request, its values are
# read and checked, and its rows written. A pilot's requests hold too few items to tell, and take a
# few milliseconds each.
_ITEM_S = 4e-4
_AS_PLANNED = "as planned"

Do = Callable[[RunSpec], Collection[Spent]]


def estimate(spec: RunSpec, options: RunOptions, before: float, count: int, do: Do) -> Estimate:
    """Return an estimate for all items of a dataset, by a pilot of some that are not done yet.

    Parameters
    ----------
    spec : RunSpec
        What a run of all items would be; its task is prepared.
    options : RunOptions
    before : float
        Number of requests that come before the first item.
    count : int
        Number of items of the pilot.
    do : callable
        Runs the items that a spec's ``only`` names; returns what each process spent.

    Raises
    ------
    InputError
        If all items are done, or none of the pilot's can be asked for.
    """
    task, dataset = spec.task, spec.dataset
    parts, counts, idle = [], RequestCounts(), math.inf
    for only in passes_of(task, dataset, count):
        part = replace(spec, run_id=uuid.uuid4().hex[:12], only=only, costs_early=True)
        began = time.monotonic()
        spent = do(part)
        took = time.monotonic() - began
        parts.append(measured(dataset, task, part.run_id, only, spent))
        idle = min(idle, max(0.0, took - seconds_of_work(dataset, part.run_id, only)))
        counts.add(sum_of(one.requests for one in spent))
    if not any(map(len, parts)):
        raise InputError(
            "there is nothing to estimate: all items are done, or no request can be made for those"
            " that are left; see the manifest"
        )
    weights, items = weights_of_all(task, dataset), dataset.plan()["count"]
    of_item = _ITEM_S if isinstance(weights.sizes(), BatchSizes) else 0.0
    pilot = Pilot(pd.concat(parts), _work_of_one(counts), of_item, idle)
    ways = _compared(spec, options)
    if told := sum(way.eecu_seconds or 0.0 for way in ways):
        dataset.note_cost((dataset.plan().get("eecu_s") or 0.0) + told)
    return estimated(spec.verb, items, before, weights, _place(options.ceiling), pilot, ways)


def _compared(spec: RunSpec, options: RunOptions) -> tuple[Way, ...]:
    """Return what a few items take as planned, and with each other choice that is open."""
    task, endpoint = spec.task, spec.task.endpoint
    ways: dict[str, Task] = {_AS_PLANNED: task, **task.ways()}
    if options.endpoint_is_open and endpoint.url in URLS.values():
        for name, url in URLS.items():
            if url != endpoint.url:
                ways[f"endpoint={name!r}"] = task.sent_to(replace(endpoint, url=url))
    return compared(ways, few_undone(spec.dataset, _FEW), options.retry, options.ceiling)


def _work_of_one(counts: RequestCounts) -> float:
    """Return the mean processor time of a request in seconds, without the slowest one.

    The slowest one imported modules, which a run does once.
    """
    others = counts.requests - 1
    return (counts.cpu_s - counts.most_cpu_s) / others if others else counts.cpu_s


def _place(ceiling: Ceiling) -> Place:
    """Return where a run is done: on the current client's cluster, or in this process."""
    client = leases.current_client()
    threads = () if client is None else client.nthreads().values()
    if not threads:
        return Place(ceiling, 1, PARTITIONS_IN_FLIGHT)
    return Place(ceiling, len(threads), max(1, sum(threads) // len(threads)))

"""Chooses the items of a pilot so that they represent all: spread out, and batched as in a run."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from eedask.dataset.dataset import Dataset
from eedask.items.item import WorkItem
from eedask.run.task import Job, Task
from eedask.run.undone import undone
from eedask.watching.compute import Compute, Spent

# Number of requests of a pilot whose items share requests. Each holds twice as many items as the
# one before: only from requests of several sizes can the cost of a request be told from that of an
# item.
_REQUESTS = 4
# Number of partitions that are read to find out the weight of all items.
_LOOKED_INTO = 20

Pass = Mapping[int, frozenset[Any]]


@dataclass(frozen=True)
class Weights:
    """How much some items ask of Earth Engine.

    Attributes
    ----------
    requests : (float, float)
        Number of requests, at least and at most.
    weight : float
        Size of all items together, in the unit in which the task limits the size of a request:
        items, or expected pixels.
    partitions : int
    jobs : tuple of tuple of Job
        Of some of the partitions, which stand for all.
    sizes : callable
        As of :class:`~eedask.run.task.Task`.
    """

    requests: tuple[float, float]
    weight: float
    partitions: int = 1
    jobs: tuple[tuple[Job, ...], ...] = ()
    sizes: Callable[[], Any] = object


def weight_of(jobs: Sequence[Job]) -> float:
    """Return the weight of the items of some jobs; see :class:`Weights`."""
    return float(sum(getattr(job.laid_out, "weight", len(job.items)) for job in jobs))


def weights_of_all(task: Task, dataset: Dataset) -> Weights:
    """Return the requests and weight of all items of a dataset, from a sample of its partitions."""
    plan = dataset.plan()
    partitions = plan["partitions"]
    chosen = np.unique(np.linspace(0, partitions - 1, min(partitions, _LOOKED_INTO)).astype(int))
    items = least = most = 0.0
    jobs: list[tuple[Job, ...]] = []
    for number in chosen.tolist():
        there = dataset.partition(number)
        requests = task.forecast(there, len(there) or 1).requests
        items, least = items + len(there), least + requests.least
        most += requests.least if requests.most is None else requests.most
        jobs.append(tuple(task.jobs(there)))
    times = plan["count"] / max(1.0, items)
    weight = sum(map(weight_of, jobs))
    return Weights(
        requests=(times * least, times * most),
        weight=times * weight,
        partitions=partitions,
        jobs=tuple(jobs),
        sizes=task.sizes,
    )


def passes_of(task: Task, dataset: Dataset, count: int) -> list[Pass]:
    """Return which items a pilot does: for each of its passes, the ids by partition.

    If every item has a request of its own, the pilot's items are spread evenly over all. If items
    share requests, the pilot makes a few requests of different sizes, each of neighbouring items.
    Two requests from one partition are put into different passes, because within one pass their
    items would be joined in one request.

    Parameters
    ----------
    task : Task
        Prepared.
    dataset : Dataset
        Its items that are done are not chosen.
    count : int
        The most items of the pilot.
    """
    plan = dataset.plan()
    partitions = plan["partitions"]
    found = _Undone(dataset)
    shares = any(len(job.items) > 1 for job in task.jobs(dataset.partition(0)[:2]))
    sizes = _sizes(count) if shares else [1] * min(count, plan["count"])
    passes: list[defaultdict[int, list[Any]]] = [defaultdict(list)]
    taken: defaultdict[int, int] = defaultdict(int)
    for place, size in zip(np.linspace(0, 1, len(sizes), endpoint=False), sizes, strict=True):
        number = int(place * partitions)
        items = found(number)
        inside = int((place * partitions - number) * len(items))
        chosen = _next(items, inside, size, {id_ for p in passes for id_ in p[number]})
        if not chosen:
            continue
        turn = taken[number] if shares else 0
        taken[number] += 1
        if turn == len(passes):
            passes.append(defaultdict(list))
        passes[turn][number] += chosen
    return [{k: frozenset(ids) for k, ids in one.items() if ids} for one in passes if one]


def few_undone(dataset: Dataset, count: int) -> list[WorkItem]:
    """Return so many items, at most, that lie next to each other and are not done."""
    return _undone(dataset, dataset.plan()["partitions"] // 2)[:count]


def _sizes(count: int) -> list[int]:
    """Return how many items each request has, in the proportions 1 : 2 : 4 : 8."""
    parts = 2 ** np.arange(min(_REQUESTS, count))
    ends = np.round(np.cumsum(parts) / parts.sum() * count).astype(int)
    return [size for size in np.diff(ends, prepend=0).tolist() if size]


def _next(items: Sequence[WorkItem], start: int, size: int, taken: set[Any]) -> list[Any]:
    """Return the ids of ``size`` items from ``start`` on, continuing at the front after the end."""
    order = [*items[start:], *items[:start]]
    return [item.id for item in order if item.id not in taken][:size]


def _undone(dataset: Dataset, number: int) -> list[WorkItem]:
    return undone(dataset.partition(number), dataset.rows(number))


class _Undone:
    """Returns the items of a partition that are not done yet, and reads each partition once."""

    def __init__(self, dataset: Dataset) -> None:
        self._dataset = dataset
        self._known: dict[int, list[WorkItem]] = {}

    def __call__(self, number: int) -> list[WorkItem]:
        """Return the items of one partition that are not done yet."""
        if number not in self._known:
            self._known[number] = _undone(self._dataset, number)
        return self._known[number]


def measured(
    dataset: Dataset, task: Task, run_id: str, only: Pass, spent: Iterable[Spent]
) -> pd.DataFrame:
    """Return what the requests of a pass took: one row for each partition that sent any.

    Parameters
    ----------
    dataset : Dataset
    task : Task
        Prepared.
    run_id : str
        The run that did the pass.
    only : mapping of int to frozenset
        The ids that it did, by partition.
    spent : iterable of Spent
        What each process spent.

    Returns
    -------
    DataFrame
        With the columns of :attr:`eedask.estimating.estimate.Pilot.measured`.
    """
    stats = dataset.stats.frame_of(sorted(only))
    rows = stats[(stats["run"] == run_id) & (stats["requests"] > 0)].set_index("partition")
    costs: defaultdict[int, Compute] = defaultdict(Compute)
    for one in spent:
        for number, cost in one.partitions.items():
            costs[number] += cost
    chosen = {number: _only(dataset, number, only[number]) for number in rows.index}
    return pd.DataFrame(
        {
            "items": rows["items"],
            "failed": rows["failures"].map(lambda kinds: sum(kinds.values())),
            "requests": rows["requests"],
            "weight": [weight_of([*task.jobs(chosen[number])]) for number in rows.index],
            "seconds": rows["mean_s"] * rows["requests"],
            "nbytes": rows["nbytes"],
            "eecu_s": [costs[number].total for number in rows.index],
        },
        rows.index,
    )


def seconds_of_work(dataset: Dataset, run_id: str, only: Pass) -> float:
    """Return how long a pass took from its first partition's beginning to its last one's end.

    The parameters are those of :func:`measured`.
    """
    stats = dataset.stats.frame_of(sorted(only))
    rows = stats[stats["run"] == run_id]
    return (
        float((rows["ended"].max() - rows["started"].min()).total_seconds()) if len(rows) else 0.0
    )


def _only(dataset: Dataset, number: int, ids: frozenset[Any]) -> list[WorkItem]:
    return [item for item in dataset.partition(number) if item.id in ids]

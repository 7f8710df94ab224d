"""Which items a pilot does, so that they stand for all: spread out, and batched as in the run."""

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

# Requests of a pilot whose items share requests. Each holds twice as many items as the one before:
# the cost of a request is told from that of an item where requests have several sizes.
_REQUESTS = 4
# Partitions that are looked into to find what all items weigh.
_LOOKED_INTO = 20

Pass = Mapping[int, frozenset[Any]]


@dataclass(frozen=True)
class Weights:
    """What is asked for some items: requests, and the weight by which these share the items.

    Attributes
    ----------
    requests : (float, float)
        At least and at most.
    weight : float
        In the unit in which the task counts the size of requests: items, or expected pixels.
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
    """Return the weight of all items of some jobs."""
    return float(sum(getattr(job.laid_out, "weight", len(job.items)) for job in jobs))


def weights_of_all(task: Task, dataset: Dataset) -> Weights:
    """Return what is asked for all items of a dataset, by a look into some of its partitions."""
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
    """Return which items of each partition are done in each pass of a pilot.

    Where every item has a request of its own, they are spread out evenly. Where items share
    requests, those next to each other make a few requests of several sizes; two of one partition
    are made in different passes, as they would be one.

    Parameters
    ----------
    task : Task
        Prepared.
    dataset : Dataset
        Items that are done are passed over.
    count : int
        Items, at most.
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
    """Return the items of each request: about 1, 2, 4, 8 parts of all of them."""
    parts = 2 ** np.arange(min(_REQUESTS, count))
    ends = np.round(np.cumsum(parts) / parts.sum() * count).astype(int)
    return [size for size in np.diff(ends, prepend=0).tolist() if size]


def _next(items: Sequence[WorkItem], start: int, size: int, taken: set[Any]) -> list[Any]:
    """Return the ids of so many items from a place on, going round at the end."""
    order = [*items[start:], *items[:start]]
    return [item.id for item in order if item.id not in taken][:size]


def _undone(dataset: Dataset, number: int) -> list[WorkItem]:
    return undone(dataset.partition(number), dataset.rows(number))


class _Undone:
    """The items of partitions that are not done yet, each partition read once."""

    def __init__(self, dataset: Dataset) -> None:
        self._dataset = dataset
        self._known: dict[int, list[WorkItem]] = {}

    def __call__(self, number: int) -> list[WorkItem]:
        """Return those of one partition."""
        if number not in self._known:
            self._known[number] = _undone(self._dataset, number)
        return self._known[number]


def measured(
    dataset: Dataset, task: Task, run_id: str, only: Pass, spent: Iterable[Spent]
) -> pd.DataFrame:
    """Return what the requests of a pass took, a row for each partition that had any.

    Parameters
    ----------
    dataset : Dataset
    task : Task
        Prepared.
    run_id : str
        Of the pass.
    only : mapping of int to frozenset
        The ids of each partition.
    spent : iterable of Spent
        Of each process.

    Returns
    -------
    DataFrame
        Columns as of :class:`eedask.estimating.estimate.Pilot`, and ``failed``.
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


def _only(dataset: Dataset, number: int, ids: frozenset[Any]) -> list[WorkItem]:
    return [item for item in dataset.partition(number) if item.id in ids]

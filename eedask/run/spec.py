"""The description of a run that is sent to workers."""

from __future__ import annotations

import contextlib
import os
import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import distributed

from eedask.dataset.dataset import Dataset
from eedask.earthengine.retry import RetryPolicy
from eedask.errors import InputError
from eedask.quota.leases import key_of
from eedask.quota.messages import Ceiling
from eedask.run.task import Task

# Characters of a folder's name that are not part of a name on the dashboard, and how many are.
_ODD, _LONGEST = re.compile(r"[^\w.]+"), 40
# Dask's pages group tasks by the words at the beginning of their keys, up to the first that is not
# of letters alone.
_WORDS = re.compile(r"[^\W\d_]+|\d+")
_IMPORTED = uuid.uuid4().hex


def _this_process() -> str:
    # The number alone may be that of a process on another host.
    return f"{_IMPORTED}-{os.getpid()}"


@dataclass(frozen=True)
class RunSpec:
    """The description of a run that is sent to workers; picklable and free of secrets.

    Attributes
    ----------
    run_id : str
        Tells runs in one process apart.
    dataset : Dataset
        The folder that the run fills.
    task : Task
        The work of the run's verb.
    policy : RetryPolicy
        How often a request is tried, and the waits in between.
    ceiling : Ceiling
        Requests at once and a second, over all processes.
    verb : str
        Of the plan.
    map_fraction : float
        The part of the items that the dashboard's map shows, from 0 to 1.
    flush_s : float
        Seconds after which new rows are written.
    retry_failed : bool
        Whether items that failed in an earlier run are tried again.
    resumes : bool
        Whether items of the dataset are done already, by an earlier run.
    costs_early : bool
        Whether what requests cost matters to the run, which then asks for it from the first on.
    only : mapping of int to frozenset, optional
        The ids that are done of each partition, and none of the others; None: all are.
    idle_s : float, optional
        Seconds without a partition after which a process ends its part in the run; it begins anew
        with the next partition. None: the part ends with :func:`eedask.run.lifetime.release`.
    home : str
        Names the process that made the spec.
    """

    run_id: str
    dataset: Dataset
    task: Task
    policy: RetryPolicy
    ceiling: Ceiling
    verb: str = "run"
    map_fraction: float = 1.0
    flush_s: float = 5.0
    retry_failed: bool = False
    resumes: bool = False
    costs_early: bool = False
    only: Mapping[int, frozenset[Any]] | None = None
    idle_s: float | None = None
    home: str = field(default_factory=_this_process)

    @property
    def quota(self) -> str:
        """The key of the quota that the run's requests count against."""
        return key_of(self.task.endpoint)

    @property
    def name(self) -> str:
        """What Dask's dashboard calls the run: its verb, and the folder that it fills."""
        folder = self.dataset.folder.url.rstrip("/").rpartition("/")[2]
        return f"{self.verb}-{_ODD.sub('_', folder)[:_LONGEST]}"

    @property
    def key(self) -> str:
        """The beginning of the keys of the run's tasks: its name, in words that Dask keeps."""
        return "-".join([*_WORDS.findall(self.name), self.run_id])

    def __dask_tokenize__(self) -> str:
        # Not from the fields: Dask cannot reliably hash users' functions. No two runs share an id.
        return self.run_id


def check_place(spec: RunSpec) -> None:
    """Raise InputError unless this process is a Dask worker, or the one that made the spec.

    Any other process would not share the quota with the rest.
    """
    if spec.home == _this_process():
        return
    with contextlib.suppress(ValueError):  # there is none
        distributed.get_worker()
        return
    raise InputError(
        "each process of this scheduler would send as many requests as the whole quota allows:"
        " use compute(scheduler='threads'), or a distributed.Client, whose processes share it"
    )

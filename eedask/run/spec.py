"""What a worker has to know of a run."""

from __future__ import annotations

import contextlib
import os
import uuid
from dataclasses import dataclass, field

import distributed

from eedask.dataset.dataset import Dataset
from eedask.earthengine.retry import RetryPolicy
from eedask.errors import InputError
from eedask.quota.leases import key_of
from eedask.quota.messages import Ceiling
from eedask.run.task import Task

_IMPORTED = uuid.uuid4().hex


def _this_process() -> str:
    # The number alone may be that of a process on another host.
    return f"{_IMPORTED}-{os.getpid()}"


@dataclass(frozen=True)
class RunSpec:
    """What a worker has to know of a run; picklable and free of secrets.

    Attributes
    ----------
    run_id : str
        Tells runs in one process apart.
    dataset : Dataset
    task : Task
    policy : RetryPolicy
    ceiling : Ceiling
        Requests at once and a second, over all processes.
    flush_s : float
        Seconds between writing what is done.
    retry_failed : bool
        Whether items that failed in an earlier run are tried again.
    resumes : bool
        Whether items of the dataset are done already, by an earlier run.
    idle_s : float, optional
        Seconds without a partition after which a process gives up what it has of the run, until
        the next; None where somebody says when the run ends, by :func:`release`.
    home : str
        The process that made this.
    """

    run_id: str
    dataset: Dataset
    task: Task
    policy: RetryPolicy
    ceiling: Ceiling
    flush_s: float = 5.0
    retry_failed: bool = False
    resumes: bool = False
    idle_s: float | None = None
    home: str = field(default_factory=_this_process)

    @property
    def quota(self) -> str:
        """The key of the quota that the run's requests count against."""
        return key_of(self.task.endpoint)

    def __dask_tokenize__(self) -> str:
        # Tasks hold functions of users, which Dask cannot name reliably; and no run is another.
        return self.run_id


def check_place(spec: RunSpec) -> None:
    """Raise InputError in a process that would not share the quota: no Dask worker, nor home."""
    if spec.home == _this_process():
        return
    with contextlib.suppress(ValueError):  # there is none
        distributed.get_worker()
        return
    raise InputError(
        "each process of this scheduler would send as many requests as the whole quota allows:"
        " use compute(scheduler='threads'), or a distributed.Client, whose processes share it"
    )

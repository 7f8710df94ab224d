"""What this machine works for the items of a request, found by building one that is not sent."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, NoReturn

from eedask.errors import EedaskError
from eedask.estimating.pilot import Weights, weight_of
from eedask.run.task import Job, Task

# How many times as long as building a request all work for it takes, by benchmarks: its answer is
# read, checked and written too.
_ALL_WORK = 2
# The first one built also imports modules.
_TIMES = 2


class _NotSentError(Exception):
    """Ends the work on a job where its request would be sent."""


class _Builder:
    """What a task sends requests with, except that it sends none."""

    def __init__(self, sizes: Any) -> None:
        self.sizes = sizes

    def send(self, *_: object) -> NoReturn:
        """Raise _NotSentError."""
        raise _NotSentError

    ask = send

    def rest(self) -> None:
        """Do nothing: there is no slot to give back."""

    def recruit(self, work: Callable[[], None], hands: int) -> None:
        """Do nothing: no other thread helps."""


def work_of_weight(task: Task, all_: Weights) -> float:
    """Return the seconds of processor time that a unit of weight takes; 0 if it cannot be built.

    A pilot's requests hold few items, and take a few milliseconds each; those of a run may hold a
    hundred times as many. So one of a run's first requests is built here.

    Parameters
    ----------
    task : Task
        Prepared; its items share requests.
    all_ : Weights
    """
    jobs = [
        job for of_one in all_.jobs for job in of_one if not isinstance(job.laid_out, Exception)
    ]
    if not jobs:
        return 0.0
    job = max(jobs, key=lambda one: weight_of([one]))
    return _ALL_WORK * min(_built(task, job) for _ in range(_TIMES))


def _built(task: Task, job: Job) -> float:
    """Return the seconds that a request of the job, or of a piece that is sent, takes by weight."""
    began = time.thread_time()
    try:
        task.do(job, _Builder(task.sizes()))
    except _NotSentError:
        return (time.thread_time() - began) / weight_of([job])
    except EedaskError as error:
        if smaller := task.split(job, error):
            return _built(task, smaller[0])
    return 0.0

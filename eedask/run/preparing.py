"""Sends what has to be known before the first item of a run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from eedask.earthengine.retry import RetryPolicy
from eedask.errors import RequestError, RunStopped
from eedask.items.item import WorkItem
from eedask.quota.asking import Asking
from eedask.run.options import RunOptions
from eedask.run.stopping import STOPPING, reason_to_stop
from eedask.run.task import Task


def prepared(task: Task, items: Sequence[WorkItem], options: RunOptions, verb: str) -> Task:
    """Return a task with the answers that it needs before the first item.

    Parameters
    ----------
    task : Task
    items : sequence of WorkItem
        A few, as examples.
    options : RunOptions
    verb : str
        Names the sender.

    Raises
    ------
    InputError
        If the answers show that the plan cannot work.
    RunStopped
        If Earth Engine does not answer, or refuses.
    """
    # All items depend on these requests, so they get at least the usual number of tries.
    policy = replace(options.retry, tries=max(options.retry.tries, RetryPolicy().tries))
    try:
        with Asking(task.endpoint, verb, policy, options.ceiling) as asking:
            return task.prepare(asking.send, items)
    except STOPPING as error:
        raise RunStopped(reason_to_stop(error)) from error
    except RequestError as error:
        raise RunStopped(
            f"Earth Engine cannot say what {verb} would give, even of the first items:"
            f" {str(error).rstrip('.')}. Mend the plan, or the items, and run again"
        ) from error

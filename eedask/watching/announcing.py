"""Announces a run to the scheduler of its cluster, from the process that started it."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, astuple
from typing import Any

import distributed

from eedask.watching.compute import Compute
from eedask.watching.messages import Beginning
from eedask.watching.scheduler_plugin import BEGIN, END, PLUGIN, WatchingPlugin

logger = logging.getLogger("eedask")

# Seconds that the scheduler has to answer.
_TIMEOUT_S = 5.0
# Whether the user was told that there is no page.
_told = False


@contextlib.contextmanager
def announced(
    client: distributed.Client,
    beginning: Callable[[], Beginning],
    computes: Mapping[str, Compute],
) -> Iterator[None]:
    """Return a context in which the scheduler knows that a run goes on.

    If that cannot be, the user is warned once, and the run goes on unwatched.

    Parameters
    ----------
    client : Client
    beginning : callable
        Returns what the scheduler is told of the run.
    computes : mapping of str to Compute
        What the requests of each process have cost when the run has ended.
    """
    run_id = reason = None
    try:
        client.register_plugin(WatchingPlugin(), name=PLUGIN)
        run = beginning()
        trouble = _ask(client, BEGIN, whose=client.id, run=asdict(run))
        run_id = run.run_id
    except Exception as error:
        trouble = f"{type(error).__name__}: {error}"
    if trouble is not None:
        _warn(trouble)
    try:
        yield
    except BaseException as error:
        reason = str(error) or type(error).__name__
        raise
    finally:
        # The cluster may be gone; an error about that must not hide why the run ended.
        with contextlib.suppress(Exception):
            costs = {member: astuple(cost) for member, cost in computes.items()}
            _ask(client, END, run_id=run_id, reason=reason, computes=costs)


def _warn(trouble: str) -> None:
    global _told
    if not _told:
        _told = True
        logger.warning(
            "the dashboard has no Earth Engine page, as something in Dask or on the scheduler is"
            " not as eedask knows it (%s); the run goes on all the same",
            trouble,
        )


def _ask(client: distributed.Client, op: str, **message: Any) -> Any:
    async def ask() -> Any:
        return await getattr(client.scheduler, op)(**message)

    return client.sync(ask, callback_timeout=_TIMEOUT_S)

"""Announces a run to the scheduler of its cluster, from the process that started it."""

from __future__ import annotations

import contextlib
import logging
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, astuple, replace
from typing import Any

import distributed

from eedask.watching.compute import Compute
from eedask.watching.messages import Beginning
from eedask.watching.scheduler_plugin import BEGIN, END, PLUGIN, WatchingPlugin

logger = logging.getLogger("eedask")

# Returns mark, longitude and latitude of the items that the map shows; it may take a while.
Points = Callable[[], Iterable[tuple[int, float, float]]]
# Seconds that the scheduler has to answer.
_TIMEOUT_S = 5.0
# Whether the user has been warned that there is no page.
_told = False


def announce(client: distributed.Client, beginning: Beginning, points: Points) -> bool:
    """Tell the scheduler that a run begins; return whether the dashboard's page works.

    If it does not work, the user is warned once.

    Parameters
    ----------
    client : Client
    beginning : Beginning
    points : callable
    """
    try:
        client.register_plugin(WatchingPlugin(), name=PLUGIN)
        run = replace(beginning, points=tuple(points()))
        trouble = _ask(client, BEGIN, whose=client.id, run=asdict(run))
    except Exception as error:
        trouble = f"{type(error).__name__}: {error}"
    if trouble is not None:
        _warn(trouble)
    return trouble is None


def page_of(client: distributed.Client) -> str | None:
    """Return the address of the page of runs on a cluster's dashboard; None without a dashboard."""
    try:
        link = str(client.dashboard_link)
    except Exception:  # the cluster has none, or is gone
        return None
    return re.sub(r"/status$", "/eedask", link) if "://" in link else None


@contextlib.contextmanager
def announced(
    client: distributed.Client,
    beginning: Beginning,
    points: Points,
    tell: Callable[[str], None],
    computes: Mapping[str, Compute],
) -> Iterator[None]:
    """Return a context in which the scheduler knows that a run goes on; see :func:`announce`.

    Parameters
    ----------
    client, beginning, points
        As of :func:`announce`.
    tell : callable
        Called with a line of text that has the address of the page.
    computes : mapping of str to Compute
        What the requests of each process have cost when the run has ended.
    """
    reason = None
    if announce(client, beginning, points) and (page := page_of(client)) is not None:
        tell(f"watch the run at {page}")
    try:
        yield
    except BaseException as error:
        reason = str(error) or type(error).__name__
        raise
    finally:
        # The cluster may be gone. An error about that must not replace the error of the run.
        with contextlib.suppress(Exception):
            costs = {member: astuple(cost) for member, cost in computes.items()}
            _ask(client, END, run_id=beginning.run_id, reason=reason, computes=costs)


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

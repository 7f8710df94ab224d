"""Runs a plan's partitions: on the user's cluster, on Dask's threads, or on its own cluster."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from typing import Any

import cloudpickle
import dask
import dask.bag as db
import dask.base
import dask.local
import dask.threaded
import distributed

from eedask.earthengine.endpoint import sharing_tokens
from eedask.errors import InputError, RunStopped
from eedask.quota import leases
from eedask.run.lifetime import release
from eedask.run.own_cluster import own_cluster
from eedask.run.partition import reason_of_stop, run_partition
from eedask.run.process import costs_wait
from eedask.run.progress import Counter, counting_here, watching
from eedask.run.spec import RunSpec
from eedask.run.workers_present import Presence
from eedask.watching.announcing import Points, announce, announced
from eedask.watching.compute import Spent
from eedask.watching.messages import Beginning

logger = logging.getLogger(__name__)

# Partitions that a process works on at once: enough for the request threads never to run dry.
PARTITIONS_IN_FLIGHT = 4
# How often a partition whose worker died is run again. Each time only what is missing is done,
# so this only ends runs whose workers die of the work itself.
REPEATS = 20
# Seconds that the workers have to answer when they are told that a run is stopped.
_STOP_S = 4.0
# Seconds between looks for partitions that have ended.
_POLL_S = 0.05
# Seconds that the result of a partition, some bytes, may take before the workers are looked for.
_FETCH_S = 1.0
_INTERRUPTED = "the run was interrupted"
Look = Callable[[], None]
_IN_THIS_PROCESS = (dask.threaded.get, dask.local.get_sync)


class RowsBag(db.Bag):  # type: ignore[misc]
    """A bag that Dask computes by threads, unless it is told otherwise; not by processes."""

    __dask_scheduler__ = staticmethod(dask.threaded.get)


def rows_bag(partitions: int, spec: RunSpec, beginning: Beginning, points: Points) -> db.Bag:
    """Return the lazy bag of manifest rows; computing it does the work.

    If there is a client, its cluster's dashboard shows the bag from now on.

    Parameters
    ----------
    partitions, spec, beginning, points
        As of :func:`execute`.
    """
    if (client := leases.current_client()) is not None:
        announce(client, replace(beginning, is_bag=True), points)
    bag = _bag(partitions, spec, _rows)
    return RowsBag(bag.dask, bag.name, bag.npartitions)


def check_scheduler() -> None:
    """Check that the scheduler of Dask's configuration is one that a run can use.

    Raises
    ------
    InputError
        If ``dask.config`` names a scheduler on which the quota cannot be kept.
    """
    scheduler = dask.config.get("scheduler", None)
    if scheduler is None or leases.current_client() is not None:
        return
    if isinstance(scheduler, concurrent.futures.ThreadPoolExecutor):
        return
    try:
        known = dask.base.get_scheduler(scheduler=scheduler) in _IN_THIS_PROCESS
    except (ValueError, RuntimeError):  # no name that Dask knows, or no client
        known = False
    if not known:
        raise InputError(
            f"a run cannot use dask.config's scheduler={scheduler!r}: set 'threads' or"
            " 'synchronous'; or make a distributed.Client, whose processes share one quota"
        )


def execute(
    partitions: int,
    spec: RunSpec,
    beginning: Beginning,
    points: Points,
    counter: Counter,
    tell: Callable[[str], None] = logger.info,
) -> None:
    """Run all partitions to their end.

    On the current ``distributed.Client`` if there is one; else on the scheduler that
    ``dask.config`` names; else on a cluster in this process, which is closed at the end.

    Parameters
    ----------
    partitions : int
        How many there are; they are numbered from 0.
    spec : RunSpec
    beginning : Beginning
        The run as it begins.
    points : callable
        Returns the points of the items for the map on a cluster's dashboard.
    counter : Counter
        Is told of the progress while the run is under way, and of what it costs.
    tell : callable
        Called with a line of text that has the address of the dashboard.

    Raises
    ------
    RunStopped
        If the run could not go on; what is done is kept.
    KeyboardInterrupt
        If the user interrupted it; what is done is kept.
    """
    if (client := leases.current_client()) is not None:
        _on_cluster(partitions, spec, beginning, points, counter, client, tell)
    elif dask.config.get("scheduler", None) is not None:
        _on_threads(partitions, spec, beginning, counter)
    else:
        with own_cluster(PARTITIONS_IN_FLIGHT, tell) as client:
            # Its address is told already.
            _on_cluster(partitions, spec, beginning, points, counter, client, logger.debug)


def stop(run_id: str, reason: str) -> None:
    """Stop a run wherever it executes; may be called from any thread."""
    release(run_id, reason)
    if (client := leases.current_client()) is not None:
        _release_workers(client, run_id, reason)


def _on_threads(partitions: int, spec: RunSpec, beginning: Beginning, counter: Counter) -> None:
    leases.set_ceiling(None, spec.quota, spec.ceiling)
    with counting_here(beginning, counter):
        reason: str | None = _INTERRUPTED
        try:
            bag = _bag(partitions, spec, _stops)
            # An executor of the user's has its own number of threads.
            own = isinstance(dask.config.get("scheduler"), concurrent.futures.Executor)
            threads = {} if own else {"num_workers": PARTITIONS_IN_FLIGHT}
            _check_outcome(bag.compute(**threads))
            reason = None
        finally:
            counter.learn(release(spec.run_id, reason))


def _on_cluster(
    partitions: int,
    spec: RunSpec,
    beginning: Beginning,
    points: Points,
    counter: Counter,
    client: distributed.Client,
    tell: Callable[[str], None],
) -> None:
    _check_can_travel(spec)
    with (
        leases.scheduler_needed(client),
        announced(client, beginning, points, tell, counter.computes),
        watching(client, spec.run_id, counter) as look,
    ):
        _on_scheduler(partitions, spec, counter, client, look)


def _on_scheduler(
    partitions: int, spec: RunSpec, counter: Counter, client: distributed.Client, look: Look
) -> None:
    leases.set_ceiling(client, spec.quota, spec.ceiling)
    with sharing_tokens(spec.task.endpoint, client):
        try:
            _consume(client, partitions, spec, look)
            look()
        except BaseException as error:
            reason = str(error) if isinstance(error, RunStopped) else _INTERRUPTED
            counter.learn(_release_workers(client, spec.run_id, reason))
            raise
        # They may wait for what their last requests have cost.
        seconds = _STOP_S + costs_wait(spec)
        counter.learn(_release_workers(client, spec.run_id, seconds=seconds))


def _check_can_travel(spec: RunSpec) -> None:
    """Raise InputError if the task cannot be pickled; Dask would log pages without the reason."""
    try:
        cloudpickle.dumps(spec.task)
    except Exception as error:
        raise InputError(
            "the plan cannot be sent to workers: what its functions refer to cannot be pickled"
            f" ({type(error).__name__}: {error}); make such objects inside the function"
        ) from error


def _release_workers(
    client: distributed.Client, run_id: str, reason: str | None = None, seconds: float = _STOP_S
) -> dict[str, Spent]:
    """Tell all workers that the run has ended; return what they have spent on it.

    Workers that do not answer soon are left alone.
    """

    async def ask() -> Any:
        return await client.run(_release_worker, run_id, reason, on_error="ignore")

    # The run may have ended because workers, or the cluster, are gone.
    with contextlib.suppress(Exception):
        costs = client.sync(ask, callback_timeout=seconds).values()
        return {member: cost for of_worker in costs for member, cost in of_worker.items()}
    return {}


async def _release_worker(run_id: str, reason: str | None) -> dict[str, Spent]:
    # In a thread: it may take a moment, during which the worker has to answer the scheduler.
    return await asyncio.to_thread(release, run_id, reason)


def _consume(client: distributed.Client, partitions: int, spec: RunSpec, look: Look) -> None:
    """Run all partitions and repeat those whose worker died; release each as it ends."""
    with distributed.span(spec.name):
        futures = client.compute(_bag(partitions, spec, _stops).to_delayed())
    left = {future.key: (number, REPEATS, future) for number, future in enumerate(futures)}
    ending = distributed.as_completed(futures, loop=client.loop)
    del futures
    presence = Presence(lambda: len(client.nthreads()))
    try:
        for future in _as_they_end(ending, presence.look, look):
            number, repeats, _ = left.pop(future.key)
            was_there = future.status == "finished"
            if was_there and (reasons := _result_of(future, presence)) is not None:
                _check_outcome(reasons)
                continue
            error = _error_of(future)
            # A result is lost if its worker dies before it is fetched. Nothing of it is done again.
            is_lost = was_there or future.status == "lost"
            of_a_worker = is_lost or isinstance(error, distributed.KilledWorker)
            if not of_a_worker or not repeats or client.status != "running":
                raise _lost(error) from error
            again = _again(client, number, spec, repeats)
            left[again.key] = (number, repeats - 1, again)
            ending.add(again)
    finally:
        client.cancel([future for _, _, future in left.values()])


def _as_they_end(ending: distributed.as_completed, *looks: Look) -> Iterator[distributed.Future]:
    """Yield futures as they end, including those that are added meanwhile; look around between."""
    while not ending.is_empty():
        if ending.has_ready():
            yield next(ending)
        else:
            for look in looks:
                look()
            time.sleep(_POLL_S)


def _again(
    client: distributed.Client, number: int, spec: RunSpec, repeats: int
) -> distributed.Future:
    """Submit a partition once more, to run before those that have not run yet.

    It gets a new key: while workers die, the scheduler may still act on the state of the old key.
    """
    key = (spec.key, number, repeats)
    with distributed.span(spec.name):
        return client.submit(_stops, number, spec, key=key, priority=1)


def _result_of(future: distributed.Future, presence: Presence) -> list[str | None] | None:
    """Return what a partition that has ended gave; None if the cluster has lost it meanwhile.

    If the worker that held the result has gone in this very moment, the partition runs once more,
    as soon as there is a worker; or the scheduler has forgotten it.
    """
    while True:
        try:
            reasons: list[str | None] = future.result(timeout=_FETCH_S)
            return reasons
        except TimeoutError:
            presence.look()
        except Exception as error:
            # Dask has a cancelled future end in an UnboundLocalError here.
            if future.cancelled():
                return None
            raise _lost(error) from error


def _lost(error: BaseException) -> RunStopped:
    return RunStopped(
        f"a partition could not be run ({type(error).__name__}: {error}); what is done is kept,"
        " run the same plan again to go on"
    )


def _error_of(future: distributed.Future) -> BaseException:
    if future.status == "error":
        error: BaseException = future.exception()
        return error
    return RuntimeError(f"it is {future.status}: the cluster lost it, or was restarted")


def _check_outcome(reasons: list[str | None]) -> None:
    for reason in reasons:
        if reason is not None:
            raise RunStopped(reason)


def _rows(number: int, spec: RunSpec) -> list[dict[str, Any]]:
    return [asdict(row) for row in run_partition(number, spec)]


def _stops(number: int, spec: RunSpec) -> list[str | None]:
    return [reason_of_stop(number, spec)]


def _bag(partitions: int, spec: RunSpec, function: Any) -> db.Bag:
    # Each Dask task carries the spec. If it were one node that all depend on, all partitions would
    # fail with the worker that holds it.
    tasks = {(spec.key, number): (function, number, spec) for number in range(partitions)}
    return db.Bag(tasks, spec.key, partitions)

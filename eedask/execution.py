"""Where a plan's partitions run: a cluster that is there, Dask's threads, or one of our own."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from typing import Any

import dask
import dask.bag as db
import distributed

from eedask import leases
from eedask.connection import sharing_tokens
from eedask.errors import RunStopped
from eedask.process import RunSpec, release
from eedask.progress import Counter, watching
from eedask.worker import reason_of_stop, run_partition

# Partitions that a process works on at once: enough for the request threads never to run dry.
PARTITIONS_IN_FLIGHT = 4
# How often a partition whose worker died is run again. Each time only what is missing is done,
# so this only ends runs whose workers die of the work itself.
REPEATS = 20
# Seconds for the workers to hear that a run is stopped.
_STOP_S = 4.0
_INTERRUPTED = "the run was interrupted"


def rows_bag(partitions: int, spec: RunSpec) -> db.Bag:
    """Return the lazy bag of manifest rows; computing it does the work."""
    return _bag(partitions, spec, _rows)


def execute(partitions: int, spec: RunSpec, counter: Counter) -> None:
    """Run all partitions to their end, wherever the user's Dask configuration says.

    In order: the current ``distributed.Client`` if there is one; the scheduler that
    ``dask.config`` names; else a cluster in this very process, which is closed at the end.

    Parameters
    ----------
    partitions : int
    spec : RunSpec
    counter : Counter
        Hears of every item.

    Raises
    ------
    RunStopped
        If the run could not go on; what is done is kept.
    KeyboardInterrupt
        If it was interrupted; likewise.
    """
    if (client := _current_client()) is not None:
        _on_cluster(partitions, spec, counter, client)
    elif dask.config.get("scheduler", None) is not None:
        _on_threads(partitions, spec, counter)
    else:
        with _own_cluster() as client:
            _on_cluster(partitions, spec, counter, client)


def _current_client() -> distributed.Client | None:
    try:
        return distributed.get_client()
    except ValueError:
        return None


@contextlib.contextmanager
def _own_cluster() -> Iterator[distributed.Client]:
    """Start a worker in this process: without new interpreters, scripts need no main guard."""
    cluster = distributed.LocalCluster(
        n_workers=1,
        threads_per_worker=PARTITIONS_IN_FLIGHT,
        processes=False,
        dashboard_address="127.0.0.1:0",
        silence_logs=logging.WARNING,
    )
    with cluster, distributed.Client(cluster, set_as_default=False) as client:
        port = cluster.scheduler_info["services"]["dashboard"]
        print(f"Dask cluster in this process; dashboard at http://127.0.0.1:{port}/status")
        yield client


def _on_threads(partitions: int, spec: RunSpec, counter: Counter) -> None:
    leases.set_ceiling(None, spec.quota, spec.concurrency, spec.rate)
    with watching(spec.run_id, counter):
        try:
            bag = _bag(partitions, spec, _stops)
            _check_outcome(bag.compute(num_workers=PARTITIONS_IN_FLIGHT))
        finally:
            release(spec.run_id, _INTERRUPTED)


def _on_cluster(
    partitions: int, spec: RunSpec, counter: Counter, client: distributed.Client
) -> None:
    workers = client.scheduler_info(n_workers=-1)["workers"]
    # A cluster may start out empty, and get its workers later.
    in_this_process = bool(workers) and all(a.startswith("inproc://") for a in workers)
    leases.install(client)
    leases.set_ceiling(client, spec.quota, spec.concurrency, spec.rate)
    heard = watching(spec.run_id, counter, None if in_this_process else client)
    with heard, sharing_tokens(spec.task.endpoint, client):
        try:
            delayed = _bag(partitions, spec, _stops).to_delayed()
            _consume(client.compute(delayed), client)
        except BaseException as error:
            reason = str(error) if isinstance(error, RunStopped) else _INTERRUPTED
            _release_workers(client, spec.run_id, reason)
            raise
        _release_workers(client, spec.run_id)


def _release_workers(client: distributed.Client, run_id: str, reason: str | None = None) -> None:
    """End the run on all workers, as far as they are there and answer soon."""

    async def ask() -> None:
        await client.run(_release_worker, run_id, reason, on_error="ignore")

    # What ends a run may well have ended workers, or the cluster.
    with contextlib.suppress(Exception):
        client.sync(ask, callback_timeout=_STOP_S)


async def _release_worker(run_id: str, reason: str | None) -> None:
    # It may take a moment, and must not hold up the worker's messages.
    await asyncio.to_thread(release, run_id, reason)


def _consume(futures: list[distributed.Future], client: distributed.Client) -> None:
    """Wait for partitions, forgetting each as it ends, and repeat those whose worker died."""
    left = dict.fromkeys((future.key for future in futures), REPEATS)
    ending = distributed.as_completed(futures, loop=client.loop)
    try:
        for future in ending:
            if future.status == "finished":
                _check_outcome(_result_of(future))
                future.release()
                continue
            error = _error_of(future)
            left[future.key] -= 1
            if not isinstance(error, distributed.KilledWorker) or left[future.key] == 0:
                raise _lost(error) from error
            _repeat(future)
            ending.add(future)
    finally:
        for future in futures:
            future.cancel()


def _repeat(future: distributed.Future) -> None:
    """Have a partition run again, and what it needs."""
    try:
        future.retry()
    except KeyError as error:
        # The run's own node died with its worker, and the client, which holds no future of it,
        # loses track of the partitions.
        raise _lost(error) from error


def _result_of(future: distributed.Future) -> Any:
    try:
        return future.result()
    except Exception as error:  # the scheduler went away in this very moment
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


def _rows(numbers: Iterable[int], spec: RunSpec) -> list[dict[str, Any]]:
    return [asdict(row) for number in numbers for row in run_partition(number, spec)]


def _stops(numbers: Iterable[int], spec: RunSpec) -> list[str | None]:
    return [reason_of_stop(number, spec) for number in numbers]


def _bag(partitions: int, spec: RunSpec, function: Any) -> db.Bag:
    # One node of the graph holds the spec for all partitions.
    shared = dask.delayed(spec, pure=False)
    return db.from_sequence(range(partitions), partition_size=1).map_partitions(function, shared)

"""Where a plan's partitions run: a cluster that is there, Dask's threads, or one of our own."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterable, Iterator
from dataclasses import asdict, replace
from typing import Any

import dask
import dask.bag as db
import distributed

from eedask.errors import RunStopped
from eedask.progress import Counter, watching
from eedask.worker import RunSpec, release, released, run_partition, run_partition_counts

# Partitions that a process works on at once: enough for the request threads never to run dry.
PARTITIONS_IN_FLIGHT = 4


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
        ``slots`` is for the whole run; it is shared out here.
    counter : Counter
        Hears of every item.

    Raises
    ------
    RunStopped
        If a partition itself failed, not just items of it.
    """
    if (client := _current_client()) is not None:
        _on_cluster(partitions, spec, counter, client)
    elif dask.config.get("scheduler", None) is not None:
        with released(spec.run_id), watching(spec.run_id, counter):
            _counts_bag(partitions, spec).compute(num_workers=PARTITIONS_IN_FLIGHT)
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


def _on_cluster(
    partitions: int, spec: RunSpec, counter: Counter, client: distributed.Client
) -> None:
    workers = client.scheduler_info(n_workers=-1)["workers"]
    in_this_process = all(address.startswith("inproc://") for address in workers)
    # Each process gets an equal share; what does not divide stays unused.
    spec = replace(spec, slots=max(1, spec.slots // max(1, len(workers))))
    with watching(spec.run_id, counter, None if in_this_process else client):
        try:
            delayed = _counts_bag(partitions, spec).to_delayed()
            _consume(client.compute(delayed, retries=2), client)
        finally:
            client.run(release, spec.run_id)


def _consume(futures: list[distributed.Future], client: distributed.Client) -> None:
    """Wait for partitions, forgetting each as it ends."""
    try:
        for future in distributed.as_completed(futures, loop=client.loop):
            if future.status != "finished":
                raise RunStopped(
                    f"a partition could not be run ({future.exception()}); what is done is"
                    " kept, run the same plan again to go on"
                ) from future.exception()
            future.release()
    finally:
        for future in futures:
            future.cancel()


def _counts_bag(partitions: int, spec: RunSpec) -> db.Bag:
    return _bag(partitions, spec, _counts)


def _rows(numbers: Iterable[int], spec: RunSpec) -> list[dict[str, Any]]:
    return [asdict(row) for number in numbers for row in run_partition(number, spec)]


def _counts(numbers: Iterable[int], spec: RunSpec) -> list[dict[str, int]]:
    return [run_partition_counts(number, spec) for number in numbers]


def _bag(partitions: int, spec: RunSpec, function: Any) -> db.Bag:
    # One node of the graph holds the spec for all partitions.
    shared = dask.delayed(spec, pure=False)
    return db.from_sequence(range(partitions), partition_size=1).map_partitions(function, shared)

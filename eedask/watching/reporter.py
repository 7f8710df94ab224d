"""Sends the counts of one run in one process to the scheduler, twice a second."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, astuple
from typing import Any

import distributed
from distributed.metrics import context_meter

from eedask.watching.compute import Spent
from eedask.watching.compute_sample import ComputeSample
from eedask.watching.meter import Meter, RequestCounts, sum_of
from eedask.watching.partition_counts import PartitionCounts

logger = logging.getLogger("eedask")

# Dask event topic of the messages.
TOPIC = "eedask-watching"
# Seconds between two messages of a process.
EVERY_S = 0.5
# The activity, and the units, under which Dask's fine performance metrics show requests.
ACTIVITY = "earth-engine"
# For each run that is counted in this process, the function that takes its messages.
_HERE: dict[str, Callable[[Mapping[str, Any]], None]] = {}


class Reporter:
    """Sends the counts of a process's partitions; safe for threads.

    Its methods are called in threads that run a Dask task. Without a cluster, and if nothing in
    this process takes the messages, nothing is sent.

    Parameters
    ----------
    run_id : str
    costs_early : bool
        Whether costs are asked for early, see :class:`ComputeSample`.

    Attributes
    ----------
    sample : ComputeSample
        The sample of requests whose costs are asked for.
    run_id : str
    member : str
        A random name of this process among those of the run.
    restricted : bool
        Whether an answer of Earth Engine said that the project's compute quota is used up.
    """

    def __init__(self, run_id: str, *, costs_early: bool = False) -> None:
        self.sample = ComputeSample(early=costs_early)
        self.member = uuid.uuid4().hex
        self.run_id = run_id
        self.restricted = False
        self._changed: dict[int, PartitionCounts] = {}
        # The meters of partitions that are worked on, and the sum of those that are over.
        self._meters: set[Meter] = set()
        self._over = RequestCounts()
        self._told = float("-inf")
        self._known = RequestCounts()
        self._lock = threading.Lock()

    def tell(self, counts: PartitionCounts, *, over: bool = False) -> None:
        """Send the counts of a partition, and of all requests of the process, to the scheduler.

        Parameters
        ----------
        counts : PartitionCounts
            The partition's counts, which may have changed since the last call.
        over : bool
            Whether work on the partition has ended. If so, a message is sent at once; otherwise
            the counts are sent with the next message that is due.
        """
        with self._lock:
            self._changed[counts.number] = counts
            self._meters.add(counts.meter)
            if over:
                self._meters.remove(counts.meter)
                self._over.add(counts.meter.counts())
            now = time.monotonic()
            if not over and now - self._told < EVERY_S:
                return
            self._told = now
            changed, self._changed = self._changed, {}
            requests = sum_of([self._over, *(meter.counts() for meter in self._meters)])
            known, self._known = self._known, requests
        context_meter.digest_metric(ACTIVITY, requests.requests - known.requests, "requests")
        context_meter.digest_metric(ACTIVITY, requests.nbytes - known.nbytes, "bytes")
        send(
            {
                "run": self.run_id,
                "member": self.member,
                "requests": asdict(requests),
                "compute": astuple(self.sample.sum),
                "restricted": self.restricted,
                "partitions": [one.message() for one in changed.values()],
            }
        )

    def spent(self) -> Spent:
        """Return what the process has spent on the run."""
        with self._lock:
            requests = sum_of([self._over, *(meter.counts() for meter in self._meters)])
        return Spent(requests, self.sample.partitions)


def tell_done_before(run_id: str, counts: PartitionCounts) -> None:
    """Send the counts of a partition in which all items are done already."""
    send({"run": run_id, "partitions": [counts.message()]})


@contextlib.contextmanager
def heard_here(run_id: str, hear: Callable[[Mapping[str, Any]], None]) -> Iterator[None]:
    """Return a context in which a run's messages go only to a function in this process."""
    _HERE[run_id] = hear
    try:
        yield
    finally:
        del _HERE[run_id]


def send(message: dict[str, Any]) -> None:
    """Pass a message to the function in this process that takes the run's messages.

    If there is none, send it to the scheduler of the cluster on which this thread runs a task; if
    it runs none, drop it.
    """
    if (hear := _HERE.get(message["run"])) is not None:
        hear(message)
        return
    try:
        worker = distributed.get_worker()
    except ValueError:  # not on a worker: nobody watches
        return
    try:
        worker.log_event(TOPIC, message)
    except Exception:  # whatever it is, the run goes on
        logger.debug("the scheduler is not told of a run's progress", exc_info=True)

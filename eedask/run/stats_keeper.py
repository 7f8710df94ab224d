"""Keeps the statistics of a partition in the dataset while it is worked on."""

from __future__ import annotations

import distributed
import pyarrow as pa

from eedask.dataset.stats import PartitionStats
from eedask.run.spec import RunSpec
from eedask.watching import latency
from eedask.watching.compute_sample import ComputeSample
from eedask.watching.partition_counts import PartitionCounts
from eedask.watching.steady_clock import SteadyClock


class StatsKeeper:
    """Writes one row of statistics, over and over, as a partition is worked on.

    A partition that is worked on again, in this run because a worker died, or in another, gets a
    row more: its requests were sent as well.

    Parameters
    ----------
    spec : RunSpec
    counts : PartitionCounts
        Of the partition, made as the work on it began.
    sample : ComputeSample
        Knows what requests have cost.
    clock : SteadyClock
        Shared by all partitions of a run in a process.
    """

    def __init__(
        self, spec: RunSpec, counts: PartitionCounts, sample: ComputeSample, clock: SteadyClock
    ) -> None:
        self._spec = spec
        self._counts = counts
        self._sample = sample
        self._clock = clock
        self._worker = _worker()
        self._started = clock.utc()
        self._earlier: pa.Table | None = None

    def write(self) -> None:
        """Write the row as it is now."""
        stats, number = self._spec.dataset.stats, self._counts.number
        if self._earlier is None:
            self._earlier = stats.rows(number)
        stats.write(number, self._earlier, self._row())

    def _row(self) -> PartitionStats:
        items, failures = self._counts.done_since()
        requests = self._counts.meter.counts()
        answered = sum(requests.latencies)
        p50, p95, p99 = (latency.quantile(requests.latencies, q) for q in (0.5, 0.95, 0.99))
        return PartitionStats(
            run=self._spec.run_id,
            partition=self._counts.number,
            worker=self._worker,
            started=self._started,
            ended=self._clock.utc(),
            items=items,
            failures=failures,
            requests=requests.requests,
            retries=requests.retries,
            throttled=requests.throttled,
            errors=requests.errors,
            nbytes=requests.nbytes,
            mean_s=requests.seconds / answered if answered else None,
            p50_s=p50,
            p95_s=p95,
            p99_s=p99,
            eecu_s=self._sample.of_partition(self._counts.number).total,
            concurrency=self._spec.ceiling.concurrency,
            rate=self._spec.ceiling.rate,
        )


def _worker() -> str | None:
    """Return the name of the Dask worker that this thread runs a task of, if any."""
    try:
        return str(distributed.get_worker().name)
    except ValueError:  # it runs none
        return None

"""The line about each run that has ended, in the log of Dask's scheduler."""

from __future__ import annotations

import logging
from collections.abc import Iterator

from dask.utils import format_bytes

from eedask.watching import latency
from eedask.watching.meter import RequestCounts, sum_of
from eedask.watching.run_state import RunState
from eedask.watching.tables import duration, eecu

# The scheduler keeps what loggers below its own are told. It shows that as "Scheduler Logs", also
# in ``performance_report``, which has no other place for what a library wants to add.
logger = logging.getLogger("distributed.scheduler.eedask")


def log(run: RunState) -> None:
    """Write to the scheduler's log what a run that has ended did, and what its requests took."""
    logger.info("Earth Engine run: %s", ", ".join(_words(run)))


def _words(run: RunState) -> Iterator[str]:
    began, sums = run.beginning, sum_of(counts for _, counts in run.members.values())
    yield f"{began.verb} into {began.out} {run.state} after {duration(run.took_s)}"
    yield f"{run.done:,} of {began.total:,} items done"
    if run.failed:
        yield f"{run.failed:,} of them failed"
    yield f"{sums.requests:,} requests ({sums.requests / max(run.took_s, 1e-3):,.1f} a second)"
    yield f"{sums.throttled:,} throttled"
    yield f"{sums.retries:,} retries"
    yield from _latencies(sums)
    yield format_bytes(sums.nbytes)
    if run.eecu_s is not None:
        yield f"{eecu(run.eecu_s)} of compute (EECU)"
    if run.reason:
        yield f"stopped: {run.reason}"


def _latencies(sums: RequestCounts) -> Iterator[str]:
    median, p95 = (latency.quantile(sums.latencies, fraction) for fraction in (0.5, 0.95))
    if median is not None and p95 is not None:
        yield f"half of them answered within {median:.2g} s and 95 % within {p95:.2g} s"

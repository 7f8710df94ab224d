"""What a run has in one process: its connection, its share of the quota, its request threads."""

from __future__ import annotations

from eedask.earthengine.connection import Connection
from eedask.quota.leases import limiter_for
from eedask.run.request_pool import RequestPool
from eedask.run.spec import RunSpec
from eedask.run.stopping import Verdict
from eedask.watching.reporter import Reporter

# Request threads beyond the number of slots. A thread that waits before a retry holds no slot; a
# spare thread uses the slot meanwhile.
SPARE_THREADS = 8
# Seconds that the end of a run waits for request threads before it leaves them behind.
_JOIN_S = 1.0


class Process:
    """What the partitions of one run share in one process.

    It ends in two steps. :meth:`stop`, which any thread may call, ends the sending of requests.
    :meth:`close` follows when no partition is worked on any more.

    Parameters
    ----------
    spec : RunSpec
    """

    def __init__(self, spec: RunSpec) -> None:
        self.spec = spec
        self.verdict = Verdict(first=not (spec.retry_failed or spec.resumes))
        self.reporter = Reporter(spec.run_id)
        self.limiter = limiter_for(spec.quota, spec.ceiling)
        threads = spec.ceiling.concurrency + SPARE_THREADS
        self.connection = Connection(
            spec.task.endpoint, connections=threads, on_restricted=self.limiter.restricted
        )
        # When the Dask worker closes, so does the limiter. Then stop() lets the partitions write
        # their rows.
        self.pool = RequestPool(
            threads, self.limiter, f"eedask-{spec.run_id}", lambda error: self.stop(str(error))
        )
        self.sizes = spec.task.sizes()

    def stop(self, reason: str) -> None:
        """Send no more requests. Requests under way may end; nobody waits for them."""
        self.verdict.stop(reason)
        self.limiter.close()
        self.pool.close()

    def close(self) -> None:
        """Leave the quota, and end the threads and connections. To be called after :meth:`stop`."""
        self.limiter.release()
        self.pool.join(_JOIN_S)
        self.connection.close()

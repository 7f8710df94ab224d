"""What a run has in one process: its connection, its share of the quota, its request threads."""

from __future__ import annotations

from eedask.earthengine.connection import Connection
from eedask.quota.leases import limiter_for
from eedask.run.request_pool import RequestPool
from eedask.run.spec import RunSpec
from eedask.run.stopping import Verdict

# Backing off holds a thread but no slot; with spare threads others use the slots meanwhile.
SPARE_THREADS = 8
# Seconds that the end of a run waits for request threads before it leaves them behind.
_JOIN_S = 1.0


class Process:
    """What the partitions of one run share in one process.

    It ends in two steps: :meth:`stop`, which anybody may call, so that nothing more is sent; and
    :meth:`close`, once no partition is worked on any more.

    Parameters
    ----------
    spec : RunSpec
    """

    def __init__(self, spec: RunSpec) -> None:
        self.spec = spec
        self.verdict = Verdict(first=not (spec.retry_failed or spec.resumes))
        self.limiter = limiter_for(spec.quota, spec.ceiling)
        threads = spec.ceiling.concurrency + SPARE_THREADS
        self.connection = Connection(
            spec.task.endpoint, connections=threads, on_restricted=self.limiter.restricted
        )
        # The limiter closes by itself when the worker does. Then partitions write what they have.
        self.pool = RequestPool(
            threads, self.limiter, f"eedask-{spec.run_id}", lambda error: self.stop(str(error))
        )
        self.sizes = spec.task.sizes()

    def stop(self, reason: str) -> None:
        """Send nothing more. What is under way may end, and is not waited for."""
        self.verdict.stop(reason)
        self.limiter.close()
        self.pool.close()

    def close(self) -> None:
        """Give back what a run that is stopped has of the quota, its threads and connections."""
        self.limiter.release()
        self.pool.join(_JOIN_S)
        self.connection.close()

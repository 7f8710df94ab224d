"""What a run has in one process: its connection, its share of the quota, its request threads."""

from __future__ import annotations

import logging
import time

from eedask.earthengine.connection import Connection
from eedask.earthengine.profiles import cost_request, costs_of
from eedask.earthengine.refusals import from_response
from eedask.errors import EedaskError
from eedask.quota.leases import limiter_for
from eedask.quota.limiter import Ticket
from eedask.run.request_pool import Backlog, RequestPool
from eedask.run.spec import RunSpec
from eedask.run.stopping import Verdict
from eedask.watching.compute_sample import Groups
from eedask.watching.reporter import Reporter
from eedask.watching.steady_clock import SteadyClock

logger = logging.getLogger(__name__)

# Request threads beyond the number of slots. A thread that waits before a retry holds no slot; a
# spare thread uses the slot meanwhile.
SPARE_THREADS = 8
# Seconds that the end of a run waits for request threads before it leaves them behind.
_JOIN_S = 1.0
# The rank of requests for costs. Behind those of items they would wait to the end of the run, and
# no budget could be kept; each stands for a hundred others, or for as many as there are.
_COSTS_RANK = -1
# Seconds that the end of a run waits for what requests have cost: usually, and where it matters.
COSTS_S, _COSTS_EARLY_S = 2.0, 15.0


class Process:
    """What the partitions of one run share in one process.

    It ends in two steps. :meth:`stop`, which any thread may call, ends the sending of requests.
    :meth:`close` follows when no partition is worked on any more.

    Parameters
    ----------
    spec : RunSpec
    """

    def __init__(self, spec: RunSpec) -> None:
        self.spec, self.clock = spec, SteadyClock()
        self.verdict = Verdict(first=not (spec.retry_failed or spec.resumes))
        self.reporter = Reporter(spec.run_id, costs_early=spec.costs_early)
        self.limiter = limiter_for(spec.quota, spec.ceiling)
        threads = spec.ceiling.concurrency + SPARE_THREADS
        self.connection = Connection(
            spec.task.endpoint, connections=threads, on_restricted=self._restricted
        )
        # When the Dask worker closes, so does the limiter. Then stop() lets the partitions write
        # their rows.
        self.pool = RequestPool(
            threads, self.limiter, f"eedask-{spec.run_id}", lambda error: self.stop(str(error))
        )
        self.sizes = spec.task.sizes()
        # The latest request for costs.
        self._asked: Backlog | None = None

    def _restricted(self) -> None:
        self.limiter.restricted()
        self.reporter.restricted = True

    def ask_costs(self, *, last: bool = False) -> None:
        """Ask what requests have cost, if that is due; see :class:`ComputeSample`.

        Parameters
        ----------
        last : bool
            Whether no more requests are waited for, but the answer is, a moment; as is that to
            an earlier question.
        """
        until = time.monotonic() + costs_wait(self.spec)
        if last and self._asked is not None:
            self._asked.wait(until - time.monotonic())
        if groups := self.reporter.sample.due(last=last):
            self._asked = self.pool.backlog(_COSTS_RANK, self._ask_costs, [groups])
            if last:
                self._asked.wait(until - time.monotonic())

    def _ask_costs(self, groups: Groups, ticket: Ticket) -> None:
        """Send the one request that asks for costs. Whatever comes of it, the run goes on."""
        sample = self.reporter.sample
        try:
            request = cost_request(self.connection.endpoint, [*groups.values()])
            with ticket.claim() or self.limiter.slot():
                # Not `send`, which gives way to other credentials where these are refused.
                status, headers, body = self.connection.look(request)
                if status != 200:
                    raise from_response(status, headers, body)
            sample.told(groups, costs_of(body, len(groups)))
        except EedaskError as error:
            logger.debug("Earth Engine does not tell what requests have cost (%s)", error)
            sample.refused()

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


def costs_wait(spec: RunSpec) -> float:
    """Return the seconds that the end of a run waits for what requests have cost."""
    return _COSTS_EARLY_S if spec.costs_early else COSTS_S

"""Sends the requests of a job, each under a slot of the quota, with retries."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

from eedask.earthengine.endpoint import Request
from eedask.earthengine.retry import Attempts, call_with_retry
from eedask.quota.limiter import Slot, Ticket
from eedask.run.process import Process
from eedask.run.task import Check, Job
from eedask.watching.partition_counts import PartitionCounts


class JobSender:
    """Sends the requests of one job.

    Parameters
    ----------
    process : Process
        What the run has in this process.
    counts : PartitionCounts
        Of the job's partition; the requests are counted there.
    job : Job
        Its ``attempts`` are counted up.
    ticket : Ticket
        The slot that the request thread took before it took the job. The first exchange uses it;
        each later one waits for a slot of its own.
    """

    def __init__(self, process: Process, counts: PartitionCounts, job: Job, ticket: Ticket) -> None:
        self._process = process
        self._counts = counts
        self._job = job
        self._ticket = ticket

    def send(self, request: Request, check: Check | None = None) -> bytes:
        """Wait for a slot, send the request, with retries, and return the body of the answer."""
        return self._send(request, check, self._job.attempts)

    def ask(self, request: Request, check: Check | None = None) -> bytes:
        """Return the answer to what has to be known first; no attempt of the items is counted."""
        return self._send(request, check, Attempts())

    def _send(self, request: Request, check: Check | None, attempts: Attempts) -> bytes:
        meter, sample = self._counts.meter, self._process.reporter.sample
        again = False

        def slot() -> contextlib.AbstractContextManager[object]:
            return meter.exchange(self._slot(), again=again)

        def send(request: Request) -> bytes:
            return self._process.connection.send(request, slot)

        def exchange() -> bytes:
            nonlocal again
            try:
                body = sample.send(request, self._counts.number, send)
            finally:
                again = True
            meter.received(len(body))
            if check is not None:
                try:
                    check(body)
                except Exception as error:
                    meter.failed(error)
                    raise
            return body

        # A job of several items is halved where its request is too large.
        divisible = request.divisible or len(self._job.items) > 1
        return call_with_retry(
            exchange,
            self._process.spec.policy,
            attempts,
            self._job.label,
            divisible=divisible,
        )

    def rest(self) -> None:
        """Give back the slot that the job was taken with, unless it was used."""
        self._ticket.give_back()

    def recruit(self, work: Callable[[], None], hands: int) -> None:
        """Let idle request threads help with the job, once its partition has no jobs left."""
        hands = min(hands, self._process.spec.ceiling.concurrency)
        self._process.pool.backlog(self._counts.number, _help, [work] * hands)

    @property
    def sizes(self) -> Any:
        """What the task's ``sizes()`` returned, for all of the run's jobs in this process."""
        return self._process.sizes

    def _slot(self) -> Slot:
        return self._ticket.claim() or self._process.limiter.slot()


def _help(work: Callable[[], None], ticket: Ticket) -> None:
    # There may be nothing left to do, and each request takes a slot of its own.
    ticket.give_back()
    work()

"""Access to a quota for every process that sends requests, on a cluster or not.

Before a run, from the process that has the client (None: without a cluster)::

    leases.set_ceiling(client, key, Ceiling(40, rate=100))

In a process that sends requests, inside a Dask task or not::

    limiter = leases.limiter_for(key, Ceiling(40, rate=100))
    with limiter.slot():                 # in any thread
        answer = connection.send(request)     # raises QuotaError when throttled
    limiter.close()                      # stop: threads that wait for a slot get RunStopped
    limiter.release()                    # at the end of the run, once

``key`` names the quota; :func:`key_of` makes it. All runs with the same key share one quota.
Within a process, they share one limiter. On a cluster, the owner of the quota is on the scheduler,
and each process is a member that renews its lease from a daemon thread. The process that has the
client is a member as well, while it plans. Without a cluster, or with one that lies wholly within
this process, the owner is in this process.

When the scheduler does not answer, a process goes on with its lease until that ends, and then with
one request at a time. It renews its lease once a scheduler answers, the old one or a new one.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
import uuid
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import distributed

from eedask.earthengine.endpoint import Endpoint
from eedask.errors import InputError, RunStopped
from eedask.quota.limiter import Limiter, Slot, Ticket
from eedask.quota.links import ByClient, Cluster, Local, ask, install
from eedask.quota.messages import Ceiling
from eedask.quota.owner import RENEW_S
from eedask.quota.scheduler_plugin import CEILING, OWNERS, SNAPSHOT

logger = logging.getLogger(__name__)

# Seconds between an alarm and the message to the owner: a burst of refusals makes one message.
_ALARM_S = 0.05


def key_of(endpoint: Endpoint) -> str:
    """Return the key of the quota that requests to an endpoint count against."""
    return f"{endpoint.url}|{endpoint.project}"


def current_client() -> distributed.Client | None:
    """Return the ``distributed.Client`` that this process works with; None if it has none.

    Raises
    ------
    InputError
        If it is an asynchronous one whose event loop runs in this thread: a call that waits for an
        answer would keep the loop from getting it.
    """
    try:
        client = distributed.get_client()
    except ValueError:
        return None
    if client.asynchronous:
        raise InputError(
            "the current Dask client is asynchronous, and eedask's calls wait for their results:"
            " make them in another thread, as with await asyncio.to_thread(plan.run), or make a"
            " Client without asynchronous=True"
        )
    return client


def set_ceiling(client: distributed.Client | None, key: str, ceiling: Ceiling) -> None:
    """State the ceiling of a quota. It holds at once, for all processes that share the quota.

    Parameters
    ----------
    client : Client, optional
        A client of the cluster whose scheduler owns the quota; None: this process owns it.
    key : str
        Names the quota, see :func:`key_of`.
    ceiling : Ceiling

    Raises
    ------
    RunStopped
        If the cluster's scheduler is not there any more.
    """
    if client is None:
        OWNERS.set_ceiling(key, ceiling)
        return
    with scheduler_needed(client):
        install(client)
        ask(client, CEILING, key=key, ceiling=asdict(ceiling))


@contextlib.contextmanager
def scheduler_needed(client: distributed.Client) -> Iterator[None]:
    """Raise an error that says that the scheduler is gone, where a client's error means that.

    Raises
    ------
    RunStopped
    """
    try:
        yield
    except (OSError, RuntimeError, AttributeError, distributed.client.ClosedClientError) as error:
        # A client that has lost its scheduler asks None, until it is closed.
        is_there = client.scheduler is not None and client.status != "closed"
        if isinstance(error, RuntimeError | AttributeError) and is_there:
            raise
        raise RunStopped(
            f"the cluster's scheduler is not there any more ({type(error).__name__}: {error});"
            " what is done is kept, make a new Client and run the same plan again to go on"
        ) from error


def snapshot(client: distributed.Client | None, key: str) -> dict[str, Any] | None:
    """Return the state of a quota, see :meth:`Owner.snapshot`; None if it has no owner."""
    if client is None:
        return OWNERS.snapshot(key)
    found: dict[str, Any] = ask(client, SNAPSHOT, key=key)
    return found.get(key)


def limiter_for(key: str, ceiling: Ceiling) -> RunLimiter:
    """Return a run's access to this process's limiter for a quota.

    Parameters
    ----------
    key : str
        Names the quota, see :func:`key_of`.
    ceiling : Ceiling
        Holds if none was stated by :func:`set_ceiling`.
    """
    worker = _current_worker()
    link: Local | Cluster | ByClient = Local() if worker is None else Cluster()
    scheduler = "" if worker is None else worker.scheduler.address
    if worker is None and (client := current_client()) is not None:
        link, scheduler = ByClient(client), f"client {client.id}"
    place = (key, scheduler)
    with _LOCK:
        membership = _MEMBERSHIPS.get(place)
        if membership is None or not membership.is_used:
            membership = _MEMBERSHIPS[place] = _Membership(place, ceiling, link)
        membership.runs += 1
        if isinstance(membership.link, Cluster):
            membership.link.add(worker)
    membership.wake.set()
    return RunLimiter(membership)


class RunLimiter:
    """A run's access to the limiter of its process; made by :func:`limiter_for`."""

    def __init__(self, membership: _Membership) -> None:
        self._membership = membership
        self._limiter = membership.limiter
        self._released = False

    @property
    def in_flight(self) -> int:
        """Requests under way in this process, of all runs."""
        return self._limiter.in_flight

    @property
    def waiting(self) -> int:
        """Threads of this process that wait for a slot, of all runs."""
        return self._limiter.waiting

    @property
    def slots(self) -> int:
        """Requests that this process may have under way now."""
        return self._limiter.slots

    def slot(self) -> Slot:
        """Return a context that waits for a slot and holds it; see :class:`Slot`.

        Enter it only with a request to send: each waiting thread counts as demand for a slot.
        """
        return self._limiter.slot(self)

    def take(self) -> Ticket:
        """Wait for a slot; return the ticket with which it is used or given back."""
        return self._limiter.take(self)

    def restricted(self) -> None:
        """Note that an answer carried ``parallelism_restricted=true``."""
        self._limiter.restricted()

    def close(self) -> None:
        """Wake this run's waiting threads with :class:`~eedask.errors.RunStopped`, for good."""
        self._limiter.close(self)

    def release(self) -> None:
        """End the run's access, without waiting.

        Once the last run has ended, and the requests that were under way, the lease is given back:
        until then those requests are booked, so that the next run does not exceed the quota.
        """
        self.close()
        with _LOCK:
            if not self._released:
                self._released = True
                self._membership.runs -= 1
        self._membership.wake.set()


def _current_worker() -> Any:
    """Return the Dask worker whose task this thread runs; None if it runs none."""
    try:
        return distributed.get_worker()
    except ValueError:
        return None


class _Membership:
    """A process's membership in a quota: a limiter, and the thread that renews its lease."""

    def __init__(
        self, place: tuple[str, str], ceiling: Ceiling, link: Local | Cluster | ByClient
    ) -> None:
        self.limiter = Limiter()
        self.link = link
        self.runs = 0
        self.over = False
        self.wake = threading.Event()
        self.limiter.alarm = self.wake.set
        self._place, self._ceiling = place, ceiling
        self._member = uuid.uuid4().hex
        self._silent = self._had_slots = False
        # The thread waits in _keep until limiter_for has added the first run.
        threading.Thread(target=self._keep, name="eedask-lease", daemon=True).start()

    def _keep(self) -> None:
        self.wake.wait()
        while self._wanted():
            self.wake.clear()
            # An alarm is delayed, so that several become one message. Not before the first slot:
            # somebody waits for it.
            if self.wake.wait(self._renew()) and self._had_slots:
                time.sleep(_ALARM_S)
        if self.link.broken:
            self.limiter.close()
        if self.link.owner_is_here:
            # Not through a cluster that is about to close: what is then not heard stays booked for
            # seconds, and the next run would wait for it.
            self.link = Local()
        if not self.link.broken:
            self._renew(leaving=True)

    def _wanted(self) -> bool:
        with _LOCK:
            if self.link.broken and self.link.owner_is_here and self.limiter.in_flight:
                # The cluster is closed; the owner and the requests under way are still here.
                self.limiter.close()
                self._forget()
                self.link = Local()
            self.over = self.link.broken or not self.is_used
            if self.over:
                self._forget()
            return not self.over

    @property
    def is_used(self) -> bool:
        """Whether a run has it, or requests of an ended run are still under way."""
        return not self.over and bool(self.runs or self.limiter.in_flight)

    def _forget(self) -> None:
        """Let runs that come find another."""
        if _MEMBERSHIPS.get(self._place) is self:
            del _MEMBERSHIPS[self._place]

    def _renew(self, leaving: bool = False) -> float:
        """Renew the lease; return the seconds until that is due again."""
        asked = time.monotonic()
        usage = self.limiter.next_usage(leaving)
        try:
            lease = self.link.renew(self._place[0], self._member, self._ceiling, usage)
        except Exception as error:
            # Whatever is wrong: the lease runs out, and then the limiter allows one request.
            if not (self._silent or leaving):
                logger.warning(
                    "the scheduler does not say how many requests this process may send (%r): soon"
                    " it sends one at a time, until the scheduler answers",
                    error,
                )
            self._silent = True
            time.sleep(RENEW_S)
            return RENEW_S
        if self._silent:
            logger.info("the scheduler says again how many requests this process may send")
            self._silent = False
        self._had_slots = self._had_slots or lease.slots > 0
        self.limiter.apply(lease, asked)
        return lease.renew


_MEMBERSHIPS: dict[tuple[str, str], _Membership] = {}
_LOCK = threading.Lock()

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

import asyncio
import concurrent.futures
import contextlib
import logging
import threading
import time
import uuid
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import distributed
from distributed.protocol.pickle import dumps

from eedask.earthengine.endpoint import Endpoint
from eedask.errors import RunStopped
from eedask.quota.limiter import Limiter, Slot, Ticket
from eedask.quota.messages import Ceiling, Lease, Usage
from eedask.quota.owner import RENEW_S
from eedask.quota.scheduler_plugin import CEILING, OWNERS, PLUGIN, RENEW, SNAPSHOT, QuotaPlugin

logger = logging.getLogger(__name__)

# Seconds between an alarm and the message to the owner: a burst of refusals makes one message.
_ALARM_S = 0.05
# Seconds to wait for the scheduler's answer, and between two looks whether it can still come.
_TIMEOUT_S, _LOOK_S = 5.0, 0.2


def key_of(endpoint: Endpoint) -> str:
    """Return the key of the quota that requests to an endpoint count against."""
    return f"{endpoint.url}|{endpoint.project}"


def current_client() -> distributed.Client | None:
    """Return the ``distributed.Client`` that this process works with; None if it has none."""
    try:
        return distributed.get_client()
    except ValueError:
        return None


def install(client: distributed.Client) -> None:
    """Register the plugin with the owners of quotas on a cluster's scheduler, unless it is there.

    Workers register it as well when it is missing, for instance after a restart of the scheduler.
    """
    client.register_plugin(QuotaPlugin(), name=PLUGIN)


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
        _ask(client, CEILING, key=key, ceiling=asdict(ceiling))


@contextlib.contextmanager
def scheduler_needed(client: distributed.Client) -> Iterator[None]:
    """Turn what a client raises whose scheduler has gone into an error that says so.

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
    found: dict[str, Any] = _ask(client, SNAPSHOT, key=key)
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
    link: _Local | _Cluster | _ByClient = _Local() if worker is None else _Cluster()
    scheduler = "" if worker is None else worker.scheduler.address
    if worker is None and (client := current_client()) is not None:
        link, scheduler = _ByClient(client), f"client {client.id}"
    place = (key, scheduler)
    with _LOCK:
        tenancy = _TENANCIES.get(place)
        if tenancy is None or not tenancy.is_used:
            tenancy = _TENANCIES[place] = _Tenancy(place, ceiling, link)
        tenancy.runs += 1
        if isinstance(tenancy.link, _Cluster):
            tenancy.link.add(worker)
    tenancy.wake.set()
    return RunLimiter(tenancy)


class RunLimiter:
    """A run's access to the limiter of its process; made by :func:`limiter_for`."""

    def __init__(self, tenancy: _Tenancy) -> None:
        self._tenancy = tenancy
        self._limiter = tenancy.limiter
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
                self._tenancy.runs -= 1
        self._tenancy.wake.set()


def _current_worker() -> Any:
    """Return the Dask worker whose task this thread runs; None if it runs none."""
    try:
        return distributed.get_worker()
    except ValueError:
        return None


class _Local:
    """The way to an owner in this process."""

    broken = False
    owner_is_here = True

    def renew(self, key: str, member: str, ceiling: Ceiling, usage: Usage) -> Lease:
        return OWNERS.renew(key, member, ceiling, usage)


class _Cluster:
    """The way to an owner on the scheduler, through any of the workers in this process."""

    def __init__(self) -> None:
        self._workers: list[Any] = []
        self._installed = self._is_here = False

    @property
    def owner_is_here(self) -> bool:
        """Whether the scheduler is, or was, in this process: see ``QuotaPlugin``."""
        return self._is_here

    def add(self, worker: Any) -> None:
        """Add a worker through which the scheduler can be reached."""
        self._is_here = worker.scheduler.address.startswith("inproc://")
        if worker not in self._workers:
            self._workers = [*self._workers, worker]

    @property
    def broken(self) -> bool:
        """Whether all workers have ended."""
        self._workers = [w for w in self._workers if w.status not in _ENDED]
        return not self._workers

    def renew(self, key: str, member: str, ceiling: Ceiling, usage: Usage) -> Lease:
        worker = self._workers[0]
        message = {"key": key, "member": member, "where": worker.address}
        message |= {"ceiling": asdict(ceiling), "usage": asdict(usage)}
        installed, self._installed = self._installed, False
        if not installed:
            plugin = dumps(QuotaPlugin())
            register = "register_scheduler_plugin"
            _call(worker, register, plugin=plugin, name=PLUGIN, idempotent=True)
        answer = _call(worker, RENEW, **message)
        if answer is None:
            raise ConnectionError("the scheduler has lost its quotas; they are installed anew")
        self._installed = True
        return Lease(**answer)


class _ByClient:
    """The way to an owner on the scheduler, through a client: this process is not a worker.

    Parameters
    ----------
    client : Client
    """

    # What is asked while planning ends before the client does.
    owner_is_here = False

    def __init__(self, client: distributed.Client) -> None:
        self._client = client
        self._installed = False

    @property
    def broken(self) -> bool:
        """Whether the client is closed."""
        return self._client.status in ("closing", "closed")

    def renew(self, key: str, member: str, ceiling: Ceiling, usage: Usage) -> Lease:
        message = {"key": key, "member": member, "where": self._client.id}
        message |= {"ceiling": asdict(ceiling), "usage": asdict(usage)}
        installed, self._installed = self._installed, False
        if not installed:
            install(self._client)
        answer = _ask(self._client, RENEW, _TIMEOUT_S, **message)
        if answer is None:
            raise ConnectionError("the scheduler has lost its quotas; they are installed anew")
        self._installed = True
        return Lease(**answer)


class _Tenancy:
    """A process's membership in a quota: a limiter, and the thread that renews its lease."""

    def __init__(
        self, place: tuple[str, str], ceiling: Ceiling, link: _Local | _Cluster | _ByClient
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
            self.link = _Local()
        if not self.link.broken:
            self._renew(leaving=True)

    def _wanted(self) -> bool:
        with _LOCK:
            if self.link.broken and self.link.owner_is_here and self.limiter.in_flight:
                # The cluster is closed; the owner and the requests under way are still here.
                self.limiter.close()
                self._forget()
                self.link = _Local()
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
        if _TENANCIES.get(self._place) is self:
            del _TENANCIES[self._place]

    def _renew(self, leaving: bool = False) -> float:
        """Renew the lease; return the seconds until that is due again."""
        asked = time.monotonic()
        usage = self.limiter.next_usage(leaving)
        try:
            lease = self.link.renew(self._place[0], self._member, self._ceiling, usage)
        except Exception as error:
            # Whatever is wrong: the lease runs out, and then the limiter allows one request.
            if not (self._silent or leaving):
                logger.warning("the owner of the quota does not answer: %r", error)
            self._silent = True
            time.sleep(RENEW_S)
            return RENEW_S
        if self._silent:
            logger.info("the owner of the quota answers again")
            self._silent = False
        self._had_slots = self._had_slots or lease.slots > 0
        self.limiter.apply(lease, asked)
        return lease.renew


def _call(worker: Any, op: str, **message: Any) -> Any:
    """Call the scheduler through a worker's event loop, and return its answer."""
    done: concurrent.futures.Future[Any] = concurrent.futures.Future()
    tasks = []

    async def call() -> None:
        try:
            answer = await asyncio.wait_for(getattr(worker.scheduler, op)(**message), _TIMEOUT_S)
        except Exception as error:
            done.set_exception(error)
        except BaseException:  # the loop ends
            done.set_exception(ConnectionError("the worker is closing"))
            raise
        else:
            done.set_result(answer)

    # The coroutine is made in the loop: one made here would never be awaited if the loop has ended.
    loop = worker.loop.asyncio_loop
    loop.call_soon_threadsafe(lambda: tasks.append(loop.create_task(call())))
    return _result(done, worker)


def _result(done: concurrent.futures.Future[Any], worker: Any) -> Any:
    """Return what was answered; do not wait for a worker that has ended, whose loop may have."""
    end = time.monotonic() + 2 * _TIMEOUT_S
    while True:
        try:
            return done.result(_LOOK_S)
        except TimeoutError:
            if done.done() or worker.status in _ENDED or time.monotonic() > end:
                raise


def _ask(
    client: distributed.Client, op: str, timeout_s: float | None = None, **message: Any
) -> Any:
    """Return the scheduler's answer; without a time-out, whenever it comes."""

    async def ask() -> Any:
        return await getattr(client.scheduler, op)(**message)

    return client.sync(ask, callback_timeout=timeout_s)


_ENDED = (
    distributed.Status.closing,
    distributed.Status.closed,
    distributed.Status.failed,
    distributed.Status.stopped,
)
_TENANCIES: dict[tuple[str, str], _Tenancy] = {}
_LOCK = threading.Lock()

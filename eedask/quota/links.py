"""The ways from a process to the owner of its quota: within it, through a worker, or a client."""

from __future__ import annotations

import asyncio
import concurrent.futures
import time
from dataclasses import asdict
from typing import Any

import distributed
from distributed.protocol.pickle import dumps

from eedask.quota.messages import Ceiling, Lease, Usage
from eedask.quota.scheduler_plugin import OWNERS, PLUGIN, RENEW, QuotaPlugin

# Seconds to wait for the scheduler's answer, and between two looks whether it can still come.
_TIMEOUT_S, _LOOK_S = 5.0, 0.2
_ENDED = (
    distributed.Status.closing,
    distributed.Status.closed,
    distributed.Status.failed,
    distributed.Status.stopped,
)


def install(client: distributed.Client) -> None:
    """Register the plugin with the owners of quotas on a cluster's scheduler, unless it is there.

    Workers register it as well when it is missing, for instance after a restart of the scheduler.
    """
    client.register_plugin(QuotaPlugin(), name=PLUGIN)


class Local:
    """The way to an owner in this process."""

    broken = False
    owner_is_here = True

    def renew(self, key: str, member: str, ceiling: Ceiling, usage: Usage) -> Lease:
        """Tell the owner what a member used and wants; return its new lease."""
        return OWNERS.renew(key, member, ceiling, usage)


class Cluster:
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
        """Tell the owner what a member used and wants; return its new lease."""
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
            raise ConnectionError("the scheduler is a new one, and has to be told of the quota")
        self._installed = True
        return Lease(**answer)


class ByClient:
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
        """Tell the owner what a member used and wants; return its new lease."""
        message = {"key": key, "member": member, "where": self._client.id}
        message |= {"ceiling": asdict(ceiling), "usage": asdict(usage)}
        installed, self._installed = self._installed, False
        if not installed:
            install(self._client)
        answer = ask(self._client, RENEW, _TIMEOUT_S, **message)
        if answer is None:
            raise ConnectionError("the scheduler is a new one, and has to be told of the quota")
        self._installed = True
        return Lease(**answer)


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


def ask(client: distributed.Client, op: str, timeout_s: float | None = None, **message: Any) -> Any:
    """Return the scheduler's answer; without a time-out, whenever it comes."""

    async def answer() -> Any:
        return await getattr(client.scheduler, op)(**message)

    return client.sync(answer, callback_timeout=timeout_s)

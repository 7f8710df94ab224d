"""The owners of all quotas of a process, and the plugin that puts them on Dask's scheduler.

No message holds a secret: a key names an endpoint and a project; the rest are counts.
"""

from __future__ import annotations

import threading
import time
from dataclasses import asdict
from typing import Any

import distributed

from eedask.quota.messages import Ceiling, Lease, Usage
from eedask.quota.owner import Clock, Owner

PLUGIN = "eedask-quota"
# Dask event topic under which totals are published.
TOPIC = "eedask-quota"
# Names of the handlers that the plugin adds to the scheduler.
RENEW, CEILING, SNAPSHOT = "eedask_quota_renew", "eedask_quota_ceiling", "eedask_quota_snapshot"
# Least seconds between two events with the totals of one quota.
PUBLISH_S = 1.0


class Owners:
    """One owner for each key. Safe for threads.

    Parameters
    ----------
    clock : callable
        Seconds, never going back.
    """

    def __init__(self, clock: Clock = time.monotonic) -> None:
        self._clock = clock
        self._owners: dict[str, Owner] = {}
        self._stated: set[str] = set()
        self._lock = threading.Lock()

    def set_ceiling(self, key: str, ceiling: Ceiling) -> None:
        """State the ceiling of a quota. The last one stated holds, for all members."""
        with self._lock:
            self._stated.add(key)
            self._owner(key, ceiling).set_ceiling(ceiling)

    def renew(self, key: str, member: str, ceiling: Ceiling, usage: Usage) -> Lease:
        """Take a member's message and return its lease.

        Parameters
        ----------
        key : str
            Names the quota.
        member : str
            Names the member.
        ceiling : Ceiling
            The ceiling that the member was started with. If none was stated by
            :meth:`set_ceiling`, that of the member that joined last holds.
        usage : Usage
        """
        with self._lock:
            owner = self._owner(key, ceiling)
            if key not in self._stated and not owner.knows(member) and owner.ceiling != ceiling:
                owner.set_ceiling(ceiling)
            return owner.renew(member, usage)

    def remove(self, key: str, member: str) -> None:
        """Note that a member is gone; see :meth:`Owner.remove`."""
        with self._lock:
            if key in self._owners:
                self._owners[key].remove(member)

    def snapshot(self, key: str) -> dict[str, Any] | None:
        """Return the state of a quota, see :meth:`Owner.snapshot`; None if it has no owner."""
        with self._lock:
            return self._owners[key].snapshot() if key in self._owners else None

    def keys(self) -> list[str]:
        """Return the keys of all quotas."""
        with self._lock:
            return list(self._owners)

    def _owner(self, key: str, ceiling: Ceiling) -> Owner:
        if key not in self._owners:
            self._owners[key] = Owner(ceiling, self._clock)
        return self._owners[key]


# The owners in this process, for runs without a cluster and for clusters wholly within the process.
OWNERS = Owners()


class QuotaPlugin(distributed.SchedulerPlugin):  # type: ignore[misc]
    """Owns the quotas of a cluster, on its scheduler.

    Clients and workers may register it again: the first one stays. The totals of each quota are
    published as events of the topic ``eedask-quota``.
    """

    name = PLUGIN
    idempotent = True

    def start(self, scheduler: Any) -> None:
        """Add the handlers to the scheduler."""
        self._scheduler = scheduler
        # A cluster within this process shares its quota with runs without a cluster.
        self.owners = OWNERS if scheduler.address.startswith("inproc://") else Owners()
        self._where: dict[tuple[str, str], str] = {}
        self._published: dict[str, float] = {}
        scheduler.handlers.update(
            {RENEW: self._renew, CEILING: self._ceiling, SNAPSHOT: self.snapshot}
        )

    def remove_worker(self, scheduler: Any, worker: str, **_: Any) -> None:
        """Note that the members on a worker are gone, as the worker has left."""
        self._remove(worker)

    def remove_client(self, scheduler: Any, client: str, **_: Any) -> None:
        """Note that the members of a client are gone, as the client has left."""
        self._remove(client)

    async def close(self) -> None:
        """Note that all members are gone: the owners may outlive a cluster within this process."""
        for where in set(self._where.values()):
            self._remove(where)

    def snapshot(self, key: str | None = None) -> dict[str, Any]:
        """Return the state of one quota, or of all, by key.

        Each is as :meth:`Owner.snapshot` gives it, and each member has its place added as
        ``worker``: a worker's address, or the id of a client.
        """
        found = {}
        for each in self.owners.keys() if key is None else [key]:
            state = self.owners.snapshot(each)
            if state is not None:
                for name, member in state["members"].items():
                    member["worker"] = self._where.get((each, name))
                found[each] = state
        return found

    def _remove(self, where: str) -> None:
        for key, member in [m for m, place in self._where.items() if place == where]:
            self.owners.remove(key, member)
            del self._where[key, member]

    def _ceiling(self, key: str, ceiling: dict[str, Any]) -> None:
        self.owners.set_ceiling(key, Ceiling(**ceiling))

    def _renew(
        self, key: str, member: str, where: str, ceiling: dict[str, Any], usage: dict[str, Any]
    ) -> dict[str, Any]:
        heard = Usage(**usage)
        lease = self.owners.renew(key, member, Ceiling(**ceiling), heard)
        if heard.leaving:
            self._where.pop((key, member), None)
        else:
            self._where[key, member] = where
        self._publish(key)
        return asdict(lease)

    def _publish(self, key: str) -> None:
        now = time.monotonic()
        if now - self._published.get(key, float("-inf")) >= PUBLISH_S:
            self._published[key] = now
            state = self.owners.snapshot(key) or {}
            state["members"] = len(state.get("members", ()))
            self._scheduler.log_event(TOPIC, {"key": key, **state})

"""The owners of quotas in one place, and the plugin that puts them on Dask's scheduler.

Nothing secret goes through here: a key names an endpoint and a project, the rest are counts.
"""

from __future__ import annotations

import threading
import time
from dataclasses import asdict
from typing import Any

import distributed

from eedask.quota.messages import Ceiling, Lease, Report
from eedask.quota.owner import Clock, Owner

PLUGIN = "eedask-quota"
# Dask event topic of the totals.
TOPIC = "eedask-quota"
# Names of the calls that the scheduler answers.
RENEW, CEILING, SNAPSHOT = "eedask_quota_renew", "eedask_quota_ceiling", "eedask_quota_snapshot"
# Seconds between two events of the totals of one quota, at least.
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
        """State the ceiling of a quota; the last statement holds for all."""
        with self._lock:
            self._stated.add(key)
            self._owner(key, ceiling).set_ceiling(ceiling)

    def renew(self, key: str, member: str, ceiling: Ceiling, report: Report) -> Lease:
        """Hear a report and return the lease.

        ``ceiling`` is what the member was started with. Where none was stated, that of the
        member who came last counts.
        """
        with self._lock:
            owner = self._owner(key, ceiling)
            if key not in self._stated and not owner.knows(member) and owner.ceiling != ceiling:
                owner.set_ceiling(ceiling)
            return owner.renew(member, report)

    def remove(self, key: str, member: str) -> None:
        """Take a member for gone."""
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


# Those of this process: of what it sends without a cluster, and with one that is all within it.
OWNERS = Owners()


class QuotaPlugin(distributed.SchedulerPlugin):  # type: ignore[misc]
    """Owns the quotas of a cluster, on its scheduler.

    Idempotent: whoever registers it again, client or worker, finds what is there. Totals of
    each quota are published as events of the topic ``eedask-quota``.
    """

    name = PLUGIN
    idempotent = True

    def start(self, scheduler: Any) -> None:
        """Begin to answer."""
        self._scheduler = scheduler
        # One quota for all that this process sends, whether or not a cluster within it sends it.
        self.owners = OWNERS if scheduler.address.startswith("inproc://") else Owners()
        self._where: dict[tuple[str, str], str] = {}
        self._published: dict[str, float] = {}
        scheduler.handlers.update(
            {RENEW: self._renew, CEILING: self._ceiling, SNAPSHOT: self.snapshot}
        )

    def remove_worker(self, scheduler: Any, worker: str, **_: Any) -> None:
        """Take the members on a worker for gone."""
        for key, member in [m for m, address in self._where.items() if address == worker]:
            self.owners.remove(key, member)
            del self._where[key, member]

    def snapshot(self, key: str | None = None) -> dict[str, Any]:
        """Return the state of one quota or all, by key; each member says on which worker it is."""
        found = {}
        for each in self.owners.keys() if key is None else [key]:
            state = self.owners.snapshot(each)
            if state is not None:
                for name, member in state["members"].items():
                    member["worker"] = self._where.get((each, name))
                found[each] = state
        return found

    def _ceiling(self, key: str, ceiling: dict[str, Any]) -> None:
        self.owners.set_ceiling(key, Ceiling(**ceiling))

    def _renew(
        self, key: str, member: str, where: str, ceiling: dict[str, Any], report: dict[str, Any]
    ) -> dict[str, Any]:
        heard = Report(**report)
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

"""The plugin of Dask's scheduler that keeps the states of all runs of a cluster."""

from __future__ import annotations

import itertools
import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import astuple
from types import MappingProxyType
from typing import Any

import distributed

from eedask.quota.scheduler_plugin import PLUGIN as QUOTA
from eedask.watching import http, log_line, metrics
from eedask.watching.compute import Compute
from eedask.watching.messages import Beginning
from eedask.watching.reporter import TOPIC
from eedask.watching.run_state import Limits, RunState

logger = logging.getLogger("eedask")

PLUGIN = "eedask-watching"
# Names of the handlers that the plugin adds to the scheduler.
BEGIN, END = "eedask_watching_begin", "eedask_watching_end"
# Least seconds between two messages to the client that started a run.
TELL_S = 0.1
# The most runs that are remembered after they have ended.
_REMEMBERED = 20


def topic_of(run_id: str) -> str:
    """Return the Dask event topic on which the status of a run is sent to its client."""
    return f"eedask-{run_id}"


class WatchingPlugin(distributed.SchedulerPlugin):  # type: ignore[misc]
    """Adds up the counts of all runs, and serves them on the dashboard.

    If clients register it again, the first instance stays.

    Attributes
    ----------
    runs : dict of str to RunState
        By id, in the order in which they began.
    """

    name = PLUGIN
    idempotent = True

    def start(self, scheduler: Any) -> None:
        """Add the handlers to the scheduler, and the status and the page to its dashboard."""
        self._scheduler = scheduler
        self.runs: dict[str, RunState] = {}
        self._clients: dict[str, str] = {}
        self._told: dict[str, float] = {}
        self._numbers = itertools.count()
        scheduler.handlers.update({BEGIN: self._begin, END: self._end})
        metrics.add(self)
        self._trouble = http.serve(self, scheduler)

    async def close(self) -> None:
        """Stop serving metrics."""
        metrics.remove(self)

    def log_event(self, topic: str, msg: Any) -> None:
        """Take a message of a process. Messages of runs that were not announced are ignored."""
        if topic == TOPIC and (run := self.runs.get(msg["run"])) is not None:
            went_on = run.goes_on
            run.hear(msg)
            if went_on and not run.goes_on:
                log_line.log(run)
            run.sample_if_due(self.limits(run))
            self._tell(run)

    def remove_worker(self, scheduler: Any, worker: str, **_: Any) -> None:
        """Note that a worker has left: its requests are not under way any more."""
        for run in self.runs.values():
            run.lose(worker)
            self._tell(run)

    def remove_client(self, scheduler: Any, client: str, **_: Any) -> None:
        """End the runs of a client that has left without ending them."""
        for run_id, one in list(self._clients.items()):
            if one == client:
                self._end(run_id, "the program that had started it is gone")

    def status(self) -> list[dict[str, Any]]:
        """Return all runs as ``/eedask/status.json`` has them."""
        self.refresh()
        return [run.status(self.limits(run)) for run in self.runs.values()]

    def refresh(self) -> None:
        """Bring the runs' series up to date."""
        for run in self.runs.values():
            run.sample_if_due(self.limits(run))

    def limits(self, run: RunState) -> Limits:
        """Return how many requests the quota of a run allows at once just now."""
        quota = self._scheduler.plugins.get(QUOTA)
        state = None if quota is None else quota.owners.snapshot(run.beginning.quota)
        return Limits() if state is None else Limits(state["limit"], state["concurrency"])

    def name_of(self, worker: str) -> str:
        """Return what a worker is called, by its address."""
        known = self._scheduler.workers.get(worker)
        return str(worker if known is None else known.name)

    def _tell(self, run: RunState) -> None:
        """Send a run's status to its client, unless that was done less than ``TELL_S`` ago.

        When the last item is done, the status is sent in any case.
        """
        now, (id_, total) = time.monotonic(), (run.beginning.run_id, run.beginning.total)
        if run.goes_on and (now - self._told.get(id_, 0.0) >= TELL_S or run.done == total):
            self._told[id_] = now
            costs = {member: astuple(cost) for member, cost in run.computes.items()}
            told = {"status": run.status(self.limits(run)), "computes": costs}
            self._scheduler.log_event(topic_of(id_), {**told, "restricted": run.restricted})

    def _begin(self, whose: str, run: Mapping[str, Any]) -> str | None:
        """Note that a run begins; return why the dashboard's page is missing, or None."""
        beginning = Beginning(**{**run, "points": tuple(map(tuple, run["points"]))})
        self.runs[beginning.run_id] = RunState(beginning, next(self._numbers))
        self._clients[beginning.run_id] = whose
        over = [run_id for run_id, known in self.runs.items() if not known.goes_on]
        for run_id in over[: max(0, len(over) - _REMEMBERED)]:
            del self.runs[run_id]
            self._told.pop(run_id, None)
        return self._trouble

    def _end(
        self,
        run_id: str,
        reason: str | None,
        computes: Mapping[str, Sequence[float]] = MappingProxyType({}),
    ) -> None:
        if run_id in self._clients:
            del self._clients[run_id]
            run = self.runs[run_id]
            if run.goes_on:
                run.end(reason, {member: Compute(*cost) for member, cost in computes.items()})
                log_line.log(run)


def complete(scheduler: Any) -> None:
    """Add the page to a scheduler whose dashboard was started after the plugin.

    Nothing happens if the scheduler does not have the plugin.
    """
    plugin = scheduler.plugins.get(PLUGIN)
    if plugin is not None:
        http.add_page(plugin, scheduler)

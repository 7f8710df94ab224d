"""A Dask cluster in this process, for users who have none.

Its dashboard is loaded when it is first opened in a browser: it imports Bokeh, which takes longer
than everything else before a run's first request.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import logging
from collections.abc import Callable, Iterator
from typing import Any

import distributed
from tornado import web

from eedask.run.profiler import without_profiler
from eedask.watching.scheduler_plugin import complete


@contextlib.contextmanager
def own_cluster(threads: int, tell: Callable[[str], None]) -> Iterator[distributed.Client]:
    """Yield a client of a cluster with one worker, all in this process.

    No interpreter is started, so that scripts need no ``if __name__ == "__main__"``.

    Parameters
    ----------
    threads : int
        Dask tasks that the worker runs at once.
    tell : callable
        Called with a line of text that has the address of the dashboard.
    """
    with _quiet_dask():
        with without_profiler():
            cluster = distributed.LocalCluster(
                n_workers=1,
                threads_per_worker=threads,
                processes=False,
                dashboard_address="127.0.0.1:0",
                scheduler_kwargs={"dashboard": False},
            )
        _add_late_dashboard(cluster.scheduler)
        with cluster, distributed.Client(cluster, set_as_default=False) as client:
            port = cluster.scheduler_info["services"]["dashboard"]
            tell(f"Dask cluster in this process; dashboard at http://127.0.0.1:{port}/status")
            yield client


@contextlib.contextmanager
def _quiet_dask() -> Iterator[None]:
    """Return a context in which Dask logs warnings only, unless the user has set another level.

    Its `silence_logs` works on its own handler alone, which it does not have where the program has
    called ``logging.basicConfig``.
    """
    dask = logging.getLogger("distributed")
    is_default = dask.level == logging.INFO
    if is_default:
        dask.setLevel(logging.WARNING)
    try:
        yield
    finally:
        if is_default:
            dask.setLevel(logging.INFO)


def _add_late_dashboard(scheduler: distributed.Scheduler) -> None:
    """Let the first request for a page of the dashboard load it."""
    pages = web.Application([(r".*", _FirstLook, {"scheduler": scheduler})])
    scheduler.http_application.add_application(pages)


class _FirstLook(web.RequestHandler):
    """Replaces its own web application by the dashboard, and redirects the browser to it."""

    def initialize(self, scheduler: Any) -> None:
        self._scheduler = scheduler

    async def get(self) -> None:
        """Load the dashboard, unless another request has done that meanwhile."""
        module = "distributed.dashboard.scheduler"
        dashboard = await asyncio.to_thread(importlib.import_module, module)
        server = self._scheduler
        here = server.http_application.applications
        if self.application in here:
            here.remove(self.application)
            dashboard.connect(server.http_application, server.http_server, server, prefix="")
            complete(server)
        self.redirect(self.request.uri or "/")

"""Adds ``/eedask/status.json`` and the page about runs to a scheduler's dashboard."""

from __future__ import annotations

import logging
import sys
from typing import Any

from tornado import web

logger = logging.getLogger("eedask")

# With any prefix, as a dashboard may be served under one.
_STATUS = r"(?:/.*)?/eedask/status\.json"
_DASHBOARD = "distributed.dashboard.scheduler"


class _Status(web.RequestHandler):
    def initialize(self, runs: Any) -> None:
        self._runs = runs

    def get(self) -> None:
        self.set_header("Cache-Control", "no-store")
        self.write({"runs": self._runs.status()})


def serve(plugin: Any, scheduler: Any) -> str | None:
    """Add the status and the page to a scheduler's dashboard; return why that failed, or None.

    A scheduler without a dashboard gets no page, which is not a failure. Errors are never raised:
    the parts of Dask that are used here are not public, and may change with any release.
    """
    try:
        scheduler.http_application.add_handlers(r".*$", [(_STATUS, _Status, {"runs": plugin})])
        add_page(plugin, scheduler)
    except Exception as error:
        logger.debug("the dashboard's page is missing", exc_info=True)
        return f"{type(error).__name__}: {error}"
    return None


def add_page(plugin: Any, scheduler: Any) -> None:
    """Add the page to a scheduler's dashboard, if the scheduler has one by now."""
    # The page imports Bokeh, which takes seconds, so it waits until a dashboard has imported it.
    if _DASHBOARD in sys.modules:
        from eedask.watching import page

        page.add(plugin, scheduler)

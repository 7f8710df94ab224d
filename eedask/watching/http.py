"""What a scheduler's dashboard serves of runs: ``/eedask/status.json``, and a page."""

from __future__ import annotations

import logging
import sys
from typing import Any

from tornado import web

logger = logging.getLogger("eedask")

# Whatever stands before: a dashboard may be served under a prefix.
_STATUS = r"(?:/.*)?/eedask/status\.json"
_DASHBOARD = "distributed.dashboard.scheduler"


class _Status(web.RequestHandler):
    def initialize(self, runs: Any) -> None:
        self._runs = runs

    def get(self) -> None:
        self.set_header("Cache-Control", "no-store")
        self.write({"runs": self._runs.status()})


def serve(plugin: Any, scheduler: Any) -> str | None:
    """Add to a scheduler's dashboard what it serves of runs; return why that failed, if it did.

    Without a dashboard there is no page, and nothing is wrong. Whatever a release of Dask has
    changed, no error comes of it.
    """
    try:
        scheduler.http_application.add_handlers(r".*$", [(_STATUS, _Status, {"runs": plugin})])
        add_page(plugin, scheduler)
    except Exception as error:
        logger.debug("the dashboard's page is missing", exc_info=True)
        return f"{type(error).__name__}: {error}"
    return None


def add_page(plugin: Any, scheduler: Any) -> None:
    """Add the page to a scheduler's dashboard, if that is there by now."""
    # The page imports Bokeh, which takes seconds: not before a dashboard has done so.
    if _DASHBOARD in sys.modules:
        from eedask.watching import page

        page.add(plugin, scheduler)

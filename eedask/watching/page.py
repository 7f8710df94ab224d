"""Adds the page "Earth Engine" to the dashboard of a Dask scheduler.

It uses parts of Dask's dashboard that are not public. If they have changed and an error comes of
it, :mod:`eedask.watching.http` goes on without a page.
"""

from __future__ import annotations

from functools import partial
from importlib import resources
from typing import Any

from bokeh.server.tornado import BokehTornado
from distributed.dashboard.components.scheduler import BOKEH_THEME, env
from distributed.dashboard.core import BokehApplication
from distributed.dashboard.scheduler import template_variables
from distributed.http.scheduler.info import IndividualPlots
from tornado import web
from tornado.ioloop import IOLoop

from eedask.watching.plots import PARTS, Part, Runs

PAGE = "/eedask"
# The name in the navigation bar, from which Dask makes both the link and its title.
_IN_BAR = "earth engine"
# Milliseconds between two updates of the page.
_EVERY_MS = 1000
# Bokeh's canvases do not follow style sheets. The dark theme inverts the light one; turning hues by
# half a circle gives every colour its own hue back.
_DARK = """
@media (prefers-color-scheme: dark) {
  html { background: #FAFAFA; filter: invert(0.92) hue-rotate(180deg); }
}
"""


def add(plugin: Runs, scheduler: Any) -> None:
    """Add page and single plots to a scheduler's dashboard, if it has one and they are not there.

    Parameters
    ----------
    plugin : Runs
    scheduler : distributed.Scheduler
    """
    served = scheduler.http_application
    boards = [app for app in served.applications if isinstance(app, BokehTornado)]
    if not boards or any(PAGE in board.app_paths for board in boards):
        return
    alone = {f"/individual-earth-engine-{name}": name for name in PARTS}
    pages = {url: partial(_alone, plugin, name) for url, name in alone.items()}
    shared = template_variables(scheduler)
    board = BokehApplication(
        {PAGE: partial(_page, plugin), **pages},
        scheduler,
        prefix=boards[0].prefix,
        template_variables=shared,
    )
    served.add_application(board)
    board.initialize(IOLoop.current())
    board.start()
    named = {url.strip("/").replace("-", " ").title(): url for url in alone}
    plots = {"dask_server": scheduler, "more": named}
    link = rf"(?:/.*)?/{_IN_BAR.replace(' ', '%20')}"
    served.add_handlers(
        r".*$",
        [
            (r"(?:/.*)?/individual-plots\.json", _Plots, plots),
            (link, web.RedirectHandler, {"url": PAGE.strip("/"), "permanent": False}),
        ],
    )
    shared["pages"].insert(1, _IN_BAR)
    shared["plots"] += [
        {"url": url.strip("/"), "name": name.removeprefix("Individual ")}
        for name, url in named.items()
    ]


class _Plots(IndividualPlots):  # type: ignore[misc]
    """Lists the plots that have a page of their own: Dask's, and those of eedask."""

    def initialize(self, more: dict[str, str], dask_server: Any) -> None:
        super().initialize(dask_server=dask_server)
        self._more = more

    def write(self, chunk: dict[str, str]) -> None:
        super().write({**chunk, **self._more})


def _page(plugin: Runs, _: Any, extra: dict[str, Any], doc: Any) -> None:
    """Fill a document with all parts, in the frame of Dask's own pages."""
    parts = {name: make(plugin) for name, make in PARTS.items()}
    for name, part in parts.items():
        part.root.name = name.replace("-", "_")
    _follow(plugin, list(parts.values()), doc)
    doc.title = "Dask: Earth Engine"
    doc.template = env.from_string(resources.files(__package__).joinpath("page.html").read_text())
    doc.template_variables.update(extra, dark=_DARK)


def _alone(plugin: Runs, name: str, _: Any, extra: dict[str, Any], doc: Any) -> None:
    """Fill a document with one part."""
    _follow(plugin, [PARTS[name](plugin)], doc)
    doc.title = f"Dask: Earth Engine, {name}"
    doc.template = f"{{% block postamble %}}<style>{_DARK}</style>{{% endblock %}}"


def _follow(plugin: Runs, parts: list[Part], doc: Any) -> None:
    def update() -> None:
        plugin.refresh()
        for part in parts:
            part.update()

    update()
    for part in parts:
        doc.add_root(part.root)
    doc.theme = BOKEH_THEME
    doc.add_periodic_callback(update, _EVERY_MS)

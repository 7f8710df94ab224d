"""The parts of the dashboard's page, each a Bokeh model that follows the runs of a scheduler."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from bokeh.models import (
    AdaptiveTicker,
    ColumnDataSource,
    DataRange1d,
    Div,
    FactorRange,
    Legend,
    LegendItem,
    NumeralTickFormatter,
    Title,
)
from bokeh.plotting import figure

from eedask.watching import map_sample
from eedask.watching.run_state import SERIES_S, RunState
from eedask.watching.tables import CSS, colour_of, failures_table, runs_table

# The most runs that are shown at once.
_MOST_RUNS = 6
# Workers that have a bar of their own.
_MOST_WORKERS = 12
# Milliseconds that an axis of time shows before there are two points.
_LEAST_SPAN_MS = 10_000
_DASHES = ("solid", "dashed", "dotted")
_STATES = {
    map_sample.WAITING: "#BBBBBB",
    map_sample.UNDER_WAY: "#56B4E9",
    map_sample.DONE: "#009E73",
    map_sample.FAILED: "#D55E00",
}


class Runs(Protocol):
    """Knows of runs; see :class:`eedask.watching.scheduler_plugin.WatchingPlugin`."""

    @property
    def runs(self) -> dict[str, RunState]:
        """All runs, by id."""

    def refresh(self) -> None:
        """Bring the runs' series up to date."""

    def name_of(self, worker: str) -> str:
        """Return what a worker is called, by its address."""


class Part(Protocol):
    """A part of the page."""

    root: Any

    def update(self) -> None:
        """Bring it up to date."""


def shown(plugin: Runs) -> list[RunState]:
    """Return the runs that are shown: first those that have not ended, the latest of them first."""
    latest = sorted(plugin.runs.values(), key=lambda run: -run.number)
    return sorted(latest, key=lambda run: not run.goes_on)[:_MOST_RUNS]


class Text:
    """A part that is HTML.

    Parameters
    ----------
    plugin : Runs
    html : callable
        Returns the HTML of the runs that are shown.
    """

    def __init__(self, plugin: Runs, html: Callable[[Sequence[RunState]], str]) -> None:
        self._plugin, self._html = plugin, html
        self.root = Div(stylesheets=[CSS], sizing_mode="stretch_width")

    def update(self) -> None:
        """Write it anew, if it has changed."""
        if (text := self._html(shown(self._plugin))) != self.root.text:
            self.root.text = text


class Lines:
    """A part with lines over time, for each run in its colour.

    Parameters
    ----------
    plugin : Runs
    title : str
    fields : sequence of str
        Of :class:`~eedask.watching.run_state.Point`: the solid line, the dashed, the dotted.
    unit : str
        Format of the axis, as of ``NumeralTickFormatter``.
    """

    def __init__(self, plugin: Runs, title: str, fields: Sequence[str], unit: str = "0,0.[0]"):
        self._plugin, self._fields = plugin, fields
        self.root = _figure(
            title,
            x_axis_type="datetime",
            x_range=DataRange1d(
                follow="end",
                follow_interval=1e3 * SERIES_S,
                range_padding=0,
                default_span=_LEAST_SPAN_MS,
            ),
            y_range=DataRange1d(start=0, only_visible=True),
        )
        self.root.yaxis.formatter = NumeralTickFormatter(format=unit)
        if unit.endswith("b"):
            self.root.yaxis.ticker = AdaptiveTicker(base=2, mantissas=[1])  # whole KiB and MiB
        self.root.xaxis.ticker.desired_num_ticks = 4
        self._sources = []
        for dash in _DASHES[: len(fields)]:
            source = ColumnDataSource({"x": [], "y": [], "colour": []})
            self._sources.append(source)
            self.root.multi_line(
                "x", "y", line_color="colour", line_dash=dash, line_width=2, source=source
            )

    def update(self) -> None:
        """Draw the points that the runs have now."""
        runs = shown(self._plugin)
        self.root.visible = bool(runs)
        xs = [[point.at for point in run.series] for run in runs]
        colours = [colour_of(run) for run in runs]
        for source, name in zip(self._sources, self._fields, strict=True):
            ys = [[_number(getattr(point, name)) for point in run.series] for run in runs]
            source.data = {"x": xs, "y": ys, "colour": colours}


class Workers:
    """A part with a bar for each worker: its share of the requests of the runs that are shown."""

    def __init__(self, plugin: Runs) -> None:
        self._plugin = plugin
        self.root = _figure(
            "Requests by worker", y_range=FactorRange(), x_range=DataRange1d(start=0)
        )
        self.root.xaxis.formatter = NumeralTickFormatter(format="0%")
        self.root.ygrid.visible = False
        self._source = ColumnDataSource({"worker": [], "left": [], "right": [], "colour": []})
        self.root.hbar(
            y="worker", left="left", right="right", height=0.7, color="colour", source=self._source
        )

    def update(self) -> None:
        """Draw a bar for each worker, the busiest first."""
        runs = shown(self._plugin)
        self.root.visible = bool(runs)
        requests: defaultdict[str, dict[str, int]] = defaultdict(dict)
        for run in runs:
            for where, counts in run.members.values():
                of_worker = requests[self._plugin.name_of(where)]
                colour = colour_of(run)
                of_worker[colour] = of_worker.get(colour, 0) + counts.requests
        busiest = sorted(requests.items(), key=lambda item: -sum(item[1].values()))
        total = sum(sum(of_worker.values()) for of_worker in requests.values())
        rows = [
            (worker, *bar)
            for worker, of_worker in _grouped(busiest)
            for bar in _stacked(of_worker, max(1, total))
        ]
        names = list(dict.fromkeys(worker for worker, *_ in rows))
        if self.root.y_range.factors != names[::-1]:
            self.root.y_range.factors = names[::-1]
        columns = list(zip(*rows, strict=True)) or [()] * 4
        self._source.data = dict(
            zip(("worker", "left", "right", "colour"), map(list, columns), strict=True)
        )


class Map:
    """A part with a map of the items of the runs that are shown, coloured by their state."""

    def __init__(self, plugin: Runs) -> None:
        self._plugin = plugin
        self.root = _figure("Items", match_aspect=True)
        self.root.xaxis.axis_label, self.root.yaxis.axis_label = "longitude", "latitude"
        self.root.xaxis.ticker = AdaptiveTicker(desired_num_ticks=5)
        self._sources, keys = {}, []
        for state, colour in _STATES.items():
            source = self._sources[state] = ColumnDataSource({"x": [], "y": []})
            dots = self.root.scatter(
                "x", "y", size=5, fill_color=colour, line_color=None, source=source
            )
            keys.append(LegendItem(label=state, renderers=[dots]))
        legend = Legend(items=keys, orientation="horizontal", location="center")
        legend.border_line_color = None
        legend.background_fill_color = None
        self.root.add_layout(legend, "below")

    def update(self) -> None:
        """Move the items whose state has changed to their new colour."""
        runs = shown(self._plugin)
        runs = [run for run in runs if run.goes_on] or runs[:1]
        self.root.visible = bool(runs)
        # The first point lies nowhere: without any point, the legend would have no dot.
        places = {state: ([math.nan], [math.nan]) for state in _STATES}
        for run in runs:
            for x, y, state in run.points.values():
                places[state][0].append(x)
                places[state][1].append(y)
        for state, (xs, ys) in places.items():
            data = {"x": xs, "y": ys}
            if self._sources[state].data != data:
                self._sources[state].data = data
        of = sum(run.beginning.total for run in runs)
        count = sum(len(run.points) for run in runs)
        self.root.title.text = "Items" if count == of else f"Items: {count:,} of {of:,}"


# The parts of the page. Each is also a plot of its own, under the same name.
PARTS: dict[str, Callable[[Runs], Part]] = {
    "runs": lambda plugin: Text(plugin, runs_table),
    "requests": lambda plugin: Lines(
        plugin,
        "Requests a second; dashed: throttled; dotted: retries",
        ("requests_per_s", "throttled_per_s", "retries_per_s"),
    ),
    "in-flight": lambda plugin: Lines(
        plugin,
        "Requests in flight; dashed: the limit now; dotted: the ceiling",
        ("in_flight", "limit", "ceiling"),
    ),
    "latency": lambda plugin: Lines(
        plugin,
        "Latency in seconds: median; dashed: 95 %; dotted: 99 %",
        ("median", "p95", "p99"),
        "0.0[0] a",
    ),
    "bytes": lambda plugin: Lines(plugin, "Bytes a second", ("bytes_per_s",), "0.[0] b"),
    "workers": Workers,
    "map": Map,
    "failures": lambda plugin: Text(plugin, failures_table),
}


def _figure(title: str, **options: Any) -> Any:
    heading = Title(text=title, text_font_size="13px", text_font_style="normal")
    made = figure(
        title=heading, tools="", toolbar_location=None, sizing_mode="stretch_both", **options
    )
    made.min_border_right = 15
    made.axis.minor_tick_line_color = None
    return made


def _number(value: float | None) -> float:
    return math.nan if value is None else float(value)


def _grouped(busiest: list[tuple[str, dict[str, int]]]) -> list[tuple[str, dict[str, int]]]:
    """Return the requests of the busiest workers, and those of all others together as one entry."""
    if len(busiest) <= _MOST_WORKERS:
        return busiest
    rest = busiest[_MOST_WORKERS - 1 :]
    sums: defaultdict[str, int] = defaultdict(int)
    for _, of_worker in rest:
        for colour, count in of_worker.items():
            sums[colour] += count
    return [*busiest[: _MOST_WORKERS - 1], (f"{len(rest)} others", dict(sums))]


def _stacked(of_worker: dict[str, int], total: int) -> list[tuple[float, float, str]]:
    """Return left end, right end and colour of each piece of a worker's bar."""
    left, pieces = 0.0, []
    for colour, count in of_worker.items():
        pieces.append((left, left + count / total, colour))
        left += count / total
    return pieces

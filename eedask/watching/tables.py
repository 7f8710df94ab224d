"""Tables of runs and of their failures as HTML. All text that comes from outside is escaped."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

from dask.utils import format_bytes

from eedask.watching.meter import sum_of
from eedask.watching.run_state import FINISHED, RUNNING, STOPPED, THROTTLED, WAITING, RunState

# The colours of runs, in the order in which they are shown. They are those of Okabe and Ito, which
# colour-blind people can tell apart.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00")
_BADGES = {
    WAITING: "#666666",
    RUNNING: "#0072B2",
    THROTTLED: "#B8860B",
    FINISHED: "#2E7D32",
    STOPPED: "#B3261E",
}
_DONE, _FAILED, _LEFT = "#009E73", "#D55E00", "#DDDDDD"
# The most kinds of failures that are listed of one run.
_MOST_KINDS = 8

CSS = """
:host { font: 14px Helvetica, Arial, sans-serif; width: 100%; overflow-x: auto; }
.bk-clearfix { width: 100%; }
table { border-collapse: collapse; width: 100%; }
th { text-align: left; font-weight: normal; color: #666; padding: 2px 10px 2px 0;
     white-space: nowrap; }
td { padding: 4px 10px 4px 0; border-top: 1px solid #DDD; vertical-align: top; }
td[colspan] { border-top: 0; padding-top: 0; }
td:first-child { min-width: 110px; }
td.number, th.number { text-align: right; white-space: nowrap; }
.key { display: inline-block; width: 10px; height: 10px; border-radius: 2px; margin-right: 6px; }
.badge { color: white; border-radius: 3px; padding: 1px 6px; font-size: 12px; white-space: nowrap; }
.bar { display: flex; height: 8px; min-width: 90px; border-radius: 4px; overflow: hidden;
       margin-top: 3px; }
.words { overflow-wrap: anywhere; }
.quiet { color: #666; }
p { margin: 4px 0; }
@media (max-width: 900px) {
  :host { font-size: 13px; }
  th, td { padding-right: 6px; }
  td:first-child { min-width: 90px; }
  td.number .quiet { white-space: normal; }
}
"""


def colour_of(run: RunState) -> str:
    """Return the colour of a run, which is the same wherever it is shown."""
    return COLOURS[run.number % len(COLOURS)]


def runs_table(runs: Sequence[RunState]) -> str:
    """Return a table of runs, in their order; a run's colour is that of its lines in the plots."""
    if not runs:
        return (
            "<p>No run yet. One that is started with this cluster's client is shown here:"
            " <code>plan.run()</code>.</p>"
        )
    heads = (
        *("run", "", "items", "left", "requests/s", "in flight", "throttled", "retries", "bytes"),
        "EECU",
    )
    cells = "".join(
        f"<th{'' if number < 3 else ' class=number'}>{head}</th>"
        for number, head in enumerate(heads)
    )
    rows = "".join(map(_run_row, runs))
    return f"<table><tr>{cells}</tr>{rows}</table>"


def failures_table(runs: Sequence[RunState]) -> str:
    """Return a table of the kinds of failures, each with an item's id and Earth Engine's words."""
    rows = [
        f"<tr><td>{_key(run)}{escape(kind)}</td><td class=number>{count:,}</td>"
        f"<td class=words>{escape(run.examples.get(kind, ('', ''))[0])}</td>"
        f"<td class=words>{escape(run.examples.get(kind, ('', ''))[1])}</td></tr>"
        for run in runs
        for kind, count in (+run.failures).most_common(_MOST_KINDS)
    ]
    if not rows:
        return "<p class=quiet>No item has failed.</p>" if runs else ""
    head = "<th>failures</th><th class=number>items</th><th>for example</th><th>because</th>"
    return f"<table><tr>{head}</tr>{''.join(rows)}</table>"


def _run_row(run: RunState) -> str:
    began = run.beginning
    sums = sum_of(counts for _, counts in run.members.values())
    folder = began.out.rstrip("/").rpartition("/")[2]
    reason = f"<tr><td class=words colspan=10>{escape(run.reason)}</td></tr>" if run.reason else ""
    numbers = (
        _left(run),
        *_now(run),
        f"{sums.throttled:,}",
        f"{sums.retries:,}",
        format_bytes(sums.nbytes),
        _cost(run),
    )
    return (
        f"<tr><td class=words title='{escape(began.out)}'>{_key(run)}{escape(began.verb)}"
        f" <b>{escape(folder)}</b></td>"
        f"<td><span class=badge style='background:{_BADGES[run.state]}'>{run.state}</span></td>"
        f"<td>{_items(run)}</td>"
        + "".join(f"<td class=number>{number}</td>" for number in numbers)
        + f"</tr>{reason}"
    )


def _now(run: RunState) -> tuple[str, str]:
    """Return requests a second and requests in flight; empty texts if the run has ended."""
    if not run.goes_on:
        return "", ""
    now = run.series[-1]
    in_flight = f"{run.in_flight}" if now.limit is None else f"{run.in_flight} of {now.limit}"
    if now.ceiling != now.limit:
        in_flight += f"<br><span class=quiet>of at most {now.ceiling}</span>"
    return f"{now.requests_per_s:,.1f}", in_flight


def _items(run: RunState) -> str:
    total, good = max(1, run.beginning.total), run.done - run.failed
    parts = ((good, _DONE), (run.failed, _FAILED), (run.beginning.total - run.done, _LEFT))
    bar = "".join(
        f"<span style='width:{100 * count / total:.2f}%;background:{colour}'></span>"
        for count, colour in parts
    )
    failed = f", {run.failed:,} of them failed" if run.failed else ""
    return f"{run.done:,} of {run.beginning.total:,} done{failed}<div class=bar>{bar}</div>"


def _left(run: RunState) -> str:
    left = f"{run.beginning.total - run.done:,}"
    if not run.goes_on:
        return f"{left}<br><span class=quiet>took {duration(run.took_s)}</span>"
    return (
        left if run.eta_s is None else f"{left}<br><span class=quiet>{duration(run.eta_s)}</span>"
    )


def _cost(run: RunState) -> str:
    """Return the EECU that a run has used, and its budget, if it has one."""
    used = "" if run.eecu_s is None else eecu(run.eecu_s)
    if run.beginning.max_eecu_s is None:
        return used
    budget = eecu(run.beginning.max_eecu_s)
    return f"{used or 'not known'}<br><span class=quiet>of at most {budget}</span>"


def eecu(seconds: float) -> str:
    """Return an amount of compute for people.

    Examples
    --------
    >>> eecu(0.25), eecu(90), eecu(5400)
    ('0.25 s', '90 s', '1.5 h')
    """
    return f"{seconds:,.3g} s" if seconds < 1000 else f"{seconds / 3600:,.3g} h"


def _key(run: RunState) -> str:
    return f"<span class=key style='background:{colour_of(run)}'></span>"


def duration(seconds: float) -> str:
    """Return a span of time for people.

    Examples
    --------
    >>> duration(42.4), duration(90), duration(8100)
    ('43 s', '2 min', '2 h 15 min')
    """
    if seconds < 60:
        return f"{math.ceil(seconds)} s"
    minutes = math.ceil(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"

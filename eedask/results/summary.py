"""Sums up a result in a few lines of text: what was done, what failed, how fast, what is left."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from eedask.dataset.rows import FAILED, is_done
from eedask.errors import printable
from eedask.results.reporting.markup import plural, size
from eedask.results.runs import RunFigures

# Characters of an error that are shown.
_MOST_WORDS = 240


def summary_text(
    path: str, total: int, outcomes: pa.Table, runs: Sequence[RunFigures], *, is_table: bool
) -> str:
    """Return the summary of a result.

    Parameters
    ----------
    path : str
        The folder of the dataset.
    total : int
        Number of items of the dataset.
    outcomes : Table
        A row for each item that is done or failed, as
        :meth:`eedask.dataset.dataset.Dataset.outcomes` returns it. It may have millions of rows.
    runs : sequence of RunFigures
        The runs in the order in which they began.
    is_table : bool
        Whether the results are rows of a table.
    """
    rows = outcomes.filter(is_done(outcomes))
    done = rows["id"]
    failed = outcomes.filter(pc.equal(outcomes["status"], FAILED)).to_pandas()
    received = size(pc.sum(outcomes["nbytes"]).as_py() or 0)
    ok = f"{len(done):,} ok"
    if without := len(done) - rows["error_kind"].null_count:
        ok += f" ({without:,} of them without an image)"
    counts = f"{ok}, {len(failed):,} failed, {received}"
    lines = [f"{plural(total, 'item')}: {counts} in {path}", *_causes(failed)]
    if told := pace(runs):
        lines += [f"time:   {told[0]}", f"speed:  {told[1]}"]
    opened = f"eedask.open_result({path!r})"
    if len(done):
        lines.append(f"open:   {opened}.{'table()' if is_table else f'open({done[0].as_py()!r})'}")
    if len(failed):
        lines.append(f"failed: {opened}.failed")
        lines.append("retry:  plan.run(retry_failed=True)")
    if left := total - len(done) - len(failed):
        are = "is" if left == 1 else "are"
        lines.append(f"go on:  plan.run()  # {plural(left, 'item')} {are} not done")
    return "\n".join(lines)


def _causes(failed: pd.DataFrame) -> list[str]:
    """Return a line for each kind of failure, the most frequent first, with an example."""
    lines = []
    for kind, count in failed["error_kind"].value_counts().items():
        example = failed[failed["error_kind"] == kind].iloc[0]
        words = textwrap.shorten(str(example["error"]), _MOST_WORDS, placeholder=" …")
        lines.append(f"{count:,} x {kind}, such as {printable(str(example['id']))}: {words}")
    return lines


def pace(runs: Sequence[RunFigures]) -> list[str]:
    """Return how long the last run took, and how fast it was; empty if there was no run."""
    if not runs:
        return []
    run = runs[-1]
    which = f" in the last of {len(runs)} runs, for {plural(run.items, 'item')}"
    took = f"{_duration(run.wall_s)}{which if len(runs) > 1 else ''}"
    took += f"; {plural(run.requests, 'request')}"
    if run.latency_s is not None:
        took += f" of {run.latency_s:.2g} s on average"
    if run.retries:
        took += f", {run.retries:,} of them sent again, {run.throttled:,} throttled"
    if run.eecu_s is not None:
        took += f"; {run.eecu_s:,.3g} EECU-seconds"
    speed = f"{run.requests_per_s:.3g} requests/s"
    if (share := run.share_of_ideal) is not None:
        limits = f"{run.concurrency} at once" + (f" and {run.rate:g}/s" if run.rate else "")
        speed += f", {share:.0%} of what {limits} allow"
    return [took, speed]


def _duration(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.3g} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"

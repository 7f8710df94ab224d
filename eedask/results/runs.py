"""Sums up the statistics of a dataset's partitions, run by run."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd


@dataclass(frozen=True)
class RunFigures:
    """What one run did, and how fast.

    Attributes
    ----------
    started : Timestamp
        UTC.
    wall_s : float
        Seconds from the start of the first partition to the end of the last.
    items, failed : int
        Items that were done, and those of them that failed.
    requests, retries, throttled, nbytes : int
    latency_s : float, optional
        Mean seconds of a request that succeeded; None if none did.
    eecu_s : float, optional
        EECU-seconds of all requests, scaled up from the partitions whose cost is known; None if
        Earth Engine did not tell any.
    concurrency : int
        The most requests at once that the plan allowed.
    rate : float, optional
        The most requests a second that the plan allowed; None: not limited.
    """

    started: pd.Timestamp
    wall_s: float
    items: int
    failed: int
    requests: int
    retries: int
    throttled: int
    nbytes: int
    latency_s: float | None
    eecu_s: float | None
    concurrency: int
    rate: float | None

    @property
    def requests_per_s(self) -> float:
        """The mean number of requests a second over the whole run."""
        return self.requests / self.wall_s if self.wall_s else 0.0

    @property
    def ideal_s(self) -> float:
        """Seconds that the run would have taken if it had used its limits in full, without retries.

        It is never less than the mean latency of a request, which the shortest run takes.
        """
        needed, latency = self.requests - self.retries, self.latency_s or 0.0
        by_rate = needed / self.rate if self.rate else 0.0
        return max(by_rate, needed * latency / self.concurrency, latency)

    @property
    def share_of_ideal(self) -> float | None:
        """``ideal_s / wall_s``, at most 1; None if no request succeeded."""
        if self.latency_s is None or not self.wall_s:
            return None
        return min(1.0, self.ideal_s / self.wall_s)


def runs_of(stats: pd.DataFrame) -> list[RunFigures]:
    """Return the runs in the order in which they began.

    Parameters
    ----------
    stats : DataFrame
        See :attr:`eedask.Result.stats`.
    """
    runs = [_figures(rows) for _, rows in stats.groupby("run")]
    return sorted(runs, key=lambda run: run.started)


def _figures(rows: pd.DataFrame) -> RunFigures:
    sums = {name: int(rows[name].sum()) for name in ("items", "requests", "retries", "throttled")}
    answered = rows[rows["mean_s"].notna()]
    latency = None
    if len(answered):
        latency = float(np.average(answered["mean_s"], weights=answered["requests"]))
    started, rate = rows["started"].min(), rows["rate"].iloc[0]
    return RunFigures(
        started=started,
        wall_s=(rows["ended"].max() - started).total_seconds(),
        failed=sum(sum(kinds.values()) for kinds in rows["failures"]),
        nbytes=int(rows["nbytes"].sum()),
        latency_s=latency,
        eecu_s=_eecu_s(rows),
        concurrency=int(rows["concurrency"].iloc[0]),
        rate=None if pd.isna(rate) else float(rate),
        **sums,
    )


def _eecu_s(rows: pd.DataFrame) -> float | None:
    """Return EECU-seconds of all requests, scaled up from the partitions whose cost is known."""
    known = rows[rows["eecu_s"].notna()]
    if not known["requests"].sum():
        return None
    return float(known["eecu_s"].sum() / known["requests"].sum() * rows["requests"].sum())

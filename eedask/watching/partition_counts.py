"""Counts the items of one partition that are done and failed, and the requests sent for them."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterable
from typing import Any

from eedask.dataset.rows import FAILED, Row
from eedask.errors import printable
from eedask.watching import map_sample
from eedask.watching.meter import Meter

# Characters of an error's words, and of an item's id, that are sent.
_MOST_WORDS, _MOST_ID = 400, 80


class PartitionCounts:
    """The counts of a partition: items that are done, items that failed and why, and requests.

    The scheduler is sent the counts of all rows that the partition has, whichever worker did them.
    If a worker is lost, the next one begins with the rows that were written, so that no item is
    lost or counts twice. The statistics that are kept in the dataset are of what was done since
    this object was made. Safe for threads.

    Parameters
    ----------
    number : int
        The partition's number.
    ids : iterable of int or str
        The ids of the partition's items.
    rows : iterable of Row
        The manifest rows of the items that are not to be done again.
    fraction : float
        The part of the run's items that the map shows.

    Attributes
    ----------
    meter : Meter
        Counts the requests of the partition.
    """

    def __init__(
        self, number: int, ids: Iterable[Any], rows: Iterable[Row], fraction: float
    ) -> None:
        self.number = number
        self.meter = Meter()
        self._done = 0
        self._failures: Counter[str] = Counter()
        self._examples: dict[str, tuple[str, str]] = {}
        self._fraction = fraction
        marks = (map_sample.mark(id_) for id_ in ids)
        self._states = {
            mark: map_sample.UNDER_WAY for mark in marks if map_sample.is_shown(mark, fraction)
        }
        self._lock = threading.Lock()
        for row in rows:
            self.add(row)
        self._done_before, self._failures_before = self._done, self._failures.copy()

    def add(self, row: Row) -> None:
        """Count an item that is done."""
        failed = row.status == FAILED
        mark = map_sample.mark(row.id)
        with self._lock:
            self._done += 1
            if map_sample.is_shown(mark, self._fraction):
                self._states[mark] = map_sample.FAILED if failed else map_sample.DONE
            if failed:
                kind = row.error_kind or "unknown"
                self._failures[kind] += 1
                if kind not in self._examples:
                    words = printable(row.error or "")[:_MOST_WORDS]
                    self._examples[kind] = printable(str(row.id))[:_MOST_ID], words

    def message(self) -> dict[str, Any]:
        """Return the counts as a message that msgpack can encode.

        Of the map, it holds the states that have changed since the last message.
        """
        with self._lock:
            states, self._states = self._states, {}
            return {
                "number": self.number,
                "before": (self._done_before, self._failures_before.total()),
                "done": self._done,
                "failures": dict(self._failures),
                "examples": dict(self._examples),
                "states": list(states.items()),
            }

    def done_since(self) -> tuple[int, dict[str, int]]:
        """Return how many items were done since these counts were made, and failures by kind."""
        with self._lock:
            failures = self._failures - self._failures_before
            return self._done - self._done_before, dict(failures)

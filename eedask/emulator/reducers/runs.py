"""How often values occur, in many small sets at once."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def run_counts(values: Array, there: Array) -> tuple[Array, Array]:
    """Return each column's values in order, and how often each occurs.

    Parameters
    ----------
    values : ndarray, shape (n, m)
    there : ndarray of bool, shape (n, m)
        Values that count.

    Returns
    -------
    ordered : ndarray of float64, shape (n, m)
        Infinite at the end where values do not count.
    counts : ndarray of int, shape (n, m)
        At the last of equal values their number, 0 elsewhere.
    """
    # Columns are sorted as rows: what lies together in memory is sorted faster.
    ordered = np.sort(np.where(there, values, np.inf).T.copy(), axis=1).T
    rank = np.arange(1, len(ordered) + 1)[:, None]
    ends = np.ones(ordered.shape, bool)
    ends[:-1] = ordered[1:] != ordered[:-1]
    ends &= rank <= np.count_nonzero(there, axis=0)
    before = np.maximum.accumulate(np.where(ends, rank, 0), axis=0)
    before = np.vstack([np.zeros((1, ordered.shape[1]), before.dtype), before[:-1]])
    return ordered, np.where(ends, rank - before, 0)


def entropy(counts: Array) -> Array:
    """Return each column's entropy, in nats, from counts that are 0 where there is nothing."""
    total = counts.sum(axis=0)
    logs = counts * np.log(np.where(counts > 0, counts, 1))
    some = np.where(total > 0, total, 1)
    result: Array = np.log(some) - logs.sum(axis=0) / some
    return result

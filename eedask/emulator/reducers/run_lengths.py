"""Counting how often each value occurs, in many small sets at once."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def run_counts(values: Array, there: Array) -> tuple[Array, Array]:
    """Return each column's values in ascending order, and how often each of them occurs.

    Parameters
    ----------
    values : ndarray, shape (n, m)
        Each column is a set of n values.
    there : ndarray of bool, shape (n, m)
        Which values count.

    Returns
    -------
    ordered : ndarray of float64, shape (n, m)
        The values that count, then infinity in place of each of the others.
    counts : ndarray of int, shape (n, m)
        At the last of a run of equal values the length of the run, 0 elsewhere.
    """
    # Transposed to sort along rows: values that are contiguous in memory are sorted faster.
    ordered = np.sort(np.where(there, values, np.inf).T.copy(), axis=1).T
    rank = np.arange(1, len(ordered) + 1)[:, None]
    ends = np.ones(ordered.shape, bool)
    ends[:-1] = ordered[1:] != ordered[:-1]
    ends &= rank <= np.count_nonzero(there, axis=0)
    before = np.maximum.accumulate(np.where(ends, rank, 0), axis=0)
    before = np.vstack([np.zeros((1, ordered.shape[1]), before.dtype), before[:-1]])
    return ordered, np.where(ends, rank - before, 0)


def entropy(counts: Array) -> Array:
    """Return the entropy, in nats, of each column of counts, as :func:`run_counts` returns them."""
    total = counts.sum(axis=0)
    logs = counts * np.log(np.where(counts > 0, counts, 1))
    some = np.where(total > 0, total, 1)
    result: Array = np.log(some) - logs.sum(axis=0) / some
    return result

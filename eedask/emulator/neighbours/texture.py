"""Haralick's measures of texture, from the pairs of pixels of many windows at once.

Pairs count in both directions, so the grey-level co-occurrence matrix (GLCM) is symmetric: its
two marginals are equal, and the formulas are simpler here than in the papers.
https://doi.org/10.1109/TSMC.1973.4309314, https://doi.org/10.1016/0734-189X(84)90197-X
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from eedask.emulator.reducers.run_lengths import entropy, run_counts

Array = NDArray[Any]

MEASURES = (
    "asm", "contrast", "corr", "var", "idm", "savg", "svar", "sent", "ent", "dvar", "dent",
    "imcorr1", "imcorr2", "maxcorr", "diss", "inertia", "shade", "prom",
)  # fmt: skip


def measures(first: Array, second: Array, there: Array) -> Array:
    """Return the texture measures of each window, from its pairs of grey levels.

    Parameters
    ----------
    first, second : ndarray of float64, shape (pairs, windows)
        The grey levels of the two pixels of each pair, whole numbers.
    there : ndarray of bool, shape (pairs, windows)
        Whether a pair counts (neither pixel is masked).

    Returns
    -------
    ndarray of float64, shape (18, windows)
        In the order of :data:`MEASURES`; 0 where no pair counts.
    """
    a, b = (np.where(there, x, 0.0) for x in (first, second))
    n = np.count_nonzero(there, axis=0)
    some = np.where(n > 0, n, 1)

    def mean(x: Array) -> Array:
        result: Array = np.where(there, x, 0).sum(axis=0) / some
        return result

    middle = (mean(a) + mean(b)) / 2
    spread = (mean((a - middle) ** 2) + mean((b - middle) ** 2)) / 2
    difference, total = np.abs(a - b), a + b
    together = mean((a - middle) * (b - middle))
    found = {
        "contrast": mean(difference**2),
        "inertia": mean(difference**2),
        "corr": together / np.where(spread > 0, spread, 1),
        "var": spread,
        "idm": mean(1 / (1 + difference**2)),
        "savg": 2 * middle,
        "svar": mean((total - 2 * middle) ** 2),
        "sent": entropy(run_counts(total, there)[1]),
        "dvar": mean(difference**2) - mean(difference) ** 2,
        "dent": entropy(run_counts(difference, there)[1]),
        "maxcorr": np.zeros(n.shape),
        "diss": mean(difference),
        "shade": mean((total - 2 * middle) ** 3),
        "prom": mean((total - 2 * middle) ** 4),
        **_from_matrix(a, b, there, some),
    }
    return np.stack([np.where(n > 0, found[name], 0) for name in MEASURES])


def _from_matrix(a: Array, b: Array, there: Array, n: Array) -> dict[str, Array]:
    """Return the measures that need the co-occurrence matrix itself: its energy and entropies."""
    low, high = np.minimum(a, b), np.maximum(a, b)
    base = float(high.min(initial=0)), float(high.max(initial=0))
    base = (min(base[0], float(low.min(initial=0))), base[1])
    # One number for each pair of levels.
    width = base[1] - base[0] + 1
    codes, counts = run_counts((low - base[0]) * width + (high - base[0]), there)
    with np.errstate(invalid="ignore"):
        same = np.floor_divide(codes, width) == np.mod(codes, width)
    # The pairs of two different levels are split between two cells of the symmetric matrix.
    cells = np.where(same, counts, counts / 2)
    times = np.where(same, 1, 2)
    share = cells / n
    energy = (times * share**2).sum(axis=0)
    whole = -(times * share * np.log(np.where(share > 0, share, 1))).sum(axis=0)
    both = np.vstack([a, b]), np.vstack([there, there])
    alone = entropy(run_counts(*both)[1])
    return {
        "asm": energy,
        "ent": whole,
        "imcorr1": (whole - 2 * alone) / np.where(alone > 0, alone, 1),
        "imcorr2": np.sqrt(1 - np.exp(-2 * np.maximum(2 * alone - whole, 0))),
    }

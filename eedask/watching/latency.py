"""Latencies of requests as a histogram, which is small and can be added up over processes."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence

# Upper ends of the buckets in seconds, from 10 ms to 10 minutes. Each is a fifth above the one
# before, so a quantile is known to a tenth.
EDGES = tuple(0.01 * 2 ** (k / 4) for k in range(64))


def empty() -> list[int]:
    """Return an empty histogram: a count for each bucket, and one for longer latencies."""
    return [0] * (len(EDGES) + 1)


def bucket(seconds: float) -> int:
    """Return the number of the bucket that a latency belongs to."""
    return bisect_right(EDGES, seconds)


def quantile(counts: Sequence[int], fraction: float) -> float | None:
    """Return the latency that a fraction of the requests did not exceed.

    Parameters
    ----------
    counts : sequence of int
        Requests in each bucket.
    fraction : float
        From 0 to 1.

    Returns
    -------
    float or None
        Seconds; None without any request.

    Examples
    --------
    >>> counts = empty()
    >>> counts[bucket(0.2)] = 9
    >>> counts[bucket(5.0)] = 1
    >>> round(quantile(counts, 0.5), 1)
    0.2
    """
    wanted = fraction * sum(counts)
    if not wanted:
        return None
    for number, count in enumerate(counts):
        if count and wanted <= count:
            low = EDGES[number - 1] if number else 0.0
            high = EDGES[min(number, len(EDGES) - 1)]
            return low + (high - low) * wanted / count
        wanted -= count
    return EDGES[-1]

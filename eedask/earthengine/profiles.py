"""Asks Earth Engine what requests have cost, in EECU-seconds.

The answer to a request whose ``profile`` is set has the id of a profile. Later, the algorithm
``Profile.getProfiles`` returns what the requests with some such ids have cost. The method
``ee.data.profiling`` of the ``ee`` client uses the same header and algorithm
(https://developers.google.com/earth-engine/guides/profiler).
"""

from __future__ import annotations

from collections.abc import Sequence

from eedask.earthengine.endpoint import Endpoint, Request
from eedask.earthengine.methods import compute_value, reading, value_of
from eedask.earthengine.nodes import Graph, call, constant, listed

# Rows of a profile, which are added up. Each is rounded to three decimals, so one row for all is
# the most exact.
_ROWS = 1


def cost_request(endpoint: Endpoint, groups: Sequence[Sequence[str]]) -> Request:
    """Return the one request that asks for the costs of several groups of requests.

    Parameters
    ----------
    endpoint : Endpoint
    groups : sequence of sequence of str
        Ids of profiles. A group has a sum of its own, rounded to a thousandth.
    """
    asked = [
        call(
            "Profile.getProfiles",
            ids=constant(list(ids)),
            format=constant("text"),
            maxEntries=constant(_ROWS),
        )
        for ids in groups
    ]
    return compute_value(endpoint, Graph().encode(listed(asked)))


def costs_of(body: bytes, count: int) -> list[float]:
    """Return the EECU-seconds of each group, of an answer to :func:`cost_request`.

    Parameters
    ----------
    body : bytes
    count : int
        How many groups were asked for.

    Raises
    ------
    TransientError
        If the answer does not tell the costs.
    """
    with reading(body, "what requests have cost"):
        found = [_total(str(profile)) for profile in value_of(body)]
        if len(found) != count:
            raise ValueError(f"{len(found)} costs of {count} groups of requests")
        return found


def _total(profile: str) -> float:
    """Return the sum of a profile's first column, EECU-seconds; a "-" stands for none."""
    header, *rows = profile.splitlines()
    if not header.split()[0].startswith("EECU"):
        raise ValueError(f"the first column is not EECU: {header}")
    costs = [row.split()[0] for row in rows if row.strip()]
    return sum(float(cost) for cost in costs if cost != "-")

"""The settings of latency and faults, which are drawn at random for each request.

https://developers.google.com/earth-engine/guides/usage has the quotas whose refusals are mimicked.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass
from enum import Enum
from functools import cached_property

from eedask.emulator.traffic.spec import Spec, check_not_negative, check_shares


class Fault(Enum):
    """A kind of fault that can happen to a request; :class:`Faults` describes each."""

    THROTTLE = "429"
    THROTTLE_RETRY_AFTER = "429_retry_after"
    INTERNAL = "500"
    UNAVAILABLE = "503"
    HANG = "hang"
    RESET = "reset"
    TRUNCATED = "truncated"
    WRONG_BYTES = "wrong_bytes"
    DRIP = "drip"


@dataclass(frozen=True)
class Latency(Spec):
    """How long an answer takes at least: a lognormal distribution with some slow outliers.

    Parameters
    ----------
    median : float
        Seconds.
    sigma : float
        The standard deviation of the time's logarithm; 0 for a fixed time.
    slow_share, slow : float
        This share of requests (0 to 1) takes ``slow`` seconds instead.

    Examples
    --------
    >>> Latency.parse("0.1").median
    0.1
    >>> Latency.parse("median=0.1,sigma=0.5,slow_share=0.01,slow=3").slow
    3.0
    """

    median: float = 0.0
    sigma: float = 0.0
    slow_share: float = 0.0
    slow: float = 0.0

    _bare = "median"

    def __post_init__(self) -> None:
        check_not_negative(self, "median", "sigma", "slow")
        check_shares(self, "slow_share")

    @property
    def is_fixed(self) -> bool:
        """Whether all requests take the same time: the median."""
        return not (self.sigma or self.slow_share)

    def draw(self, chance: random.Random) -> float:
        """Return a time for one request, in seconds, drawn with a generator."""
        # Both numbers are always drawn, so that changing slow_share leaves the other times alone.
        share, normal = chance.random(), chance.gauss(0.0, 1.0)
        return self.slow if share < self.slow_share else self.median * math.exp(self.sigma * normal)


@dataclass(frozen=True)
class Faults(Spec):
    """The shares of requests that meet each fault (from 0 to 1, at most 1 in all).

    Parameters
    ----------
    throttle, throttle_retry_after : float
        The answer is 429, without or with a ``Retry-After`` of ``retry_after`` seconds. Also
        called ``429`` and ``429_retry_after`` in strings and mappings.
    internal, unavailable : float
        The answer is 500 or 503. Also called ``500`` and ``503``.
    hang : float
        There is no answer for ``hang_s`` seconds, then the connection closes.
    reset : float
        The connection is reset instead of an answer.
    truncated : float
        The body ends halfway, before the length that Content-Length states.
    wrong_bytes : float
        The body is noise of the right length.
    drip : float
        The body arrives in small pieces over ``drip_s`` seconds.
    outage_after, outage : float
        All requests fail for ``outage`` seconds, starting ``outage_after`` seconds after these
        settings were made.
    outage_as : {"reset", "503"}
        How requests fail in the outage.
    restricted : float
        If not 0, answers have the header which says that the compute quota is used up.
    """

    throttle: float = 0.0
    throttle_retry_after: float = 0.0
    retry_after: float = 1.0
    internal: float = 0.0
    unavailable: float = 0.0
    hang: float = 0.0
    hang_s: float = 300.0
    reset: float = 0.0
    truncated: float = 0.0
    wrong_bytes: float = 0.0
    drip: float = 0.0
    drip_s: float = 5.0
    outage_after: float = 0.0
    outage: float = 0.0
    outage_as: str = "reset"
    restricted: float = 0.0

    _aliases = {  # noqa: RUF012 (a mapping that nobody writes to)
        "429": "throttle",
        "429_retry_after": "throttle_retry_after",
        "500": "internal",
        "503": "unavailable",
    }

    def __post_init__(self) -> None:
        check_shares(self, *(name for name, _ in _SHARES))
        check_not_negative(self, "retry_after", "hang_s", "drip_s", "outage_after", "outage")
        if sum(getattr(self, name) for name, _ in _SHARES) > 1 + 1e-9:
            raise ValueError("the shares of faults are more than 1 together")
        if self.outage_as not in ("reset", "503"):
            raise ValueError(f"outage_as is 'reset' or '503', not {self.outage_as!r}")

    @cached_property
    def are_none(self) -> bool:
        """Whether no request meets a fault outside of the outage."""
        return not any(getattr(self, name) for name, _ in _SHARES)

    def draw(self, chance: random.Random) -> Fault | None:
        """Return the fault that one request meets, drawn with a generator; None for no fault."""
        point = chance.random()
        for name, fault in _SHARES:
            point -= getattr(self, name)
            if point < 0:
                return fault
        return None

    def out(self, age: float) -> Fault | None:
        """Return the fault that all requests meet during the outage; None before and after it.

        Parameters
        ----------
        age : float
            Seconds since these settings were made.
        """
        if self.outage_after <= age < self.outage_after + self.outage:
            return Fault.UNAVAILABLE if self.outage_as == "503" else Fault.RESET
        return None


_SHARES = (
    ("throttle", Fault.THROTTLE),
    ("throttle_retry_after", Fault.THROTTLE_RETRY_AFTER),
    ("internal", Fault.INTERNAL),
    ("unavailable", Fault.UNAVAILABLE),
    ("hang", Fault.HANG),
    ("reset", Fault.RESET),
    ("truncated", Fault.TRUNCATED),
    ("wrong_bytes", Fault.WRONG_BYTES),
    ("drip", Fault.DRIP),
)

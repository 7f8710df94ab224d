"""The cost of a run's requests in EECU-seconds, estimated from a sample of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import astuple, dataclass

from eedask.errors import InputError
from eedask.watching.meter import RequestCounts


@dataclass(frozen=True)
class Compute:
    """The cost of some requests. The costs of several processes or partitions can be added up.

    Attributes
    ----------
    eecu_s : float
        EECU-seconds of the requests whose cost Earth Engine told, each multiplied by the number of
        requests that it stands for.
    told : float
        The number of requests that these stand for.
    requests : float
        The number of all requests that were answered.
    """

    eecu_s: float = 0.0
    told: float = 0.0
    requests: float = 0.0

    def __post_init__(self) -> None:
        if min(self.eecu_s, self.told, self.requests) < 0:
            raise InputError(f"costs and counts are 0 or more; got {self}")

    @property
    def total(self) -> float | None:
        """EECU-seconds of all requests, scaled up from the sample; None if no cost was told."""
        return self.eecu_s * self.requests / self.told if self.told else None

    def __add__(self, other: Compute) -> Compute:
        return Compute(*map(sum, zip(astuple(self), astuple(other), strict=True)))

    @classmethod
    def sum(cls, several: Iterable[Compute]) -> Compute:
        """Return the sum of several costs."""
        return sum(several, start=cls())


@dataclass(frozen=True)
class Spent:
    """What a process spent on a run.

    Attributes
    ----------
    requests : RequestCounts
    partitions : mapping of int to Compute
        What the requests of each partition have cost.
    """

    requests: RequestCounts
    partitions: Mapping[int, Compute]

    @property
    def cost(self) -> Compute:
        """The cost of the requests of all partitions."""
        return Compute.sum(self.partitions.values())

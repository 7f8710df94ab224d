"""What the requests of a run have cost, in EECU-seconds, as far as a sample of them tells."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import astuple, dataclass

from eedask.errors import InputError
from eedask.watching.meter import RequestCounts


@dataclass(frozen=True)
class Compute:
    """The cost of some requests; those of several processes or partitions can be added up.

    Attributes
    ----------
    eecu_s : float
        EECU-seconds of the requests whose cost was told, each as often as it counts.
    told : float
        Requests that these stand for.
    requests : float
        All requests that were answered.
    """

    eecu_s: float = 0.0
    told: float = 0.0
    requests: float = 0.0

    def __post_init__(self) -> None:
        if min(self.eecu_s, self.told, self.requests) < 0:
            raise InputError(f"costs and counts are not negative: {self}")

    @property
    def total(self) -> float | None:
        """EECU-seconds of all the requests, scaled up from those told; None if none was told."""
        return self.eecu_s * self.requests / self.told if self.told else None

    def __add__(self, other: Compute) -> Compute:
        return Compute(*map(sum, zip(astuple(self), astuple(other), strict=True)))

    @classmethod
    def sum(cls, several: Iterable[Compute]) -> Compute:
        """Return the cost of all the requests of several."""
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
        """Of all partitions."""
        return Compute.sum(self.partitions.values())

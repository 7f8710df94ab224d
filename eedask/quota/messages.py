"""What the owner of a quota and those who use it tell each other.

Times on the wire are spans in seconds, never points in time: the clocks of two machines differ.
Counts are totals since a member joined, so that a report that got lost loses nothing and one
that came twice counts once.
"""

from __future__ import annotations

from dataclasses import dataclass

from eedask.arguments import is_count, is_positive
from eedask.errors import InputError

# Requests that a project may have under way at once, unless Google raised it, and that it may
# send a second (https://developers.google.com/earth-engine/guides/usage).
DEFAULT_CONCURRENCY = 40
DEFAULT_RATE = 100.0


@dataclass(frozen=True)
class Ceiling:
    """What the user says the quota is; never exceeded.

    Attributes
    ----------
    concurrency : int
        Requests under way at once.
    rate : float, optional
        Requests a second; None: not limited.
    """

    concurrency: int = DEFAULT_CONCURRENCY
    rate: float | None = None

    def __post_init__(self) -> None:
        """Check both, and make numbers of NumPy Python's own, which travel to schedulers."""
        if not is_count(self.concurrency):
            raise InputError(
                f"concurrency is a whole number of requests at once, 1 or more; got"
                f" {self.concurrency!r}"
            )
        if self.rate is not None and not is_positive(self.rate):
            raise InputError(
                f"rate is a positive number of requests a second, None for no limit; got"
                f" {self.rate!r}"
            )
        object.__setattr__(self, "concurrency", int(self.concurrency))
        object.__setattr__(self, "rate", None if self.rate is None else float(self.rate))


DEFAULT_CEILING = Ceiling(DEFAULT_CONCURRENCY, DEFAULT_RATE)


@dataclass(frozen=True)
class Report:
    """What a member tells the owner.

    Attributes
    ----------
    sequence : int
        Number of this report, from 1.
    lease : int
        Number of the lease that is in force; 0 before the first.
    slots : int
        Of that lease.
    in_flight, waiting : int
        Requests under way, and those that wait for a slot or a token.
    held : int, optional
        Set if requests were throttled since the lease came: how many the server did hold.
    done, throttled : int
        Requests that succeeded and that were throttled, in all.
    latency : float
        Seconds that those done took, in sum.
    pause : float
        Seconds for which the server asked to send nothing more (``Retry-After``).
    restricted : bool
        Whether the server told, since the last report, that the project is in restricted mode.
    leaving : bool
        Whether this is the member's last report.
    """

    sequence: int
    lease: int = 0
    slots: int = 0
    in_flight: int = 0
    waiting: int = 0
    held: int | None = None
    done: int = 0
    throttled: int = 0
    latency: float = 0.0
    pause: float = 0.0
    restricted: bool = False
    leaving: bool = False

    def __post_init__(self) -> None:
        counts = (self.sequence, self.lease, self.slots, self.in_flight, self.waiting)
        if min(*counts, self.done, self.throttled) < 0:
            raise InputError(f"counts are not negative: {self}")

    @property
    def demand(self) -> int:
        """Slots that the member could use now."""
        return self.in_flight + self.waiting


@dataclass(frozen=True)
class Lease:
    """What the owner grants a member.

    Attributes
    ----------
    number : int
        Leases of one member count up from 1; 0 stands for none.
    answers : int
        Sequence number of the report that it answers.
    slots : int
        Requests that may be under way at once. When that is less than are, they go on to their
        end and no new one starts until enough have ended.
    rate : float, optional
        Requests a second; None: not limited.
    pause : float
        Seconds in which no request may start.
    valid : float
        Seconds, from when the report was sent, after which one slot is left without a new lease.
    renew : float
        Seconds after which the next report is due.
    """

    number: int
    answers: int
    slots: int
    rate: float | None = None
    pause: float = 0.0
    valid: float = float("inf")
    renew: float = 0.5

    def __post_init__(self) -> None:
        if self.slots < 0 or self.pause < 0 or self.valid <= 0 or self.renew <= 0:
            raise InputError(f"not a lease: {self}")
        if self.rate is not None and not self.rate > 0:
            raise InputError(f"a rate is positive requests a second; got {self.rate}")

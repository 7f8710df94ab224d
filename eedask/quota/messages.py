"""The messages between the owner of a quota and its members, the processes that send requests.

Times in a message are spans in seconds, never points in time: the clocks of two machines differ.
Counts are totals since a member joined: if a message is lost, the next one makes up for it, and a
message that arrives twice counts once.
"""

from __future__ import annotations

from dataclasses import dataclass

from eedask.arguments import is_count, is_positive
from eedask.errors import InputError

# Requests that a project may have under way at once, and requests that it may send a second,
# unless Google raised them (https://developers.google.com/earth-engine/guides/usage).
DEFAULT_CONCURRENCY = 40
DEFAULT_RATE = 100.0


@dataclass(frozen=True)
class Ceiling:
    """The quota as the user states it: bounds that are never exceeded.

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
        """Check both numbers, and turn NumPy's into Python's, which a message can carry."""
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
class Usage:
    """The message of a member to the owner: what it has under way, and how its requests went.

    Attributes
    ----------
    sequence : int
        Number of this message, from 1.
    lease : int
        Number of the lease that is in force; 0 before the first.
    slots : int
        Requests at once that this lease allows.
    in_flight, waiting : int
        Requests under way, and requests that wait until the quota lets them start.
    held : int, optional
        If requests were throttled since the lease came: how many others the server had accepted
        and was working on when it refused; else None.
    done, throttled : int
        Requests that succeeded, and requests that were throttled, since the member joined.
    latency : float
        Seconds that all of the ``done`` requests took, added up.
    pause : float
        Seconds, from now, for which the server asked to send nothing (``Retry-After``).
    restricted : bool
        Whether an answer since the last message said that the project is in restricted mode, that
        is, that its compute quota is used up.
    leaving : bool
        Whether this is the member's last message.
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
            raise InputError(f"counts of a usage message are 0 or more; got {self}")

    @property
    def demand(self) -> int:
        """Slots that the member could use now."""
        return self.in_flight + self.waiting


@dataclass(frozen=True)
class Lease:
    """The owner's answer to a member: what it may have under way, and until when.

    Attributes
    ----------
    number : int
        Number of the lease among those of its member, from 1; 0 stands for no lease.
    answers : int
        Sequence number of the :class:`Usage` that it answers.
    slots : int
        Requests that the member may have under way at once. If it has more, they go on to their
        end, and none starts until enough have ended.
    rate : float, optional
        Requests a second; None: not limited.
    pause : float
        Seconds in which no request may start.
    valid : float
        Seconds that the lease lasts, counted from when the :class:`Usage` was sent. A member that
        has no newer lease by then may have one request under way.
    renew : float
        Seconds after which the member is to send its next :class:`Usage`.
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
            raise InputError(
                f"a lease has slots and a pause of 0 or more, and lasts and renews after more than"
                f" 0 s; got {self}"
            )
        if self.rate is not None and not self.rate > 0:
            raise InputError(f"a lease's rate is above 0 requests a second; got {self.rate}")

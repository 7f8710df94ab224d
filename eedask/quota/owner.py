"""The owner of one quota: it decides how many requests each process may have under way.

It has no threads, no sleep and no network, and is given a clock. Its members (processes that send
requests) send a message every half second, and get a lease in return::

    member ── Usage: in flight, waiting, done, throttled … ───▶ owner
           ◀─ Lease: slots, rate, pause, valid … ──────────────

- *Shares* follow demand. A member that can use its even share gets at least that; what a member
  cannot use goes to members whose requests wait. With more members than slots, members take turns.
- *Bookings*: a member's booking is the most requests that it may have under way, as far as the
  owner knows. A slot is granted to another member only when its old holder has said that fewer of
  its requests are under way; until then, it stays booked on the old holder.
- The booking of a member that is gone lasts for a *grace* period: Earth Engine still works on
  requests whose client has died. A member that sends nothing is taken for gone when its lease ends.
- The *rate* is shared out in proportion to the slots.

The sum of bookings never grows beyond the limit. It is above the limit only after the limit was
lowered, until enough of the requests under way have ended.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from eedask.quota.adaptive import AdaptiveLimit
from eedask.quota.messages import Ceiling, Lease, Usage

logger = logging.getLogger(__name__)

Clock = Callable[[], float]

# Seconds between renewals: usually; of a member that could use more slots; and while slots are on
# their way from one member to another.
RENEW_S, HUNGRY_S, SOON_S = 0.5, 0.2, 0.1
# Up to so many members renew every SOON_S seconds, 200 calls a second for the scheduler; more of
# them renew less often.
_SOON_MEMBERS = 20
# Seconds that a lease is valid without renewal: more than a worker is ever busy elsewhere.
VALID_S = 10.0
# Seconds, at least, that Earth Engine goes on with requests whose client is gone; twice the mean
# latency where that is longer, and never more than its own limit of 5 minutes.
GRACE_S, MAX_GRACE_S = 5.0, 300.0
# Seconds without a message after which a member is forgotten. Until then, one slot stays booked on
# it: a member without a lease goes on with one request at a time.
FORGOTTEN_S = 300.0
# Seconds that an owner on a restarted scheduler waits for all members to say what they have.
SETTLE_S = 1.5
# Seconds without any member after which the limit that was found is out of date.
STALE_S = 600.0
# Seconds of a turn, when there are more members than slots.
TURN_S = 5.0
# Requests at once while the project is in restricted mode, that is when its compute quota is
# used up (https://developers.google.com/earth-engine/guides/usage). The page tells no number:
# this is a guess, to be changed once somebody has seen one.
RESTRICTED_CONCURRENCY = 2
RESTRICTED = (
    "Earth Engine tells that this project's compute quota is used up (parallelism_restricted): the"
    " EECU-hours of its noncommercial tier for this month. It works on fewer requests at a time"
    f" until the month is over; going on with {RESTRICTED_CONCURRENCY} at once, which takes longer."
    " A run can be stopped and resumed later: what is done is kept. See"
    " https://developers.google.com/earth-engine/guides/noncommercial_tiers"
)
# Seconds without an answer that tells of restricted mode after which it is taken to be over.
RESTRICTED_S = 300.0


def shares(capacity: int, demands: Mapping[str, int]) -> dict[str, int]:
    """Share slots out by demand.

    Parameters
    ----------
    capacity : int
        Slots that there are.
    demands : mapping of str to int
        Slots that each member could use now. If there are fewer slots than members with demand,
        the first members get one each.

    Returns
    -------
    dict of str to int
        Slots for each member: at least the smaller of its demand and an even share, and together
        not more than the capacity. Slots that nobody demands are shared out among the members
        with demand, so that they have them when they need more.
    """
    given = dict.fromkeys(demands, 0)
    left = max(0, capacity)
    active = [name for name, demand in demands.items() if demand > 0]
    wanting = active
    while left and wanting:
        even, extra = divmod(left, len(wanting))
        for rank, name in enumerate(wanting):
            more = min(demands[name] - given[name], even + (rank < extra))
            given[name] += more
            left -= more
        wanting = [name for name in wanting if given[name] < demands[name]]
    for rank, name in enumerate(active):
        given[name] += left // len(active) + (rank < left % len(active))
    return given


@dataclass
class _Member:
    """What the owner knows of a member.

    Attributes
    ----------
    joined, seen : float
        Times of the first and of the last message, in seconds of the owner's clock.
    usage : Usage
        The last message.
    slots, number : int
        Of its last lease.
    booked : int
        The most requests that it may have under way, as far as is known.
    until : float, optional
        When the booking ends, of a member that is gone; None for others.
    speed : float
        Requests that succeed, a second.
    latency : float, optional
        Mean seconds of its latest requests that succeeded.
    """

    joined: float
    usage: Usage
    slots: int = 0
    booked: int = 0
    number: int = 0
    seen: float = 0.0
    until: float | None = None
    speed: float = 0.0
    latency: float | None = None

    def heard(self, now: float) -> bool:
        """Return whether the member's lease is in force."""
        return self.until is None and now - self.seen <= VALID_S

    @property
    def held(self) -> int:
        """Requests of the member that the server is presumably working on."""
        if self.until is not None:
            return self.booked
        if self.usage.held is not None:
            return self.usage.held
        return min(self.slots, self.usage.demand)


@dataclass
class _Totals:
    """Requests of all members that succeeded, and that were throttled, since the owner began."""

    done: int = 0
    throttled: int = 0


@dataclass
class Owner:
    """Grants leases of one quota. It is not safe to use from several threads.

    Parameters
    ----------
    ceiling : Ceiling
        The quota as the user states it.
    clock : callable
        Returns seconds, never going back.
    """

    ceiling: Ceiling
    clock: Clock
    _members: dict[str, _Member] = field(default_factory=dict)
    _totals: _Totals = field(default_factory=_Totals)
    _pause_until: float = float("-inf")
    _restricted_until: float = float("-inf")
    _settled_at: float = float("-inf")
    _next_turn: float = float("-inf")
    _heard_at: float = float("inf")

    def __post_init__(self) -> None:
        self._adaptive = AdaptiveLimit(self.ceiling.concurrency, self.clock())

    @property
    def limit(self) -> int:
        """Requests that all members together may have under way now."""
        limit = self._adaptive.limit
        return min(limit, RESTRICTED_CONCURRENCY) if self.restricted else limit

    @property
    def restricted(self) -> bool:
        """Whether the project is in restricted mode."""
        return self.clock() < self._restricted_until

    @property
    def booked(self) -> int:
        """Slots that are leased, not yet given back, or in grace."""
        return sum(member.booked for member in self._members.values())

    def knows(self, name: str) -> bool:
        """Return whether a member of this name has joined and is not forgotten yet."""
        return name in self._members

    def set_ceiling(self, ceiling: Ceiling) -> None:
        """Change the ceiling; members that have more give slots back as their requests end."""
        self.ceiling = ceiling
        self._adaptive.set_ceiling(ceiling.concurrency)

    def renew(self, name: str, usage: Usage) -> Lease:
        """Take a member's message and return its lease; an unknown member joins."""
        now = self.clock()
        self._forget(now)
        if now - self._heard_at > STALE_S:
            self._adaptive = AdaptiveLimit(self.ceiling.concurrency, now)
        self._heard_at = now
        member = self._member(name, usage, now)
        self._hear(member, usage, now)
        if usage.leaving:
            self._end(name, usage.in_flight, now)
            return Lease(0, usage.sequence, 0)
        targets = self._targets(now)
        target = targets[name]
        free = self.limit - (self.booked - member.booked)
        slots = min(target, member.booked if now < self._settled_at else max(0, free))
        member.number += 1
        member.slots = slots
        member.booked = max(member.booked, slots)
        return Lease(
            member.number,
            usage.sequence,
            slots,
            self._rate(slots),
            max(0.0, self._pause_until - now),
            VALID_S,
            self._renew_in(now, member, targets),
        )

    def remove(self, name: str) -> None:
        """Note that a member is gone. Its slots are granted to others after the grace period."""
        member = self._members.get(name)
        if member is not None and member.until is None:
            self._end(name, member.booked, self.clock())

    def snapshot(self) -> dict[str, Any]:
        """Return the state as a dictionary that JSON can hold; times in seconds."""
        now = self.clock()
        self._forget(now)
        live = [m for m in self._members.values() if m.until is None]
        return {
            "concurrency": self.ceiling.concurrency,
            "rate": self.ceiling.rate,
            "limit": self.limit,
            "leased": sum(m.slots for m in live),
            "booked": self.booked,
            "in_flight": sum(m.usage.in_flight for m in live),
            "waiting": sum(m.usage.waiting for m in live),
            "done": self._totals.done,
            "throttled": self._totals.throttled,
            "latency": self._adaptive.latency,
            "requests_per_s": sum(m.speed for m in live),
            "pause": max(0.0, self._pause_until - now),
            "restricted": self.restricted,
            "members": {name: _describe(m, now) for name, m in self._members.items()},
        }

    def _member(self, name: str, usage: Usage, now: float) -> _Member:
        member = self._members.get(name)
        if member is None:
            # A new member that has a lease got it from an owner before this one. Other members may
            # have leases of that owner too: nobody gets more slots until all had time to come. The
            # counts so far were that owner's.
            base = usage if usage.lease else Usage(0)
            member = _Member(now, base, usage.slots, usage.slots, usage.lease, now)
            self._members[name] = member
            if usage.lease:
                self._settled_at = now + SETTLE_S
        return member

    def _hear(self, member: _Member, usage: Usage, now: float) -> None:
        before, span = member.usage, now - member.seen
        done = max(0, usage.done - before.done)
        throttled = max(0, usage.throttled - before.throttled)
        latency = max(0.0, usage.latency - before.latency)
        # Until the member says that its newest lease is in force, it may act on an older one.
        known = member.slots if usage.lease == member.number else member.booked
        member.booked = max(known, usage.in_flight)
        member.usage, member.seen, member.until = usage, now, None
        if span > 0:
            weight = min(1.0, span / 2)
            member.speed += weight * (done / span - member.speed)
        if done:
            member.latency = latency / done
        self._totals.done += done
        self._totals.throttled += throttled
        held = sum(m.held for m in self._members.values())
        if self._adaptive.lowered:
            # Slots that are on their way from one member to another hold no request just now, and
            # the server did not refuse them.
            held += max(0, self._adaptive.limit - self.booked)
        self._adaptive.observe(now, done, throttled, latency, held)
        demand = sum(m.usage.demand for m in self._members.values() if m.until is None)
        self._adaptive.tick(now, demand > self._adaptive.limit)
        self._pause_until = max(self._pause_until, now + usage.pause)
        if usage.restricted:
            self._restrict(now)

    def _restrict(self, now: float) -> None:
        if not self.restricted:
            logger.warning(RESTRICTED)
        self._restricted_until = now + RESTRICTED_S

    def _targets(self, now: float) -> dict[str, int]:
        live = {n: m.usage.demand for n, m in self._members.items() if m.heard(now)}
        capacity = self.limit - sum(m.booked for m in self._members.values() if not m.heard(now))
        if now >= self._next_turn:
            self._next_turn = now + max(TURN_S, 2 * (self._adaptive.latency or 0.0))
            self._turn(capacity, live)
        order = [n for n in self._members if n in live]
        return shares(capacity, {n: live[n] for n in order})

    def _turn(self, capacity: int, live: Mapping[str, int]) -> None:
        """Let members take turns, if fewer slots are there than members with demand.

        Members that had a slot in this turn go to the end of the line.
        """
        hungry = [n for n in self._members if live.get(n, 0) > 0]
        if 0 < capacity < len(hungry):
            for name in hungry[:capacity]:
                self._members[name] = self._members.pop(name)

    def _rate(self, slots: int) -> float | None:
        if self.ceiling.rate is None:
            return None
        # Members whose bookings exceed the limit send at their old rate until they renew.
        return self.ceiling.rate * max(slots, 0.01) / max(self.limit, self.booked)

    def _renew_in(self, now: float, member: _Member, targets: Mapping[str, int]) -> float:
        live = [(n, m) for n, m in self._members.items() if n in targets]
        moving = any(m.slots != targets[n] or m.booked > m.slots for n, m in live)
        if moving or any(now - m.joined <= 2 * RENEW_S for _, m in live):
            soon = SOON_S
        else:
            soon = HUNGRY_S if len(live) > 1 and member.usage.demand > member.slots else RENEW_S
        return min(RENEW_S, soon * max(1.0, len(live) / _SOON_MEMBERS))

    def _end(self, name: str, booked: int, now: float) -> None:
        member = self._members[name]
        if not booked:
            del self._members[name]
            return
        member.slots, member.booked = 0, booked
        member.until = now + self._grace()

    def _forget(self, now: float) -> None:
        """Free the bookings of members that are gone, or have sent nothing for too long."""
        for name, member in list(self._members.items()):
            silent = now - member.seen
            over = now >= member.until if member.until is not None else silent > FORGOTTEN_S
            if over:
                del self._members[name]
            elif member.until is None and silent > VALID_S + self._grace():
                member.slots = member.booked = min(1, member.booked)

    def _grace(self) -> float:
        return min(MAX_GRACE_S, max(GRACE_S, 2 * (self._adaptive.latency or 0.0)))


def _describe(member: _Member, now: float) -> dict[str, Any]:
    return {
        "slots": member.slots,
        "booked": member.booked,
        "in_flight": member.usage.in_flight,
        "waiting": member.usage.waiting,
        "done": member.usage.done,
        "throttled": member.usage.throttled,
        "latency": member.latency,
        "requests_per_s": member.speed,
        "seen": now - member.seen,
        "gone": member.until is not None,
    }

"""The owner of one quota: who may have how many requests under way, cluster-wide.

A model without threads, sleep or network, given a clock. Its members (worker processes) report
every half second and get a lease in return::

    member ── Report: in flight, waiting, done, throttled … ──▶ owner
           ◀─ Lease: slots, rate, pause, valid … ──────────────

- *Shares* follow demand: nobody gets less than its even share if it can use it, and what one
  cannot use goes to those who wait. With more members than slots, turns are taken.
- *Shrink before growth*: slots are granted again only when the member that had them reports
  that fewer requests are under way; until then they are booked on it.
- A member that is gone keeps its booking for a time of grace: Earth Engine still works on
  requests whose client has died. One that is silent is taken for gone when its lease is over.
- The *rate* is shared out in proportion to slots.

The sum of bookings never grows beyond the limit; it is above it only after the limit has fallen,
until the requests in question have ended.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from eedask.quota.adaptive import AdaptiveLimit
from eedask.quota.messages import Ceiling, Lease, Report

logger = logging.getLogger("eedask")

Clock = Callable[[], float]

# Seconds between renewals; for who could use more slots; and while a share is in motion.
RENEW_S, HUNGRY_S, SOON_S = 0.5, 0.2, 0.1
# Members that may renew soon at once without a burden on the scheduler: 200 calls a second.
_SOON_MEMBERS = 20
# Seconds that a lease is valid without renewal: more than a worker is ever busy elsewhere.
VALID_S = 10.0
# Seconds, at least, that Earth Engine goes on with requests whose client is gone; twice the mean
# latency where that is longer, and never more than its own limit of 5 minutes.
GRACE_S, MAX_GRACE_S = 5.0, 300.0
# Seconds of silence after which a member is forgotten; until then one slot stays booked on it,
# for that is what it falls back to.
FORGOTTEN_S = 300.0
# Seconds until all members of an owner that was started anew have told what they hold.
SETTLE_S = 1.5
# Seconds without any member after which what was found of the quota is out of date.
STALE_S = 600.0
# Seconds of a turn, where there are more members than slots.
TURN_S = 5.0
# Requests at once while the project is in restricted mode, that is when its compute quota is
# used up (https://developers.google.com/earth-engine/guides/usage). The page tells no number:
# this is a guess, to be changed once somebody has seen one.
RESTRICTED_CONCURRENCY = 2
# Seconds without an answer that tells of restricted mode after which it is taken to be over.
RESTRICTED_S = 300.0


def shares(capacity: int, demands: Mapping[str, int]) -> dict[str, int]:
    """Share slots out by demand.

    Parameters
    ----------
    capacity : int
        Slots.
    demands : mapping
        Slots that each member could use. Where slots are fewer than members, the first get one.

    Returns
    -------
    dict
        Slots for each member: never less than the smaller of demand and an even share, and
        never more than the capacity in sum. What nobody asked for goes to those with demand
        as well, that they need not ask for it.
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

    ``booked`` is the most that it may have under way, as far as is known; ``until`` is when
    the booking of one that is gone ends.
    """

    joined: float
    report: Report
    slots: int = 0
    booked: int = 0
    number: int = 0
    seen: float = 0.0
    until: float | None = None
    speed: float = 0.0
    latency: float | None = None

    def heard(self, now: float) -> bool:
        """Return whether its lease is in force."""
        return self.until is None and now - self.seen <= VALID_S

    @property
    def held(self) -> int:
        """Requests that the server presumably holds for it."""
        if self.until is not None:
            return self.booked
        if self.report.held is not None:
            return self.report.held
        return min(self.slots, self.report.demand)


@dataclass
class _Totals:
    """Since the owner began."""

    done: int = 0
    throttled: int = 0


@dataclass
class Owner:
    """Grants leases of one quota.

    Not safe for threads.

    Parameters
    ----------
    ceiling : Ceiling
    clock : callable
        Seconds, never going back.
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
        """Requests at once, now."""
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
        """Whether somebody is a member, or was until a moment ago."""
        return name in self._members

    def set_ceiling(self, ceiling: Ceiling) -> None:
        """Change what is never exceeded; those who have more give it back as requests end."""
        self.ceiling = ceiling
        self._adaptive.set_ceiling(ceiling.concurrency)

    def renew(self, name: str, report: Report) -> Lease:
        """Hear a member's report and return its lease; an unknown member joins."""
        now = self.clock()
        self._forget(now)
        if now - self._heard_at > STALE_S:
            self._adaptive = AdaptiveLimit(self.ceiling.concurrency, now)
        self._heard_at = now
        member = self._member(name, report, now)
        self._hear(member, report, now)
        if report.leaving:
            self._end(name, report.in_flight, now)
            return Lease(0, report.sequence, 0)
        targets = self._targets(now)
        target = targets[name]
        free = self.limit - (self.booked - member.booked)
        slots = min(target, member.booked if now < self._settled_at else max(0, free))
        member.number += 1
        member.slots = slots
        member.booked = max(member.booked, slots)
        return Lease(
            member.number,
            report.sequence,
            slots,
            self._rate(slots),
            max(0.0, self._pause_until - now),
            VALID_S,
            self._renew_in(now, member, targets),
        )

    def remove(self, name: str) -> None:
        """Take a member for gone; its share is granted to others after the grace."""
        member = self._members.get(name)
        if member is not None and member.until is None:
            self._end(name, member.booked, self.clock())

    def snapshot(self) -> dict[str, Any]:
        """Return the state for progress and dashboards, JSON-able; times in seconds."""
        now = self.clock()
        self._forget(now)
        live = [m for m in self._members.values() if m.until is None]
        return {
            "concurrency": self.ceiling.concurrency,
            "rate": self.ceiling.rate,
            "limit": self.limit,
            "leased": sum(m.slots for m in live),
            "booked": self.booked,
            "in_flight": sum(m.report.in_flight for m in live),
            "waiting": sum(m.report.waiting for m in live),
            "done": self._totals.done,
            "throttled": self._totals.throttled,
            "latency": self._adaptive.latency,
            "requests_per_s": sum(m.speed for m in live),
            "pause": max(0.0, self._pause_until - now),
            "restricted": self.restricted,
            "members": {name: _describe(m, now) for name, m in self._members.items()},
        }

    def _member(self, name: str, report: Report, now: float) -> _Member:
        member = self._members.get(name)
        if member is None:
            # Who comes with a lease had it from an owner that is no more, as may others: let
            # them all come before anybody gets more. Its counts until now were that owner's.
            base = report if report.lease else Report(0)
            member = _Member(now, base, report.slots, report.slots, report.lease, now)
            self._members[name] = member
            if report.lease:
                self._settled_at = now + SETTLE_S
        return member

    def _hear(self, member: _Member, report: Report, now: float) -> None:
        before, span = member.report, now - member.seen
        done = max(0, report.done - before.done)
        throttled = max(0, report.throttled - before.throttled)
        latency = max(0.0, report.latency - before.latency)
        # Only the member that has the last lease in force says what it may have under way.
        known = member.slots if report.lease == member.number else member.booked
        member.booked = max(known, report.in_flight)
        member.report, member.seen, member.until = report, now, None
        if span > 0:
            weight = min(1.0, span / 2)
            member.speed += weight * (done / span - member.speed)
        if done:
            member.latency = latency / done
        self._totals.done += done
        self._totals.throttled += throttled
        held = sum(m.held for m in self._members.values())
        if self._adaptive.lowered:
            # Slots that are on their way from one member to another were not refused.
            held += max(0, self._adaptive.limit - self.booked)
        self._adaptive.observe(now, done, throttled, latency, held)
        demand = sum(m.report.demand for m in self._members.values() if m.until is None)
        self._adaptive.tick(now, demand > self._adaptive.limit)
        self._pause_until = max(self._pause_until, now + report.pause)
        if report.restricted:
            self._restrict(now)

    def _restrict(self, now: float) -> None:
        if not self.restricted:
            logger.warning(
                "Earth Engine tells that this project's compute quota is used up"
                " (parallelism_restricted); going on with %d requests at once."
                " See https://developers.google.com/earth-engine/guides/usage",
                RESTRICTED_CONCURRENCY,
            )
        self._restricted_until = now + RESTRICTED_S

    def _targets(self, now: float) -> dict[str, int]:
        live = {n: m.report.demand for n, m in self._members.items() if m.heard(now)}
        capacity = self.limit - sum(m.booked for m in self._members.values() if not m.heard(now))
        if now >= self._next_turn:
            self._next_turn = now + max(TURN_S, 2 * (self._adaptive.latency or 0.0))
            self._turn(capacity, live)
        order = [n for n in self._members if n in live]
        return shares(capacity, {n: live[n] for n in order})

    def _turn(self, capacity: int, live: Mapping[str, int]) -> None:
        """Put those who had a slot behind those who had none, if not all can have one."""
        hungry = [n for n in self._members if live.get(n, 0) > 0]
        if 0 < capacity < len(hungry):
            for name in hungry[:capacity]:
                self._members[name] = self._members.pop(name)

    def _rate(self, slots: int) -> float | None:
        if self.ceiling.rate is None:
            return None
        # Bookings above the limit still send, until they hear of it.
        return self.ceiling.rate * max(slots, 0.01) / max(self.limit, self.booked)

    def _renew_in(self, now: float, member: _Member, targets: Mapping[str, int]) -> float:
        live = [(n, m) for n, m in self._members.items() if n in targets]
        moving = any(m.slots != targets[n] or m.booked > m.slots for n, m in live)
        if moving or any(now - m.joined <= 2 * RENEW_S for _, m in live):
            soon = SOON_S
        else:
            soon = HUNGRY_S if len(live) > 1 and member.report.demand > member.slots else RENEW_S
        return min(RENEW_S, soon * max(1.0, len(live) / _SOON_MEMBERS))

    def _end(self, name: str, booked: int, now: float) -> None:
        member = self._members[name]
        if not booked:
            del self._members[name]
            return
        member.slots, member.booked = 0, booked
        member.until = now + self._grace()

    def _forget(self, now: float) -> None:
        """Free what was booked on members that are gone, or silent for too long."""
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
        "in_flight": member.report.in_flight,
        "waiting": member.report.waiting,
        "done": member.report.done,
        "throttled": member.report.throttled,
        "latency": member.latency,
        "requests_per_s": member.speed,
        "seen": now - member.seen,
        "gone": member.until is not None,
    }

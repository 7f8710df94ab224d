"""Models of the quotas, and of the latency and fault that each request gets.

Nothing here speaks HTTP or sleeps: the server asks for a verdict and carries it out. Random
numbers depend only on a seed, the request's own bytes and how often these were seen before, so
that a run meets the same faults in whatever order its requests arrive.
https://developers.google.com/earth-engine/guides/usage has the quotas.
"""

from __future__ import annotations

import hashlib
import random
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from eedask.emulator.errors import EarthEngineError
from eedask.emulator.limits.accounting import Compute
from eedask.emulator.traffic.faults import Fault, Faults, Latency

Clock = Callable[[], float]

TOO_MANY_REQUESTS = (
    "Too Many Requests: Request was rejected because the request rate or concurrency limit "
    "was exceeded."
)
TOO_MANY_READS = (
    "Quota exceeded for quota metric 'Number of read requests' and limit 'Number of read "
    "requests per minute per user' of service 'earthengine.googleapis.com' for consumer "
    "'project_number:1'."
)
_COMPUTE = ("daily_eecu_seconds", "monthly_eecu_hours")
TOO_MANY_AGGREGATIONS = "Quota exceeded: Too many concurrent aggregations."


class Slots:
    """Counts the requests in flight, and refuses more of them than a limit.

    Parameters
    ----------
    limit : int, optional
        The most requests in flight; None for no limit.
    clock : callable
        Returns monotonic seconds.

    Attributes
    ----------
    in_flight, peak : int
        The requests in flight now, and the most there have been.
    """

    def __init__(self, limit: int | None, clock: Clock) -> None:
        if limit is not None and limit < 1:
            raise ValueError(f"concurrency must be at least 1, not {limit}")
        self.limit = limit
        self.in_flight = 0
        self.peak = 0
        self._clock = clock
        self._seconds = 0.0
        self._since = clock()

    @property
    def seconds(self) -> float:
        """Slot-seconds: the sum over requests of the time each was in flight."""
        self._add_up()
        return self._seconds

    def enter(self, *, forced: bool = False, limit: int | None = None) -> bool:
        """Take a slot, and return whether there was one.

        Parameters
        ----------
        forced : bool
            Take it even over the limit.
        limit : int, optional
            Another limit; the lower of the two holds.
        """
        limits = [most for most in (self.limit, limit) if most is not None]
        if not forced and limits and self.in_flight >= min(limits):
            return False
        self._add_up()
        self.in_flight += 1
        self.peak = max(self.peak, self.in_flight)
        return True

    def leave(self) -> None:
        """Give back a slot that `enter` took."""
        self._add_up()
        self.in_flight -= 1

    def forget(self) -> None:
        """Reset the peak and the slot-seconds; requests in flight keep their slots."""
        self.peak, self._seconds, self._since = self.in_flight, 0.0, self._clock()

    def _add_up(self) -> None:
        now = self._clock()
        self._seconds += self.in_flight * (now - self._since)
        self._since = now


class TokenBucket:
    """Limits the rate of requests; after a pause, one second's worth may come at once.

    Parameters
    ----------
    rate : float, optional
        Requests per second; None for no limit.
    clock : callable
        Returns monotonic seconds.
    """

    def __init__(self, rate: float | None, clock: Clock) -> None:
        if rate is not None and not rate > 0:
            raise ValueError(f"rate must be positive, not {rate}")
        self.rate = rate
        self._clock = clock
        self._tokens = self._capacity = max(1.0, rate or 0.0)
        self._since = clock()

    def take(self) -> bool:
        """Take the token of one request, and return whether there was one."""
        if self.rate is None:
            return True
        now = self._clock()
        self._tokens = min(self._capacity, self._tokens + (now - self._since) * self.rate)
        self._since = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True


class Chance:
    """Makes random generators seeded by a request's bytes and how often it was seen."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._seen: Counter[bytes] = Counter()

    def __call__(self, *what: bytes) -> Callable[[], random.Random]:
        """Count one more try of a request, and return a function that makes its generator."""
        digest = hashlib.blake2b(b"\0".join(what), digest_size=12).digest()
        self._seen[digest] += 1
        text = f"{self._seed}:{digest.hex()}:{self._seen[digest]}"
        return partial(random.Random, text)


@dataclass(frozen=True)
class Verdict:
    """What the server has to do with a request that no quota refused.

    Attributes
    ----------
    latency : float
        Seconds from the request's arrival until its answer may be sent.
    fault : Fault, optional
        The fault that it meets; None for no fault.
    """

    latency: float
    fault: Fault | None


class Traffic:
    """All quotas, latency and faults together, with statistics of the requests.

    Parameters
    ----------
    concurrency : int, optional
        The most requests in flight; None for no limit.
    rate : float, optional
        Requests per second; None for no limit.
    latency : Latency, str, mapping or float, optional
        As :meth:`Latency.parse` takes it; a number is seconds.
    faults : Faults, str or mapping, optional
        As :meth:`Faults.parse` takes it.
    seed : int
        Of all random numbers.
    clock : callable
        Returns monotonic seconds.
    compute : Compute, optional
        The account of EECU time, with its limits; by default one without limits.
    """

    def __init__(
        self,
        concurrency: int | None = None,
        rate: float | None = None,
        latency: Any = None,
        faults: Any = None,
        seed: int = 0,
        *,
        clock: Clock,
        compute: Compute | None = None,
    ) -> None:
        self._clock = clock
        self.compute = compute or Compute()
        self._chance = Chance(seed)
        self.slots = Slots(concurrency, clock)
        self._bucket = TokenBucket(rate, clock)
        self.latency = Latency.parse(latency)
        self.faults = faults
        self._statuses: Counter[str] = Counter()
        self._methods: Counter[str] = Counter()
        self._met: Counter[str] = Counter()
        self._abandoned = 0

    @property
    def faults(self) -> Faults:
        """The settings of faults; the time until their outage counts from setting them."""
        return self._faults

    @faults.setter
    def faults(self, spec: Any) -> None:
        self._faults = Faults.parse(spec)
        self._faults_since = self._clock()

    def set_quotas(self, quotas: Mapping[str, Any]) -> None:
        """Change the quotas that are named; the others stay.

        Parameters
        ----------
        quotas : mapping
            ``concurrency``, ``rate``, ``latency`` and the limits of EECU time,
            ``daily_eecu_seconds`` and ``monthly_eecu_hours``.

        Raises
        ------
        ValueError
            A name is unknown, or a value invalid.
        """
        unknown = set(quotas) - {"concurrency", "rate", "latency", *_COMPUTE}
        if unknown:
            raise ValueError(f"no such quotas: {', '.join(sorted(unknown))}")
        self.compute.set_limits({name: quotas[name] for name in _COMPUTE if name in quotas})
        if "latency" in quotas:
            self.latency = Latency.parse(quotas["latency"])
        if "rate" in quotas:
            self._bucket = TokenBucket(quotas["rate"], self._clock)
        if "concurrency" in quotas:
            # The same Slots with another limit: requests in flight will give their slots back.
            self.slots.limit = Slots(quotas["concurrency"], self._clock).limit

    def enter(self, *what: bytes) -> Verdict:
        """Admit a request, which takes a slot until :meth:`leave` is called.

        During an outage no quota refuses a request.

        Parameters
        ----------
        *what : bytes
            The request: its method, path, query and body.

        Raises
        ------
        EarthEngineError
            429: it is over a quota. No slot is taken.
        """
        latency, fault = self._drawn(self._chance(*what))
        outage = self._faults.out(self._clock() - self._faults_since)
        if outage is not None:
            latency, fault = 0.0, outage
        elif not self._bucket.take():
            raise EarthEngineError(TOO_MANY_READS, 429)
        else:
            self.compute.check()
        limit = self.compute.concurrency(self.slots.limit)
        if not self.slots.enter(forced=outage is not None, limit=limit):
            raise EarthEngineError(TOO_MANY_REQUESTS, 429)
        verdict = Verdict(latency, fault)
        if verdict.fault:
            self._met[verdict.fault.value] += 1
        return verdict

    def _drawn(self, chance: Callable[[], random.Random]) -> tuple[float, Fault | None]:
        # Making a generator takes longer than all else here: without need none is made.
        if self.latency.is_fixed and self._faults.are_none:
            return self.latency.median, None
        generator = chance()
        return self.latency.draw(generator), self._faults.draw(generator)

    def leave(self) -> None:
        """Give back the slot of a request that has ended."""
        self.slots.leave()

    def count(self, method: str, status: int | str) -> None:
        """Count an answer by its REST method and HTTP status (or how it failed)."""
        self._methods[method] += 1
        self._statuses[str(status)] += 1

    def abandon(self) -> None:
        """Count a request whose client closed the connection before the answer."""
        self._abandoned += 1

    def stats(self) -> dict[str, Any]:
        """Return the statistics as JSON values."""
        return {
            "requests": sum(self._methods.values()),
            "by_status": dict(self._statuses),
            "by_method": dict(self._methods),
            "faults": dict(self._met),
            "abandoned": self._abandoned,
            "in_flight": self.slots.in_flight,
            "peak_in_flight": self.slots.peak,
            "slot_seconds": self.slots.seconds,
            **self.compute.stats(),
        }

    def forget(self) -> None:
        """Reset the statistics; limits and requests in flight stay."""
        for counter in (self._statuses, self._methods, self._met):
            counter.clear()
        self._abandoned = 0
        self.compute.forget()
        self.slots.forget()

"""The estimate that a plan returns: what all its items will take, in numbers and in words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import pandas as pd

from eedask.estimating.course import Place, course_of
from eedask.estimating.pilot import Weights
from eedask.estimating.rehearsal import Course
from eedask.estimating.scaling import Line, Range
from eedask.estimating.ways import Way, verdict
from eedask.results.reporting.markup import text
from eedask.run.process import COSTS_S
from eedask.watching.compute_sample import is_worth_asking

# EECU-hours a month of noncommercial projects, by tier
# (https://developers.google.com/earth-engine/guides/noncommercial_tiers).
TIERS = {"community": 150, "contributor": 1_000, "partner": 100_000}
# How many times as long as the quota's ideal a run takes, usually and at most, by benchmarks.
_USUAL, _SLOW = 1.05, 1.2
# From so many times the weight of the pilot's heaviest request on, a request's time is not sure.
_FAR = 2
_NOT_TOLD = "not known: Earth Engine does not tell"


@dataclass(frozen=True)
class Pilot:
    """What the requests of a pilot took.

    Attributes
    ----------
    measured : DataFrame
        One row for each partition in each pass of the pilot. Columns: ``items``; ``failed``, how
        many of them failed; ``requests``; ``weight`` of the items, see :class:`Weights`;
        ``seconds``, ``nbytes`` and ``eecu_s``, each the sum over all requests. ``eecu_s`` is NaN
        if Earth Engine did not tell it.
    cpu_s : float
        Seconds of processor time that a request takes on this machine.
    cpu_s_of_item : float
        Seconds of processor time that each item takes beside that, where items share requests.
    idle_s : float
        Seconds that a run takes before its first partition begins and after its last one ends.
    """

    measured: pd.DataFrame
    cpu_s: float = 0.0
    cpu_s_of_item: float = 0.0
    idle_s: float = 0.0

    @property
    def shortest(self) -> float:
        """Seconds of the requests that lasted shortest; 0 if none was answered."""
        seconds = self.measured["seconds"] / self.measured["requests"]
        return min(seconds.dropna(), default=0.0)

    @property
    def heaviest(self) -> float:
        """Weight of the heaviest request."""
        return float((self.measured["weight"] / self.measured["requests"]).max())

    def time_line(self) -> Line:
        """Return how the seconds grow with requests and weight.

        Where the pilot's requests weigh too little to tell what more weight takes, an EECU-second
        is taken to last a second.
        """
        cost = self.line("eecu_s")
        # None lasts where none was answered.
        found = self.line("seconds", supposed=cost.a_weight if cost else 0.0)
        return found or Line.through([1.0], [1.0], [0.0])

    def line(self, column: str, supposed: float = 0.0) -> Line | None:
        """Return how a column grows with requests and weight; None if it is NaN in all rows."""
        known = self.measured[self.measured[column].notna()]
        if known.empty:
            return None
        columns = (known[name].to_numpy(float) for name in ("requests", "weight", column))
        return Line.through(*columns, noisy=column == "seconds", supposed=supposed)


@dataclass(frozen=True, repr=False)
class Estimate:
    """How much time and compute a plan will take, estimated from a few items; ``print`` shows it.

    All numbers are for the whole plan, the items of the pilot included. They assume that the
    pilot's items are like the others, and that Earth Engine will be as fast as it was in the pilot,
    however many requests are under way. An emulator is not: its requests share a few processors.
    A request of a table's run may hold a hundred times the items of a pilot's request. Its cost and
    its time are taken to be a part for the request and a part for each item. Where the pilot's few
    items do not tell how much longer more items last, an EECU-second is taken to last a second.
    What Earth Engine saves where the regions of a request overlap is not known: the emulator, which
    reads pixels that lie close together once, charges a region of a batch of 500 a third of what it
    charges a region by itself, if each place is in five of them.

    Attributes
    ----------
    verb : str
        Name of the plan's verb.
    items, pilot, failed : int
        Number of items of the plan; of the pilot, whose results are kept in the dataset; and how
        many of the pilot's items failed.
    requests : Range
        Number of requests.
    seconds : Range
        Duration of the run.
    nbytes : Range
        Bytes of the answers, unpacked.
    eecu_seconds : Range or None
        Cost of all requests; None if Earth Engine does not tell what requests cost.
    limited_by : str
        What determines the duration of the run: the quota, latency, or this machine.
    ways : tuple of Way
        What a few items took with each choice that the plan leaves open: each endpoint, and a
        larger ``tile_scale``.

    Examples
    --------
    >>> estimate = plan.estimate()  # doctest: +SKIP
    >>> estimate.eecu_seconds.high / 3600  # EECU-hours, at most  # doctest: +SKIP
    """

    verb: str
    items: int
    pilot: int
    failed: int
    requests: Range
    seconds: Range
    nbytes: Range
    eecu_seconds: Range | None
    limited_by: str
    ways: tuple[Way, ...] = field(default=())

    @property
    def tier_shares(self) -> dict[str, Range] | None:
        """The part of each noncommercial tier's monthly EECU-hours that the plan uses.

        A range for each of ``community`` (150 EECU-hours a month), ``contributor`` (1,000) and
        ``partner`` (100,000), where 1 means all of them; None if the cost is not known.
        """
        if self.eecu_seconds is None:
            return None
        return {tier: self.eecu_seconds * (1 / 3600 / hours) for tier, hours in TIERS.items()}

    @property
    def cheaper(self) -> str:
        """Which of the ``ways`` is cheaper, in words; empty if there are not two to compare."""
        return verdict(self.ways)

    def __repr__(self) -> str:
        lines = [f"{self._title}, by a pilot of {self.pilot:,}", ""]
        return "\n".join([*lines, *(f"  {name:<12} {words}" for name, words in self._rows())])

    def _repr_html_(self) -> str:
        left = 'style="text-align:left"'
        rows = "".join(
            f"<tr><th {left}>{text(name)}</th><td {left}>{text(words)}</td></tr>"
            for name, words in self._rows()
        )
        title = f"<b>{text(self._title)}</b>, by a pilot of {self.pilot:,}"
        return f"{title}<table>{rows}</table>"

    @property
    def _title(self) -> str:
        return f"What {self.verb} of {self.items:,} items will take"

    def _rows(self) -> Iterator[tuple[str, str]]:
        yield "requests", _told(self.requests, "")
        yield "time", _told(*_in(self.seconds, {"h": 3600, "min": 60, "s": 1}))
        yield "limited by", self.limited_by
        yield "bytes", _told(*_in(self.nbytes, {"GB": 1e9, "MB": 1e6, "kB": 1e3}))
        if self.eecu_seconds is None or self.tier_shares is None:
            yield "compute", _NOT_TOLD
        else:
            units = {"EECU-hours": 3600, "EECU-seconds": 1}
            yield "compute", _told(*_in(self.eecu_seconds, units))
            shares = (f"{_percent(one)} ({tier})" for tier, one in self.tier_shares.items())
            yield "of a month", ", ".join(shares)
        if self.failed:
            yield "failed", f"{self.failed:,} of the pilot's items: see result.failed after run()"
        for way in self.ways:
            if way.error:
                yield way.name, f"cannot be used: {way.error}"
        if self.cheaper:
            yield "cheaper", self.cheaper


def estimated(
    verb: str,
    items: int,
    before: float,
    all_: Weights,
    place: Place,
    pilot: Pilot,
    ways: tuple[Way, ...] = (),
) -> Estimate:
    """Return the estimate for all items, from what the pilot's requests took.

    Parameters
    ----------
    verb : str
    items : int
        Number of items of the plan.
    before : float
        Number of requests that come before the first item.
    all_ : Weights
        Requests and weight of all items.
    place : Place
        Where the run is done, and its quota.
    pilot : Pilot
    ways : tuple of Way
    """
    measured = pilot.measured
    line = pilot.time_line()
    course = course_of(all_, line, place)
    nbytes, eecu = (
        None if line is None else line.range(course.requests, all_.weight)
        for line in map(pilot.line, ("nbytes", "eecu_s"))
    )
    least, most = all_.requests
    # More requests than jobs were sent where some were cut, or tried again.
    requests = Range(min(least, course.requests), course.requests, max(most, course.requests))
    seconds, limited_by = _time(course, all_, line, place, pilot, items)
    # What is asked one after the other: before the first item, and at the end what all has cost.
    alone = pilot.idle_s + before * pilot.shortest
    if is_worth_asking(course.requests, course.seconds):
        alone += min(COSTS_S, pilot.shortest)
    return Estimate(
        verb=verb,
        items=items,
        pilot=int(measured["items"].sum()),
        failed=int(measured["failed"].sum()),
        requests=requests + before,
        seconds=seconds + alone,
        nbytes=nbytes or Range(0.0, 0.0, 0.0),
        eecu_seconds=eecu,
        limited_by=limited_by,
        ways=ways,
    )


def _time(
    course: Course, all_: Weights, line: Line, place: Place, pilot: Pilot, items: int
) -> tuple[Range, str]:
    """Return how long a run takes from its first item on, and what it waits for.

    Parameters
    ----------
    course : Course
        Of the run.
    all_ : Weights
    line : Line
        The seconds that requests last.
    place : Place
    pilot : Pilot
    items : int
        Number of items of the run.
    """
    lasted, rate = line.range(course.requests, all_.weight), place.ceiling.rate
    # A process works on one processor at a time.
    cpu_s = course.requests * pilot.cpu_s + items * pilot.cpu_s_of_item
    work = Range.around(cpu_s / place.processes, 0.3)
    shorter, longer = (
        course_of(all_, line * (end / lasted.expected if lasted.expected else 1.0), place).seconds
        for end in (lasted.low, lasted.high)
    )
    each = lasted.expected / max(1.0, course.requests)
    if work.expected > course.seconds:
        limited_by = f"this machine: each process works {work.expected:.2g} s"
    elif rate and course.requests / rate * _USUAL > course.seconds:
        limited_by = f"the quota of {rate:g} requests a second"
    else:
        limited_by = f"latency: {course.at_once} requests at once, of {each:.2g} s each"
        times = all_.weight / max(1.0, course.requests) / pilot.heaviest
        if times >= _FAR and line.may_be_flat:
            limited_by += f"; not sure, as they hold {times:.2g} times what the pilot's did"
    seconds = Range(
        max(shorter, work.low),
        max(course.seconds, work.expected) * _USUAL,
        max(longer, work.high) * _SLOW,
    )
    return seconds, limited_by


def _in(value: Range, units: Mapping[str, float]) -> tuple[Range, str]:
    """Return a range in the largest unit in which it is 1 or more, else in the smallest unit."""
    fitting = [(name, size) for name, size in units.items() if value.expected >= size]
    name, size = fitting[0] if fitting else list(units.items())[-1]
    return value * (1 / size), name


def _told(value: Range, unit: str) -> str:
    low, expected, high = (_number(one) for one in (value.low, value.expected, value.high))
    words = expected if low == high else f"{expected} ({low} to {high})"
    return f"{words} {unit}".rstrip()


def _percent(share: Range) -> str:
    if share.expected < 1e-4:
        return "under 0.01 %"
    return f"{100 * share.expected:.2g} %" if share.expected < 1 else f"{share.expected:,.3g} times"


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 or value == int(value) else f"{value:.3g}"

"""Quotas, latencies and faults: how many requests get through, how late, and which fail."""

import random
import statistics
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eedask.emulator.errors import EarthEngineError
from eedask.emulator.traffic.faults import Fault, Faults, Latency
from eedask.emulator.traffic.quotas import (
    TOO_MANY_READS,
    TOO_MANY_REQUESTS,
    Slots,
    TokenBucket,
    Traffic,
)


class Clock:
    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now

    def go(self, seconds):
        self.now += seconds


@pytest.fixture
def clock():
    return Clock()


def test_slots_refuse_over_the_limit_and_count(clock):
    slots = Slots(2, clock)
    assert [slots.enter(), slots.enter(), slots.enter()] == [True, True, False]
    clock.go(3)
    slots.leave()
    clock.go(5)
    slots.leave()
    assert slots.seconds == 2 * 3 + 1 * 5
    assert (slots.peak, slots.in_flight) == (2, 0)
    assert slots.enter()


def test_slots_without_a_limit_still_count(clock):
    slots = Slots(None, clock)
    assert all(slots.enter() for _ in range(100))
    assert slots.peak == 100


@given(st.lists(st.tuples(st.booleans(), st.floats(0, 10)), max_size=60), st.integers(1, 5))
def test_slot_seconds_are_the_sum_of_stays(steps, limit):
    clock = Clock()
    slots, entered, total = Slots(limit, clock), [], 0.0
    for enters, seconds in steps:
        if enters and slots.enter():
            entered.append(clock.now)
        elif not enters and entered:
            total += clock.now - entered.pop()
            slots.leave()
        clock.go(seconds)
        assert slots.in_flight == len(entered) <= limit
    total += sum(clock.now - start for start in entered)
    assert slots.seconds == pytest.approx(total)


def test_bucket_gives_its_rate_and_a_second_at_once(clock):
    bucket = TokenBucket(8, clock)
    assert [bucket.take() for _ in range(10)] == [True] * 8 + [False] * 2
    clock.go(0.375)
    assert [bucket.take() for _ in range(4)] == [True] * 3 + [False]
    clock.go(100)
    assert sum(bucket.take() for _ in range(50)) == 8


def test_bucket_over_time_is_never_over_its_rate(clock):
    bucket, taken = TokenBucket(7, clock), 0
    for _ in range(2000):
        clock.go(0.01)
        taken += bucket.take()
    assert 7 * 20 <= taken <= 7 * 21


def test_a_slow_bucket_still_gives_one(clock):
    bucket = TokenBucket(0.5, clock)
    assert [bucket.take(), bucket.take()] == [True, False]
    clock.go(2)
    assert bucket.take()


@pytest.mark.parametrize(
    ("spec", "latency"),
    [
        (None, Latency()),
        ("", Latency()),
        (0.1, Latency(0.1)),
        ("0.1", Latency(0.1)),
        ("0.1,slow_share=0.01,slow=3", Latency(0.1, slow_share=0.01, slow=3.0)),
        ({"median": 1, "sigma": 0.5}, Latency(1.0, 0.5)),
        (Latency(2.0), Latency(2.0)),
    ],
)
def test_latency_from_its_spec_and_back(spec, latency):
    assert Latency.parse(spec) == latency
    assert Latency.parse(latency.spec()) == latency


def test_faults_from_their_spec_and_back():
    faults = Faults.parse("429=0.3, 500=0.1,outage=20,outage_as=503")
    assert faults == Faults(throttle=0.3, internal=0.1, outage=20.0, outage_as="503")
    assert Faults.parse(faults.spec()) == faults
    assert Faults.parse({"429": 0.3, 503: 0.2}) == Faults(throttle=0.3, unavailable=0.2)


@pytest.mark.parametrize(
    ("kind", "spec"),
    [
        (Faults, "418=0.5"),
        (Faults, "429=2"),
        (Faults, "429=0.6,500=0.6"),
        (Faults, "hang=often"),
        (Faults, "outage_as=fire"),
        (Faults, "drip_s=-1"),
        (Latency, "slow_share=-0.1"),
        (Latency, "-1"),
        (Latency, "nan"),
    ],
)
def test_settings_that_cannot_be(kind, spec):
    with pytest.raises(ValueError):  # noqa: PT011 (the words differ)
        kind.parse(spec)


def test_latency_is_lognormal_with_a_slow_share():
    chance = random.Random(1)
    latency = Latency(0.2, sigma=0.5, slow_share=0.1, slow=9)
    draws = [latency.draw(chance) for _ in range(20000)]
    fast = [d for d in draws if d != 9]
    assert 0.09 < 1 - len(fast) / len(draws) < 0.11
    assert statistics.median(fast) == pytest.approx(0.2, rel=0.03)
    assert {Latency(0.1).draw(chance) for _ in range(10)} == {0.1}


def test_shares_of_faults_are_met(clock):
    traffic = Traffic(faults="429=0.3,500=0.1,hang=0.05", seed=7, clock=clock)
    met = Counter(traffic.enter(b"%d" % i).fault for i in range(10000))
    assert met[Fault.THROTTLE] == pytest.approx(3000, rel=0.05)
    assert met[Fault.INTERNAL] == pytest.approx(1000, rel=0.1)
    assert met[Fault.HANG] == pytest.approx(500, rel=0.15)
    assert set(met) == {None, Fault.THROTTLE, Fault.INTERNAL, Fault.HANG}


def test_faults_do_not_depend_on_the_order_of_requests(clock):
    requests = [b"%d" % (i % 50) for i in range(200)]

    def met(order, seed=3):
        traffic = Traffic(faults="429=0.5", latency="1,sigma=1", seed=seed, clock=clock)
        verdicts: dict[bytes, list] = {}
        for request in order:
            verdicts.setdefault(request, []).append(traffic.enter(request))
        return verdicts

    shuffled = random.Random(0).sample(requests, len(requests))
    assert met(requests) == met(shuffled)
    assert met(requests) != met(requests, seed=4)
    # A repeated request meets something else than before: retries can succeed.
    assert any(len({v.fault for v in tries}) == 2 for tries in met(requests).values())


def test_chance_is_that_of_the_tries_before_whether_it_was_drawn_or_not(clock):
    def verdicts(count, traffic):
        return [traffic.enter(b"%d" % (i % 7)) for i in range(count)]

    settings = {"latency": "median=1,sigma=1", "faults": "429=0.2,hang=0.3", "seed": 5}
    drawn, late = Traffic(**settings, clock=clock), Traffic(latency=0.25, seed=5, clock=clock)
    before, fixed = verdicts(50, drawn), verdicts(50, late)
    assert len(set(before)) > 10
    assert {(verdict.latency, verdict.fault) for verdict in fixed} == {(0.25, None)}
    late.set_quotas({"latency": settings["latency"]})
    late.faults = settings["faults"]
    assert verdicts(50, late) == verdicts(50, drawn)


@given(st.floats(0, 1e6), st.integers())
def test_what_is_certain_need_not_be_drawn(median, seed):
    assert Latency(median).is_fixed
    assert Latency(median).draw(random.Random(seed)) == median
    assert Faults(hang_s=1, outage=3, restricted=1).are_none
    assert Faults(hang_s=1, outage=3, restricted=1).draw(random.Random(seed)) is None


@pytest.mark.parametrize("spec", ["sigma=0.1", "slow_share=0.1", "median=1,slow_share=1,slow=2"])
def test_a_latency_that_varies_is_drawn(spec):
    assert not Latency.parse(spec).is_fixed


@pytest.mark.parametrize("name", ["429", "429_retry_after", "500", "503", "hang", "reset", "drip"])
def test_a_share_of_any_fault_is_drawn(name):
    assert not Faults.parse(f"{name}=0.01").are_none


def test_traffic_refuses_in_earth_engines_words(clock):
    traffic = Traffic(concurrency=1, rate=2, clock=clock)
    traffic.enter(b"a")
    with pytest.raises(EarthEngineError) as caught:
        traffic.enter(b"b")
    assert (caught.value.code, caught.value.message) == (429, TOO_MANY_REQUESTS)
    with pytest.raises(EarthEngineError) as caught:
        traffic.enter(b"c")
    assert (caught.value.code, caught.value.message) == (429, TOO_MANY_READS)
    traffic.leave()
    clock.go(1)
    traffic.enter(b"b")
    assert traffic.stats()["peak_in_flight"] == 1


@pytest.mark.parametrize(("kind", "fault"), [("reset", Fault.RESET), ("503", Fault.UNAVAILABLE)])
def test_outage_is_a_window(clock, kind, fault):
    spec = f"outage_after=5,outage=20,outage_as={kind}"
    traffic = Traffic(concurrency=1, rate=1, latency=3, faults=spec, clock=clock)
    assert traffic.enter(b"a").fault is None
    clock.go(5)
    # Nothing works, whatever the quotas: and at once.
    for _ in range(3):
        verdict = traffic.enter(b"a")
        assert (verdict.fault, verdict.latency) == (fault, 0)
        traffic.leave()
    traffic.leave()
    clock.go(20)
    assert traffic.enter(b"a").fault is None
    assert traffic.stats()["faults"] == {fault.value: 3}


def test_setting_faults_starts_their_clock(clock):
    traffic = Traffic(clock=clock)
    clock.go(100)
    traffic.faults = "outage=10"
    assert traffic.enter(b"a").fault is Fault.RESET
    clock.go(10)
    assert traffic.enter(b"a").fault is None


def test_quotas_can_change_while_requests_are_in_flight(clock):
    traffic = Traffic(concurrency=1, clock=clock)
    traffic.enter(b"a")
    traffic.set_quotas({"concurrency": 2})
    traffic.enter(b"b")
    traffic.set_quotas({"concurrency": 1, "latency": 4, "rate": None})
    traffic.leave()
    with pytest.raises(EarthEngineError):
        traffic.enter(b"c")
    traffic.leave()
    assert traffic.enter(b"c").latency == 4
    with pytest.raises(ValueError, match="no such quotas: speed"):
        traffic.set_quotas({"speed": 1})


def test_tally(clock):
    traffic = Traffic(clock=clock)
    traffic.enter(b"a")
    clock.go(2)
    traffic.count("m", 200)
    traffic.count("m", 429)
    traffic.abandon()
    assert traffic.stats() == {
        "requests": 2,
        "by_status": {"200": 1, "429": 1},
        "by_method": {"m": 2},
        "faults": {},
        "abandoned": 1,
        "in_flight": 1,
        "peak_in_flight": 1,
        "slot_seconds": 2.0,
        "eecu_seconds": 0,
        "eecu_seconds_by_tag": {},
        "eecu_seconds_today": 0,
        "eecu_seconds_this_month": 0,
        "peak_memory": 0,
        "restricted": False,
    }
    traffic.forget()
    assert traffic.stats()["requests"] == 0
    assert traffic.stats()["in_flight"] == 1


def test_limits_that_cannot_be(clock):
    with pytest.raises(ValueError, match="concurrency"):
        Traffic(concurrency=0, clock=clock)
    with pytest.raises(ValueError, match="rate"):
        Traffic(rate=0, clock=clock)

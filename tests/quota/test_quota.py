"""The quota's model: by simulation, with a clock of its own, and the limiter with real threads."""

import contextlib
import itertools
import math
import threading
import time

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from quota_simulation import Run, Server

from eedask.errors import InputError, QuotaError, RunStopped, TransientError
from eedask.quota import adaptive, owner
from eedask.quota.adaptive import AdaptiveLimit
from eedask.quota.limiter import Limiter, SlotUnused
from eedask.quota.messages import Ceiling, Lease, Usage
from eedask.quota.owner import Owner, shares
from eedask.quota.share import Share

# -- runs against a simulated server ---------------------------------------------------------


def about(median, sigma=0.3):
    return lambda chance: median * math.exp(sigma * chance.gauss(0, 1))


def slow_tail(chance):
    return 3.0 if chance.random() < 0.01 else 0.1


def play(quota, workers=4, items=5000, latency=None, ceiling=None, seed=1, joins=None, **more):
    server = Server(quota if callable(quota) else lambda _: quota, latency or about(0.1), **more)
    return Run(server, items, ceiling or Ceiling(40), joins or [0.0] * workers, seed=seed).play()


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("workers", [1, 2, 8])
def test_an_unknown_quota_is_found_within_a_tenth_of_the_ideal_time(workers, seed):
    run = play(25, workers, seed=seed)
    assert run.finished_at <= 1.03 * run.ideal
    assert run.refused <= 25
    assert run.wasted_after(5) <= 0.005


@pytest.mark.parametrize("workers", [1, 4])
def test_also_where_requests_are_slow(workers):
    run = play(25, workers, items=2000, latency=about(1.0))
    assert run.finished_at <= 1.03 * run.ideal
    assert run.waste <= 0.02
    assert run.wasted_after(5) <= 0.005


def test_also_with_a_tail_of_slow_requests():
    run = play(25, 4, latency=slow_tail)
    # The last slow request, at most three seconds, runs alone.
    assert run.finished_at <= 1.03 * run.ideal + 3
    assert run.wasted_after(5) <= 0.005


def test_also_where_it_is_much_smaller():
    run = play(10, 4, items=4000)
    assert run.finished_at <= 1.05 * run.ideal
    assert run.waste <= 0.02


def test_a_quota_that_is_what_the_user_says_is_kept_full_and_never_exceeded():
    run = play(40, 4)
    assert run.finished_at <= 1.03 * run.ideal
    assert run.refused == 0
    assert run.server.peak == 40


def test_more_processes_than_slots_take_turns():
    run = play(40, joins=[0.01 * n for n in range(60)])
    assert run.finished_at <= 1.1 * run.ideal
    assert run.refused == 0
    done = [worker.share.next_usage(0).done for worker in run.workers]
    assert min(done) > 0


def test_a_quota_that_shrinks_and_comes_back_is_followed():
    run = play(lambda now: 15 if 20 < now < 40 else 40, 3, items=14_000)
    assert run.wasted_after(0) <= 0.01
    assert min(run.limits[s] for s in range(24, 39)) >= 12
    # After 20 s in vain, patience is long; then it goes up by more each second.
    assert run.limits[max(run.limits)] == 40
    assert run.finished_at <= 65


def test_refusals_that_do_not_heed_the_limit_halve_it_and_no_more():
    run = play(40, 4, items=3000, faulty=0.3)
    settled = [limit for second, limit in run.limits.items() if second > 8]
    assert min(settled) >= 10
    assert max(settled) <= 40


def test_when_everything_is_refused_hardly_anything_is_sent():
    server = Server(lambda now: 0 if now < 60 else 40, about(0.1))
    run = Run(server, 100, Ceiling(40), [0.0] * 3).play()
    # In the first second the burst of all slots; then each process tries now and then.
    assert sum(n for s, n in run.refusals.items() if 5 < s < 60) <= 3 * 55


def test_a_stated_rate_is_kept_by_all_together():
    run = play(40, 3, items=3000, rate=100.0, ceiling=Ceiling(40, 100.0))
    assert run.refused == 0
    assert 29 <= run.finished_at <= 1.05 * 30


def test_a_rate_that_is_lower_than_stated_is_found_through_the_limit():
    run = play(40, 2, items=2000, rate=50.0, ceiling=Ceiling(40, 100.0))
    assert run.finished_at <= 1.1 * 40
    assert run.waste <= 0.02


def test_late_workers_get_their_share():
    run = play(25, joins=[0.0, 3.0, 6.0, 9.0])
    assert run.finished_at <= 1.03 * run.ideal
    assert run.workers[3].share.next_usage(0).done > 300


def test_retry_after_stops_all_members():
    run = play(25, 2, retry_after=2.0)
    # From the burst in the first moments until two seconds later, nobody starts.
    first = min(run.refusals)
    assert first == 0
    assert run.answers.get(1, 0) == 0
    assert run.finished_at <= 1.05 * run.ideal + 2 * len(run.refusals)


def test_what_a_dead_process_had_is_granted_again_after_the_grace():
    server = Server(lambda _: 40, about(2.0, 0.0))
    run = Run(server, 1500, Ceiling(40), [0.0, 0.0])
    killed = []

    def kill():
        killed.append(run.workers[0].share.in_flight)
        run.kill(run.workers[0])

    run.at(11.0, kill)
    run.at(13.0, lambda: killed.append(run.workers[1].share.allowed(run.now)))
    run.at(19.0, lambda: killed.append(run.workers[1].share.allowed(run.now)))
    run.play()
    assert killed == [20, 20, 40]
    assert run.server.peak <= 40
    assert run.refused == 0


def test_simulations_repeat():
    assert play(25, seed=7).finished_at == play(25, seed=7).finished_at


# -- sharing out -----------------------------------------------------------------------------

DEMANDS = st.dictionaries(st.text("abcdef", min_size=1, max_size=3), st.integers(0, 60))


@given(st.integers(0, 80), DEMANDS)
def test_shares_are_fair(capacity, demands):
    given_ = shares(capacity, demands)
    assert given_.keys() == demands.keys()
    hungry = [name for name, demand in demands.items() if demand]
    assert sum(given_.values()) == (capacity if hungry else 0)
    for name, demand in demands.items():
        if not demand:
            assert given_[name] == 0
        else:
            assert given_[name] >= min(demand, capacity // len(hungry))
    if sum(demands.values()) <= capacity:
        assert all(given_[name] >= demand for name, demand in demands.items())


def test_what_one_cannot_use_goes_to_those_who_wait():
    assert shares(40, {"a": 3, "b": 60, "c": 60}) == {"a": 3, "b": 19, "c": 18}


class Clock:
    now = 100.0

    def __call__(self):
        return self.now


class Members:
    """Members with real shares, an owner, and the requests they have under way."""

    def __init__(self, ceiling, names):
        self.clock = Clock()
        self.ceiling = ceiling
        self.owner = Owner(Ceiling(ceiling), self.clock)
        self.shares = {name: Share(self.clock.now) for name in names}
        self.lives = dict.fromkeys(names, 0)
        # Requests of those that died, and when the server is done with them.
        self.aborted = []

    def renew(self, name, waiting=60, lost=False):
        share = self.shares[name]
        before = self.owner.booked
        lease = self.owner.renew(self.id_of(name), share.next_usage(self.clock.now, waiting))
        assert self.owner.booked <= max(before, self.owner.limit)
        if not lost:
            share.apply(lease, self.clock.now)
        return lease

    def start(self, name, most=60):
        share, count = self.shares[name], 0
        while count < most and share.delay(self.clock.now) == 0:
            share.start(self.clock.now)
            count += 1
        return count

    def finish(self, name, count):
        for _ in range(min(count, self.shares[name].in_flight)):
            self.shares[name].succeeded(0.2)

    def kill(self, name):
        """End a process; the one that is started in its place is another member."""
        if not self.joined(name):
            return
        self.aborted.append((self.clock.now + owner.GRACE_S, self.shares[name].in_flight))
        self.owner.remove(self.id_of(name))
        self.lives[name] += 1
        self.shares[name] = Share(self.clock.now)

    def id_of(self, name):
        return name if not self.lives[name] else f"{name}{self.lives[name]}"

    def joined(self, name):
        return self.id_of(name) in self.owner.snapshot()["members"]

    @property
    def under_way(self):
        at_server = sum(count for until, count in self.aborted if until > self.clock.now)
        return at_server + sum(share.in_flight for share in self.shares.values())


NAMES = "abcd"
NAME = st.sampled_from(NAMES)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("renew"), NAME, st.integers(0, 20), st.booleans()),
        st.tuples(st.just("start"), NAME, st.integers(1, 20)),
        st.tuples(st.just("finish"), NAME, st.integers(1, 20)),
        st.tuples(st.just("throttle"), NAME),
        st.tuples(st.just("kill"), NAME),
        st.tuples(st.just("wait"), st.floats(0.01, 3)),
    ),
    max_size=80,
)


@settings(max_examples=150, deadline=None)
@given(st.integers(1, 24), STEPS)
@example(1, [*[("wait", 3.0)] * 4, ("start", "a", 1), ("start", "b", 1)])
def test_never_more_is_under_way_than_the_ceiling_whatever_happens(ceiling, steps):
    members = Members(ceiling, NAMES)
    for what, *how in steps:
        if what == "wait":
            members.clock.now += how[0]
            # Who is silent for a lease's time, or waits in vain for the first, is another test's
            # matter.
            for name in NAMES:
                if members.joined(name):
                    members.renew(name, 3)
                else:
                    members.shares[name] = Share(members.clock.now)
        elif what == "renew":
            members.renew(how[0], how[1], lost=how[2])
        elif what == "start":
            members.start(*how)
        elif what == "finish":
            members.finish(*how)
        elif what == "throttle" and members.shares[how[0]].in_flight:
            members.shares[how[0]].throttled(members.clock.now)
        elif what == "kill":
            members.kill(*how)
        assert members.under_way <= ceiling
        assert 1 <= members.owner.limit <= ceiling


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.tuples(st.floats(0.01, 5), st.integers(0, 50), st.integers(0, 50), st.integers(0, 60)),
        max_size=60,
    ),
    st.integers(1, 50),
)
def test_the_limit_stays_between_one_and_the_ceiling(events, ceiling):
    now, limit = 0.0, AdaptiveLimit(ceiling, 0.0)
    for span, done, throttled, held in events:
        now += span
        limit.observe(now, done, throttled, 0.3 * done, held)
        limit.tick(now, hungry=True)
        assert 1 <= limit.limit <= limit.ceiling
        limit.set_ceiling(max(1, ceiling - throttled))
        assert 1 <= limit.limit <= limit.ceiling


def test_shrinking_is_acknowledged_before_others_grow():
    members = Members(10, "ab")
    assert members.renew("a").slots == 10
    assert members.start("a") == 10
    assert members.renew("b").slots == 0
    # a hears that it is to have 5, but 10 are still under way.
    assert members.renew("a").slots == 5
    assert members.renew("b").slots == 0
    members.finish("a", 3)
    assert members.start("a") == 0
    assert members.renew("b").slots == 0
    assert members.renew("a").slots == 5
    assert members.renew("b").slots == 3
    members.finish("a", 4)
    assert members.renew("a").slots == 5
    assert members.renew("b").slots == 5
    assert members.start("a") == 2


def test_an_answer_that_got_lost_keeps_its_slots_booked():
    members = Members(10, "ab")
    members.renew("a", lost=True)
    assert members.renew("b").slots == 0
    members.renew("a")
    assert members.owner.booked == 10
    members.renew("a")
    assert members.renew("b").slots == 5


def test_who_does_not_want_slots_leaves_them_to_others():
    members = Members(10, "ab")
    members.renew("a", waiting=0)
    assert members.renew("b").slots == 10
    assert members.renew("a", waiting=2).slots == 0
    assert members.renew("b").slots == 8
    members.renew("b")
    assert members.renew("a", waiting=2).slots == 2


def test_with_more_members_than_slots_each_has_its_turn():
    members = Members(2, "abcde")
    had = dict.fromkeys("abcde", 0)
    for _ in range(100):
        members.clock.now += 0.5
        for name in had:
            members.finish(name, 60)
            members.renew(name)
            had[name] += members.start(name)
    assert min(had.values()) > 0.5 * max(had.values())


def test_a_silent_members_share_comes_back_after_its_lease_and_the_grace():
    members = Members(10, "ab")
    members.renew("a")
    members.start("a")
    span = owner.VALID_S + owner.GRACE_S
    members.clock.now += span - 0.1
    assert members.renew("b").slots == 0
    assert members.shares["a"].allowed(members.clock.now) == 1
    members.clock.now += 0.2
    members.renew("b")
    # One is left for what a lonely member goes on with.
    assert members.renew("b").slots == 9
    # It is there again: it comes with what it has.
    members.finish("a", 10)
    assert members.renew("a").slots <= 1
    members.renew("b")
    members.finish("b", 10)
    members.renew("b")
    assert members.renew("a").slots == 5


def test_a_new_owner_hears_what_everybody_has_before_it_grants():
    members = Members(10, "abc")
    for name in "abaab":
        members.renew(name)
    assert members.shares["b"].allowed(members.clock.now) == 5
    members.owner = Owner(Ceiling(10), members.clock)
    assert members.renew("a").slots == 5
    assert members.renew("c").slots == 0
    assert members.renew("b").slots <= 5
    assert members.owner.booked <= 10
    for _ in range(8):
        members.clock.now += 0.5
        leases = [members.renew(name).slots for name in "abc"]
    assert sorted(leases) == [3, 3, 4]


def test_who_leaves_gives_back_at_once_what_it_does_not_use():
    members = Members(10, "ab")
    members.renew("a")
    members.start("a", 4)
    usage = members.shares["a"].next_usage(members.clock.now, leaving=True)
    assert members.owner.renew("a", usage).slots == 0
    assert members.renew("b").slots == 6
    assert members.owner.knows("a")
    members.clock.now += owner.GRACE_S + 0.1
    assert members.renew("b").slots == 10


def test_a_ceiling_that_changes_holds_at_once():
    members = Members(10, "a")
    members.renew("a")
    members.owner.set_ceiling(Ceiling(4, rate=8.0))
    lease = members.renew("a")
    assert (lease.slots, members.owner.limit) == (4, 4)
    # The member's slots stay booked until its next message.
    assert lease.rate == pytest.approx(8.0 * 4 / 10)
    assert members.renew("a").rate == pytest.approx(8.0)
    members.owner.set_ceiling(Ceiling(12))
    assert members.renew("a").slots == 12


def test_restricted_mode_slows_down_warns_once_and_ends(caplog):
    members = Members(10, "a")
    for _ in range(3):
        members.shares["a"].restricted()
        lease = members.renew("a")
    assert lease.slots == owner.RESTRICTED_CONCURRENCY == members.owner.limit
    assert members.owner.snapshot()["restricted"] is True
    assert len([r for r in caplog.records if "parallelism_restricted" in r.getMessage()]) == 1
    members.clock.now += owner.RESTRICTED_S + 1
    assert members.owner.limit == 10


def test_retry_after_is_handed_on_and_no_report_prolongs_it(caplog):
    members = Members(10, "ab")
    members.renew("a")
    members.start("a", 3)
    for _ in range(3):
        members.shares["a"].throttled(members.clock.now, retry_after=200.0)
    members.renew("a")
    assert members.renew("b").pause == 200.0
    for _ in range(10):
        members.clock.now += 15.0
        members.renew("a")
        members.renew("b")
    assert members.renew("b").pause == pytest.approx(50.0)
    asked = [r for r in caplog.records if "Retry-After" in r.getMessage()]
    assert [r.getMessage()[-5:] for r in asked] == ["200 s"]


def test_after_a_long_rest_the_quota_is_found_anew():
    members = Members(10, "a")
    members.renew("a")
    members.start("a")
    for _ in range(6):
        members.shares["a"].throttled(members.clock.now)
    members.renew("a")
    assert members.owner.limit == 4
    members.clock.now += owner.STALE_S + 1
    members.renew("a")
    assert members.owner.limit == 10


def test_a_snapshot_tells_what_is_going_on():
    members = Members(10, "ab")
    members.renew("a")
    members.start("a")
    members.finish("a", 6)
    members.shares["a"].throttled(members.clock.now)
    members.clock.now += 0.5
    members.renew("a", waiting=7)
    members.renew("b", waiting=2)
    state = members.owner.snapshot()
    assert (state["done"], state["throttled"], state["in_flight"]) == (6, 1, 3)
    assert state["waiting"] == 9
    assert state["latency"] == pytest.approx(0.2)
    assert state["requests_per_s"] > 0
    assert state["members"]["a"]["done"] == 6
    assert state["members"]["b"]["gone"] is False
    assert state["concurrency"] == 10


# -- the adaptive limit ----------------------------------------------------------------------


def test_a_burst_of_rejections_sets_the_limit_to_what_was_held():
    limit = AdaptiveLimit(40, 0.0)
    limit.observe(0.1, 0, 15, 0.0, held=25)
    assert limit.limit == 25


def test_throttling_that_goes_on_lowers_the_limit_once_a_window():
    limit, seen = AdaptiveLimit(40, 0.0), []
    for tenth in range(1, 46):
        limit.observe(tenth / 10, 1, 9, 0.1, held=40)
        limit.tick(tenth / 10, hungry=True)
        seen.append(limit.limit)
    steps = [(a, b) for a, b in itertools.pairwise(seen) if a != b]
    assert 2 <= len(steps) <= 4
    assert all(b == int(a * adaptive.DECREASE) for a, b in steps)


def test_the_wall_is_tried_again_rarely():
    limit, now, probes = AdaptiveLimit(40, 0.0), 0.0, []
    limit.observe(now, 0, 15, 0.0, held=25)
    for _ in range(3000):
        now += 0.1
        limit.observe(now, 25, 0, 2.5, held=25)
        limit.tick(now, hungry=True)
        if limit.limit > 25:
            probes.append(now)
            limit.observe(now, 0, 1, 0.0, held=25)
    gaps = [round(b - a) for a, b in itertools.pairwise(probes)]
    assert len(probes) < 12
    assert gaps == sorted(gaps)
    assert gaps[-1] >= adaptive.MAX_PATIENCE_S


def test_nothing_is_raised_that_nobody_asks_for():
    limit = AdaptiveLimit(40, 0.0)
    limit.observe(0.1, 0, 15, 0.0, held=25)
    for second in range(1, 100):
        limit.observe(second, 100, 0, 10.0, held=25)
        limit.tick(second, hungry=False)
    assert limit.limit == 25


# -- one process's share ---------------------------------------------------------------------


def test_before_the_first_lease_nothing_starts_but_not_for_ever():
    share = Share(0.0, patience=10)
    assert share.allowed(9.9) == 0
    assert share.delay(9.9) is None
    assert share.allowed(10.1) == 1


def test_without_renewal_one_slot_is_left():
    share = Share(0.0)
    share.apply(Lease(1, 1, 20, valid=10), now=3.0, asked=2.0)
    assert share.allowed(11.9) == 20
    assert share.allowed(12.0) == 1


def test_throttling_caps_until_a_lease_that_knows_of_it():
    share = Share(0.0)
    share.apply(Lease(1, share.next_usage(0.0).sequence, 20), 0.0)
    for _ in range(20):
        share.start(0.0)
    before = share.next_usage(0.1)
    for _ in range(15):
        share.throttled(0.2)
    assert share.allowed(0.2) == share.in_flight == 5
    share.apply(Lease(2, before.sequence, 20), 0.3)
    assert share.allowed(0.3) == 5
    usage = share.next_usage(0.4)
    assert (usage.held, usage.throttled, usage.in_flight) == (5, 15, 5)
    share.apply(Lease(3, usage.sequence, 12), 0.5)
    assert share.allowed(0.5) == 12
    assert share.next_usage(0.6).held is None


def test_who_holds_nothing_and_is_refused_waits_longer_each_time():
    share = Share(0.0)
    share.apply(Lease(1, 0, 4), 0.0)
    now, waits = 0.0, []
    for _ in range(8):
        share.start(now)
        share.throttled(now)
        waits.append(share.delay(now))
        now += waits[-1] + 1e-6
    assert waits[:3] == pytest.approx([0.1, 0.2, 0.4])
    assert waits[-1] == pytest.approx(5.0)
    share.start(now)
    share.succeeded(0.1)
    share.start(now)
    share.throttled(now)
    assert share.delay(now) == pytest.approx(0.1)


def test_tokens_come_at_the_rate_with_a_small_burst():
    share = Share(0.0)
    share.apply(Lease(1, 0, 1000, rate=50.0), 0.0)
    now, started = 0.0, []
    while now < 4.0:
        if (delay := share.delay(now)) == 0:
            share.start(now)
            started.append(now)
        else:
            now += delay
    assert len(started) == pytest.approx(200, abs=6)
    assert max(sum(a <= t < a + 1 for t in started) for a in started) <= 56
    # After a rest, a tenth of a second's worth is there at once.
    now += 10
    burst = 0
    while share.delay(now) == 0:
        share.start(now)
        burst += 1
    assert burst == 5


def test_who_sends_nothing_gives_the_token_back():
    limiter = Limiter(1, rate=0.5)
    started = time.monotonic()
    for _ in range(4):
        with contextlib.suppress(SlotUnused), limiter.slot():
            raise SlotUnused
    with limiter.slot():
        pass
    # Five tokens of half a one a second took eight seconds.
    assert time.monotonic() - started < 6
    usage = limiter.next_usage()
    assert (usage.done, usage.throttled, usage.in_flight) == (1, 0, 0)


def test_tokens_that_come_back_are_not_saved_up_beyond_the_burst():
    share = Share(0.0)
    share.apply(Lease(1, 0, 1000, rate=20.0), 0.0)
    share.start(0.0)
    share.unused()
    now = 10.0
    for _ in range(2):
        assert share.delay(now) == 0
        share.start(now)
    for _ in range(2):
        share.unused()
    for _ in range(2):
        assert share.delay(now) == 0
        share.start(now)
    assert share.delay(now) > 0


@pytest.mark.parametrize(
    "make",
    [
        lambda: Ceiling(0),
        lambda: Ceiling(4, rate=0),
        lambda: Usage(1, in_flight=-1),
        lambda: Lease(1, 1, -1),
        lambda: Lease(1, 1, 1, rate=-1.0),
        lambda: Limiter(0),
    ],
)
def test_values_are_checked(make):
    with pytest.raises(InputError):
        make()


# -- threads ---------------------------------------------------------------------------------


def wait_until(condition, seconds=10):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.002)


class Holder:
    """A thread that takes a slot and holds it until told."""

    def __init__(self, limiter, error=None, group=None):
        self.has, self.let_go, self.raised = threading.Event(), threading.Event(), None
        self._limiter, self._error, self._group = limiter, error, group
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self):
        try:
            with self._limiter.slot(self._group):
                self.has.set()
                assert self.let_go.wait(10)
                if self._error:
                    raise self._error
        except Exception as error:
            self.raised = error

    def end(self):
        self.let_go.set()
        self.thread.join(10)
        assert not self.thread.is_alive()


def test_slots_are_taken_in_the_order_of_asking():
    limiter = Limiter(1)
    first = Holder(limiter)
    assert first.has.wait(10)
    rest = []
    for number in range(1, 6):
        rest.append(Holder(limiter))
        wait_until(lambda n=number: limiter.waiting == n)
    for before, after in zip([first, *rest], rest, strict=False):
        assert not after.has.is_set()
        before.end()
        assert after.has.wait(10)
        assert limiter.in_flight == 1
    rest[-1].end()
    assert (limiter.in_flight, limiter.waiting) == (0, 0)


def test_growing_wakes_and_shrinking_interrupts_nobody():
    limiter = Limiter(1)
    holders = [Holder(limiter) for _ in range(6)]
    wait_until(lambda: limiter.waiting == 5)
    limiter.apply(Lease(2, 1, 4))
    wait_until(lambda: sum(h.has.is_set() for h in holders) == 4)
    limiter.apply(Lease(3, 2, 2))
    assert limiter.in_flight == 4
    for holder in [h for h in holders if h.has.is_set()][:2]:
        holder.end()
    assert (limiter.in_flight, limiter.waiting, limiter.slots) == (2, 2, 2)
    for holder in holders:
        holder.let_go.set()
    for holder in holders:
        holder.end()


def test_the_end_of_a_block_tells_what_came_of_it():
    limiter = Limiter(8)
    alarms = []
    limiter.alarm = lambda: alarms.append(1)
    errors = [None, QuotaError("wait", 429), TransientError("oops", 503), ValueError("bad")]
    for error in errors:
        holder = Holder(limiter, error)
        assert holder.has.wait(10)
        holder.end()
        assert holder.raised is error
        time.sleep(0.12)  # a refusal with nothing else under way stops all for a tenth
    usage = limiter.next_usage()
    assert (usage.done, usage.throttled, usage.in_flight) == (1, 1, 0)
    assert usage.latency > 0
    assert alarms == [1]


def test_retry_after_holds_back_those_who_come():
    limiter = Limiter(8)
    begun = time.monotonic()
    with pytest.raises(TransientError), limiter.slot():
        raise TransientError("wait", 503, retry_after=0.2)
    assert limiter.next_usage().pause > 0
    with limiter.slot():
        assert time.monotonic() - begun >= 0.2


def test_closing_wakes_all_who_wait():
    limiter = Limiter(1)
    first = Holder(limiter)
    assert first.has.wait(10)
    rest = [Holder(limiter) for _ in range(4)]
    wait_until(lambda: limiter.waiting == 4)
    limiter.close()
    for holder in rest:
        holder.thread.join(10)
        assert isinstance(holder.raised, RunStopped)
    first.end()
    assert first.raised is None
    with pytest.raises(RunStopped, match="waited for the quota"), limiter.slot():
        pass


def test_one_run_is_closed_and_the_other_goes_on():
    class Group:
        pass

    limiter, stopped, other = Limiter(1), Group(), Group()
    first = Holder(limiter)
    assert first.has.wait(10)
    waiting = [Holder(limiter, group=stopped), Holder(limiter, group=other)]
    wait_until(lambda: limiter.waiting == 2)
    limiter.close(stopped)
    waiting[0].thread.join(10)
    assert isinstance(waiting[0].raised, RunStopped)
    first.end()
    assert waiting[1].has.wait(10)
    waiting[1].end()
    with pytest.raises(RunStopped), limiter.slot(stopped):
        pass


def test_many_threads_at_a_rate_and_with_slots():
    limiter, most, lock, seen = Limiter(3, rate=400.0), 0, threading.Lock(), []

    def work():
        nonlocal most
        for _ in range(10):
            with limiter.slot(), lock:
                most = max(most, limiter.in_flight)
                seen.append(time.monotonic())

    threads = [threading.Thread(target=work) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(seen) == 120
    assert most <= 3
    assert max(seen) - min(seen) >= (120 - 42) / 400
    assert (limiter.in_flight, limiter.waiting) == (0, 0)

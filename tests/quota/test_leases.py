"""Leases on a real cluster of processes, and within this one."""

import itertools
import threading
import time
import uuid

import distributed
import pytest
from watching import wait_until

from eedask.earthengine.endpoint import Endpoint
from eedask.errors import InputError, QuotaError, RunStopped
from eedask.quota import leases, links, owner
from eedask.quota import scheduler_plugin as quota_plugin
from eedask.quota.messages import Ceiling


@pytest.fixture
def key():
    return leases.key_of(Endpoint("https://example.invalid", uuid.uuid4().hex))


# -- within this process ---------------------------------------------------------------------


def test_a_limiter_of_this_process_gets_its_slots(key):
    limiter = leases.limiter_for(key, Ceiling(3, rate=500))
    try:
        with limiter.slot(), limiter.slot(), limiter.slot():
            assert (limiter.in_flight, limiter.slots) == (3, 3)
        state = wait_until(lambda: (s := leases.snapshot(None, key))["done"] == 3 and s)
        assert (state["concurrency"], state["rate"], state["limit"]) == (3, 500, 3)
    finally:
        limiter.release()
    wait_until(lambda: not leases.snapshot(None, key)["members"])


def test_two_runs_share_one_limiter_and_end_for_themselves(key):
    first, second = leases.limiter_for(key, Ceiling(1)), leases.limiter_for(key, Ceiling(1))
    with first.slot():
        refused = []

        def wait():
            try:
                with second.slot():
                    pass
            except RunStopped as error:
                refused.append(error)

        thread = threading.Thread(target=wait)
        thread.start()
        wait_until(lambda: first.waiting == 1)
        second.release()
        thread.join(10)
        assert len(refused) == 1
        second.release()  # once is enough
    with first.slot():
        assert first.in_flight == 1
    first.release()
    third = leases.limiter_for(key, Ceiling(2))
    with third.slot(), third.slot():
        assert third.in_flight == 2
    third.release()


def test_what_was_stated_holds_over_what_a_run_brings(key):
    leases.set_ceiling(None, key, Ceiling(2))
    limiter = leases.limiter_for(key, Ceiling(40))
    with limiter.slot():
        wait_until(lambda: limiter.slots == 2)
        leases.set_ceiling(None, key, Ceiling(5, rate=50))
        wait_until(lambda: limiter.slots == 5)
    limiter.release()
    with pytest.raises(InputError):
        leases.set_ceiling(None, key, Ceiling(0))


def test_throttling_is_heard_at_once(key):
    limiter = leases.limiter_for(key, Ceiling(10))
    with limiter.slot(), limiter.slot():
        with pytest.raises(QuotaError), limiter.slot():
            raise QuotaError("too many", 429)
        wait_until(lambda: leases.snapshot(None, key)["limit"] == 2)
        limiter.restricted()
        wait_until(lambda: leases.snapshot(None, key)["restricted"])
    limiter.release()


def test_a_quota_that_nobody_uses_has_no_state(key):
    assert leases.snapshot(None, key) is None


def check_that_what_is_under_way_stays_booked(key, limiter, end):
    """Hold three of four slots beyond the end of their run, and see what the next run gets."""
    over, held = threading.Event(), []

    def hold(limiter):
        with limiter.slot():
            held.append(limiter)
            over.wait(30)

    def start(limiter, count):
        threads = [threading.Thread(target=hold, args=[limiter]) for _ in range(count)]
        for thread in threads:
            thread.start()
        return threads

    threads = start(limiter, 3)
    wait_until(lambda: len(held) == 3)
    end()
    following = leases.limiter_for(key, Ceiling(4))
    try:
        threads += start(following, 4)
        wait_until(lambda: len(held) == 4)
        # Longer than a member that is gone keeps its booking.
        time.sleep(4 * owner.GRACE_S)
        assert len(held) == 4, "a fourth slot is free, and no other"
        over.set()
        wait_until(lambda: len(held) == 7)
    finally:
        over.set()
        for thread in threads:
            thread.join()
        following.release()
    wait_until(lambda: not leases.snapshot(None, key)["members"])


def test_requests_that_outlast_their_run_stay_booked(key, monkeypatch):
    monkeypatch.setattr(owner, "GRACE_S", 0.3)
    limiter = leases.limiter_for(key, Ceiling(4))
    check_that_what_is_under_way_stays_booked(key, limiter, limiter.release)


def test_requests_that_outlast_a_cluster_in_this_process_stay_booked(key, monkeypatch):
    monkeypatch.setattr(owner, "GRACE_S", 0.3)
    with (
        distributed.LocalCluster(
            n_workers=1, threads_per_worker=2, processes=False, dashboard_address="127.0.0.1:0"
        ) as cluster,
        distributed.Client(cluster, set_as_default=False) as client,
    ):
        limiter = client.submit(leases.limiter_for, key, Ceiling(4), pure=False).result()

        def end():
            limiter.release()
            client.close()
            cluster.close()

        check_that_what_is_under_way_stays_booked(key, limiter, end)


# -- on a cluster ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def cluster():
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=2, dashboard_address="127.0.0.1:0"
    ) as running:
        yield running


@pytest.fixture
def client(cluster):
    with distributed.Client(cluster) as client:
        client.wait_for_workers(2)
        links.install(client)
        links.install(client)
        yield client


STOP = threading.Event()


def stop():
    """End :func:`work` in this process."""
    STOP.set()


# More requests than any test waits for: such work goes on until it is told to stop, however late
# the other worker of the cluster begins.
ENDLESS = 10_000


def work(key, threads, requests, pause, concurrency=40):
    """Send requests from threads, in a Dask task; return when each was under way."""
    limiter, spans, lock = leases.limiter_for(key, Ceiling(concurrency)), [], threading.Lock()

    def send():
        for _ in range(requests):
            with limiter.slot():
                begun = time.time()
                time.sleep(pause)
                with lock:
                    spans.append((begun, time.time()))
            if STOP.is_set():
                break

    STOP.clear()
    running = [threading.Thread(target=send) for _ in range(threads)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    limiter.release()
    return spans


def most_at_once(spans):
    events = sorted([(a, 1) for a, _ in spans] + [(b, -1) for _, b in spans])
    now = most = 0
    for _, step in events:
        now += step
        most = max(most, now)
    return most


def workers_of(client):
    return set(client.scheduler_info(n_workers=-1)["workers"])


def on_each(client, *args, **kwargs):
    return [
        client.submit(work, *args, **kwargs, workers=[worker], pure=False)
        for worker in sorted(workers_of(client))
    ]


def gathered(client, futures):
    return list(itertools.chain.from_iterable(client.gather(futures)))


def state_of(client, key, condition):
    def look():
        state = leases.snapshot(client, key)
        return state if state and condition(state) else None

    return wait_until(look)


def test_processes_share_a_quota_and_never_exceed_it(client, key):
    leases.set_ceiling(client, key, Ceiling(6))
    events = []
    client.subscribe_topic(quota_plugin.TOPIC, lambda event: events.append(event[1]))
    futures = on_each(client, key, threads=10, requests=ENDLESS, pause=0.05)
    state = state_of(
        client,
        key,
        lambda s: [m["slots"] for m in s["members"].values()] == [3, 3] and s["in_flight"] > 3,
    )
    assert {m["worker"] for m in state["members"].values()} == workers_of(client)
    # The state is told now and then, while somebody uses the quota.
    wait_until(lambda: any(e["key"] == key and e["done"] > 0 for e in events))
    client.run(stop)
    spans = gathered(client, futures)
    # The clock of both processes is one.
    assert 4 <= most_at_once(spans) <= 6
    state = state_of(client, key, lambda s: not s["members"])
    assert (state["done"], state["throttled"]) == (len(spans), 0)
    client.unsubscribe_topic(quota_plugin.TOPIC)


def test_two_runs_on_one_cluster_share_it(client, key):
    leases.set_ceiling(client, key, Ceiling(4))
    futures = on_each(client, key, 6, 12, 0.05) + on_each(client, key, 6, 12, 0.05)
    spans = gathered(client, futures)
    assert len(spans) == 4 * 72
    assert most_at_once(spans) <= 4


def test_a_ceiling_is_changed_while_a_run_goes_on(client, key):
    leases.set_ceiling(client, key, Ceiling(8))
    futures = on_each(client, key, threads=10, requests=ENDLESS, pause=0.05)
    state_of(client, key, lambda s: len(s["members"]) == 2 and s["in_flight"] >= 6)
    leases.set_ceiling(client, key, Ceiling(2))
    state_of(client, key, lambda s: s["booked"] == 2 and s["in_flight"] <= 2)
    leases.set_ceiling(client, key, Ceiling(20))
    state_of(client, key, lambda s: s["in_flight"] > 8)
    client.run(stop)
    spans = gathered(client, futures)
    assert state_of(client, key, lambda s: not s["members"])["done"] == len(spans)


def test_a_worker_that_dies_gives_its_share_back_and_a_new_one_joins(
    cluster, client, key, monkeypatch
):
    # The scheduler is in this process.
    monkeypatch.setattr(owner, "GRACE_S", 1.0)
    leases.set_ceiling(client, key, Ceiling(6))
    before = workers_of(client)
    futures = on_each(client, key, threads=8, requests=ENDLESS, pause=0.05)
    state = state_of(client, key, lambda s: [m["slots"] for m in s["members"].values()] == [3, 3])
    member, dead = next((name, m["worker"]) for name, m in state["members"].items())
    nanny = next(n for n in cluster.workers.values() if n.worker_address == dead)
    nanny.process.process._process.kill()
    state = state_of(client, key, lambda s: s["members"].get(member, {"gone": True})["gone"])
    state = state_of(client, key, lambda s: member not in s["members"] and s["leased"] == 6)
    assert state["booked"] == 6
    # It was for that worker alone.
    futures.pop(sorted(before).index(dead)).cancel()
    late = wait_until(lambda: workers_of(client) - before).pop()
    futures.append(client.submit(work, key, 8, ENDLESS, 0.05, workers=[late]))
    state = state_of(client, key, lambda s: [m["slots"] for m in s["members"].values()] == [3, 3])
    assert late in {m["worker"] for m in state["members"].values()}
    client.run(stop)
    distributed.wait(futures)


def test_a_new_owner_is_joined(cluster, client, key):
    leases.set_ceiling(client, key, Ceiling(4))
    futures = on_each(client, key, threads=6, requests=ENDLESS, pause=0.05, concurrency=4)
    state_of(client, key, lambda s: len(s["members"]) == 2 and s["in_flight"] == 4)
    # As after a restart of the scheduler: the plugin and all that it knew are gone.
    scheduler = cluster.scheduler
    lost = scheduler.plugins.pop(quota_plugin.PLUGIN)
    for name in (quota_plugin.RENEW, quota_plugin.CEILING, quota_plugin.SNAPSHOT):
        del scheduler.handlers[name]
    wait_until(lambda: quota_plugin.PLUGIN in scheduler.plugins)
    assert scheduler.plugins[quota_plugin.PLUGIN] is not lost
    # The workers brought a new one, with the ceiling that they were given.
    state = state_of(client, key, lambda s: len(s["members"]) == 2 and s["leased"] == 4)
    assert state["concurrency"] == 4
    client.run(stop)
    assert most_at_once(gathered(client, futures)) <= 4


def test_a_cluster_in_this_process_ends_its_limiters(key):
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=2, processes=False, dashboard_address="127.0.0.1:0"
        ) as cluster,
        distributed.Client(cluster, set_as_default=False) as client,
    ):
        limiters = [
            client.submit(
                leases.limiter_for, key, Ceiling(7), workers=[worker], pure=False
            ).result()
            for worker in workers_of(client)
        ]
        # One process, one member.
        wait_until(lambda: limiters[0].slots == limiters[1].slots == 0)
        with limiters[0].slot(), limiters[1].slot():
            assert limiters[0].in_flight == 2
        assert len(leases.snapshot(client, key)["members"]) == 1
    wait_until(lambda: not any(place[0] == key for place in leases._MEMBERSHIPS))
    with pytest.raises(RunStopped), limiters[0].slot():
        pass


def test_a_client_that_has_lost_its_scheduler_is_told_in_words():
    with (
        distributed.LocalCluster(
            n_workers=0, processes=False, dashboard_address="127.0.0.1:0"
        ) as cluster,
        distributed.Client(cluster, set_as_default=False) as client,
    ):
        client.sync(client.scheduler.close_rpc)
        kept, client.scheduler = client.scheduler, None  # as until it has another, or is closed
        try:
            with pytest.raises(RunStopped, match="scheduler is not there any more"):
                leases.set_ceiling(client, "a key", Ceiling(4))
        finally:
            client.scheduler = kept


def test_errors_of_others_are_not_taken_for_a_lost_scheduler():
    with (
        distributed.LocalCluster(
            n_workers=0, processes=False, dashboard_address="127.0.0.1:0"
        ) as cluster,
        distributed.Client(cluster, set_as_default=False) as client,
        pytest.raises(AttributeError, match="my own"),
        leases.scheduler_needed(client),
    ):
        raise AttributeError("my own")

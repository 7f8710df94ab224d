"""What the scheduler makes of the messages of a run's processes."""

import geopandas as gpd
import msgpack
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from shapely import Point

from eedask.dataset.rows import FAILED, OK, Row
from eedask.errors import InputError
from eedask.watching import latency, map_sample, run_state
from eedask.watching.compute import Compute
from eedask.watching.messages import Beginning
from eedask.watching.meter import RequestCounts
from eedask.watching.partition_counts import PartitionCounts
from eedask.watching.run_state import FINISHED, RUNNING, STOPPED, THROTTLED, Limits, RunState
from eedask.watching.tables import duration, failures_table, runs_table

IDS = [f"i{k}" for k in range(10)]
LIMITS = Limits(7, 40)
COST = {"compute": (2.0, 10, 50)}


def good(*numbers):
    return [Row(f"i{k}", OK) for k in numbers]


def bad(*numbers, kind="permanent", error="no"):
    return [Row(f"i{k}", FAILED, error_kind=kind, error=error) for k in numbers]


def partition(rows=(), number=0, share=1.0):
    return PartitionCounts(number, IDS, rows, share)


def hear(run, *parts, **message):
    run.hear({"partitions": [part.message() for part in parts], **message})


def run_of(**more):
    begun = {"run_id": "r", "verb": "chips", "out": "/data/out", "quota": "q", "total": 10}
    return RunState(Beginning(**{**begun, **more}))


def test_items_of_a_partition_are_counted_as_they_come():
    run, part = run_of(), partition()
    hear(run, part)
    assert (run.done, run.failed) == (0, 0)
    for row in [*good(0, 1), *bad(2, error="why")]:
        part.add(row)
    hear(run, part)
    hear(run, part)  # a message that comes twice
    assert (run.done, run.failed, dict(+run.failures)) == (3, 1, {"permanent": 1})
    assert run.examples == {"permanent": ("i2", "why")}


def test_items_that_were_done_before_count_once_with_their_failures():
    run = run_of(total=20, done=13, failed=3)
    whole = PartitionCounts(1, IDS, [*good(0, 1, 2, 3, 4, 5, 6, 7), *bad(8, 9)], 1.0)
    begun = partition([*good(0, 1), *bad(2, kind="input")])
    hear(run, whole, begun)
    assert (run.done, run.failed) == (13, 3)
    assert dict(+run.failures) == {"permanent": 2, "input": 1}
    begun.add(bad(3)[0])
    hear(run, begun)
    assert (run.done, run.failed) == (14, 4)


def test_what_a_lost_worker_had_not_written_is_counted_again_not_twice():
    run, lost = run_of(done=1), partition(good(0))
    hear(run, lost)
    for row in [*good(1, 2, 3), *bad(4)]:
        lost.add(row)
    hear(run, lost)
    assert (run.done, run.failed) == (5, 1)
    again = partition(good(0, 1, 2))
    hear(run, again)
    assert (run.done, run.failed, dict(+run.failures)) == (3, 0, {})
    for row in [*good(3, 5, 6, 7, 8, 9), *bad(4, kind="transient")]:
        again.add(row)
    hear(run, again)
    assert (run.done, run.failed, dict(+run.failures)) == (10, 1, {"transient": 1})


def test_requests_are_the_sum_over_processes_and_those_of_a_lost_worker_are_not_under_way():
    run = run_of()
    for member, where in (("a", "tcp://1"), ("b", "tcp://2")):
        counts = RequestCounts(requests=5, in_flight=2, errors={"quota": 1}, retries=1, nbytes=100)
        hear(run, member=member, worker=where, requests=vars(counts), **COST)
    assert run.in_flight == 4
    run.lose("tcp://1")
    status = run.status(LIMITS)
    assert (status["in_flight"], status["throttled"], status["bytes"]) == (2, 2, 200)
    assert list(status) == [
        *("id", "verb", "out", "total", "done", "failed", "requests_per_s", "in_flight", "limit"),
        *("throttled", "retries", "bytes", "eecu_s", "eta_s", "failures"),
    ]


@pytest.fixture
def clock(monkeypatch):
    """A clock that the test sets."""
    now = [1000.0]
    monkeypatch.setattr(run_state.time, "monotonic", lambda: now[0])
    return now


def test_rates_latencies_and_the_time_left_are_those_of_the_last_while(clock):
    run = run_of(total=1000)
    counts = RequestCounts()
    for second in range(1, 21):
        clock[0] += 1
        counts.requests += 10 if second <= 10 else 50
        counts.nbytes += 1000
        counts.latencies[latency.bucket(0.1 if second <= 10 else 0.4)] += 10
        run.hear({"partitions": [], "member": "a", "requests": vars(counts), **COST})
        run.done += 10
        run.sample(LIMITS)
    last, tenth = run.series[-1], run.series[10]
    assert (last.requests_per_s, last.bytes_per_s) == (50, 1000)
    assert tenth.requests_per_s == 10
    assert tenth.median == pytest.approx(0.1, rel=0.2)
    assert last.median == pytest.approx(0.4, rel=0.2)
    assert run.eta_s == pytest.approx(80)
    assert (last.limit, last.ceiling) == (7, 40)
    assert not run.is_due


def test_a_run_is_throttled_while_requests_are_refused(clock):
    run = run_of()
    assert run.state == RUNNING
    for second in range(20):
        clock[0] += 1
        counts = RequestCounts(requests=10 * second, errors={"quota": min(second, 5)})
        run.hear({"partitions": [], "member": "a", "requests": vars(counts), **COST})
        run.sample(LIMITS)
        if second == 4:
            assert run.state == THROTTLED
            assert "throttled</span>" in runs_table([run])
    assert run.state == RUNNING


@pytest.mark.parametrize(("reason", "state"), [(None, FINISHED), ("the disk is full", STOPPED)])
def test_a_run_that_has_ended_is_left_as_it_was(reason, state):
    run = run_of(points=((map_sample.mark("i3"), 1.0, 2.0),))
    hear(run, partition(), member="a", requests=vars(RequestCounts(in_flight=3)), **COST)
    assert [*run.points.values()] == [(1.0, 2.0, map_sample.UNDER_WAY)]
    run.end(reason)
    assert (run.state, run.in_flight, run.is_due) == (state, 0, False)
    assert [*run.points.values()] == [(1.0, 2.0, map_sample.WAITING)]
    assert (reason or state) in runs_table([run])
    assert run.status(LIMITS)["requests_per_s"] == 0


def test_the_map_shows_what_becomes_of_items():
    frame = gpd.GeoDataFrame(geometry=[Point(k, 50) for k in range(10)], index=IDS, crs=4326)
    run = run_of(points=tuple(map_sample.points_of(frame)))
    part = partition(good(0))
    hear(run, part)
    part.add(bad(1)[0])
    hear(run, part)
    states = {x: state for x, _, state in run.points.values()}
    expected = [map_sample.DONE, map_sample.FAILED] + 8 * [map_sample.UNDER_WAY]
    assert [states[k] for k in range(10)] == expected


def test_client_and_workers_choose_the_same_sample_of_many_items():
    count = 20_000
    places = gpd.points_from_xy(np.linspace(5e5, 6e5, count), np.full(count, 5e6), crs=32632)
    frame = gpd.GeoDataFrame(geometry=places, index=range(count))
    points = map_sample.points_of(frame)
    assert 0.9 * map_sample.MOST < len(points) < 1.1 * map_sample.MOST
    ids = frame.index.tolist()
    message = PartitionCounts(0, ids, [], map_sample.fraction_of(count)).message()
    assert {mark for mark, *_ in points} == {mark for mark, _ in message["states"]}
    assert all(8 < x < 11 and 44 < y < 46 for _, x, y in points)


def test_items_that_lie_nowhere_are_on_no_map():
    nowhere = gpd.GeoDataFrame(
        geometry=[None, Point(), Point(1, 2)], index=["a", "b", "c"], crs=4326
    )
    assert [(x, y) for _, x, y in map_sample.points_of(nowhere)] == [(1, 2)]
    assert map_sample.points_of(nowhere.set_crs(None, allow_override=True)) == []


@given(st.lists(st.floats(0.011, 500), min_size=1, max_size=200), st.sampled_from([0.5, 0.95, 1.0]))
def test_a_quantile_of_the_histogram_is_a_tenth_off_at_most(seconds, share):
    counts = latency.empty()
    for each in seconds:
        counts[latency.bucket(each)] += 1
    exact = np.quantile(seconds, share, method="inverted_cdf")
    assert latency.quantile(counts, share) == pytest.approx(exact, rel=0.19)


def test_latencies_beyond_the_histogram_are_its_ends():
    counts = latency.empty()
    assert latency.quantile(counts, 0.5) is None
    counts[latency.bucket(1e6)] += 1
    assert latency.quantile(counts, 0.5) == latency.EDGES[-1]


def test_text_from_outside_is_escaped():
    evil = "<img src=x onerror=alert(1)>'\""
    run = run_of(verb=evil, out=f"/data/{evil}")
    hear(run, partition([Row(evil, FAILED, error_kind=evil, error=evil)]))
    run.end(evil)
    html = runs_table([run]) + failures_table([run])
    assert "<img" not in html
    assert html.count("&lt;img src=x onerror=alert(1)&gt;&#x27;&quot;") == 7


def test_text_that_no_message_can_hold_is_made_printable():
    odd = "\ud800"
    part = partition([Row(odd, FAILED, error_kind="input", error=odd)])
    message = part.message()
    assert msgpack.loads(msgpack.dumps(message))["examples"] == {"input": [r"\ud800", r"\ud800"]}
    assert msgpack.dumps(run_of(out=f"/data/{odd}").status(LIMITS))


def test_a_password_in_the_folders_url_is_not_told():
    told = {"sftp://me:secret@host/x": "sftp://host/x", "s3://b/a@c": "s3://b/a@c", "/a@b": "/a@b"}
    assert {out: run_of(out=out).status(LIMITS)["out"] for out in told} == told


def test_a_run_of_no_sense_is_refused():
    with pytest.raises(InputError):
        run_of(done=3, failed=4)


def test_an_idle_scheduler_says_so():
    assert "No run yet" in runs_table([])
    assert failures_table([]) == ""
    assert "No item has failed" in failures_table([run_of()])


def test_spans_of_time_for_people():
    assert [*map(duration, (0, 42.4, 90, 8100))] == ["0 s", "43 s", "2 min", "2 h 15 min"]


def test_the_cost_is_that_of_all_processes_beside_the_runs_budget():
    run = run_of(max_eecu_s=3600.0)
    assert run.status(LIMITS)["eecu_s"] is None
    assert "not known<br><span class=quiet>of at most 1 h</span>" in runs_table([run])
    for member in "ab":
        run.hear({"partitions": [], "member": member, "requests": vars(RequestCounts()), **COST})
    assert run.status(LIMITS)["eecu_s"] == 20
    assert "20 s<br><span class=quiet>of at most 1 h</span>" in runs_table([run])
    run.end(None, {"b": Compute(2.0, 10, 100)})
    assert run.status(LIMITS)["eecu_s"] == 30

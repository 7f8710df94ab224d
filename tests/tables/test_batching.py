"""Batches: what is known before asking, and what requests teach, at little expense."""

import threading
import time
from collections import deque
from itertools import count, pairwise
from types import SimpleNamespace

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from eedask.earthengine.endpoint import Request
from eedask.earthengine.retry import RetryPolicy
from eedask.errors import InputError, TooLargeError
from eedask.grid import NativeProjection
from eedask.items.item import WorkItem
from eedask.quota.limiter import Slot, SlotUnused, Ticket
from eedask.run.job_sender import JobSender
from eedask.run.request_pool import RequestPool, Split
from eedask.run.task import Job
from eedask.tables.batch_sizes import BatchSizes
from eedask.tables.batches import Batch, BatchedTask
from eedask.tables.grouping import BatchLimits, by_tile, expected_pixels, in_order, tiles_of
from eedask.watching.compute_sample import ComputeSample
from eedask.watching.partition_counts import PartitionCounts

TILES = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=120)


@settings(deadline=None)
@given(TILES, st.integers(1, 30), st.integers(1, 6))
def test_points_of_a_tile_stay_together_and_each_is_in_one_batch(tiles, items, most):
    limits = BatchLimits(items=items, tiles=most)
    batches = by_tile(np.array(tiles), limits)
    assert sorted(k for batch in batches for k in batch) == list(range(len(tiles)))
    for batch in batches:
        assert 0 < len(batch) <= items
        assert len({tiles[k] for k in batch}) <= most
    for tile in set(tiles):
        parts = sum(any(tiles[k] == tile for k in batch) for batch in batches)
        # As many requests as its points need, and one where it begins in what others leave.
        assert parts <= -(-tiles.count(tile) // items) + (tiles.count(tile) > items)


def test_dense_points_fill_their_requests():
    rng = np.random.default_rng(0)
    tiles = rng.integers(0, 10, (100_000, 2))
    batches = by_tile(tiles, BatchLimits())
    # A tile that does not fit into what is left of a request begins one.
    assert 100_000 / len(batches) >= 500


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.integers(1, 90), st.floats(0, 90)), min_size=1, max_size=60),
    st.integers(1, 20),
)
def test_regions_share_a_request_up_to_each_limit(weights, items):
    limits = BatchLimits(items=items, vertices=100, pixels=100)
    batches = in_order(weights, limits)
    assert [k for batch in batches for k in batch] == list(range(len(weights)))
    for batch in batches:
        assert len(batch) <= items
        assert sum(weights[k][0] for k in batch) <= 100
        assert sum(weights[k][1] for k in batch) <= 100 + 1e-9
    # No batch could have taken the first of the next.
    for batch, following in pairwise(batches):
        more = [*batch, following[0]]
        vertices, pixels = (sum(weights[k][i] for k in more) for i in (0, 1))
        assert len(more) > items or vertices > 100 or pixels > 100


def test_a_region_over_the_limits_has_a_request_of_its_own():
    limits = BatchLimits(vertices=10)
    assert in_order([(1, 0), (50, 0), (1, 0), (1, 0)], limits) == [[0], [1], [2, 3]]


@pytest.mark.parametrize("size", [0, 2501, 2.5, "20", True, None])
def test_batch_sizes_are_within_what_an_answer_holds(size):
    with pytest.raises(InputError, match="batch_size is a whole number from 1 to 2500"):
        BatchLimits(items=size)


def test_tiles_are_of_the_images_own_grid():
    native = NativeProjection.from_info({"crs": "EPSG:32614", "transform": [10, 0, 0, 0, -10, 0]})
    degrees = shapely.points([[-99.0, 45.0], [-99.0, 45.001], [-99.0, 45.2]])
    items = [WorkItem(k, shape) for k, shape in enumerate(degrees)]
    own = tiles_of(items, native, None)
    # Zone 14's central meridian: x is 500 km, 10 m a pixel, 256 pixels a tile.
    assert own[:, 0].tolist() == [500_000 // 2560] * 3
    assert own[0].tolist() == own[1].tolist() != own[2].tolist()
    # A pyramid's level with pixels ten times as large has tiles ten times as large.
    assert tiles_of(items, native, 100.0)[0].tolist() == [500_000 // 25600, own[0, 1] // 10]


def test_pixels_of_a_region_are_expected_by_its_area():
    square = WorkItem(0, shapely.box(10, 59.995, 10.01, 60.005))
    # A square of 0.01 degrees at 60 north is 1.1 km by half of that.
    found = expected_pixels([square, WorkItem(0), WorkItem(1, shapely.Polygon())], 10)
    assert found == pytest.approx([111.3 * 55.66, 0, 0], rel=0.01)
    assert expected_pixels([square], None) == [0]


class Fake(BatchedTask):
    """A task that works up to a weight in all, and never for some items."""

    presumed = 250.0

    def __init__(self, most, heavy=(), total=1.0, seconds=0.0):
        self.most, self.heavy, self.asked = most, heavy, []
        self.items, self.seconds = total, seconds

    @property
    def total(self):
        return self.items

    def ask(self, job, sender):
        self.asked.append(len(job.items))
        time.sleep(self.seconds)
        if job.laid_out.weight > self.most or any(i.id in self.heavy for i in job.items):
            raise TooLargeError("User memory limit exceeded.", 400)
        return [None] * len(job.items)


class Sender:
    """What a job is sent with: here, the sizes alone that the run has learned."""

    def __init__(self, sizes):
        self.sizes = sizes

    def rest(self):
        """It has no slot."""


def run(task, items, batch, *, threads=1):
    """Do all jobs as the pool does it, so many at once; return the ids that failed."""
    sizes = task.sizes()
    queue = deque(
        Job(tuple(WorkItem(k) for k in range(at, min(at + batch, items))), Batch((1.0,) * batch, 1))
        for at in range(0, items, batch)
    )
    failed, done = [], 0
    while queue:
        # Those under way at once learn nothing of each other.
        for job in [queue.popleft() for _ in range(min(threads, len(queue)))]:
            try:
                done += len(task.do(job, Sender(sizes)))
            except Exception as error:
                smaller = task.split(job, error)
                queue.extendleft(reversed(smaller))
                if not smaller:
                    failed.append(job.items[0].id)
    assert done + len(failed) == items
    return failed, sizes


def test_what_fits_is_asked_in_batches_as_laid_out():
    task = Fake(most=1e9)
    run(task, 100_000, 1000)
    assert len(task.asked) == 100


@pytest.mark.parametrize("most", [600, 300, 120, 40, 9, 1])
@pytest.mark.cross(3)
def test_finding_the_size_costs_few_requests(most):
    # Enough for some thousand requests of the size that works.
    items = min(100_000, 5000 * most)
    task = Fake(most=most)
    failed, sizes = run(task, items, 1000)
    assert not failed
    assert sizes.spent <= 0.05 * len(task.asked)
    assert sizes.spent == sum(size > most for size in task.asked)
    # Not by asking for much less than would work either.
    assert len(task.asked) <= 5 * items / most


class Slots:
    """As many as there are threads."""

    def take(self):
        return Ticket(0.0, lambda started, error: None)


def run_at_once(task, items, batch, threads, sizes=None):
    """Do all jobs by the pool's threads; return the sizes learned."""
    sizes = sizes or task.sizes()

    def work(job, _):
        try:
            return task.do(job, Sender(sizes))
        except Exception as error:
            return Split(task.split(job, error))

    jobs = [
        Job(tuple(WorkItem(k) for k in range(at, min(at + batch, items))), Batch((1.0,) * batch, 1))
        for at in range(0, items, batch)
    ]
    pool = RequestPool(threads, Slots())
    backlog, done = pool.backlog(0, work, jobs), 0
    while not (over := backlog.over) or done < items:
        done += sum(map(len, backlog.take(0.02)))
        assert not over or done == items
    pool.close()
    return sizes


@pytest.mark.parametrize("most", [200, 100, 50, 20])
def test_finding_the_size_costs_few_of_the_requests_of_forty_slots(most):
    """Some 250 requests, as many at once as a run has slots."""
    # Of sizes a power of two apart, half of what may be is what is found.
    items = 250 * most // 2
    task = Fake(most=most, total=items, seconds=0.02)
    sizes = run_at_once(task, items, 1000, 40)
    assert 150 <= len(task.asked) <= 600
    assert 1 <= sizes.spent <= 0.05 * len(task.asked)


def test_where_the_first_size_fits_others_wait_for_one_request_at_most():
    class Together(Fake):
        """The first request works at once; the forty after it end when all are under way."""

        def ask(self, job, sender):
            if 1 <= next(numbers) <= 40:
                gate.wait(30)
            return super().ask(job, sender)

    items, gate, numbers = 250 * (1 + 2 * 40), threading.Barrier(40), count()
    task = Together(most=1e9, total=items)
    sizes = run_at_once(task, items, 250, 40)
    assert not gate.broken
    assert sizes.spent == 0
    assert len(task.asked) == items / 250


def test_those_that_wait_for_a_slow_request_go_on_with_less():
    sizes = BatchSizes(250, total=1000, patience_s=0.05)
    slow = object()
    assert sizes.admit(slow, 250) == 250
    started = time.monotonic()
    less = sizes.admit(object(), 250)
    assert time.monotonic() - started > 0.04
    assert 0 < less < 250
    sizes.worked(slow, 250)
    assert sizes.admit(object(), 250) == 250


class CountedSlots:
    """So many, and how often one was used or not."""

    def __init__(self, count):
        self.free, self.ends = threading.Semaphore(count), []

    def slot(self):
        return Slot(self.begin, self.end)

    def take(self):
        return Ticket(self.begin(), self.end)

    def begin(self):
        self.free.acquire()
        return 0.0

    def end(self, started, error):
        self.ends.append("unused" if isinstance(error, SlotUnused) else "used")
        self.free.release()


def test_those_that_wait_hold_no_slot():
    """Others of the quota have them meanwhile, and each request has one."""

    class Sending(Fake):
        def ask(self, job, sender):
            sender.send(Request("POST", "nowhere"))
            return [None] * len(job.items)

    class Gate:
        def __init__(self):
            self.sent, self.opened = 0, threading.Event()

        def send(self, _, slot):
            with slot():
                self.sent += 1
                self.opened.wait(30)
            return b""

    task, slots, gate = Sending(most=1e9, total=4000.0), CountedSlots(8), Gate()
    sizes, spec = BatchSizes(250, 4000, patience_s=30), SimpleNamespace(policy=RetryPolicy())
    reporter = SimpleNamespace(sample=ComputeSample())
    process = SimpleNamespace(
        spec=spec, limiter=slots, connection=gate, sizes=sizes, reporter=reporter
    )
    counts = PartitionCounts(0, (), (), 1.0)
    jobs = [Job(tuple(map(WorkItem, range(250))), Batch((1.0,) * 250, 1)) for _ in range(16)]
    pool = RequestPool(8, slots)
    backlog = pool.backlog(
        0, lambda job, held: task.do(job, JobSender(process, counts, job, held)), jobs
    )
    until = time.monotonic() + 20
    while (len(slots.ends) < 7 or not gate.sent) and time.monotonic() < until:
        time.sleep(0.01)
    assert (gate.sent, slots.ends) == (1, ["unused"] * 7)
    # Seven of the eight are free for others.
    assert all(slots.free.acquire(timeout=1) for _ in range(7))
    slots.free.release(7)
    gate.opened.set()
    while not backlog.over and time.monotonic() < until:
        time.sleep(0.01)
    assert len(backlog.take(0)) == gate.sent == 16
    pool.close()
    pool.join(5)
    assert slots.ends.count("used") == 16


@pytest.mark.parametrize("ending", ["worked", "too_large", "other"])
def test_those_that_wait_hear_of_every_end(ending):
    sizes = BatchSizes(250, total=1000, patience_s=60)
    first, second, found = object(), object(), []
    assert sizes.admit(first, 250) == 250
    waiting = threading.Thread(target=lambda: found.append(sizes.admit(second, 250)))
    waiting.start()
    waiting.join(0.05)
    assert waiting.is_alive()
    more = {"worked": (250,), "too_large": (250, "a batch"), "other": ()}[ending]
    getattr(sizes, ending)(first, *more)
    waiting.join(5)
    assert found == [62.5 if ending == "too_large" else 250]


def test_an_item_that_is_too_large_fails_alone_and_batches_stay_large():
    task = Fake(most=1e9, heavy={4321, 70_000})
    failed, sizes = run(task, 100_000, 1000)
    assert failed == [4321, 70_000]
    assert sizes.spent <= 2 * 12
    assert len(task.asked) <= 100 + 2 * 2 * 12


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 2000), st.sets(st.integers(0, 1199), max_size=3), st.integers(1, 12))
def test_every_item_is_done_or_failed_whatever_the_limit(most, heavy, threads):
    task = Fake(most, heavy)
    failed, _ = run(task, 1200, 400, threads=threads)
    assert set(failed) == heavy


def test_a_size_at_which_many_requests_fail_is_given_up():
    """As where the work in an item differs, and some batches are just above what is allowed."""
    task = Fake(most=1000)
    sizes = task.sizes()
    sizes.worked(object(), 800)
    for _ in range(10):
        # One in five fails, though what comes after it works.
        sizes.too_large(object(), 800, "a batch")
        for _ in range(4):
            sizes.worked(object(), 400)
    assert sizes.admit(object(), 800) < 800


def test_one_request_at_a_time_tries_a_larger_size():
    sizes = BatchSizes(250)
    first, second = object(), object()
    assert sizes.admit(first, 1000) == 1000
    assert sizes.admit(second, 1000) == 250, "while one finds out, others keep to what works"
    sizes.worked(first, 1000)
    assert sizes.admit(second, 1000) == 1000


def test_a_try_that_tells_nothing_lets_another_try():
    sizes = BatchSizes(250)
    first, second = object(), object()
    assert sizes.admit(first, 1000) == 1000
    sizes.other(first)
    assert sizes.admit(second, 1000) == 1000


def test_jobs_that_are_cut_are_cut_once():
    """What a job is cut to is decided when it is refused: no job is a try that never ends."""
    task = Fake(most=1e9)
    sizes = task.sizes()
    scout = object()
    sizes.admit(scout, 1000)
    job = Job(tuple(WorkItem(k) for k in range(1000)), Batch((1.0,) * 1000, 1))
    with pytest.raises(Exception, match="cut to what is known") as refused:
        task.do(job, Sender(sizes))
    sizes.worked(scout, 1000)
    assert [len(part.items) for part in task.split(job, refused.value)] == [250] * 4
    assert sizes.admit(object(), 4000) == 4000


def test_a_size_that_worked_falls_when_it_fails_again_and_again():
    """As where a run comes into a place with more in every pixel."""
    task = Fake(most=1000)
    sizes = task.sizes()
    jobs = [Job(tuple(WorkItem(k) for k in range(800)), Batch((1.0,) * 800, 1)) for _ in range(4)]
    for job in jobs:
        task.do(job, Sender(sizes))
    for job in jobs[:3]:
        sizes.too_large(job, 800, job.label)
    assert sizes.admit(object(), 800) < 800

"""The pool takes a slot first, then the oldest job, and ends when told."""

import threading
import time

import pytest
from watching import wait_until

from eedask.errors import RunStopped
from eedask.quota.limiter import Limiter, SlotUnused, Ticket
from eedask.run.request_pool import RequestPool, Split


class Gate:
    """Slots that a test opens, and that remember how they were left."""

    def __init__(self, slots=0):
        self.free = threading.Semaphore(slots)
        self.left = []
        self.waiting = 0
        self.closed = False

    def take(self):
        return Ticket(self.begin(), self.end)

    def begin(self):
        self.waiting += 1
        while not self.free.acquire(timeout=0.02):
            if self.closed:
                raise RunStopped("closed")
        self.waiting -= 1
        return 0.0

    def end(self, started, error):
        self.left.append(None if error is None else type(error))
        self.free.release()


@pytest.fixture
def gate():
    return Gate()


@pytest.fixture
def pool(gate):
    running = RequestPool(4, gate)
    yield running
    running.close()
    gate.closed = True
    running.join(5)
    assert not [t for t in threading.enumerate() if t.name.startswith("eedask-")]


def use(held):
    with held.claim():
        pass


def results(*backlogs):
    """Return what came of all jobs, once they are over."""
    found = [backlog.take(5) for backlog in backlogs]
    assert all(backlog.over for backlog in backlogs)
    return [result for several in found for result in several]


def test_the_oldest_partition_comes_first_however_late_it_is_queued(gate, pool):
    order = []

    def job(name, held):
        order.append(name)
        use(held)

    late = pool.backlog(3, job, ["late"])
    others = [pool.backlog(r, job, [(r, n) for n in range(3)]) for r in (2, 1)]
    time.sleep(0.1)
    assert order == []
    gate.free.release()
    results(late, *others)
    assert order == [(1, 0), (1, 1), (1, 2), (2, 0), (2, 1), (2, 2), "late"]


def test_a_job_that_sends_nothing_gives_its_slot_back_unused(gate, pool):
    gate.free.release()
    assert results(pool.backlog(0, lambda a, held: a * 2, [21])) == [42]
    with pytest.raises(ZeroDivisionError):
        pool.backlog(0, lambda a, held: a / 0, [1]).take(5)
    results(pool.backlog(0, lambda a, held: use(held), [0]))
    wait_until(lambda: gate.left == [SlotUnused, SlotUnused, None])


def test_what_a_job_is_split_into_comes_before_what_is_queued(gate, pool):
    order = []

    def halve(numbers, held):
        if len(numbers) > 1:
            middle = len(numbers) // 2
            return Split([numbers[:middle], numbers[middle:]])
        order.append(numbers[0])
        return numbers[0]

    backlog = pool.backlog(0, halve, [[1, 2, 3], [4, 5]])
    gate.free.release()
    assert sorted(results(backlog)) == [1, 2, 3, 4, 5]
    assert order == [1, 2, 3, 4, 5]


def test_a_split_of_the_last_job_is_done_too(gate, pool):
    """Its partition had left the queue by then."""
    busy = threading.Event()

    def once(value, held):
        if value == "whole":
            # Lets the other threads find nothing left.
            gate.free.release(3)
            busy.wait(0.2)
            return Split(["left", "right"])
        return value

    backlog = pool.backlog(0, once, ["whole"])
    gate.free.release()
    assert sorted(results(backlog)) == ["left", "right"]


def test_no_more_threads_wait_for_slots_than_there_are_jobs(gate, pool):
    first = pool.backlog(0, lambda a, held: use(held), [1])
    wait_until(lambda: gate.waiting)
    time.sleep(0.1)
    assert gate.waiting == 1
    second = pool.backlog(1, lambda a, held: use(held), [2, 3])
    wait_until(lambda: gate.waiting >= 3)
    time.sleep(0.1)
    assert gate.waiting == 3
    gate.free.release()
    results(first, second)
    wait_until(lambda: gate.waiting == 0)
    # Who waited for what was cancelled meanwhile does what came instead.
    gate.free.acquire()
    pool.backlog(0, lambda a, held: a, [1, 2]).cancel()
    third = pool.backlog(1, lambda a, held: a, range(6))
    gate.free.release()
    assert sorted(results(third)) == list(range(6))


def test_idle_threads_cost_nothing_of_the_rate():
    limiter = Limiter(40, rate=10.0)
    pool = RequestPool(40, limiter)

    def two_requests(job, held):
        use(held)
        with limiter.slot():
            return job

    started = time.monotonic()
    try:
        assert sorted(results(pool.backlog(0, two_requests, range(3)))) == [0, 1, 2]
        # Six requests; a token for each of forty threads would be four seconds.
        assert time.monotonic() - started < 3.5
    finally:
        pool.close()
        limiter.close()
        pool.join(5)


def test_what_is_cancelled_is_not_done(gate, pool):
    done = []
    first = pool.backlog(0, lambda a, held: done.append(a), ["a"])
    second = pool.backlog(0, lambda a, held: done.append(a), ["b", "c"])
    third = pool.backlog(0, lambda a, held: done.append(a), ["d"])
    second.cancel()
    assert second.over
    gate.free.release()
    results(first, third)
    assert done == ["a", "d"]


def test_nothing_to_do_is_over_at_once(pool):
    assert pool.backlog(0, lambda a, held: a, []).over


def test_closing_forgets_what_is_queued(gate, pool):
    backlog = pool.backlog(0, lambda a, held: a, range(1, 11))
    pool.close()
    assert results(backlog) == []
    assert results(pool.backlog(0, lambda a, held: a, [1])) == []


def test_whose_slots_are_gone_for_good_is_told(gate):
    told = []
    pool = RequestPool(2, gate, refused=told.append)
    backlog = pool.backlog(0, lambda job, held: job, range(5))
    gate.closed = True
    pool.join(5)
    assert [type(error) for error in told] == [RunStopped, RunStopped]
    assert not backlog.over, "it is for the owner of the pool to close it"
    pool.close()
    assert backlog.over

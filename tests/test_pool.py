"""The pool takes a slot first, then the oldest job, and ends when told."""

import contextlib
import threading
import time

import pytest

from eedask.errors import RunStopped
from eedask.pool import RequestPool, SlotUnused


class Gate:
    """Slots that a test opens, and that remember how they were left."""

    def __init__(self, slots=0):
        self.free = threading.Semaphore(slots)
        self.left = []
        self.closed = False

    @contextlib.contextmanager
    def slot(self):
        while not self.free.acquire(timeout=0.02):
            if self.closed:
                raise RunStopped("closed")
        try:
            yield
        except BaseException as error:
            self.left.append(type(error))
            raise
        else:
            self.left.append(None)
        finally:
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
    with held.pop_all():
        pass


def test_the_oldest_partition_comes_first_however_late_it_is_queued(gate, pool):
    order = []

    def job(name, held):
        order.append(name)
        use(held)

    futures = [pool.submit(3, job, "late")]
    futures += [pool.submit(rank, job, (rank, n)) for n in range(3) for rank in (2, 1)]
    time.sleep(0.1)
    assert order == []
    gate.free.release()
    for future in futures:
        future.result(5)
    assert order == [(1, 0), (1, 1), (1, 2), (2, 0), (2, 1), (2, 2), "late"]


def test_a_job_that_sends_nothing_gives_its_slot_back_unused(gate, pool):
    gate.free.release()
    assert pool.submit(0, lambda a, held: a * 2, 21).result(5) == 42
    with pytest.raises(ZeroDivisionError):
        pool.submit(0, lambda a, held: a / 0, 1).result(5)
    pool.submit(0, lambda a, held: use(held), 0).result(5)
    time.sleep(0.05)
    assert gate.left == [SlotUnused, SlotUnused, None]


def test_what_is_cancelled_is_not_done(gate, pool):
    done = []
    futures = [pool.submit(0, lambda a, held: done.append(a), n) for n in range(3)]
    assert futures[1].cancel()
    gate.free.release()
    futures[2].result(5)
    assert done == [0, 2]


def test_closing_cancels_what_is_queued(gate, pool):
    futures = [pool.submit(0, lambda a, held: a, n) for n in range(10)]
    pool.close()
    assert all(future.cancelled() for future in futures)
    assert pool.submit(0, lambda a, held: a, 0).cancelled()

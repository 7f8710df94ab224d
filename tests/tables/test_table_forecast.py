"""Bounds of requests hold whatever grid an image turns out to have, and however batches are cut."""

import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from eedask.errors import ItemsError
from eedask.grid import NativeProjection
from eedask.items.item import WorkItem
from eedask.run.forecast import UNKNOWN, Bounds, Forecast
from eedask.run.task import Job
from eedask.tables.batches import Batch, cut
from eedask.tables.grouping import BatchLimits, PointBatching
from eedask.tables.table_forecast import of_jobs, of_points


def requests(jobs, allowed):
    """Return how many jobs come of cutting each as a run cuts it."""
    todo, done = list(jobs), 0
    while todo:
        job = todo.pop()
        if len(job.items) > 1 and job.laid_out.weight > allowed:
            todo += cut(job, allowed)
        else:
            done += 1
    return done


# How many points lie in each of several tiles, of 256 pixels of a hundredth of a degree.
crowds = st.lists(st.integers(1, 40), min_size=1, max_size=30)


@settings(max_examples=60)
@given(crowds, st.integers(1, 60), st.integers(1, 12), st.integers(1, 30), st.floats(0.001, 0.1))
def test_points_take_as_many_requests_as_said_on_any_grid(crowds, most, tiles, presumed, pixel):
    items = [
        WorkItem(f"{t}/{k}", shapely.Point(2.56 * (t % 10) + 0.05 * k, 2.56 * (t // 10) + 1))
        for t, crowd in enumerate(crowds)
        for k in range(crowd)
    ]
    limits = BatchLimits(items=most, tiles=tiles)
    found = of_points(items, items, limits, presumed, None)
    assert found.pixels == Bounds.exactly(len(items))
    native = NativeProjection("EPSG:4326", (pixel, 0, 0.003, 0, -pixel, 0.007))
    batches, weights = PointBatching(limits, None).on(native).batches(items)
    jobs = [
        Job(tuple(items[k] for k in batch), Batch(tuple(weights[k] for k in batch), 1.0))
        for batch in batches
    ]
    assert found.requests.least <= len(jobs)
    assert requests(jobs, presumed) <= found.requests.most
    exact = of_jobs(jobs, presumed)
    assert exact.requests == Bounds(len(jobs), requests(jobs, presumed))


@given(st.lists(st.floats(0.1, 50), min_size=1, max_size=60), st.floats(1, 60))
def test_heavy_batches_are_cut_into_as_many_as_said(weights, presumed):
    items = tuple(WorkItem(k) for k in range(len(weights)))
    jobs = [Job(items, Batch(tuple(weights), 1.0)), Job((WorkItem("x"),), ItemsError("odd"))]
    found = of_jobs(jobs, presumed)
    assert (found.items, found.refused) == (len(weights) + 1, 1)
    assert found.requests.least == 1
    assert requests(jobs[:1], presumed) <= found.requests.most


def test_forecasts_of_partitions_make_one():
    one = Forecast(2, 0, Bounds(1, 2), Bounds.exactly(5), largest=Bounds.exactly(7))
    other = Forecast(3, 0, Bounds(1, None), Bounds(1, 1, about=True), largest=Bounds.exactly(4))
    both = Forecast.total([one, Forecast.unasked(4), other])
    assert (both.items, both.refused) == (9, 4)
    assert both.requests == Bounds(2, None)
    assert both.pixels == Bounds(6, 6, about=True)
    assert both.largest == Bounds.exactly(7)
    assert both.files == UNKNOWN
    assert Forecast.total([]) == Forecast.unasked(0)

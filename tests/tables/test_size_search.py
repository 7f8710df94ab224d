"""The search for the size of requests that works, step by step, by a clock of the test's own."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from eedask.tables.size_search import SizeSearch

JOBS = [object() for _ in range(6)]


def test_others_wait_for_an_untried_size_and_go_on_with_less_where_that_takes_long():
    search = SizeSearch(250, total=1000, patience_s=5)
    assert search.admit(JOBS[0], 250, now=10) == 250
    assert search.admit(JOBS[1], 250, now=11) is None
    assert search.delay(11) == 4
    assert 0 < search.admit(JOBS[1], 250, now=15) < 250
    search.worked(JOBS[0], 250)
    assert search.admit(JOBS[1], 250, now=15) == 250
    assert search.delay(16) == 0, "nobody is waited for"


@pytest.mark.parametrize(("answered", "left"), [(0, 62.5), (1, 125)])
def test_a_presumed_size_that_fails_is_cut_in_four_and_one_that_worked_in_two(answered, left):
    search = SizeSearch(250, total=1e6)
    for job in JOBS[:answered]:
        search.admit(job, 250, now=0)
        search.worked(job, 250)
    for job in JOBS[1 : 1 + (3 if answered else 1)]:
        assert search.admit(job, 250, now=0) == 250
        search.too_large(job, 250)
    assert search.admit(JOBS[5], 250, now=0) == left
    assert search.spent == (3 if answered else 1)


def test_a_larger_size_is_tried_by_one_and_again_only_after_many_that_worked():
    search = SizeSearch(250, total=1e6)
    search.admit(JOBS[0], 250, now=0)
    search.worked(JOBS[0], 250)
    assert search.admit(JOBS[1], 1000, now=0) == 1000
    assert search.admit(JOBS[2], 1000, now=0) == 250
    search.too_large(JOBS[1], 1000)
    tries = 0
    while search.admit(JOBS[1], 1000, now=0) == 250:
        search.admit(JOBS[2], 250, now=0)
        search.worked(JOBS[2], 250)
        tries += 1
    assert 80 <= tries <= 160, "twice forty, and as often as it takes to allow the size again"


STEPS = st.lists(
    st.tuples(
        st.sampled_from(range(len(JOBS))),
        st.sampled_from(["worked", "too_large", "other"]),
        st.floats(1, 5000),
        st.floats(0, 3),
    ),
    max_size=80,
)


@example([(0, "worked", 1.0, 0.8954537206397262), (1, "worked", 1.0, 0.83)], 1.0, 0.0)
@given(STEPS, st.floats(1, 1000), st.floats(0, 1e5))
def test_none_is_given_more_than_it_asks_for_and_none_waits_for_nobody(steps, presumed, total):
    search, now = SizeSearch(presumed, total, patience_s=5), 0.0
    under_way = {}
    for number, ending, size, seconds in steps:
        now += seconds
        job = JOBS[number]
        if number in under_way:
            more = () if ending == "other" else (under_way.pop(number),)
            under_way.pop(number, None)
            getattr(search, ending)(job, *more)
            continue
        allowed = search.admit(job, size, now)
        if allowed is None:
            assert under_way
            assert 0 < search.delay(now) <= 5
            allowed = search.admit(job, size, now + search.delay(now))
        assert 0 < allowed <= size
        if allowed == size:
            under_way[number] = size
    for number, size in under_way.items():
        search.worked(JOBS[number], size)
    assert search.admit(JOBS[0], 1.0, now) is not None

"""Only what can succeed later is tried again, as often as the policy says."""

import logging
import time

import pytest

from eedask.earthengine.retry import Attempts, RetryPolicy, call_with_retry
from eedask.errors import InputError, PermanentError, QuotaError, TooLargeError, TransientError

QUICK = RetryPolicy(tries=4, delay=0.001, jitter=(0, 0.001))


def failing(times, error):
    calls = []

    def exchange():
        calls.append(time.monotonic())
        if len(calls) <= times:
            raise error
        return "answer"

    return exchange, calls


@pytest.mark.parametrize("kind", [QuotaError, TransientError])
def test_what_passes_is_tried_again(kind, caplog):
    exchange, calls = failing(3, kind("wait", 429))
    attempts = Attempts()
    with caplog.at_level(logging.INFO, logger="eedask"):
        assert call_with_retry(exchange, QUICK, attempts, "item 7") == "answer"
    assert len(calls) == attempts.count == 4
    messages = [record.getMessage() for record in caplog.records]
    assert len(messages) == 3
    assert all(m.startswith("item 7: attempt") and "HTTP 429: wait" in m for m in messages)


@pytest.mark.parametrize("kind", [QuotaError, TransientError])
def test_but_not_for_ever(kind):
    exchange, calls = failing(99, kind("wait"))
    with pytest.raises(kind, match="wait"):
        call_with_retry(exchange, QUICK, Attempts(), "item 7")
    assert len(calls) == 4


@pytest.mark.parametrize("kind", [PermanentError, TooLargeError])
def test_what_cannot_succeed_costs_one_request(kind):
    exchange, calls = failing(99, kind("no"))
    attempts = Attempts()
    with pytest.raises(kind):
        call_with_retry(exchange, QUICK, attempts, "item 7")
    assert len(calls) == attempts.count == 1


CAPACITY = ("Earth Engine memory capacity exceeded.", 503)


@pytest.mark.parametrize(("cause", "sent"), [("capacity", 3), ("time", 2), ("answer", 2)])
def test_what_fails_again_and_again_is_too_large_where_less_can_be_asked(cause, sent):
    exchange, calls = failing(99, TransientError(*CAPACITY, cause=cause))
    with pytest.raises(TooLargeError, match="memory capacity exceeded") as caught:
        call_with_retry(exchange, QUICK, Attempts(), "item 7", divisible=True)
    assert (caught.value.cause, caught.value.status, len(calls)) == (cause, 503, sent)


def test_a_request_that_cannot_be_smaller_keeps_its_tries():
    exchange, calls = failing(3, TransientError(*CAPACITY, cause="capacity"))
    assert call_with_retry(exchange, QUICK, Attempts(), "item 7") == "answer"
    assert len(calls) == 4


def test_only_answers_in_a_row_tell_that_a_request_is_too_large():
    lacks, passes = TransientError(*CAPACITY, cause="capacity"), TransientError("oops", 500)
    errors = [lacks, lacks, passes, lacks, lacks]

    def exchange():
        if errors:
            raise errors.pop()
        return "answer"

    policy = RetryPolicy(tries=6, delay=0.001, jitter=(0, 0.001))
    assert call_with_retry(exchange, policy, Attempts(), "item 7", divisible=True) == "answer"


def test_retry_after_is_honoured():
    exchange, calls = failing(1, QuotaError("wait", 429, 0.3))
    call_with_retry(exchange, QUICK, Attempts(), "item 7")
    assert calls[1] - calls[0] >= 0.3


@pytest.mark.parametrize(
    "wrong",
    [
        {"tries": 0},
        {"tries": 2.5},
        {"delay": -1},
        {"max_delay": float("inf")},
        {"delay": "1 s"},
        {"jitter": 1},
        {"jitter": (0, 1, 2)},
        {"delay": float("nan")},
        {"backoff": 0.5},
    ],
)
def test_policies_that_make_no_sense_are_refused(wrong):
    with pytest.raises(InputError):
        RetryPolicy(**wrong)

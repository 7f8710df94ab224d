"""Every answer of Earth Engine is read into the kind of error it is."""

import json
import pickle
import random
import time

import pytest

from eedask import errors
from eedask.earthengine import refusals

TOO_MANY = (
    "Too Many Requests: Request was rejected because the request rate or concurrency limit was"
    " exceeded."
)
READS = (
    "Quota exceeded for quota metric 'Number of read requests' and limit 'Number of read requests"
    " per minute per user' of service 'earthengine.googleapis.com' for consumer"
    " 'project_number:1'."
)

ANSWERS = [
    (429, TOO_MANY, errors.QuotaError),
    (429, READS, errors.QuotaError),
    (429, "Quota exceeded: Too many concurrent aggregations.", errors.QuotaError),
    (400, "Too many concurrent aggregations.", errors.QuotaError),
    (
        429,
        "Quota exceeded for custom quota 'earthengine.googleapis.com/daily_eecu_usage_time'.",
        errors.BudgetError,
    ),
    (500, "An internal error has occurred", errors.TransientError),
    (502, "", errors.TransientError),
    (503, "The service is currently unavailable.", errors.TransientError),
    (504, "Deadline expired", errors.TransientError),
    (408, "Request Timeout", errors.TransientError),
    (
        400,
        "Total request size (57353670 bytes) must be less than or equal to 50331648 bytes.",
        errors.TooLargeError,
    ),
    (400, "Request payload size exceeds the limit: 10485760 bytes.", errors.TooLargeError),
    (
        400,
        "Pixel grid dimensions (40000x2) must be less than or equal to 32768.",
        errors.TooLargeError,
    ),
    (400, "User memory limit exceeded.", errors.TooLargeError),
    (400, "Computation timed out.", errors.TooLargeError),
    (
        400,
        "Output of image computation is too large (31 bands for 1024000 pixels = 95.2 MiB > 80.0"
        " MiB).\nIf this is a reduction, try specifying a larger 'tileScale' parameter.",
        errors.TooLargeError,
    ),
    (400, "Collection query aborted after accumulating over 5000 elements.", errors.TooLargeError),
    (400, "Computed value is too large.", errors.TooLargeError),
    (
        400,
        "Image.reduceRegion: Too many pixels in the region. Found 80300348117, but maxPixels"
        " allows only 10000000.",
        errors.TooLargeError,
    ),
    (413, "Payload Too Large", errors.TooLargeError),
    (400, "Reprojection output too large (40000x30000 pixels).", errors.TooLargeError),
    (400, "Object too large (123456789 bytes).", errors.TooLargeError),
    (503, "User memory limit exceeded.", errors.TooLargeError),
    (500, "Computation timed out.", errors.TooLargeError),
    (429, "Earth Engine capacity exceeded.", errors.TransientError),
    (503, "Earth Engine memory capacity exceeded.", errors.TransientError),
    (400, "Earth Engine capacity exceeded.", errors.TransientError),
    (409, "The operation was aborted.", errors.TransientError),
    (499, "The operation was cancelled.", errors.TransientError),
    (503, "Quota exceeded: Too many concurrent aggregations.", errors.QuotaError),
    (
        403,
        "Permission 'earthengine.assets.get' denied on resource 'projects/q/assets/mine' (or it"
        " may not exist).",
        errors.PermanentError,
    ),
    (
        403,
        "Permission 'earthengine.computations.create' denied on resource 'projects/p'.",
        errors.AuthorizationError,
    ),
    (
        429,
        "Quota exceeded for quota metric 'Daily EECU usage time' and limit 'Daily EECU usage time'"
        " of service 'earthengine.googleapis.com' for consumer 'project_number:1'.",
        errors.BudgetError,
    ),
    (
        400,
        "Image.select: Band pattern 'x' did not match any bands. Available bands: [R, G]",
        errors.PermanentError,
    ),
    (
        404,
        "Image.load: Image asset 'X' not found (does not exist or caller does not have access).",
        errors.PermanentError,
    ),
    (
        400,
        'Invalid JSON payload received. Unknown name "scale": Cannot find field.',
        errors.PermanentError,
    ),
    (401, "Request had invalid authentication credentials.", errors.AuthorizationError),
    (403, "Caller does not have required permission to use project p.", errors.AuthorizationError),
]


def body(status, message, **more):
    return json.dumps({"error": {"code": status, "message": message, **more}}).encode()


@pytest.mark.parametrize(("status", "message", "kind"), ANSWERS)
def test_answers_are_read_by_status_and_words(status, message, kind):
    error = refusals.from_response(status, {}, body(status, message))
    assert type(error) is kind
    assert error.status == status
    assert one_line(message) in str(error)


def one_line(message):
    return " ".join(message.split())


DRESSES = {
    "prefix": "Earth Engine Error: {}",
    "line breaks": "\n{}\n\n",
    "request id": "{} (request id: 7f3e4b3c-2d0a-4429-a413-0f1503cd5040)",
    "all": "Earth Engine Error:\r\n{}\nRequest ID: 429-503-EEC\n",
}


@pytest.mark.parametrize("dress", DRESSES)
def test_words_are_read_whatever_stands_around_and_between_them(dress):
    for status, message, kind in ANSWERS:
        for words in (message, message.replace(" ", "\n")):
            dressed = DRESSES[dress].format(words)
            error = refusals.from_response(status, {}, body(status, dressed))
            assert type(error) is kind, dressed
            if words is message and kind is errors.TooLargeError:
                bare = refusals.from_response(status, {}, body(status, message))
                assert vars(error) | {"message": ""} == vars(bare) | {"message": ""}


@pytest.mark.parametrize(
    ("status", "message", "cause"),
    [
        (503, "Earth Engine memory capacity exceeded.", "capacity"),
        (429, "Earth Engine capacity exceeded.", "capacity"),
        (504, "", "time"),
        (503, "The service is currently unavailable.", None),
        (409, "aborted", None),
    ],
)
def test_what_earth_engine_lacked_is_told(status, message, cause):
    error = refusals.from_response(status, {}, body(status, message))
    assert (type(error), error.cause) == (errors.TransientError, cause)
    assert pickle.loads(pickle.dumps(error)).cause == cause


@pytest.mark.parametrize(
    ("status", "message", "metadata", "kind"),
    [
        (
            429,
            "Quota exceeded.",
            {"quota_metric": "earthengine.googleapis.com/daily_eecu_usage_time"},
            errors.BudgetError,
        ),
        (
            429,
            "Quota exceeded.",
            {"quota_metric": "earthengine.googleapis.com/read_requests", "quota_limit_value": 9},
            errors.QuotaError,
        ),
        (
            403,
            "The caller does not have permission",
            {"permission": "earthengine.assets.getPixels"},
            errors.PermanentError,
        ),
        (
            403,
            "The caller does not have permission",
            {"service": "earthengine.googleapis.com", "consumer": "projects/1"},
            errors.AuthorizationError,
        ),
    ],
)
def test_details_are_read(status, message, metadata, kind):
    info = {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "metadata": metadata}
    answer = body(status, message, details=[info])
    assert type(refusals.from_response(status, {}, answer)) is kind


def test_words_from_outside_are_shown_on_one_line_and_can_be_written_anywhere():
    words = "no\x1b[31m such\n band \ud800 \u202e\x00"
    error = refusals.from_response(400, {}, body(400, words))
    assert error.message == "no\\x1b[31m such band \\ud800 \\u202e\\x00"
    assert str(errors.TransientError("bad status line: \x1b]0;title\x07")).isprintable()
    str(error).encode()


TOO_LARGE = {
    "Total request size": ("request size", 57353670, 50331648),
    "Request payload": ("payload", None, 10485760),
    "Pixel grid": ("grid side", None, 32768),
    "User memory": ("memory", None, None),
    "Computation timed": ("time", None, None),
    "Output of image": ("output", None, None),
    "Collection query": ("elements", None, 5000),
    "Computed value": ("value", None, None),
    "Image.reduceRegion": ("region pixels", None, 10000000),
    "Payload Too": ("payload", None, None),
    "Reprojection": ("output", None, None),
    "Object too": ("output", None, None),
}


@pytest.mark.parametrize(
    ("status", "message"), [row[:2] for row in ANSWERS if row[2] is errors.TooLargeError]
)
def test_what_is_too_large_is_read_with_its_cause_and_sizes(status, message):
    (wanted,) = (row for words, row in TOO_LARGE.items() if message.startswith(words))
    error = refusals.from_response(status, {"retry-after": "2"}, body(status, message))
    for one in (error, pickle.loads(pickle.dumps(error))):
        assert (one.cause, one.asked, one.allowed) == wanted
        assert (one.message, one.status, one.retry_after) == (one_line(message), status, 2.0)


@pytest.mark.parametrize(
    ("message", "cause"),
    [
        ("Total request size is too large.", "request size"),
        ("Pixel grid dimensions are too large.", "grid side"),
        ("Request payload size is too large.", "payload"),
        ("Too many pixels in sample.", "region pixels"),
    ],
)
def test_words_without_sizes_have_a_cause_all_the_same(message, cause):
    error = refusals.from_response(400, {}, body(400, message))
    assert (type(error), error.cause) == (errors.TooLargeError, cause)
    assert (error.asked, error.allowed) == (None, None)


def test_a_reason_says_more_than_a_status():
    reasons = {"errors": [{"reason": "rateLimitExceeded"}]}
    error = refusals.from_response(403, {}, body(403, "Rate Limit Exceeded", **reasons))
    assert type(error) is errors.QuotaError


def test_what_is_no_json_keeps_its_words():
    error = refusals.from_response(502, {}, b"<html>Bad Gateway</html>")
    assert type(error) is errors.TransientError
    assert "Bad Gateway" in str(error)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 413])
def test_an_answer_that_is_not_the_json_it_says_it_is_was_damaged_on_its_way(status):
    headers = {"content-type": "application/json; charset=UTF-8"}
    noise = random.Random(status).randbytes(200)
    error = refusals.from_response(status, headers, noise)
    assert type(error) is errors.TransientError
    assert f"status {status} says that it is JSON, and is not" in str(error)
    # Too many requests were sent, whatever the answer holds. A page of a proxy's says what it is.
    assert type(refusals.from_response(429, headers, noise)) is errors.QuotaError
    page = refusals.from_response(404, {"content-type": "text/html"}, b"<html>Not here</html>")
    assert type(page) is errors.PermanentError


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"[]",
        b'{"error": "x"}',
        b'{"error": {"errors": 3}}',
        b'{"error": {"message": "x", "details": [{"metadata": 3}]}}',
        b"\xff",
        b"[" * 100_000,
        body(400, "Pixel grid dimensions (1x1) must be less than " + "9" * 5000),
    ],
)
def test_no_answer_is_too_strange_to_read(answer):
    refused = (errors.PermanentError, errors.TooLargeError)
    assert type(refusals.from_response(400, {}, answer)) in refused


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("3", 3.0),
        ("0.5", 0.5),
        ("-1", 0.0),
        ("soon", None),
        ("86400", refusals.MAX_RETRY_AFTER_S),
        ("inf", None),
        ("nan", None),
        ("9" * 400, refusals.MAX_RETRY_AFTER_S),
        ("Mon, 30 Nov 2026 02:00:07 GMT", 7.0),
        ("Mon, 30 Nov 2026 02:00:07 -0000", 7.0),
        ("Mon, 30 Nov 2026 01:00:00 GMT", 0.0),
        ("Mon, 30 Nov 9999 02:00:00 GMT", refusals.MAX_RETRY_AFTER_S),
        ("Mon, 30 Nov 2026 02:00:00 +999999999999", None),
        ("Mon, 99 Nov 99999999999 02:00:00 GMT", None),
    ],
)
def test_retry_after_is_read(header, seconds):
    headers = {"retry-after": header, "date": "Mon, 30 Nov 2026 02:00:00 GMT"}
    error = refusals.from_response(429, headers, body(429, TOO_MANY))
    assert error.retry_after == seconds


@pytest.mark.parametrize(
    ("delay", "seconds"),
    [
        ("7s", 7.0),
        ("0.250s", 0.25),
        ("86400s", refusals.MAX_RETRY_AFTER_S),
        ("9" * 400 + "s", refusals.MAX_RETRY_AFTER_S),
        ("-3s", None),
        ("soon", None),
        ("infs", None),
        (7, None),
        (None, None),
        ({"seconds": 7}, None),
    ],
)
@pytest.mark.parametrize(
    ("status", "kind"), [(429, errors.QuotaError), (503, errors.TransientError)]
)
def test_the_delay_of_the_details_is_read_where_there_is_no_header(status, kind, delay, seconds):
    info = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": delay}
    answer = body(status, "Try again later.", details=[{"reason": "BUSY"}, info])
    error = refusals.from_response(status, {}, answer)
    assert (type(error), error.message, error.retry_after) == (kind, "Try again later.", seconds)
    assert refusals.from_response(status, {"retry-after": "2"}, answer).retry_after == 2.0


LONG = {
    "no spaces": "x" * 20_000,
    "a size without end": "Total request size (" + "9" * 20_000,
    "a limit without end": "Total request size (1 bytes) is more than " + "9" * 20_000,
    "sizes": "9 bytes " * 2_500,
    "quota words": "eecu " * 4_000,
    "too many": "Too many pixels. " * 1_200,
    "metadata": "",
}


@pytest.mark.parametrize("name", LONG)
def test_long_words_are_read_at_once_and_their_beginning_is_kept(name):
    details = [{"reason": "X", "metadata": {"x": "x" * 20_000}}]
    answer = body(400, LONG[name], details=details if name == "metadata" else [])
    started = time.process_time()
    error = refusals.from_response(400, {}, answer)
    assert time.process_time() - started < 2
    assert len(error.message) <= refusals.MOST_WORDS
    assert error.message.startswith(LONG[name][:1000])


@pytest.mark.parametrize("status", [103, 204, 206, 301, 302, 304, 307, 421, 425])
def test_what_is_no_answer_of_earth_engine_passes(status):
    error = refusals.from_response(status, {"location": "file:///etc/passwd\x1b[31m"}, b"")
    assert type(error) is errors.TransientError
    assert f"status {status}" in error.message
    assert ("to file:///etc/passwd\\x1b[31m" in error.message) == (300 <= status < 400)


def test_errors_travel_between_processes():
    error = errors.QuotaError("slow down", 429, 2.0)
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), str(again), again.retry_after) == (type(error), str(error), 2.0)


def test_the_tree_is_the_one_that_is_drawn():
    drawn = set(errors.__doc__.replace("(also ValueError)", "").split())
    tree = [c for c in vars(errors).values() if isinstance(c, type) and issubclass(c, Exception)]
    assert {c.__name__ for c in tree} <= drawn
    for kind in errors.RequestError.__subclasses__():
        assert f'"{kind.kind}"' in drawn

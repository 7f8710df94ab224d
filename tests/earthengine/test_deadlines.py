"""However a server drips, the deadline is kept; however much it sends, memory is not filled."""

import gzip
import time
import tracemalloc

import pytest
from dripping import DRIPS, drip
from loopback import reply, serving

from eedask.earthengine.connection import Connection
from eedask.earthengine.endpoint import Endpoint, Request
from eedask.errors import PermanentError, TransientError


def send(url, request, deadline):
    connection = Connection(Endpoint(url, "p", auth="anonymous", deadline=deadline))
    try:
        return connection.send(request)
    finally:
        connection.close()


@pytest.mark.parametrize("where", DRIPS)
@pytest.mark.cross(2)
def test_a_drip_ends_at_the_deadline(where):
    with serving(lambda handler: drip(handler, where, 20)) as url:
        started = time.monotonic()
        with pytest.raises(TransientError, match="no whole answer within 1 s") as caught:
            send(url, Request("GET", "x"), deadline=1.0)
        assert 0.9 < time.monotonic() - started < 10
    assert caught.value.cause == "time"


def test_an_answer_is_read_to_what_the_request_allows_and_no_further():
    bomb = gzip.compress(bytes(200_000_000))
    with serving(lambda h: reply(h, 200, bomb, {"Content-Encoding": "gzip"})) as url:
        tracemalloc.start()
        with pytest.raises(TransientError, match="longer than 1000000 bytes"):
            send(url, Request("GET", "x", most_bytes=1_000_000), deadline=30)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert peak < 10_000_000


def test_an_answer_as_long_as_the_request_allows_is_whole():
    body = bytes(1_000_000)
    with serving(lambda h: reply(h, 200, body)) as url:
        assert send(url, Request("GET", "x", most_bytes=len(body)), deadline=30) == body


def test_of_a_refusal_without_end_the_beginning_is_read():
    words = b"no such band " * 1_000_000
    with serving(lambda h: reply(h, 400, words)) as url, pytest.raises(PermanentError) as caught:
        send(url, Request("GET", "x"), deadline=30)
    assert caught.value.message.startswith("no such band")

"""However a server drips, the deadline is kept; however much it sends, memory is not filled."""

import gzip
import itertools
import time
import tracemalloc
import zlib

import pytest
from loopback import reply, serving

from eedask.earthengine.connection import Connection
from eedask.earthengine.endpoint import Endpoint, Request
from eedask.errors import PermanentError, TransientError

OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
PACKED = b"Content-Encoding: gzip\r\n"
# A gzip member that holds nothing, and the start of one that empty blocks of deflate may follow.
EMPTY_MEMBER = gzip.compress(b"")
EMPTY_BLOCK = zlib.compressobj(wbits=-15).flush(zlib.Z_SYNC_FLUSH)


def chunks(pieces):
    return (b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces)


# What a server sends at once, and what it then sends piece by piece, for ever.
DRIPS = {
    "status line": (b"", itertools.chain([b"HTTP/1.1 200 "], itertools.repeat(b"O"))),
    "header": (OK + b"X-Slow: ", itertools.repeat(b"x")),
    "100 Continue": (b"", itertools.repeat(b"HTTP/1.1 100 Continue\r\n\r\n")),
    "size of a chunk": (CHUNKED, itertools.chain([b"5;"], itertools.repeat(b"x"))),
    "trailers": (CHUNKED + b"0\r\n", itertools.repeat(b"X-Slow: x\r\n")),
    "body": (OK + b"Content-Length: 9999\r\n\r\n", itertools.repeat(b"x")),
    "empty gzip members": (OK + PACKED + b"\r\n", itertools.repeat(EMPTY_MEMBER)),
    "empty gzip blocks": (
        OK + PACKED + b"Transfer-Encoding: chunked\r\n\r\n",
        chunks(itertools.chain([EMPTY_MEMBER[:10]], itertools.repeat(EMPTY_BLOCK))),
    ),
}


def send(url, request, deadline):
    connection = Connection(Endpoint(url, "p", auth="anonymous", deadline=deadline))
    try:
        return connection.send(request)
    finally:
        connection.close()


@pytest.mark.parametrize("where", DRIPS)
def test_a_drip_ends_at_the_deadline(where):
    first, pieces = DRIPS[where]

    def answer(handler):
        handler.close_connection = True
        handler.wfile.write(first)
        until = time.monotonic() + 5
        for piece in pieces:
            handler.wfile.write(piece)
            time.sleep(0.05)
            if time.monotonic() > until:
                return

    with serving(answer) as url:
        started = time.monotonic()
        with pytest.raises(TransientError, match="no whole answer within 1 s") as caught:
            send(url, Request("GET", "x"), deadline=1.0)
        assert 0.9 < time.monotonic() - started < 2.5
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

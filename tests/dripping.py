"""The ways in which a server may send an answer piece by piece, so that it never ends."""

from __future__ import annotations

import gzip
import time
import zlib
from http.server import BaseHTTPRequestHandler

OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
PACKED = b"Content-Encoding: gzip\r\n"
# A gzip member that holds nothing, and the start of one that empty blocks of deflate may follow.
EMPTY_MEMBER = gzip.compress(b"")
EMPTY_BLOCK = zlib.compressobj(wbits=-15).flush(zlib.Z_SYNC_FLUSH)


def chunk(piece: bytes) -> bytes:
    """Return a piece of a body as a chunk of HTTP."""
    return b"%x\r\n%b\r\n" % (len(piece), piece)


# What a server sends at once, and the piece that it then sends again and again.
DRIPS = {
    "status line": (b"HTTP/1.1 200 ", b"O"),
    "header": (OK + b"X-Slow: ", b"x"),
    "100 Continue": (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "size of a chunk": (CHUNKED + b"5;", b"x"),
    "trailers": (CHUNKED + b"0\r\n", b"X-Slow: x\r\n"),
    "body": (OK + b"Content-Length: 9999\r\n\r\n", b"x"),
    "empty gzip members": (OK + PACKED + b"\r\n", EMPTY_MEMBER),
    "empty gzip blocks": (
        OK + PACKED + b"Transfer-Encoding: chunked\r\n\r\n" + chunk(EMPTY_MEMBER[:10]),
        chunk(EMPTY_BLOCK),
    ),
}


def drip(handler: BaseHTTPRequestHandler, where: str, seconds: float) -> None:
    """Answer a request in one of these ways until so much time is over, or the client is gone."""
    first, piece = DRIPS[where]
    handler.close_connection = True
    handler.wfile.write(first)
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        handler.wfile.write(piece)
        time.sleep(0.05)

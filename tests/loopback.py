"""A server on loopback that answers as a test tells it to."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

Handler = Callable[[BaseHTTPRequestHandler], None]


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    # Broken connections are what these tests are about.
    handle_error = lambda *_: None  # noqa: E731


@contextlib.contextmanager
def serving(answer: Handler) -> Iterator[str]:
    """Yield the URL of a server that calls ``answer`` for every request."""

    class OneHandler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            answer(self)

        do_POST = do_GET

        def log_message(self, *_: object) -> None:
            pass

    server = _Server(("127.0.0.1", 0), OneHandler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def reply(
    handler: BaseHTTPRequestHandler,
    status: int,
    body: bytes,
    headers: dict[str, str] | None = None,
    length: int | None = None,
) -> None:
    """Read the request's body and answer; ``length`` may lie about the answer's."""
    handler.rfile.read(int(handler.headers.get("Content-Length", 0)))
    handler.send_response(status)
    handler.close_connection = (headers or {}).get("Connection") == "close"
    for name, value in (headers or {}).items():
        handler.send_header(name, value)
    handler.send_header("Content-Length", str(len(body) if length is None else length))
    handler.end_headers()
    handler.wfile.write(body)

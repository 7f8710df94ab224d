"""The HTTP server: parses requests, applies quotas and faults, and lets a pool compute answers.

Nothing is computed on its event loop, which is therefore always free for other requests.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import random
import socket
import struct
from collections.abc import Awaitable, Mapping
from dataclasses import replace
from http import HTTPStatus
from http.client import responses
from typing import Any, cast
from urllib.parse import parse_qsl, unquote

from tornado.http1connection import HTTP1Connection
from tornado.httpserver import HTTPServer
from tornado.httputil import (
    HTTPConnection,
    HTTPHeaders,
    HTTPMessageDelegate,
    HTTPServerConnectionDelegate,
    RequestStartLine,
    ResponseStartLine,
)
from tornado.iostream import StreamClosedError

from eedask.emulator.answers import Answer, error_answer, json_answer
from eedask.emulator.errors import EarthEngineError
from eedask.emulator.protocol.api import MAX_PAYLOAD, PROFILING_HEADER, route
from eedask.emulator.readings import Readings
from eedask.emulator.server.dressing import CHUNKED, as_read, takes_gzip
from eedask.emulator.server.hosts import Callers
from eedask.emulator.server.messages import Request
from eedask.emulator.server.pool import Pool
from eedask.emulator.traffic.auth import Tokens
from eedask.emulator.traffic.faults import Fault, Faults
from eedask.emulator.traffic.quotas import TOO_MANY_AGGREGATIONS, Traffic

logger = logging.getLogger(__name__)

# A body that is too long is read to its end, but only this much of it is kept: one byte more
# than the limit, so that the core refuses it.
_KEPT_BODY = MAX_PAYLOAD + 1
# Beyond this no more is read, since a few compressed kilobytes may unpack to gigabytes.
_MOST_READ = 16 * MAX_PAYLOAD
_NO_LIMIT = 2**60
_DRIPS = 20
# What initialises a client is the same each time, and costs no quota.
_UNMETERED = ("projects.algorithms.list", "projects.getConfig")
_DISCOVERY = "/$discovery/rest"
_MOST_KEPT = 16
_RESTRICTED = ("x-earth-engine-quota-status", "parallelism_restricted=true")

_REFUSALS = {
    Fault.THROTTLE: EarthEngineError(TOO_MANY_AGGREGATIONS, 429),
    Fault.THROTTLE_RETRY_AFTER: EarthEngineError(TOO_MANY_AGGREGATIONS, 429),
    Fault.INTERNAL: EarthEngineError("An internal error has occurred.", 500),
    Fault.UNAVAILABLE: EarthEngineError("The service is currently unavailable.", 503),
}


class Front(HTTPServerConnectionDelegate):
    """Answers the requests of HTTP connections.

    Parameters
    ----------
    pool : Pool
    traffic : Traffic
        Its clock must be that of the event loop's time (seconds).
    callers : Callers
        Says whose requests are answered.
    tokens : Tokens, optional
        Says which bearer tokens are accepted; None: tokens are not checked.
    readings : Readings, optional
        The readings that hold at the beginning; the defaults when not given.
    """

    def __init__(
        self,
        pool: Pool,
        traffic: Traffic,
        callers: Callers,
        tokens: Tokens | None = None,
        readings: Readings | None = None,
    ) -> None:
        self.readings = readings or Readings()
        self._callers = callers
        self._server: HTTPServer | None = None
        self._pool = pool
        self._traffic = traffic
        self._tokens = tokens or Tokens(None, lambda: 0.0)
        self._kept: dict[tuple[str, bool], Answer] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def serve(self, sockets: list[socket.socket]) -> HTTPServer:
        """Start answering on listening sockets."""
        server = HTTPServer(self, decompress_request=True, max_body_size=_NO_LIMIT)
        # A connection may idle as long as its client likes: a timer for each request costs more.
        server.conn_params.header_timeout = None
        server.add_sockets(sockets)
        self._server = server
        self._set_readings(self.readings)
        return server

    def _set_readings(self, readings: Readings) -> None:
        self.readings = readings
        if self._server is not None:
            self._server.conn_params.no_keep_alive = readings["keep_alive"] == "closed"

    def start_request(
        self, server_conn: object, request_conn: HTTPConnection
    ) -> HTTPMessageDelegate:
        """Take the next request of a connection."""
        return _Exchange(self, cast(HTTP1Connection, request_conn))

    def begin(self, exchange: _Exchange) -> None:
        """Start answering an exchange whose request has been received in full."""
        task = asyncio.create_task(self._handle(exchange))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _handle(self, exchange: _Exchange) -> None:
        request = exchange.request()
        try:
            if refusal := self._callers.refusal(exchange.header("Host"), exchange.header("Origin")):
                await exchange.deliver(error_answer(refusal), is_plain=True)
            elif request.path.startswith("/emulator/"):
                await exchange.deliver(self._control(request), is_plain=True)
            else:
                await self._answer(exchange, request)
        except StreamClosedError:
            self._traffic.abandon()
        except Exception:
            logger.exception("%s %s failed in the server", request.method, request.path)
            exchange.drop()

    async def _answer(self, exchange: _Exchange, request: Request) -> None:
        label, metered = _label(request)
        try:
            self._tokens.check(label, exchange.header("Authorization"))
        except EarthEngineError as refusal:
            self._traffic.count(label, refusal.code)
            await exchange.deliver(error_answer(refusal))
            return
        if not metered:
            await exchange.deliver(await self._unmetered(request))
            return
        try:
            verdict = self._traffic.enter(
                request.method.encode(),
                request.path.encode(),
                repr(sorted(request.query.items())).encode(),
                request.body,
            )
        except EarthEngineError as refusal:
            self._traffic.count(label, refusal.code)
            await exchange.deliver(self._marked(error_answer(refusal)))
            return
        fault = verdict.fault
        try:
            if fault in _REFUSALS:
                answer = _refusal(fault, self._traffic.faults.retry_after)
            else:
                answer = await self._rendered(exchange, request, verdict.latency)
        finally:
            self._traffic.leave()
        if answer.status == HTTPStatus.GATEWAY_TIMEOUT and self.readings["capacity"] == "silence":
            fault = Fault.HANG
        outcome = fault.value if fault in (Fault.RESET, Fault.HANG) else answer.status
        self._traffic.count(label, outcome)
        await exchange.deliver(self._marked(answer), fault, self._traffic.faults)

    async def _rendered(self, exchange: _Exchange, request: Request, latency: float) -> Answer:
        """Return the answer, not before its time; a request in flight stays so till then."""
        loop = asyncio.get_running_loop()
        ready = loop.time() + latency
        answer = await self._pool.answer(request, lambda: not exchange.is_closed)
        if answer is not None and answer.usage is not None:
            self._traffic.compute.spend(answer.usage)
        await asyncio.sleep(ready - loop.time())
        # Without an answer there is no one to give it to.
        return answer or Answer(499)

    async def _unmetered(self, request: Request) -> Answer:
        """Return the answer that initialises a client, which is computed once and kept."""
        key = (request.path, request.takes_gzip)
        if key in self._kept and "fields" not in request.query:
            return self._kept[key]
        answer = await self._pool.answer(request, lambda: True)
        assert answer is not None
        if (
            "fields" not in request.query
            and answer.status == HTTPStatus.OK
            and len(self._kept) < _MOST_KEPT
        ):
            self._kept[key] = answer
        return answer

    def _marked(self, answer: Answer) -> Answer:
        if not (self._traffic.faults.restricted or self._traffic.compute.is_restricted):
            return answer
        return replace(answer, headers={**answer.headers, **dict([_RESTRICTED])})

    def _control(self, request: Request) -> Answer:
        """Answer the emulator's own methods: statistics, tokens, changes of quotas and faults."""
        try:
            match request.method, request.path:
                case "GET", "/emulator/stats":
                    pass
                case "POST", "/emulator/stats":
                    self._traffic.forget()
                case "POST", "/emulator/faults":
                    self._traffic.faults = json.loads(request.body or b"null")
                case "GET", "/emulator/readings":
                    return json_answer(self.readings.all())
                case "POST", "/emulator/readings":
                    self._set_readings(Readings.parse(json.loads(request.body or b"null")))
                    return json_answer(self.readings.all())
                case "POST", "/emulator/quotas":
                    self._traffic.set_quotas(json.loads(request.body))
                case "POST", "/emulator/token" | "/emulator/revoke":
                    return self._tokens.answer(request.path, request.body)
                case _:
                    raise EarthEngineError(f"Not found: {request.method} {request.path}.", 404)
        except (ValueError, TypeError) as error:
            return error_answer(EarthEngineError(str(error)))
        except EarthEngineError as error:
            return error_answer(error)
        return json_answer(self._traffic.stats())


class _Exchange(HTTPMessageDelegate):
    """One request and its response on a connection."""

    def __init__(self, front: Front, connection: HTTP1Connection) -> None:
        self._front = front
        self._connection = connection
        self._body = bytearray()
        self._read = 0
        self._gone = asyncio.Event()

    # What tornado calls, in this order.

    def headers_received(
        self, start_line: RequestStartLine | ResponseStartLine, headers: HTTPHeaders
    ) -> None:
        self._start = cast(RequestStartLine, start_line)
        self._headers = headers

    def data_received(self, chunk: bytes) -> Awaitable[None] | None:
        self._body += chunk[: _KEPT_BODY - len(self._body)]
        before, self._read = self._read, self._read + len(chunk)
        return self._refuse() if before <= _MOST_READ < self._read else None

    def finish(self) -> None:
        self._connection.set_close_callback(self._closed)
        self._front.begin(self)

    async def _refuse(self) -> None:
        """Answer before the request's end, and close: the rest is not read."""
        words = f"Request payload size exceeds the limit: {MAX_PAYLOAD} bytes."
        answer = error_answer(EarthEngineError(words))
        with contextlib.suppress(StreamClosedError):
            await self._write_head(answer, answer.body)
        self.drop()

    def on_connection_close(self) -> None:
        self._closed()

    def _closed(self) -> None:
        self._gone.set()

    # What the front calls.

    @property
    def is_closed(self) -> bool:
        """Whether the client has gone away."""
        return self._gone.is_set()

    def header(self, name: str) -> str | None:
        """Return the request's header of a name."""
        return self._headers.get(name)

    def request(self) -> Request:
        """Return the request."""
        path, _, query = self._start.path.partition("?")
        readings = self._front.readings
        return Request(
            self._start.method,
            unquote(path),
            dict(parse_qsl(query, keep_blank_values=True)) if query else {},
            bytes(self._body),
            takes_gzip(self._headers, readings),
            PROFILING_HEADER in self._headers,
            readings.given,
        )

    async def deliver(
        self,
        answer: Answer,
        fault: Fault | None = None,
        settings: Faults | None = None,
        *,
        is_plain: bool = False,
    ) -> None:
        """Write an answer as the readings have it, or fail to in the way of a fault.

        Parameters
        ----------
        answer : Answer
        fault : Fault, optional
        settings : Faults, optional
        is_plain : bool
            Whether the readings leave it alone.

        Raises
        ------
        StreamClosedError
            The client has gone away.
        """
        settings = settings or Faults()
        if not is_plain:
            readings = self._front.readings
            answer = as_read(answer, readings, takes_gzip(self._headers, readings))
        body = b"" if self._start.method == "HEAD" else answer.body
        if fault is Fault.RESET:
            self._reset()
        elif fault is Fault.HANG:
            await self._hang(settings.hang_s)
        elif fault is Fault.TRUNCATED:
            await self._write_head(answer, body[: len(body) // 2])
            self.drop()
        elif fault is Fault.DRIP:
            await self._drip(answer, body, settings.drip_s)
        else:
            if fault is Fault.WRONG_BYTES:
                body = random.Random(len(body)).randbytes(len(body))
            await self._write_head(answer, body)
            self._connection.finish()

    def drop(self) -> None:
        """Close the connection, even in the middle of an answer."""
        self._connection.stream.close()

    async def _write_head(self, answer: Answer, chunk: bytes) -> None:
        headers = HTTPHeaders(dict(answer.headers))
        if headers.get("Transfer-Encoding") != CHUNKED:
            headers["Content-Length"] = str(len(answer.body))
        else:
            # The connection states and does it by itself where a length is not stated.
            del headers["Transfer-Encoding"]
        reason = responses.get(answer.status, "Unknown")
        line = ResponseStartLine("HTTP/1.1", answer.status, reason)
        await self._connection.write_headers(line, headers, chunk)

    async def _drip(self, answer: Answer, body: bytes, seconds: float) -> None:
        size = max(1, -(-len(body) // _DRIPS))
        await self._write_head(answer, body[:size])
        for start in range(size, len(body), size):
            await asyncio.sleep(seconds / _DRIPS)
            await self._connection.write(body[start : start + size])
        self._connection.finish()

    async def _hang(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._gone.wait(), seconds)
        self.drop()

    def _reset(self) -> None:
        # No lingering: closing then sends RST in place of FIN.
        linger = struct.pack("ii", 1, 0)
        if (own := self._connection.stream.socket) is not None:
            own.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.drop()


def _label(request: Request) -> tuple[str, bool]:
    """Return the name under which a request is counted, and whether it costs quota."""
    if request.path == _DISCOVERY:
        return "discovery", False
    try:
        name = route(request.method, request.path)[0].id
    except EarthEngineError:
        return "unknown", True
    return name, name not in _UNMETERED


def _refusal(fault: Fault | None, retry_after: float) -> Answer:
    assert fault is not None
    headers: Mapping[str, Any] = (
        {"Retry-After": f"{retry_after:g}"} if fault is Fault.THROTTLE_RETRY_AFTER else {}
    )
    return error_answer(_REFUSALS[fault], headers)

"""Connections to a server, straight or through a proxy, trusting whom this machine trusts."""

from __future__ import annotations

import http.client
import io
import os
import ssl
import time
from functools import lru_cache
from pathlib import Path
from typing import Any

import certifi
import urllib3
from requests.utils import get_environ_proxies, select_proxy
from urllib3.util import create_urllib3_context, make_headers, parse_url

# Where people name the certificates of their company's proxy, for requests and for curl.
BUNDLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")


def open_pool(url: str, connections: int) -> tuple[urllib3.HTTPConnectionPool, str]:
    """Return connections to a server, and what stands before each path that is asked for.

    Proxies are those of the environment (``HTTPS_PROXY``, ``NO_PROXY`` …), read as ``requests``
    reads them, on which the ``ee`` client runs.

    Parameters
    ----------
    url : str
        ``https://host`` without path.
    connections : int
        How many stay open; more requests than that wait for one.
    """
    options: dict[str, Any] = {"maxsize": connections, "block": True, "retries": False}
    if parse_url(url).scheme == "https":
        named = (os.environ.get(name) for name in BUNDLES)
        options["ssl_context"] = _trusting(next(filter(None, named), certifi.where()))
    proxy = select_proxy(url, get_environ_proxies(url, no_proxy=None))
    pool = _manager(proxy, options).connection_from_url(url)
    pool.ConnectionCls = _connection_class(pool.ConnectionCls)
    # A proxy is told where to go by the path itself, unless it only passes TLS on.
    return pool, url if proxy is not None and pool.scheme == "http" else ""


def is_untrusted(error: Exception) -> bool:
    """Whether a fault is that the server's certificate is not trusted, which no retry mends."""
    causes = [*error.args, getattr(error, "original_error", None)]
    return isinstance(error, ssl.SSLCertVerificationError) or any(
        is_untrusted(cause) for cause in causes if isinstance(cause, Exception)
    )


def _manager(proxy: str | None, options: dict[str, Any]) -> urllib3.PoolManager:
    if proxy is None:
        return urllib3.PoolManager(**options)
    there = parse_url(proxy if "://" in proxy else f"http://{proxy}")
    who = make_headers(proxy_basic_auth=there.auth) if there.auth else None
    return urllib3.ProxyManager(there.url, proxy_headers=who, **options)


@lru_cache
def _trusting(bundle: str) -> ssl.SSLContext:
    """Return a context with the system's certificates, and those of a file or folder.

    Some Pythons come without any of the system's, and some companies have their own.
    """
    context = create_urllib3_context()
    context.load_default_certs()
    if Path(bundle).is_dir():
        context.load_verify_locations(capath=bundle)
    else:
        context.load_verify_locations(cafile=bundle)
    return context


class _UntilDeadline(io.RawIOBase):
    """Reads a socket until a point in time, however small the pieces are that come.

    A socket's own timeout is for one read and begins anew with each, so that a server which sends
    a byte now and then is waited for without end. Here each read has the time that is left. All
    of an answer is read through it: status line, headers, sizes of chunks, body and trailers.

    Parameters
    ----------
    socket : socket.socket, ssl.SSLSocket or urllib3's SSLTransport
    seconds : float
        From now on.
    """

    def __init__(self, socket: Any, seconds: float) -> None:
        self._socket = socket
        self._end = time.monotonic() + seconds
        self._raw = socket.makefile("rb", buffering=0)

    def makefile(self, _mode: str) -> io.BufferedReader:
        """Return the buffered file that ``http.client`` asks a socket for."""
        return io.BufferedReader(self)

    def readable(self) -> bool:
        """Whether it is open for reading, which it always is; ``BufferedReader`` checks it."""
        return True

    def readinto(self, buffer: Any) -> int | None:
        """Read once, at most until the deadline.

        Raises
        ------
        TimeoutError
            If nothing came until then, or the deadline is over.
        """
        left = self._end - time.monotonic()
        if left <= 0:
            raise TimeoutError("timed out")
        self._socket.settimeout(left)
        count: int | None = self._raw.readinto(buffer)
        return count

    def close(self) -> None:
        """Close the file; the connection keeps the socket."""
        if not self.closed:
            self._raw.close()
        super().close()


@lru_cache
def _connection_class(plain: type[Any]) -> type[Any]:
    """Return a class of connections on top of one of urllib3's.

    They send headers and body in one piece, which saves a system call and a packet. They read an
    answer within the timeout that is set when reading begins, all of it together. And they say
    so when the server closed a connection that was kept open: it may do so just when a request
    is sent, and whether it saw the request is not known, so nothing is sent again here.
    """

    class Connection(plain):  # type: ignore[misc]
        answered = False
        pieces: list[bytes] | None = None

        def request(self, *args: Any, **options: Any) -> None:
            self.pieces = []
            try:
                super().request(*args, **options)
                whole = b"".join(self.pieces)
            finally:
                self.pieces = None
            self.send(whole)

        def send(self, data: Any) -> None:
            if self.pieces is None:
                super().send(data)
            else:
                self.pieces.append(data)

        def connect(self) -> None:
            self.answered = False
            super().connect()

        def response_class(self, socket: Any, **options: Any) -> http.client.HTTPResponse:
            # urllib3 has set `timeout` to what is left, for the answer and for a proxy's to
            # CONNECT.
            timed: Any = _UntilDeadline(socket, self.timeout)
            return http.client.HTTPResponse(timed, **options)

        def getresponse(self) -> Any:
            try:
                response = super().getresponse()
            except ConnectionError as error:
                if self.answered:
                    raise ConnectionResetError(
                        "the server closed a connection that was kept open for reuse"
                    ) from error
                raise
            self.answered = True
            return response

    return Connection

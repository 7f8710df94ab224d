"""Opens HTTP connections, with the proxies and certificates that this machine is set up for."""

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
    """Return a pool of connections to a server, and what to put before each path.

    Proxies are those of the environment (``HTTPS_PROXY``, ``NO_PROXY`` …), read as ``requests``
    reads them, on which the ``ee`` client runs.

    Parameters
    ----------
    url : str
        ``https://host`` without path.
    connections : int
        The most that are open at once. A request beyond them waits until one is free.
    """
    options: dict[str, Any] = {"maxsize": connections, "block": True, "retries": False}
    if parse_url(url).scheme == "https":
        named = (os.environ.get(name) for name in BUNDLES)
        options["ssl_context"] = _trusting(next(filter(None, named), certifi.where()))
    proxy = select_proxy(url, get_environ_proxies(url, no_proxy=None))
    pool = _manager(proxy, options).connection_from_url(url)
    pool.ConnectionCls = _connection_class(pool.ConnectionCls)
    # A plain HTTP proxy reads the server's address from the path, so paths are whole urls. With
    # https, the proxy passes bytes on, and paths are as usual; so they are without a proxy.
    return pool, url if proxy is not None and pool.scheme == "http" else ""


def is_untrusted(error: Exception) -> bool:
    """Return whether an error was caused by an untrusted certificate: a retry would fail too."""
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
    """Return a TLS context that trusts the system's certificates and those of a file or folder.

    Some installations of Python find no certificates of the system; some companies have their own.
    """
    context = create_urllib3_context()
    context.load_default_certs()
    if Path(bundle).is_dir():
        context.load_verify_locations(capath=bundle)
    else:
        context.load_verify_locations(cafile=bundle)
    return context


class _UntilDeadline(io.RawIOBase):
    """Reads a socket, and raises ``TimeoutError`` once a deadline is over.

    A socket's own timeout is for one read and begins anew with each, so a server that sends a byte
    now and then would be waited for without end. Here each read may take only the time that is
    left until the deadline. The whole answer is read through this object: status line, headers,
    chunk sizes, body and trailers.

    Parameters
    ----------
    socket : socket.socket, ssl.SSLSocket or urllib3's SSLTransport
    seconds : float
        Until the deadline, counted from the call.
    """

    def __init__(self, socket: Any, seconds: float) -> None:
        self._socket = socket
        self._end = time.monotonic() + seconds
        self._raw = socket.makefile("rb", buffering=0)

    def makefile(self, _mode: str) -> io.BufferedReader:
        """Return the buffered file that ``http.client`` asks a socket for."""
        return io.BufferedReader(self)

    def readable(self) -> bool:
        """Return True, which tells ``io.BufferedReader`` that this object can be read from."""
        return True

    def readinto(self, buffer: Any) -> int | None:
        """Read from the socket once and return how many bytes came.

        Raises
        ------
        TimeoutError
            If nothing comes before the deadline, or it is over already.
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
    """Return a subclass of one of urllib3's classes of connections, which differs in three ways.

    - Headers and body are sent in one piece, which saves a system call and a packet.
    - The timeout that is set when reading begins is for the whole answer, not for each read.
    - If the server has closed a connection that was kept open for reuse, the error says so. The
      server may have received the request or not, so this class does not send it again.
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
            # urllib3 has set `timeout` to the seconds that are left of the deadline, both for the
            # answer and for that of a proxy to CONNECT.
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

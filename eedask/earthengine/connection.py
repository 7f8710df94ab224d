"""Sends single HTTP requests to Earth Engine, with credentials and a deadline.

Requests do not go through the ``ee`` client, which is used to build expressions only: it hides the
status of an answer, has no deadline by default, retries on its own and keeps only ten connections.
"""

from __future__ import annotations

import contextlib
import json
import math
import threading
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache, partial
from importlib import metadata
from urllib.parse import quote, urlencode

import urllib3
from google.auth.credentials import Credentials
from google.auth.exceptions import GoogleAuthError

from eedask.earthengine import credentials as sources
from eedask.earthengine.endpoint import Endpoint, Request
from eedask.earthengine.http import is_untrusted, open_pool
from eedask.earthengine.refusals import from_response
from eedask.earthengine.token_sharing import note_worker
from eedask.earthengine.tokens import Bearer, may_pass, words
from eedask.errors import AuthorizationError, InputError, SizeError, TransientError

# Bytes of a request's body (https://developers.google.com/earth-engine/guides/usage).
MAX_BODY = 10 * 2**20
_CONNECT_S = 30.0
# How many access tokens a request is sent with until one is accepted. A token may expire just
# before it arrives.
_TOKENS_TRIED = 3
# Decompressed bytes of an answer that are read at once.
_PIECE = 1 << 18
# The most bytes that are read of an answer with an error, which is only a message.
_MOST_OF_REFUSAL = 1 << 20
# `json.dumps` with these options would make a new encoder for each call. NaN is not valid JSON.
_to_json = json.JSONEncoder(allow_nan=False).encode
# https://developers.google.com/earth-engine/guides/noncommercial_tiers
_QUOTA_STATUS, _RESTRICTED = "x-earth-engine-quota-status", "parallelism_restricted=true"
# The header of a request that asks for its cost, and that of the answer with the id of its profile,
# as the ``ee`` client uses them.
_PROFILING, PROFILE = "X-Earth-Engine-Computation-Profiling", "x-earth-engine-computation-profile"


Slots = Callable[[], contextlib.AbstractContextManager[object]]


class Connection:
    """Sends requests; safe to share between threads.

    Parameters
    ----------
    endpoint : Endpoint
    credentials : google.auth credentials, optional
        When not given, the first request looks for those that the endpoint's ``auth`` names.
    connections : int
        The most that are open at once. A request beyond them waits until one is free.
    on_restricted : callable, optional
        Called for each answer whose headers say that the project's compute quota is used up.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        credentials: Credentials | None = None,
        connections: int = 40,
        on_restricted: Callable[[], None] | None = None,
    ) -> None:
        self.endpoint = endpoint
        self._pool, self._before = open_pool(endpoint.url, connections)
        # urllib3 copies this object for each request and starts the copy's clock.
        self._timeout = urllib3.Timeout(total=endpoint.deadline, connect=_CONNECT_S)
        self._on_restricted = on_restricted
        self._found: sources.Found | None = None
        self._bearer: Bearer | None = None
        self._lock = threading.Lock()
        if endpoint.auth != sources.ANONYMOUS:
            note_worker()
            self._bearer = Bearer(partial(self._find, credentials))

    def send(self, request: Request, slot: Slots = contextlib.nullcontext) -> bytes:
        """Return the body of the answer.

        Parameters
        ----------
        request : Request
        slot : callable
            Returns a context manager, which is entered while the request is sent and answered.
            It is called again each time the request is repeated with another token.

        Raises
        ------
        RequestError
            If there is no complete answer with status 200.
        SizeError
            If the request is longer than Earth Engine accepts; nothing was sent.
        """
        while True:
            bearer = self._bearer
            try:
                return self._send_as(bearer, request, slot)
            except AuthorizationError as error:
                if not _is_about_account(error):
                    raise
                if not self._gave_way(bearer, error.message):
                    raise self._explained(error) from None

    def _send_as(self, bearer: Bearer | None, request: Request, slot: Slots) -> bytes:
        """Return the body of the answer to a request with one account's tokens."""
        token: str | None = None
        for left in reversed(range(_TOKENS_TRIED)):
            try:
                with slot():
                    with self._faults():
                        if bearer is not None:
                            token = bearer.token(refused=token)
                        status, headers, body = self._exchange(request, token)
                    return self._checked(status, headers, body)
            except AuthorizationError as error:
                if error.status != 401 or bearer is None or not left:
                    raise
        raise AssertionError("the last exchange returns or raises")

    def _gave_way(self, refused: Bearer | None, refusal: str) -> bool:
        """Replace refused credentials by others; return whether there are others.

        If several threads are refused at once, the first one does it for all of them.
        """
        with self._lock:
            if self._bearer is not refused:
                return True
            if refused is None or self._found is None:
                return False
            auth, origin = self.endpoint.auth, self.endpoint.origin
            other = sources.give_way(self._found, auth, origin, refusal)
            if other is None:
                return False
            refused.close()
            self._found = other
            self._bearer = Bearer(lambda: other.credentials)
            return True

    def _checked(self, status: int, headers: Mapping[str, str], body: bytes) -> bytes:
        """Return the body of an answer with status 200; raise for any other."""
        if self._on_restricted is not None and _RESTRICTED in headers.get(_QUOTA_STATUS, ""):
            self._on_restricted()
        if status != 200:
            raise from_response(status, _lowered(headers), body)
        return body

    def close(self) -> None:
        """Close all connections."""
        self._pool.close()
        if self._bearer is not None:
            self._bearer.close()

    def look(
        self, request: Request, headers: Mapping[str, str] | None = None
    ) -> tuple[int, Mapping[str, str], bytes]:
        """Return an answer as it is: its status, its headers in lower case, and its body.

        Parameters
        ----------
        request : Request
        headers : mapping, optional
            Headers to send beside eedask's own, or in place of those of the same names.

        Returns
        -------
        status : int
        headers : mapping of str to str
        body : bytes
            Unpacked.

        Raises
        ------
        RequestError
            If no complete answer came. An answer with an error status is returned, not raised.
        """
        with self._faults():
            token = self._bearer.token(refused=None) if self._bearer is not None else None
            status, found, body = self._exchange(request, token, headers)
        return status, _lowered(found), body

    def _find(self, credentials: Credentials | None) -> Credentials:
        if credentials is not None:
            return credentials
        self._found = sources.find(self.endpoint.auth, self.endpoint.origin)
        return self._found.credentials

    def _exchange(
        self, request: Request, token: str | None, instead: Mapping[str, str] | None = None
    ) -> tuple[int, Mapping[str, str], bytes]:
        query = f"?{urlencode(request.query)}" if request.query else ""
        body = None
        if request.body is not None:
            body = _encoded(request.body)
            if len(body) > MAX_BODY:
                raise SizeError(
                    f"the request has {len(body) / 1e6:.1f} MB; Earth Engine takes"
                    f" {MAX_BODY / 1e6:.1f} MB at most"
                )
        response = self._pool.urlopen(
            request.method,
            f"{self._before}/v1/{_quoted(request.path)}{query}",
            body=body,
            headers={**self._headers(request, token), **(instead or {})},
            timeout=self._timeout,
            pool_timeout=math.ceil(self.endpoint.deadline),
            assert_same_host=not self._before,
            preload_content=False,
        )
        if request.profile is not None and (profile := response.headers.get(PROFILE)):
            request.profile(profile)
        return response.status, response.headers, _body(response, request.most_bytes)

    def _headers(self, request: Request, token: str | None) -> dict[str, str]:
        headers = {"User-Agent": user_agent(), "Accept-Encoding": "gzip"}
        if request.body is not None:
            headers["Content-Type"] = "application/json"
        if request.profile is not None:
            headers[_PROFILING] = "1"
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
            headers["X-Goog-User-Project"] = self.endpoint.project
        return headers

    def _explained(self, error: AuthorizationError) -> AuthorizationError:
        if self._found is None:
            return error
        return AuthorizationError(self._found.explain(error.message), error.status)

    @contextlib.contextmanager
    def _faults(self) -> Iterator[None]:
        """Raise errors of :mod:`eedask.errors` in place of those of urllib3 and google-auth."""
        deadline = self.endpoint.deadline
        try:
            yield
        except GoogleAuthError as error:
            if may_pass(error):
                raise TransientError(f"credentials could not be renewed: {words(error)}") from error
            refusal = f"the credentials are not accepted: {words(error)}"
            if self._found is None:
                refusal += "; run `earthengine authenticate` where the workers run"
            raise AuthorizationError(refusal) from error
        # Before TimeoutError, which is a base class of it in urllib3.
        except urllib3.exceptions.NewConnectionError as error:
            raise TransientError(f"the server cannot be reached: {error}") from error
        except urllib3.exceptions.TimeoutError as error:
            # A smaller request would not connect faster.
            slow = not isinstance(error, urllib3.exceptions.ConnectTimeoutError)
            raise TransientError(
                f"no whole answer within {deadline:g} s: {error}", cause="time" if slow else None
            ) from error
        except (urllib3.exceptions.HTTPError, OSError) as error:
            if is_untrusted(error):
                raise AuthorizationError(
                    f"the certificate of {self.endpoint.url} is not trusted ({error}); where a"
                    " company's proxy looks into traffic, name its certificates in"
                    " REQUESTS_CA_BUNDLE, on the workers too"
                ) from error
            raise TransientError(f"the connection broke: {error}") from error


def _is_about_account(error: AuthorizationError) -> bool:
    """Return whether an account was refused, by Earth Engine or by its token server.

    Other errors of this class say that there are no credentials, or that the server's certificate
    is not trusted.
    """
    is_refused_token = isinstance(error.__cause__, GoogleAuthError)
    return error.status in (401, 403) or is_refused_token


def _body(response: urllib3.BaseHTTPResponse, most: int) -> bytes:
    """Return the decompressed body of an answer, or the beginning of an error's.

    Raises
    ------
    TransientError
        If a body has more than ``most`` bytes. Reading stops soon after them.
    """
    pieces: list[bytes] = []
    held, most = 0, most if response.status == 200 else _MOST_OF_REFUSAL
    try:
        # At the end of the body, urllib3 raises if it was not as long as Content-Length says.
        while held <= most and (piece := response.read1(_PIECE)):
            pieces.append(piece)
            held += len(piece)
    finally:
        # Where the body was read to its end, there is no connection any more to do this for.
        # Otherwise the connection is closed before the pool gets it back; if it were used again,
        # the rest of this body would be read as the next answer.
        if response.connection is not None:
            response.close()
            response.release_conn()
    if held > most and response.status == 200:
        raise TransientError(
            f"the answer is longer than {most} bytes, the most that this request can be answered"
            " with; something between here and Earth Engine may have answered instead"
        )
    return b"".join(pieces)


def _encoded(body: object) -> bytes:
    """Return a request's body as JSON."""
    try:
        return _to_json(body).encode()
    except ValueError as error:
        raise InputError(
            f"the request holds NaN or an infinity, which JSON cannot express ({error}): replace it"
            " in the expression, or in the items' columns, by a number or None"
        ) from error


@lru_cache(maxsize=16)
def _quoted(path: str) -> str:
    """Return a path with its characters escaped. Most requests of a run have the same path."""
    return quote(path, safe="/:")


@lru_cache(maxsize=1)
def user_agent() -> str:
    """Return the name and version under which requests are made.

    Some of Google's services pack their answers only for a user agent with "gzip" in its name
    (https://developers.google.com/drive/api/guides/performance).
    """
    return f"eedask/{metadata.version('eedask')} (gzip)"


def _lowered(headers: Mapping[str, str]) -> dict[str, str]:
    """Return headers with names in lower case."""
    return {name.lower(): value for name, value in headers.items()}

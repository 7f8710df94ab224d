"""Access tokens handed from the user's process to Dask workers that have no credentials.

Refresh tokens, keys and client secrets never leave the process that has them. A worker without
credentials of its own gets access tokens, which live an hour at most::

    worker ── event: its address, a fingerprint of the token that it has ──▶ user's process
           ◀──────────── client.run(receive, Grant), to that worker alone ──

The worker asks when it needs one, so that late and restarted workers are served like the others.
The scheduler keeps events, and they hold no token; the answer passes through it and is not kept.
"""

from __future__ import annotations

import contextlib
import hashlib
import ipaddress
import logging
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, NoReturn

import distributed
from distributed.comm import get_address_host
from google.auth.credentials import Credentials
from google.auth.exceptions import GoogleAuthError, RefreshError, TransportError

from eedask.earthengine.tokens import Bearer, may_pass, utcnow, words

logger = logging.getLogger(__name__)

# Seconds that a worker waits for a token in all, and after which it repeats its question.
_PATIENCE_S, _ASK_AGAIN_S = 30.0, 2.0
# Beginnings of addresses that nobody else can listen in on.
_PRIVATE = ("inproc://", "tls://", "wss://", "gateway://")

# One object for each origin, kept only while something in this process uses it.
_TOKENS: weakref.WeakValueDictionary[str, ClientTokens] = weakref.WeakValueDictionary()

_LOCK = threading.Lock()

# The Dask worker that runs in this process, if one does. ``distributed.get_worker`` knows it only
# in the thread of a task, and tokens are asked for in other threads too.
_worker: list[distributed.Worker] = []

_SHARERS: dict[tuple[str, str], _Sharer] = {}


@dataclass(frozen=True)
class Grant:
    """A token on its way to a worker, or why there is none.

    Attributes
    ----------
    origin : str
        The name of the credentials that the token was made from.
    token : str, optional
        None if there is none.
    left : float, optional
        For how many seconds it is valid. It is not a point in time, as machines' clocks differ.
    error : str
        Why there is no token.
    may_pass : bool
        Whether there may be one later.
    """

    origin: str
    token: str | None = field(default=None, repr=False)
    left: float | None = None
    error: str = ""
    may_pass: bool = False


class ClientTokens(Credentials):  # type: ignore[misc]
    """Credentials on a worker that get each access token from the user's process.

    Parameters
    ----------
    origin : str
        The name of the credentials there.
    """

    def __init__(self, origin: str) -> None:
        super().__init__()
        self._origin = origin
        self._changed = threading.Condition()
        self._grant: Grant | None = None

    def refresh(self, request: Any) -> None:
        """Ask for another token than the present one, and wait for it."""
        with self._changed:
            grant = self._wait()
            if grant.token is None:
                kind = TransportError if grant.may_pass else RefreshError
                raise kind(grant.error)
            self.token = grant.token
            self.expiry = None if grant.left is None else utcnow() + timedelta(seconds=grant.left)

    def receive(self, grant: Grant) -> None:
        """Hand the answer of the user's process to the thread that waits for it."""
        with self._changed:
            self._grant = grant
            self._changed.notify_all()

    def _wait(self) -> Grant:
        end = time.monotonic() + _PATIENCE_S
        # An answer to an earlier question may be the very token that is to be replaced.
        self._grant = None
        while self._grant is None:
            if time.monotonic() > end:
                raise TransportError(
                    f"the process that began the run gave no access token within {_PATIENCE_S:g} s"
                )
            _ask(self._origin, fingerprint(self.token))
            self._changed.wait(_ASK_AGAIN_S)
        return self._grant

    def __reduce__(self) -> NoReturn:
        raise TypeError("credentials stay in their process and are not pickled")


def client_tokens(origin: str) -> ClientTokens:
    """Return the credentials on this worker that get their tokens from another process."""
    with _LOCK:
        tokens = _TOKENS.get(origin)
        if tokens is None:
            _TOKENS[origin] = tokens = ClientTokens(origin)
        return tokens


def receive(grant: Grant) -> None:
    """Hand a token to the credentials that asked for it; the user's process runs this here."""
    tokens = _TOKENS.get(grant.origin)
    if tokens is not None:
        tokens.receive(grant)


def fingerprint(token: str | None) -> str:
    """Return a hash that differs between tokens and from which no token can be found."""
    return hashlib.sha256((token or "").encode()).hexdigest()[:16]


def topic(origin: str) -> str:
    """Return the Dask event topic on which workers ask."""
    return f"eedask-tokens-{origin}"


def note_worker() -> None:
    """Remember the Dask worker that this thread works for, if it is running a task."""
    with contextlib.suppress(ValueError):
        _worker[:] = [distributed.get_worker()]


def _ask(origin: str, refused: str) -> None:
    note_worker()
    if not _worker:
        raise RefreshError("this process is no Dask worker that could ask for a token")
    (worker,) = _worker
    worker.log_event(topic(origin), {"worker": worker.address, "refused": refused})


class _Sharer:
    """Answers the workers of one cluster that ask for tokens.

    It does so in threads of its own, as the client's event loop must not wait.
    """

    def __init__(
        self, client: distributed.Client, origin: str, find: Callable[[], Credentials]
    ) -> None:
        self.users = 0
        self._client = client
        self._origin = origin
        self._bearer = Bearer(find)
        # More than one, so that others get tokens while a worker that hangs is waited for.
        self._threads = ThreadPoolExecutor(4, "eedask-tokens")
        self._warned = False
        client.subscribe_topic(topic(origin), self._hear)

    def close(self) -> None:
        with contextlib.suppress(Exception):  # the client or the cluster may be gone already
            self._client.unsubscribe_topic(topic(self._origin))
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._bearer.close()

    def _hear(self, event: tuple[Any, dict[str, str]]) -> None:
        # This runs on the client's event loop, where nothing may wait.
        with contextlib.suppress(RuntimeError):  # closed meanwhile
            self._threads.submit(self._answer, **event[1])

    def _answer(self, worker: str, refused: str) -> None:
        try:
            grant = self._make(refused)
            self._warn_of_clear_text(worker)
            self._client.run(receive, grant, workers=[worker], on_error="ignore")
        except Exception as error:
            # The worker asks again. No traceback: it may show what frames hold.
            logger.warning("no token could be given to %s (%s)", worker, type(error).__name__)

    def _make(self, refused: str) -> Grant:
        try:
            token = self._bearer.token()
            if fingerprint(token) == refused:
                token = self._bearer.token(refused=token)
            return Grant(self._origin, token, self._bearer.left())
        except GoogleAuthError as error:
            return Grant(self._origin, error=words(error), may_pass=may_pass(error))

    def _warn_of_clear_text(self, worker: str) -> None:
        open_ways = [a for a in (self._client.scheduler.address, worker) if _is_clear(a)]
        if open_ways and not self._warned:
            self._warned = True
            logger.warning(
                "access tokens (valid an hour at most) travel unencrypted to %s, where whoever can"
                " read the network can read them; give the cluster TLS"
                " (https://distributed.dask.org/en/stable/tls.html), or the workers credentials of"
                " their own: credentials='default' or credentials='/path/of/key.json'",
                open_ways[0],
            )


@contextlib.contextmanager
def sharing(
    client: distributed.Client, origin: str, find: Callable[[], Credentials]
) -> Iterator[None]:
    """Give access tokens to workers that ask, as long as the context lasts.

    Parameters
    ----------
    client : Client
        A client of the cluster.
    origin : str
        The name of the credentials, which workers state when they ask.
    find : callable
        Returns the credentials that tokens are made from.
    """
    key = (client.id, origin)
    with _LOCK:
        if key not in _SHARERS:
            _SHARERS[key] = _Sharer(client, origin, find)
        sharer = _SHARERS[key]
        sharer.users += 1
    try:
        yield
    finally:
        with _LOCK:
            sharer.users -= 1
            if not sharer.users:
                del _SHARERS[key]
                sharer.close()


def _is_clear(address: str) -> bool:
    if address.startswith(_PRIVATE):
        return False
    try:
        host = get_address_host(address)
        return host != "localhost" and not ipaddress.ip_address(host).is_loopback
    except ValueError:
        return True

"""Access tokens of a process's own credentials, renewed in time by one thread for all."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import NoReturn

import requests
from google.auth.credentials import Credentials
from google.auth.transport.requests import Request as AuthRequest

logger = logging.getLogger("eedask")

# Seconds before its end in which a token is renewed, as google-auth has it; a quarter of its
# life if that is shorter.
_MARGIN_S = 225.0
# Seconds for one try of a token server.
_RENEWAL_S = 30.0


class Bearer:
    """Gives the current access token of some credentials, renewed by one thread for all.

    Parameters
    ----------
    find : callable
        Returns the credentials; called when a token is first needed, again if it raised.
    """

    def __init__(self, find: Callable[[], Credentials]) -> None:
        self._find = find
        self._credentials: Credentials | None = None
        self._session = requests.Session()
        self._token: str | None = None
        self._renew_at = math.inf
        self._lock = threading.Lock()

    def token(self, refused: str | None = None) -> str:
        """Return a token to use now, another than one that the server ``refused``.

        Raises
        ------
        google.auth.exceptions.GoogleAuthError
            If there is none to be had.
        """
        with self._lock:
            if self._credentials is None:
                self._credentials = self._find()
            # The ``ee`` client may have renewed them meanwhile.
            if self._credentials.token != self._token:
                self._note(self._credentials)
            if self._token in (None, refused) or time.monotonic() >= self._renew_at:
                self._credentials.refresh(partial(AuthRequest(self._session), timeout=_RENEWAL_S))
                self._note(self._credentials)
            assert self._token is not None
            return self._token

    def left(self) -> float | None:
        """Return the seconds that the token is still valid; None: not known."""
        return None if self._credentials is None else _left(self._credentials)

    def close(self) -> None:
        """Close the connections to the token server."""
        self._session.close()

    def _note(self, credentials: Credentials) -> None:
        self._token, left = credentials.token, _left(credentials)
        margin = 0.0 if left is None else min(_MARGIN_S, left / 4)
        self._renew_at = math.inf if left is None else time.monotonic() + left - margin

    def __reduce__(self) -> NoReturn:
        raise TypeError("credentials stay in their process and are not pickled")


def words(error: Exception) -> str:
    """Return what an error of google-auth says, without the answer that it also holds."""
    return str(error.args[0]) if error.args else type(error).__name__


def _left(credentials: Credentials) -> float | None:
    expiry: datetime | None = credentials.expiry
    return None if expiry is None else (expiry - utcnow()).total_seconds()


def utcnow() -> datetime:
    """Return the time as google-auth has it: UTC, without a zone."""
    return datetime.now(UTC).replace(tzinfo=None)

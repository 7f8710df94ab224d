"""Access tokens made from credentials, and renewed before they expire."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, NoReturn

import requests
from google.auth.credentials import Credentials
from google.auth.exceptions import GoogleAuthError, TransportError
from google.auth.transport.requests import Request as AuthRequest

logger = logging.getLogger(__name__)

# A token is renewed when it is valid for fewer seconds than this (the number of google-auth), or
# for less than a quarter of its life.
_MARGIN_S = 225.0
# Seconds that one request to a token server may take.
_RENEWAL_S = 30.0
# Statuses below 500 with which a token server that is busy answers.
_BUSY = (408, 429)


class Bearer:
    """Gives the current access token of some credentials; safe to share between threads.

    When the token has to be renewed, one thread does it, and the others wait for the new one.

    Parameters
    ----------
    find : callable
        Returns the credentials. It is called when a token is first needed; if it raises, it is
        called again for the next token.
    """

    def __init__(self, find: Callable[[], Credentials]) -> None:
        self._find = find
        self._credentials: Credentials | None = None
        self._session = requests.Session()
        self._token: str | None = None
        # By the monotonic clock: the machine's may be set.
        self._renew_at = self._ends_at = math.inf
        self._lock = threading.Lock()

    def token(self, refused: str | None = None) -> str:
        """Return a token to use now.

        Parameters
        ----------
        refused : str, optional
            A token that Earth Engine has refused: it is not returned again.

        Raises
        ------
        google.auth.exceptions.GoogleAuthError
            If no token can be made from the credentials.
        """
        with self._lock:
            if self._credentials is None:
                self._credentials = self._find()
            # The ``ee`` client may have renewed them meanwhile.
            if self._credentials.token != self._token:
                self._note(self._credentials)
            if self._token in (None, refused) or time.monotonic() >= self._renew_at:
                self._renew(self._credentials)
                self._note(self._credentials)
            assert self._token is not None
            return self._token

    def left(self) -> float | None:
        """Return for how many seconds the token is still valid, or None if that is not known."""
        return None if math.isinf(self._ends_at) else self._ends_at - time.monotonic()

    def close(self) -> None:
        """Close the connections to the token server."""
        self._session.close()

    def _renew(self, credentials: Credentials) -> None:
        send, status = AuthRequest(self._session), 200

        def request(*args: Any, **options: Any) -> Any:
            nonlocal status
            answer = send(*args, **{**options, "timeout": _RENEWAL_S})
            status = answer.status
            return answer

        try:
            credentials.refresh(request)
        except GoogleAuthError as error:
            # google-auth takes an answer that is no JSON for a refusal, whatever its status.
            if may_pass(error) or not (status >= 500 or status in _BUSY):
                raise
            raise TransportError(f"the token server answered with status {status}") from None
        except (ValueError, TypeError, LookupError, AttributeError) as error:
            # A proxy's page, for instance. Not its words, nor the frames: they may hold secrets.
            what = type(error).__name__
            raise TransportError(f"the token server's answer holds no token ({what})") from None

    def _note(self, credentials: Credentials) -> None:
        self._token, left = credentials.token, _left(credentials)
        margin = 0.0 if left is None else min(_MARGIN_S, left / 4)
        self._ends_at = math.inf if left is None else time.monotonic() + left
        self._renew_at = self._ends_at - margin

    def __reduce__(self) -> NoReturn:
        raise TypeError("credentials stay in their process and are not pickled")


def may_pass(error: GoogleAuthError) -> bool:
    """Whether a token may come later: the token server was busy, or could not be reached."""
    return isinstance(error, TransportError) or bool(error.retryable)


def words(error: Exception) -> str:
    """Return the message of an error of google-auth, without the server's answer.

    ``str`` of such an error shows both.
    """
    return str(error.args[0]) if error.args else type(error).__name__


def _left(credentials: Credentials) -> float | None:
    expiry: datetime | None = credentials.expiry
    return None if expiry is None else (expiry - utcnow()).total_seconds()


def utcnow() -> datetime:
    """Return the time now in UTC, without a time zone, as google-auth states expiry."""
    return datetime.now(UTC).replace(tzinfo=None)

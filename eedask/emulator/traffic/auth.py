"""A model of OAuth 2 bearer tokens: issuing them, and accepting them until they expire.

Nothing is secret here and no signature is checked. What is modelled is that tokens expire and that
credentials can be revoked, as with Google's servers
(https://developers.google.com/identity/protocols/oauth2).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qsl

from eedask.emulator.answers import Answer, error_answer, json_answer
from eedask.emulator.errors import EarthEngineError

# The form field that holds the long-lived credential, by the grant type that exchanges it.
_GRANTS = {
    "refresh_token": "refresh_token",
    "urn:ietf:params:oauth:grant-type:jwt-bearer": "assertion",
}
_EXPECTED = (
    "Expected OAuth 2 access token, login cookie or other valid authentication credential. "
    "See https://developers.google.com/identity/sign-in/web/devconsole-project."
)
MISSING = f"Request is missing required authentication credential. {_EXPECTED}"
INVALID = f"Request had invalid authentication credentials. {_EXPECTED}"
# Methods that need no token: the discovery document, and those that read from a name which was
# created by a request with a token (thumbnails, tables, map tiles).
_PUBLIC = (
    "discovery",
    "projects.thumbnails.getPixels",
    "projects.filmstripThumbnails.getPixels",
    "projects.videoThumbnails.getPixels",
    "projects.tables.getFeatures",
    "projects.maps.tiles.get",
)


class Tokens:
    """The tokens that a server accepts.

    Parameters
    ----------
    seconds : float, optional
        How long a token is valid after it was issued, or after its first use if it was not
        issued here. None: all requests are accepted.
    clock : callable
        Returns monotonic seconds.
    """

    def __init__(self, seconds: float | None, clock: Callable[[], float]) -> None:
        if seconds is not None and not seconds > 0:
            raise ValueError(f"token_seconds must be positive, not {seconds}")
        self.seconds = seconds
        self._clock = clock
        self._since: dict[str, float] = {}
        self._source: dict[str, str] = {}
        self._revoked: set[str] = set()

    def check(self, label: str, header: str | None) -> None:
        """Raise unless a request may pass.

        Parameters
        ----------
        label : str
            The name of the REST method.
        header : str, optional
            The request's ``Authorization`` header.

        Raises
        ------
        EarthEngineError
            401: the token is missing, expired or revoked.
        """
        if self.seconds is None or label in _PUBLIC:
            return
        kind, _, token = (header or "").partition(" ")
        if kind.lower() != "bearer" or not token:
            raise EarthEngineError(MISSING, 401)
        since = self._since.setdefault(token, self._clock())
        revoked = {token, self._source.get(token, "")} & self._revoked
        if revoked or self._clock() - since >= self.seconds:
            raise EarthEngineError(INVALID, 401)

    def answer(self, path: str, body: bytes) -> Answer:
        """Return the token server's answer to a POST: an issued token, or a revocation."""
        form = dict(parse_qsl(body.decode("utf-8", "replace")))
        if path.endswith("/revoke"):
            self._revoked.add(form.get("token", ""))
            return json_answer({})
        return self._issue(form)

    def _issue(self, form: Mapping[str, str]) -> Answer:
        source = form.get(_GRANTS.get(form.get("grant_type", ""), ""), "")
        if self.seconds is None:
            return error_answer(EarthEngineError("This emulator checks no tokens.", 404))
        if not source:
            return _refusal("invalid_request", "Missing required parameter.")
        if source in self._revoked:
            return _refusal("invalid_grant", "Token has been expired or revoked.")
        # Made of the order of issue and the source only, so that every run issues the same tokens.
        digest = hashlib.sha256(f"{len(self._since)}:{source}".encode()).hexdigest()
        token = f"ya29.emulator-{digest[:32]}"
        self._since[token], self._source[token] = self._clock(), source
        issued: dict[str, Any] = {"access_token": token, "token_type": "Bearer"}
        return json_answer({**issued, "expires_in": max(1, int(self.seconds))})


def _refusal(error: str, words: str) -> Answer:
    return json_answer({"error": error, "error_description": words}, 400)

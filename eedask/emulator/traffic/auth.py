"""Bearer tokens as a model: which are issued, and which are still accepted.

Nothing is secret here and no signature is checked: what counts is that tokens end and that
credentials can be revoked, as of Google's servers
(https://developers.google.com/identity/protocols/oauth2).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qsl

from eedask.emulator.answers import Answer, error_answer, json_answer
from eedask.emulator.errors import EarthEngineError

# The form field that holds the lasting credential, by the way it is exchanged.
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
# What a name that was made with a token gives is public, and so is the discovery document.
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
        How long a token is valid, from its issue, or from its first use if it came from
        elsewhere. None: nothing is checked.
    clock : callable
        Seconds, never going back.
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
        """Let a request pass.

        Parameters
        ----------
        label : str
            The name of its method.
        header : str, optional
            Its ``Authorization``.

        Raises
        ------
        EarthEngineError
            401.
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
        """Answer a POST to the token server."""
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
        # Issue order and source only: the tokens of a run are the same in the next.
        digest = hashlib.sha256(f"{len(self._since)}:{source}".encode()).hexdigest()
        token = f"ya29.emulator-{digest[:32]}"
        self._since[token], self._source[token] = self._clock(), source
        issued: dict[str, Any] = {"access_token": token, "token_type": "Bearer"}
        return json_answer({**issued, "expires_in": max(1, int(self.seconds))})


def _refusal(error: str, words: str) -> Answer:
    return json_answer({"error": error, "error_description": words}, 400)

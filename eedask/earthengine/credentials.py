"""Which credentials a process uses.

Refresh tokens and keys never leave the process that has them: no Dask graph, plugin or file of a
dataset holds any. What workers use is the user's choice:

==================  =============================================================================
``credentials=``    what the workers use
==================  =============================================================================
None                their own if they have some (what ``ee.Authenticate`` stored there, or
                    Google's application default credentials), else as ``"client"``; also as
                    ``"client"`` once Earth Engine has refused their own
``"default"``       their own, and nothing else
``"client"``        access tokens from the user's process, which renews them; see
                    :mod:`eedask.earthengine.tokens`
a path              the service account's key file that lies under this path on each worker
==================  =============================================================================

The process that called ``ee.Initialize``, and threads in it, use the credentials that it was
given, unless ``credentials=`` names a key file.
"""

from __future__ import annotations

import os
import threading
import uuid
from dataclasses import dataclass, field
from pathlib import PurePosixPath, PureWindowsPath

import ee
from ee import _state, oauth
from google.auth.credentials import AnonymousCredentials, Credentials, with_scopes_if_required
from google.auth.exceptions import GoogleAuthError
from google.oauth2 import service_account

from eedask.earthengine.token_sharing import ClientTokens, client_tokens
from eedask.earthengine.tokens import may_pass, words
from eedask.errors import AuthorizationError, InputError, TransientError

ANONYMOUS, AUTO, DEFAULT, CLIENT = "anonymous", "auto", "default", "client"
_KEY = "key:"

_LOGIN = "`earthengine authenticate` or `gcloud auth application-default login`"
_ANEW = "call ee.Initialize and make the plan anew, as a plan keeps its credentials"


@dataclass(frozen=True)
class Found:
    """Credentials, and what an error message says of them when they are refused.

    Attributes
    ----------
    credentials : google.auth credentials
    whose : str
        Whose they are, as words that follow "asked with".
    remedy : str
        What the user can do.
    """

    credentials: Credentials = field(repr=False)
    whose: str
    remedy: str

    def explain(self, message: str) -> str:
        """Return the message of a refusal, with whose credentials these are and what to do."""
        return f"{message} (asked with {self.whose}; {self.remedy})"


# Credentials that this process's user gave to ee.Initialize, by the name (origin) under which
# workers ask for tokens of them.
_HERE: dict[str, Credentials] = {}
# What Earth Engine said when it refused this machine's own credentials, by the name of the user's
# credentials that are used in their place from then on.
_REFUSED: dict[str, str] = {}
# Credentials with which eedask, and not the user, has initialised the ``ee`` client here.
_given: list[Credentials] = []
_NOBODY = AnonymousCredentials()
_LOCK = threading.Lock()


def remember(credentials: Credentials) -> str:
    """Keep credentials in this process and return the random name by which to find them."""
    with _LOCK:
        for origin, known in _HERE.items():
            if known is credentials:
                return origin
        origin = uuid.uuid4().hex
        _HERE[origin] = credentials
        return origin


def auth_of(asked: str | os.PathLike[str] | None, credentials: Credentials) -> str:
    """Return what :attr:`Endpoint.auth` is for a verb's argument ``credentials=``.

    Parameters
    ----------
    asked : {"default", "client"}, path or None
        The argument ``credentials=`` of the verbs: see the table in the module's docstring.
    credentials : Credentials
        Those of the user's ``ee.Initialize``.

    Raises
    ------
    InputError
        For a path that is not absolute, as each worker has a working directory of its own.
    """
    if asked is None:
        return ANONYMOUS if isinstance(credentials, AnonymousCredentials) else AUTO
    path = os.fspath(asked) if isinstance(asked, str | os.PathLike) else ""
    if path in (DEFAULT, CLIENT):
        return path
    # The workers' system may be another than this process's.
    if not (PurePosixPath(path).is_absolute() or PureWindowsPath(path).is_absolute()):
        raise InputError(
            "credentials is 'default', 'client' or the absolute path of a service account's key"
            f" file on the workers; got {asked!r}"
        )
    return f"{_KEY}{path}"


def shares_tokens(auth: str) -> bool:
    """Whether workers with this ``auth`` may ask the user's process for tokens."""
    return auth in (AUTO, CLIENT)


def find(auth: str, origin: str) -> Found:
    """Return the credentials that this process is to use.

    Parameters
    ----------
    auth, origin : str
        As of the endpoint.

    Raises
    ------
    AuthorizationError
        If this process has no credentials of that kind.
    TransientError
        If the token server cannot be reached to check them.
    """
    if auth.startswith(_KEY):
        return _from_key(auth.removeprefix(_KEY))
    if origin in _HERE:
        return Found(_HERE[origin], "those of ee.Initialize", f"run {_LOGIN}, {_ANEW}")
    if auth == CLIENT or (auth == AUTO and origin in _REFUSED):
        return _from_user(origin)
    return _own(required=auth == DEFAULT or not origin) or _from_user(origin)


def give_way(found: Found, auth: str, origin: str, refusal: str) -> Found | None:
    """Return the credentials to try in place of refused ones, or None if there are no others.

    Only a machine's own credentials have a substitute, the user's access tokens, and only where
    the user did not choose. This process then uses those until it ends.

    Parameters
    ----------
    found : Found
        What was refused.
    auth, origin : str
        Of the endpoint.
    refusal : str
        Earth Engine's words, which are repeated if the substitute is refused too.
    """
    is_only_choice = origin in _HERE or isinstance(found.credentials, ClientTokens)
    if auth != AUTO or not origin or is_only_choice:
        return None
    with _LOCK:
        _REFUSED[origin] = refusal
    return _from_user(origin)


def initialize(url: str, project: str, found: Found | None) -> None:
    """Initialise the ``ee`` client of this process, unless its user has done so."""
    with _LOCK:
        state = _state.get_state()
        wanted = found.credentials if found else _NOBODY
        if state.initialized:
            is_users = state.credentials not in _given
            if is_users or (state.credentials, state.cloud_api_base_url) == (wanted, url):
                return
        _given[:] = [wanted]
        ee.Initialize(wanted, url=url, project=project)


def _from_key(path: str) -> Found:
    try:
        made = service_account.Credentials.from_service_account_file(path, scopes=oauth.SCOPES)
    except (OSError, ValueError, GoogleAuthError) as error:
        # The words of an error in parsing may quote the key.
        what = error.strerror if isinstance(error, OSError) else "it is no service account's key"
        raise AuthorizationError(
            f"the key file {path} cannot be used on this worker: {what}; put it there, or choose"
            " other credentials"
        ) from None
    return Found(made, f"the key file {path}", "check that its account is registered and active")


def _from_user(origin: str) -> Found:
    """Return a worker's access tokens from the user's process."""
    whose = "access tokens from the process that began the run"
    if origin in _REFUSED:
        whose += f", after this machine's own credentials were refused: {_REFUSED[origin]}"
    return Found(
        client_tokens(origin),
        whose,
        f"run {_LOGIN} there, {_ANEW}; or name a key file: credentials='/path/of/key.json'",
    )


def _own(*, required: bool) -> Found | None:
    """Return the credentials of this machine, or None if it has none and ``required`` is false.

    They are those with which somebody else has initialised the ``ee`` client of this process,
    or else those that ``ee.Initialize()`` would find.
    """
    state = _state.get_state()
    if state.initialized and state.credentials not in (None, *_given):
        credentials = state.credentials
    else:
        try:
            credentials = ee.data.get_persistent_credentials()
        except (ee.EEException, GoogleAuthError) as error:
            if isinstance(error, GoogleAuthError) and may_pass(error):
                said = f"credentials could not be renewed: {words(error)}"
                raise TransientError(said) from None
            if not required:
                return None
            raise AuthorizationError(
                f"this process has no credentials of its own: run {_LOGIN} where the workers run,"
                " or pass credentials='client'"
            ) from error
    return Found(
        with_scopes_if_required(credentials, oauth.SCOPES),
        "this machine's own credentials",
        f"run {_LOGIN} where the workers run, or pass credentials='client' to use yours",
    )

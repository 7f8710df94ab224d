"""Where requests go and for whom: the service's address, the project, the kind of credentials."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import distributed
import ee
from google.auth.credentials import Credentials
from google.auth.exceptions import RefreshError
from googleapiclient.errors import HttpError

from eedask.arguments import is_one_of, is_positive
from eedask.earthengine import credentials as sources
from eedask.earthengine.token_sharing import sharing
from eedask.earthengine.tokens import may_pass, words
from eedask.earthengine.users_client import users_client
from eedask.errors import AuthorizationError, InputError, TransientError

# Which of Earth Engine's two addresses requests go to; see :func:`eedask.chips`.
EndpointName = Literal["auto", "high-volume", "standard"]
# https://developers.google.com/earth-engine/guides/processing_environments
URLS = {
    "high-volume": "https://earthengine-highvolume.googleapis.com",
    "standard": "https://earthengine.googleapis.com",
}

# Seconds. Earth Engine ends a request after five minutes; waiting a little longer than that gets
# its error message instead of a timeout (https://developers.google.com/earth-engine/guides/processing_environments).
DEADLINE = 330.0

# The most bytes that an answer in JSON may have. Earth Engine limits the result of an aggregation
# to 100 MiB (https://developers.google.com/earth-engine/guides/usage), in which a number takes 8
# bytes; written as JSON, a number takes up to 20.
MAX_JSON_BYTES = 250 * 2**20

_TAG = re.compile("[a-z0-9]([-_a-z0-9]{0,61}[a-z0-9])?")


@dataclass(frozen=True)
class Request:
    """What is sent to Earth Engine, and how long the answer may be.

    Attributes
    ----------
    method, path : str
        The path below ``/v1/``.
    query, body : mapping, optional
        The body is sent as JSON.
    most_bytes : int
        The most bytes that the answer may have after decompression. A longer answer is an error.
    divisible : bool
        Whether the caller can ask for the same in several smaller requests. If so, and Earth
        Engine answers several times in a row that it lacks the capacity or the time, the sender
        stops retrying early and raises :class:`~eedask.errors.TooLargeError`.
    profile : callable, optional
        If it is given, Earth Engine is asked to account for the request, and this is called with
        the id of its profile for each answer that has one; see :mod:`eedask.earthengine.profiles`.
    """

    method: str
    path: str
    query: Mapping[str, str] | None = None
    body: Mapping[str, Any] | None = None
    most_bytes: int = MAX_JSON_BYTES
    divisible: bool = False
    profile: Callable[[str], None] | None = None


@dataclass(frozen=True)
class Endpoint:
    """Where requests go and for whom. It can be pickled and holds no secrets.

    Attributes
    ----------
    url : str
        ``https://…`` without path.
    project : str
    auth : str
        ``"anonymous"``, ``"auto"``, ``"default"``, ``"client"`` or ``"key:PATH"``: see
        :mod:`eedask.earthengine.credentials`.
    workload_tag : str, optional
        A label sent with every request; Cloud Monitoring shows the costs of each label.
    deadline : float
        Seconds for one exchange, from its start to the answer's last byte.
    origin : str
        A random name for the user's credentials, by which workers ask the user's process for
        access tokens. It is no secret.
    """

    url: str
    project: str
    auth: str = sources.DEFAULT
    workload_tag: str | None = None
    deadline: float = DEADLINE
    origin: str = field(default="", compare=False)

    def __post_init__(self) -> None:
        if not is_positive(self.deadline):
            raise InputError(f"deadline is a positive number of seconds; got {self.deadline!r}")

    @property
    def parent(self) -> str:
        """The project's resource name, ``projects/P``."""
        return f"projects/{self.project}"

    def __str__(self) -> str:
        """Return the address for people, with its name if it is one of Earth Engine's two."""
        named = (f"{name} ({url})" for name, url in URLS.items() if url == self.url)
        return next(named, f"{self.url} (the url that ee.Initialize was given)")


def endpoint_of_client(
    *,
    name: EndpointName = "auto",
    workload_tag: str | None = None,
    deadline: float = DEADLINE,
    credentials: str | os.PathLike[str] | None = None,
) -> Endpoint:
    """Return where requests go, as the user's own ``ee.Initialize`` and some arguments say.

    The client's credentials are remembered in this process: ``origin`` names them.

    Parameters
    ----------
    name : {"auto", "high-volume", "standard"}
        Which of Earth Engine's two addresses. If the user gave ``ee.Initialize`` a url that is
        neither of them, such as an emulator's, that url is kept whatever the name.
    workload_tag : str, optional
        When not given, the one that the client has.
    deadline : float
        Seconds.
    credentials : {"default", "client"} or path, optional
        What workers use: see :mod:`eedask.earthengine.credentials`.

    Raises
    ------
    InputError
        If an argument cannot be used, or what the user told ``ee.Initialize``: see
        :func:`~eedask.earthengine.users_client.users_client`.
    """
    client = users_client()
    return Endpoint(
        url=_url(name, client.url),
        project=client.project,
        auth=sources.auth_of(credentials, client.credentials),
        workload_tag=_checked_tag(workload_tag) or client.workload_tag,
        deadline=deadline,
        origin=sources.remember(client.credentials),
    )


def _checked_tag(tag: Any) -> str | None:
    """Return a workload tag; raise InputError unless it is one, or None.

    The rule is that of ``ee.data.setWorkloadTag``.
    """
    if tag is not None and not (isinstance(tag, str) and _TAG.fullmatch(tag)):
        raise InputError(
            "workload_tag is 1 to 63 lowercase letters, digits, '-' and '_', with a letter or digit"
            f" at both ends; got {tag!r}"
        )
    return tag


def _url(name: EndpointName, of_client: str | None) -> str:
    """Return the url that requests go to.

    A client whose user named no url has the standard one. So with "auto" the standard url does not
    count as the user's choice; a user chooses it by ``name="standard"``.
    """
    if not is_one_of(name, ("auto", *URLS)):
        raise InputError(f"endpoint={name!r} is not known; choose one of auto, {', '.join(URLS)}")
    if of_client is not None and of_client not in URLS.values():
        return of_client
    return URLS["high-volume" if name == "auto" else name]


def ensure_client(endpoint: Endpoint) -> None:
    """Initialise the ``ee`` client of this process, if it is not.

    Expressions can be built only after that.

    Raises
    ------
    AuthorizationError
        If there are no credentials for it, or Earth Engine refuses all that there are.
    TransientError
        If the token server is busy.
    """
    if endpoint.auth == sources.ANONYMOUS:
        sources.initialize(endpoint.url, endpoint.project, None)
        return
    found: sources.Found | None = sources.find(endpoint.auth, endpoint.origin)
    while found is not None:
        try:
            return sources.initialize(endpoint.url, endpoint.project, found)
        except (ee.EEException, HttpError, RefreshError) as error:
            if isinstance(error, RefreshError) and may_pass(error):
                said = f"credentials could not be renewed: {words(error)}"
                raise TransientError(said) from None
            if not _is_refusal(error):
                raise
            # A RefreshError also holds the whole answer.
            refusal = words(error) if isinstance(error, RefreshError) else str(error)
            refused = AuthorizationError(found.explain(refusal))
        found = sources.give_way(found, endpoint.auth, endpoint.origin, refusal)
    raise refused


def _is_refusal(error: BaseException) -> bool:
    """Whether the ``ee`` client failed because Earth Engine refused its account."""
    # The client's own error has no status; it is raised while an HttpError is handled.
    cause = error if isinstance(error, HttpError) else error.__context__
    refused = isinstance(cause, HttpError) and cause.resp.status in (401, 403)
    return refused or isinstance(error, RefreshError)


@contextlib.contextmanager
def sharing_tokens(endpoint: Endpoint, client: distributed.Client) -> Iterator[None]:
    """Answer workers that ask this process for access tokens, as long as the context lasts.

    It does nothing if the endpoint's ``auth`` is one with which workers never ask.
    """
    if not sources.shares_tokens(endpoint.auth):
        yield
        return

    def find() -> Credentials:
        # Not the credentials that ``ee`` has now: the user may have called ee.Initialize with
        # others since the plan was made.
        return sources.find(endpoint.auth, endpoint.origin).credentials

    with sharing(client, endpoint.origin, find):
        yield

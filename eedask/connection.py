"""One HTTP exchange with Earth Engine: a pool of connections, credentials and a deadline.

The ``ee`` client builds expressions; bulk requests do not go through it, because it hides the
status of an answer, has no deadline by default, retries by itself and keeps ten connections.
"""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib import metadata
from typing import Any
from urllib.parse import quote, urlencode

import ee
import google.auth.exceptions
import urllib3
from ee import _state
from google.auth.credentials import AnonymousCredentials, Credentials
from google.auth.transport.urllib3 import AuthorizedHttp
from google.auth.transport.urllib3 import Request as AuthRequest

from eedask.errors import AuthorizationError, InputError, TransientError, from_response

HIGH_VOLUME_URL = "https://earthengine-highvolume.googleapis.com"
STANDARD_URL = "https://earthengine.googleapis.com"
# Earth Engine ends a request after five minutes; a little more lets its own words arrive
# (https://developers.google.com/earth-engine/guides/processing_environments).
DEADLINE = 330.0


@dataclass(frozen=True)
class Request:
    """What is sent: method, path below ``/v1/``, query and JSON body."""

    method: str
    path: str
    query: Mapping[str, str] | None = None
    body: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Endpoint:
    """Where requests go and for whom; picklable and free of secrets.

    Attributes
    ----------
    url : str
        ``https://…`` without path.
    project : str
    auth : {"anonymous", "default"}
        No credentials (an emulator), or each process's own application default credentials.
    workload_tag : str, optional
        Sent with every request, to tell its cost apart in Cloud Monitoring.
    deadline : float
        Seconds for one exchange.
    """

    url: str
    project: str
    auth: str = "default"
    workload_tag: str | None = None
    deadline: float = DEADLINE

    @property
    def parent(self) -> str:
        """The project's resource name, ``projects/P``."""
        return f"projects/{self.project}"


def endpoint_of_client(
    *, workload_tag: str | None = None, deadline: float = DEADLINE
) -> tuple[Endpoint, Credentials]:
    """Return where the user's own ``ee.Initialize`` points, and with which credentials.

    Bulk requests go to the high-volume endpoint unless the url was set on purpose.

    Raises
    ------
    InputError
        If ``ee.Initialize`` was not called, or without a project.
    """
    state = _state.get_state()
    if not state.initialized:
        raise InputError(
            "Earth Engine is not initialised: call ee.Initialize(project='my-project') first,"
            " or ee.Initialize(e.credentials, url=e.url, project=e.project) for an emulator e"
        )
    project = state.cloud_api_user_project
    if not project or project == _state.DEFAULT_CLOUD_API_USER_PROJECT:
        raise InputError("ee.Initialize was called without a project: pass project='my-project'")
    url = (state.cloud_api_base_url or STANDARD_URL).rstrip("/")
    anonymous = isinstance(state.credentials, AnonymousCredentials)
    endpoint = Endpoint(
        url=HIGH_VOLUME_URL if url == STANDARD_URL else url,
        project=project,
        auth="anonymous" if anonymous else "default",
        workload_tag=workload_tag or state.workload_tag.get() or None,
        deadline=deadline,
    )
    return endpoint, state.credentials or AnonymousCredentials()


class Connection:
    """Sends requests; safe to share between threads.

    Parameters
    ----------
    endpoint : Endpoint
    credentials : google.auth credentials, optional
        The process's own when not given.
    connections : int
        How many stay open.
    """

    def __init__(
        self, endpoint: Endpoint, credentials: Credentials | None = None, connections: int = 40
    ) -> None:
        self.endpoint = endpoint
        timeout = urllib3.Timeout(connect=min(30.0, endpoint.deadline), read=endpoint.deadline)
        self._pool = urllib3.PoolManager(
            maxsize=connections, block=True, timeout=timeout, retries=False
        )
        # Without credentials there is nothing to renew, and a 401 keeps Earth Engine's words.
        self._http: AuthorizedHttp | None = None
        if endpoint.auth != "anonymous":
            self._http = AuthorizedHttp(credentials or _own_credentials(), http=self._pool)
        self._lock = threading.Lock()

    def send(self, request: Request) -> bytes:
        """Return the body of the answer.

        Raises
        ------
        RequestError
            For anything but a whole answer with status 200.
        """
        with self._faults():
            response = self._exchange(request)
            headers = {k.lower(): v for k, v in response.headers.items()}
            body: bytes = response.data
        if response.status != 200:
            raise from_response(response.status, headers, body)
        return body

    def _exchange(self, request: Request) -> Any:
        query = f"?{urlencode(request.query)}" if request.query else ""
        url = f"{self.endpoint.url}/v1/{quote(request.path, safe='/:')}{query}"
        headers, body = self._headers(), None
        if request.body is not None:
            body = json.dumps(request.body, allow_nan=False).encode()
            headers["Content-Type"] = "application/json"
        if self._http is None:
            return self._pool.urlopen(request.method, url, body=body, headers=headers)
        self._refresh(self._http.credentials)
        return self._http.urlopen(request.method, url, body=body, headers=headers)

    def _refresh(self, credentials: Credentials) -> None:
        # Without the lock, forty threads would renew one expired token forty times.
        if credentials.valid:
            return
        with self._lock:
            if not credentials.valid:
                credentials.refresh(AuthRequest(self._pool))

    def _headers(self) -> dict[str, str]:
        headers = {"User-Agent": user_agent(), "Accept-Encoding": "gzip"}
        if self.endpoint.auth != "anonymous":
            headers["X-Goog-User-Project"] = self.endpoint.project
        return headers

    @contextlib.contextmanager
    def _faults(self) -> Iterator[None]:
        """Turn the libraries' own errors into ours."""
        deadline = self.endpoint.deadline
        try:
            yield
        except google.auth.exceptions.TransportError as error:
            raise TransientError(f"credentials could not be renewed: {error}") from error
        except google.auth.exceptions.GoogleAuthError as error:
            raise AuthorizationError(
                f"the credentials are not accepted ({error}); run `earthengine authenticate` or"
                " `gcloud auth application-default login` where the workers run"
            ) from error
        except urllib3.exceptions.NewConnectionError as error:  # a TimeoutError to urllib3
            raise TransientError(f"the server cannot be reached: {error}") from error
        except urllib3.exceptions.TimeoutError as error:
            raise TransientError(f"no answer within {deadline:g} s: {error}") from error
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise TransientError(f"the connection broke: {error}") from error

    def close(self) -> None:
        """Close all connections."""
        self._pool.clear()


@lru_cache(maxsize=1)
def user_agent() -> str:
    """Return the name and version under which requests are made."""
    return f"eedask/{metadata.version('eedask')}"


def ensure_client(endpoint: Endpoint) -> None:
    """Initialise the ``ee`` client of this process, if it is not: building expressions needs it."""
    with _initialising:
        if not _state.get_state().initialized:
            anonymous = endpoint.auth == "anonymous"
            credentials = AnonymousCredentials() if anonymous else _own_credentials()
            ee.Initialize(credentials, url=endpoint.url, project=endpoint.project)


_initialising = threading.Lock()


def _own_credentials() -> Credentials:
    """Return this process's credentials: of its ``ee`` client, or those it would be given.

    ``ee.Initialize`` looks at what ``ee.Authenticate`` stored and at Google's application
    default credentials; nothing secret travels from the user's process to the workers.
    """
    state = _state.get_state()
    if state.initialized and state.credentials is not None:
        return state.credentials
    return ee.data.get_persistent_credentials()

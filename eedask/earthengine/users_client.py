"""Reads what the user told ``ee.Initialize``; refuses settings that eedask cannot follow."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import httplib2
from ee import _state
from google.auth.credentials import AnonymousCredentials, Credentials

from eedask.errors import InputError


@dataclass(frozen=True)
class UsersClient:
    """The ``ee`` client of this process, as its user has initialised it.

    Attributes
    ----------
    url : str, optional
        ``https://…`` without path; None if the client does not know one.
    project : str
        Id or number of the project that pays for requests.
    credentials : google.auth credentials
        The very object that the client has; anonymous where it has none.
    workload_tag : str, optional
    """

    url: str | None
    project: str
    credentials: Credentials = field(repr=False)
    workload_tag: str | None


def users_client() -> UsersClient:
    """Return what the user told ``ee.Initialize``.

    Raises
    ------
    InputError
        If it was not called, or without a project, or was told something that requests of
        eedask cannot follow: an API key, or a transport with a proxy or certificates of its own.
    """
    state = _state.get_state()
    if not state.initialized:
        raise InputError(
            "Earth Engine is not initialised: call ee.Initialize(project='my-project') first,"
            " or ee.Initialize(e.credentials, url=e.url, project=e.project) for an emulator e"
        )
    if state.cloud_api_key:
        raise InputError(
            "ee.Initialize was given a cloud_api_key. eedask sends no API keys: a key is valid"
            " until it is deleted, and would have to be handed to every worker. Call ee.Reset(),"
            " and then ee.Initialize with credentials instead: ee.Initialize(project='my-project')"
        )
    _check_transport(state.http_transport)
    credentials = state.credentials or AnonymousCredentials()
    return UsersClient(
        url=(state.cloud_api_base_url or "").rstrip("/") or None,
        project=_project(state.cloud_api_user_project, credentials),
        credentials=credentials,
        workload_tag=state.workload_tag.get() or None,
    )


def _project(stated: str | None, credentials: Credentials) -> str:
    """Return the project; that of a service account, like the client's, if none was stated."""
    if stated and stated != _state.DEFAULT_CLOUD_API_USER_PROJECT:
        return stated
    if found := getattr(credentials, "project_id", None):
        return str(found)
    raise InputError("ee.Initialize was called without a project: pass project='my-project'")


def _check_transport(transport: Any) -> None:
    """Refuse a transport that changes where requests go or whom they trust.

    ``http_transport=httplib2.Http()``, which many scripts pass, changes neither.
    """
    if transport is None:
        return
    plain = httplib2.Http()
    if type(transport) is httplib2.Http and all(
        getattr(transport, name) == getattr(plain, name)
        for name in ("proxy_info", "ca_certs", "disable_ssl_certificate_validation")
    ):
        return
    raise InputError(
        f"ee.Initialize was given http_transport={transport!r}, and eedask, which sends its"
        " requests itself, cannot use its settings. State a proxy in the environment variable"
        " HTTPS_PROXY and certificates in REQUESTS_CA_BUNDLE, on the workers too, and call"
        " ee.Initialize without http_transport, or with a plain httplib2.Http()"
    )

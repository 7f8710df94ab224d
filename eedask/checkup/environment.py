"""What can be told before Earth Engine's own habits: credentials, project, ways, clock, Dask."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import distributed
from google.auth.credentials import AnonymousCredentials, Credentials
from google.auth.exceptions import GoogleAuthError
from google.auth.transport.requests import Request as Transport

from eedask.checkup.asking import Answer, Asker
from eedask.checkup.checkup import Check
from eedask.earthengine.credentials import Found
from eedask.errors import RequestError

# Seconds. Tokens of service accounts are signed with the time, and refused if that is wrong.
_WRONG_BY_S = 60
_TRIES = 3
_QUOTA_HEADERS = ("x-earth-engine-quota-status", "retry-after")
_PROXIES = ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "NO_PROXY")
_BUNDLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE")
# Statuses that say no of a project, its name or the account; others may pass.
_REFUSED = (400, 401, 403, 404)
_AGAIN = "ask again later: nothing was said of the project"
_REGISTER = (
    "register the project at https://console.cloud.google.com/earth-engine, and ask its owner for"
    " the role Service Usage Consumer"
)


def credentials_check(found: Found | None) -> Check:
    """Say which credentials there are, and whether a token comes.

    Parameters
    ----------
    found : Found, optional
        None where none are needed, as on an emulator.
    """
    if found is None or isinstance(found.credentials, AnonymousCredentials):
        return Check("credentials", "Credentials", "none, and none are sent")
    kind = _kind(found.credentials)
    try:
        if not found.credentials.valid:
            found.credentials.refresh(Transport())
    except GoogleAuthError as error:
        words = str(error.args[0] if error.args else error)[:200]
        return Check(
            "credentials",
            "Credentials",
            f"{kind}: no token comes: {words}",
            "mend",
            "a token",
            found.remedy,
        )
    return Check("credentials", "Credentials", f"{kind}; a token came", assumes="a token")


def _kind(credentials: Credentials) -> str:
    """Return what credentials are, by the module and class that they are made of."""
    module = type(credentials).__module__
    kinds = {
        "service_account": "a service account's key",
        "compute_engine": "the account of this machine (Google Cloud)",
        "oauth2.credentials": "a user's own",
        "impersonated": "an impersonated service account",
    }
    return next(
        (said for part, said in kinds.items() if part in module), type(credentials).__name__
    )


def project_checks(asker: Asker, project: str) -> Iterator[Check]:
    """Ask for the project's settings; yield whether it is registered, the quota and the clock."""
    try:
        answer = asker.config()
    except RequestError as error:
        yield Check("project", f"Project {project}", str(error), "unknown", "registered", _AGAIN)
        return
    if answer.status == 200:
        yield Check("project", f"Project {project}", "registered", assumes="registered")
    elif answer.status in _REFUSED:
        yield Check("project", f"Project {project}", str(answer), "mend", "registered", _REGISTER)
    else:
        yield Check("project", f"Project {project}", str(answer), "unknown", "registered", _AGAIN)
    yield _quota(answer)
    yield _clock(answer, time.time())


def _quota(answer: Answer) -> Check:
    told = [f"{name}: {answer.headers[name]}" for name in _QUOTA_HEADERS if name in answer.headers]
    if answer.status == 200:
        settings = answer.json()
        told += [f"{k}: {settings[k]}" for k in sorted(settings) if "oncurren" in k or "uota" in k]
    said = "; ".join(told) or "not told"
    restricted = "parallelism_restricted=true" in said
    return Check(
        "quota",
        "Quota of the project",
        said,
        "mend" if restricted else "ok",
        "40 at once at first",
        "the compute quota is used up: wait for the next month, or raise it" if restricted else "",
    )


def _clock(answer: Answer, now: float) -> Check:
    try:
        there = parsedate_to_datetime(answer.headers["date"]).timestamp()
    except (LookupError, ValueError, TypeError):
        return Check("clock", "Clock of this machine", "the answer has no date", "unknown")
    late = abs(now - there)
    wrong = late > _WRONG_BY_S
    return Check(
        "clock",
        "Clock of this machine",
        f"{late:.0f} s from Earth Engine's",
        "mend" if wrong else "ok",
        f"{_WRONG_BY_S} s at most",
        "set the clock (NTP): credentials are signed with the time" if wrong else "",
    )


def latency_check(asker: Asker, url: str) -> Check:
    """Say how long the smallest request takes, of a few, on an open connection."""
    name = f"latency of {urlsplit(url).hostname}"
    try:
        asker.config()  # opens the connection
        spans = []
        for _ in range(_TRIES):
            start = time.perf_counter()
            asker.config()
            spans.append(time.perf_counter() - start)
    except RequestError as error:
        advice = "check the network, and what the proxy lets through"
        return Check(name, f"Latency of {urlsplit(url).hostname}", str(error), "mend", "", advice)
    middle = sorted(spans)[_TRIES // 2]
    return Check(name, f"Latency of {urlsplit(url).hostname}", f"{middle * 1000:.0f} ms")


def network_checks(environment: Mapping[str, str] = os.environ) -> Iterator[Check]:
    """Yield what the environment says of proxies and of certificates."""
    named = [name for name in _PROXIES if environment.get(name) or environment.get(name.lower())]
    yield Check("proxies", "Proxies", ", ".join(named) or "none", assumes="as requests does")
    bundles = {name: environment[name] for name in _BUNDLES if environment.get(name)}
    lost = [name for name, path in bundles.items() if not Path(path).exists()]
    yield Check(
        "certificates",
        "Certificates named",
        ", ".join(bundles) or "none: the system's",
        "mend" if lost else "ok",
        "",
        f"{', '.join(lost)} names a file that is not there" if lost else "",
    )


def dask_check(client: distributed.Client | None) -> Check:
    """Say whether the client, the scheduler and the workers have the same Python and packages."""
    if client is None:
        return Check("dask", "Versions on workers", "no client is at hand", "not asked")
    try:
        versions: dict[str, Any] = client.get_versions(check=False)
    except (OSError, TimeoutError, RuntimeError) as error:
        return Check("dask", "Versions on workers", f"no answer: {error}", "unknown")
    here = _versions(versions["client"])
    others = {"scheduler": versions["scheduler"], **versions["workers"]}
    different = sorted(
        {
            f"{package} {there.get(package)} (here {here.get(package)})"
            for there in map(_versions, others.values())
            for package in here
            if there.get(package) != here.get(package)
        }
    )
    return Check(
        "dask",
        "Versions on workers",
        "; ".join(different) or f"same on {len(others) - 1} workers",
        "mend" if different else "ok",
        "the same",
        "install the same versions on the workers" if different else "",
    )


def _versions(of: Mapping[str, Any]) -> dict[str, Any]:
    """Return the versions of what must be the same; None where it is not installed."""
    packages = of["packages"]
    return {name: packages.get(name) for name in ("python", "dask", "distributed", "cloudpickle")}

"""Checks of this machine, the cluster, the credentials and the project."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import distributed
from google.auth.exceptions import GoogleAuthError
from requests.utils import get_environ_proxies, select_proxy
from urllib3.util import parse_url

from eedask.checkup.asking import Answer, Asker, shown
from eedask.checkup.checkup import Check, State
from eedask.earthengine import credentials as sources
from eedask.earthengine.endpoint import Endpoint
from eedask.earthengine.http import BUNDLES
from eedask.earthengine.nodes import constant
from eedask.earthengine.tokens import Bearer, words
from eedask.errors import EedaskError

# Seconds. Google refuses tokens that are signed with a time which is wrong by minutes.
_MOST_WRONG_S = 60
# Requests by which the time that one takes is told; the first opens the connection.
_TRIES = 4
# What must be the same on the workers, or what is sent to them cannot be read there.
_PACKAGES = ("python", "dask", "distributed", "cloudpickle", "eedask")
_TAKE_PART = "https://developers.google.com/earth-engine/guides/access tells how to register"
_RESTRICTED = "parallelism_restricted=true"
_KINDS = {
    "google.oauth2.service_account": "a service account's key",
    "google.auth.compute_engine": "the account of this machine on Google Cloud",
    "google.oauth2.credentials": "a user's login",
    "google.auth.impersonated_credentials": "an impersonated service account",
}


def certificates() -> Check:
    """Look whether the certificates that the environment names are there."""
    named = {name: path for name in BUNDLES if (path := os.environ.get(name))}
    lost = [name for name, path in named.items() if not Path(path).exists()]
    return Check(
        "certificates",
        "Certificates that are trusted",
        f"the system's, {' and '.join(named)}" if named else "the system's",
        "mend" if lost else "ok",
        "",
        f"let {' and '.join(lost)} name a file that exists" if lost else "",
    )


def proxy(url: str) -> Check:
    """Tell the proxy that requests to a url take; without its password."""
    found = select_proxy(url, get_environ_proxies(url, no_proxy=None))
    answer = "none"
    if found is not None:
        there = parse_url(found)
        answer = f"{there.host}:{there.port}" if there.port else str(there.host)
    return Check("proxy", "Proxy on the way", answer)


def credentials(endpoint: Endpoint) -> Check:
    """Look for credentials, and ask for a token."""

    def check(answer: str, advice: str = "") -> Check:
        state: State = "mend" if advice else "ok"
        return Check("credentials", "Credentials", shown(answer), state, "a token", advice)

    if endpoint.auth == sources.ANONYMOUS:
        return Check("credentials", "Credentials", "none, as for an emulator")
    try:
        found = sources.find(endpoint.auth, endpoint.origin)
    except EedaskError as error:
        return check(str(error), "run `earthengine authenticate`")
    kind = next(
        (said for module, said in _KINDS.items() if _module(found).startswith(module)),
        type(found.credentials).__name__,
    )
    bearer = Bearer(lambda: found.credentials)
    try:
        bearer.token()
    except GoogleAuthError as error:
        return check(f"{kind}; no token came: {words(error)}", found.remedy)
    finally:
        bearer.close()
    return check(f"{kind}; a token came")


def _module(found: sources.Found) -> str:
    return type(found.credentials).__module__


@dataclass(frozen=True)
class Timed:
    """The smallest request, sent some times.

    Attributes
    ----------
    answer : Answer
        The last one.
    asked : float
        Seconds since 1970 in the middle of the last exchange.
    first, others : float
        Milliseconds for the first exchange, with a new connection, and for one of the others.
    """

    answer: Answer
    asked: float
    first: float
    others: float


def timed(asker: Asker) -> Timed:
    """Send the smallest request some times.

    Raises
    ------
    EedaskError
        If no answer came.
    """
    spans: list[float] = []
    for _ in range(_TRIES):
        began = time.perf_counter()
        answer = asker.value(constant(1))
        spans.append((time.perf_counter() - began) * 1000)
    asked = time.time() - spans[-1] / 2000
    return Timed(answer, asked, spans[0], statistics.median(spans[1:]))


def latency(name: str, found: Timed) -> Check:
    """Tell how long the smallest request takes at an endpoint of this name."""
    return Check(
        f"latency of {name}",
        f"Latency of the {name} endpoint",
        f"{found.others:.0f} ms (at first {found.first:.0f} ms)",
    )


def project(found: Timed, config: Answer) -> Iterator[Check]:
    """Yield whether the project is registered, and what is told of its quota."""
    settings = _settings(config)
    state = str(settings.get("registrationState", "registered"))
    refused = found.answer.status != 200
    answer = str(found.answer) if refused else state.replace("_", " ").lower()
    broken = refused or state == "NOT_REGISTERED"
    yield Check(
        "project",
        "Registration of the project",
        shown(answer),
        "mend" if broken else "ok",
        "registered",
        _TAKE_PART if broken else "",
    )
    told = [f"{k}: {v}" for k, v in found.answer.headers.items() if "quota" in k or "limit" in k]
    told += [f"{key}: {value}" for key, value in settings.items() if "oncurrent" in key]
    is_restricted = any(_RESTRICTED in one for one in told)
    yield Check(
        "quota",
        "Quota",
        shown("; ".join(told)) if told else "Earth Engine does not tell",
        "mend" if is_restricted else "ok",
        "40 at once, or as stated",
        "the month's compute quota is used up: wait, or ask for more" if is_restricted else "",
    )


def _settings(config: Answer) -> Mapping[str, Any]:
    """Return the project's settings; none if they are not told, which some roles may not ask."""
    try:
        return dict(config.json())
    except Exception:
        # Whatever is told instead, the smallest request tells whether the project is registered.
        return {}


def clock(found: Timed) -> Check:
    """Compare this machine's clock to the date of an answer."""
    question, assumes = "Clock of this machine", f"{_MOST_WRONG_S} s at most"
    try:
        there = parsedate_to_datetime(found.answer.headers["date"]).timestamp()
    except (LookupError, ValueError, TypeError):
        return Check("clock", question, "the answer has no date", "open", assumes)
    # Dates are whole seconds.
    wrong = found.asked - (there + 0.5)
    said = f"{abs(wrong):.0f} s {'ahead' if wrong > 0 else 'behind'}"
    if abs(wrong) <= _MOST_WRONG_S:
        return Check("clock", question, said, "ok", assumes)
    advice = "set it, best by NTP: tokens are refused whose time is wrong"
    return Check("clock", question, said, "mend", assumes, advice)


def workers(client: distributed.Client | None) -> Check:
    """Compare the versions on a cluster's scheduler and workers to those here."""
    question, assumes = "Versions on workers", "as here"
    if client is None:
        return Check("workers", question, "no Dask client", "open", assumes)
    try:
        versions: dict[str, Any] = client.get_versions(check=False, packages=list(_PACKAGES[1:]))
    except (OSError, RuntimeError) as error:
        return Check("workers", question, shown(f"no answer: {error}"), "open", assumes)
    here = _versions(versions["client"])
    others = [_versions(versions["scheduler"]), *map(_versions, versions["workers"].values())]
    odd = {
        f"{name} {there[name]}, here {here[name]}"
        for there in others
        for name in _PACKAGES
        if there[name] != here[name]
    }
    if odd:
        advice = "install the same versions there as here"
        return Check("workers", question, shown("; ".join(sorted(odd))), "mend", assumes, advice)
    return Check("workers", question, f"the same on {len(others) - 1}", "ok", assumes)


def _versions(where: Mapping[str, Any]) -> dict[str, str]:
    """Return the versions of what must be the same, of Python the first two numbers."""
    found = {name: str(where["packages"].get(name)) for name in _PACKAGES}
    return {**found, "python": ".".join(found["python"].split(".")[:2])}

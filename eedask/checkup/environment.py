"""Checks of this machine, the cluster, the credentials and the project."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Mapping
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
from eedask.earthengine.tokens import Bearer, may_pass, words
from eedask.errors import AuthorizationError, EedaskError

# Seconds. Google refuses tokens that are signed with a time which is wrong by minutes.
_MOST_WRONG_S = 60
# Number of requests from which latency is measured. The first one opens the connection.
_TRIES = 4
# Packages whose versions must be the same on the workers: otherwise they cannot unpickle tasks.
_PACKAGES = ("python", "dask", "distributed", "cloudpickle", "eedask")
# Environment variables that name certificates. OpenSSL itself reads the last one.
_CERTIFICATES = (*BUNDLES, "SSL_CERT_FILE")
_TAKE_PART = "https://developers.google.com/earth-engine/guides/access tells how to register"
# Statuses with which Earth Engine refuses the account or the project. Others may pass.
_REFUSED = (400, 401, 403, 404)
_RESTRICTED = "parallelism_restricted=true"
_KINDS = {
    "google.oauth2.service_account": "a service account's key",
    "google.auth.compute_engine": "the account of this machine on Google Cloud",
    "google.oauth2.credentials": "a user's login",
    "google.auth.impersonated_credentials": "an impersonated service account",
}


def certificates() -> Check:
    """Check that the files of certificates that environment variables name exist."""
    named = {name: path for name in _CERTIFICATES if (path := os.environ.get(name))}
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
    """Report which proxy requests to a url go through, without its user and password."""
    found = select_proxy(url, get_environ_proxies(url, no_proxy=None))
    answer = "none"
    if found is not None:
        there = parse_url(found)
        answer = f"{there.host}:{there.port}" if there.port else str(there.host)
    return Check("proxy", "Proxy on the way", answer)


def credentials(endpoint: Endpoint) -> Check:
    """Check that there are credentials, and that an access token can be had with them."""

    def check(answer: str, advice: str = "") -> Check:
        state: State = "mend" if advice else "ok"
        return Check("credentials", "Credentials", shown(answer), state, "a token", advice)

    if endpoint.auth == sources.ANONYMOUS:
        return Check("credentials", "Credentials", "none, as for an emulator")
    try:
        found = sources.find(endpoint.auth, endpoint.origin)
    except AuthorizationError:
        return check("none", "run `earthengine authenticate`")
    except EedaskError as error:
        return check(str(error), "look at the network and the proxy")
    kind = next(
        (said for module, said in _KINDS.items() if _module(found).startswith(module)),
        type(found.credentials).__name__,
    )
    bearer = Bearer(lambda: found.credentials)
    try:
        bearer.token()
    except GoogleAuthError as error:
        advice = "run `earthengine authenticate` again; make a key anew"
        if may_pass(error):
            advice = "look at the network and the proxy"
        return check(f"{kind}; no token: {words(error)}", advice)
    finally:
        bearer.close()
    return check(f"{kind}; a token came")


def _module(found: sources.Found) -> str:
    return type(found.credentials).__module__


@dataclass(frozen=True)
class Timed:
    """The answer to the smallest possible request, which was sent several times, and its latency.

    Attributes
    ----------
    answer : Answer
        The last answer.
    asked : float
        Seconds since 1970 in the middle of the last exchange.
    first, others : float
        Milliseconds of the first exchange, which opened a connection, and the median of the others.
    """

    answer: Answer
    asked: float
    first: float
    others: float


def timed(asker: Asker) -> Timed:
    """Send the smallest possible request several times, and measure how long the answers take.

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
    """Report how long the smallest request takes at the endpoint of this name."""
    return Check(
        f"latency of {name}",
        f"Latency of the {name} endpoint",
        f"{found.others:.0f} ms (at first {found.first:.0f} ms)",
    )


def no_latency(name: str, error: EedaskError) -> Check:
    """Report that an endpoint did not answer; runs on the other endpoint do not need it."""
    return Check(f"latency of {name}", f"Latency of the {name} endpoint", shown(str(error)), "open")


def unreached(error: EedaskError) -> Check:
    """Report that the smallest request was not answered."""
    advice = "look at the network, the proxy and the url"
    answer = shown(str(error))
    return Check("project", "Project", answer, "mend", "registered", advice)


def registration(found: Timed, config: Answer) -> Check:
    """Report whether the project is registered; if not, with Earth Engine's own words."""

    def check(answer: str, state: State = "ok", advice: str = "") -> Check:
        return Check("project", "Project", shown(answer), state, "registered", advice)

    answer = found.answer
    if answer.status in _REFUSED:
        return check(str(answer), "mend", _TAKE_PART)
    if answer.status != 200:
        return check(str(answer), "open", "run the doctor again, later")
    if not _is_one(answer):
        return check(str(answer), "mend", "something else than Earth Engine answers: a proxy?")
    state = str(_settings(config).get("registrationState", "registered"))
    if state == "NOT_REGISTERED":
        return check(state, "mend", _TAKE_PART)
    return check(state.replace("_", " ").lower())


def _is_one(answer: Answer) -> bool:
    try:
        return bool(answer.json()["result"] == 1)
    except (ValueError, LookupError, TypeError):
        return False


def quota(found: Timed, config: Answer) -> Check:
    """Report what the headers of an answer and the project's settings say about the quota."""
    told = [f"{k}: {v}" for k, v in found.answer.headers.items() if "quota" in k or "limit" in k]
    told += [f"{key}: {value}" for key, value in _settings(config).items() if "oncurrent" in key]
    is_restricted = any(_RESTRICTED in one for one in told)
    return Check(
        "quota",
        "Quota",
        shown("; ".join(told)) if told else "Earth Engine does not tell",
        "mend" if is_restricted else "ok",
        "40 at once, or as stated",
        "the month's compute quota is used up: wait, or ask for more" if is_restricted else "",
    )


def _settings(config: Answer) -> Mapping[str, Any]:
    """Return the project's settings; empty if the account has no permission to ask for them."""
    try:
        return dict(config.json())
    except Exception:
        # Settings are not needed: the smallest request shows whether the project is registered.
        return {}


def clock(found: Timed) -> Check:
    """Compare this machine's clock with the date in the headers of an answer."""
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
    """Compare the versions of packages on a cluster's scheduler and workers with those here."""
    question, assumes = "Versions on workers", "as here"
    if client is None:
        return Check("workers", question, "no Dask client", "open", assumes)
    try:
        versions = client.get_versions(check=False, packages=list(_PACKAGES[1:]))
    except (OSError, RuntimeError) as error:
        return Check("workers", question, shown(f"no answer: {error}"), "open", assumes)
    if odd := differences(versions):
        advice = "install the same versions there as here"
        return Check("workers", question, shown("; ".join(odd)), "mend", assumes, advice)
    return Check("workers", question, f"as here, on {len(versions['workers'])}", "ok", assumes)


def differences(versions: Mapping[str, Any]) -> list[str]:
    """Return in words which versions on a cluster differ from those here.

    Parameters
    ----------
    versions : mapping
        As ``Client.get_versions`` returns them.
    """
    here = _versions(versions["client"])
    others = [_versions(versions["scheduler"]), *map(_versions, versions["workers"].values())]
    odd = {
        f"{name} {there[name]}, here {here[name]}"
        for there in others
        for name in _PACKAGES
        if there[name] != here[name]
    }
    return sorted(odd)


def _versions(where: Mapping[str, Any]) -> dict[str, str]:
    """Return the versions of :data:`_PACKAGES`; of Python, only its first two numbers."""
    found = {name: str(where["packages"].get(name)) for name in _PACKAGES}
    return {**found, "python": ".".join(found["python"].split(".")[:2])}

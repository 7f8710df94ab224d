"""The function ``eedask.doctor``, which makes all checks one after the other."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import distributed
from ee import _state
from urllib3.exceptions import LocationParseError
from urllib3.util import parse_url

from eedask.arguments import check_flags
from eedask.checkup import environment
from eedask.checkup.asking import Asker, UnexpectedAnswerError, shown
from eedask.checkup.checkup import Check, Checkup, State
from eedask.checkup.questions import QUESTIONS, Question
from eedask.earthengine import credentials as sources
from eedask.earthengine.endpoint import URLS, Endpoint, endpoint_of_client
from eedask.errors import EedaskError, InputError
from eedask.quota.asking import Asking
from eedask.quota.leases import current_client

# Seconds. Nothing that is asked takes long to compute.
_DEADLINE = 60.0
_AGAIN, _REPORT = "run the doctor again", "report this"


def doctor(
    project: str | None = None,
    *,
    url: str | None = None,
    client: distributed.Client | None = None,
    burst: bool = False,
    deadline: float = _DEADLINE,
    json: str | os.PathLike[str] | None = None,
) -> Checkup:
    """Check what a run needs, and ask Earth Engine what its documentation does not tell.

    It sends some forty small requests, which count against the project's quota like all others.
    The first checks are about this machine, the cluster, the credentials and the project. Then come
    questions about Earth Engine itself: the readings, which the emulator can be set to.

    Parameters
    ----------
    project : str, optional
        The Earth Engine project; by default that of ``ee.Initialize``.
    url : str, optional
        The address to ask, for instance an emulator's. When not given, it is the address that
        ``ee.Initialize`` was given, or else Earth Engine's. Credentials are sent only to Earth
        Engine, and to the url for which ``ee.Initialize`` was given them.
    client : distributed.Client, optional
        The client of a cluster whose versions of packages are compared with those here; the
        current client when not given.
    burst : bool
        Whether to send 80 requests at once as well, more than the default quota allows, to see what
        Earth Engine's refusals look like. It slows down other runs of the project.
    deadline : float
        Seconds that one request may take.
    json : path, optional
        File to write the checkup to; see :meth:`~eedask.checkup.checkup.Checkup.to_json`.

    Returns
    -------
    Checkup
        ``print`` shows it as a table. ``ok`` is True if nothing must be mended before a run.
        ``readings`` is what Earth Engine does, as ``Emulator(readings=…)`` takes it.

    Raises
    ------
    InputError
        If no project is known, or an argument cannot be used.

    Examples
    --------
    >>> checkup = eedask.doctor(project="my-project", json="checkup.json")  # doctest: +SKIP
    >>> print(checkup)  # doctest: +SKIP
    >>> checkup.ok  # doctest: +SKIP
    True
    """
    _check_arguments(project, url, client, burst, json)
    checkup = _checkup(_endpoint(project, url, deadline), client or current_client(), burst)
    if json is not None:
        checkup.to_json(json)
    return checkup


def _check_arguments(project: Any, url: Any, client: Any, burst: Any, json: Any) -> None:
    """Raise InputError for what cannot be used, before anything is asked."""
    check_flags(burst=burst)
    if project is not None and not (isinstance(project, str) and project):
        raise InputError(f"project is the id of a project; got {project!r}")
    if url is not None and not (isinstance(url, str) and _is_address(url)):
        raise InputError(f"url is an address such as 'http://127.0.0.1:8778'; got {url!r}")
    if client is not None and not isinstance(client, distributed.Client):
        raise InputError(f"client is a distributed.Client; got {client!r}")
    is_path = isinstance(json, str | os.PathLike)
    if json is not None and not (is_path and Path(json).absolute().parent.is_dir()):
        raise InputError(f"json is the path of a file, in a folder that is there; got {json!r}")


def _is_address(url: str) -> bool:
    try:
        parts = parse_url(url)
    except LocationParseError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.host)


def _endpoint(project: str | None, url: str | None, deadline: float) -> Endpoint:
    """Return where to ask. Credentials go only to the service that they are meant for."""
    url = None if url is None else url.rstrip("/")
    if _state.get_state().initialized:
        own = endpoint_of_client(deadline=deadline)
        if url in (None, own.url) or {url, own.url} <= {*URLS.values()}:
            return replace(own, url=url or own.url, project=project or own.project)
        project = project or own.project
    if project is None:
        raise InputError(
            "there is no project to ask for: pass project='my-project', or call"
            " ee.Initialize(project='my-project') first"
        )
    if url is None or url in URLS.values():
        return Endpoint(url or URLS["high-volume"], project, deadline=deadline)
    return Endpoint(url, project, sources.ANONYMOUS, deadline=deadline)


def _checkup(endpoint: Endpoint, client: distributed.Client | None, burst: bool) -> Checkup:
    needed = [environment.certificates(), environment.credentials(endpoint)]
    checks = [environment.workers(client), environment.proxy(endpoint.url), *needed]
    cost = None
    if not all(check.state == "ok" for check in needed):
        checks += _unasked()
    else:
        with Asking(endpoint, "doctor") as asking:
            asker = Asker(endpoint, asking)
            found = _of_project(endpoint, asker)
            checks += found
            if found[0].state == "ok":
                checks += [_asked(question, asker, burst) for question in QUESTIONS]
                cost = asker.eecu_seconds()
            else:
                checks += _unasked()
    return Checkup(endpoint.project, endpoint.url, tuple(checks), cost)


def _of_project(endpoint: Endpoint, asker: Asker) -> list[Check]:
    """Return the checks that the smallest possible requests answer, the project's first."""
    try:
        found = environment.timed(asker)
        config = asker.config()
    except EedaskError as error:
        return [environment.unreached(error)]
    names = {url: name for name, url in URLS.items()}
    checks = [
        environment.registration(found, config),
        environment.quota(found, config),
        environment.clock(found),
        environment.latency(names.pop(endpoint.url, "stated"), found),
    ]
    if endpoint.url in URLS.values():
        checks += [_other_latency(name, replace(endpoint, url=url)) for url, name in names.items()]
    return checks


def _other_latency(name: str, endpoint: Endpoint) -> Check:
    """Return the latency of an endpoint that nothing else is asked of."""
    with Asking(endpoint, "doctor") as asking:
        try:
            return environment.latency(name, environment.timed(Asker(endpoint, asking)))
        except EedaskError as error:
            return environment.no_latency(name, error)


def _unasked() -> list[Check]:
    """Return a check for each question that could not be asked."""
    return [
        Check(q.name, q.about, "not asked", "open", q.assumes, is_reading=True) for q in QUESTIONS
    ]


def _asked(question: Question, asker: Asker, burst: bool) -> Check:
    """Ask a question and return its check. No error is raised, so the next one can be asked."""

    def check(answer: str, state: State = "ok", advice: str = "") -> Check:
        return Check(
            question.name, question.about, answer, state, question.assumes, advice, is_reading=True
        )

    if question.needs_burst and not burst:
        return check("not asked", "open", "burst=True or --burst asks it, by 80 requests at once")
    try:
        answer = question.ask(asker)
    except UnexpectedAnswerError as error:
        return check(shown(f"something else: {error}"), "report", _REPORT)
    except EedaskError as error:
        return check(f"no answer: {shown(str(error))}", "open", _AGAIN)
    except Exception as error:
        # Reading an answer of unknown form may raise any error.
        return check(f"something else: {asker.last} ({type(error).__name__})", "report", _REPORT)
    return check(answer, advice=question.advice.get(answer, ""))

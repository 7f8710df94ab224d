"""The doctor: asks everything, one question after another, and never ends at one that fails."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import distributed
from ee import _state

from eedask.checkup import environment
from eedask.checkup.asking import Asker, UnexpectedAnswerError
from eedask.checkup.checkup import Check, Checkup
from eedask.checkup.questions import QUESTIONS, Question
from eedask.earthengine import credentials as sources
from eedask.earthengine.connection import Connection
from eedask.earthengine.endpoint import (
    DEADLINE,
    URLS,
    Endpoint,
    endpoint_of_client,
)
from eedask.errors import EedaskError
from eedask.quota.leases import current_client

# As many as the burst that provokes a refusal.
_CONNECTIONS = 80


def doctor(
    project: str | None = None,
    *,
    url: str | None = None,
    client: distributed.Client | None = None,
    thorough: bool = False,
    deadline: float = DEADLINE,
) -> Checkup:
    """Ask what a run needs and meets: credentials, project, network, Earth Engine's habits.

    Parameters
    ----------
    project : str, optional
        By default that of ``ee.Initialize``.
    url : str, optional
        Of an emulator; by default both endpoints of the live service, or where ``ee.Initialize``
        points.
    client : distributed.Client, optional
        Whose workers' versions are compared; by default the current one, if there is one.
    thorough : bool
        Whether to ask what spends quota too: a computation that is too heavy, and a burst of
        requests.
    deadline : float
        Seconds for one answer.

    Returns
    -------
    Checkup
        Print it, or ask for ``.ok``.

    Raises
    ------
    InputError
        If there is no project.

    Examples
    --------
    >>> print(eedask.doctor(project="my-project"))
    """
    endpoint = _endpoint(project, url, deadline)
    urls = (*URLS.values(),) if endpoint.url in URLS.values() else (endpoint.url,)
    checks = [*environment.network_checks(), environment.dask_check(client or current_client())]
    try:
        found = None
        if endpoint.auth != sources.ANONYMOUS:
            found = sources.find(endpoint.auth, endpoint.origin)
    except EedaskError as error:
        checks.append(Check("credentials", "Credentials", str(error), "mend", "a token"))
        return Checkup((*checks, *_unasked("there are no credentials")))
    checks.append(environment.credentials_check(found))
    for each in urls:
        with _asking(
            Endpoint(each, endpoint.project, endpoint.auth, None, deadline, endpoint.origin)
        ) as asker:
            checks.append(environment.latency_check(asker, each))
    with _asking(endpoint) as asker:
        checks += environment.project_checks(asker, endpoint.project)
        if any(check.state != "ok" for check in checks if check.name == "project"):
            checks += _unasked("the project cannot be used")
        else:
            checks += [_asked(question, asker, thorough) for question in QUESTIONS]
    return Checkup(tuple(checks))


def _unasked(why: str) -> list[Check]:
    """Return a row for each question that could not be asked."""
    return [Check(q.name, q.about, why, "not asked", q.assumes) for q in QUESTIONS]


def _endpoint(project: str | None, url: str | None, deadline: float) -> Endpoint:
    """Return where to ask; another server than Earth Engine's, or the client's, gets no tokens."""
    url = None if url is None else url.rstrip("/")
    if project is None or (url is None and _state.get_state().initialized):
        own = endpoint_of_client(deadline=deadline)
        if url in (None, own.url):
            return Endpoint(own.url, project or own.project, own.auth, None, deadline, own.origin)
        project = project or own.project
    if url is None or url in URLS.values():
        return Endpoint(url or URLS["high-volume"], project, deadline=deadline)
    return Endpoint(url, project, sources.ANONYMOUS, deadline=deadline)


@contextlib.contextmanager
def _asking(endpoint: Endpoint) -> Iterator[Asker]:
    connection = Connection(endpoint, connections=_CONNECTIONS)
    try:
        yield Asker(connection)
    finally:
        connection.close()


def _asked(question: Question, asker: Asker, thorough: bool) -> Check:
    """Return the answer to a question; whatever it is, the next one can be asked."""

    def check(answer: str, state: str = "ok", advice: str = "") -> Check:
        return Check(question.name, question.about, answer, state, question.assumes, advice)  # type: ignore[arg-type]

    if question.costly and not thorough:
        return check("it spends quota", "not asked", "ask with thorough=True, or --thorough")
    try:
        return check(question.ask(asker))
    except UnexpectedAnswerError as error:
        return check(f"something else: {error}", "unknown")
    except EedaskError as error:
        return check(f"no answer: {error}", "unknown")
    except Exception as error:  # what reading an unknown answer raises cannot be listed
        return check(f"something else: {type(error).__name__}: {error}", "unknown")

"""The doctor: asks everything that can be asked before a run, one question after another."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import replace

from ee import _state

from eedask.checkup import environment
from eedask.checkup.asking import Asker, UnexpectedAnswerError, shown
from eedask.checkup.checkup import Check, Checkup, State
from eedask.checkup.questions import QUESTIONS, Question
from eedask.earthengine import credentials as sources
from eedask.earthengine.endpoint import (
    HIGH_VOLUME_URL,
    STANDARD_URL,
    Endpoint,
    endpoint_of_client,
)
from eedask.errors import EedaskError, InputError
from eedask.quota.asking import Asking
from eedask.quota.leases import current_client

# Seconds. Nothing that is asked takes long to compute.
_DEADLINE = 60.0
_AGAIN, _REPORT = "run the doctor again", "report this"
_MISSING = "pass project='my-project', or call ee.Initialize(project='my-project') first"


def doctor(
    project: str | None = None,
    *,
    url: str | None = None,
    burst: bool = False,
    deadline: float = _DEADLINE,
    json: str | os.PathLike[str] | None = None,
) -> Checkup:
    """Check what a run needs, and ask Earth Engine what its documentation does not tell.

    Some fifty small requests are sent, which take slots of the project's quota like all others.
    First come this machine, the credentials, the project, and the versions on the workers of the
    current ``distributed.Client``, if there is one. Then come the questions about Earth Engine
    itself, whose answers the emulator can be set to.

    Parameters
    ----------
    project : str, optional
        The Earth Engine project; by default that of ``ee.Initialize``.
    url : str, optional
        ``https://…`` of an emulator, which is sent no credentials. By default what
        ``ee.Initialize`` was given, or both endpoints of the live service.
    burst : bool
        Whether to send 80 requests at once as well, which is more than the default quota allows:
        what refusals look like is to be seen only of refusals. Other runs of the project feel it.
    deadline : float
        Seconds that one request may take.
    json : path, optional
        File to write the checkup to; see :meth:`~eedask.checkup.checkup.Checkup.to_json`.

    Returns
    -------
    Checkup
        Prints as a table. ``ok`` is whether nothing must be mended before a run; ``readings`` are
        what Earth Engine does, as ``Emulator(readings=…)`` takes it.

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
    checkup = _checkup(_endpoint(project, url, deadline), burst)
    if json is not None:
        checkup.to_json(json)
    return checkup


def _endpoint(project: str | None, url: str | None, deadline: float) -> Endpoint:
    """Return where to ask; credentials go to no other address than they are for."""
    if url is not None:
        if project is None:
            raise InputError(f"there is no project to ask {url} for: {_MISSING}")
        return Endpoint(url.rstrip("/"), project, sources.ANONYMOUS, deadline=deadline)
    if _state.get_state().initialized:
        own = endpoint_of_client(deadline=deadline)
        return own if project is None else replace(own, project=project)
    if project is None:
        raise InputError(f"there is no project to ask Earth Engine for: {_MISSING}")
    return Endpoint(HIGH_VOLUME_URL, project, deadline=deadline)


def _checkup(endpoint: Endpoint, burst: bool) -> Checkup:
    needed = [environment.certificates(), environment.credentials(endpoint)]
    checks = [environment.workers(current_client()), environment.proxy(endpoint.url), *needed]
    cost = None
    # Else all requests would fail of it, one after the other.
    if not _are_broken(needed):
        with Asking(endpoint, "doctor") as asking:
            asker = Asker(endpoint, asking)
            found = list(_of_service(endpoint, asker))
            checks += found
            if not _are_broken(found):
                checks += [_asked(question, asker, burst) for question in QUESTIONS]
                cost = asker.eecu_seconds()
    return Checkup(endpoint.project, endpoint.url, tuple(checks), cost)


def _are_broken(checks: Iterable[Check]) -> bool:
    return any(check.state == "mend" for check in checks)


def _of_service(endpoint: Endpoint, asker: Asker) -> Iterator[Check]:
    """Yield what the smallest requests tell: of the project, its quota, the clock, the latency."""
    is_live = endpoint.url == HIGH_VOLUME_URL
    try:
        found = environment.timed(asker)
        config = asker.config()
    except EedaskError as error:
        advice = "look at the proxy, the network and the url"
        yield Check("project", "Requests", shown(str(error)), "mend", "", advice)
        return
    yield from environment.project(found, config)
    yield environment.clock(found)
    yield environment.latency("high-volume" if is_live else "stated", found)
    if is_live:
        yield _latency_of_standard(replace(endpoint, url=STANDARD_URL))


def _latency_of_standard(endpoint: Endpoint) -> Check:
    with Asking(endpoint, "doctor") as asking:
        try:
            return environment.latency("standard", environment.timed(Asker(endpoint, asking)))
        except EedaskError as error:
            return Check(
                "latency of standard", "Latency of the standard endpoint", shown(str(error)), "open"
            )


def _asked(question: Question, asker: Asker, burst: bool) -> Check:
    """Return the answer to a question; whatever it is, the next one can be asked."""

    def check(answer: str, state: State = "ok", advice: str = "") -> Check:
        return Check(
            question.name, question.about, answer, state, question.assumes, advice, is_reading=True
        )

    if question.needs_burst and not burst:
        return check("not asked", "open", "burst=True or --burst asks it, by 80 requests at once")
    try:
        answer = question.ask(asker)
    except UnexpectedAnswerError as error:
        return check(f"something else: {error}", "report", _REPORT)
    except EedaskError as error:
        return check(f"no answer: {shown(str(error))}", "open", _AGAIN)
    except Exception as error:
        # What reading an answer of unknown form raises cannot be listed.
        words = shown(f"{type(error).__name__}: {error}")
        return check(f"something else: {words}", "report", _REPORT)
    return check(answer, advice=question.advice.get(answer, ""))

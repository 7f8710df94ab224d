"""What the doctor tells of a machine, a project and a service, whatever is wrong with them."""

import json
import re
import time
from email.utils import formatdate

import distributed
import ee
import pytest
from ee import _state
from loopback import reply, serving

import eedask
from eedask.__main__ import main
from eedask.checkup import environment
from eedask.checkup.checkup import Check, Checkup
from eedask.checkup.questions import QUESTIONS
from eedask.earthengine.endpoint import URLS
from eedask.emulator.readings import READINGS
from eedask.errors import InputError

UNREGISTERED = "Project 'p' is not registered to use Earth Engine."


@pytest.fixture
def uninitialised():
    """The ``ee`` client of this process is not initialised."""
    if session := _state.get_state().requests_session:
        session.close()
    ee.Reset()


def checks(url, **options):
    """Return the doctor's checks by name, and whether nothing is to be mended."""
    found = eedask.doctor("p", url=url, deadline=2, **options)
    return {check.name: check for check in found.checks}, found.ok


def not_asked(found):
    return [q.name for q in QUESTIONS if found[q.name].answer == "not asked"]


def refusing(status, words):
    body = json.dumps({"error": {"code": status, "message": words}}).encode()
    return serving(lambda handler: reply(handler, status, body))


def test_the_command_prints_a_table_for_80_columns_and_writes_json(emulator, tmp_path, capsys):
    path = tmp_path / "checkup.json"
    options = ["--project", emulator.project, "--url", emulator.url, "--json", str(path)]
    assert main(["doctor", *options]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    assert not any(line != line.rstrip() for line in lines)
    written = json.loads(path.read_text())
    assert written["ok"] is True
    assert written["url"] == emulator.url
    assert written["readings"] == {k: r.default for k, r in READINGS.items() if k != "retry_after"}
    (open_,) = (c for c in written["checks"] if c["name"] == "retry_after")
    assert (open_["state"], open_["answer"]) == ("open", "not asked")


def test_the_cost_is_what_the_service_counted(emulator):
    emulator.reset_stats()
    found = eedask.doctor(emulator.project, url=emulator.url)
    # Telling the cost, and the project's settings, are not counted; the table has three decimals.
    assert found.eecu_seconds == pytest.approx(emulator.stats()["eecu_seconds"], abs=0.1)
    assert found.eecu_seconds > 0.1


@pytest.mark.parametrize("answers", [True, False])
def test_the_client_that_is_initialised_is_asked_and_both_endpoints_are_timed(
    earth_engine, monkeypatch, answers
):
    other = earth_engine.url.replace("127.0.0.1", "localhost") if answers else "http://127.0.0.1:9"
    monkeypatch.setitem(URLS, "high-volume", earth_engine.url)
    monkeypatch.setitem(URLS, "standard", other)
    before = earth_engine.stats()["requests"]
    found = eedask.doctor()
    assert (found.url, found.project, found.ok) == (earth_engine.url, earth_engine.project, True)
    told = {check.name: check for check in found.checks}
    assert re.fullmatch(r"\d+ ms \(at first \d+ ms\)", told["latency of high-volume"].answer)
    standard = told["latency of standard"]
    assert ("ms (at first" in standard.answer, standard.state == "ok") == (answers, answers)
    # Each question takes one small request, or a few.
    assert earth_engine.stats()["requests"] - before < 2 * len(QUESTIONS) + 12


def test_a_project_that_is_not_registered_is_told_in_earth_engines_words(capsys):
    with refusing(403, UNREGISTERED) as url:
        found, ok = checks(url)
        assert main(["doctor", "--project", "p", "--url", url]) == 1
    assert (found["project"].state, ok) == ("mend", False)
    assert UNREGISTERED in found["project"].answer
    assert "register" in found["project"].advice
    assert len(not_asked(found)) == len(QUESTIONS)
    assert "To be mended before a run: project." in capsys.readouterr().out


@pytest.mark.parametrize("status", [429, 503])
def test_a_refusal_that_passes_is_nothing_to_mend(status):
    with refusing(status, "Too many.") as url:
        found, ok = checks(url)
    assert (found["project"].state, ok) == ("open", True)


def test_a_page_of_a_proxy_is_not_taken_for_earth_engine():
    with serving(lambda handler: reply(handler, 200, b"<html>Log in</html>")) as url:
        found, ok = checks(url)
    assert (found["project"].state, ok) == ("mend", False)


def test_where_nobody_answers_the_network_is_to_be_mended():
    found, ok = checks("http://127.0.0.1:9")
    assert (found["project"].state, ok) == ("mend", False)


def test_answers_that_nobody_foresaw_are_rows_and_nothing_else():
    answer = b'{"result": 1, "error": {"message": "\\u001b[2J"}}'
    with serving(lambda handler: reply(handler, 200, answer)) as url:
        found = eedask.doctor("p", url=url, deadline=2)
    by_state = {check.name: check for check in found.checks}
    odd = by_state["null_properties"]
    assert odd.state == "report"
    assert odd.answer.startswith("something else: HTTP 200: ")
    assert found.ok
    assert set(READINGS) <= set(by_state)
    assert all(check.answer.isprintable() for check in found.checks)


@pytest.mark.parametrize(("wrong", "state"), [(20, "ok"), (-600, "mend"), (600, "mend")])
def test_a_clock_that_is_wrong_is_to_be_set(wrong, state):
    def answer(handler):
        handler.date_time_string = lambda: formatdate(time.time() + wrong, usegmt=True)
        reply(handler, 200, b'{"result": 1}')

    with serving(answer) as url:
        found, ok = checks(url)
    assert (found["clock"].state, ok) == (state, state == "ok")
    assert (wrong > 0) == ("behind" in found["clock"].answer)


def test_a_compute_quota_that_is_used_up_is_to_be_mended():
    header = {"x-earth-engine-quota-status": "parallelism_restricted=true"}
    with serving(lambda handler: reply(handler, 200, b'{"result": 1}', header)) as url:
        found, _ = checks(url)
    assert found["quota"].state == "mend"
    assert "parallelism_restricted" in found["quota"].answer


def test_certificates_that_do_not_exist_are_named(tmp_path, monkeypatch, emulator):
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "none.pem"))
    found, ok = checks(emulator.url)
    assert (found["certificates"].state, ok) == ("mend", False)
    assert "REQUESTS_CA_BUNDLE" in found["certificates"].advice
    assert len(not_asked(found)) == len(QUESTIONS)


def test_a_proxy_is_told_without_its_password(monkeypatch):
    monkeypatch.setenv("HTTPS_PROXY", "http://me:secret@proxy.example:3128")
    monkeypatch.setenv("NO_PROXY", "localhost")
    assert environment.proxy("https://earthengine.example").answer == "proxy.example:3128"
    assert environment.proxy("http://localhost:1").answer == "none"


def test_credentials_are_sent_to_no_other_service(earth_engine):
    """The client is initialised for one service, and another is asked."""
    seen = []

    def answer(handler):
        seen.append(handler.headers.get("Authorization"))
        reply(handler, 404, b"")

    with serving(answer) as url:
        found, _ = checks(url)
    assert set(seen) == {None}
    assert found["credentials"].answer == "none, as for an emulator"


@pytest.mark.usefixtures("uninitialised")
def test_where_nobody_has_logged_in_nothing_is_asked(tmp_path, monkeypatch):
    for name in ("HOME", "USERPROFILE", "CLOUDSDK_CONFIG", "APPDATA"):
        monkeypatch.setenv(name, str(tmp_path))
    monkeypatch.setenv("NO_GCE_CHECK", "true")
    monkeypatch.delenv("GOOGLE_APPLICATION_CREDENTIALS", raising=False)
    found = eedask.doctor("p")
    (credentials,) = (c for c in found.checks if c.name == "credentials")
    assert (credentials.state, credentials.answer) == ("mend", "none")
    assert "earthengine authenticate" in credentials.advice


@pytest.mark.usefixtures("uninitialised")
def test_without_a_project_the_words_say_what_to_pass():
    with pytest.raises(InputError, match="project='my-project'"):
        eedask.doctor()


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("json", [5, [], "/nowhere/checkup.json"]),
        ("client", [5, "tcp://127.0.0.1:8786"]),
        ("project", ["", 5]),
        ("url", ["", "127.0.0.1:8778", "ftp://host", "http://[", "http://host:99999", 5]),
        ("burst", ["no", 1]),
    ],
)
def test_arguments_that_are_no_use_are_refused_before_anything_is_asked(name, values):
    for value in values:
        with pytest.raises(InputError, match=re.escape(f"got {value!r}")):
            eedask.doctor(**{"project": "p", name: value})


def test_versions_on_workers_are_compared_to_those_here():
    with distributed.Client(
        n_workers=1, processes=False, dashboard_address="127.0.0.1:0"
    ) as client:
        check = environment.workers(client)
        versions = client.get_versions(check=False, packages=["eedask"])
    assert (check.state, check.answer) == ("ok", "as here, on 1")
    (worker,) = versions["workers"].values()
    worker["packages"] |= {"dask": "2020.1.0", "eedask": None}
    odd = environment.differences(versions)
    assert [line.split(",")[0] for line in odd] == ["dask 2020.1.0", "eedask None"]


def test_words_from_outside_are_escaped_in_html():
    check = Check("project", "Project", "<script>", "mend", advice="a & b")
    page = Checkup("p", "http://<b>", (check,))._repr_html_()
    assert "<script>" not in page
    assert "a &amp; b" in page


def test_a_state_that_there_is_not_is_refused():
    with pytest.raises(ValueError, match="'fine'"):
        Check("clock", "Clock", "", "fine")

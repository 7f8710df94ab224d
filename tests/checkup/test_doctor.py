"""The doctor on an emulator: what it tells of the readings, as a table, as JSON, by the command."""

import json
import time
from email.utils import formatdate

import distributed
import pytest

import eedask
from eedask.__main__ import main
from eedask.checkup.asking import Answer
from eedask.checkup.doctor import _endpoint
from eedask.checkup.environment import dask_check, network_checks, project_checks
from eedask.earthengine.credentials import ANONYMOUS
from eedask.earthengine.endpoint import endpoint_of_client
from eedask.emulator import Emulator
from eedask.emulator.readings import READINGS


@pytest.fixture(scope="module")
def emulator():
    with Emulator(concurrency=2, latency=0.02, processes=1) as running:
        yield running


@pytest.mark.parametrize("readings", [None, "all-other"])
def test_all_readings_that_are_set_are_told(emulator, readings):
    emulator.set_readings(readings)
    found = eedask.doctor(emulator.project, url=emulator.url, thorough=True, deadline=5)
    assert {name: found[name].answer for name in READINGS} == emulator.readings
    assert found.ok


def test_the_command_prints_a_narrow_table_and_writes_json(emulator, tmp_path, capsys):
    emulator.set_readings(None)
    path = tmp_path / "checkup.json"
    options = ["--project", emulator.project, "--url", emulator.url, "--json", str(path)]
    assert main(["doctor", *options]) == 0
    printed = capsys.readouterr().out
    assert max(map(len, printed.splitlines())) <= 80
    checks = {check["name"]: check for check in json.loads(path.read_text())["checks"]}
    assert checks["capacity"]["state"] == "not asked"
    assert checks["crs_code"]["answer"] == "any"


def test_where_nobody_answers_something_is_to_be_mended():
    assert main(["doctor", "--project", "p", "--url", "http://127.0.0.1:9"]) == 1


def test_tokens_go_to_no_server_that_they_are_not_for(emulator, earth_engine):
    """The client is initialised elsewhere; another server is asked without its credentials."""
    endpoint = _endpoint(None, emulator.url, 5)
    assert (endpoint.url, endpoint.auth) == (emulator.url, ANONYMOUS)
    assert _endpoint(None, earth_engine.url, 5).origin == endpoint_of_client().origin


class Told:
    """Answers the question about the project."""

    def __init__(self, status, headers=None):
        self.answer = Answer(status, headers or {}, b'{"error": {"message": "words"}}')

    def config(self):
        return self.answer


@pytest.mark.parametrize(
    ("status", "state"),
    [(200, "ok"), (403, "mend"), (404, "mend"), (429, "unknown"), (503, "unknown")],
)
def test_a_project_is_to_be_mended_where_it_was_refused(status, state):
    found = {check.name: check for check in project_checks(Told(status), "p")}
    assert found["project"].state == state
    assert ("register" in found["project"].advice) == (state == "mend")


@pytest.mark.parametrize(("late", "state"), [(5, "ok"), (3600, "mend"), (-3600, "mend")])
def test_a_clock_that_is_wrong_is_to_be_set(late, state):
    date = formatdate(time.time() + late, usegmt=True)
    (clock,) = [c for c in project_checks(Told(200, {"date": date}), "p") if c.name == "clock"]
    assert clock.state == state


def test_certificates_that_are_not_there_are_named(tmp_path):
    lost = str(tmp_path / "none.pem")
    checks = {c.name: c for c in network_checks({"SSL_CERT_FILE": lost, "https_proxy": "http://p"})}
    assert checks["certificates"].state == "mend"
    assert "SSL_CERT_FILE" in checks["certificates"].advice
    assert checks["proxies"].answer == "HTTPS_PROXY"


def test_versions_on_workers_are_compared():
    with distributed.Client(n_workers=1, processes=False, dashboard_address=None) as client:
        check = dask_check(client)
    assert (check.state, check.answer) == ("ok", "same on 1 workers")

"""The doctor on an emulator: what it tells of the readings, as a table, as JSON, by the command."""

import json

import pytest

import eedask
from eedask.__main__ import main
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

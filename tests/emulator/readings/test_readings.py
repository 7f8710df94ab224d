"""Readings as settings: how they are stated, what is refused, and where they can be seen."""

import json
import urllib.request
from pathlib import Path

import pytest

import eedask.emulator
from eedask.emulator import Emulator
from eedask.emulator.__main__ import main
from eedask.emulator.readings import READINGS, Readings

LEDGER = Path(eedask.emulator.__file__).with_name("FIDELITY.md")


def test_without_a_word_every_reading_is_its_first_alternative():
    for nothing in (None, "", {}):
        found = Readings.parse(nothing).all()
        assert found == {name: row.alternatives[0] for name, row in READINGS.items()}


def test_all_other_changes_every_reading():
    found = Readings.parse("all-other").all()
    assert all(found[name] != row.default for name, row in READINGS.items())


def test_what_is_said_later_counts():
    found = Readings.parse("all-other,capacity=504, gzip=used")
    assert (found["capacity"], found["gzip"], found["pages"]) == ("504", "used", "short")
    assert Readings.parse(found.spec()).all() == found.all()


def test_an_unknown_name_or_value_is_told_what_there_is():
    with pytest.raises(ValueError, match=r"no reading 'weather'.*null_properties, capacity"):
        Readings.parse({"weather": "fine"})
    with pytest.raises(ValueError, match="capacity is 400 or 503 or 504 or silence, not '418'"):
        Readings.parse("capacity=418")
    with pytest.raises(ValueError, match="NAME=VALUE or all-other, not 'capacity'"):
        Readings.parse("capacity")


def test_the_ledger_names_every_reading():
    text = LEDGER.read_text()
    for name in READINGS:
        assert f"reading `{name}`" in text, name


def test_a_command_that_is_told_of_none_ends_at_once(capsys):
    assert main(["--reading", "weather=fine", "--port", "0"]) == 1
    assert "there is no reading 'weather'" in capsys.readouterr().err


def test_an_emulator_tells_how_they_are_set():
    with pytest.raises(ValueError, match="there is no reading"):
        Emulator(readings={"weather": "fine"})
    with Emulator(processes=0, readings={"percentiles": "unweighted"}) as running:
        assert running.readings["percentiles"] == "unweighted"
        with urllib.request.urlopen(f"{running.url}/emulator/readings") as answer:
            assert json.load(answer) == running.readings
        running.set_readings("all-other")
        assert running.readings == Readings.parse("all-other").all()
        with pytest.raises(ValueError, match="there is no reading"):
            running.set_readings({"weather": "fine"})

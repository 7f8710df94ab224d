"""The doctor's questions are the emulator's readings, and tell how each of them is set."""

import pytest

import eedask
from eedask.checkup.asking import Asker
from eedask.checkup.questions import QUESTIONS
from eedask.earthengine.endpoint import Endpoint
from eedask.emulator import Emulator
from eedask.emulator.readings import READINGS, Readings
from eedask.quota.asking import Asking

SETTINGS = [(name, value) for name, row in READINGS.items() for value in row.alternatives]


@pytest.fixture(scope="module")
def emulator():
    """An emulator that refuses some requests of a burst, however busy the machine that sends it."""
    with Emulator(concurrency=2, latency=0.04, processes=1) as running:
        yield running


@pytest.fixture(scope="module")
def asker(emulator):
    endpoint = Endpoint(emulator.url, emulator.project, auth="anonymous", deadline=3)
    with Asking(endpoint, "doctor") as asking:
        yield Asker(endpoint, asking)


def test_the_questions_are_the_emulators_readings():
    assert {q.name: q.alternatives for q in QUESTIONS} == {
        name: reading.alternatives for name, reading in READINGS.items()
    }
    for question in QUESTIONS:
        assert set(question.advice) <= set(question.alternatives)


@pytest.mark.parametrize(("name", "value"), SETTINGS)
@pytest.mark.cross(3)
def test_each_reading_that_is_set_is_told(emulator, asker, name, value):
    emulator.set_readings({name: value})
    (question,) = (q for q in QUESTIONS if q.name == name)
    assert question.ask(asker) == value


def checkup(emulator, readings):
    emulator.set_readings(readings)
    found = eedask.doctor(emulator.project, url=emulator.url, burst=True, deadline=3)
    assert found.readings == Readings.parse(readings).all(), str(found)
    assert found.ok


@pytest.mark.parametrize("readings", [None, "all-other"])
def test_all_readings_that_are_set_are_told(emulator, readings):
    checkup(emulator, readings)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "value"), SETTINGS)
def test_all_readings_are_told_whichever_is_another(emulator, name, value):
    checkup(emulator, {name: value})


@pytest.mark.slow
def test_the_last_alternatives_of_all_are_told(emulator):
    checkup(emulator, {name: reading.alternatives[-1] for name, reading in READINGS.items()})

"""The doctor's questions are the emulator's readings, and tell how each of them is set."""

import pytest

from eedask.checkup.asking import Asker
from eedask.checkup.questions import QUESTIONS
from eedask.earthengine.connection import Connection
from eedask.earthengine.endpoint import Endpoint
from eedask.emulator import Emulator
from eedask.emulator.readings import READINGS

SETTINGS = [(name, value) for name, row in READINGS.items() for value in row.alternatives]


@pytest.fixture(scope="module")
def emulator():
    with Emulator(concurrency=2, latency=0.02, processes=1) as running:
        yield running


@pytest.fixture(scope="module")
def asker(emulator):
    connection = Connection(
        Endpoint(emulator.url, emulator.project, auth="anonymous", deadline=3), connections=80
    )
    yield Asker(connection)
    connection.close()


def test_the_questions_are_the_emulators_readings():
    assert [question.name for question in QUESTIONS] == list(READINGS)


@pytest.mark.parametrize(("name", "value"), SETTINGS)
def test_each_reading_that_is_set_is_told(emulator, asker, name, value):
    emulator.set_readings({name: value})
    (question,) = (q for q in QUESTIONS if q.name == name)
    assert question.ask(asker) == value

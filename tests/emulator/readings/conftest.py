"""The emulator's answers under readings, and its own ones again after each test."""

import pytest


@pytest.fixture
def under(emulator, client):
    """Set readings of the running emulator."""
    yield lambda *named, **given: emulator.set_readings(*named or (given,))
    emulator.set_readings(None)

"""Every way in which Earth Engine may be read, for tests of what holds under all of them."""

import pytest

from eedask.emulator.readings import READINGS

# What is too heavy, which nothing in those tests is, has a file of its own.
_ALONE = [
    f"{reading.name}={value}"
    for reading in READINGS.values()
    for value in reading.alternatives[1:]
    if reading.name != "capacity"
]
# The others, each alone, are for the slow tests.
_QUICK = ("", "all-other")


def under_all(quick=_QUICK):
    """Run a test under the emulator's own readings, each other one alone, and all of them."""
    return pytest.mark.parametrize(
        "readings",
        [
            pytest.param(
                spec, marks=[] if spec in quick else pytest.mark.slow, id=spec or "default"
            )
            for spec in ("", *_ALONE, "all-other")
        ],
        indirect=True,
    )

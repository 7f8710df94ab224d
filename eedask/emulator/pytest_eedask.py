"""A pytest plugin: tests of other packages run on an emulator of Earth Engine.

A module of its own beside the package, and everything imported in the fixtures, because every
pytest run of an environment loads it, whether its tests use Earth Engine or not.

A test asks for Earth Engine by an argument::

    def test_sum(earth_engine):
        assert ee.Number(1).add(1).getInfo() == 2

What the emulator is to mount, or to be told besides, stands in ``conftest.py``::

    @pytest.fixture(scope="session")
    def earth_engine_options():
        return {"mounts": {"projects/p/assets/dem": "tests/dem.tif"}}

A session has one emulator. Tests that need another one start it themselves::

    with Emulator(rate=5) as emulator, emulator.initialized():
        ...
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from eedask.emulator import Emulator


@pytest.fixture(scope="session")
def earth_engine_options() -> dict[str, Any]:
    """Return keyword arguments of the Emulator; override it in the top conftest.py."""
    return {}


@pytest.fixture(scope="session")
def earth_engine(earth_engine_options: dict[str, Any]) -> Iterator[Emulator]:
    """Initialise ``ee`` on an Earth Engine on this machine, offline, for the session.

    Its value is the eedask.emulator.Emulator, for ``url``, ``project``, ``credentials``,
    ``stats()``, ``set_faults()``. It renders in two processes unless the options say otherwise.
    At the session's end the emulator ends and ``ee`` is reset.
    """
    from eedask.emulator import Emulator

    # On a machine of many CPUs, starting a process for each would be most of a short run.
    options = {"processes": 2, **earth_engine_options}
    with Emulator(**options) as emulator, emulator.initialized():
        yield emulator

"""A pytest plugin: tests of other packages run on an emulator of Earth Engine.

Every pytest run in an environment loads this module, whether its tests use Earth Engine or not.
Therefore everything is imported inside the fixtures.

A test asks for Earth Engine by an argument::

    def test_sum(earth_engine):
        assert ee.Number(1).add(1).getInfo() == 2

Options of the emulator, such as files to mount, are set in ``conftest.py``::

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
    """Return keyword arguments for the Emulator; override it in the top-level ``conftest.py``."""
    return {}


@pytest.fixture(scope="session")
def earth_engine(earth_engine_options: dict[str, Any]) -> Iterator[Emulator]:
    """Initialise ``ee`` on an Earth Engine on this machine, offline, for the session.

    The fixture's value is the ``eedask.emulator.Emulator``, which has ``url``, ``project``,
    ``credentials``, ``stats()`` and ``set_faults()``. It computes in two processes unless the
    options set another number. When the session ends, the emulator stops and ``ee`` is reset.
    """
    from eedask.emulator import Emulator

    # On a machine with many CPUs, starting a process for each would take most of a short run.
    options = {"processes": 2, **earth_engine_options}
    with Emulator(**options) as emulator, emulator.initialized():
        yield emulator

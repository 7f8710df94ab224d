"""An emulator of Google Earth Engine: its REST API v1 on this machine, offline.

>>> with Emulator() as e:  # doctest: +SKIP
...     ee.Initialize(e.credentials, url=e.url, project=e.project)
"""

from __future__ import annotations

from importlib.util import find_spec

for _name in ("rasterio", "re2", "scipy", "tornado"):
    if find_spec(_name) is None:
        raise ModuleNotFoundError(
            f'The emulator needs {_name}, which is not installed: pip install "eedask[emulator]"',
            name=_name,
        )

from eedask.emulator.server.launcher import Emulator  # noqa: E402
from eedask.emulator.server.starting import EmulatorFailed  # noqa: E402
from eedask.emulator.traffic.faults import Faults, Latency  # noqa: E402

__all__ = ["Emulator", "EmulatorFailed", "Faults", "Latency"]


def __dir__() -> list[str]:
    """Return the public names."""
    return __all__

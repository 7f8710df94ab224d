"""Makes the answer to a request that is too heavy, by the reading ``capacity``.

The alternatives are the words of Earth Engine's guides, and what users report.
"""

from __future__ import annotations

from eedask.emulator.errors import EarthEngineError
from eedask.emulator.limits.budget import MemoryLimit, TimeLimit
from eedask.emulator.readings import reading

_MEMORY_WORDS = "Earth Engine memory capacity exceeded."
_TIME_WORDS = "Earth Engine capacity exceeded."
_DEADLINE_WORDS = "Deadline exceeded."


def too_heavy(error: EarthEngineError) -> EarthEngineError:
    """Return the error to answer with, by the reading ``capacity``.

    It is the error itself, unless memory or time ran out. The alternative "silence" is a 504 here;
    the server, which is able to wait, sends nothing in its place.
    """
    how = reading("capacity")
    if how == "400" or not isinstance(error, MemoryLimit | TimeLimit):
        return error
    if how == "503":
        words = _MEMORY_WORDS if isinstance(error, MemoryLimit) else _TIME_WORDS
        return EarthEngineError(words, 503)
    return EarthEngineError(_DEADLINE_WORDS, 504)

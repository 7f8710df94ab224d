"""How a request that is too heavy ends: the words of the guides, or what users report."""

from __future__ import annotations

from eedask.emulator.errors import EarthEngineError
from eedask.emulator.limits.budget import MemoryLimit, TimeLimit
from eedask.emulator.readings import reading

_MEMORY_WORDS = "Earth Engine memory capacity exceeded."
_TIME_WORDS = "Earth Engine capacity exceeded."
_DEADLINE_WORDS = "Deadline exceeded."


def too_heavy(error: EarthEngineError) -> EarthEngineError:
    """Return what is answered for an error, by the reading ``capacity``.

    The error itself, unless memory or time ran out. What is silence is 504 here: the server,
    which can wait, sends nothing of it.
    """
    how = reading("capacity")
    if how == "400" or not isinstance(error, MemoryLimit | TimeLimit):
        return error
    if how == "503":
        words = _MEMORY_WORDS if isinstance(error, MemoryLimit) else _TIME_WORDS
        return EarthEngineError(words, 503)
    return EarthEngineError(_DEADLINE_WORDS, 504)

"""The limits on the time and memory of one request, in the units that they are metered in."""

from __future__ import annotations

from dataclasses import dataclass

from eedask.emulator.errors import EarthEngineError

OPERATIONS_PER_EECU_SECOND = 1e7
"""Operations that cost one EECU-second. Reading one pixel of one band is one operation."""

PARALLELISM = 10
"""EECU-seconds that a request uses in a modelled second, as if so many machines worked on it."""


MEMORY_WORDS = "User memory limit exceeded."
TIME_WORDS = "Computation timed out."


class MemoryLimit(EarthEngineError):
    """More bytes are held than the budget allows; computing in smaller tiles may help."""

    def __init__(self) -> None:
        super().__init__(MEMORY_WORDS)


class TimeLimit(EarthEngineError):
    """More has been computed than the budget allows."""

    def __init__(self) -> None:
        super().__init__(TIME_WORDS)


@dataclass(frozen=True)
class Budget:
    """The limits of one request.

    Attributes
    ----------
    memory : int
        Bytes of pixels, lists and strings that may be held at the same time.
    timeout : float
        Modelled seconds of computing. The default is Earth Engine's limit for interactive
        requests (https://developers.google.com/earth-engine/guides/processing_environments).
    """

    memory: int = 2**30
    timeout: float = 300.0

    def __post_init__(self) -> None:
        if self.memory <= 0:
            raise ValueError(f"memory must be positive, not {self.memory}")
        if not self.timeout > 0:
            raise ValueError(f"timeout must be positive, not {self.timeout}")

    @property
    def operations(self) -> float:
        """The number of operations that the timeout allows."""
        return self.timeout * PARALLELISM * OPERATIONS_PER_EECU_SECOND

    @property
    def processor_seconds(self) -> float:
        """Real seconds of processor time after which a request is stopped in any case."""
        return 2 * self.timeout + 1

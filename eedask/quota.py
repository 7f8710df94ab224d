"""How many requests may be under way at once in one process."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator

from eedask.errors import InputError

# Requests that a project may have under way at once, unless Google raised it
# (https://developers.google.com/earth-engine/guides/usage).
DEFAULT_CONCURRENCY = 40


class Limiter:
    """Slots for requests that are under way.

    A slot is held for the exchange alone: not while backing off, decoding or writing.

    Parameters
    ----------
    slots : int
        Requests at once.
    """

    def __init__(self, slots: int) -> None:
        if slots < 1:
            raise InputError(f"at least one request at a time is needed; got {slots}")
        self.slots = slots
        self._free = threading.BoundedSemaphore(slots)

    @contextlib.contextmanager
    def slot(self) -> Iterator[None]:
        """Wait for a slot and hold it."""
        with self._free:
            yield


def share(total: int, processes: int, index: int) -> int:
    """Return how many of ``total`` slots the process number ``index`` of ``processes`` gets."""
    base, extra = divmod(total, processes)
    return max(1, base + (index < extra))

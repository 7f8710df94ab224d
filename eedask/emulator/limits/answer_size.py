"""The limit on the size of an answer, with its error "Computed value is too large.".

https://developers.google.com/earth-engine/guides/usage documents a limit of 100 MiB for a computed
(aggregation) result. That it also applies to the bytes of JSON that ``value:compute`` answers is a
guess.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from eedask.emulator.errors import EarthEngineError

MAX_RESULT = 100 * 2**20
"""The largest answer, in bytes of JSON."""


class TooLarge(EarthEngineError):
    """The answer has more bytes than allowed."""

    def __init__(self) -> None:
        super().__init__("Computed value is too large.")


def check_value(value: Any, most: int | None = None) -> None:
    """Raise :class:`TooLarge` if a value's JSON is certain to be too large, without writing it.

    A small list of references to one large list has a huge JSON. Each object is therefore sized
    only once, by a lower bound of its JSON; :func:`check_json` counts the actual bytes.

    Parameters
    ----------
    value : Any
    most : int, optional
        Bytes; by default :data:`MAX_RESULT`.
    """
    if _least_size(value, {}) > (MAX_RESULT if most is None else most):
        raise TooLarge


def check_json(text: bytes, most: int | None = None) -> None:
    """Raise :class:`TooLarge` if JSON has over ``most`` (by default :data:`MAX_RESULT`) bytes."""
    if len(text) > (MAX_RESULT if most is None else most):
        raise TooLarge


def _least_size(value: Any, known: dict[int, int]) -> int:
    """Return a lower bound of the bytes of a value's JSON; ``known`` holds sizes by id."""
    if isinstance(value, str):
        return len(value) + 2
    if isinstance(value, np.ndarray):
        return 2 * value.size
    if not isinstance(value, list | tuple | Mapping):
        return 1
    # All values stay alive while the outermost one does, so that no id is used twice.
    size = known.get(id(value))
    if size is None:
        if isinstance(value, Mapping):
            size = 1 + sum(len(str(k)) + 4 + _least_size(v, known) for k, v in value.items())
        else:
            size = 1 + sum(_least_size(item, known) + 1 for item in value)
        known[id(value)] = size
    return size

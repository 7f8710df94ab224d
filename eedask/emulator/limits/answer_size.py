"""How large an answer may be: "Computed value is too large.".

https://developers.google.com/earth-engine/guides/usage gives 100 MiB for one computed
(aggregation) result. That the same counts for what ``value:compute`` answers, as bytes of JSON,
is a guess.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from eedask.emulator.errors import EarthEngineError

MAX_RESULT = 100 * 2**20
"""Bytes of JSON."""


class TooLarge(EarthEngineError):
    """A result of more bytes than are answered."""

    def __init__(self) -> None:
        super().__init__("Computed value is too large.")


def check_value(value: Any, most: int | None = None) -> None:
    """Refuse a value whose JSON cannot be small enough, before it is made.

    A list that holds one other many times is small until it is written out. So each is counted
    once, and what is counted is no more than what its JSON takes: the exact count is
    :func:`check_json`'s.

    Raises
    ------
    TooLarge
    """
    if _least_size(value, {}) > (MAX_RESULT if most is None else most):
        raise TooLarge


def check_json(text: bytes, most: int | None = None) -> None:
    """Refuse an answer of too many bytes.

    Raises
    ------
    TooLarge
    """
    if len(text) > (MAX_RESULT if most is None else most):
        raise TooLarge


def _least_size(value: Any, known: dict[int, int]) -> int:
    if isinstance(value, str):
        return len(value) + 2
    if isinstance(value, np.ndarray):
        return 2 * value.size
    if not isinstance(value, list | tuple | Mapping):
        return 1
    # The values are alive as long as the outermost one is: ids are not used twice.
    size = known.get(id(value))
    if size is None:
        if isinstance(value, Mapping):
            size = 1 + sum(len(str(k)) + 4 + _least_size(v, known) for k, v in value.items())
        else:
            size = 1 + sum(_least_size(item, known) + 1 for item in value)
        known[id(value)] = size
    return size

"""Filters: conditions on an element of a collection, or on a pair of elements in a join."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from eedask.emulator.values.values import EVERYTHING, Query


@dataclass(frozen=True)
class Filter:
    """A condition.

    Attributes
    ----------
    test : callable
        ``test(left, right) -> bool``. Outside joins both are the one element.
    hint : Query
        What a collection's reader may leave out; excludes nothing that passes.
    exact : bool
        Whether the hint, a range of times, says all that the condition does.
    measure : callable, optional
        ``measure(left, right) -> float``, how well a pair fits; smaller is better.
    """

    test: Callable[[Any, Any], bool]
    hint: Query = EVERYTHING
    measure: Callable[[Any, Any], float] | None = None
    exact: bool = False

    def passes(self, element: Any) -> bool:
        """Whether a single element meets the condition."""
        return self.test(element, element)

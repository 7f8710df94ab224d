"""Filters (``ee.Filter``): conditions on an element, or on a pair of elements in a join."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from eedask.emulator.values.value_types import EVERYTHING, Query


@dataclass(frozen=True)
class Filter:
    """What an ``ee.Filter`` tests.

    Attributes
    ----------
    test : callable
        ``test(left, right) -> bool``. Outside of joins both are the same element.
    hint : Query
        Lets a collection's source skip elements early; it excludes none that pass the test.
    exact : bool
        Whether the hint, a range of times, is equivalent to the test.
    measure : callable, optional
        ``measure(left, right) -> float``, how well a pair matches in a join; smaller is better.
    """

    test: Callable[[Any, Any], bool]
    hint: Query = EVERYTHING
    measure: Callable[[Any, Any], float] | None = None
    exact: bool = False

    def passes(self, element: Any) -> bool:
        """Return whether a single element passes the filter."""
        return self.test(element, element)

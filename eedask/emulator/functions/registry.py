"""Which Python function computes which of Earth Engine's algorithms."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True)
class Implementation:
    """A function and whether it wants the evaluation's context as its first argument."""

    function: Callable[..., Any]
    needs_context: bool


IMPLEMENTATIONS: dict[str, Implementation] = {}


def algorithm(*names: str, needs_context: bool = False) -> Callable[[F], F]:
    """Register a function as the implementation of one or more algorithms.

    The function gets its arguments by position, in the order of the algorithm's signature,
    each coerced to its declared type and with defaults filled in; with ``needs_context`` the
    :class:`~eedask.emulator.expression.expression.Context` comes before them.
    """

    def register(function: F) -> F:
        for name in names:
            if name in IMPLEMENTATIONS:
                raise ValueError(f"{name} is implemented twice")
            IMPLEMENTATIONS[name] = Implementation(function, needs_context)
        return function

    return register

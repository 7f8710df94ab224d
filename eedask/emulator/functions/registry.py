"""The table of implementations: Earth Engine's algorithms by name, and facts about each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any, TypeVar

F = TypeVar("F", bound=Callable[..., Any])


class Keeps(Enum):
    """What an algorithm's result keeps of its arguments: footprint and properties.

    A composite of a mapped collection needs only the images whose footprints touch its grid. These
    can be selected before the function is called, if each algorithm in the function keeps the
    image's footprint (:mod:`eedask.emulator.expression.lineage`). To keep an argument means: the
    result's footprint lies within the argument's, and each property of the result has the
    argument's value or is missing.
    """

    NOTHING = auto()
    """Nothing is known of the result. This is always correct, if slow."""

    CONSTANT = auto()
    """The result is an image of constants, which has no footprint."""

    FIRST = auto()
    """The result keeps the first argument."""

    FIRST_IF_SAME_FOOTPRINT = auto()
    """The result keeps the first argument if ``sameFootprint`` is true, else nothing."""

    FIRST_OR_SECOND = auto()
    """Arithmetic: the result keeps the first image, or the second if the first is a constant."""

    FIRST_OF_LIST = auto()
    """The result keeps the first image of the list ``images``."""

    BRANCHES = auto()
    """The result is either ``trueCase`` or ``falseCase``."""

    FIRST_BUT_ONE_PROPERTY = auto()
    """The result keeps ``object``, but for the property named by ``key``."""

    FIRST_BUT_PROPERTIES = auto()
    """The result keeps ``object``, but for the properties in the dictionary ``properties``."""

    FIRST_BUT_COPIED = auto()
    """The result keeps ``destination``, but for properties copied from ``source``."""


@dataclass(frozen=True)
class Implementation:
    """A function that computes an algorithm, and facts about it.

    Attributes
    ----------
    function : callable
    needs_context : bool
        Whether its first argument is the evaluation's context.
    takes_arrays : bool
        Whether its images may have pixels that are arrays. If not, such images are refused before
        the call: otherwise the function would fail while pixels are read, with a message of NumPy.
    keeps : Keeps
    """

    function: Callable[..., Any]
    needs_context: bool = False
    takes_arrays: bool = False
    keeps: Keeps = Keeps.NOTHING


IMPLEMENTATIONS: dict[str, Implementation] = {}


def algorithm(
    *names: str,
    needs_context: bool = False,
    takes_arrays: bool = False,
    keeps: Keeps = Keeps.NOTHING,
) -> Callable[[F], F]:
    """Register a function as the implementation of one or more algorithms.

    The function gets its arguments by position, in the order of the algorithm's signature,
    each coerced to its declared type and with defaults filled in; with ``needs_context`` the
    :class:`~eedask.emulator.expression.expression.Context` comes before them.

    Parameters
    ----------
    *names : str
        Such as ``"Image.add"``.
    needs_context, takes_arrays, keeps
        As in :class:`Implementation`.

    Raises
    ------
    ValueError
        If one of the names has an implementation already.
    """

    def register(function: F) -> F:
        for name in names:
            if name in IMPLEMENTATIONS:
                raise ValueError(f"{name} is implemented twice")
            IMPLEMENTATIONS[name] = Implementation(function, needs_context, takes_arrays, keeps)
        return function

    return register

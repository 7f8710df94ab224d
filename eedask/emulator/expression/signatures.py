"""Reads the signatures of Earth Engine's algorithms; binds the arguments of calls to them.

The signatures come from the list that is installed with the client
(``ee/tests/algorithms.json``), so that client and emulator always agree.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

from eedask.emulator.errors import EarthEngineError, NotSupported
from eedask.emulator.functions.registry import IMPLEMENTATIONS, Implementation
from eedask.emulator.pixels.bands import need_numbers
from eedask.emulator.protocol.discovery import algorithms_json
from eedask.emulator.values.coercion import Coercer, Mismatch, coercer
from eedask.emulator.values.typenames import type_name

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Argument:
    """One declared argument of an algorithm."""

    name: str
    type: str
    optional: bool
    default: Any

    @cached_property
    def coerce(self) -> Coercer:
        """The function that converts a value to the declared type."""
        return coercer(self.type)

    @property
    def nullable(self) -> bool:
        """Whether null may be given: if the argument is optional, or its type is Object."""
        return self.optional or self.type == "Object"


@dataclass(frozen=True)
class Signature:
    """An algorithm's name, arguments in order, and the type it returns."""

    name: str
    arguments: tuple[Argument, ...]
    returns: str

    @cached_property
    def names(self) -> frozenset[str]:
        """The names of the arguments."""
        return frozenset(a.name for a in self.arguments)

    @cached_property
    def images(self) -> tuple[int, ...]:
        """The positions of the arguments that are images."""
        return tuple(i for i, a in enumerate(self.arguments) if a.type.startswith("Image<"))

    @cached_property
    def implementation(self) -> Implementation:
        """The Python function that computes it; raises 400 if the emulator has none."""
        implementation = IMPLEMENTATIONS.get(self.name)
        if implementation is None:
            raise NotSupported(f"the algorithm {self.name}")
        return implementation

    def bind(self, given: Mapping[str, Any], context: Any) -> list[Any]:
        """Return the arguments by position, coerced, with defaults filled in.

        Raises
        ------
        EarthEngineError
            400 for an unknown argument, a missing one, or a value that cannot be converted to
            the declared type.
        """
        if not given.keys() <= self.names:
            unknown = sorted(given.keys() - self.names)
            raise EarthEngineError(f"{self.name}: Unrecognized argument '{unknown[0]}'.")
        return [self._value(a, given.get(a.name), a.name in given, context) for a in self.arguments]

    def _value(self, argument: Argument, value: Any, is_given: bool, context: Any) -> Any:
        if value is None:
            if argument.optional:
                value = argument.default
            elif not (is_given and argument.nullable):
                raise EarthEngineError(
                    f"{self.name}: Parameter '{argument.name}' is required and may not be null."
                )
            if value is None:
                return None
        try:
            return argument.coerce(value, context)
        except Mismatch:
            raise EarthEngineError(
                f"{self.name}, argument '{argument.name}': Invalid type.\n"
                f"Expected type: {argument.type}.\nActual type: {type_name(value)}."
            ) from None

    def call(self, given: Mapping[str, Any], context: Any) -> Any:
        """Bind the arguments and compute the algorithm."""
        implementation = self.implementation
        arguments = self.bind(given, context)
        if self.images and not implementation.takes_arrays:
            need_numbers(self.name, (arguments[i] for i in self.images))
        try:
            if implementation.needs_context:
                return implementation.function(context, *arguments)
            return implementation.function(*arguments)
        except (EarthEngineError, RecursionError, MemoryError):
            raise
        except Exception as error:
            # This is a fault of the emulator, yet 400: clients would retry a 500 in vain.
            logger.exception("%s failed", self.name)
            raise EarthEngineError(
                f"{self.name}: Internal error of the eedask emulator: "
                f"{type(error).__name__}: {error}"
            ) from error


@lru_cache(maxsize=1)
def signatures() -> dict[str, Signature]:
    """Return all of Earth Engine's algorithms by name."""
    found = (_signature(entry) for entry in json.loads(algorithms_json())["algorithms"])
    return {signature.name: signature for signature in found}


def signature(name: str) -> Signature:
    """Return one algorithm's signature; 400 if Earth Engine has no such algorithm."""
    try:
        return signatures()[name]
    except (KeyError, TypeError):
        raise EarthEngineError(f"Unknown algorithm: '{name}'.") from None


def _signature(entry: Mapping[str, Any]) -> Signature:
    arguments = tuple(
        Argument(a["argumentName"], a["type"], a.get("optional", False), a.get("defaultValue"))
        for a in entry.get("arguments", ())
    )
    return Signature(entry["name"].removeprefix("algorithms/"), arguments, entry["returnType"])

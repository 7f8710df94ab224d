"""The classes that describe messages of the REST API v1: field types, messages, enums."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Literal

Container = Literal["one", "list", "map"]


@dataclass(frozen=True)
class FieldType:
    """What a field holds: a scalar, message or enum, alone, in a list or in a string map."""

    name: str
    container: Container = "one"

    @cached_property
    def one(self) -> FieldType:
        """What is in the list or map."""
        return FieldType(self.name)


@dataclass(frozen=True)
class Message:
    """A JSON object: its fields, which of them exclude each other, and which are required."""

    name: str
    fields: Mapping[str, FieldType]
    oneofs: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    required: tuple[str, ...] = ()
    any_of: tuple[str, ...] = ()

    @cached_property
    def by_any_name(self) -> dict[str, str]:
        """Field names by camelCase and snake_case name: a JSON parser takes both."""
        return {name: camel for camel in self.fields for name in (camel, snake_case(camel))}


@dataclass(frozen=True)
class Enum:
    """A closed set of names, of which the first means that no value is given."""

    name: str
    values: tuple[str, ...]
    aliases: Mapping[str, str] = field(default_factory=dict)


@lru_cache(maxsize=4096)
def snake_case(name: str) -> str:
    """Return the name that the service's own definition gives a camelCase field."""
    return re.sub(r"([A-Z])", lambda found: "_" + found[1].lower(), name)

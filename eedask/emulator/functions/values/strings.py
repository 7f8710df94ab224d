"""String.*, and the algorithms that name and compare values of any type."""

from __future__ import annotations

import json
from typing import Any

from eedask.emulator.errors import EarthEngineError
from eedask.emulator.functions.registry import algorithm
from eedask.emulator.values.comparison import equal
from eedask.emulator.values.info import to_info
from eedask.emulator.values.patterns import Pattern
from eedask.emulator.values.typenames import type_name


def text_of(value: Any) -> str:
    """Return the text of a value that becomes part of a string."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(to_info(value))
    return json.dumps(to_info(value), separators=(",", ":"))


@algorithm("String")
def string(value: Any) -> str:
    """Return a value as a string; the form is documented for strings, numbers and booleans only."""
    return text_of(value)


@algorithm("String.cat")
def cat(first: str, second: str) -> str:
    """Return two strings joined."""
    return first + second


@algorithm("String.compareTo")
def compare_to(first: str, second: str) -> int:
    """Return -1, 0 or 1 as the first sorts before, with or after the second."""
    return (first > second) - (first < second)


@algorithm("String.decodeJSON")
def decode_json(text: str) -> Any:
    """Return the value that a JSON text holds."""
    try:
        return json.loads(text)
    except ValueError as error:
        raise EarthEngineError(f"String.decodeJSON: Invalid JSON: {error}.") from None


@algorithm("String.encodeJSON")
def encode_json(value: Any) -> str:
    """Return a value as JSON text."""
    return json.dumps(to_info(value), separators=(",", ":"))


@algorithm("String.equals")
def equals(reference: str, target: Any) -> bool:
    """Return whether ``target`` is an equal string."""
    return isinstance(target, str) and target == reference


@algorithm("String.index")
def index(target: str, pattern: str) -> int:
    """Return the position at which ``pattern`` first occurs, or -1."""
    return target.find(pattern)


@algorithm("String.rindex")
def rindex(target: str, pattern: str) -> int:
    """Return the position at which ``pattern`` last occurs, or -1."""
    return target.rfind(pattern)


@algorithm("String.length")
def length(text: str) -> int:
    """Return the number of characters."""
    return len(text)


@algorithm("String.match")
def match(text: str, regex: str, flags: str) -> list[str]:
    """Return all matches with flag ``g``, else the first one followed by its groups."""
    pattern = Pattern(regex, ignore_case="i" in flags)
    return [m.group() for m in pattern.all(text)] if "g" in flags else pattern.first(text)


@algorithm("String.replace")
def replace(text: str, regex: str, replacement: str, flags: str) -> str:
    """Return a string with the first match, or all with flag ``g``, replaced; ``$1`` is a group."""
    pattern = Pattern(regex, ignore_case="i" in flags)
    return pattern.replaced(text, replacement, everywhere="g" in flags)


@algorithm("String.slice")
def slice_string(text: str, start: int, end: int | None) -> str:
    """Return a slice of a string; negative positions count from its end."""
    return text[start:end]


@algorithm("String.split")
def split(text: str, regex: str, flags: str) -> list[str]:
    """Return the parts of a string between matches, without empty ones at the end."""
    if regex == "":
        return list(text)
    parts, position = [], 0
    for found in Pattern(regex, ignore_case="i" in flags).all(text):
        if found.end() > found.start():
            parts.append(text[position : found.start()])
            position = found.end()
    parts.append(text[position:])
    while len(parts) > 1 and parts[-1] == "":
        parts.pop()
    return parts


@algorithm("String.toLowerCase")
def to_lower_case(text: str) -> str:
    """Return a string in lower case."""
    return text.lower()


@algorithm("String.toUpperCase")
def to_upper_case(text: str) -> str:
    """Return a string in upper case."""
    return text.upper()


@algorithm("String.trim")
def trim(text: str) -> str:
    """Return a string without the white space around it."""
    return text.strip()


@algorithm("ObjectType")
def object_type(value: Any) -> str:
    """Return the name of a value's type, such as ``Integer``."""
    return type_name(value)


@algorithm("IsEqual")
def is_equal(left: Any, right: Any) -> bool:
    """Return whether two values are equal."""
    return equal(left, right)

"""JSON values as the scalars of protocol buffers.

The rules are those of their JSON form (https://protobuf.dev/programming-guides/json/).
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Mapping
from typing import Any

from eedask.emulator.protocol.schema_types import Enum


class Invalid(Exception):
    """A scalar that is not of its type."""


def enum_name(enum: Enum, value: Any) -> str:
    """Return the name of an enum's value, given by name or number."""
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < len(enum.values):
        return enum.values[value]
    name = enum.aliases.get(value, value) if isinstance(value, str) else None
    if name not in enum.values:
        raise Invalid
    return name


def _integer(bits: int) -> Callable[[Any], int]:
    limit = 2 ** (bits - 1)

    def check(value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int | float | str):
            raise Invalid
        if isinstance(value, str):
            # A string keeps all 64 bits, where a float would not.
            if not re.fullmatch(r"-?\d{1,19}", value):
                raise Invalid
            number = int(value)
        elif value != value or value in (float("inf"), float("-inf")) or value != int(value):
            raise Invalid
        else:
            number = int(value)
        if not -limit <= number < limit:
            raise Invalid
        return number

    return check


def _int64(value: Any) -> str:
    return str(_integer(64)(value))


def _number(value: Any) -> float:
    if isinstance(value, str) and value not in ("NaN", "Infinity", "-Infinity"):
        if not re.fullmatch(r"[-+]?(\d++\.?\d*|\.\d+)([eE][-+]?\d+)?", value):
            raise Invalid
    elif isinstance(value, bool) or not isinstance(value, int | float | str):
        raise Invalid
    return float(value)


def _boolean(value: Any) -> bool:
    if value in ("true", "false"):
        return value == "true"
    return _typed(bool)(value)


def _bytes(value: Any) -> str:
    text = _typed(str)(value)
    try:
        # The node stays as it came; only its form is checked (both base64 alphabets).
        base64.b64decode(text.replace("-", "+").replace("_", "/") + "==", validate=False)
    except binascii.Error as error:
        raise Invalid from error
    return text


def _typed(kind: type) -> Callable[[Any], Any]:
    def check(value: Any) -> Any:
        if not isinstance(value, kind):
            raise Invalid
        return value

    return check


SCALARS: Mapping[str, Callable[[Any], Any]] = {
    "string": _typed(str),
    "object": _typed(dict),
    "value": lambda value: value,
    "boolean": _boolean,
    "bytes": _bytes,
    "number": _number,
    "int32": _integer(32),
    "int64": _int64,
}
PROTO_NAMES = {
    "string": "TYPE_STRING",
    "object": "type.googleapis.com/google.protobuf.Struct",
    "value": "type.googleapis.com/google.protobuf.Value",
    "boolean": "TYPE_BOOL",
    "bytes": "TYPE_BYTES",
    "number": "TYPE_DOUBLE",
    "int32": "TYPE_INT32",
    "int64": "TYPE_INT64",
}

"""A quick check of request bodies that finds out whether something is wrong, but not what.

Requests have hundreds of nodes, and nearly all are valid. To be fast, this check does not track its
position in the body. If it fails, :mod:`~eedask.emulator.protocol.validation` checks the body once
more, slowly, and reports which fields are at fault.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any

from eedask.emulator.protocol.json_scalars import SCALARS, Invalid, enum_name
from eedask.emulator.protocol.schema_types import FieldType
from eedask.emulator.protocol.schemas import ENUMS, MESSAGES

MAX_DEPTH = 200

_Reader = Callable[[Any, int], Any]
_Scalar = Callable[[Any], Any]


class Unfit(Exception):
    """A value does not have the type that the API declares for its field."""


def fitted(payload: dict[str, Any], message: str) -> dict[str, Any]:
    """Return the fields of a message by camelCase name; what is null or absent is left out.

    Raises
    ------
    Unfit
        Anything at all is wrong with it.
    """
    try:
        fields: dict[str, Any] = _message(message)(payload, 0)
    except (Invalid, RecursionError) as error:
        raise Unfit from error
    return fields


@lru_cache(maxsize=256)
def _field(kind: FieldType) -> _Reader:
    """Return a function that checks a field's value, given the depth of nested messages."""
    if kind.container == "list":
        return partial(_list, _field(kind.one))
    if kind.container == "map":
        return partial(_map, _field(kind.one))
    if kind.name in MESSAGES:
        # Looked up when the value is read, since messages may contain each other.
        return lambda value, depth: _message(kind.name)(value, depth)
    scalar = _scalar(kind)
    assert scalar is not None
    return lambda value, depth: scalar(value)


def _scalar(kind: FieldType) -> _Scalar | None:
    """Return a function that checks a single scalar; None if the field is no scalar."""
    if kind.container != "one" or kind.name in MESSAGES:
        return None
    return partial(enum_name, ENUMS[kind.name]) if kind.name in ENUMS else SCALARS[kind.name]


def _list(one: _Reader, value: Any, depth: int) -> list[Any]:
    if not isinstance(value, list):
        raise Unfit
    return [one(item, depth) for item in value]


def _map(one: _Reader, value: Any, depth: int) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise Unfit
    return {key: one(item, depth) for key, item in value.items()}


def _known(camel: str, kind: FieldType) -> tuple[str, bool, _Scalar | None, _Reader]:
    """Return a field's name, whether it may be null, and the functions that check its value."""
    return camel, kind.name == "value", _scalar(kind), _field(kind)


@lru_cache(maxsize=256)
def _message(name: str) -> _Reader:
    message = MESSAGES[name]
    names = message.by_any_name
    known = {key: _known(camel, message.fields[camel]) for key, camel in names.items()}
    required = frozenset(message.required)
    any_of = frozenset(message.any_of)
    exclusive = [frozenset(members) for members in message.oneofs.values()]

    def read(value: Any, depth: int) -> dict[str, Any]:
        if not isinstance(value, dict) or depth > MAX_DEPTH:
            raise Unfit
        fields: dict[str, Any] = {}
        for key, item in value.items():
            field = known.get(key)
            if field is None:
                raise Unfit
            camel, may_be_null, scalar, reader = field
            if item is not None or may_be_null:
                fields[camel] = scalar(item) if scalar else reader(item, depth + 1)
        if len(fields) > 1:
            for members in exclusive:
                if len(members & fields.keys()) > 1:
                    raise Unfit
        if not required <= fields.keys() or (any_of and any_of.isdisjoint(fields)):
            raise Unfit
        return fields

    return read

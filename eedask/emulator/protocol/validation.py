"""Checks request bodies and query strings against the discovery document.

The rules are those of the JSON form of protocol buffers
(https://protobuf.dev/programming-guides/json/): names in camelCase or snake_case, null for a value
that is not given, 64-bit integers as strings, enums by name or number, no bare NaN. An error lists
all faults at once, in the words of Google's front ends as far as such answers are public. The words
for a list in place of a single value, and for a missing field, are a guess.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from eedask.emulator.errors import EarthEngineError
from eedask.emulator.protocol.api import STANDARD_QUERY, Method
from eedask.emulator.protocol.fitting import MAX_DEPTH, Unfit, fitted
from eedask.emulator.protocol.json_scalars import PROTO_NAMES, SCALARS, Invalid, enum_name
from eedask.emulator.protocol.schema_types import FieldType, Message, snake_case
from eedask.emulator.protocol.schemas import ENUMS, MESSAGES

_TYPE_URL = "type.googleapis.com/google.earthengine.v1."
_PAYLOAD = "Invalid JSON payload received."
_TAG = re.compile(r"[a-zA-Z0-9]([-_a-zA-Z0-9]{0,61}[a-zA-Z0-9])?")
_MAX_DIGITS = 309  # the largest double has as many


class BadRequest(EarthEngineError):
    """A request that does not fit the API, with a violation for each field at fault."""

    def __init__(self, violations: list[tuple[str, str]]) -> None:
        super().__init__("\n".join(description for _, description in violations))
        self.violations = violations

    def body(self) -> dict[str, dict[str, object]]:
        """Return the JSON body, with ``details`` that name the fields."""
        body = super().body()
        fields = [{"field": f, "description": d} for f, d in self.violations]
        detail = {"@type": "type.googleapis.com/google.rpc.BadRequest", "fieldViolations": fields}
        body["error"]["details"] = [detail]
        return body


def parse_body(body: bytes, message: str) -> dict[str, Any]:
    """Return the body's fields by camelCase name, checked; what is null or absent is left out.

    Raises
    ------
    EarthEngineError
        400: not JSON, or not a ``message``.
    """
    payload = _load(body) if body.strip() else {}
    if not isinstance(payload, dict):
        text = f'{_PAYLOAD} Unknown name "": Root element must be a message.'
        raise BadRequest([("", text)])
    fields = _checked(payload, message)
    check_workload_tag(fields.get("workloadTag"))
    return fields


def _checked(payload: dict[str, Any], message: str) -> dict[str, Any]:
    try:
        return fitted(payload, message)
    except Unfit:
        checker = _Checker()
        fields = checker.message(MESSAGES[message], payload, "", 0)
        if checker.violations:
            raise BadRequest(checker.violations) from None
        return fields


def parse_query(query: Mapping[str, str], method: Method) -> dict[str, Any]:
    """Return the query parameters of a method, checked, without the standard ones."""
    checker = _Checker()
    result: dict[str, Any] = {}
    for name, text in query.items():
        if name in STANDARD_QUERY:
            continue
        if name not in method.query:
            checker.violations.append(("", _unbound(name)))
            continue
        value = checker.value(method.query[name], text, snake_case(name), 0)
        if value is not None:
            result[name] = value
    if checker.violations:
        raise BadRequest(checker.violations)
    check_workload_tag(result.get("workloadTag"))
    return result


def check_workload_tag(tag: str | None) -> None:
    """Refuse a workload tag that is not 1-63 letters, digits, ``-`` and ``_``.

    https://developers.google.com/earth-engine/guides/monitoring_usage. That upper case is
    allowed is what the page says; the Python client is stricter.
    """
    if tag and not _TAG.fullmatch(tag):
        raise EarthEngineError(
            f'Invalid workload tag "{tag}". Tags must be 1-63 characters, beginning and ending '
            "with an alphanumeric character, with dashes, underscores and alphanumerics between."
        )


def _unbound(name: str) -> str:
    return (
        f'{_PAYLOAD} Unknown name "{name}": Cannot bind query parameter. '
        f"Field '{name}' could not be found in request message."
    )


def _load(body: bytes) -> Any:
    try:
        text = body.decode()
    except UnicodeDecodeError as error:
        raise EarthEngineError(f"{_PAYLOAD} Encountered non UTF-8 code points.") from error
    try:
        return _DECODER.decode(text)
    except Invalid as error:
        token = str(error)
        # The token is legal inside strings, closed or not: find the first one outside.
        outside = re.sub(r'"(?:[^"\\]|\\.)*+"?', lambda found: "·" * len(found[0]), text)
        raise _unexpected(text, outside.find(token)) from error
    except json.JSONDecodeError as error:
        raise _unexpected(text, error.pos) from error
    except RecursionError as error:
        raise EarthEngineError(f"{_PAYLOAD} Message too deep.") from error


def _refuse_constant(token: str) -> Any:
    raise Invalid(token)


def _whole_number(text: str) -> int:
    """Return an integer; one beyond the range of doubles is refused, since JSON's are doubles."""
    if len(text) > _MAX_DIGITS:
        raise EarthEngineError(f"{_PAYLOAD} Number is out of range: {text[:20]}...")
    return int(text)


# Made once: json.loads would make one each time.
_DECODER = json.JSONDecoder(parse_constant=_refuse_constant, parse_int=_whole_number)


def _unexpected(text: str, position: int) -> EarthEngineError:
    start = max(0, position - 20)
    excerpt = text[start : position + 20].replace("\n", " ")
    caret = " " * (position - start) + "^"
    return EarthEngineError(f"{_PAYLOAD} Unexpected token.\n{excerpt}\n{caret}")


class _Checker:
    """Compares a value with its type and collects all violations."""

    def __init__(self) -> None:
        self.violations: list[tuple[str, str]] = []

    def message(
        self, message: Message, value: Mapping[str, Any], path: str, depth: int
    ) -> dict[str, Any]:
        if depth > MAX_DEPTH:
            raise EarthEngineError(f"{_PAYLOAD} Message too deep. Max recursion depth reached.")
        names = message.by_any_name
        fields: dict[str, Any] = {}
        for key, item in value.items():
            name = names.get(key)
            if name is None:
                self._unknown(key, path, "Cannot find field.")
                continue
            kind = message.fields[name]
            if item is None and kind.name != "value":
                continue
            fields[name] = self.value(kind, item, _join(path, snake_case(name)), depth + 1)
        self._check_presence(message, fields, path)
        return fields

    def value(self, kind: FieldType, value: Any, path: str, depth: int) -> Any:
        """Return a field's value converted to its type, recording violations."""
        one = kind.one
        if kind.container == "list":
            if not isinstance(value, list):
                return self._invalid(kind.name, value, path)
            return [self.value(one, v, f"{path}[{i}]", depth) for i, v in enumerate(value)]
        if kind.container == "map":
            if not isinstance(value, dict):
                return self._invalid(kind.name, value, path)
            return {
                key: self.value(one, item, f"{path}[{i}].value", depth)
                for i, (key, item) in enumerate(value.items())
            }
        if isinstance(value, list) and kind.name != "value":
            parent, _, name = path.rpartition(".")
            return self._unknown(name, parent, "Proto field is not repeating, cannot start list.")
        return self._single(kind.name, value, path, depth)

    def _single(self, name: str, value: Any, path: str, depth: int) -> Any:
        if name in MESSAGES:
            if not isinstance(value, dict):
                return self._invalid(name, value, path)
            return self.message(MESSAGES[name], value, path, depth)
        try:
            return enum_name(ENUMS[name], value) if name in ENUMS else SCALARS[name](value)
        except Invalid:
            return self._invalid(name, value, path)

    def _check_presence(self, message: Message, fields: dict[str, Any], path: str) -> None:
        for oneof, members in message.oneofs.items() if len(fields) > 1 else ():
            given = [name for name in members if name in fields]
            if len(given) > 1:
                text = (
                    f"Invalid value at '{path}' (oneof), oneof field '{oneof}' is already set. "
                    f"Cannot set '{given[1]}'"
                )
                self.violations.append((path, text))
        missing = [name for name in message.required if name not in fields]
        if message.any_of and not any(name in fields for name in message.any_of):
            missing.append(" or ".join(message.any_of))
        # An unknown name is usually the missing one misspelt, so only the former is reported.
        if missing and not self.violations:
            text = f"Missing required field: {_join(path, missing[0])}."
            self.violations.append((path, text))

    def _unknown(self, name: str, path: str, why: str) -> None:
        where = f" at '{path}'" if path else ""
        self.violations.append((path, f'{_PAYLOAD} Unknown name "{name}"{where}: {why}'))

    def _invalid(self, name: str, value: Any, path: str) -> None:
        is_scalar = name in SCALARS
        kind = PROTO_NAMES[name] if is_scalar else _TYPE_URL + name
        text = f"Invalid value at '{path}' ({kind}), {_abridged(value)}"
        self.violations.append((path, text))


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _abridged(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 200 else text[:200] + "..."

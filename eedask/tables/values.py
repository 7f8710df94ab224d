"""Values of Earth Engine's JSON as values of Arrow: types inferred, and values that fit them."""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Mapping
from typing import Any

import pyarrow as pa

from eedask.errors import InputError

# What fitting a value of JSON to a type raises where it does not fit: a list where a number should
# be, a number beyond the type, a text that is not of whole characters, lists nested too deep.
MISFITS = (
    ValueError,
    TypeError,
    AttributeError,
    LookupError,
    OverflowError,
    RecursionError,
    pa.ArrowException,
)

TIME = pa.timestamp("ms", tz="UTC")
# How JSON, which has no numbers for them, carries these.
_SPECIAL = {"NaN": float("nan"), "Infinity": float("inf"), "-Infinity": float("-inf")}


def infer(values: Iterable[Any]) -> pa.DataType:
    """Return the type that holds all values.

    Numbers are float64, as JSON does not tell whole numbers from others; state a schema for
    integers. What holds nothing but nulls is float64 as well. Dictionaries whose keys are all
    numbers, as histograms have them, are maps, others structs of all keys seen.

    Raises
    ------
    InputError
        If no one type holds them.
    """
    found = [value for value in values if value is not None]
    if not found or all(_is_number(value) for value in found):
        return pa.float64()
    if all(isinstance(value, bool) for value in found):
        return pa.bool_()
    if all(isinstance(value, str) for value in found):
        return pa.string()
    if all(isinstance(value, list) for value in found):
        return pa.list_(infer(item for value in found for item in value))
    if all(_is_date(value) for value in found):
        return TIME
    if all(isinstance(value, Mapping) for value in found):
        return _infer_mapping(found)
    kinds = sorted({type(value).__name__ for value in found})
    raise InputError(
        f"the values are of several kinds ({', '.join(kinds)}), so no column holds them; state"
        " schema=, or let the function give one kind"
    )


def _infer_mapping(found: list[Mapping[str, Any]]) -> pa.DataType:
    keys = list(dict.fromkeys(key for value in found for key in value))
    if keys and all(_is_numeral(key) for key in keys):
        return pa.map_(pa.string(), infer(item for value in found for item in value.values()))
    if not keys:
        return pa.map_(pa.string(), pa.float64())
    return pa.struct([(key, infer(value.get(key) for value in found)) for key in keys])


def fit(value: Any, kind: pa.DataType) -> Any:
    """Return a value of JSON as one that a column of this type takes.

    Raises
    ------
    ValueError, or another of :data:`MISFITS`
        If it does not fit.
    """
    if value is None:
        return None
    if pa.types.is_floating(kind):
        return _SPECIAL[value] if isinstance(value, str) and value in _SPECIAL else float(value)
    if pa.types.is_integer(kind):
        return _whole(value, kind)
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        time = to_time(value["value"] if _is_date(value) else value)
        return time.date() if time is not None and pa.types.is_date(kind) else time
    if pa.types.is_list(kind):
        if not isinstance(value, list):
            raise ValueError(f"{value!r} is no list")
        return [fit(item, kind.value_type) for item in value]
    if pa.types.is_map(kind):
        given = _dictionary(value).items()
        return [(_key(key, kind.key_type), fit(item, kind.item_type)) for key, item in given]
    if pa.types.is_struct(kind):
        value = _dictionary(value)
        return {field.name: fit(value.get(field.name), field.type) for field in kind}
    if pa.types.is_string(kind):
        return _text(value)
    if pa.types.is_boolean(kind):
        if value not in (0, 1):
            raise ValueError(f"{value!r} is neither true nor false")
        return bool(value)
    try:
        # What a column does not take would fail the whole table.
        pa.scalar(value, kind)
    except (pa.ArrowException, TypeError, ValueError, OverflowError) as error:
        raise ValueError(f"{value!r} is no {kind}") from error
    return value


def _whole(value: Any, kind: pa.DataType) -> int:
    if isinstance(value, str) or int(value) != value:
        raise ValueError(f"{value!r} is no whole number")
    try:
        # A number that the type cannot hold would fail the whole table.
        return int(pa.scalar(int(value), kind).as_py())
    except (OverflowError, pa.ArrowInvalid) as error:
        raise ValueError(f"{value!r} is beyond {kind}") from error


def _key(text: str, kind: pa.DataType) -> Any:
    """Return a key of JSON, which is text, as one of a map."""
    return _text(text) if pa.types.is_string(kind) else fit(float(text), kind)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{value!r} is no text")
    # Half of a pair of surrogates, which JSON can hold and no file can.
    value.encode()
    return value


def _dictionary(value: Any) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise ValueError(f"{value!r} is no dictionary")
    return value


def to_time(milliseconds: float | None) -> datetime.datetime | None:
    """Return Earth Engine's milliseconds since 1970 as a time, in UTC."""
    if milliseconds is None:
        return None
    # Not fromtimestamp, which some systems refuse before 1970.
    epoch = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
    return epoch + datetime.timedelta(milliseconds=milliseconds)


def _is_number(value: Any) -> bool:
    if isinstance(value, str):
        return value in _SPECIAL
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_date(value: Any) -> bool:
    return isinstance(value, Mapping) and value.get("type") == "Date" and "value" in value


def _is_numeral(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True

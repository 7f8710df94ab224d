"""The pixel types of computed bands.

Earth Engine carries ranges of integers through arithmetic, so that the difference of two
unsigned 16-bit bands is a signed type wide enough for it. Where its rule is not documented, the
rule here is the narrowest that cannot overflow.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from eedask.emulator.pixels.raster import PixelType

BOOLEAN = PixelType("int", 0, 1)
BYTE = PixelType("int", 0, 255)
FLOAT = PixelType("float")
DOUBLE = PixelType("double")
INT64 = PixelType("int", -(2.0**63), 2.0**63)

_CASTS = {
    "int8": PixelType("int", -(2**7), 2**7 - 1),
    "uint8": BYTE,
    "int16": PixelType("int", -(2**15), 2**15 - 1),
    "uint16": PixelType("int", 0, 2**16 - 1),
    "int32": PixelType("int", -(2**31), 2**31 - 1),
    "uint32": PixelType("int", 0, 2**32 - 1),
    "int64": INT64,
    "float": FLOAT,
    "double": DOUBLE,
}
_SYNONYMS = {"byte": "uint8", "short": "int16", "int": "int32", "long": "int64"}
NAMED: dict[str, PixelType] = _CASTS | {k: _CASTS[v] for k, v in _SYNONYMS.items()}


def of_number(value: Any) -> PixelType:
    """Return the type of a constant: an int is a range of one value, anything else a double."""
    if isinstance(value, bool):
        return PixelType("int", int(value), int(value))
    if isinstance(value, int):
        return PixelType("int", value, value)
    return PixelType("double", value, value)


def limits(kind: PixelType) -> tuple[float, float]:
    """Return the least and the greatest value of a type.

    They are infinite for float types, and those of 64 bits for an integer type that states none.
    """
    if kind.precision != "int":
        return (-math.inf, math.inf)
    return (
        -(2.0**63) if kind.min is None else kind.min,
        2.0**63 if kind.max is None else kind.max,
    )


def whole(low: float, high: float) -> PixelType:
    """Return the type of integers in a range, or double if 64 bits do not hold the range."""
    if low < -(2.0**63) or high > 2.0**63:
        return DOUBLE
    return PixelType("int", low, high)


def floating(*kinds: PixelType) -> PixelType:
    """Return float if it holds all values of the types (integers of up to 16 bits), else double."""
    return FLOAT if all(_is_small(kind) for kind in kinds) else DOUBLE


def _is_small(kind: PixelType) -> bool:
    if kind.precision == "int":
        low, high = limits(kind)
        return low >= -(2**15) and high < 2**16
    return kind.precision == "float"


def union(kinds: Iterable[PixelType]) -> PixelType:
    """Return the type that holds all values of several types."""
    kinds = list(kinds)
    if all(kind == kinds[0] for kind in kinds):
        return kinds[0]
    rank = max(kind.dimensions for kind in kinds)
    if all(kind.precision == "int" for kind in kinds):
        ranges = [limits(kind) for kind in kinds]
        return of_rank(whole(min(low for low, _ in ranges), max(high for _, high in ranges)), rank)
    return of_rank(floating(*kinds), rank)


def of_rank(kind: PixelType, rank: int) -> PixelType:
    """Return the type with pixels that are arrays of ``rank`` axes, or numbers for 0."""
    return kind if kind.dimensions == rank else replace(kind, dimensions=rank)


Corner = Callable[[float, float], float]


def by_corners(operation: Corner) -> Callable[[PixelType, PixelType], PixelType]:
    """Return the type rule of an operation whose extremes occur at the operands' limits."""

    def rule(a: PixelType, b: PixelType) -> PixelType:
        if a.precision == b.precision == "int":
            results = [operation(x, y) for x in limits(a) for y in limits(b)]
            return whole(min(results), max(results))
        return floating(a, b)

    return rule


def bitwise(a: PixelType, b: PixelType) -> PixelType:
    """Return the type of ``or`` and ``xor``: it has as many bits as the wider operand."""
    low = min(limits(a)[0], limits(b)[0])
    high = max(limits(a)[1], limits(b)[1])
    if not (math.isfinite(low) and math.isfinite(high)):
        return INT64
    bits = max(1, int(max(high, -low - 1)).bit_length())
    return whole(-(2.0**bits) if low < 0 else 0, 2.0**bits - 1)


def common(a: PixelType, b: PixelType, result: PixelType) -> np.dtype[Any]:
    """Return the dtype to compute in: one that holds both operands and the result."""
    return np.result_type(a.dtype, b.dtype, result.dtype)


def cast(values: NDArray[Any], dtype: np.dtype[Any]) -> NDArray[Any]:
    """Return values cast to a dtype: truncated to integers, and clamped to its range.

    https://developers.google.com/earth-engine/apidocs/ee-array-byte shows the clamping.
    """
    if values.dtype == dtype or dtype.kind == "f":
        return values.astype(dtype, copy=False)
    if values.dtype.kind in "iub" and np.can_cast(values.dtype, dtype):
        return values.astype(dtype)
    info = np.iinfo(dtype)
    if values.dtype.kind == "f":
        values = np.nan_to_num(np.trunc(values), nan=0.0, posinf=np.inf, neginf=-np.inf)
        top = np.nextafter(float(info.max), 0) if dtype.itemsize == 8 else float(info.max)
        out = np.clip(values, float(info.min), top).astype(dtype)
        out[values >= float(info.max)] = info.max
        return out
    return np.clip(
        values, max(info.min, np.iinfo(values.dtype).min), min(info.max, np.iinfo(values.dtype).max)
    ).astype(dtype)


def from_dictionary(value: Any) -> PixelType:
    """Return the type of a name such as ``int8``, or of a description as getInfo returns it."""
    if isinstance(value, PixelType):
        return value
    if isinstance(value, str) and value in NAMED:
        return NAMED[value]
    if isinstance(value, dict) and value.get("precision") in ("int", "float", "double"):
        precision: Literal["int", "float", "double"] = value["precision"]
        rank = int(value.get("dimensions") or 0)
        return PixelType(precision, value.get("min"), value.get("max"), rank)
    raise ValueError(value)

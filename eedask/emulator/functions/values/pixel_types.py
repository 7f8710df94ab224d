"""PixelType.*: the types that numbers in arrays and bands can have."""

from __future__ import annotations

from typing import Any

from eedask.emulator.errors import EarthEngineError
from eedask.emulator.functions.registry import algorithm
from eedask.emulator.pixels.pixel_types import NAMED, from_dictionary
from eedask.emulator.pixels.raster import PixelType

_PRECISIONS = ("int", "float", "double")


def _register(name: str, value: PixelType) -> None:
    algorithm(f"PixelType.{name}")(lambda: value)


for _name in ("float", "double", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32"):
    _register(_name, NAMED[_name])


@algorithm("PixelType")
def pixel_type(precision: Any, low: Any, high: Any, dimensions: int) -> PixelType:
    """Return a type from a precision (or another type) and the range of its values."""
    if dimensions < 0:
        raise EarthEngineError(f"PixelType: Invalid number of dimensions {dimensions}.")
    if not isinstance(precision, PixelType | str) or (
        isinstance(precision, str) and precision not in _PRECISIONS
    ):
        raise EarthEngineError(f"PixelType: Invalid precision '{precision}'.")
    base = from_dictionary({"precision": precision}) if isinstance(precision, str) else precision
    least, greatest = base.min if low is None else low, base.max if high is None else high
    if least is not None and greatest is not None and least > greatest:
        raise EarthEngineError("PixelType: minValue must not be over maxValue.")
    return PixelType(base.precision, least, greatest, dimensions or base.dimensions)


@algorithm("PixelType.precision")
def precision_of(kind: PixelType) -> str:
    """Return the type's precision: ``int``, ``float`` or ``double``."""
    return kind.precision


@algorithm("PixelType.minValue")
def least_of(kind: PixelType) -> float | None:
    """Return the least value of the type, or None if it has none."""
    return kind.min


@algorithm("PixelType.maxValue")
def greatest_of(kind: PixelType) -> float | None:
    """Return the greatest value of the type, or None if it has none."""
    return kind.max


@algorithm("PixelType.dimensions")
def dimensions_of(kind: PixelType) -> int:
    """Return the number of axes of the type's arrays, 0 for numbers."""
    return kind.dimensions

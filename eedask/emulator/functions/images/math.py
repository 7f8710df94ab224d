"""Arithmetic, comparison, logic and bits on images, pixel by pixel.

Which bands are paired is decided in :func:`eedask.emulator.pixels.bands.pairs`, the type of a
result in :mod:`eedask.emulator.pixels.pixel_types`. A result is masked where an operand is.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy  # its subpackages are imported when they are first used

from eedask.emulator.functions.images.bands import cast_band
from eedask.emulator.functions.registry import Keeps, algorithm
from eedask.emulator.pixels.bands import Array, binary, derived, pairs, unary
from eedask.emulator.pixels.pixel_types import (
    BOOLEAN,
    DOUBLE,
    INT64,
    NAMED,
    bitwise,
    by_corners,
    floating,
    limits,
    union,
    whole,
)
from eedask.emulator.pixels.raster import Image, PixelType

Rule = Callable[[PixelType, PixelType], PixelType]
_INT64 = np.dtype(np.int64)


def _divide(a: Array, b: Array) -> Array:
    """Return the quotient; division by zero gives 0, as Earth Engine's reference says."""
    return np.where(b == 0, 0, np.divide(a, np.where(b == 0, 1, b)))


def _modulo(a: Array, b: Array) -> Array:
    """Return the remainder with the sign of the dividend; division by zero gives 0."""
    return np.where(b == 0, 0, np.fmod(a, np.where(b == 0, 1, b)))


def _shift(values: Array, by: Array) -> Array:
    """Shift left by ``by`` bits, or right where that is negative.

    A shift of 64 bits or more leaves 0, or to the right -1 of a negative number.
    """
    left = np.left_shift(values, np.clip(by, 0, 63))
    right = np.right_shift(values, np.clip(-by, 0, 63))
    return np.where(by > 63, 0, np.where(by >= 0, left, right))


def _float_rule(a: PixelType, b: PixelType) -> PixelType:
    return floating(a, b)


def _modulo_rule(a: PixelType, b: PixelType) -> PixelType:
    if not a.precision == b.precision == "int":
        return floating(a, b)
    low, high = limits(a)
    most = max(abs(limit) for limit in limits(b))
    return whole(max(low, -most) if low < 0 else 0, min(high, most) if high > 0 else 0)


def _and_rule(a: PixelType, b: PixelType) -> PixelType:
    """Return the type of a bitwise ``and``, which never exceeds an unsigned operand."""
    unsigned = [limits(kind)[1] for kind in (a, b) if limits(kind)[0] >= 0]
    return whole(0, min(unsigned)) if unsigned else bitwise(a, b)


def _shift_rule(sign: int) -> Rule:
    def rule(a: PixelType, b: PixelType) -> PixelType:
        low, high = limits(b)
        if not -64 < low <= high < 64:
            return INT64
        ends = [v * 2.0 ** (sign * s) for v in limits(a) for s in (low, high)]
        exact = whole(np.floor(min(ends)), np.floor(max(ends)))
        return exact if exact.precision == "int" else INT64

    return rule


def _range_of(pick: Callable[..., float]) -> Rule:
    """Return the type rule of ``min`` or ``max``: applied to the limits of both types."""

    def rule(a: PixelType, b: PixelType) -> PixelType:
        if a.precision == b.precision == "int":
            (low_a, high_a), (low_b, high_b) = limits(a), limits(b)
            return whole(pick(low_a, low_b), pick(high_a, high_b))
        return floating(a, b)

    return rule


@dataclass(frozen=True)
class Operator:
    """A function of two arrays, the rule for its result's type, and whether it works on bits."""

    function: Callable[[Array, Array], Array]
    rule: Rule
    bits: bool = False


def _test(function: Callable[[Array, Array], Any]) -> Operator:
    return Operator(function, lambda a, b: BOOLEAN)


OPERATORS: dict[str, Operator] = {
    "add": Operator(np.add, by_corners(operator.add)),
    "subtract": Operator(np.subtract, by_corners(operator.sub)),
    "multiply": Operator(np.multiply, by_corners(operator.mul)),
    "divide": Operator(_divide, _float_rule),
    "mod": Operator(_modulo, _modulo_rule),
    "pow": Operator(np.power, lambda a, b: DOUBLE),
    "atan2": Operator(lambda a, b: np.arctan2(a, b), _float_rule),
    "hypot": Operator(np.hypot, _float_rule),
    "gammainc": Operator(lambda a, b: scipy.special.gammainc(a, b), lambda a, b: DOUBLE),
    "max": Operator(np.maximum, _range_of(max)),
    "min": Operator(np.minimum, _range_of(min)),
    "first": Operator(lambda a, b: a, lambda a, b: a),
    "firstNonZero": Operator(lambda a, b: np.where(a != 0, a, b), lambda a, b: union([a, b])),
    "and": _test(lambda a, b: (a != 0) & (b != 0)),
    "or": _test(lambda a, b: (a != 0) | (b != 0)),
    "lt": _test(np.less),
    "lte": _test(np.less_equal),
    "gt": _test(np.greater),
    "gte": _test(np.greater_equal),
    "eq": _test(np.equal),
    "neq": _test(np.not_equal),
    "bitwiseAnd": Operator(np.bitwise_and, _and_rule, bits=True),
    "bitwiseOr": Operator(np.bitwise_or, bitwise, bits=True),
    "bitwiseXor": Operator(np.bitwise_xor, bitwise, bits=True),
    "leftShift": Operator(_shift, _shift_rule(1), bits=True),
    "rightShift": Operator(lambda a, b: _shift(a, -b), _shift_rule(-1), bits=True),
}
_BINARY_SYNONYMS = {
    "firstNonZero": "first_nonzero",
    "bitwiseAnd": "bitwise_and",
    "bitwiseOr": "bitwise_or",
    "bitwiseXor": "bitwise_xor",
    "leftShift": "left_shift",
    "rightShift": "right_shift",
}


def operate(name: str, left: Image, right: Image) -> Image:
    """Return the result of one of :data:`OPERATORS` on two images."""
    op = OPERATORS[name]
    bands = []
    for a, b, band_name in pairs(left, right, f"Image.{name}"):
        if op.bits:
            # Operands of bitwise operators are truncated to integers (a guess).
            a, b = (x if x.type.precision == "int" else cast_band(x, INT64) for x in (a, b))
        kind = op.rule(a.type, b.type)
        bands.append(binary(a, b, op.function, kind, band_name, _INT64 if op.bits else None))
    return derived(left, bands, right)


def _register_binary(name: str) -> None:
    def apply(left: Image, right: Image) -> Image:
        return operate(name, left, right)

    names = [name, *([_BINARY_SYNONYMS[name]] if name in _BINARY_SYNONYMS else [])]
    known = algorithm(
        *(f"Image.{n}" for n in names), takes_arrays=True, keeps=Keeps.FIRST_OR_SECOND
    )
    known(apply)


for _name in OPERATORS:
    _register_binary(_name)


@dataclass(frozen=True)
class Transformation:
    """A function of one array, and the rule for its result's type."""

    function: Callable[[Array], Array]
    rule: Callable[[PixelType], PixelType] = floating


def _same(kind: PixelType) -> PixelType:
    return kind


def _abs_rule(kind: PixelType) -> PixelType:
    if kind.precision != "int":
        return PixelType(kind.precision)
    low, high = limits(kind)
    return whole(max(0, low, -high), max(abs(low), abs(high)))


def _bitwise_not(values: Array) -> Array:
    return ~values.astype(np.int64)


def _bit_count(values: Array) -> Array:
    return np.bitwise_count(np.abs(values.astype(np.int64)))


def _not_rule(kind: PixelType) -> PixelType:
    if kind.precision != "int":
        return INT64
    low, high = limits(kind)
    return whole(-high - 1, -low - 1) if high < 2.0**63 else INT64


def _whole_rule(kind: PixelType) -> PixelType:
    return kind if kind.precision == "int" else PixelType(kind.precision)


def _lanczos(x: Array) -> Array:
    return np.where(np.abs(x) < 3, np.sinc(x) * np.sinc(x / 3), 0)


TRANSFORMATIONS: dict[str, Transformation] = {
    "not": Transformation(lambda a: a == 0, lambda _: BOOLEAN),
    "bitwiseNot": Transformation(_bitwise_not, _not_rule),
    "bitCount": Transformation(_bit_count, lambda _: PixelType("int", 0, 64)),
    "abs": Transformation(np.abs, _abs_rule),
    "signum": Transformation(np.sign, lambda _: PixelType("int", -1, 1)),
    "floor": Transformation(np.floor, _whole_rule),
    "ceil": Transformation(np.ceil, _whole_rule),
    # Halves are rounded up, as by Java's Math.round (a guess for negative numbers).
    "round": Transformation(lambda a: np.floor(a + 0.5), _whole_rule),
    "sin": Transformation(np.sin),
    "cos": Transformation(np.cos),
    "tan": Transformation(np.tan),
    "asin": Transformation(np.arcsin),
    "acos": Transformation(np.arccos),
    "atan": Transformation(np.arctan),
    "sinh": Transformation(np.sinh),
    "cosh": Transformation(np.cosh),
    "tanh": Transformation(np.tanh),
    "sqrt": Transformation(np.sqrt),
    "cbrt": Transformation(np.cbrt),
    "exp": Transformation(np.exp),
    "log": Transformation(np.log),
    "log10": Transformation(np.log10),
    "gamma": Transformation(lambda a: scipy.special.gamma(a)),
    "digamma": Transformation(lambda a: scipy.special.digamma(a)),
    "trigamma": Transformation(lambda a: scipy.special.polygamma(1, a)),
    "erf": Transformation(lambda a: scipy.special.erf(a)),
    "erfc": Transformation(lambda a: scipy.special.erfc(a)),
    "erfInv": Transformation(lambda a: scipy.special.erfinv(a)),
    "erfcInv": Transformation(lambda a: scipy.special.erfcinv(a)),
    "lanczos": Transformation(_lanczos),
}


def transform(name: str, image: Image) -> Image:
    """Return an image of one of :data:`TRANSFORMATIONS` applied to every band."""
    change = TRANSFORMATIONS[name]
    bands = []
    for band in image.bands:
        kind = change.rule(band.type)
        work = np.result_type(band.type.dtype, kind.dtype)

        def function(values: Array, work: np.dtype[Any] = work) -> Array:
            return change.function(values.astype(work, copy=False))

        bands.append(unary(band, function, kind))
    return derived(image, bands)


def _register_unary(name: str) -> None:
    def apply(image: Image) -> Image:
        return transform(name, image)

    names = [name, *(["bitwise_not"] if name == "bitwiseNot" else [])]
    known = algorithm(*(f"Image.{n}" for n in names), takes_arrays=True, keeps=Keeps.FIRST)
    known(apply)


for _name in TRANSFORMATIONS:
    _register_unary(_name)


def _register_cast(name: str, kind: PixelType) -> None:
    def apply(image: Image) -> Image:
        return image.with_bands(tuple(cast_band(band, kind) for band in image.bands))

    names = f"Image.{name}", f"Image.to{name[0].upper()}{name[1:]}"
    algorithm(*names, takes_arrays=True, keeps=Keeps.FIRST)(apply)


for _name, _kind in NAMED.items():
    _register_cast(_name, _kind)

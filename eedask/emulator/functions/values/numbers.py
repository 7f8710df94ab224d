"""Number.*: arithmetic on single numbers. Integers give an integer if the result is whole.

Edge cases (division by zero is 0, the remainder has the dividend's sign, ``atan2`` takes x before
y) follow the samples in https://developers.google.com/earth-engine/apidocs.
"""

from __future__ import annotations

import contextlib
import math
import operator
import re
from collections.abc import Callable
from decimal import ROUND_HALF_UP, Context, Decimal
from typing import Any

import numpy as np
import scipy  # its subpackages are imported when they are first used

from eedask.emulator.errors import EarthEngineError
from eedask.emulator.functions.registry import algorithm

Number = int | float

_INT64 = 2**63


def _integral(value: Any) -> Number:
    """Return a float without a fraction as an integer; integers wrap around at 64 bits."""
    if isinstance(value, float) and not math.isfinite(value):
        return value
    return _wrapped(int(value))


def _wrapped(value: int) -> int:
    return value if -_INT64 <= value < _INT64 else (value + _INT64) % (2 * _INT64) - _INT64


def _binary(function: Callable[[Any, Any], Any], *names: str) -> None:
    def call(left: Any, right: Any) -> Any:
        try:
            result = function(left, right)
        except OverflowError:
            return math.inf
        except ValueError:
            return math.nan
        return _wrapped(result) if isinstance(result, int) else result

    algorithm(*(f"Number.{name}" for name in names))(call)


def _unary(function: Callable[[Any], Any], *names: str) -> None:
    def call(value: Any) -> Any:
        try:
            result = function(value)
        except OverflowError:
            return math.inf
        except ValueError:
            return math.nan
        if isinstance(result, int):
            return _wrapped(result)
        return float(result)

    algorithm(*(f"Number.{name}" for name in names))(call)


def _divide(left: Number, right: Number) -> float:
    return left / right if right else 0.0


def _remainder(left: Number, right: Number) -> Number:
    if right == 0:
        return 0
    result = math.fmod(left, right)
    return int(result) if isinstance(left, int) and isinstance(right, int) else result


def _power(left: Number, right: Number) -> Number:
    if isinstance(left, int) and isinstance(right, int) and 0 <= right < 64:
        return left**right
    if left == 0 and right < 0:
        return math.inf
    return math.pow(left, right)


def _single(value: Number) -> float:
    """Return the nearest single-precision number."""
    with np.errstate(over="ignore"):
        return float(np.float32(value))


def _on_bits(function: Callable[[int, int], int]) -> Callable[[Any, Any], Any]:
    return lambda left, right: function(int(left), int(right))


def _left_shift(left: int, right: int) -> int:
    """Shift left by ``right`` bits, or right if that is negative.

    A shift of 64 bits or more leaves 0, or to the right -1 of a negative number.
    """
    return left << min(right, 64) if right >= 0 else left >> min(-right, 2048)


def _right_shift(left: int, right: int) -> int:
    return _left_shift(left, -right)


def _rounded(value: Number) -> Number:
    """Return the nearest integer, halves away from zero."""
    return _integral(math.copysign(math.floor(abs(value) + 0.5), value))


_binary(operator.add, "add")
_binary(operator.sub, "subtract")
_binary(operator.mul, "multiply")
_binary(_divide, "divide")
_binary(max, "max")
_binary(min, "min")
_binary(lambda left, _: left, "first")
_binary(lambda left, right: left if left else right, "firstNonZero", "first_nonzero")
_binary(_remainder, "mod")
_binary(lambda left, right: int(bool(left) and bool(right)), "and")
_binary(lambda left, right: int(bool(left) or bool(right)), "or")
_binary(lambda left, right: int(left < right), "lt")
_binary(lambda left, right: int(left <= right), "lte")
_binary(lambda left, right: int(left > right), "gt")
_binary(lambda left, right: int(left >= right), "gte")
_binary(lambda left, right: int(left == right), "eq")
_binary(lambda left, right: int(left != right), "neq")
_binary(_power, "pow")
_binary(lambda x, y: math.atan2(y, x), "atan2")
_binary(math.hypot, "hypot")
_binary(_on_bits(operator.and_), "bitwiseAnd", "bitwise_and")
_binary(_on_bits(operator.or_), "bitwiseOr", "bitwise_or")
_binary(_on_bits(operator.xor), "bitwiseXor", "bitwise_xor")
_binary(_on_bits(_left_shift), "leftShift", "left_shift")
_binary(_on_bits(_right_shift), "rightShift", "right_shift")
_binary(lambda a, x: float(scipy.special.gammainc(a, x)), "gammainc")

_unary(lambda v: ~int(v), "bitwiseNot", "bitwise_not")
_unary(lambda v: (int(v) % 2**64).bit_count(), "bitCount")
_unary(lambda v: int(not v), "not")
_unary(math.sin, "sin")
_unary(math.cos, "cos")
_unary(math.tan, "tan")
_unary(math.asin, "asin")
_unary(math.acos, "acos")
_unary(math.atan, "atan")
_unary(math.sinh, "sinh")
_unary(math.cosh, "cosh")
_unary(math.tanh, "tanh")
_unary(math.sqrt, "sqrt")
_unary(lambda v: math.log(v) if v else -math.inf, "log")
_unary(lambda v: math.log10(v) if v else -math.inf, "log10")
_unary(math.exp, "exp")
_unary(abs, "abs")
_unary(lambda v: _integral(np.floor(v)), "floor")
_unary(lambda v: _integral(np.ceil(v)), "ceil")
_unary(_rounded, "round")
_unary(np.cbrt, "cbrt")
_unary(lambda v: scipy.special.gamma(float(v)), "gamma")
_unary(lambda v: scipy.special.digamma(float(v)), "digamma")
_unary(lambda v: scipy.special.polygamma(1, float(v)), "trigamma")
_unary(math.erf, "erf")
_unary(math.erfc, "erfc")
_unary(lambda v: scipy.special.erfinv(float(v)), "erfInv")
_unary(lambda v: scipy.special.erfcinv(float(v)), "erfcInv")
_unary(lambda v: (v > 0) - (v < 0), "signum")
_unary(_single, "float", "toFloat")
_unary(lambda v: float(v), "double", "toDouble")

# The coefficients of Lanczos' series for the gamma function with g = 607/128.
_LANCZOS = (
    0.99999999999999709182,
    57.156235665862923517,
    -59.597960355475491248,
    14.136097974741747174,
    -0.49191381609762019978,
    0.33994649984811888699e-4,
    0.46523628927048575665e-4,
    -0.98374475304879564677e-4,
    0.15808870322491248884e-3,
    -0.21026444172410488319e-3,
    0.21743961811521264320e-3,
    -0.16431810653676389022e-3,
    0.84418223983852743293e-4,
    -0.26190838401581408670e-4,
    0.36899182659531622704e-5,
)


@algorithm("Number.lanczos")
def lanczos(value: Number) -> float:
    """Return Lanczos' series at a number; it is infinite at its poles, the integers -1 to -14."""
    if value in range(-14, 0):
        return math.inf
    terms = (c / (value + i) for i, c in enumerate(_LANCZOS[1:], 1))
    return math.fsum([_LANCZOS[0], *terms])


def _cast(low: int, high: int, *names: str) -> None:
    def call(value: Number) -> int:
        if isinstance(value, float) and math.isnan(value):
            return 0
        return int(min(max(value, low), high))

    algorithm(*(f"Number.{name}" for name in names))(call)


_cast(0, 2**8 - 1, "uint8", "toUint8", "byte", "toByte")
_cast(-(2**7), 2**7 - 1, "int8", "toInt8")
_cast(0, 2**16 - 1, "uint16", "toUint16")
_cast(-(2**15), 2**15 - 1, "int16", "toInt16", "short", "toShort")
_cast(0, 2**32 - 1, "uint32", "toUint32")
_cast(-(2**31), 2**31 - 1, "int32", "toInt32", "int", "toInt")
_cast(-(2**63), 2**63 - 1, "int64", "toInt64", "long", "toLong")


@algorithm("Number.clamp")
def clamp(number: Number, low: float, high: float) -> Number:
    """Return the number, or the nearer of two bounds if it lies outside them."""
    return min(max(number, low), high)


@algorithm("Number.unitScale")
def unit_scale(number: Number, low: float, high: float) -> float:
    """Return (number - low) / (high - low): 0 to 1 for a number between the bounds."""
    return (number - low) / (high - low) if high != low else math.nan


@algorithm("Number.parse")
def parse(text: str, radix: int) -> Number:
    """Return the number that a string holds; it may have decimals and exponents in base 10 only."""
    with contextlib.suppress(ValueError):
        return int(text.strip(), radix)
    if radix == 10:
        with contextlib.suppress(ValueError):
            return float(text.strip())
    raise EarthEngineError(f"Number.parse: Cannot parse '{text}' as a number.")


_PATTERN = re.compile(r"([^%]*)%([#\-+ 0,(]*+)(\d*)(?:\.(\d+))?([sdoxXeEfgGaA])([^%]*)", re.DOTALL)


@algorithm("Number.format")
def format_number(number: Number, pattern: str) -> str:
    """Return a number formatted as by Java's Formatter, which rounds halves up."""
    match = _PATTERN.fullmatch(pattern)
    if match is None:
        raise EarthEngineError(f"Number.format: Invalid format string '{pattern}'.")
    before, flags, width, precision, kind, after = match.groups()
    body = _formatted(number, flags, precision, kind)
    if "(" in flags and body.startswith("-"):
        body = f"({body[1:]})"
    room = int(width or 0)
    if "-" in flags:
        body = body.ljust(room)
    elif "0" in flags and kind != "s":
        sign = body[:1] if body[:1] in "+- (" else ""
        body = sign + body[len(sign) :].rjust(room - len(sign), "0")
    return before + body.rjust(room) + after


def _formatted(number: Number, flags: str, precision: str | None, kind: str) -> str:
    sign = "+" if "+" in flags else " " if " " in flags else "-"
    comma = "," if "," in flags else ""
    if kind == "s":
        return _plain(number)[: None if precision is None else int(precision)]
    if kind in "doxX":
        if isinstance(number, float) and not number.is_integer():
            raise EarthEngineError(f"Number.format: '%{kind}' cannot format {number}.")
        mask = "#" if "#" in flags else ""
        return f"{int(number):{sign}{mask}{comma}{kind}}"
    if kind in "aA":
        text = float(number).hex()
        return text.upper() if kind == "A" else text
    if not math.isfinite(number):
        return _plain(float(number))
    digits = 6 if precision is None else int(precision)
    value: Any = number
    if kind == "f":
        exact = Context(prec=400 + digits, rounding=ROUND_HALF_UP)
        value = Decimal(repr(number)).quantize(Decimal(1).scaleb(-digits), context=exact)
    return f"{value:{sign}{comma}.{digits}{kind}}"


def _plain(number: Number) -> str:
    if isinstance(number, float) and not math.isfinite(number):
        return "NaN" if math.isnan(number) else "Infinity" if number > 0 else "-Infinity"
    return repr(number)

"""Number.expression: formulas of numbers, in the same language as those of Image.expression."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from eedask.emulator.errors import EarthEngineError
from eedask.emulator.functions.registry import IMPLEMENTATIONS, algorithm
from eedask.emulator.functions.values import numbers  # noqa: F401  (formulas call these)
from eedask.emulator.values.formulas import Formula, parse
from eedask.emulator.values.truth import is_true

_CONSTANTS = {"PI": 3.141592653589793, "E": 2.718281828459045}


@algorithm("Number.expression")
def expression(text: str, variables: Mapping[str, Any] | None) -> Any:
    """Return the value of a formula; ``a.b`` is the value of key ``b`` of the dictionary ``a``."""
    result = _value(parse(text), variables or {})
    if not isinstance(result, int | float):
        raise EarthEngineError("Number.expression: The result is no number.")
    return result


def _value(tree: Formula, variables: Mapping[str, Any]) -> Any:
    if tree.kind in ("number", "string"):
        return tree.value
    if tree.kind == "name":
        if tree.value in variables:
            return variables[tree.value]
        return _CONSTANTS.get(tree.value) or _unknown(f"variable '{tree.value}'")
    if tree.kind == "member":
        inside = _value(tree.parts[0], variables)
        if isinstance(inside, Mapping) and tree.value in inside:
            return inside[tree.value]
        return _unknown(f"key '{tree.value}'")
    if tree.kind == "choice":
        condition, yes, no = tree.parts
        return _value(yes if is_true(_value(condition, variables)) else no, variables)
    implementation = IMPLEMENTATIONS.get(f"Number.{tree.value}")
    values = [_value(part, variables) for part in tree.parts]
    if implementation is None or implementation.function.__code__.co_argcount != len(values):
        return _unknown(f"function '{tree.value}' of {len(values)} arguments")
    if not all(isinstance(v, int | float) for v in values):
        raise EarthEngineError(f"Number.expression: '{tree.value}' takes numbers only.")
    return implementation.function(*values)


def _unknown(what: str) -> Any:
    raise EarthEngineError(f"Number.expression: Unknown {what}.")

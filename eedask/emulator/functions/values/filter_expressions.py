"""Filter.expression: filters written as text, such as ``"a > 5 && b == 'x'"``."""

from __future__ import annotations

import ast
import re
from typing import Any

from eedask.emulator.errors import EarthEngineError, NotSupported
from eedask.emulator.functions.registry import IMPLEMENTATIONS, algorithm
from eedask.emulator.functions.values.filters import both, either, inverse
from eedask.emulator.values.filtering import Filter

_COMPARISONS: dict[type[ast.cmpop], str] = {
    ast.Eq: "Filter.equals",
    ast.NotEq: "Filter.notEquals",
    ast.Lt: "Filter.lessThan",
    ast.LtE: "Filter.lessThanOrEquals",
    ast.Gt: "Filter.greaterThan",
    ast.GtE: "Filter.greaterThanOrEquals",
}

_MIRRORED = {
    "Filter.lessThan": "Filter.greaterThan",
    "Filter.lessThanOrEquals": "Filter.greaterThanOrEquals",
    "Filter.greaterThan": "Filter.lessThan",
    "Filter.greaterThanOrEquals": "Filter.lessThanOrEquals",
}

# One without an end takes all: to look for a later beginning would take the square of the time.
_STRING = r"\"(?:[^\"\\]|\\.)*+\"?|'(?:[^'\\]|\\.)*+'?"


@algorithm("Filter.expression")
def expression(text: str) -> Filter:
    """Return the filter that a text describes.

    It may have comparisons of a property with a constant, ``in`` with a list, ``and``/``&&``,
    ``or``/``||``, ``not``/``!`` and parentheses. Property names may have a colon, as in
    ``system:index``.
    """
    names: list[str] = []

    def python(match: re.Match[str]) -> str:
        word = match[0]
        if match[1] is not None or word == "!=":
            return word
        if match[2] is not None:
            names.append(word)
            return f"_property_{len(names) - 1}"
        return {"&&": " and ", "||": " or ", "!": " not "}[word]

    source = re.sub(rf"({_STRING})|\b([A-Za-z_]\w*+(?::\w+)+)|&&|\|\||!=|!", python, text)
    try:
        tree = ast.parse(source.strip(), mode="eval").body
        return _filter(tree, names)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise EarthEngineError(f"Filter.expression: Cannot parse '{text}'.") from None


def _filter(node: ast.expr, names: list[str]) -> Filter:
    if isinstance(node, ast.BoolOp):
        parts = [_filter(value, names) for value in node.values]
        return both(parts) if isinstance(node.op, ast.And) else either(parts)
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        return inverse(_filter(node.operand, names))
    if not isinstance(node, ast.Compare):
        raise NotSupported("this kind of filter expression")
    sides = [node.left, *node.comparators]
    made = [
        _comparison(a, operator, b, names)
        for a, operator, b in zip(sides, node.ops, sides[1:], strict=False)
    ]
    return made[0] if len(made) == 1 else both(made)


def _comparison(left: ast.expr, operator: ast.cmpop, right: ast.expr, names: list[str]) -> Filter:
    if isinstance(operator, ast.In):
        return _make("Filter.inList", _name(left, names), _constant(right))
    name = _COMPARISONS.get(type(operator))
    if name is None:
        raise NotSupported("this operator in a filter expression")
    if isinstance(left, ast.Name):
        return _make(name, _name(left, names), _constant(right))
    return _make(_MIRRORED.get(name, name), _name(right, names), _constant(left))


def _make(name: str, field: str, value: Any) -> Filter:
    made: Filter = IMPLEMENTATIONS[name].function(field, value, None, None)
    return made


def _name(node: ast.expr, names: list[str]) -> str:
    if not isinstance(node, ast.Name):
        raise EarthEngineError("Filter.expression: A comparison needs a property's name.")
    if node.id.startswith("_property_"):
        return names[int(node.id.removeprefix("_property_"))]
    return node.id


def _constant(node: ast.expr) -> Any:
    if isinstance(node, ast.Name) and node.id in ("true", "false"):
        return node.id == "true"
    value = ast.literal_eval(node)
    return list(value) if isinstance(value, tuple) else value

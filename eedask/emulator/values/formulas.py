"""Parsing the formulas of ``Image.expression`` into trees.

They have arithmetic, comparison, logic, the ternary ``a ? b : c``, functions, ``b('name')`` and
``image.band``. https://developers.google.com/earth-engine/guides/image_math
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from eedask.emulator.errors import EarthEngineError

_TOKENS = re.compile(
    r"\s*(?:(?P<number>(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?|0[xX][0-9a-fA-F]+)"
    r"|(?P<name>[A-Za-z_]\w*)"
    r"|(?P<string>'[^']*'|\"[^\"]*\")"
    r"|(?P<sign>\*\*|<=|>=|==|!=|&&|\|\||<<|>>|[-+*/%^<>!?:(),.&|~=\[\]]))"
)
# Binary operators by precedence, the lowest first, with the names of Image's algorithms.
_LEVELS: list[dict[str, str]] = [
    {"||": "or"},
    {"&&": "and"},
    {"|": "bitwiseOr"},
    {"&": "bitwiseAnd"},
    {"==": "eq", "!=": "neq"},
    {"<": "lt", ">": "gt", "<=": "lte", ">=": "gte"},
    {"<<": "leftShift", ">>": "rightShift"},
    {"+": "add", "-": "subtract"},
    {"*": "multiply", "/": "divide", "%": "mod"},
]
_POWERS = ("**", "^")
_DEEPEST = 200  # nested parentheses, arguments and choices that are accepted


@dataclass(frozen=True)
class Formula:
    """A node of a parsed formula.

    Attributes
    ----------
    kind : {"number", "string", "name", "member", "call", "choice"}
        A ``member`` is a band of an image, as in ``image.band``; a ``choice`` is a ternary.
    value : Any
        The number or string; the name of a variable, band or function; None for a choice.
    parts : tuple of Formula
        The image of a member, the arguments of a call, or a choice's condition and its two
        results.
    """

    kind: str
    value: Any = None
    parts: tuple[Formula, ...] = ()


def parse(text: str) -> Formula:
    """Return the root of the tree of a formula; raises EarthEngineError if it is invalid."""
    parser = _Parser(text)
    tree = parser.choice()
    parser.expect_end()
    return tree


class _Parser:
    def __init__(self, text: str) -> None:
        self._text, self._tokens, self._at, self._depth = text, _tokens(text), 0, 0

    def _peek(self) -> tuple[str, str]:
        return self._tokens[self._at] if self._at < len(self._tokens) else ("end", "")

    def _take(self, *signs: str) -> str | None:
        kind, token = self._peek()
        if kind == "sign" and token in signs:
            self._at += 1
            return token
        return None

    def _need(self, sign: str) -> None:
        if self._take(sign) is None:
            raise _invalid(self._text, f"expected '{sign}'")

    def expect_end(self) -> None:
        if self._peek()[0] != "end":
            raise _invalid(self._text, f"unexpected '{self._peek()[1]}'")

    def choice(self) -> Formula:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise _invalid(self._text, "it is too deeply nested")
        condition = self._binary(0)
        if self._take("?"):
            yes = self.choice()
            self._need(":")
            condition = Formula("choice", None, (condition, yes, self.choice()))
        self._depth -= 1
        return condition

    def _binary(self, level: int) -> Formula:
        if level == len(_LEVELS):
            return self._unary()
        left = self._binary(level + 1)
        while sign := self._take(*_LEVELS[level]):
            left = Formula("call", _LEVELS[level][sign], (left, self._binary(level + 1)))
        return left

    def _unary(self) -> Formula:
        if self._take("-"):
            inner = self._unary()
            if inner.kind == "number":
                return Formula("number", -inner.value)
            return Formula("call", "multiply", (inner, Formula("number", -1)))
        if self._take("+"):
            return self._unary()
        if self._take("!"):
            return Formula("call", "not", (self._unary(),))
        if self._take("~"):
            return Formula("call", "bitwiseNot", (self._unary(),))
        base = self._member()
        if self._take(*_POWERS):
            return Formula("call", "pow", (base, self._unary()))
        return base

    def _member(self) -> Formula:
        tree = self._atom()
        while True:
            if self._take("."):
                kind, token = self._peek()
                if kind != "name":
                    raise _invalid(self._text, "expected a band name after '.'")
                self._at += 1
                tree = Formula("member", token, (tree,))
            elif self._take("["):
                index = self.choice()
                self._need("]")
                tree = Formula("member", index.value, (tree,))
            else:
                return tree

    def _atom(self) -> Formula:
        if self._take("("):
            inner = self.choice()
            self._need(")")
            return inner
        kind, token = self._peek()
        self._at += 1
        if kind == "number":
            return Formula("number", _number(token))
        if kind == "string":
            return Formula("string", token[1:-1])
        if kind == "name":
            return self._call(token) if self._take("(") else Formula("name", token)
        raise _invalid(self._text, f"unexpected '{token}'" if token else "it ends too early")

    def _call(self, function: str) -> Formula:
        arguments = []
        if not self._take(")"):
            arguments.append(self.choice())
            while self._take(","):
                arguments.append(self.choice())
            self._need(")")
        return Formula("call", function, tuple(arguments))


def _tokens(text: str) -> list[tuple[str, str]]:
    found, at = [], 0
    while text[at:].strip():
        match = _TOKENS.match(text, at)
        if match is None:
            raise _invalid(text, f"unexpected '{text[at:].strip()[0]}'")
        assert match.lastgroup is not None
        found.append((match.lastgroup, match[match.lastgroup]))
        at = match.end()
    return found


def _number(token: str) -> int | float:
    if token[:2].lower() == "0x":
        return int(token, 16)
    return int(token) if token.isdigit() else float(token)


def _invalid(text: str, why: str) -> EarthEngineError:
    return EarthEngineError(f"Image.parseExpression: Invalid expression '{text}': {why}.")

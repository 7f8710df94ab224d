"""Parsing the filters of asset and feature lists, in the language of https://google.aip.dev/160.

Conditions are comparisons, ``:`` and ``intersects(…)`` (:mod:`eedask.emulator.rest.listing_terms`).
From the loosest to the closest, they are joined by AND or a comma, by standing next to each other
(which also means AND), and by OR. NOT and a minus sign negate the next condition; parentheses
group. Commas are from https://developers.google.com/earth-engine/apidocs/ee-data-listfeatures.
Single words, which the language would search for in all fields, are refused.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from eedask.emulator.errors import EarthEngineError, NotSupported
from eedask.emulator.rest.listing_terms import (
    STRING,
    Condition,
    comparison,
    every,
    has,
    intersects,
    opposite,
    some,
)

_NAME = r"[A-Za-z_][\w:.-]*?"
_VALUE = rf"""{STRING}|[^\s()"',]+"""
_TOKEN = re.compile(
    rf"""\s*(?:
        (?P<bracket>[()])
      | (?P<comma>,)
      | (?P<word>AND|and|OR|or|NOT|not)\b(?=\s|\()
      | (?P<minus>-)(?=[\w(])
      | intersects\(\s*(?P<region>{STRING})\s*\)
      | (?P<name>{_NAME})\s*(?P<sign><=|>=|!=|=|<|>)\s*(?P<value>{_VALUE})
      | (?P<holder>{_NAME}):\s*(?P<held>{_VALUE})
    )""",
    re.VERBOSE,
)
_DEEPEST = 50


class _Token(NamedTuple):
    """A bracket, a keyword or ``,``, given by its text; or a condition."""

    text: str
    condition: Condition | None = None


def parse_filter(text: str | None) -> Condition:
    """Read a filter.

    Raises
    ------
    EarthEngineError
        400: not a filter, or a part of the language that is not supported.
    """
    tokens = _tokens(text or "")
    if not tokens:
        return Condition()
    parser = _Parser(text or "", tokens)
    found = parser.expression(0)
    if parser.rest:
        raise parser.refusal()
    return found


def _tokens(text: str) -> list[_Token]:
    tokens: list[_Token] = []
    at, end = 0, len(text.rstrip())
    while at < end:
        found = _TOKEN.match(text, at)
        if not found:
            raise NotSupported(f"the filter {text!r}, from {text[at:].strip()!r} on")
        tokens.append(_token(found))
        at = found.end()
    return tokens


def _token(found: re.Match[str]) -> _Token:
    if found["region"]:
        return _Token("", intersects(found["region"]))
    if found["holder"]:
        return _Token("", has(found["holder"], found["held"]))
    if found["sign"]:
        return _Token("", comparison(found["name"], found["sign"], found["value"]))
    return _Token(found[0].strip().upper())


class _Parser:
    """A recursive descent parser with a method for each rule of the grammar."""

    def __init__(self, text: str, tokens: Sequence[_Token]) -> None:
        self._text = text
        self.rest = list(reversed(tokens))

    def expression(self, depth: int) -> Condition:
        """Parts joined by AND, a comma, or nothing."""
        parts = [self._either(depth)]
        while self.rest and self.rest[-1].text not in (")", "OR"):
            if self.rest[-1].text in ("AND", ","):
                self.rest.pop()
            parts.append(self._either(depth))
        return every(parts)

    def _either(self, depth: int) -> Condition:
        parts = [self._term(depth)]
        while self.rest and self.rest[-1].text == "OR":
            self.rest.pop()
            parts.append(self._term(depth))
        return some(parts)

    def _term(self, depth: int) -> Condition:
        if depth > _DEEPEST:
            raise EarthEngineError("The filter is too deeply nested.")
        if not self.rest:
            raise self.refusal()
        token = self.rest.pop()
        if token.condition is not None:
            return token.condition
        if token.text in ("NOT", "-"):
            return opposite(self._term(depth + 1))
        if token.text != "(":
            raise self.refusal()
        found = self.expression(depth + 1)
        if not self.rest or self.rest.pop().text != ")":
            raise self.refusal()
        return found

    def refusal(self) -> EarthEngineError:
        """Return the error for a text that does not follow the grammar."""
        return EarthEngineError(f"Invalid filter: {self._text}.")

"""Regular expressions of users, matched by the library RE2, whose syntax Earth Engine has.

RE2 takes a time in proportion to the length of the text. Python's own module may take hours even
for a text of thirty characters, as it backtracks. The syntax is at
https://github.com/google/re2/wiki/Syntax.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import re2

from eedask.emulator.errors import EarthEngineError
from eedask.emulator.limits.metering import charge, hold

_OPERATIONS_A_MATCH = 1e3
_BYTES_A_MATCH = 64
# In the replacement of a match: one of its groups, or all of it.
_REFERENCE = re.compile(r"\$(\d+|&)")


class Pattern:
    """A compiled regular expression. Its work is charged to the current request.

    Parameters
    ----------
    text : str
    ignore_case : bool

    Raises
    ------
    EarthEngineError
        The text is no regular expression. All methods raise it for texts that are not Unicode.
    """

    def __init__(self, text: str, *, ignore_case: bool = False) -> None:
        options = re2.Options()
        options.log_errors = False
        options.case_sensitive = not ignore_case
        try:
            self._regex = re2.compile(_unicode(text), options)
        except re2.error as error:
            words = error.args[0].decode(errors="replace")
            raise EarthEngineError(f"Invalid regular expression '{text}': {words}.") from None

    def matches(self, text: str) -> bool:
        """Return whether it matches a text from beginning to end."""
        return self._regex.fullmatch(self._counted(text)) is not None

    def first(self, text: str) -> list[str]:
        """Return its first match followed by the match's groups, or an empty list."""
        found = self._regex.search(self._counted(text))
        return [] if found is None else [found.group(), *found.groups(default="")]

    def groups(self, text: str) -> dict[str, str] | None:
        """Return the named groups that take part in its match with a whole text; None without."""
        found = self._regex.fullmatch(self._counted(text))
        if found is None:
            return None
        return {name: group for name, group in found.groupdict().items() if group is not None}

    def all(self, text: str) -> Iterator[Any]:
        """Yield its matches as match objects, from the left; none overlaps another."""
        for found in self._regex.finditer(self._counted(text)):
            charge(_OPERATIONS_A_MATCH)
            hold(_BYTES_A_MATCH)
            yield found

    def replaced(self, text: str, replacement: str, *, everywhere: bool) -> str:
        """Return a text with its first match replaced, or all of them.

        In the replacement, ``$1`` stands for the first group of the match, ``$&`` for the match.
        """
        pieces = _REFERENCE.split(replacement)
        parts, end = [], 0
        for found in self.all(text):
            parts += [text[end : found.start()], _filled(pieces, found)]
            hold(len(parts[-1]))
            end = found.end()
            if not everywhere:
                break
        return "".join([*parts, text[end:]])

    def _counted(self, text: str) -> str:
        # At worst each instruction of the compiled pattern is tried at each character.
        charge(float(self._regex.programsize * len(text)))
        return _unicode(text)


def _filled(pieces: list[str], found: Any) -> str:
    """Return a replacement, of which every other piece is a reference to a group."""
    shown = list(pieces)
    for place in range(1, len(pieces), 2):
        group = 0 if pieces[place] == "&" else int(pieces[place])
        if group > found.re.groups:
            raise EarthEngineError(f"The pattern has no group ${group}.")
        shown[place] = found.group(group) or ""
    return "".join(shown)


def _unicode(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        half = f"\\u{ord(text[error.start]):04x}"
        raise EarthEngineError(f"Not a Unicode text: it has half of a pair, {half}.") from None
    return text

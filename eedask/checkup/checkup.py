"""What the doctor found: one check a question, as a table and as JSON."""

from __future__ import annotations

import json
import os
import textwrap
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal, get_args

from eedask.errors import printable

State = Literal["ok", "mend", "unknown", "not asked"]

# Columns of a terminal, and of the table: question, answer, what eedask assumes.
_WIDTH, _COLUMNS = 80, (26, 34, 16)


@dataclass(frozen=True)
class Check:
    """One question and its answer.

    Attributes
    ----------
    name : str
        For programs; that of a reading is the emulator's own.
    question : str
    answer : str
    state : {"ok", "mend", "unknown", "not asked"}
        "mend" is what a run would fail of; "unknown" is what no answer came to, or an answer that
        is none of those that are known.
    assumes : str
        What eedask relies on.
    advice : str
        What to do.
    """

    name: str
    question: str
    answer: str
    state: State = "ok"
    assumes: str = ""
    advice: str = ""

    def __post_init__(self) -> None:
        if self.state not in get_args(State):
            raise ValueError(f"state is one of {', '.join(get_args(State))}; got {self.state!r}")


@dataclass(frozen=True)
class Checkup:
    """All that the doctor found.

    Attributes
    ----------
    checks : tuple of Check

    Examples
    --------
    >>> checkup = eedask.doctor(project="my-project")
    >>> checkup.ok
    True
    >>> checkup["gzip"].answer
    'chunked'
    """

    checks: tuple[Check, ...]

    @property
    def ok(self) -> bool:
        """Whether nothing has to be mended; what is unknown does not count."""
        return all(check.state != "mend" for check in self.checks)

    def __getitem__(self, name: str) -> Check:
        """Return the check of this name.

        Raises
        ------
        KeyError
            If there is none; the words list those that there are.
        """
        for check in self.checks:
            if check.name == name:
                return check
        names = ", ".join(check.name for check in self.checks)
        raise KeyError(f"there is no check {name!r}: there are {names}")

    def to_json(self, path: str | os.PathLike[str]) -> None:
        """Write ``ok`` and all checks to a file."""
        found = {"ok": self.ok, "checks": [asdict(check) for check in self.checks]}
        Path(path).write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")

    def __str__(self) -> str:
        head = _row(("question", "answer", "eedask assumes"))
        lines = [*head, "-" * _WIDTH]
        for check in self.checks:
            answer = check.answer if check.state == "ok" else f"{check.state}: {check.answer}"
            # Words from outside may hold what a terminal would obey.
            lines += _row((check.question, printable(answer), check.assumes))
            lines += _indented(check.advice)
        broken = sum(check.state == "mend" for check in self.checks)
        lines += ["-" * _WIDTH, f"{broken} to mend" if broken else "nothing has to be mended"]
        return "\n".join(lines)


def _row(cells: tuple[str, str, str]) -> list[str]:
    """Return the lines of a row, whose cells are wrapped."""
    columns = [textwrap.wrap(cell, width) for cell, width in zip(cells, _COLUMNS, strict=True)]
    height = max(map(len, columns))
    padded = [column + [""] * (height - len(column)) for column in columns]
    return [
        "  ".join(f"{part:{width}}" for part, width in zip(line, _COLUMNS, strict=True)).rstrip()
        for line in zip(*padded, strict=True)
    ]


def _indented(advice: str) -> list[str]:
    """Return the lines that say what to do, below a row."""
    return textwrap.wrap(advice, _WIDTH, initial_indent="  -> ", subsequent_indent="     ")

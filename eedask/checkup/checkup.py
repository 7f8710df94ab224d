"""The result of the doctor: a check for each question, shown as a table, as HTML or as JSON."""

from __future__ import annotations

import json
import os
import textwrap
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from html import escape
from pathlib import Path
from typing import Literal, get_args

State = Literal["ok", "mend", "report", "open"]

# Characters of a line, and of the cells of a row, which have two spaces between them. Advice, which
# most questions have none of, stands below the row.
_WIDTH, _CELLS = 80, (33, 27, 16)
_MOST_NAMED = 6
_TITLES = ("question", "answer", "eedask assumes", "what to do")


@dataclass(frozen=True)
class Check:
    """One question and its answer.

    Attributes
    ----------
    name : str
        A short name for programs, such as "clock" or "crs_code".
    question : str
        What was asked, in a few words.
    answer : str
        What was found, on one line.
    state : {"ok", "mend", "report", "open"}
        "ok": nothing has to be done. "mend": a run would fail because of it. "report": Earth Engine
        answered something that eedask does not know, which its developers want to hear of.
        "open": it was not asked, or not answered.
    assumes : str
        What eedask relies on; empty if it relies on nothing.
    advice : str
        What the user should do; empty if nothing.
    is_reading : bool
        Whether the question is about what Earth Engine does (a reading of the emulator), and not
        about this machine or the project.
    """

    name: str
    question: str
    answer: str
    state: State = "ok"
    assumes: str = ""
    advice: str = ""
    is_reading: bool = False

    def __post_init__(self) -> None:
        if self.state not in get_args(State):
            raise ValueError(f"state is one of {', '.join(get_args(State))}; got {self.state!r}")

    @property
    def cells(self) -> tuple[str, str, str, str]:
        """The row of the table: question, answer, what eedask assumes, what to do."""
        advice = f"to be mended: {self.advice}" if self.state == "mend" else self.advice
        return self.question, self.answer, self.assumes or "-", advice


@dataclass(frozen=True)
class Checkup:
    """All that the doctor found. Printed, it is a table of 80 columns.

    Attributes
    ----------
    project : str
    url : str
        The address that was asked how Earth Engine behaves.
    checks : tuple of Check
        This machine and the project come first, then what Earth Engine does.
    eecu_seconds : float or None
        What the requests cost, in EECU-seconds; None if Earth Engine did not tell.
    """

    project: str
    url: str
    checks: tuple[Check, ...]
    eecu_seconds: float | None = None

    @property
    def ok(self) -> bool:
        """True if nothing must be mended before a run: no check has the state "mend"."""
        return all(check.state != "mend" for check in self.checks)

    @property
    def readings(self) -> dict[str, str]:
        """What Earth Engine does, by the name of the reading, as ``Emulator(readings=…)`` takes it.

        Questions that were not answered, or answered with something unknown, are left out.
        """
        return {c.name: c.answer for c in self.checks if c.is_reading and c.state == "ok"}

    def to_json(self, path: str | os.PathLike[str]) -> None:
        """Write the checkup to a JSON file: its attributes, ``ok`` and ``readings``."""
        found = {"ok": self.ok, **asdict(self), "readings": self.readings}
        Path(path).write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")

    def __str__(self) -> str:
        lines: list[str] = []
        for title, checks in self._parts():
            lines += [title, "", *_row((*_TITLES[:3], ""))]
            lines.append("  ".join("-" * width for width in _CELLS))
            lines += [line for check in checks for line in _row(check.cells)]
            lines.append("")
        return "\n".join([*lines, *textwrap.wrap(self._verdict(), _WIDTH)])

    def _repr_html_(self) -> str:
        head = "".join(f"<th>{escape(title)}</th>" for title in _TITLES)
        tables = "".join(
            f"<h4>{escape(title)}</h4><table><thead><tr>{head}</tr></thead>"
            f"<tbody>{''.join(_html_row(check.cells) for check in checks)}</tbody></table>"
            for title, checks in self._parts()
        )
        return f"{tables}<p>{escape(self._verdict())}</p>"

    def _parts(self) -> list[tuple[str, list[Check]]]:
        own = [check for check in self.checks if not check.is_reading]
        readings = [check for check in self.checks if check.is_reading]
        parts = [(f"This machine, and the project {self.project}", own)]
        if readings:
            parts.append((f"What Earth Engine does at {self.url}", readings))
        return parts

    def _verdict(self) -> str:
        said = [f"To be mended before a run: {self._named('mend') or 'nothing'}."]
        if named := self._named("report"):
            said.append(f"Not foreseen by eedask's developers, please report: {named}.")
        if named := self._named("open"):
            said.append(f"Without an answer: {named}.")
        if self.eecu_seconds is not None:
            said.append(f"All this took {self.eecu_seconds:.3g} EECU-seconds.")
        return " ".join(said)

    def _named(self, state: State) -> str:
        names = [check.name for check in self.checks if check.state == state]
        return ", ".join(names) if len(names) <= _MOST_NAMED else f"{len(names)} questions"


def _row(cells: Sequence[str]) -> list[str]:
    """Return the lines of a row with wrapped cells; the advice follows after an arrow."""
    *cells, advice = cells
    columns = [textwrap.wrap(cell, width) for cell, width in zip(cells, _CELLS, strict=True)]
    height = max(map(len, columns))
    padded = [column + [""] * (height - len(column)) for column in columns]
    lines = [
        "  ".join(f"{part:{width}}" for part, width in zip(line, _CELLS, strict=True)).rstrip()
        for line in zip(*padded, strict=True)
    ]
    lines += textwrap.wrap(advice, _WIDTH, initial_indent="  -> ", subsequent_indent=" " * 5)
    return lines


def _html_row(cells: Sequence[str]) -> str:
    return f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in cells)}</tr>"

"""What the server sends to a render process, and what comes back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from eedask.emulator.answers import Answer
from eedask.emulator.limits.accounting import Usage
from eedask.emulator.limits.budget import Budget


@dataclass(frozen=True)
class Settings:
    """The settings of a render process, which are sent to it when it starts.

    Attributes
    ----------
    store : Path
        The folder in which ids of thumbnails and tables are kept, common to all processes.
    mounts : mapping
        Asset id to path.
    project : str, optional
        The only project there is; None: requests may name any project.
    root_url : str
        URL of the server for the discovery document.
    budget : Budget
        Limits on the time and memory of each request.
    """

    store: Path
    mounts: Mapping[str, str] = field(default_factory=dict)
    project: str | None = None
    root_url: str = "http://127.0.0.1/"
    budget: Budget = field(default_factory=Budget)


@dataclass(frozen=True)
class Request:
    """An HTTP request with its body decompressed, and the readings that hold for its answer."""

    method: str
    path: str
    query: Mapping[str, str]
    body: bytes
    takes_gzip: bool
    profiling: bool = False
    readings: Mapping[str, str] = field(default_factory=dict)

    def parts(self) -> tuple[Any, ...]:
        """Return the fields in order: plain tuples pickle several times as fast as objects."""
        return (
            self.method,
            self.path,
            self.query,
            self.body,
            self.takes_gzip,
            self.profiling,
            self.readings,
        )


def parts_of(answer: Answer) -> tuple[Any, ...]:
    """Return an answer as a plain tuple, for :func:`answer_of` at the other end."""
    usage = answer.usage
    cost = None if usage is None else (usage.eecu_seconds, usage.peak_memory, usage.tag)
    return answer.status, answer.headers, answer.body, cost


def answer_of(parts: tuple[Any, ...]) -> Answer:
    """Return the answer from the tuple that :func:`parts_of` made of it."""
    status, headers, body, cost = parts
    return Answer(status, headers, body, None if cost is None else Usage(*cost))

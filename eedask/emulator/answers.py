"""Answers to requests: a status, headers and a body."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from eedask.emulator.errors import EarthEngineError
from eedask.emulator.limits.accounting import Usage
from eedask.emulator.readings import reading

JSON = "application/json; charset=UTF-8"


@dataclass(frozen=True)
class Answer:
    """An HTTP response, without the headers that the transport adds.

    Attributes
    ----------
    status : int
    headers : mapping
        ``Content-Type`` and others that describe the body.
    body : bytes
    usage : Usage, optional
        The resources that computing it took.
    """

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    usage: Usage | None = None


def json_answer(value: Any, status: int = 200) -> Answer:
    """Return a JSON answer; NaN and infinities, which JSON lacks, are written as strings.

    That is the JSON form of protocol buffers; whether Earth Engine does so is a guess,
    and the reading ``non_finite``.
    """
    try:
        text = json.dumps(value, allow_nan=False, ensure_ascii=False, separators=(",", ":"))
    except ValueError:
        bare = reading("non_finite") == "bare"
        finite = value if bare else _finite(value)
        text = json.dumps(finite, ensure_ascii=False, separators=(",", ":"))
    # A lone surrogate cannot be encoded in UTF-8, so it is escaped.
    return Answer(status, {"Content-Type": JSON}, text.encode(errors="backslashreplace"))


def error_answer(error: EarthEngineError, headers: Mapping[str, str] | None = None) -> Answer:
    """Return an error as an answer with Earth Engine's JSON body."""
    answer = json_answer(error.body(), error.code)
    return Answer(answer.status, {**answer.headers, **(headers or {})}, answer.body)


def file_answer(data: bytes, content_type: str, filename: str | None = None) -> Answer:
    """Return an answer of raw bytes, marked as a download if there is a file name."""
    headers = {"Content-Type": content_type}
    if filename is not None:
        safe = "".join(
            c if c.isascii() and c.isprintable() and c not in '"\\' else "_" for c in filename
        )
        headers["Content-Disposition"] = f'attachment; filename="{safe}"'
    return Answer(200, headers, data)


def _finite(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else ("Infinity" if value > 0 else "-Infinity")
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return value

"""Changes a finished answer as the readings say: the words of errors, headers, compression."""

from __future__ import annotations

import gzip
import json
import textwrap
import time
from collections.abc import Mapping
from dataclasses import replace
from email.utils import formatdate
from typing import Any

from eedask.emulator.answers import Answer
from eedask.emulator.readings import Readings

CHUNKED = "chunked"
"""The value of the header ``Transfer-Encoding`` that an answer has which is sent in chunks."""

_WAIT_S = 1
_WAITING = (429, 503)
_LINE = 60


def takes_gzip(headers: Mapping[str, str], readings: Readings) -> bool:
    """Return whether an answer to a request with these headers may be compressed."""
    if "gzip" not in headers.get("Accept-Encoding", ""):
        return False
    return readings["gzip"] != "user_agent" or "gzip" in headers.get("User-Agent", "")


def as_read(answer: Answer, readings: Readings, gzips: bool) -> Answer:
    """Return an answer in the form that the readings give it.

    Parameters
    ----------
    answer : Answer
    readings : Readings
    gzips : bool
        Whether the client takes compressed answers.
    """
    if readings["error_texts"] == "decorated" and answer.status >= 400:
        answer = _decorated(answer)
    if readings["retry_after"] != "none" and answer.status in _WAITING:
        answer = _waiting(answer, readings["retry_after"])
    if readings["gzip"] == "chunked" and answer.body:
        answer = _chunked(answer, gzips)
    return answer


def _decorated(answer: Answer) -> Answer:
    """Return an error whose message has further words around it, and line breaks in it."""
    packed = answer.headers.get("Content-Encoding") == "gzip"
    body: Any = json.loads(gzip.decompress(answer.body) if packed else answer.body)
    words = "\n".join(
        textwrap.wrap(
            body["error"]["message"], _LINE, break_long_words=False, break_on_hyphens=False
        )
    )
    body["error"]["message"] = f"Earth Engine Error: {words}\n(Request id: 7f3a-0c55)"
    headers = {k: v for k, v in answer.headers.items() if k != "Content-Encoding"}
    return replace(answer, headers=headers, body=json.dumps(body, indent=1).encode())


def _waiting(answer: Answer, how: str) -> Answer:
    when = str(_WAIT_S) if how == "seconds" else formatdate(time.time() + _WAIT_S, usegmt=True)
    return replace(answer, headers={"Retry-After": when, **answer.headers})


def _chunked(answer: Answer, gzips: bool) -> Answer:
    headers = {**answer.headers, "Transfer-Encoding": CHUNKED}
    if not gzips or "Content-Encoding" in headers:
        return replace(answer, headers=headers)
    headers["Content-Encoding"] = "gzip"
    return replace(answer, headers=headers, body=gzip.compress(answer.body, 1, mtime=0))

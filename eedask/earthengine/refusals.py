"""Earth Engine's refusals: from a status and its words to an error of the tree."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import Any

from eedask.errors import (
    AuthorizationError,
    BudgetError,
    Cause,
    PermanentError,
    QuotaError,
    RequestError,
    TooLargeError,
    TransientError,
)

# Who is told to come back later than in so many seconds asks again then all the same: it is one
# answer's word, of a proxy perhaps, and holds back all requests of the project.
MAX_RETRY_AFTER_S = 300.0

# Earth Engine answers most faults of a computation with status 400, so within it only the words
# tell one from another. Sources: developers.google.com/earth-engine/guides/usage and /debugging.
_TOO_LARGE: dict[Cause, str] = {
    "memory": r"memory limit exceeded",
    "time": r"computation timed out",
    "output": r"output of image computation is too large",
    "request size": (r"total request size(?: \((?P<asked>\d+) bytes\) .*?(?P<allowed>\d+) bytes)?"),
    "grid side": r"pixel grid dimensions(?: \(\d+ ?x ?\d+\) .*?(?P<allowed>\d+))?",
    "payload": r"request payload size(?: exceeds the limit: (?P<allowed>\d+) bytes)?",
    "elements": r"aborted after accumulating over (?P<allowed>\d+) elements",
    "value": r"computed value is too large",
    "region pixels": r"too many pixels(?:.*?maxPixels allows only (?P<allowed>\d+))?",
}

_QUOTA = re.compile(
    r"too many concurrent aggregations|too many requests|rate ?limit ?exceeded", re.IGNORECASE
)

_BUDGET = re.compile(
    r"\bEECU\b.*(exceed|exhaust|used up)|compute (quota|budget)|_eecu_usage_time", re.IGNORECASE
)

_QUOTA_REASONS = {"rateLimitExceeded", "userRateLimitExceeded", "RATE_LIMIT_EXCEEDED"}


def from_response(status: int, headers: Mapping[str, str], body: bytes) -> RequestError:
    """Return the error that an answer other than 200 stands for.

    Parameters
    ----------
    status : int
        HTTP status.
    headers : mapping
        Response headers, with case-insensitive or lower-case keys.
    body : bytes
        ``{"error": {"code", "message", "status"}}`` from Earth Engine; anything from a proxy.
    """
    message, reasons = _words(body)
    message = message or f"Earth Engine answered with status {status} and no message."
    wait = _retry_after(headers)
    kind = _class_of(status, message, reasons)
    return (
        _too_large(message, status, wait) if kind is TooLargeError else kind(message, status, wait)
    )


def _class_of(status: int, message: str, reasons: set[str]) -> type[RequestError]:
    if _BUDGET.search(message):
        return BudgetError
    if status == 429 or _QUOTA.search(message) or reasons & _QUOTA_REASONS:
        return QuotaError
    if status in (401, 403):
        return AuthorizationError
    if status >= 500 or status == 408:
        return TransientError
    if status == 413 or _cause(message) is not None:
        return TooLargeError
    return PermanentError


def _cause(message: str) -> tuple[Cause, dict[str, int]] | None:
    """Return of what there was too much, and the sizes that the words state, by name."""
    for cause, pattern in _TOO_LARGE.items():
        if found := re.search(pattern, message, re.IGNORECASE):
            return cause, {name: int(size) for name, size in found.groupdict().items() if size}
    return None


def _too_large(message: str, status: int, retry_after: float | None) -> TooLargeError:
    # Status 413 without words that are known: by HTTP, the body of the request is too large.
    cause, sizes = _cause(message) or ("payload", {})
    return TooLargeError(message, status, retry_after, cause=cause, **sizes)


def _words(body: bytes) -> tuple[str, set[str]]:
    """Return the message and the machine-readable reasons of an error body."""
    try:
        error: Any = json.loads(body)["error"]
        details = [*error.get("errors", []), *error.get("details", [])]
        return str(error["message"]), {str(d["reason"]) for d in details if "reason" in d}
    except (ValueError, KeyError, TypeError, AttributeError):
        return body[:500].decode("utf-8", "replace").strip(), set()


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Return the seconds to wait, never more than :data:`MAX_RETRY_AFTER_S`."""
    try:
        seconds = float(headers["retry-after"])
    except (KeyError, ValueError):
        return None
    return min(max(0.0, seconds), MAX_RETRY_AFTER_S) if math.isfinite(seconds) else None

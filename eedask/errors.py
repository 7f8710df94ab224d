"""Every error that eedask raises, and the reading of Earth Engine's answers into them.

::

    EedaskError
    ├── InputError (also ValueError)       what was asked cannot be done
    │   ├── ItemsError                     the work items: duplicate ids, no geometry, no crs …
    │   └── SizeError                      a chip is larger than Earth Engine answers
    ├── TraceError                         a function cannot be traced; it is built per item
    ├── DatasetError                       the output folder holds something else, or is damaged
    ├── RunStopped                         a run ended early; the dataset can be resumed
    └── RequestError                       one exchange with Earth Engine went wrong; see ``kind``
        ├── QuotaError          "quota"            too many requests: slow down, try again
        ├── TransientError      "transient"        a fault that passes: try again
        ├── TooLargeError       "too_large"        a smaller request would succeed
        ├── PermanentError      "permanent"        the same request can never succeed
        ├── AuthorizationError  "authorization"    nobody's request will succeed until it is mended
        └── BudgetError         "budget"           the project's compute budget is used up
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import Any, ClassVar

# Who is told to come back later than in so many seconds asks again then all the same: it is one
# answer's word, of a proxy perhaps, and holds back all requests of the project.
MAX_RETRY_AFTER_S = 300.0


class EedaskError(Exception):
    """The root of eedask's errors."""


class InputError(EedaskError, ValueError):
    """An argument cannot be used as it is, or for one item."""


class ItemsError(InputError):
    """The work items cannot be used as they are."""


class SizeError(InputError):
    """A request would be larger than Earth Engine answers."""


class TraceError(EedaskError):
    """A function of an item used a value in a way that only works on a real one."""


class DatasetError(EedaskError):
    """The output folder cannot be used or read."""


class RunStopped(EedaskError):
    """A run ended before all items were done. What is done is kept; run again to resume."""


class RequestError(EedaskError):
    """One exchange with Earth Engine did not give what was asked for.

    Parameters
    ----------
    message : str
        Earth Engine's own words where it answered; otherwise what went wrong.
    status : int, optional
        HTTP status, if there was an answer.
    retry_after : float, optional
        Seconds that the answer asked to wait, within :data:`MAX_RETRY_AFTER_S`.
    """

    kind: ClassVar[str]

    def __init__(
        self, message: str, status: int | None = None, retry_after: float | None = None
    ) -> None:
        # All arguments go up, so that the error survives pickling between Dask workers.
        super().__init__(message, status, retry_after)
        self.message = message
        self.status = status
        self.retry_after = retry_after

    def __str__(self) -> str:
        return self.message if self.status is None else f"HTTP {self.status}: {self.message}"


class QuotaError(RequestError):
    """The project's requests come too fast or too many at once."""

    kind = "quota"


class TransientError(RequestError):
    """A fault on the way or at Earth Engine that may be gone the next time."""

    kind = "transient"


class TooLargeError(RequestError):
    """The computation or its answer is too large; a part of it would succeed."""

    kind = "too_large"


class PermanentError(RequestError):
    """Earth Engine refuses this very request; it would refuse it again."""

    kind = "permanent"


class AuthorizationError(RequestError):
    """The credentials or the project are not accepted."""

    kind = "authorization"


class BudgetError(RequestError):
    """The project's compute budget (EECU) is used up."""

    kind = "budget"


# Earth Engine answers most faults of a computation with status 400, so within it only the words
# tell one from another. Sources: developers.google.com/earth-engine/guides/usage and /debugging.
_TOO_LARGE = re.compile(
    r"memory limit exceeded|computation timed out|total request size|request payload size"
    r"|aborted after accumulating over \d+ elements|computed value is too large|too many pixels"
    r"|pixel grid dimensions|output of image computation is too large",
    re.IGNORECASE,
)
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
    return _class_of(status, message, reasons)(message, status, _retry_after(headers))


def _class_of(status: int, message: str, reasons: set[str]) -> type[RequestError]:
    if _BUDGET.search(message):
        return BudgetError
    if status == 429 or _QUOTA.search(message) or reasons & _QUOTA_REASONS:
        return QuotaError
    if status in (401, 403):
        return AuthorizationError
    if status >= 500 or status == 408:
        return TransientError
    if status == 413 or _TOO_LARGE.search(message):
        return TooLargeError
    return PermanentError


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

"""Turns an answer with an error status into an exception of :mod:`eedask.errors`."""

from __future__ import annotations

import json
import math
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Any, Literal

from eedask.errors import (
    AuthorizationError,
    BudgetError,
    Cause,
    PermanentError,
    QuotaError,
    RequestError,
    TooLargeError,
    TransientError,
    printable,
)

# The longest wait that is granted to an answer that asks for one, in seconds. The wait holds back
# all requests of the project, and the answer may be a proxy's, or wrong.
MAX_RETRY_AFTER_S = 300.0

# Characters that are kept of a message. It stands in the manifest's row of each item that fails.
MOST_WORDS = 4000

# Earth Engine answers most errors of a computation with status 400, and sometimes the same error
# with different statuses, so the message is looked at before the status. Sources: the pages usage,
# debugging and processing_environments of developers.google.com/earth-engine/guides, and public
# threads. A message may hold a whole expression, so patterns take a time in proportion to it: what
# repeats in them has a bound.
_TOO_LARGE: dict[Cause, str] = {
    "memory": r"memory limit exceeded",
    "time": r"computation timed out",
    "output": (
        r"output of image computation is too large|reprojection output too large|object too large"
    ),
    "request size": (
        r"total request size(?: \((?P<asked>\d{1,18}) bytes\) .{0,99}?(?P<allowed>\d{1,18}) bytes)?"
    ),
    "grid side": (
        r"pixel grid dimensions(?: \(\d{1,18} ?x ?\d{1,18}\) .{0,99}?(?P<allowed>\d{1,18})(?!\d))?"
    ),
    "payload": r"request payload size(?: exceeds the limit: (?P<allowed>\d{1,18}) bytes)?",
    "elements": r"aborted after accumulating over (?P<allowed>\d{1,18}) elements",
    "value": r"computed value is too large",
    "region pixels": (
        r"too many pixels(?:.{0,99}?maxPixels allows only (?P<allowed>\d{1,18})(?!\d))?"
    ),
}

_QUOTA = re.compile(
    r"too many concurrent aggregations|too many requests|rate ?limit ?exceeded", re.IGNORECASE
)

# "Earth Engine capacity exceeded." and "Earth Engine memory capacity exceeded." say that Earth
# Engine's machines are busy at the moment, and are not about the user's quota.
_CAPACITY = re.compile(r"capacity exceeded", re.IGNORECASE)

# The compute budget is a number of EECU-hours or EECU-seconds, for a day or a month. The message or
# its details name the quota's metric, such as earthengine.googleapis.com/daily_eecu_usage_time.
_BUDGET = re.compile(r"compute (?:quota|budget)|_eecu_usage_time", re.IGNORECASE)
_EECU = re.compile(r"(?:\b|_)eecu(?:\b|_)", re.IGNORECASE)
_USED_UP = re.compile(r"exceed|exhaust|used up", re.IGNORECASE)

# "Permission 'earthengine.assets.get' denied on resource 'projects/…/assets/…'" says that the owner
# of this asset has not shared it. Requests without the asset succeed, so the account is accepted.
_ASSET = re.compile(r"\bearthengine\.assets\.", re.IGNORECASE)

# The seconds of a duration; a negative one is no wait.
_DURATION = re.compile(r"[0-9]+(\.[0-9]+)?s")

_QUOTA_REASONS = {"rateLimitExceeded", "userRateLimitExceeded", "RATE_LIMIT_EXCEEDED"}

# Statuses of requests that may succeed the next time: 408 is a timeout, 421 came on a connection to
# another server, 425 too early (HTTP); 409 is ABORTED and 499 CANCELLED
# (https://cloud.google.com/apis/design/errors).
_PASSING = (408, 409, 421, 425, 499)


def from_response(status: int, headers: Mapping[str, str], body: bytes) -> RequestError:
    """Return the exception for an answer whose status is not 200.

    Parameters
    ----------
    status : int
        HTTP status.
    headers : mapping
        Response headers, with case-insensitive or lower-case keys.
    body : bytes
        ``{"error": {"code", "message", "status"}}`` from Earth Engine; anything from a proxy.
    """
    said = _words(body)
    if not said.is_json and _means_little(status, headers):
        return TransientError(
            f"an answer of status {status} says that it is JSON, and is not: {said.message[:60]!r}",
            status,
            retry_after(headers),
        )
    message = said.message or f"Earth Engine answered with status {status} and no message."
    if 300 <= status < 400:
        message = (
            f"the answer has status {status} and leads to {headers.get('location')}: a proxy, or a"
            " page to sign in at, may stand between here and Earth Engine"
        )
    wait = retry_after(headers)
    wait = said.delay if wait is None else wait
    kind = _class_of(status, said)
    if kind is TooLargeError:
        # A known message, or else status 413, which says that the request's body is too large.
        cause, sizes = _too_large(message) or ("payload", {})
        return TooLargeError(message, status, wait, cause=cause, **sizes)
    if kind is TransientError:
        return TransientError(message, status, wait, cause=_lack(status, message))
    return kind(message, status, wait)


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Return how many seconds an answer asks to wait, or None if it does not ask.

    It is never more than :data:`MAX_RETRY_AFTER_S`. ``Retry-After`` may be a date (RFC 9110,
    10.2.3). The time until then is counted from the header ``Date``, the server's own clock, or
    from this machine's clock if there is none. For a date in the past it is 0.

    Parameters
    ----------
    headers : mapping
        Response headers, with case-insensitive or lower-case keys.
    """
    asked = headers.get("retry-after", "")
    try:
        seconds = float(asked)
    except ValueError:
        until, now = _timestamp(asked), _timestamp(headers.get("date", ""))
        if until is None:
            return None
        seconds = until - (time.time() if now is None else now)
    # Python reads "inf" as a number, which HTTP does not allow. Hundreds of digits are allowed, and
    # Python reads them as infinite too.
    if not (math.isfinite(seconds) or asked.strip().isdigit()):
        return None
    return min(max(0.0, seconds), MAX_RETRY_AFTER_S)


def _timestamp(date: str) -> float | None:
    """Return a header's date as seconds since 1970; None if it is none."""
    try:
        found = parsedate_to_datetime(date)
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()
    except (ValueError, TypeError, OverflowError, IndexError):
        return None


@dataclass(frozen=True)
class _Words:
    """What the body of an error says.

    Attributes
    ----------
    message : str
        On one line; its beginning.
    reasons : set of str
        The ``reason`` of each detail, such as ``rateLimitExceeded``.
    metadata : str
        Values of the details' ``metadata``, such as the metric of a quota or a permission.
    delay : float, optional
        Seconds to wait, by the details' ``retryDelay``.
    is_json : bool
        Whether the body is JSON.
    """

    message: str
    reasons: frozenset[str] = frozenset()
    metadata: str = ""
    delay: float | None = None
    is_json: bool = True


def _means_little(status: int, headers: Mapping[str, str]) -> bool:
    """Whether a status means little if the body turns out not to be JSON.

    Earth Engine's refusals are JSON and say so: such an answer was damaged on its way. Pages of
    proxies say that they are something else. Too many requests (429) are too many all the same.
    """
    is_said = "json" in headers.get("content-type", "").lower()
    return is_said and 400 <= status < 500 and status != 429


def _class_of(status: int, said: _Words) -> type[RequestError]:
    words = f"{said.message} {said.metadata}"
    if _is_of_budget(words) or (status == 429 and "eecu" in said.metadata.lower()):
        return BudgetError
    if _CAPACITY.search(words):
        return TransientError
    if status == 429 or _QUOTA.search(words) or said.reasons & _QUOTA_REASONS:
        return QuotaError
    if status == 413 or _too_large(said.message) is not None:
        return TooLargeError
    if status == 403 and _ASSET.search(words):
        return PermanentError
    if status in (401, 403):
        return AuthorizationError
    # Earth Engine's errors have no status of success or of a redirection: that comes from something
    # in between, such as a network that wants a password before it lets anyone through.
    if not 400 <= status < 500 or status in _PASSING:
        return TransientError
    return PermanentError


def _is_of_budget(words: str) -> bool:
    """Whether a refusal is about the compute budget, which is used up."""
    named = _EECU.search(words) and _USED_UP.search(words)
    return bool(named or _BUDGET.search(words))


def _lack(status: int, message: str) -> Literal["capacity", "time"] | None:
    """Return what Earth Engine lacked for the request, if a smaller one would need less of it."""
    if _CAPACITY.search(message):
        return "capacity"
    return "time" if status == 504 else None


def _too_large(message: str) -> tuple[Cause, dict[str, int]] | None:
    """Return what was too large and the sizes that the message states; None if nothing was."""
    for cause, pattern in _TOO_LARGE.items():
        if found := re.search(pattern, message, re.IGNORECASE):
            sizes = {name: size for name, size in found.groupdict().items() if size}
            return cause, {name: int(size) for name, size in sizes.items()}
    return None


def _words(body: bytes) -> _Words:
    """Return what the body of an error says; if it is not Earth Engine's JSON, its beginning."""
    start = _Words(printable(body[:500].decode("utf-8", "replace").strip()))
    try:
        told: Any = json.loads(body)
    except (ValueError, RecursionError):
        return replace(start, is_json=False)
    try:
        error = told["error"]
        details = [*error.get("errors", []), *error.get("details", [])]
        metadata = [value for d in details for value in d.get("metadata", {}).values()]
        return _Words(
            printable(str(error["message"]))[:MOST_WORDS],
            frozenset(str(d["reason"]) for d in details if "reason" in d),
            " ".join(map(str, metadata))[:MOST_WORDS],
            _delay([d["retryDelay"] for d in details if "retryDelay" in d]),
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return start


def _delay(stated: list[Any]) -> float | None:
    """Return the longest delay that is stated, of at most :data:`MAX_RETRY_AFTER_S`.

    RetryInfo has it as JSON's form of a duration, such as "3.5s"
    (https://cloud.google.com/apis/design/errors#error_details).
    """
    texts = [one[:-1] for one in stated if isinstance(one, str) and _DURATION.fullmatch(one)]
    return min(max(map(float, texts)), MAX_RETRY_AFTER_S) if texts else None

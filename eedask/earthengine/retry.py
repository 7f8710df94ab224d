"""How often a request is tried, and how long to wait in between, by the ``retry`` package."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from retry.api import retry_call

from eedask.arguments import is_count, is_number
from eedask.errors import InputError, QuotaError, RequestError, TooLargeError, TransientError

T = TypeVar("T")

logger = logging.getLogger(__name__)

# After so many failures in a row for which smaller requests may help, those are sent instead, where
# that is possible. It is fewer for time, as each such answer takes minutes, and for wrong answers,
# as all items that share the request wait.
_ENOUGH = {"capacity": 3, "time": 2, "answer": 2}


@dataclass(frozen=True)
class RetryPolicy:
    """How a request that may succeed later is tried again.

    If an answer has the header ``Retry-After``, or its error a ``retryDelay``, no worker sends a
    request of the project until that time, because all of them share the quota that it is about.
    The wait is five minutes at most.

    The tries of a batch or of a large chip end early where Earth Engine lacks the capacity for it
    three times in a row, or does not answer in time twice; those of a batch also where two answers
    are not what was asked of its items. It is then sent in smaller requests, each with all its
    tries.

    Attributes
    ----------
    tries : int
        Attempts in all.
    delay, max_delay : float
        Seconds before the second attempt, and the longest wait between two.
    backoff : float
        Factor by which the delay grows.
    jitter : (float, float)
        Seconds, drawn uniformly, that are added, so that requests refused together do not come
        back together.
    """

    tries: int = 8
    delay: float = 1.0
    max_delay: float = 60.0
    backoff: float = 2.0
    jitter: tuple[float, float] = (0.0, 1.0)

    def __post_init__(self) -> None:
        if not is_count(self.tries):
            raise InputError(f"tries is a whole number of tries, 1 or more; got {self.tries!r}")
        jitter = self.jitter if isinstance(self.jitter, Sequence) else ()
        times = (self.delay, self.max_delay, self.backoff, *jitter)
        numbers = all(map(is_number, times))
        if not numbers or len(jitter) != 2 or min(times) < 0 or self.backoff < 1:
            raise InputError(
                "delay, max_delay and both values of jitter are seconds, 0 or more, and backoff is"
                f" a factor, 1 or more, all of them finite; got {self}"
            )


@dataclass
class Attempts:
    """How often something was tried; safe to share between threads."""

    count: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False, compare=False)

    def add(self) -> None:
        """Count one more attempt."""
        with self._lock:
            self.count += 1


def call_with_retry(
    exchange: Callable[[], T],
    policy: RetryPolicy,
    attempts: Attempts,
    label: str,
    *,
    divisible: bool = False,
) -> T:
    """Return what an exchange returns, trying again while that can help.

    Parameters
    ----------
    exchange : callable
        One attempt; raises :class:`~eedask.errors.RequestError`.
    policy : RetryPolicy
    attempts : Attempts
        Counts up with every attempt, also when the call fails.
    label : str
        Names the item in the log.
    divisible : bool
        Whether smaller requests can take this one's place.

    Raises
    ------
    RequestError
        That of the last attempt.
    TooLargeError
        If the request is divisible, and attempt after attempt failed for what a smaller one may
        not: see ``cause`` of :class:`~eedask.errors.TransientError`.
    """
    not_before, in_a_row = 0.0, 0

    def attempt() -> T:
        nonlocal not_before, in_a_row
        # retry_call has slept for the policy's delay; Retry-After may ask for more. A sleep of
        # nothing would still hand the interpreter to another thread.
        if (wait := not_before - time.monotonic()) > 0:
            time.sleep(wait)
        attempts.add()
        try:
            return exchange()
        except RequestError as error:
            not_before = time.monotonic() + (error.retry_after or 0.0)
            cause = error.cause if isinstance(error, TransientError) else None
            in_a_row = in_a_row + 1 if cause else 0
            if divisible and cause and in_a_row >= min(_ENOUGH[cause], policy.tries):
                raise TooLargeError(
                    error.message, error.status, error.retry_after, cause=cause
                ) from error
            raise

    result: T = retry_call(
        attempt,
        exceptions=(QuotaError, TransientError),
        tries=policy.tries,
        delay=policy.delay,
        max_delay=policy.max_delay,
        backoff=policy.backoff,
        jitter=policy.jitter,
        logger=_ItemLogger(label, attempts),
    )
    return result


class _ItemLogger:
    """The logger for ``retry_call``, which adds the item and the attempt to each message."""

    def __init__(self, label: str, attempts: Attempts) -> None:
        self._label = label
        self._attempts = attempts

    def warning(self, _: str, error: BaseException, delay: float) -> None:
        logger.info(
            "%s: attempt %d failed (%s); next in %.1f s",
            self._label,
            self._attempts.count,
            error,
            delay,
        )

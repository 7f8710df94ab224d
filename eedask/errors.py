"""Every error that eedask raises.

::

    EedaskError
    ├── InputError (also ValueError)       what was asked cannot be done
    │   ├── ItemsError                     the work items: duplicate ids, no geometry, no crs …
    │   ├── SizeError                      a chip is larger than Earth Engine answers
    │   └── FunctionError                  a function of an item fails on it
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

import unicodedata
from typing import ClassVar, Literal

# Of what there was too much, by Earth Engine's words.
Cause = Literal[
    "memory",  # that the computation needed
    "time",  # that the computation needed
    "output",  # of the computation, before it is encoded
    "request size",  # bytes of the pixels that were asked for
    "grid side",  # rows or columns that were asked for
    "payload",  # bytes of the request itself, that is of the expression
    "elements",  # of a collection inside the expression
    "value",  # computed inside the expression
    "region pixels",  # of a reduction inside the expression
]


def escaped(text: str) -> str:
    """Return a text from outside as it can be shown: characters that are no print are escaped.

    Those steer terminals, reverse lines, or are halves of characters, which no file holds.
    """
    return "".join(
        repr(one)[1:-1] if unicodedata.category(one) in _NO_PRINT and one not in "\n\t" else one
        for one in text
    )


# Control, format and surrogate characters, and separators of lines and paragraphs.
_NO_PRINT = ("Cc", "Cf", "Cs", "Zl", "Zp")


class EedaskError(Exception):
    """The root of eedask's errors."""


class InputError(EedaskError, ValueError):
    """An argument cannot be used as it is, or for one item."""


class ItemsError(InputError):
    """The work items cannot be used as they are."""


class SizeError(InputError):
    """A request would be larger than Earth Engine answers."""


class FunctionError(InputError):
    """A function of an item raises an error, or gives what cannot be encoded."""


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
        Seconds that the answer asked to wait before the next try.
    """

    kind: ClassVar[str]

    def __init__(
        self, message: str, status: int | None = None, retry_after: float | None = None
    ) -> None:
        message = escaped(message)
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
    """The computation or its answer is too large; a part of it would succeed.

    Parameters
    ----------
    message, status, retry_after
        As of :class:`RequestError`.
    cause : Cause, optional
        Of what there was too much; None if the words do not say.
    asked : int, optional
        The size that the request had, where the words state it: bytes for "request size".
    allowed : int, optional
        The largest size that is allowed, where the words state it: bytes for "request size" and
        "payload", pixels for "grid side" and "region pixels", elements for "elements".
    """

    kind = "too_large"

    def __init__(
        self,
        message: str,
        status: int | None = None,
        retry_after: float | None = None,
        *,
        cause: Cause | None = None,
        asked: int | None = None,
        allowed: int | None = None,
    ) -> None:
        super().__init__(message, status, retry_after)
        # Pickling keeps attributes by itself.
        self.cause = cause
        self.asked = asked
        self.allowed = allowed


class PermanentError(RequestError):
    """Earth Engine refuses this very request; it would refuse it again."""

    kind = "permanent"


class AuthorizationError(RequestError):
    """The credentials or the project are not accepted."""

    kind = "authorization"


class BudgetError(RequestError):
    """The project's compute budget (EECU) is used up."""

    kind = "budget"
